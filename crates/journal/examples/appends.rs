//! How many records a second one socket's journal takes, and how fast they are read back. No claims beyond this machine:
//! `cargo run --release -p tickhouse-journal --example appends [RECORDS] [PAYLOAD_BYTES]`.

use std::time::{Duration, Instant};
use tickhouse_journal::{Journal, JournalError, JournalOptions, JournalReader};
use tickhouse_model::{Observed, RecordKind, SnapshotMarks, Timestamp};
use tickhouse_telemetry::Clock;

fn main() -> Result<(), JournalError> {
    let mut arguments = std::env::args().skip(1).filter_map(|text| text.parse::<usize>().ok());
    let (records, len) = (arguments.next().unwrap_or(1_000_000), arguments.next().unwrap_or(190));
    let dir = std::env::temp_dir().join(format!("tickhouse-appends-{}", std::process::id()));
    let journal = Journal::open(&dir, "bench", JournalOptions::default(), Clock::system())?;
    let socket = journal.start_socket(1)?;
    let observed = Observed {
        received_at: Timestamp::from_millis(1),
        kind: RecordKind::Frame,
        snapshots: SnapshotMarks::None,
        payload: vec![7; len].into(),
    };
    let start = Instant::now();
    for _ in 0..records {
        if socket.sender.blocking_send(observed.clone()).is_err() {
            break;
        }
    }
    drop(socket);
    let status = journal.close(Duration::from_mins(1));
    report("appended", records, len, start.elapsed());
    println!(
        "{} writes, {} segments compressed meanwhile",
        status.sockets[0].batches, status.compressed_segments
    );

    let start = Instant::now();
    let mut reader = JournalReader::open(&dir, "bench", 1, None)?;
    let (mut entries, mut read) = (Vec::new(), 0);
    while reader.next_batch(1 << 20, &mut entries)? > 0 {
        read += entries.len();
        entries.clear();
    }
    report("read", read, len, start.elapsed());
    std::fs::remove_dir_all(&dir).unwrap_or_default();
    Ok(())
}

fn report(what: &str, records: usize, len: usize, took: Duration) {
    let rate = records as f64 / took.as_secs_f64();
    println!("{what} {records} records of {len} bytes: {rate:.0}/s, {:.0} MB/s", rate * len as f64 / 1e6);
}
