//! Bars of recorded ticks and of backfilled candles, where an exchange sends both.

use super::parts::Parts;
use super::{run, stderr, tickhouse};
use serde_json::Value;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

/// A process that is killed when the test ends.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

#[expect(clippy::disallowed_methods, reason = "a simulated clock hangs on the real one")]
fn real_millis() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()
}

fn rows(text: &str) -> Vec<Value> {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
#[expect(clippy::too_many_lines, reason = "one day, told from its begin to its end")]
fn bars_of_ticks_and_of_candles_agree_and_join() {
    let mut parts = Parts::start();
    // a Thursday morning, half a minute to the second
    let clock = format!("2026-11-19T10:00:00+05:30@{}*30", real_millis());
    let words =
        ["sim", "--listen", "127.0.0.1:0", "--instruments", "600", "--rate", "3000", "--clock", &clock];
    let mut exchange = tickhouse(&[&words[..], &["--data-dir", "exchange"]].concat())
        .current_dir(parts.here())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map(Running)
        .unwrap();
    let mut line = String::new();
    BufReader::new(exchange.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let url = line.trim().rsplit_once(' ').unwrap().1.to_owned();
    let address = url.rsplit("//").next().unwrap();
    let settings = format!(
        "[kite]\nendpoint = \"ws://{address}\"\napi_url = \"http://{address}\"\n\n\
         [[universe]]\nname = \"some\"\nsubscribe = [\"NSE:INFY@full\", \"NSE:NIFTY 50@full\"]\n"
    );
    std::fs::write(parts.here().join("tickhouse.toml"), settings).unwrap();
    let at = |arguments: &[&str]| parts.succeed(&[arguments, &["--clock", &clock]].concat());
    at(&["instruments", "sync"]);
    parts.spawn("load", &["--clock", &clock]);
    parts.spawn("record", &["--clock", &clock]);
    let minutes = "SELECT max(minute) >= toDateTime('2026-11-19 10:00:00') + 60 * (toMinute(min(minute)) + 5) \
                   FROM tick_data_1min_state WHERE instrument_token = 408065 AND ticks > 0";
    parts.until("five minutes of ticks", || (parts.sql(minutes) == "1").then_some(()));
    let at = |arguments: &[&str]| parts.succeed(&[arguments, &["--clock", &clock]].concat());
    for name in ["NSE:INFY", "NSE:NIFTY 50"] {
        at(&[
            "backfill",
            "--universe",
            name,
            "--interval",
            "minute",
            "--from",
            "2026-11-19",
            "--to",
            "2026-11-19",
        ]);
        let first =
            "SELECT formatDateTime(min(minute) + 60, '%H:%i') FROM tick_data_1min_state WHERE ticks > 0";
        let from = format!("2026-11-19 {}", parts.sql(first));
        // the minutes after the first of the recording, all of which were over when candles were asked for
        let last = "SELECT formatDateTime(toStartOfMinute(toDateTime(max(processed_at), 'Asia/Kolkata')), '%H:%i') FROM candles";
        let to = format!("2026-11-19 {}", parts.sql(last));
        let window =
            ["--from", from.as_str(), "--to", to.as_str(), "--json", "--clock", &clock, "--data-dir", "data"];
        let compared =
            run(&[&["bars", name, "--interval", "1m", "--reconcile"], &window[..]].concat(), parts.here());
        let found: Value = serde_json::from_slice(&compared.stdout).unwrap_or_default();
        assert_eq!(
            compared.status.code(),
            Some(0),
            "{name}, {from} to {to}: {found:#} {}",
            stderr(&compared)
        );
        assert!(found["compared"].as_u64().unwrap() >= 3 && found["compared"] == found["equal"], "{found}");
        // the morning before the recording is the broker's, then ours
        let joined = rows(&at(&["bars", name, "--from", "2026-11-19 09:15", "--to", &to, "--json"]));
        let source = |row: &Value| row["source"].as_str().unwrap().to_owned();
        assert_eq!(
            (source(&joined[0]), source(joined.last().unwrap())),
            ("candles".to_owned(), "ticks".to_owned())
        );
        assert!(joined.iter().all(|row| row["complete"] == true), "{joined:#?}");
        let hours = rows(&at(&[
            "bars",
            name,
            "--interval",
            "1h",
            "--from",
            "2026-11-19 09:15",
            "--to",
            &to,
            "--json",
        ]));
        // an index's packets tell all of its day so far, those of a share without its auction do not
        let made_of = if name == "NSE:INFY" { "both" } else { "ticks" };
        assert_eq!(source(&hours[0]), made_of, "{name}: {hours:?}");
        assert_eq!(hours[0]["complete"], false, "under way");
    }
    // somebody changes a candle
    parts.sql(
        "INSERT INTO candles SELECT * REPLACE (high + 1 AS high, now64(3) + INTERVAL 1 YEAR AS processed_at) FROM candles FINAL \
         WHERE instrument_token = 408065 ORDER BY timestamp DESC LIMIT 1 OFFSET 2",
    );
    let words = [
        "bars",
        "INFY",
        "--from",
        "2026-11-19 10:00",
        "--reconcile",
        "--clock",
        &clock,
        "--data-dir",
        "data",
    ];
    let told = run(&words, parts.here());
    assert_eq!(told.status.code(), Some(3), "{}", stderr(&told));
    assert!(String::from_utf8_lossy(&told.stdout).contains("unexplained"), "{told:?}");
    let ticks = rows(&at(&["bars", "INFY", "--ticks", "20", "--date", "2026-11-19", "--json"]));
    assert!(ticks.len() > 2 && ticks[0]["tick_count"] == 20, "{ticks:?}");
    let table = at(&["bars", "INFY", "--interval", "5m", "--date", "2026-11-19"]);
    assert!(table.contains("GAP_SECONDS") && table.contains("regular"), "{table}");
}
