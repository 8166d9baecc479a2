//! Packets through a client library and back. The clients here read bytes by the offsets of Kite's documents and share no
//! code with the decoder or the encoder.

use crate::{Dialect, Format, PushError, PushedTick, encode, read, zone};
use proptest::prelude::*;
use serde_json::{Value, json};
use tickhouse_model::Timestamp;

/// What a client makes of integers.
#[derive(Clone, Copy, Debug)]
struct Client {
    source: &'static str,
    bcd: f64,
    nco: f64,
    signed: bool,
    old_names: bool,
}

const CLIENTS: [Client; 4] = [
    Client { source: "pykiteconnect/5.2.2", bcd: 10_000.0, nco: 10_000.0, signed: false, old_names: false },
    Client { source: "pykiteconnect/5.0.1", bcd: 10_000.0, nco: 100.0, signed: false, old_names: false },
    Client { source: "pykiteconnect/3.9.4", bcd: 100.0, nco: 100.0, signed: false, old_names: true },
    Client { source: "kiteconnectjs/5.3.0", bcd: 10_000.0, nco: 100.0, signed: true, old_names: false },
];

impl Client {
    fn dialect(self) -> Dialect {
        Dialect { source: self.source.parse().unwrap(), ..Dialect::default() }
    }

    fn number(self, body: &[u8], at: usize) -> i64 {
        let bytes = [body[at], body[at + 1], body[at + 2], body[at + 3]];
        if self.signed { i64::from(i32::from_be_bytes(bytes)) } else { i64::from(u32::from_be_bytes(bytes)) }
    }

    fn price(self, body: &[u8], at: usize) -> f64 {
        let divisor = match body[3] {
            3 => 10_000_000.0,
            6 => self.bcd,
            12 => self.nco,
            _ => 100.0,
        };
        self.number(body, at) as f64 / divisor
    }

    /// Python's naive times of a host in India, JavaScript's ISO texts.
    fn time(self, body: &[u8], at: usize) -> Value {
        let seconds = u32::from_be_bytes([body[at], body[at + 1], body[at + 2], body[at + 3]]);
        if !self.signed {
            return json!(&Timestamp::from_kite_seconds(seconds).to_string()[..19]);
        }
        let utc = Timestamp::from_nanos((i64::from(seconds) - 19_800) * 1_000_000_000).to_string();
        if seconds == 0 { Value::Null } else { json!(format!("{}.000Z", &utc[..19])) }
    }

    fn tick(self, body: &[u8]) -> Value {
        let index = body[3] == 9;
        let mode = match body.len() {
            8 => "ltp",
            28 | 44 => "quote",
            _ => "full",
        };
        let token = u32::from_be_bytes([body[0], body[1], body[2], body[3]]);
        let mut tick = json!({ "tradable": !index, "mode": mode, "instrument_token": token });
        tick["last_price"] = json!(self.price(body, 4));
        if body.len() == 8 {
            return tick;
        }
        let [open, high, low, close] = if index { [16, 8, 12, 20] } else { [28, 32, 36, 40] };
        let price = |at| self.price(body, at);
        tick["ohlc"] =
            json!({ "open": price(open), "high": price(high), "low": price(low), "close": price(close) });
        tick["change"] = json!(0.25);
        if !index {
            for (at, new, old) in [
                (8, "last_traded_quantity", "last_quantity"),
                (16, "volume_traded", "volume"),
                (20, "total_buy_quantity", "buy_quantity"),
                (24, "total_sell_quantity", "sell_quantity"),
            ] {
                tick[if self.old_names { old } else { new }] = json!(self.number(body, at));
            }
            tick[if self.old_names { "average_price" } else { "average_traded_price" }] = json!(price(12));
        }
        let stamp = if self.old_names { "timestamp" } else { "exchange_timestamp" };
        if body.len() == 32 {
            tick[stamp] = self.time(body, 28);
        }
        if body.len() == 184 {
            tick[stamp] = self.time(body, 60);
            tick["last_trade_time"] = self.time(body, 44);
            for (at, name) in [(48, "oi"), (52, "oi_day_high"), (56, "oi_day_low")] {
                tick[name] = json!(self.number(body, at));
            }
            let level = |at: usize| {
                let orders = u16::from_be_bytes([body[at + 8], body[at + 9]]);
                json!({ "quantity": self.number(body, at), "price": price(at + 4), "orders": orders })
            };
            let side = |first: usize| (0..5).map(|number| level(first + 12 * number)).collect::<Vec<_>>();
            tick["depth"] = json!({ "buy": side(64), "sell": side(124) });
        }
        tick
    }
}

