//! Fifty browsers on a demo, five of which take nothing, while it is counted: `whole.rs` runs it.

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

type Socket = WebSocketStream<MaybeTlsStream<tokio::net::TcpStream>>;

const BROWSERS: usize = 50;
const STALLED: usize = 5;
const PATIENCE: Duration = Duration::from_mins(1);

/// What the browsers saw until the demo ended.
pub(super) struct Seen {
    /// Messages of quotes to each that reads.
    messages: Vec<u64>,
    /// The most memory that the page's process took.
    memory_bytes: u64,
    /// Its own status, last.
    status: Value,
}

impl Seen {
    pub(super) fn check(&self) {
        assert_eq!(self.messages.len(), BROWSERS - STALLED);
        assert!(self.messages.iter().all(|messages| *messages > 10), "{:?}", self.messages);
        assert!(self.memory_bytes < 300 << 20, "{} bytes", self.memory_bytes);
        let status = &self.status;
        assert_eq!(status["live"]["clients_total"], BROWSERS, "{status:#}");
        assert_eq!(
            (&status["feed"]["unreadable"], &status["market"]["holes"]),
            (&json!(0), &json!(0)),
            "{status:#}"
        );
        assert!(status["live"]["socket_to_browser"]["count"].as_u64().unwrap() > 0, "{status:#}");
    }
}

/// Looks on from when the page is there until it is gone, on a thread of its own.
pub(super) fn look_on(folder: &Path) -> std::thread::JoinHandle<Seen> {
    let file = folder.join("data/run/serve.json");
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let page = page(&file).await;
            let mut browsers = tokio::task::JoinSet::new();
            let mut stalled = Vec::new();
            for number in 0..BROWSERS {
                let socket = open(page).await;
                if number < STALLED {
                    stalled.push(socket);
                } else {
                    browsers.spawn(count(socket));
                }
            }
            let (memory_bytes, status) = watch(page).await;
            drop(stalled);
            Seen { messages: browsers.join_all().await, memory_bytes, status }
        })
    })
}

async fn page(file: &Path) -> SocketAddr {
    let started = Instant::now();
    loop {
        let told = std::fs::read(file).ok();
        let told: Option<Value> = told.and_then(|told| serde_json::from_slice(&told).ok());
        if let Some(page) = told.as_ref().and_then(|told| told["page"].as_str()) {
            return page.parse().unwrap();
        }
        assert!(started.elapsed() < PATIENCE, "no page");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A browser that watches the shares of the simulator's master and looks at INFY closely.
async fn open(page: SocketAddr) -> Socket {
    let (mut socket, _) = connect_async(format!("ws://{page}/v1/live")).await.unwrap();
    let watched = [256_265, 408_065, 5_633, 6_401, 40_193, 60_417, 81_153, 738_561];
    for said in
        [json!({ "op": "watch", "instruments": watched }), json!({ "op": "focus", "instrument": 408_065 })]
    {
        socket.send(Message::text(said.to_string())).await.unwrap();
    }
    socket
}

/// Messages of quotes until the end.
async fn count(mut socket: Socket) -> u64 {
    let mut messages = 0;
    while let Some(Ok(message)) = socket.next().await {
        messages += u64::from(message.to_text().is_ok_and(|text| text.starts_with(r#"{"type":"quotes""#)));
    }
    messages
}

/// The most memory, and the last status.
async fn watch(page: SocketAddr) -> (u64, Value) {
    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(10)).build().unwrap();
    let (mut most, mut last) = (0, Value::Null);
    while let Ok(answer) = client.get(format!("http://{page}/status")).send().await {
        let Ok(status) = answer.json::<Value>().await else { break };
        most = most.max(status["memory_bytes"].as_u64().unwrap());
        last = status;
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    (most, last)
}
