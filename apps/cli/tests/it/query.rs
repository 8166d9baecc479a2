//! `tickhouse query` against a running engine, as the user who may only read.

use super::{run, stderr, succeed, tickhouse};
use serde_json::Value;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

const TICKS: &str = "INSERT INTO tick_data (instrument_token, symbol, exchange, timestamp, exchange_timestamp, last_price, close_price, \
     volume, bid_1_price, bid_1_quantity, ask_1_price, ask_1_quantity, packet_type, session_type, data_quality) VALUES \
     (408065, 'INFY', 'NSE', '2026-11-20 10:15:00.250', '2026-11-20 10:15:00', 1500, 1480, 100, 1499.95, 10, 1500.05, 20, 'full', 'regular', 'enriched'), \
     (408065, 'INFY', 'NSE', '2026-11-20 10:15:01.250', '2026-11-20 10:15:01', 1510, 1480, 160, 1509.9, 10, 1510.1, 20, 'full', 'regular', 'enriched'), \
     (738561, 'RELIANCE', 'NSE', '2026-11-20 10:15:00.100', '2026-11-20 10:15:00', 2900, 3000, 40, 0, 0, 0, 0, 'quote', 'regular', 'enriched')";

/// Stops what a test started, also when it fails.
struct Stops<'a>(&'a Path);

impl Drop for Stops<'_> {
    fn drop(&mut self) {
        run(&["clickhouse", "stop", "--data-dir", "data"], self.0);
    }
}

#[test]
fn queries_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let with = |arguments: &[&str]| run(&[arguments, &["--data-dir", "data"]].concat(), here);
    succeed(&with(&["clickhouse", "start", "--http-port", "0", "--tcp-port", "0"]));
    let _stops = Stops(here);
    succeed(&with(&["migrate"]));
    succeed(&with(&["sql", TICKS]));
    let query = |arguments: &[&str]| with(&[&["query"], arguments].concat());

    let table = succeed(&query(&["latest", "--date", "2026-11-20"]));
    assert!(table.contains("INFY") && table.contains("1510") && table.contains("RELIANCE"), "{table}");
    let gainers: Vec<Value> =
        serde_json::from_str(&succeed(&query(&["gainers", "--date", "2026-11-20", "--json"]))).unwrap();
    assert_eq!(gainers[0]["symbol"], "INFY");
    assert!((gainers[1]["gain_pct"].as_f64().unwrap() + 100.0 / 30.0).abs() < 1e-9, "{gainers:?}");
    let csv = succeed(&query(&[
        "ohlc",
        "--symbol",
        "infy",
        "--from",
        "2026-11-20 10:00",
        "--to",
        "2026-11-20 11:00",
        "--format",
        "csv",
    ]));
    assert_eq!(csv.lines().count(), 2, "{csv}");
    assert!(csv.lines().nth(1).unwrap().contains("1500,1510,1500,1510,60,"), "{csv}");

    // the statement that is shown is the one that runs, as it stands
    let script = succeed(&query(&["depth", "--symbol", "408065", "--date", "2026-11-20", "--sql"]));
    assert!(
        script.contains("SET param_tokens = '[408065]'") && script.contains("FROM latest_prices"),
        "{script}"
    );
    let panel = succeed(&query(&["spread", "--sql=grafana"]));
    assert!(panel.contains("$__fromTime") && !panel.contains("{from:"), "{panel}");

    let nothing = query(&["latest", "--date", "2026-11-19"]);
    assert!(stderr(&nothing).contains("--date 2026-11-20"), "{}", stderr(&nothing));
    let near = query(&["depth", "--symbol", "INFI", "--date", "2026-11-20"]);
    assert!(stderr(&near).contains("INFY"), "{}", stderr(&near));
    let hostile = query(&["range", "--symbol", "'; DROP TABLE tick_data; --", "--date", "2026-11-20"]);
    assert!(succeed(&hostile).contains("no rows"));
    assert_eq!(succeed(&with(&["sql", "SELECT count() FROM tick_data"])), "3\n");

    // on no terminal answers are appended, and Ctrl-C ends it cleanly
    let arguments = [
        "query",
        "latest",
        "--date",
        "2026-11-20",
        "--watch",
        "0.1",
        "--format",
        "csv",
        "--data-dir",
        "data",
    ];
    let mut child = tickhouse(&arguments).current_dir(here).stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert_eq!(lines.take(7).filter(|line| line.as_ref().unwrap().contains("INFY")).count(), 2);
    std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    let started = Instant::now();
    while child.try_wait().unwrap().is_none() {
        assert!(started.elapsed() < Duration::from_secs(20), "it goes on after SIGINT");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(child.wait().unwrap().success());
}

#[test]
fn the_list_and_wrong_questions_need_no_server() {
    let folder = tempfile::tempdir().unwrap();
    let query = |arguments: &[&str]| run(&[&["query"], arguments].concat(), folder.path());
    let list = succeed(&query(&["--list"]));
    for name in ["latest", "volume-by-minute", "slow-queries", "coverage"] {
        assert!(list.contains(name), "{name} is not in\n{list}");
    }
    let parsed: Vec<Value> = serde_json::from_str(&succeed(&query(&["--list", "--json"]))).unwrap();
    assert_eq!(parsed.len(), list.lines().count());
    let unknown = query(&["lates"]);
    assert_eq!(unknown.status.code(), Some(2));
    assert!(stderr(&unknown).contains("'latest'"), "{}", stderr(&unknown));
    let needs = query(&["range", "--sql"]);
    assert!(stderr(&needs).contains("--symbol NIFTY"), "{}", stderr(&needs));
    let completions = succeed(&run(&["completions", "bash"], folder.path()));
    assert!(completions.contains("volume-by-minute"), "names are completed");
}
