use super::*;
use proptest::prelude::*;

fn read(fields: &[(&str, &str)]) -> Result<FlatEntry, FlatError> {
    FlatTick::from_fields(fields.iter().copied())
}

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

#[test]
fn the_briefs_entry_is_read_as_its_consumer_would() {
    let entry = read(&[
        ("instrument_token", "256265"),
        ("symbol", "NIFTY"),
        ("exchange", "NSE"),
        ("timestamp", "2026-11-20T09:15:00.250000"),
        ("last_price", "24010.35"),
        ("volume", "1200"),
        ("bid_1_price", "24010.3"),
        ("bid_1_quantity", "75"),
        ("bid_1_orders", "3"),
        ("ask_5_orders", "9"),
        ("packet_type", "full"),
        ("data_quality", "enriched"),
        ("sector", "INDEX"),
        ("hour", "9"),
        ("colour", "red"),
    ])
    .unwrap();
    let tick = &entry.tick;
    assert_eq!((tick.instrument_token, tick.symbol.as_str(), tick.volume), (256_265, "NIFTY", 1_200));
    // 09:15 in India is 03:45 UTC
    assert_eq!(tick.timestamp, at(1_795_146_300_250));
    assert_eq!(tick.exchange_timestamp, tick.timestamp);
    assert_eq!(tick.bids[0], FlatLevel { price: 24_010.3, quantity: 75, orders: 3 });
    assert_eq!((tick.asks[4].orders, tick.asks[4].quantity), (9, 0));
    assert_eq!((tick.session_type, tick.data_quality), (SessionType::Regular, DataQuality::Enriched));
    assert_eq!(entry.unknown_fields, 1);
}

#[test]
fn times_in_every_form() {
    let expected = at(1_795_146_300_000);
    for text in [
        "2026-11-20T09:15:00",
        "2026-11-20 09:15:00",
        "2026-11-20 09:15",
        "2026-11-20T09:15:00.000",
        "2026-11-20T09:15:00+05:30",
        "2026-11-20 09:15:00.000000+05:30",
        "2026-11-20T03:45:00Z",
        "2026-11-20T03:45:00+00:00",
        "1795146300",
        "1795146300.0",
        "1795146300000",
        "1795146300000000",
        "1795146300000000000",
    ] {
        let entry = read(&[("instrument_token", "1"), ("timestamp", text)]);
        assert_eq!(entry.map(|entry| entry.tick.timestamp), Ok(expected), "{text}");
    }
}

#[test]
fn nothing_counts_as_zero() {
    for nothing in ["", " ", "None", "nan", "null", "NaT"] {
        let entry = read(&[
            ("instrument_token", "1"),
            ("last_price", nothing),
            ("volume", nothing),
            ("timestamp", nothing),
            ("expiry", nothing),
            ("session_type", nothing),
            ("symbol", nothing),
        ]);
        let expected = FlatTick { instrument_token: 1, ..FlatTick::default() };
        assert_eq!(entry.map(|entry| entry.tick), Ok(expected), "{nothing:?}");
        assert_eq!(read(&[("instrument_token", nothing)]), Err(FlatError::NoToken));
    }
}

#[test]
fn an_error_names_its_field() {
    for (field, value) in [
        ("instrument_token", "-1"),
        ("instrument_token", "4294967296"),
        ("volume", "12.5"),
        ("volume", "1e300"),
        ("last_price", "12,5"),
        ("last_price", "inf"),
        ("bid_3_orders", "65536"),
        ("timestamp", "yesterday"),
        ("timestamp", "2026-13-01T00:00:00"),
        ("timestamp", "2026-11-20T09:15:00+99:99"),
        ("timestamp", "-5"),
        ("timestamp", "91500"),
        ("expiry", "26NOV"),
        ("session_type", "lunch"),
        ("data_quality", "good"),
    ] {
        match read(&[("instrument_token", "1"), (field, value)]) {
            Err(FlatError::Value { field: named, value: shown, .. }) => {
                assert_eq!((named.as_str(), shown.as_str()), (field, value));
            }
            other => panic!("{field}={value} gave {other:?}"),
        }
    }
    assert_eq!(read(&[("symbol", "NIFTY")]), Err(FlatError::NoToken));
}

#[test]
fn pandas_writes_integers_as_floats() {
    let entry = read(&[("instrument_token", "256265.0"), ("volume", "75.0")]).unwrap();
    assert_eq!((entry.tick.instrument_token, entry.tick.volume), (256_265, 75));
}

fn any_level() -> impl Strategy<Value = FlatLevel> {
    (any_price(), any::<u32>(), any::<u16>()).prop_map(|(price, quantity, orders)| FlatLevel {
        price,
        quantity,
        orders,
    })
}

fn any_price() -> impl Strategy<Value = f64> {
    prop_oneof![any::<i32>().prop_map(|raw| f64::from(raw) / 100.0), -1e12_f64..1e12]
}

fn any_time() -> impl Strategy<Value = Timestamp> {
    (1_i64..4_000_000_000_000_000).prop_map(|micros| Timestamp::from_nanos(micros * 1_000))
}

prop_compose! {
    fn any_tick()(
        token in any::<u32>(),
        times in (any_time(), any_time(), any_time()),
        prices in prop::array::uniform7(any_price()),
        totals in prop::array::uniform6(any::<u64>()),
        last_traded_quantity in any::<u32>(),
        bids in prop::array::uniform5(any_level()),
        asks in prop::array::uniform5(any_level()),
        texts in prop::array::uniform9("[A-Z][A-Z0-9 &-]{0,20}"),
        expiry in prop::option::of(0_i32..60_000),
        session in 0..SessionType::ALL.len(),
        quality in 0..DataQuality::ALL.len(),
    ) -> FlatTick {
        let [symbol, tradingsymbol, exchange, segment, underlying, sector, asset_class, instrument_type, packet_type] =
            texts;
        let [last_price, open_price, high_price, low_price, close_price, average_traded_price, strike] = prices;
        let [volume, total_buy_quantity, total_sell_quantity, open_interest, oi_day_high, oi_day_low] = totals;
        FlatTick {
            instrument_token: token, symbol, tradingsymbol, exchange, segment, underlying, sector, asset_class,
            instrument_type, expiry, strike,
            timestamp: times.0, exchange_timestamp: times.1, last_trade_time: times.2,
            last_price, open_price, high_price, low_price, close_price, average_traded_price,
            volume, last_traded_quantity, total_buy_quantity, total_sell_quantity,
            open_interest, oi_day_high, oi_day_low, bids, asks, packet_type,
            session_type: SessionType::ALL[session], data_quality: DataQuality::ALL[quality],
        }
    }
}

proptest! {
    #[test]
    fn reads_what_it_writes(tick in any_tick()) {
        let read = FlatTick::from_fields(tick.to_fields());
        prop_assert_eq!(read, Ok(FlatEntry { tick, unknown_fields: 0 }));
    }

    #[test]
    fn any_bytes_never_panic(
        fields in prop::collection::vec(
            ("timestamp|expiry|volume|last_price|bid_1_price|session_type|.{0,12}", prop::collection::vec(any::<u8>(), 0..30)),
            0..10,
        ),
    ) {
        drop(FlatTick::from_fields(fields.iter().map(|(field, value)| (field.as_bytes(), value))));
    }

    #[test]
    fn any_time_text_never_panics(text in "[-+0-9TZ:. \\[\\]]{0,40}") {
        drop(read(&[("instrument_token", "1"), ("timestamp", &text), ("expiry", &text)]));
    }
}
