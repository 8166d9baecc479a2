//! ClickHouse and Redis in the background, and SQL.

use super::{run, run_with, stderr, stdout, succeed};
use serde_json::Value;
use std::net::TcpListener;
use std::path::Path;

/// Stops what a test started, also when it fails.
struct Stops<'a>(&'a Path, &'static str);

impl Drop for Stops<'_> {
    fn drop(&mut self) {
        run(&[self.1, "stop", "--data-dir", "data"], self.0);
    }
}

fn with<'a>(arguments: &[&'a str]) -> Vec<&'a str> {
    [arguments, &["--data-dir", "data"]].concat()
}

#[test]
fn clickhouse_starts_answers_and_stops() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let start = with(&["clickhouse", "start", "--http-port", "0", "--tcp-port", "0"]);
    assert!(succeed(&run(&start, here)).contains("ClickHouse runs: http://127.0.0.1:"));
    let _stops = Stops(here, "clickhouse");
    let again = run(&start, here);
    assert!(stderr(&again).contains("already runs"), "{}", stderr(&again));
    let url = succeed(&run(&with(&["clickhouse", "client-url"]), here));
    assert!(url.starts_with("http://127.0.0.1:"), "{url}");

    let sql = |arguments: &[&str], input: &[u8]| {
        run_with(&[&["sql", "--data-dir", "data"], arguments].concat(), here, input)
    };
    assert_eq!(succeed(&sql(&["SELECT 1; SELECT ';', 2"], b"")), "1\n;\t2\n");
    assert_eq!(succeed(&sql(&[], b"SELECT 3;\n-- nothing\n")), "3\n");
    assert_eq!(
        succeed(&sql(&["--url", url.trim(), "--query", "SELECT currentDatabase(), timezone()"], b"")),
        "trading\tAsia/Kolkata\n"
    );
    succeed(&sql(&["CREATE TABLE notes (n UInt64, text String) ENGINE = MergeTree ORDER BY n"], b""));
    succeed(&sql(&["--query", "INSERT INTO notes FORMAT CSV"], b"1,one\n2,\"two, too\"\n"));
    succeed(&sql(&["INSERT INTO notes VALUES (3, 'three')"], b"not read"));
    assert_eq!(
        succeed(&sql(&["--json", "SELECT * FROM notes ORDER BY n LIMIT 1 OFFSET 1"], b"")),
        "{\"n\":2,\"text\":\"two, too\"}\n"
    );
    assert_eq!(
        succeed(&sql(&["--format", "CSVWithNames", "SELECT max(n) AS most FROM notes"], b"")),
        "\"most\"\n3\n"
    );
    let failed = sql(&["SELECT throwIf(number = 3000000) FROM numbers(10000000)"], b"");
    assert_eq!(failed.status.code(), Some(1));
    assert!(stderr(&failed).contains("FUNCTION_THROW_IF"), "{}", stderr(&failed));
    assert!(stderr(&failed).len() < 2_000, "the rows before the error are no part of it");
    let unknown = sql(&["SELECT * FROM tick_data"], b"");
    assert!(stderr(&unknown).contains("tickhouse migrate"), "{}", stderr(&unknown));

    let migrated = succeed(&run(&with(&["migrate"]), here));
    assert!(migrated.contains("applied"), "{migrated}");
    assert!(succeed(&run(&with(&["migrate"]), here)).contains("up to date"));
    assert_eq!(succeed(&sql(&["SELECT count() FROM tick_data"], b"")), "0\n");

    assert!(succeed(&run(&with(&["clickhouse", "stop"]), here)).contains("stopped"));
    let status: Value =
        serde_json::from_str(&succeed(&run(&with(&["clickhouse", "status", "--json"]), here))).unwrap();
    assert_eq!(status["running"], false);
}

#[test]
fn redis_starts_answers_and_stops() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    succeed(&run(&with(&["redis", "start", "--port", "0"]), here));
    let _stops = Stops(here, "redis");
    let status: Value =
        serde_json::from_str(&succeed(&run(&with(&["redis", "status", "--json"]), here))).unwrap();
    assert_eq!(status["running"], true);
    let port = status["state"]["port"].as_u64().unwrap();
    let pong = std::process::Command::new("redis-cli").args(["-p", &port.to_string(), "ping"]).output();
    if let Ok(pong) = pong {
        assert_eq!(stdout(&pong), "PONG\n");
    }
    succeed(&run(&with(&["redis", "stop"]), here));
    assert!(succeed(&run(&with(&["redis", "stop"]), here)).contains("was not running"));
}

#[test]
fn a_taken_port_names_its_holder_and_the_flag() {
    let folder = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let output = run(
        &[
            "demo",
            "--data-dir",
            "data",
            "--redis-port",
            &port,
            "--clickhouse-http-port",
            "0",
            "--clickhouse-tcp-port",
            "0",
            "--http-port",
            "0",
        ],
        folder.path(),
    );
    assert_eq!(output.status.code(), Some(1));
    let text = stderr(&output);
    assert!(text.contains(&format!("port {port}")), "{text}");
    assert!(text.contains("--redis-port") && text.contains(&std::process::id().to_string()), "{text}");
}