/// The body of a packet: any bytes where any may stand. Padding is zero, and an index's change is its difference.
fn any_body() -> impl Strategy<Value = Vec<u8>> {
    let tradable = (
        prop::sample::select(vec![1_u8, 2, 3, 4, 5, 6, 7, 8, 11, 12, 13]),
        prop::sample::select(vec![8_usize, 44, 184]),
    );
    let index = (Just(9_u8), prop::sample::select(vec![8_usize, 28, 32]));
    prop_oneof![3 => tradable, 1 => index].prop_flat_map(|(segment, len)| {
        prop::collection::vec(any::<u8>(), len).prop_map(move |mut body| {
            body[3] = segment;
            if len == 184 {
                (0..10).for_each(|level| body[74 + 12 * level..76 + 12 * level].fill(0));
            }
            if len == 28 || len == 32 {
                // prices of indices are far from the ends of the range
                (4..24).step_by(4).for_each(|at| body[at] = 0);
                let at = |at: usize| i32::from_be_bytes([body[at], body[at + 1], body[at + 2], body[at + 3]]);
                let change = if at(20) == 0 { 0 } else { at(4) - at(20) };
                body[24..28].copy_from_slice(&change.to_be_bytes());
            }
            body
        })
    })
}

fn message(bodies: &[Vec<u8>]) -> Vec<u8> {
    let mut message = (bodies.len() as u16).to_be_bytes().to_vec();
    for body in bodies {
        message.extend((body.len() as u16).to_be_bytes());
        message.extend(body);
    }
    message
}

fn pushed(text: &str, dialect: &Dialect) -> Result<Vec<u8>, PushError> {
    let ticks = read(text.as_bytes(), Format::Json).unwrap_or_else(|error| panic!("{error}: {text}"));
    encode(&ticks, dialect).map(|message| message.bytes().to_vec())
}

proptest! {
    #[test]
    fn every_packet_comes_back_from_every_client(bodies in prop::collection::vec(any_body(), 1..8), client in 0..CLIENTS.len()) {
        let client = CLIENTS[client];
        let ticks: Vec<Value> = bodies.iter().map(|body| client.tick(body)).collect();
        let list = pushed(&json!(ticks).to_string(), &client.dialect()).unwrap();
        prop_assert_eq!(&list, &message(&bodies));
        let lines: Vec<String> = ticks.iter().map(Value::to_string).collect();
        let lines = lines.join("\n");
        let read = read(lines.as_bytes(), Format::Lines).unwrap();
        let encoded = encode(&read, &client.dialect()).unwrap();
        prop_assert_eq!(encoded.bytes(), &list);
        prop_assert_eq!(encoded.ticks(), bodies.len());
    }
}

/// A full tick that is right.
fn full() -> Value {
    let mut body = vec![0; 184];
    body[..8].copy_from_slice(&[0, 6, 58, 1, 0, 2, 102, 186]);
    CLIENTS[0].tick(&body)
}

fn refusal(tick: &Value, dialect: &Dialect) -> String {
    let good = full();
    match pushed(&json!([good, tick]).to_string(), dialect) {
        Err(error @ PushError::Refused(_)) => error.to_string(),
        other => panic!("{tick}: {other:?}"),
    }
}

