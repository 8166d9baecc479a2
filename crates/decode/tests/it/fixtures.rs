//! The real payloads that Zerodha publishes, and their published values.

use base64::Engine;
use serde_json::Value;
use std::path::PathBuf;
use tickhouse_decode::{PacketView, decode_body, describe};
use tickhouse_model::PacketKind;

fn fixture(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/data").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn body(name: &str) -> Vec<u8> {
    base64::engine::general_purpose::STANDARD.decode(fixture(name).trim()).unwrap()
}

fn view(name: &str) -> PacketView {
    describe(0, &decode_body(&body(name)).unwrap())
}

fn assert_number(expected: &Value, ours: impl Into<f64>, field: &str) {
    let (expected, ours) = (expected.as_f64().unwrap(), ours.into());
    assert!(expected.to_bits() == ours.to_bits(), "{field}: published {expected}, decoded {ours}");
}

/// Their `change` field is left out: the fixture's own prices contradict it (`ticker_quote.json` repeats the 5.9 of
/// `ticker_full.json` where its prices give 5.35).
fn assert_quote_fields(expected: &Value, ours: &PacketView) {
    let scaled = &ours.scaled;
    assert_number(&expected["instrument_token"], ours.instrument_token, "instrument_token");
    assert_number(&expected["last_price"], scaled.last_price, "last_price");
    assert_number(&expected["last_quantity"], ours.raw.last_traded_quantity, "last_quantity");
    assert_number(&expected["average_price"], scaled.average_traded_price.unwrap(), "average_price");
    assert_number(&expected["volume"], ours.raw.volume, "volume");
    assert_number(&expected["buy_quantity"], ours.raw.total_buy_quantity, "buy_quantity");
    assert_number(&expected["sell_quantity"], ours.raw.total_sell_quantity, "sell_quantity");
    assert_number(&expected["ohlc"]["open"], scaled.open_price.unwrap(), "open");
    assert_number(&expected["ohlc"]["high"], scaled.high_price.unwrap(), "high");
    assert_number(&expected["ohlc"]["low"], scaled.low_price.unwrap(), "low");
    assert_number(&expected["ohlc"]["close"], scaled.close_price.unwrap(), "close");
}

#[test]
fn ticker_quote() {
    let ours = view("mocks_ticker_quote.packet");
    let expected: Value = serde_json::from_str(&fixture("mocks_ticker_quote.json")).unwrap();
    assert_eq!(ours.raw.kind, PacketKind::Quote);
    assert_quote_fields(&expected, &ours);
}

#[test]
fn ticker_full() {
    let ours = view("mocks_ticker_full.packet");
    let expected: Value = serde_json::from_str(&fixture("mocks_ticker_full.json")).unwrap();
    assert_eq!(ours.raw.kind, PacketKind::Full);
    assert_quote_fields(&expected, &ours);
    assert_number(&expected["oi"], ours.raw.open_interest, "oi");
    assert_number(&expected["oi_day_high"], ours.raw.oi_day_high, "oi_day_high");
    assert_number(&expected["oi_day_low"], ours.raw.oi_day_low, "oi_day_low");
    for (field, time) in
        [("timestamp", &ours.scaled.exchange_timestamp), ("last_trade_time", &ours.scaled.last_trade_time)]
    {
        let published = expected[field].as_str().unwrap();
        assert_eq!(time.as_deref().unwrap().replace(".000", ""), published, "{field}");
    }
    for (side, levels) in [("buy", ours.scaled.bids.unwrap()), ("sell", ours.scaled.asks.unwrap())] {
        let published = expected["depth"][side].as_array().unwrap();
        assert_eq!(published.len(), levels.len());
        for (published, level) in published.iter().zip(levels) {
            assert_number(&published["price"], level.price, side);
            assert_number(&published["quantity"], level.quantity, side);
            assert_number(&published["orders"], level.orders, side);
        }
    }
}
