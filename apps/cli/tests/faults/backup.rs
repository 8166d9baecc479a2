//! A database that is destroyed while ticks flow, and comes back from backups that were made while they did.

use crate::demo::{Demo, signal, tickhouse, until};
use crate::ledger::{frames, packets};
use nix::sys::signal::Signal;
use serde_json::Value;
use std::path::Path;
use std::process::Stdio;

/// Ticks between two steps.
const BETWEEN: u64 = 8_000;

/// Runs a command on the demo's data directory; the last line of its output as JSON.
fn json(here: &Path, words: &[&str]) -> Value {
    let mut command = tickhouse();
    let output =
        command.args(words).args(["--json", "--data-dir", "data"]).current_dir(here).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words:?}: {errors}");
    let text = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(text.lines().last().unwrap_or_default())
        .unwrap_or_else(|_| panic!("{text}\n{errors}"))
}

/// Starts a backup and kills it once its folder is there.
fn killed_backup(here: &Path) {
    let mut command = tickhouse();
    command.args(["backup", "--to", "backups", "--data-dir", "data"]).current_dir(here).stdout(Stdio::null());
    let mut child = command.stderr(Stdio::null()).spawn().unwrap();
    let begun = || {
        std::fs::read_dir(here.join("backups"))
            .ok()?
            .flatten()
            .find(|entry| entry.path().join("BEGUN").exists())
    };
    until("a backup that has begun", begun);
    signal(child.id(), Signal::SIGKILL);
    assert!(!child.wait().unwrap().success(), "it was killed");
}

#[test]
fn a_destroyed_database_comes_back_and_nothing_is_lost_or_double() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let (ledger, data) = (here.join("ledger"), here.join("data"));
    std::fs::create_dir(&data).unwrap();
    let mut demo = Demo::start(&data, &["--ledger", ledger.to_str().unwrap()]);
    demo.wait_ticks(BETWEEN);
    killed_backup(here);
    let listed = json(here, &["backup", "list", "backups"]);
    assert!(listed.as_array().unwrap().iter().all(|backup| backup["whole"] == false), "{listed}");
    let full = json(here, &["backup", "--to", "backups"]);
    demo.wait_ticks(BETWEEN);
    let second = json(here, &["backup", "--to", "backups", "--incremental"]);
    assert_eq!(second["base"], full["id"]);
    assert!(second["rows"].as_u64() > full["rows"].as_u64(), "{second}");
    let listed = json(here, &["backup", "list", "backups"]);
    let ids: Vec<_> = listed.as_array().unwrap().iter().map(|backup| &backup["id"]).collect();
    assert_eq!(ids, [&full["id"], &second["id"]], "what was killed is cleared away");
    demo.wait_ticks(BETWEEN);

    let refused =
        tickhouse().args(["restore", "backups", "--data-dir", "data"]).current_dir(here).output().unwrap();
    let words = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && words.contains("is not empty"), "{words}");

    // the loader goes on, in vain, until the database is there again
    until("a database that is gone", || demo.ask("DROP DATABASE trading SYNC"));
    // users of the embedded engine log in to that database: a start of the engine makes an empty one
    demo.kill("clickhouse");
    until("an empty database", || {
        demo.ask("SELECT count() FROM system.tables WHERE database = 'trading'")
            .filter(|tables| tables == "0")
    });
    let restored = json(here, &["restore", "backups"]);
    assert_eq!(restored["id"], second["id"]);
    let least = second["rows"].as_u64().unwrap() / 2;
    demo.wait_count("SELECT count() FROM tick_data", least);
    demo.wait_ticks(2 * BETWEEN);
    assert_eq!(json(here, &["backup", "verify", "backups"])["verified"], true);

    let ended = demo.terminate();
    ended.assert_exact();
    assert_eq!((ended.number("gaps"), ended.number("quarantined")), (0, 0), "{ended:#?}");
    assert_eq!(ended.number("ticks_stored"), packets(&frames(&ledger)), "by the exchange's own count");
}
