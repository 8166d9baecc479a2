//! A pusher with a server, and what they wrote.

use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tickhouse_journal::{JournalOptions, JournalReader};
use tickhouse_model::{Mode, Record, RecordKind};
use tickhouse_push::http::{HttpCounters, HttpOptions, router};
use tickhouse_push::{Dialect, PushedTick, Pusher, PusherOptions, Token};
use tickhouse_stream::{PublisherOptions, RedisOptions};
use tickhouse_telemetry::Clock;

/// Longest wait for anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A Redis that nobody answers for.
pub(crate) fn no_redis() -> RedisOptions {
    RedisOptions { connect_timeout: Duration::from_millis(100), ..RedisOptions::at("redis://127.0.0.1:1") }
}

pub(crate) fn options(journal_dir: &Path, redis: RedisOptions) -> PusherOptions {
    PusherOptions {
        journal_dir: journal_dir.to_owned(),
        name: "p1".to_owned(),
        journal: JournalOptions { queue_len: 64, ..JournalOptions::default() },
        redis,
        publisher: PublisherOptions { check_every: Duration::from_millis(50), ..PublisherOptions::default() },
        clock: Clock::system(),
        dialect: Dialect::default(),
    }
}

pub(crate) fn tick(number: u32) -> PushedTick {
    PushedTick::new(number << 8 | 1, Mode::Ltp, f64::from(number) / 100.0)
}

/// What the journal of the pusher has: the payload of each record.
pub(crate) fn journaled(journal_dir: &Path) -> Vec<Record> {
    let mut reader = JournalReader::open(journal_dir, "p1", 0, None).unwrap();
    let mut entries = Vec::new();
    while reader.next_batch(1 << 20, &mut entries).unwrap() > 0 {}
    let records: Vec<_> = entries.iter().map(|entry| Record::decode(&entry.bytes).unwrap()).collect();
    assert!(records.iter().all(|record| record.kind == RecordKind::Pushed));
    records
}

/// Asks until it is so.
pub(crate) async fn until(what: &str, mut so: impl FnMut() -> bool) {
    let started = Instant::now();
    while !so() {
        assert!(started.elapsed() < PATIENCE, "still not {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A server of its own port.
pub(crate) struct Server {
    pub(crate) pusher: Arc<Pusher>,
    pub(crate) counters: Arc<HttpCounters>,
    pub(crate) address: SocketAddr,
    pub(crate) token: String,
    pub(crate) folder: tempfile::TempDir,
}

impl Server {
    pub(crate) async fn start(redis: RedisOptions, set: impl FnOnce(&mut HttpOptions)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("push-token");
        let mut http = HttpOptions::with_token(Token::read_or_make(&path).unwrap());
        set(&mut http);
        let token = std::fs::read_to_string(&path).unwrap().trim().to_owned();
        let pusher = Arc::new(Pusher::open(options(folder.path(), redis)).unwrap());
        let (routes, counters) = router(Arc::clone(&pusher), http);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Self { pusher, counters, address, token, folder }
    }

    pub(crate) fn request(&self, query: &str) -> reqwest::RequestBuilder {
        let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().unwrap();
        client
            .post(format!("http://{}/v1/ticks{query}", self.address))
            .bearer_auth(&self.token)
            .header("content-type", "application/json")
    }

    pub(crate) async fn post(&self, query: &str, body: &Value) -> (u16, Value) {
        answer(self.request(query).body(body.to_string())).await
    }
}

/// Status and body of an answer.
pub(crate) async fn answer(request: reqwest::RequestBuilder) -> (u16, Value) {
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or(json!(text)))
}

/// A tick as JSON.
pub(crate) fn ltp(number: u32) -> Value {
    json!({ "tradable": true, "mode": "ltp", "instrument_token": number << 8 | 1, "last_price": f64::from(number) / 100.0 })
}
