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

/// One instrument in 120 minutes.
const MINUTES: &str = "INSERT INTO tick_data (instrument_token, symbol, exchange, timestamp, exchange_timestamp, last_price, packet_type, \
     session_type, data_quality) SELECT 7169, 'MANY', 'NSE', toDateTime64('2026-11-20 10:00:00', 3, 'Asia/Kolkata') + number * 60 AS at, at, 5, \
     'ltp', 'regular', 'enriched' FROM numbers(120)";

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

    limits_say_that_they_cut(here);

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

    watching_goes_on_until_it_is_ended(here);
}

/// A limit that nobody asked for says that it cut, of a file too; one that was asked for is known.
fn limits_say_that_they_cut(here: &Path) {
    let with = |arguments: &[&str]| run(&[arguments, &["--data-dir", "data"]].concat(), here);
    let query = |arguments: &[&str]| with(&[&["query"], arguments].concat());
    let bars = |more: &[&str]| query(&[&["ohlc", "--date", "2026-11-20"], more].concat());
    assert!(!stderr(&bars(&["--format", "csv"])).contains("limit"), "two bars of a hundred");
    succeed(&with(&["sql", MINUTES]));
    for output in [&["--json"][..], &["--output", "bars.parquet"], &[]] {
        let cut = bars(output);
        assert!(stderr(&cut).contains("the first 100 rows"), "{output:?}: {}", stderr(&cut));
    }
    assert!(!stderr(&bars(&["--limit", "100", "--json"])).contains("limit"));
    let whole = query(&["ohlc", "--symbol", "MANY", "--date", "2026-11-20", "--format", "csv"]);
    assert_eq!(succeed(&whole).lines().count(), 121, "all minutes of one");
    succeed(&with(&[
        "sql",
        "ALTER TABLE tick_data DELETE WHERE symbol = 'MANY' SETTINGS mutations_sync = 1",
    ]));
    for table in ["tick_data_1min_state", "latest_prices"] {
        let gone =
            format!("ALTER TABLE {table} DELETE WHERE instrument_token = 7169 SETTINGS mutations_sync = 1");
        succeed(&with(&["sql", &gone]));
    }
}

/// On no terminal answers are appended, one that fails does not end it, and Ctrl-C ends it cleanly.
fn watching_goes_on_until_it_is_ended(here: &Path) {
    let with = |arguments: &[&str]| run(&[arguments, &["--data-dir", "data"]].concat(), here);
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
    let mut child = tickhouse(&arguments)
        .current_dir(here)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let infy = |line: &String| line.contains("INFY");
    assert_eq!(lines.by_ref().take(7).map(Result::unwrap).filter(infy).count(), 2);
    // an answer that fails is told, and the next one may succeed
    succeed(&with(&["sql", "RENAME TABLE latest_prices TO latest_prices_away"]));
    let mut told = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    assert!(told.by_ref().any(|line| line.contains("latest: no answer")), "the failure is told");
    succeed(&with(&["sql", "RENAME TABLE latest_prices_away TO latest_prices"]));
    succeed(&with(&["sql", &TICKS.replace("10:15:01", "10:16:01").replace("1510,", "1777,")]));
    assert!(lines.map(Result::unwrap).any(|line| line.contains("1777")), "it goes on");
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
