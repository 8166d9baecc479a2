//! Ends that were asked for, ends that were not, and starts that can't be.

use crate::demo::{Demo, PATIENCE, processes, signal, until};
use crate::ledger::{Sent, frames, packets};
use nix::sys::signal::Signal;
use std::net::TcpListener;
use std::path::Path;
use std::time::Instant;
use tickhouse_journal::JournalReader;

const TICKS: u64 = 6_000;

#[test]
fn a_demo_that_is_asked_to_end_drains_and_the_next_is_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let mut before = 0;
    for (round, with) in [Signal::SIGINT, Signal::SIGTERM].into_iter().enumerate() {
        let ledger = folder.path().join(format!("ledger-{round}"));
        let demo = Demo::start(&data, &["--ledger", ledger.to_str().unwrap()]);
        let all = until("a count", || demo.ask("SELECT count() FROM tick_data")?.parse::<u64>().ok());
        assert!(all >= before, "{all} ticks of {before} are left");
        demo.wait_ticks(TICKS);
        let ended = demo.end_by(with);
        ended.assert_exact();
        let sent = packets(&frames(&ledger));
        assert_eq!((ended.number("ticks_stored"), ended.number("gaps")), (sent, 0), "{ended:#?}");
        before += sent;
    }
}

/// The supervisor itself is killed: its parts end by themselves, but for Redis, which the next start takes over before it
/// stores what they left.
#[test]
fn a_killed_demo_leaves_nothing_running_and_nothing_unstored() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let ledgers = [folder.path().join("first"), folder.path().join("second")];
    let demo = Demo::start(&data, &["--ledger", ledgers[0].to_str().unwrap()]);
    demo.wait_ticks(TICKS);
    let (own, session) = (demo.own_pid(), "SELECT max(session) FROM frames");
    let session = until("the session", || demo.ask(session)?.parse::<u64>().ok());
    let redis = demo.pid("redis");
    let _end = EndOfRedis(redis);
    let parts = processes().into_iter().filter(|process| process.parent == own && process.pid != redis);
    let parts: Vec<u32> = parts.map(|process| process.pid).collect();
    assert!(parts.len() >= 3, "{parts:?}");
    signal(own, Signal::SIGKILL);
    until("the end of the parts", || {
        processes().iter().all(|process| !parts.contains(&process.pid)).then_some(())
    });
    drop(demo);

    let demo = Demo::start(&data, &["--ledger", ledgers[1].to_str().unwrap()]);
    demo.wait_ticks(TICKS);
    let servers = processes().into_iter().filter(|process| process.command.contains("redis-server"));
    let servers = servers.filter(|process| process.pid == redis || process.parent == demo.own_pid());
    assert_eq!(
        servers.map(|process| process.pid).collect::<Vec<_>>(),
        [redis],
        "one server for one directory"
    );
    let (records, read) = journaled(&data, session);
    let of_first = format!("SELECT count(), uniqExact(sequence) FROM frames WHERE session = {session}");
    until("the first session in the ledger", || {
        demo.ask(&of_first).filter(|text| *text == format!("{records}\t{records}"))
    });
    let ticks =
        format!("SELECT count(), uniqExact(sequence, packet_index) FROM tick_data WHERE session = {session}");
    let ticks = until("a count", || demo.ask(&ticks));
    let gaps = "SELECT count() FROM feed_gaps WHERE cause = 'recorder_down'";
    // the ticks waited for may be those of the first session
    until("the gap between the sessions", || demo.ask(gaps).filter(|count| count == "1"));
    let ended = demo.terminate();
    ended.assert_exact();
    assert!(processes().iter().all(|process| process.pid != redis), "redis is still running");
    // the exchange died with the demo, so the last lines of its ledger may not be there
    let sent = cut_short(&ledgers[0]);
    if read <= sent.len() {
        let expected = packets(&sent[..read]);
        assert_eq!(ticks, format!("{expected}\t{expected}"));
    }
    assert_eq!(ended.number("ticks_stored"), packets(&frames(&ledgers[1])));
}

/// A Redis that nobody took over, because the test failed before, ends all the same.
struct EndOfRedis(u32);

impl Drop for EndOfRedis {
    fn drop(&mut self) {
        if std::thread::panicking() {
            signal(self.0, Signal::SIGKILL);
        }
    }
}

/// Records and data frames of a session of the first socket.
fn journaled(data: &Path, session: u64) -> (usize, usize) {
    let mut reader = JournalReader::open(&data.join("journal"), "demo", 0, None).unwrap();
    let mut entries = Vec::new();
    while reader.next_batch(4 << 20, &mut entries).unwrap() > 0 {}
    entries.retain(|entry| entry.id.session == session);
    let is_data = |entry: &&tickhouse_journal::JournalEntry| {
        tickhouse_model::Record::decode(&entry.bytes).unwrap().payload.len() > 1
    };
    let frames = entries.iter().filter(|entry| entry.kind == tickhouse_model::RecordKind::Frame);
    (entries.len(), frames.filter(is_data).count())
}

/// The frames of a ledger whose writer was killed: its last line may be half a line.
fn cut_short(ledger: &Path) -> Vec<Sent> {
    let text = std::fs::read_to_string(ledger).unwrap();
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    std::fs::write(ledger, whole).unwrap();
    frames(ledger)
}

#[test]
fn a_taken_port_is_named_with_its_holder_and_its_flag() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    for flag in ["--redis-port", "--clickhouse-http-port", "--clickhouse-tcp-port", "--http-port"] {
        let folder = tempfile::tempdir().unwrap();
        let started = Instant::now();
        let ended = Demo::launch(folder.path(), &[flag, &port], &[]).wait();
        assert!(started.elapsed() < PATIENCE / 2, "{flag}: it took {:?}", started.elapsed());
        assert!(!ended.status.success(), "{flag}: {ended:#?}");
        for part in [flag, &port, &format!("process {}", std::process::id())] {
            assert!(ended.errors.contains(part), "no {part}: {ended:#?}");
        }
        let left = processes();
        let place = folder.path().to_string_lossy();
        let left: Vec<_> = left.iter().filter(|process| process.command.contains(&*place)).collect();
        assert!(left.is_empty(), "{flag}: {left:?}");
    }
}
