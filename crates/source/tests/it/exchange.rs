//! The other end: a WebSocket server whose every move a test makes.

use futures_util::{SinkExt, StreamExt};
use std::time::Duration;
use tickhouse_decode::Request as KiteRequest;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Bytes, Message};
use tokio_tungstenite::{WebSocketStream, accept_hdr_async};

/// Longest wait for anything: reached only by a test that fails.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, future).await.unwrap_or_else(|_| panic!("no {what} within {DEADLINE:?}"))
}

pub(crate) struct Exchange(TcpListener);

impl Exchange {
    pub(crate) async fn open() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").await.unwrap())
    }

    pub(crate) fn url(&self) -> String {
        format!("ws://{}", self.0.local_addr().unwrap())
    }

    /// The next client, before its handshake is answered.
    pub(crate) async fn knock(&self) -> Knock {
        let (stream, _) = soon("connection", self.0.accept()).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Knock(stream)
    }

    /// Lets the next client in.
    pub(crate) async fn accept(&self) -> Peer {
        self.knock().await.let_in().await
    }

    /// Refuses the next client's handshake; gives its request line.
    pub(crate) async fn refuse(&self, status: &str) -> String {
        self.knock().await.refuse(status).await
    }
}

/// A client whose handshake is not answered yet.
pub(crate) struct Knock(TcpStream);

impl Knock {
    pub(crate) async fn let_in(self) -> Peer {
        let mut uri = String::new();
        let mut version = String::new();
        #[expect(clippy::result_large_err, reason = "the signature is tungstenite's")]
        let note = |request: &Request, response: Response| {
            uri = request.uri().to_string();
            request.headers()["X-Kite-Version"].to_str().unwrap().clone_into(&mut version);
            Ok(response)
        };
        let stream = soon("handshake", accept_hdr_async(self.0, note)).await.unwrap();
        Peer { stream, uri, version }
    }

    pub(crate) async fn refuse(mut self, status: &str) -> String {
        let mut request = vec![0; 4_096];
        let len = soon("request", self.0.read(&mut request)).await.unwrap();
        let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        self.0.write_all(answer.as_bytes()).await.unwrap();
        String::from_utf8_lossy(&request[..len]).lines().next().unwrap_or_default().to_owned()
    }
}

/// One client, seen from the server.
pub(crate) struct Peer {
    stream: WebSocketStream<TcpStream>,
    pub(crate) uri: String,
    pub(crate) version: String,
}

impl Peer {
    pub(crate) async fn binary(&mut self, message: impl Into<Bytes>) {
        self.stream.send(Message::Binary(message.into())).await.unwrap();
    }

    pub(crate) async fn text(&mut self, message: &str) {
        self.stream.send(Message::text(message)).await.unwrap();
    }

    pub(crate) async fn ping(&mut self) {
        self.stream.send(Message::Ping(Bytes::from_static(b"mark"))).await.unwrap();
    }

    /// The next text of the client; pings are answered and passed over.
    pub(crate) async fn request(&mut self) -> KiteRequest {
        loop {
            if let Message::Text(text) = self.next().await.expect("open connection") {
                return KiteRequest::parse(&text).unwrap();
            }
        }
    }

    pub(crate) async fn requests(&mut self, count: usize) -> Vec<String> {
        let mut requests = Vec::new();
        for _ in 0..count {
            requests.push(self.request().await.to_json());
        }
        requests
    }

    /// Any message; `None` at the end of the connection.
    pub(crate) async fn next(&mut self) -> Option<Message> {
        soon("message", self.stream.next()).await.and_then(Result::ok)
    }

    /// Closes with a code and waits for the client's answer.
    pub(crate) async fn close(mut self, code: u16, reason: &str) {
        let frame = CloseFrame { code: code.into(), reason: reason.into() };
        self.stream.close(Some(frame)).await.unwrap();
        while self.next().await.is_some() {}
    }

    /// Ends the TCP connection without a close frame.
    pub(crate) async fn hang_up(self) {
        self.stream.into_inner().shutdown().await.unwrap();
    }

    /// Sends bytes that are no WebSocket frame.
    pub(crate) async fn garbage(self) {
        self.stream.into_inner().write_all(&[0xff; 64]).await.unwrap();
    }

    /// Resets the TCP connection.
    pub(crate) fn reset(self) {
        let stream = self.stream.into_inner();
        stream.set_zero_linger().unwrap();
        drop(stream);
    }

    /// Sends a heartbeat every few milliseconds until the client goes.
    pub(crate) async fn heartbeats(mut self) {
        let mut ticks = tokio::time::interval(Duration::from_millis(5));
        loop {
            tokio::select! {
                message = self.stream.next() => if !matches!(message, Some(Ok(_))) { return },
                _ = ticks.tick() => {
                    if self.stream.send(Message::Binary(Bytes::from_static(&[0]))).await.is_err() {
                        return;
                    }
                }
            }
        }
    }
}

/// A container of packets of these tokens and body lengths; what follows the token is zero.
pub(crate) fn container(packets: &[(u32, usize)]) -> Vec<u8> {
    let mut message = (packets.len() as u16).to_be_bytes().to_vec();
    for (token, len) in packets {
        message.extend((*len as u16).to_be_bytes());
        message.extend(token.to_be_bytes());
        message.resize(message.len() + len - 4, 0);
    }
    message
}
