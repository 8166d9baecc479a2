//! The daily life of an account, against an exchange on localhost: log in, sync the instruments, resolve the universe, record,
//! backfill, look at bars.

use super::parts::Parts;
use super::{run, succeed, tickhouse};
use serde_json::Value;
use std::io::{BufRead as _, BufReader, Read};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Stdio};

const ACCOUNT: &str = "api_key = \"key-of-a-test\"\napi_secret = \"secret-of-a-test\"\n";

/// An exchange that accepts one account only.
struct Exchange {
    child: Child,
    address: String,
}

impl Exchange {
    fn open(here: &Path) -> Self {
        std::fs::write(here.join("account.toml"), ACCOUNT).unwrap();
        let words = ["sim", "--listen", "127.0.0.1:0", "--instruments", "3000", "--rate", "3000"];
        let more = ["--credentials", "account.toml", "--data-dir", "exchange"];
        let mut child = tickhouse(&[&words[..], &more].concat())
            .current_dir(here)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let line = first_line(child.stdout.take().unwrap(), |_| true);
        let address = line.rsplit("http://").next().unwrap().trim().to_owned();
        Self { child, address }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn first_line(from: impl Read, wanted: impl Fn(&str) -> bool) -> String {
    let mut lines = BufReader::new(from).lines().map(Result::unwrap);
    lines.find(|line| wanted(line)).expect("the line is printed")
}

fn configure(here: &Path, exchange: &Exchange) {
    let address = &exchange.address;
    let text = format!(
        r#"
[kite]
endpoint = "ws://{address}"
api_url = "http://{address}"
api_keys = ["key-of-a-test"]
api_secret_files = ["secret"]
access_token_files = ["token"]
redirect_url = "http://127.0.0.1:0/"

[instruments]
calendar = "always_open"

[[universe]]
name = "indices"
subscribe = ["NSE:NIFTY 50", "NSE:NIFTY BANK"]
priority = 1

[[universe]]
name = "options"
options = ["NIFTY"]
strikes = 3
expiries = 1
priority = 2
"#
    );
    std::fs::write(here.join("tickhouse.toml"), text).unwrap();
    std::fs::write(here.join("secret"), "secret-of-a-test\n").unwrap();
}

/// Logs in as a person does: `login` prints an address, a browser opens it and is sent back.
fn log_in(parts: &Parts) {
    let mut login = tickhouse(&["login", "--no-browser", "--json", "--data-dir", "data"])
        .current_dir(parts.here())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let page = first_line(login.stderr.take().unwrap(), |line| line.trim().starts_with("http://"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let browser = reqwest::Client::builder().no_proxy().build().unwrap();
    let answer = runtime.block_on(browser.get(page.trim()).send()).unwrap();
    assert!(answer.status().is_success(), "{answer:?}");
    let output = login.wait_with_output().unwrap();
    let told: Value = serde_json::from_str(&succeed(&output)).unwrap();
    assert_eq!(told["user_id"], "SIM001");
    assert!(told["lives_until"].as_str().unwrap().contains("06:00"), "{told}");
}

fn json(parts: &Parts, arguments: &[&str]) -> Value {
    let text = parts.succeed(&[arguments, &["--json"]].concat());
    serde_json::from_str(text.lines().last().unwrap_or_default())
        .unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// The exchange ends the token, as it does at 06:00: the recorder says so, and goes on once somebody has logged in.
#[test]
fn a_recorder_goes_on_with_a_new_token() {
    let mut parts = Parts::start();
    let exchange = Exchange::open(parts.here());
    configure(parts.here(), &exchange);
    log_in(&parts);
    parts.spawn("record", &[]);
    let pid = parts.children["record"].id();
    let status = |parts: &Parts| {
        let text = parts.succeed(&["status", "--json"]);
        let status: Value = serde_json::from_str(&text).unwrap();
        let records = status["record"]["journal"]["sockets"][0]["records"].as_u64();
        let frames = status["record"]["sockets"][0]["source"]["frames"].as_u64();
        (status["record"].clone(), records.or(frames).unwrap_or_default())
    };
    parts.until("frames", || (status(&parts).1 > 20).then_some(()));
    assert_eq!(status(&parts).0["keys"][0]["token"], "valid");
    let token = std::fs::read_to_string(parts.here().join("token")).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let page = format!(
        "http://{}/session/token?api_key=key-of-a-test&access_token={}",
        exchange.address,
        token.trim()
    );
    let ended = client.delete(page).header("X-Kite-Version", "3").send();
    assert!(runtime.block_on(ended).unwrap().status().is_success());
    parts.until("the recorder says that the token is refused", || {
        (status(&parts).0["keys"][0]["token"] == "refused").then_some(())
    });
    let log = std::fs::read_to_string(parts.here().join("record")).unwrap();
    assert!(log.contains("log in again"), "{log}");
    let before = status(&parts).1;
    log_in(&parts);
    parts.until("frames with the new token", || (status(&parts).1 > before + 20).then_some(()));
    let (record, _) = status(&parts);
    assert_eq!(
        (record["keys"][0]["token"].as_str(), record["pid"].as_u64()),
        (Some("valid"), Some(pid.into()))
    );
    assert!(parts.children.get_mut("record").unwrap().try_wait().unwrap().is_none(), "the same process");
}

#[test]
fn from_login_to_bars() {
    let mut parts = Parts::start();
    let exchange = Exchange::open(parts.here());
    configure(parts.here(), &exchange);
    let check = run(&["login", "--check", "--data-dir", "data"], parts.here());
    assert_eq!(check.status.code(), Some(3), "nobody has logged in: {check:?}");
    log_in(&parts);
    let mode = std::fs::metadata(parts.here().join("token")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(json(&parts, &["login", "--check"])["valid"], true);

    json(&parts, &["instruments", "sync"]);
    assert_eq!(parts.sql("SELECT count() FROM token_metadata FINAL"), "3000");
    parts.succeed(&["universe", "check"]);
    let universe = json(&parts, &["universe", "show"]);
    let wanted = universe["instruments"].as_array().unwrap().len();
    assert_eq!(
        wanted,
        2 + 2 * 7,
        "two indices; calls and puts at the money and three strikes around: {universe:#}"
    );

    parts.spawn("load", &[]);
    parts.spawn("record", &[]);
    let seen = "SELECT uniqExact(instrument_token) FROM tick_data WHERE data_quality = 'enriched'";
    parts.until("ticks of the whole universe", || (parts.sql(seen) == wanted.to_string()).then_some(()));
    assert_eq!(parts.sql("SELECT count() FROM tick_data WHERE data_quality = 'raw'"), "0");
    let minute =
        "SELECT count() FROM tick_data_1min WHERE high >= low AND low > 0 AND instrument_token = 256265";
    // a batch's views are written after its ticks
    parts.until("a bar of NIFTY 50", || (parts.sql(minute) != "0").then_some(()));

    let today = parts.sql("SELECT today()");
    let monday = parts.sql("SELECT toMonday(today()) - 7");
    let backfill = [
        "backfill",
        "--universe",
        "NSE:NIFTY 50",
        "--interval",
        "60minute",
        "--from",
        &monday,
        "--to",
        &today,
    ];
    let rules = json(&parts, &["backfill", "--interval", "60minute", "--from", &monday, "--dry-run"]);
    assert_eq!(rules["instruments"], wanted, "without a list, what the rules mean: {rules}");
    json(&parts, &backfill);
    let candles =
        parts.sql("SELECT count(), countIf(high >= low AND open > 0), any(symbol) FROM candles FINAL");
    let [count, sound, symbol] = candles.split('\t').collect::<Vec<_>>().try_into().unwrap();
    assert!(count.parse::<u32>().unwrap() >= 5 * 6 && count == sound && symbol == "NIFTY", "{candles}");
    json(&parts, &backfill);
    assert_eq!(parts.sql("SELECT count() FROM candles"), count, "answered before, not asked again");
}
