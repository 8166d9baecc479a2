//! The page's live data: fifty browsers, five of which take nothing, at 20,000 packets a second beside the same without them; and how
//! long a tick takes from the recorder's socket to the browser's at 5,000 a second.

use crate::usage;
use anyhow::{Context as _, bail};
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tickhouse_telemetry::{Clock, Latency};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

type Socket = WebSocketStream<MaybeTlsStream<tokio::net::TcpStream>>;

/// Three sockets of 3,000.
const INSTRUMENTS: &str = "9000";
const BUSY: u32 = 20_000;
const USUAL: u32 = 5_000;
const BROWSERS: usize = 50;
const STALLED: usize = 5;
/// What each browser watches.
const WATCHED: usize = 200;
/// What the browser watches whose messages are timed.
const MOST: usize = 1_000;
const START: Duration = Duration::from_mins(2);

/// What was seen of the page while it ran.
#[derive(Default)]
struct Seen {
    memory_bytes: u64,
    cpu_seconds: f64,
    live: Value,
    /// From the recorder's socket to the message here, per row that changed.
    latency: Latency,
}

/// Runs the demo three times for so many seconds.
pub(crate) async fn run(tickhouse: &Path, seconds: usize) -> anyhow::Result<()> {
    println!("web: {INSTRUMENTS} instruments, {seconds} s each; {}", usage::machine());
    println!(
        "| packets/s | browsers | record: cores, MB | load: cores, MB | serve: cores, MB | socket to Redis p50, p99 ms \
         | socket to queryable p50, p99 ms | socket to browser p50, p99, max ms | messages | ticks stored |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|");
    for (rate, browsers) in [(BUSY, 0), (BUSY, BROWSERS), (USUAL, 1)] {
        let (result, seen) = demo(tickhouse, seconds, rate, browsers).await?;
        let elapsed = result["seconds"].as_f64().context("no seconds")?;
        let used = |name: &str| {
            let usage = &result["usage"][name];
            let cores = usage["cpu_seconds"].as_f64().unwrap_or(f64::NAN) / elapsed;
            format!("{cores:.2}, {:.0}", usage["memory_bytes"].as_f64().unwrap_or(f64::NAN) / 1e6)
        };
        let latency = |name: &str| {
            let of = |quantile: &str| result["latencies"][name][quantile].as_f64().unwrap_or(f64::NAN);
            format!("{:.1}, {:.1}", of("p50_ms"), of("p99_ms"))
        };
        let browser = seen.latency.summary();
        println!(
            "| {rate} | {browsers} | {} | {} | {:.2}, {:.0} | {} | {} | {:.1}, {:.1}, {:.1} | {} | {} |",
            used("record"),
            used("load"),
            seen.cpu_seconds / elapsed,
            seen.memory_bytes as f64 / 1e6,
            latency("socket_to_redis"),
            latency("socket_to_queryable"),
            browser.p50_ms,
            browser.p99_ms,
            browser.max_ms,
            seen.live["messages"],
            result["ticks_stored"],
        );
    }
    Ok(())
}

async fn demo(tickhouse: &Path, seconds: usize, rate: u32, browsers: usize) -> anyhow::Result<(Value, Seen)> {
    let directory = tempfile::tempdir()?;
    let child = Command::new(tickhouse)
        .args(["demo", "--json", "--rate", &rate.to_string(), "--instruments", INSTRUMENTS])
        .args(["--duration", &format!("{seconds}s"), "--http-port", "0"])
        .args(["--clickhouse-http-port", "0", "--clickhouse-tcp-port", "0", "--redis-port", "0"])
        .arg("--data-dir")
        .arg(directory.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .with_context(|| format!("{} can't be run", tickhouse.display()))?;
    let mut running = Running(Some(child));
    let page = page(directory.path()).await?;
    let tokens = tokens(page).await?;
    let mut looking = tokio::task::JoinSet::new();
    let mut stalled = Vec::new();
    for number in 0..browsers {
        let many = if browsers == 1 { MOST } else { WATCHED };
        let watched: Vec<u32> = tokens.iter().cycle().skip(number * many).take(many).copied().collect();
        let socket = open(page, &watched).await?;
        if browsers > 1 && number < STALLED {
            stalled.push(socket);
        } else {
            // those that only load the page do not take the machine's time with reading JSON
            looking.spawn(read(socket, browsers == 1 || number == STALLED));
        }
    }
    let mut seen = watch(page).await;
    let child = running.0.take().context("the demo is gone")?;
    let output = tokio::task::spawn_blocking(move || child.wait_with_output()).await??;
    while let Some(latency) = looking.join_next().await {
        seen.latency.add(&latency?);
    }
    drop(stalled);
    let text = String::from_utf8_lossy(&output.stdout);
    let result = text.lines().last().and_then(|line| serde_json::from_str::<Value>(line).ok());
    let result = result.with_context(|| format!("the demo printed no result: {text}"))?;
    if result["ok"] != true {
        bail!("the demo lost or doubled ticks: {result}");
    }
    Ok((result, seen))
}

/// A demo that ends with us.
struct Running(Option<Child>);

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            child.kill().ok();
            child.wait().ok();
        }
    }
}