#[test]
fn what_a_packet_cannot_hold_is_refused_with_its_place() {
    let dialect = Dialect::default();
    for (pointer, value, expected) in [
        ("/last_price", json!(100.005), "[1].last_price: 100.005 is no multiple of 1/100"),
        ("/last_price", json!(f64::from(2_500.05_f32)), "[1].last_price: 2500.050048828125 is no multiple"),
        ("/last_price", json!(21_474_836.48), "[1].last_price: 21474836.48 is out of range"),
        ("/last_price", json!(1e300), "[1].last_price: 1"),
        ("/average_traded_price", Value::Null, "[1].average_traded_price: is missing"),
        ("/ohlc", Value::Null, "[1].ohlc: is missing"),
        ("/ohlc/low", json!(0.001), "[1].ohlc.low: 0.001 is no multiple of 1/100"),
        (
            "/volume_traded",
            json!(4_294_967_296_u64),
            "[1].volume_traded: 4294967296 is not within 0 to 4294967295",
        ),
        ("/volume_traded", json!(-1), "[1].volume_traded: -1 is not within"),
        ("/depth/buy/2/price", json!(0.333), "[1].depth.buy[2].price: 0.333 is no multiple"),
        ("/depth/sell/4/orders", json!(65_536), "[1].depth.sell[4].orders: 65536 is not within 0 to 65535"),
        ("/depth", Value::Null, "[1].depth: is missing"),
        ("/mode", json!("ltp"), "[1].exchange_timestamp: is no part of a packet of kind ltp"),
        (
            "/tradable",
            json!(false),
            "[1].tradable: contradicts the token, whose segment 1 is not that of indices",
        ),
        (
            "/instrument_token",
            json!(256_265),
            "[1].tradable: contradicts the token, whose segment 9 is that of indices",
        ),
        (
            "/exchange_timestamp",
            json!("1969-12-31T23:59:59Z"),
            "[1].exchange_timestamp: -1 s since 1970 is not within",
        ),
    ] {
        let mut tick = full();
        tick["exchange_timestamp"] = json!("2026-11-20T09:15:01");
        *tick.pointer_mut(pointer).unwrap() = value;
        let error = refusal(&tick, &dialect);
        assert!(error.contains(expected), "{error}\n{expected}");
    }
}

#[test]
fn prices_in_which_programs_disagree_need_a_source() {
    let crude = json!({ "instrument_token": 99 * 256 + 12, "mode": "ltp", "last_price": 857_300.0 });
    let error = refusal(&crude, &Dialect::default());
    assert!(error.contains("segment 12 (NCO): declare the source"), "{error}");
    let raw = |source: &str, price: f64| {
        let dialect = Dialect { source: source.parse().unwrap(), ..Dialect::default() };
        let mut tick = crude.clone();
        tick["last_price"] = json!(price);
        let bytes = pushed(&tick.to_string(), &dialect).unwrap();
        i32::from_be_bytes(bytes[8..12].try_into().unwrap())
    };
    // 8 573 rupees, as measured on the wire: 85 730 000
    assert_eq!(raw("pykiteconnect/5.2.2", 8_573.0), 85_730_000);
    assert_eq!(raw("pykiteconnect/5.2.1", 857_300.0), 85_730_000);
    assert_eq!(raw("rupees", 8_573.0), 85_730_000);
}

#[test]
fn times_of_other_hosts_need_their_zone() {
    let at = |time: Value, name: &str| {
        let mut tick = full();
        tick["exchange_timestamp"] = time;
        let dialect = Dialect { zone: zone(name).unwrap(), ..Dialect::default() };
        pushed(&tick.to_string(), &dialect).map(|bytes| u32::from_be_bytes(bytes[64..68].try_into().unwrap()))
    };
    // 2026-11-20 09:15:01 in India
    let expected = 1_795_146_301;
    for (time, zone) in [
        (json!("2026-11-20T09:15:01"), "IST"),
        (json!("2026-11-20 09:15:01"), "IST"),
        (json!("2026-11-20 03:45:01"), "UTC"),
        (json!("2026-11-19T22:45:01"), "-05:00"),
        (json!("2026-11-20T03:45:01Z"), "IST"),
        (json!("2026-11-20T09:15:01+05:30"), "UTC"),
        (json!("2026-11-20T03:45:01.000Z"), "IST"),
        (json!(1_795_146_301), "IST"),
        (json!(1_795_146_301.0), "IST"),
        (json!(1_795_146_301_000_u64), "IST"),
    ] {
        assert_eq!(at(time.clone(), zone).unwrap(), expected, "{time} {zone}");
    }
    assert_eq!(at(Value::Null, "IST").unwrap(), 0);
    assert_eq!(at(json!("1970-01-01T05:30:00"), "IST").unwrap(), 0, "what Python makes of no time");
    if zone("Europe/London").is_ok() {
        let error = at(json!("2026-10-25T01:30:00"), "Europe/London").unwrap_err().to_string();
        assert!(error.contains("shown twice"), "{error}");
    }
}

#[test]
fn a_push_has_a_limit() {
    let tick = PushedTick::new(408_065, tickhouse_model::Mode::Ltp, 1_573.7);
    let count =
        |ticks: usize| encode(&vec![tick.clone(); ticks], &Dialect::default()).map(|message| message.ticks());
    assert!(matches!(count(0), Err(PushError::Count { found: 0 })));
    assert_eq!(count(super::MOST_TICKS).unwrap(), super::MOST_TICKS);
    assert!(matches!(count(super::MOST_TICKS + 1), Err(PushError::Count { .. })));
}
