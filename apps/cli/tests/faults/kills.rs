//! SIGKILL of every process, and a Redis that is emptied.

use crate::demo::{Demo, until};
use crate::ledger::{frames, packets};

/// Ticks between two kills: more than a second's, so that each finds the others at work.
const BETWEEN: u64 = 8_000;

#[test]
fn nothing_is_lost_when_loader_redis_and_clickhouse_are_killed() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = folder.path().join("ledger");
    let data = folder.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let mut demo = Demo::start(&data, &["--ledger", ledger.to_str().unwrap()]);
    for role in ["load", "redis", "clickhouse"] {
        demo.wait_ticks(BETWEEN);
        demo.kill(role);
    }
    demo.wait_ticks(BETWEEN);
    let ended = demo.terminate();
    ended.assert_exact();
    for role in ["load", "redis", "clickhouse"] {
        assert_eq!(ended.json["restarts"][role], 1, "{role}: {ended:#?}");
    }
    assert_eq!(ended.json["restarts"]["record"], 0);
    assert_eq!((ended.number("gaps"), ended.number("quarantined")), (0, 0), "{ended:#?}");
    // not by the program's own count: by the exchange's
    assert_eq!(ended.number("ticks_stored"), packets(&frames(&ledger)));
}

/// Only what the exchange sent while no recorder ran may be missing, and a gap says when that was.
#[test]
fn a_killed_recorder_leaves_one_gap_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = folder.path().join("ledger");
    let data = folder.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let mut demo = Demo::start(&data, &["--ledger", ledger.to_str().unwrap()]);
    demo.wait_ticks(BETWEEN);
    let before = unix_millis();
    demo.kill("record");
    let after = unix_millis();
    demo.wait_count("SELECT uniqExact(session) FROM frames WHERE kind = 'frame'", 2);
    demo.wait_ticks(BETWEEN);

    let gaps =
        "SELECT cause, toUnixTimestamp64Milli(`from`), toUnixTimestamp64Milli(`to`), session FROM feed_gaps";
    let gaps = until("the gap", || demo.ask(gaps).filter(|text| !text.is_empty()));
    let words: Vec<_> = gaps.split('\t').collect();
    let [cause, from, to, session] = words[..] else { panic!("one gap, not {gaps:?}") };
    let (from, to): (i64, i64) = (from.parse().unwrap(), to.parse().unwrap());
    assert_eq!(cause, "recorder_down");
    assert!(before - 2_000 < from && from <= after && before < to, "{from}..{to} around {before}..{after}");
    let of_first =
        format!("SELECT count() FROM frames WHERE kind = 'frame' AND bytes > 1 AND session < {session}");
    let of_first = until("a count", || demo.ask(&of_first)?.parse::<usize>().ok());

    let ended = demo.terminate();
    ended.assert_exact();
    assert_eq!((ended.number("gaps"), &ended.json["restarts"]["record"]), (1, &1.into()), "{ended:#?}");
    let (first, second): (Vec<_>, Vec<_>) =
        frames(&ledger).into_iter().partition(|frame| frame.connection == 1);
    let (read, lost) = first.split_at(of_first);
    assert_eq!(ended.number("ticks_stored"), packets(read) + packets(&second));
    assert_eq!(ended.number("lost_in_gaps"), packets(lost));
    // the gap begins with the last frame that was read, and what is lost followed it on its connection
    assert!(read.last().is_some_and(|frame| frame.at_ms <= from), "{:?} after {from}", read.last());
    assert!(lost.iter().all(|frame| frame.at_ms <= to), "{lost:?} after {to}");
}

#[test]
fn an_emptied_redis_is_filled_again() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = folder.path().join("ledger");
    let data = folder.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let demo = Demo::start(&data, &["--ledger", ledger.to_str().unwrap()]);
    for _ in 0..3 {
        demo.wait_ticks(BETWEEN);
        demo.redis("FLUSHALL");
    }
    demo.wait_ticks(BETWEEN);
    let ended = demo.terminate();
    ended.assert_exact();
    assert_eq!((ended.number("gaps"), ended.number("quarantined")), (0, 0), "{ended:#?}");
    assert_eq!(ended.number("ticks_stored"), packets(&frames(&ledger)));
}

fn unix_millis() -> i64 {
    tickhouse_telemetry::Clock::system().now().as_millis()
}
