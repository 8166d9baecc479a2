//! Rules that follow the price: `record` against a simulated exchange whose index moves, and `universe` beside it.

use super::{run, stderr, succeed, tickhouse};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};
use tickhouse_journal::JournalReader;
use tickhouse_model::{RECORD_HEADER_LEN, RecordKind, Timestamp};
use tickhouse_telemetry::Clock;

const RULES: &str = r#"
[[universe]]
name = "near"
options = ["NIFTY"]
strikes = 1
expiries = 2
priority = 10

[[universe]]
name = "shares"
subscribe = ["NSE:*@quote"]
"#;

/// A process that is killed when the test ends.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// A fast exchange: its NIFTY walks over a strike within seconds. With its `host:port`.
fn exchange(folder: &Path) -> (Running, String) {
    exchange_of(folder, "600", "127.0.0.1:0")
}

/// An exchange with so many instruments at an address.
fn exchange_of(folder: &Path, instruments: &str, address: &str) -> (Running, String) {
    let mut child = tickhouse(&[
        "sim",
        "--listen",
        address,
        "--instruments",
        instruments,
        "--rate",
        "60000",
        "--seed",
        "7",
        "--data-dir",
        "sim",
    ])
    .current_dir(folder)
    .stdout(Stdio::piped())
    .stderr(Stdio::null())
    .spawn()
    .expect("the program runs");
    let mut line = String::new();
    let mut out = BufReader::new(child.stdout.take().expect("piped"));
    out.read_line(&mut line).expect("a line of text");
    let address = line.rsplit("http://").next().expect("an address").trim().to_owned();
    (Running(child), address)
}

/// Token to mode by socket, as the recorder says.
type Sockets = BTreeMap<u16, BTreeMap<u32, String>>;

fn subscribed(folder: &Path) -> Option<Sockets> {
    let text = std::fs::read(folder.join("data/run/universe.json")).ok()?;
    let file: Value = serde_json::from_slice(&text).expect("written at once");
    Some(serde_json::from_value(file["sockets"].clone()).expect("sockets"))
}

fn wait_for<T>(what: &str, folder: &Path, wanted: impl Fn() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = wanted() {
            return found;
        }
        let log = std::fs::read_to_string(folder.join("record.log")).unwrap_or_default();
        assert!(started.elapsed() < Duration::from_secs(100), "no {what}:\n{log}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The messages that a socket sent, in order, as its journal has them.
fn messages(folder: &Path, socket: u16) -> Vec<Value> {
    let mut reader =
        JournalReader::open(&folder.join("data/journal"), "main", socket, None).expect("a journal");
    let (mut entries, mut found) = (Vec::new(), Vec::new());
    while reader.next_batch(1 << 20, &mut entries).expect("readable") > 0 {
        for entry in entries.drain(..).filter(|entry| entry.kind == RecordKind::Subscription) {
            found.push(serde_json::from_slice(&entry.bytes[RECORD_HEADER_LEN..]).expect("a request is JSON"));
        }
    }
    found
}

/// What an exchange has subscribed after these messages, and how often each token was named.
fn replay(messages: &[Value]) -> (BTreeMap<u32, String>, BTreeMap<u32, usize>) {
    let (mut state, mut named) = (BTreeMap::new(), BTreeMap::new());
    for message in messages {
        let (mode, tokens) = match message["a"].as_str().expect("an action") {
            "mode" => (message["v"][0].as_str().map(str::to_owned), &message["v"][1]),
            "subscribe" => (Some("quote".to_owned()), &message["v"]),
            _ => (None, &message["v"]),
        };
        for token in
            tokens.as_array().expect("tokens").iter().map(|token| token.as_u64().expect("a number") as u32)
        {
            *named.entry(token).or_insert(0) += 1;
            match &mode {
                Some(mode) => state.insert(token, mode.clone()),
                None => state.remove(&token),
            };
        }
    }
    (state, named)
}

#[test]
fn strikes_follow_the_price_and_nothing_else_is_touched() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    std::fs::write(here.join("tickhouse.toml"), RULES).unwrap();
    let (_exchange, address) = exchange(here);
    let (api, socket_url) = (format!("http://{address}"), format!("ws://{address}"));
    succeed(&run(&["universe", "check", "--api-url", &api], here));
    let shown = run(&["universe", "show", "--json", "--api-url", &api], here);
    let shown: Value = serde_json::from_str(&succeed(&shown)).unwrap();
    assert_eq!(shown["rules"][0]["at_the_money"][0]["underlying"], "NIFTY", "{shown}");

    // small sockets, so that there are several; no Redis: the journal has everything
    let log = std::fs::File::create(here.join("record.log")).unwrap();
    let recorder = tickhouse(&[
        "record",
        "--url",
        &socket_url,
        "--redis-url",
        "redis://127.0.0.1:1",
        "--data-dir",
        "data",
    ])
    .env("TICKHOUSE_KITE_TOKENS_PER_SOCKET", "60")
    .current_dir(here)
    .stderr(log)
    .spawn()
    .unwrap();
    let recorder = Running(recorder);
    let before = wait_for("subscriptions", here, || subscribed(here));
    assert!(before.len() >= 2, "{before:?}");
    let all = |sockets: &Sockets| -> BTreeMap<u32, (u16, String)> {
        let of = |(socket, carried): (&u16, &BTreeMap<u32, String>)| {
            let socket = *socket;
            carried.iter().map(move |(token, mode)| (*token, (socket, mode.clone()))).collect::<Vec<_>>()
        };
        sockets.iter().flat_map(of).collect()
    };
    let old = all(&before);
    let (after, new) = wait_for("new strike", here, || {
        let after = subscribed(here)?;
        let now = all(&after);
        now.keys().any(|token| !old.contains_key(token)).then_some((after, now))
    });
    let stayed: Vec<u32> = old.keys().filter(|token| new.contains_key(token)).copied().collect();
    assert!(stayed.len() > 100, "{} stayed", stayed.len());
    for token in &stayed {
        assert_eq!(old[token], new[token], "{token} is on its socket, in its mode");
    }
    // what the sockets really sent: the state that the recorder claims, and nothing about those that stayed but once
    for (socket, carried) in &after {
        let sent = wait_for("message of the change", here, || {
            let sent = messages(here, *socket);
            // the money may have moved on since
            let claimed = subscribed(here).is_some_and(|now| now[socket] == replay(&sent).0);
            claimed.then_some(sent)
        });
        let (_, named) = replay(&sent);
        for token in stayed.iter().filter(|token| carried.contains_key(token)) {
            let first = if old[token].1 == "quote" { 1 } else { 2 };
            let is_option = old[token].1 == "full";
            assert!(named[token] == first || is_option, "{token} was named {} times", named[token]);
        }
    }
    let diff = run(&["universe", "diff", "--json", "--api-url", &api, "--data-dir", "data"], here);
    let diff: Value = serde_json::from_str(&succeed(&diff)).unwrap();
    assert_eq!(diff["recorder_runs"], true, "{diff}");
    let status = run(&["status", "--json", "--data-dir", "data"], here);
    let status: Value = serde_json::from_str(&succeed(&status)).unwrap();
    assert!(status["record"]["universe"]["changes"].as_u64().unwrap() >= 1, "{status}");
    drop(recorder);
    let diff = run(&["universe", "diff", "--json", "--api-url", &api, "--data-dir", "data"], here);
    assert_eq!(serde_json::from_str::<Value>(&succeed(&diff)).unwrap()["recorder_runs"], false);
}

#[test]
fn what_does_not_fit_is_refused_rule_by_rule() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let (_exchange, address) = exchange(here);
    let (api, socket_url) = (format!("http://{address}"), format!("ws://{address}"));
    let settings = "[kite]\ntokens_per_socket = 10\non_excess = \"refuse\"\n";
    std::fs::write(here.join("tickhouse.toml"), format!("{settings}{RULES}")).unwrap();
    let check = run(&["universe", "check", "--api-url", &api], here);
    assert_eq!(check.status.code(), Some(1));
    assert!(stderr(&check).contains("too many: a recorder would not start"), "{}", stderr(&check));
    let record = run(
        &["record", "--url", &socket_url, "--redis-url", "redis://127.0.0.1:1", "--data-dir", "data"],
        here,
    );
    assert_eq!(record.status.code(), Some(1));
    for part in ["30 fit", "too many", "priority  rule", "      10  near", "drop_lowest"] {
        assert!(stderr(&record).contains(part), "{part} is not in\n{}", stderr(&record));
    }
    std::fs::write(here.join("tickhouse.toml"), "[[universe]]\nname = \"x\"\npattern = \"(\"\n").unwrap();
    let check = run(&["universe", "check", "--api-url", &api], here);
    assert_eq!(check.status.code(), Some(1));
    assert!(stderr(&check).contains("x: `(` is no pattern"), "{}", stderr(&check));
}

