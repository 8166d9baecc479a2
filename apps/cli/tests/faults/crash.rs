//! A short run of the crash test: kills, stops and network faults of one seed, judged by its own oracle.

use std::time::Duration;
use tickhouse_crash::{Options, run};

/// What the oracle must object to, once each: a row that is gone, one that is double, one with another value, a gap that nobody
/// tells of, a bar of which one insert came twice.
const SPOIL: [&str; 5] = [
    "ALTER TABLE tick_data DELETE WHERE (session, socket, sequence, packet_index) = \
     (SELECT session, socket, sequence, packet_index FROM tick_data ORDER BY session, socket, sequence, packet_index LIMIT 1 OFFSET 5000) \
     SETTINGS mutations_sync = 1",
    "INSERT INTO tick_data SELECT * FROM tick_data ORDER BY session, socket, sequence, packet_index LIMIT 1 OFFSET 7000",
    "ALTER TABLE tick_data UPDATE ask_5_orders = ask_5_orders + 1 WHERE (session, socket, sequence, packet_index) = \
     (SELECT session, socket, sequence, packet_index FROM tick_data ORDER BY session, socket, sequence, packet_index LIMIT 1 OFFSET 9000) \
     SETTINGS mutations_sync = 1",
    "ALTER TABLE feed_gaps DELETE WHERE cause = 'recorder_down' SETTINGS mutations_sync = 1",
    "INSERT INTO tick_data_1min_state SELECT * FROM tick_data_1min_state WHERE ticks > 0 LIMIT 1",
];

#[test]
fn a_seed_loses_nothing_and_the_oracle_would_see_it() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options {
        seed: 1,
        span: Duration::from_secs(20),
        rate: 5_000.0,
        program: env!("CARGO_BIN_EXE_tickhouse").into(),
        folder: folder.path().canonicalize().unwrap(),
        spoil: SPOIL.map(str::to_owned).into(),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let report = runtime.block_on(run(&options)).unwrap();
    assert!(report.ok, "{report}\n{:#?}", report.notes);
    assert!(report.done.kills >= 5 && report.done.network_faults >= 2, "{report}");
    assert!(report.totals.stored > 30_000 && report.totals.bars > 300, "{report}");
    for words in
        ["is missing", "a row more", "differs in ask_5_orders", "are in no window", "tick_data_1min: "]
    {
        let found = report.objections.iter().any(|objection| objection.contains(words));
        assert!(found, "nothing {words:?} in {:#?}", report.objections);
    }
}
