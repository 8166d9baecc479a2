//! Latency from a socket's queue to the answer of Redis, through the journal, at a steady rate, and what it costs:
//! `cargo run --release -p tickhouse-stream --example live [FRAMES_PER_S] [PAYLOAD_BYTES] [SECONDS] [REDIS_URL]`.
//! Uses the namespace `live-example` of the given Redis and deletes it.

use std::time::{Duration, Instant};
use tickhouse_journal::{Journal, JournalOptions};
use tickhouse_model::{Observed, RecordKind, SnapshotMarks};
use tickhouse_stream::{Publisher, PublisherOptions, RedisOptions};
use tickhouse_telemetry::Clock;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut number = |default: u64| arguments.next().and_then(|text| text.parse().ok()).unwrap_or(default);
    let (rate, len, seconds) = (number(20_000), number(188), number(10));
    let url = arguments.next().unwrap_or_else(|| "redis://127.0.0.1:6380".to_owned());
    let redis = RedisOptions {
        prefix: "live-example:stream".to_owned(),
        namespace: "live-example".to_owned(),
        ..RedisOptions::at(url)
    };
    let dir = std::env::temp_dir().join(format!("tickhouse-live-{}", std::process::id()));
    let journal = Journal::open(&dir, "example", JournalOptions::default(), Clock::system())?;
    let socket = journal.start_socket(1)?;
    let (publisher, handle) = Publisher::new(
        redis.clone(),
        PublisherOptions::default(),
        &dir,
        "example",
        1,
        socket.position.clone(),
        Clock::system(),
    )?;
    let publisher = tokio::spawn(publisher.run(std::future::pending()));
    let (clock, start) = (Clock::system(), Instant::now());
    let mut tick = tokio::time::interval(Duration::from_millis(1));
    let mut sent = 0;
    while start.elapsed() < Duration::from_secs(seconds) {
        tick.tick().await;
        let due = start.elapsed().as_micros() as u64 * rate / 1_000_000;
        while sent < due {
            sent += 1;
            let observed = Observed {
                received_at: clock.now(),
                kind: RecordKind::Frame,
                snapshots: SnapshotMarks::None,
                payload: vec![7; len as usize].into(),
            };
            socket.sender.send(observed).await?;
        }
    }
    drop(socket);
    tokio::task::spawn_blocking(move || journal.close(Duration::from_secs(10))).await?;
    publisher.await?;
    let status = handle.status();
    println!("{} frames of {len} bytes in {seconds} s, {} round trips", status.published, status.batches);
    println!("socket to redis: {:?}", status.latency);
    let mut connection = redis::Client::open(redis.url)?.get_multiplexed_async_connection().await?;
    let keys = ["live-example:stream:example:1", "live-example:streams"];
    redis::cmd("UNLINK").arg(&keys).exec_async(&mut connection).await?;
    std::fs::remove_dir_all(&dir)?;
    Ok(())
}
