//! `tickhouse verify` on a running system: it proves, and it notices a single row that somebody touched.

use crate::demo::{Demo, tickhouse, until};
use serde_json::Value;
use std::path::Path;

/// Runs it; its end and what it says.
fn verify(here: &Path) -> (Option<i32>, Value) {
    let mut command = tickhouse();
    command.args(["verify", "--json", "--data-dir", "data"]).current_dir(here);
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let value = serde_json::from_str(text.lines().last().unwrap_or_default());
    let errors = String::from_utf8_lossy(&output.stderr);
    (output.status.code(), value.unwrap_or_else(|_| panic!("{text}\n{errors}")))
}

/// A number of the sums.
fn total(report: &Value, name: &str) -> u64 {
    report["totals"][name].as_u64().unwrap_or_else(|| panic!("no {name} in {report}"))
}

/// Missing, duplicate, altered, unknown.
fn faults(report: &Value) -> [u64; 4] {
    ["missing", "duplicates", "altered", "unknown"].map(|name| total(report, name))
}

/// The identity of a row that stands in the middle, as a condition.
fn some_row(demo: &Demo, table: &str, condition: &str) -> (String, [u64; 3]) {
    let columns = "session, socket, sequence";
    let sql = format!(
        "SELECT {columns} FROM {table} WHERE {condition} ORDER BY sequence LIMIT 1 OFFSET 100 FORMAT TSV"
    );
    let line = until("a row", || demo.ask(&sql).filter(|line| !line.is_empty()));
    let numbers: Vec<u64> = line.split('\t').map(|number| number.trim().parse().unwrap()).collect();
    let [session, socket, sequence] = numbers[..] else { panic!("{line}") };
    (
        format!("session = {session} AND socket = {socket} AND sequence = {sequence}"),
        [session, socket, sequence],
    )
}

/// What it says of a row of a table.
fn said(report: &Value, table: &str, place: [u64; 3], packet_index: u64) -> Vec<String> {
    let wrong = report["wrong"].as_array().unwrap().iter();
    let here = |row: &&Value| {
        let of = |name: &str| row[name].as_u64().unwrap();
        row["table"] == table
            && [of("session"), of("socket"), of("sequence")] == place
            && of("packet_index") == packet_index
    };
    wrong.filter(here).map(|row| row["verdict"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn one_row_deleted_doubled_or_altered_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let data = here.join("data");
    std::fs::create_dir(&data).unwrap();
    let demo = Demo::start(&data, &[]);
    demo.wait_ticks(20_000);

    let (code, report) = verify(here);
    assert_eq!((code, faults(&report)), (Some(0), [0; 4]), "{report}");
    assert_eq!(report["proven"], true);
    assert_eq!(total(&report, "packets"), total(&report, "ticks_stored"));
    assert!(total(&report, "packets") > 10_000 && total(&report, "without_journal") == 0, "{report}");

    // three rows of different records, each by its packet 1
    let change = |statement: &str| until(statement, || demo.ask(statement).map(drop));
    let (row, deleted) = some_row(&demo, "tick_data", "packet_index = 1");
    change(&format!(
        "ALTER TABLE tick_data DELETE WHERE {row} AND packet_index = 1 SETTINGS mutations_sync = 1"
    ));
    let (code, report) = verify(here);
    assert_eq!((code, faults(&report)), (Some(3), [1, 0, 0, 0]), "{report}");
    assert_eq!(said(&report, "tick_data", deleted, 1), ["missing"]);

    let (row, doubled) = some_row(&demo, "tick_data", "packet_index = 2");
    change(&format!("INSERT INTO tick_data SELECT * FROM tick_data WHERE {row} AND packet_index = 2"));
    let (_, report) = verify(here);
    assert_eq!(faults(&report), [1, 1, 0, 0], "{report}");
    assert_eq!(said(&report, "tick_data", doubled, 2), ["duplicate"]);
    assert!(!report["imbalances"].as_array().unwrap().is_empty(), "a surplus hides no loss: {report}");

    let (row, altered) = some_row(&demo, "tick_data", "packet_index = 3");
    change(&format!(
        "ALTER TABLE tick_data UPDATE bid_5_orders = bid_5_orders + 1 WHERE {row} AND packet_index = 3 SETTINGS mutations_sync = 1"
    ));
    let (row, gone) = some_row(&demo, "frames", "kind = 'frame' AND packets > 0");
    change(&format!("ALTER TABLE frames DELETE WHERE {row} SETTINGS mutations_sync = 1"));
    let (code, report) = verify(here);
    assert_eq!((code, faults(&report)), (Some(3), [2, 1, 1, 0]), "{report}");
    assert_eq!(said(&report, "tick_data", altered, 3), ["altered"]);
    assert_eq!(said(&report, "frames", gone, 0), ["missing"]);

    let ended = demo.terminate();
    assert!(!ended.status.success() && ended.json["ok"] == false, "its own proof fails too: {ended:#?}");
}
