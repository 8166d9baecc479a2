//! Messages to a client, written into one buffer that is used again.
//!
//! What enters: states and ticks. What leaves: JSON as docs/web-api.md has it. What never happens here: a number that JSON does not
//! know: what is not finite is null.

use serde::Serialize;
use std::io::Write as _;
use tickhouse_live::{Depth, Level, LiveTick, Look, Quote};
use tickhouse_model::Timestamp;

/// What a row of quotes holds, in order.
const FIELDS: &str = r#"["instrument_token","timestamp","last_price","close_price","volume","open_interest","bid","ask","open","high","low"]"#;

/// A number as JSON.
fn number(out: &mut Vec<u8>, value: f64) {
    // into memory: that can't fail
    serde_json::to_writer(out, &value).expect("a number is JSON");
}

macro_rules! text {
    ($out:expr, $($what:tt)*) => {
        write!($out, $($what)*).expect("memory takes everything")
    };
}

/// The first message.
pub(super) fn hello(now: Timestamp) -> String {
    let (year, month, day) = now.ist().date();
    format!(
        r#"{{"type":"hello","protocol":{},"version":"{}","now":{},"today":"{year:04}-{month:02}-{day:02}"}}"#,
        super::PROTOCOL,
        env!("CARGO_PKG_VERSION"),
        now.as_millis(),
    )
}

/// States that changed.
pub(super) fn quotes(quotes: &[Quote], with_fields: bool, out: &mut Vec<u8>) {
    out.clear();
    out.extend_from_slice(br#"{"type":"quotes","#);
    if with_fields {
        text!(out, r#""fields":{FIELDS},"#);
    }
    out.extend_from_slice(br#""rows":["#);
    for (at, quote) in quotes.iter().enumerate() {
        text!(
            out,
            "{}[{},{}",
            if at == 0 { "" } else { "," },
            quote.instrument_token,
            quote.timestamp.as_millis()
        );
        for price in [quote.last_price, quote.close_price] {
            out.push(b',');
            number(out, price);
        }
        text!(out, ",{},{}", quote.volume, quote.open_interest);
        for price in [quote.bid, quote.ask, quote.open, quote.high, quote.low] {
            out.push(b',');
            number(out, price);
        }
        out.push(b']');
    }
    out.extend_from_slice(b"]}");
}

/// Ticks of the focused instrument.
pub(super) fn ticks(token: u32, look: &Look, out: &mut Vec<u8>) {
    out.clear();
    text!(out, r#"{{"type":"ticks","instrument":{token},"skipped":{},"ticks":["#, look.skipped);
    for (at, one) in look.ticks.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        tick(one, out);
    }
    out.extend_from_slice(b"]}");
}

fn tick(tick: &LiveTick, out: &mut Vec<u8>) {
    text!(out, r#"{{"t":{},"xt":{},"p":"#, tick.timestamp.as_millis(), tick.exchange_timestamp.as_millis());
    number(out, tick.last_price);
    text!(out, r#","q":{},"v":{},"oi":{}"#, tick.last_traded_quantity, tick.volume, tick.open_interest);
    let prices = [
        ("a", tick.average_traded_price),
        ("o", tick.open),
        ("h", tick.high),
        ("l", tick.low),
        ("c", tick.close_price),
    ];
    for (name, price) in prices {
        text!(out, r#","{name}":"#);
        number(out, price);
    }
    text!(out, r#","s":{}"#, tick.snapshot);
    if let Some(Depth { bids, asks }) = &tick.depth {
        side("bids", bids, out);
        side("asks", asks, out);
    }
    out.push(b'}');
}

fn side(name: &str, levels: &[Level], out: &mut Vec<u8>) {
    text!(out, r#","{name}":["#);
    for (at, level) in levels.iter().enumerate() {
        out.extend_from_slice(if at == 0 { b"[" } else { b",[" });
        number(out, level.price);
        text!(out, ",{},{}]", level.quantity, level.orders);
    }
    out.push(b']');
}

/// What was wrong.
pub(super) fn error(code: &str, message: &str) -> String {
    #[derive(Serialize)]
    struct Told<'a> {
        #[serde(rename = "type")]
        kind: &'static str,
        code: &'a str,
        message: &'a str,
    }
    serde_json::to_string(&Told { kind: "error", code, message }).expect("texts are JSON")
}

/// How the pipeline is; `health` is JSON.
pub(super) fn health(health: &str) -> String {
    format!(r#"{{"type":"health","health":{health}}}"#)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn read(out: &[u8]) -> Value {
        serde_json::from_slice(out)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(out)))
    }

    #[test]
    fn messages_are_as_the_documents_say() {
        let mut out = Vec::new();
        let quote = Quote {
            instrument_token: 408_065,
            timestamp: Timestamp::from_millis(1_795_145_400_000),
            last_price: 1_520.5,
            ask: f64::NAN,
            ..Quote::default()
        };
        quotes(&[quote, quote], true, &mut out);
        let row = json!([408_065, 1_795_145_400_000_i64, 1520.5, 0.0, 0, 0, 0.0, null, 0.0, 0.0, 0.0]);
        let message = read(&out);
        assert_eq!(message["rows"], json!([row, row]));
        assert_eq!(message["fields"].as_array().unwrap().len(), row.as_array().unwrap().len());
        quotes(&[], false, &mut out);
        assert_eq!(read(&out), json!({ "type": "quotes", "rows": [] }));

        let level = Level { price: 0.05, quantity: 3, orders: 2 };
        let depth = Some(Depth { bids: [level; 5], ..Depth::default() });
        let look = Look {
            ticks: vec![LiveTick { depth, ..LiveTick::default() }, LiveTick::default()],
            skipped: 7,
            ..Look::default()
        };
        ticks(1, &look, &mut out);
        let message = read(&out);
        assert_eq!((&message["skipped"], &message["ticks"][0]["bids"][4]), (&json!(7), &json!([0.05, 3, 2])));
        assert!(message["ticks"][1].get("bids").is_none());
        for name in ["t", "xt", "p", "q", "v", "oi", "a", "o", "h", "l", "c", "s"] {
            assert!(message["ticks"][1].get(name).is_some(), "{name}");
        }
        assert_eq!(read(error("x", "a \"quote\"").as_bytes())["message"], "a \"quote\"");
        assert_eq!(read(hello(quote.timestamp).as_bytes())["today"], "2026-11-20");
    }
}
