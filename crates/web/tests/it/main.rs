//! The page over real sockets: what a browser gets, and what a hostile client does not.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod hostile;
mod live;

use axum::Router;
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::Value;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tickhouse_live::Market;
use tickhouse_model::{Packet, PacketKind, Timestamp, Token};
use tickhouse_read::{Reader, ReaderOptions};
use tickhouse_telemetry::Clock;
use tickhouse_web::{Access, Limits, Web, WebOptions};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

const PATIENCE: Duration = Duration::from_secs(20);

/// A page without ClickHouse, and the market that it shows.
struct World {
    web: Arc<Web>,
    market: Arc<Market>,
    address: SocketAddr,
    health: watch::Sender<Option<Arc<str>>>,
    server: tokio::task::JoinHandle<()>,
}

impl Drop for World {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl World {
    async fn start(limits: Limits) -> Self {
        Self::with(Access::Machine, limits).await
    }

    async fn with(access: Access, limits: Limits) -> Self {
        let market = Arc::new(Market::default());
        let (health, told) = watch::channel(None);
        let web = Web::new(WebOptions {
            // nobody answers there
            reader: Reader::new(ReaderOptions::at("http://127.0.0.1:1")),
            market: Arc::clone(&market),
            calendar: tickhouse_enrich::Calendar::builtin(),
            clock: Clock::system(),
            access,
            limits,
            health: told,
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let beside = Router::new().route("/status", axum::routing::get(async || "all is well"));
        let router = tickhouse_web::router(&web, beside);
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { web, market, address, health, server }
    }

    /// A tick of an instrument, with this price in paise, received now.
    fn tick(&self, token: u32, paise: i32) {
        let mut packet = Packet::empty(Token(token), PacketKind::Full);
        (packet.last_price, packet.volume) = (paise, paise as u32);
        self.market.take(Clock::system().now(), std::iter::once((packet, false)));
        self.market.tell();
    }

    async fn client(&self) -> Client {
        self.client_with(None).await
    }

    /// One whose system takes only so many bytes for it.
    async fn client_with(&self, receive_buffer: Option<u32>) -> Client {
        let mut request = format!("ws://{}/v1/live", self.address).into_client_request().unwrap();
        let origin = format!("http://{}", self.address).parse().unwrap();
        request.headers_mut().insert("origin", origin);
        let socket = TcpSocket::new_v4().unwrap();
        if let Some(bytes) = receive_buffer {
            socket.set_recv_buffer_size(bytes).unwrap();
        }
        let stream = socket.connect(self.address).await.unwrap();
        let (socket, _) = tokio_tungstenite::client_async(request, stream).await.unwrap();
        let mut client = Client(socket);
        assert_eq!(client.next().await["type"], "hello");
        client
    }

    /// The status and the body of a request.
    async fn get(&self, path: &str) -> (u16, String) {
        let answer = http().get(format!("http://{}{path}", self.address)).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    async fn until(&self, what: &str, holds: impl Fn() -> bool) {
        let started = Instant::now();
        while !holds() {
            assert!(started.elapsed() < PATIENCE, "no {what}: {:?}", self.web.counts());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

fn http() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().unwrap()
}

/// A browser.
struct Client(WebSocketStream<TcpStream>);

impl Client {
    async fn say(&mut self, text: impl Into<String>) {
        self.0.send(Message::text(text.into())).await.unwrap();
    }

    /// The next message; panics when the connection ends.
    async fn next(&mut self) -> Value {
        loop {
            match tokio::time::timeout(PATIENCE, self.0.next()).await.expect("a message") {
                Some(Ok(Message::Text(text))) => return serde_json::from_str(&text).unwrap(),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                other => panic!("no message: {other:?}"),
            }
        }
    }

    /// The next message of a type.
    async fn next_of(&mut self, kind: &str) -> Value {
        loop {
            let message = self.next().await;
            if message["type"] == kind {
                return message;
            }
        }
    }

    /// Reads to the end: the code that it was closed with, none when it broke.
    async fn end(&mut self) -> Option<u16> {
        loop {
            match tokio::time::timeout(PATIENCE, self.0.next()).await.expect("an end") {
                Some(Ok(Message::Close(frame))) => return frame.map(|frame| frame.code.into()),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return None,
            }
        }
    }
}

/// When a packet is received that is older than all others.
const LONG_AGO: Timestamp = Timestamp::from_millis(1);
