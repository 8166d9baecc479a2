//! Option chains of what a demo recorded.

use super::{run, stderr, succeed};
use serde_json::Value;
use std::path::Path;

fn chain(arguments: &[&str], here: &Path) -> std::process::Output {
    run(&[&["chain"], arguments, &["--data-dir", "data"]].concat(), here)
}

/// On the data of a demo that has ended.
pub(crate) fn of_what_was_recorded(here: &Path) {
    let service = |arguments: &[&str]| {
        succeed(&run(&[&["clickhouse"], arguments, &["--data-dir", "data"]].concat(), here))
    };
    service(&["start", "--http-port", "0", "--tcp-port", "0"]);
    // whatever fails, the engine ends
    let outcome = std::panic::catch_unwind(|| ask(here));
    service(&["stop"]);
    outcome.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
}

fn ask(here: &Path) {
    let sql = |query: &str| succeed(&run(&["sql", query, "--data-dir", "data"], here)).trim_end().to_owned();
    let at = sql(
        "SELECT toString(max(timestamp)) FROM tick_data WHERE session = (SELECT min(session) FROM tick_data)",
    );
    let text = succeed(&chain(&["nifty 50", "--at", &at, "--json"], here));
    let found: Value = serde_json::from_str(&text).unwrap();
    let (spot, forward) = (found["spot"]["last_price"].as_f64().unwrap(), &found["forward"]);
    assert_eq!((&found["underlying"], &found["exchange"]), (&Value::from("NIFTY"), &Value::from("NFO")));
    assert_eq!(forward["source"], "parity", "{text}");
    assert!((forward["price"].as_f64().unwrap() / spot - 1.0).abs() < 0.01, "{text}");
    let strikes = found["strikes"].as_array().unwrap();
    let mut legs = 0;
    for leg in
        strikes.iter().flat_map(|strike| [&strike["call"], &strike["put"]]).filter(|leg| !leg.is_null())
    {
        let last = sql(&format!(
            "SELECT toFloat64(argMax(last_price, (timestamp, sequence, packet_index))), max(open_interest) > 0 FROM tick_data \
             WHERE instrument_token = {} AND timestamp <= '{at}'",
            leg["instrument_token"]
        ));
        let (price, has_interest) = last.split_once('\t').unwrap();
        let off = leg["last_price"].as_f64().unwrap_or(0.0) - price.parse::<f64>().unwrap();
        assert!(off.abs() < 1e-9, "{price}: {leg}");
        assert_eq!(leg["open_interest"].as_u64().is_some_and(|open| open > 0), has_interest == "1", "{leg}");
        if let Some(volatility) = leg["implied_volatility"].as_f64() {
            assert!((0.02..1.0).contains(&volatility) && leg["delta"].is_number(), "{leg}");
            legs += 1;
        }
    }
    assert!(legs >= 4, "{text}");
    shown(&found, &at, strikes.len(), here);
    refused(&at, here);
}

/// The same as a table and as rows.
fn shown(found: &Value, at: &str, strikes: usize, here: &Path) {
    let table = succeed(&chain(&["NIFTY", "--at", at, "--strikes", "1"], here));
    let money = found["at_the_money"].as_f64().unwrap();
    for part in [
        "as of 20",
        "put-call parity",
        &format!("> {money} <"),
        "PCR",
        "max pain",
        "straddle",
        &format!("3 of {strikes} strikes shown"),
        "no OI CHG",
    ] {
        assert!(table.contains(part), "{part}: {table}");
    }
    succeed(&chain(&["NIFTY", "--at", at, "--output", "chain.csv"], here));
    let rows = std::fs::read_to_string(here.join("chain.csv")).unwrap();
    assert_eq!(rows.lines().count() as u64, 1 + found["legs"].as_u64().unwrap(), "{rows}");
    succeed(&chain(&["NIFTY", "--at", at, "--output", "chain.parquet"], here));
    assert!(std::fs::read(here.join("chain.parquet")).unwrap().starts_with(b"PAR1"));
}

/// What can't be shown, and what there is instead.
fn refused(at: &str, here: &Path) {
    for (arguments, part) in [
        (&["NIFTYY", "--at", at][..], "did you mean NIFTY?"),
        (&["NIFTY", "--at", at, "--expiry", "2020-01-01"], "has no such expiry on"),
        (&["NIFTY", "--at", at, "--expiry", "soon"], "write current, next"),
        (&["NIFTY", "--at", "noon"], "is not a time"),
    ] {
        let output = chain(arguments, here);
        assert!(!output.status.success() && stderr(&output).contains(part), "{part}: {}", stderr(&output));
    }
    let day = &at[..10];
    let output = chain(&["NIFTY", "--at", &format!("{day} 00:00:00")], here);
    let words = stderr(&output);
    assert!(!output.status.success() && words.contains("the first of that day came at"), "{words}");
}
