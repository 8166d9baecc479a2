//! An exchange that misbehaves on a script.

use crate::demo::{Demo, until};
use crate::ledger::frames;

const SCRIPT: &str = r#"
fault = [
    { kind = "truncated_frame",  connection = 1, after = "open", at = 1.0, bytes = 100 },
    { kind = "unknown_length",   connection = 1, after = "open", at = 1.5, bytes = 164 },
    { kind = "overstated_count", connection = 1, after = "open", at = 2.0 },
    { kind = "drop",             connection = 1, after = "open", at = 3.0 },
    { kind = "reset",            connection = 2, after = "open", at = 2.0 },
    { kind = "heartbeats_only",  connection = 3, after = "open", at = 2.0 },
]
"#;

/// Messages, good and bad packets of each connection, as the store has them.
const BY_CONNECTION: &str = "SELECT count(), sum(ticks), sum(quarantined) FROM \
    (SELECT *, sum(kind = 'connect') OVER (ORDER BY session, sequence) AS connection FROM frames) \
    WHERE kind = 'frame' AND bytes > 1 AND connection <= 3 GROUP BY connection ORDER BY connection";

#[test]
fn what_an_exchange_does_wrong_is_a_gap_or_in_quarantine() {
    let folder = tempfile::tempdir().unwrap();
    let (ledger, script) = (folder.path().join("ledger"), folder.path().join("faults.toml"));
    std::fs::write(&script, SCRIPT).unwrap();
    let data = folder.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let arguments = ["--ledger", ledger.to_str().unwrap(), "--faults", script.to_str().unwrap()];
    let mut demo = Demo::launch(&data, &arguments, &[("TICKHOUSE_KITE_DATA_TIMEOUT_MS", "2000")]);
    demo.wait_ready();
    demo.wait_count("SELECT count() FROM feed_gaps", 3);
    demo.wait_ticks(5_000);
    let ask = |sql: &str| until(sql, || demo.ask(sql));
    let causes = ask("SELECT cause FROM feed_gaps ORDER BY `from`");
    assert_eq!(causes, "closed\nbroken\nheartbeats_only");
    // the hole and its end: the one second until the next attempt, or the data timeout and that
    assert_eq!(ask("SELECT count() FROM feed_gaps WHERE `to` <= `from` OR `to` - `from` > 10"), "0");
    let reasons =
        ask("SELECT reason, count(), max(length(payload)) FROM quarantine GROUP BY reason ORDER BY reason");
    let reasons: Vec<Vec<&str>> = reasons.lines().map(|line| line.split('\t').collect()).collect();
    assert_eq!(reasons.len(), 2, "{reasons:?}");
    assert_eq!(reasons[0][..2], ["malformed", "2"]);
    assert_eq!(reasons[1], ["unknown_length", "1", "164"]);
    let stored = ask(BY_CONNECTION);

    let ended = demo.terminate();
    ended.assert_exact();
    assert_eq!((ended.number("gaps"), ended.number("quarantined")), (3, 3), "{ended:#?}");
    let stored: Vec<Vec<u64>> =
        stored.lines().map(|line| line.split('\t').map(|word| word.parse().unwrap()).collect()).collect();
    let sent = frames(&ledger);
    for (connection, stored) in (1..).zip(&stored) {
        let all: Vec<_> = sent.iter().filter(|frame| frame.connection == connection).collect();
        // a reset throws away what was not read yet; of the others every message arrived
        let arrived = if connection == 2 { &all[..usize::try_from(stored[0]).unwrap()] } else { &all[..] };
        let good: u64 = arrived.iter().map(|frame| frame.packets).sum();
        let bad: u64 = arrived.iter().map(|frame| frame.bad).sum();
        assert_eq!(stored[..], [arrived.len() as u64, good, bad], "connection {connection}");
    }
}