/// A new day's master has more shares than the open sockets carry: one more is opened, and nothing else is touched.
#[test]
fn a_larger_day_opens_sockets() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let rules =
        "[kite]\ntokens_per_socket = 40\n\n[[universe]]\nname = \"shares\"\nsubscribe = [\"NSE:*@quote\"]\n";
    std::fs::write(here.join("tickhouse.toml"), rules).unwrap();
    let (small, address) = exchange_of(here, "60", "127.0.0.1:0");
    let clock = Clock::simulated(Timestamp::from_text("2026-11-19 09:00").unwrap(), 7_200.0);
    // two hours a second
    let log = std::fs::File::create(here.join("record.log")).unwrap();
    let socket_url = format!("ws://{address}");
    let words = ["record", "--url", &socket_url, "--redis-url", "redis://127.0.0.1:1", "--data-dir", "data"];
    let recorder = tickhouse(&words)
        .env("TICKHOUSE_CLOCK", clock.to_string())
        .current_dir(here)
        .stderr(log)
        .spawn()
        .map(Running)
        .unwrap();
    let before = wait_for("subscriptions", here, || subscribed(here));
    let count = |sockets: &Sockets| sockets.values().map(BTreeMap::len).sum::<usize>();
    assert!(before.len() < 3 && count(&before) < 100, "{before:?}");
    drop(small);
    let (_large, _) = exchange_of(here, "2000", &address);
    let after = wait_for("more sockets", here, || subscribed(here).filter(|now| now.len() == 3));
    assert_eq!(count(&after), 120, "as much as a key carries");
    for (socket, carried) in &before {
        assert!(
            carried.iter().all(|(token, mode)| after[socket].get(token) == Some(mode)),
            "{socket} was touched"
        );
    }
    let new = *after.keys().find(|socket| !before.contains_key(socket)).unwrap();
    wait_for("subscriptions on the new socket", here, || {
        (replay(&messages(here, new)).0 == after[&new]).then_some(())
    });
    wait_for("frames on the new socket", here, || {
        let status = run(&["status", "--json", "--data-dir", "data"], here);
        let status: Value = serde_json::from_str(&succeed(&status)).unwrap();
        let sockets = status["record"]["journal"]["sockets"].as_array().unwrap().clone();
        sockets.iter().find(|one| one["socket"] == new)?["records"].as_u64().filter(|records| *records > 10)
    });
    drop(recorder);
}
