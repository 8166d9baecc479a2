//! `import ohlc` and `backfill` killed on the way, as processes: run again, they go on.

use super::parts::Parts;
use super::{last_json, run, stderr, tickhouse};
use serde_json::Value;
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};

/// A process that is killed when the test ends, if not before.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// Starts the program, and kills it once `so` says so; it must not have ended by itself.
fn kill_when(parts: &Parts, arguments: &[&str], mut so: impl FnMut() -> bool) {
    let words = [arguments, &["--data-dir", "data"]].concat();
    let mut child = tickhouse(&words)
        .current_dir(parts.here())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map(Running)
        .unwrap();
    parts.until("the moment to kill it", || {
        let ended = child.0.try_wait().unwrap();
        assert!(ended.is_none(), "it ended before it was killed: {ended:?}");
        so().then_some(())
    });
}

fn again(parts: &Parts, arguments: &[&str]) -> Value {
    let output = run(&[arguments, &["--json", "--data-dir", "data"]].concat(), parts.here());
    assert!(output.status.success(), "{}", stderr(&output));
    last_json(&output)
}

const DAYS: usize = 30;
const INSTRUMENTS: usize = 12;

/// Minutes of whole days, of instruments 1, 2, …; the price of each candle is another one.
fn file(here: &Path) -> usize {
    let (mut text, mut candles) = ("{".to_owned(), 0);
    for token in 1..=INSTRUMENTS {
        write!(text, "{}\"{token}\": [", if token > 1 { "," } else { "" }).unwrap();
        for day in 0..DAYS {
            let (month, day_of_month) = (1 + day / 28, 1 + day % 28);
            for minute in 0..375 {
                candles += 1;
                let (hour, minute) = (9 + (15 + minute) / 60, (15 + minute) % 60);
                let comma = if text.ends_with('[') { "" } else { "," };
                let price = format!("{}.{:02}", candles / 100, candles % 100);
                let at = format!("2026-{month:02}-{day_of_month:02}T{hour:02}:{minute:02}:00+0530");
                write!(text, "{comma}[\"{at}\",{price},{price},{price},{price},1]").unwrap();
            }
        }
        text.push(']');
    }
    text.push('}');
    std::fs::write(here.join("candles.json"), text).unwrap();
    candles
}

#[test]
fn an_import_of_candles_goes_on_after_kills() {
    let parts = Parts::start();
    let candles = file(parts.here());
    parts.sql(&format!(
        "INSERT INTO token_metadata (instrument_token, symbol, tradingsymbol, exchange, segment, instrument_type) SELECT number + 1, \
         'S' || toString(number + 1), 'S' || toString(number + 1), 'NSE', 'NSE', 'EQ' FROM numbers({INSTRUMENTS})"
    ));
    let import = ["import", "ohlc", "--file", "candles.json", "--interval", "minute", "--batch", "1000"];
    let count = |table: &str| parts.sql(&format!("SELECT count() FROM {table}")).parse::<usize>().unwrap();
    kill_when(&parts, &import, || count("candles") > candles / 10);
    let first = count("candles");
    kill_when(&parts, &import, || count("tick_data") > candles / 10);
    let (second, ticks) = (count("candles"), count("tick_data"));
    assert!(first < candles && ticks < candles, "killed too late: {first} and {ticks} of {candles}");
    let report = again(&parts, &import);
    let sums = |table: &str, price: &str| {
        format!("SELECT count(), uniqExact({price}), sum(toUInt64(round({price} * 100))) FROM {table}")
    };
    let wanted = format!("{candles}\t{candles}\t{}", candles * (candles + 1) / 2);
    assert_eq!(parts.sql(&sums("candles FINAL", "close")), wanted, "{report}");
    assert_eq!(parts.sql(&sums("tick_data", "last_price")), wanted, "{report}");
    assert_eq!(second, candles, "the second run had stored all candles before it wrote ticks");
    assert_eq!(report["written"], 0, "{report}");
}

#[test]
fn a_backfill_goes_on_after_a_kill_and_asks_nothing_twice() {
    let parts = Parts::start();
    let words = ["sim", "--listen", "127.0.0.1:0", "--instruments", "300", "--rate", "1", "--rate-limits"];
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
    parts.succeed(&["instruments", "sync", "--api-url", &url]);
    let tokens = parts.sql("SELECT arrayStringConcat(groupArray(toString(instrument_token)), ',') FROM (SELECT instrument_token FROM token_metadata FINAL WHERE exchange = 'NSE' ORDER BY instrument_token LIMIT 8)");
    let monday = parts.sql("SELECT toMonday(today()) - 14");
    let friday = parts.sql("SELECT toMonday(today()) - 10");
    let words =
        ["backfill", "--universe", &tokens, "--interval", "minute", "--from", &monday, "--to", &friday];
    let backfill = [&words[..], &["--api-url", &url]].concat();
    let asked = || {
        let status = std::fs::read(parts.here().join("exchange/run/sim.json")).unwrap();
        let port = serde_json::from_slice::<Value>(&status).unwrap()["port"].clone();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let text = async { client.get(format!("http://127.0.0.1:{port}/status")).send().await?.text().await };
        let status: Value = serde_json::from_str(&runtime.block_on(text).unwrap()).unwrap();
        status["counters"]["rest_requests"].as_u64().unwrap_or_else(|| panic!("{status}"))
    };
    let before = asked();
    let stored = || parts.sql("SELECT uniqExact(instrument_token) FROM candles").parse::<u64>().unwrap();
    kill_when(&parts, &backfill, || stored() >= 3);
    let killed_at = stored();
    assert!(killed_at < 8, "killed too late");
    let report = again(&parts, &backfill);
    let requests = asked() - before;
    assert!(
        (8..=9).contains(&requests),
        "{requests} requests for 8 instruments, one may have been under way: {report}"
    );
    assert_eq!(
        parts.sql("SELECT count(), uniqExact(instrument_token, timestamp), uniqExact(instrument_token) FROM candles FINAL"),
        format!("{0}\t{0}\t8", 8 * 5 * 375)
    );
    assert_eq!(again(&parts, &backfill)["requests"], 0);
    assert_eq!(asked() - before, requests);
}