/// Where the page is, once it is there.
async fn page(directory: &Path) -> anyhow::Result<SocketAddr> {
    let started = Instant::now();
    loop {
        let told = std::fs::read(directory.join("run/serve.json")).ok();
        let told: Option<Value> = told.and_then(|told| serde_json::from_slice(&told).ok());
        if let Some(page) = told.as_ref().and_then(|told| told["page"].as_str()) {
            return Ok(page.parse()?);
        }
        if started.elapsed() > START {
            bail!("the page does not come");
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Instruments that tick.
async fn tokens(page: SocketAddr) -> anyhow::Result<Vec<u32>> {
    let started = Instant::now();
    loop {
        let rows = get(page, "/v1/queries/latest?limit=9000").await.unwrap_or_default();
        let rows = rows["rows"].as_array().cloned().unwrap_or_default();
        let tokens: Vec<u32> = rows
            .iter()
            .filter_map(|row| row["instrument_token"].as_u64())
            .map(|token| token as u32)
            .collect();
        if tokens.len() > 5_000 {
            return Ok(tokens);
        }
        if started.elapsed() > START {
            bail!("only {} instruments tick", tokens.len());
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}

async fn get(page: SocketAddr, path: &str) -> anyhow::Result<Value> {
    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(20)).build()?;
    Ok(client.get(format!("http://{page}{path}")).send().await?.error_for_status()?.json().await?)
}

async fn open(page: SocketAddr, watched: &[u32]) -> anyhow::Result<Socket> {
    let (mut socket, _) = connect_async(format!("ws://{page}/v1/live")).await?;
    let watch = json!({ "op": "watch", "instruments": watched });
    let focus = json!({ "op": "focus", "instrument": watched.first() });
    for said in [watch, focus] {
        socket.send(Message::text(said.to_string())).await?;
    }
    Ok(socket)
}

/// Reads to the end; how old rows were that changed, where that is asked for.
async fn read(mut socket: Socket, timed: bool) -> Latency {
    let (clock, mut latency, mut first) = (Clock::system(), Latency::default(), true);
    while let Some(Ok(message)) = socket.next().await {
        let now = clock.now().as_millis();
        let Message::Text(text) = message else { continue };
        if !timed || !text.starts_with(r#"{"type":"quotes""#) {
            continue;
        }
        let rows: Value = serde_json::from_str(&text).unwrap_or_default();
        // the first has the states as they were
        for row in rows["rows"].as_array().into_iter().flatten().filter(|_| !first) {
            let age = now - row[1].as_i64().unwrap_or(now);
            latency.record(Duration::from_millis(age.unsigned_abs()));
        }
        first = false;
    }
    latency
}

/// Looks at the page's own status until it ends.
async fn watch(page: SocketAddr) -> Seen {
    let mut seen = Seen::default();
    while let Ok(status) = get(page, "/status").await {
        seen.memory_bytes = seen.memory_bytes.max(status["memory_bytes"].as_u64().unwrap_or(0));
        seen.cpu_seconds = status["cpu_seconds"].as_f64().unwrap_or(0.0);
        seen.live = status["live"].clone();
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    seen
}
