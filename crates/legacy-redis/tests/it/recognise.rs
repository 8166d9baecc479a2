//! Values of every shape, and what they are.

use crate::market::instruments;
use proptest::prelude::*;
use std::collections::BTreeMap;
use tickhouse_legacy_redis::{Names, Recogniser, Rules};

type Found = Vec<Result<BTreeMap<String, String>, String>>;

fn find(rules: &Rules, key: &str, text: &str) -> Found {
    let names = Names::new(&instruments());
    let recogniser = Recogniser::new(rules, &names);
    let mut found = Found::new();
    match recogniser.context_of(key) {
        Ok(context) => recogniser.text(text.as_bytes(), &context, &mut |one| {
            found.push(one.map(|record| {
                record.fields.chunks(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect()
            }));
        }),
        Err(reason) => found.push(Err(reason)),
    }
    found
}

fn one(key: &str, text: &str) -> BTreeMap<String, String> {
    let found = find(&Rules::default(), key, text);
    assert_eq!(found.len(), 1, "{text}: {found:?}");
    found[0].clone().unwrap_or_else(|reason| panic!("{text}: {reason}"))
}

fn why(key: &str, text: &str) -> String {
    find(&Rules::default(), key, text)[0].clone().expect_err(text)
}

#[test]
fn the_key_tells_what_the_record_does_not() {
    let tick = r#"{"ltp": 1.5, "ts": 1770003000}"#;
    for key in ["tick:408065", "ltp:NSE:INFY", "INFY", "ticks_INFY", "NSE:INFY", "live/NSE/INFY"] {
        assert_eq!(one(key, tick)["instrument_token"], "408065", "{key}");
    }
    // a record's own word counts more than its key
    assert_eq!(
        one("tick:INFY", r#"{"symbol": "RELIANCE", "ltp": 1, "ts": 1770003000}"#)["instrument_token"],
        "738561"
    );
    assert_eq!(
        one("x", r#"{"NSE:INFY": {"last_price": 3, "timestamp": "2026-02-02 09:15:00"}}"#)["instrument_token"],
        "408065"
    );
    assert_eq!(
        one("x", r#"{"256265": {"last_price": 3, "timestamp": "2026-02-02 09:15:00"}}"#)["instrument_token"],
        "256265"
    );
}

#[test]
fn a_record_is_never_given_to_another_instrument() {
    let unknown = "its symbol is not among the instruments";
    assert_eq!(why("tick:INFY", r#"{"symbol": "NOSUCH", "ltp": 1, "ts": 1770003000}"#), unknown);
    assert_eq!(why("watchlist:INFY", r#"{"NEWIPO": {"ltp": 1, "ts": 1770003000}}"#), unknown);
    assert_eq!(
        one("watchlist:INFY", r#"{"RELIANCE": {"ltp": 1, "ts": 1770003000}}"#)["instrument_token"],
        "738561"
    );
    assert_eq!(
        one("watchlist:INFY", r#"{"latest": {"ltp": 1, "ts": 1770003000}}"#)["instrument_token"],
        "408065"
    );
    // a token that no master knows any more is kept: it is stored raw
    assert_eq!(one("all", r#"{"12345602": {"ltp": 1, "ts": 1770003000}}"#)["instrument_token"], "12345602");
}

#[test]
fn candles_become_entries_that_name_their_interval() {
    let candle = r#"{"date": "2026-02-02T09:15:00+0530", "open": 1, "high": 3, "low": 0.5, "close": 2, "volume": 10, "oi": 4}"#;
    let found = one("ohlc:INFY:day", candle);
    let fields = ["packet_type", "last_price", "open_price", "close_price", "open_interest", "timestamp"];
    assert_eq!(fields.map(|field| found[field].as_str()), ["day", "2", "1", "2", "4", "1770003900000000000"]);
    assert_eq!(one("ohlc:INFY:5m", candle)["packet_type"], "5minute");
    assert_eq!(one("ohlc:INFY", candle)["packet_type"], "candle");
    let own =
        r#"{"symbol": "INFY", "interval": "1h", "candles": [["2026-02-02 09:15:00", 1, 3, 0.5, 2, 10]]}"#;
    assert_eq!(one("x", own)["packet_type"], "60minute");
}

#[test]
fn what_is_no_record_says_why() {
    assert_eq!(why("INFY", "hello"), "no JSON");
    assert_eq!(why("INFY", "{}"), "neither tick nor candle");
    assert_eq!(why("INFY", "[]"), "empty");
    assert_eq!(why("INFY", r#"{"ltp": 1}"#), "no time");
    assert_eq!(why("x", r#"{"ltp": 1, "ts": 1770003000}"#), "names no instrument");
    assert_eq!(
        why("x", r#"{"symbol": "NOSUCH", "ltp": 1, "ts": 1770003000}"#),
        "its symbol is not among the instruments"
    );
    assert_eq!(why("INFY", r#"{"ltp": "dear", "ts": 1770003000}"#), "bad value of last_price");
    assert_eq!(why("INFY", r#"{"ltp": 1, "ts": "09:15"}"#), "bad value of timestamp");
    let deep = format!("{}{}", "[".repeat(50), "]".repeat(50));
    assert_eq!(why("INFY", &deep), "nested too deeply");
}

#[test]
fn a_file_of_rules_comes_before_the_built_in_ones() {
    let text = "[fields]\nlast_price = [\"px\"]\n[[keys]]\npattern = \"md:{*}:{symbol}:{interval}\"\n[[keys]]\npattern = \"session:{*}\"\nskip = true";
    let rules = Rules::default().with_toml("rules.toml", text).unwrap();
    let found = find(&rules, "md:7:INFY:15m", r#"{"px": 2, "last": 9, "ts": 1770003000}"#);
    assert_eq!(found[0].as_ref().unwrap()["last_price"], "2");
    assert_eq!(find(&rules, "session:1", "{}"), [Err("left out by a rule".to_owned())]);
    for (wrong, said) in
        [("[fields]\nnope = [\"x\"]", "nope"), ("[[keys]]\npattern = \"{what}\"", "{what}"), ("x = 1", "x")]
    {
        let error = Rules::default().with_toml("rules.toml", wrong).unwrap_err().to_string();
        assert!(error.starts_with("rules.toml") && error.contains(said), "{error}");
    }
}

proptest! {
    #[test]
    fn any_text_is_records_or_reasons(key in any::<String>(), text in any::<String>(), price in any::<f64>(), at in any::<i64>()) {
        find(&Rules::default(), &key, &text);
        let tick = format!("[{{\"ltp\": {price:?}, \"ts\": {at}, \"token\": \"{}\", \"depth\": \"{{\"}}]", key.len());
        find(&Rules::default(), &key, &tick);
    }
}
