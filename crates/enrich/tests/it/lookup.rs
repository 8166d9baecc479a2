use proptest::prelude::*;
use tickhouse_enrich::{InstrumentTable, InstrumentTableBuilder, ReadError, ReadReport};
use tickhouse_model::{InstrumentKind, Token};

fn read(text: &str) -> Result<(InstrumentTable, ReadReport), ReadError> {
    let mut builder = InstrumentTableBuilder::new();
    let report = builder.read_token_lookup(text.as_bytes())?;
    Ok((builder.finish(), report))
}

#[test]
fn an_entry_in_full() {
    let (table, report) = read(
        r#"{"12073986": {
            "symbol": "BANKNIFTY18JAN23500CE", "tradingsymbol": "BANKNIFTY18JAN23500CE", "name": "BANKNIFTY",
            "exchange": "NFO", "segment": "NFO-OPT", "instrument_type": "CE", "sector": "Index options",
            "asset_class": "CE", "expiry": "2018-01-25", "strike_price": "23500.0", "tick_size": 0.05,
            "lot_size": 40, "source": "Zerodha_API", "tags": ["hot", {"rank": 3}]
        }}"#,
    )
    .unwrap();
    assert_eq!((report.rows, report.added, report.bad), (1, 1, 0));
    let found = table.get(Token(12_073_986)).unwrap();
    let it = table.instrument(&found);
    assert_eq!((it.symbol.as_str(), it.underlying.as_str()), ("BANKNIFTY18JAN23500CE", "BANKNIFTY"));
    assert_eq!((it.sector.as_str(), it.asset_class.as_str()), ("Index options", "CE"));
    assert_eq!((it.instrument_type, it.expiry, it.lot_size), (InstrumentKind::Call, Some(17_556), 40));
    assert!((it.strike - 23_500.0).abs() < f64::EPSILON && (it.tick_size - 0.05).abs() < f64::EPSILON);
}

#[test]
fn what_is_missing_is_found_elsewhere_or_empty() {
    let (table, report) = read(
        r#"{
            "408065": {"key": "NSE:INFY", "name": "INFOSYS", "exchange": "NSE", "instrument_type": "EQ",
                       "segment": "NSE", "sector": null, "expiry": "nan", "strike": null},
            "256265": {"symbol": "NIFTY 50", "exchange": "NSE", "instrument_type": "EQ", "segment": "NSE"},
            "779521": {"symbol": "SBIN", "sector": "Banks", "asset_class": "equity", "expiry": NaN, "strike": NaN},
            " 738561": {"name": "RELIANCE", "lot_size": "1", "expiry": 20260101, "strike": -3}
        }"#,
    )
    .unwrap();
    assert_eq!((report.rows, report.bad), (4, 0), "{report}");
    let of = |token| table.instrument(&table.get(Token(token)).unwrap());
    let infy = of(408_065);
    assert_eq!((infy.symbol.as_str(), infy.tradingsymbol.as_str(), infy.expiry), ("INFY", "INFY", None));
    assert_eq!(infy.sector, "Information Technology", "the rules fill what the file leaves empty");
    let nifty = of(256_265);
    assert_eq!((nifty.symbol.as_str(), nifty.instrument_type), ("NIFTY", InstrumentKind::Index));
    let sbin = of(779_521);
    assert_eq!(
        (sbin.sector.as_str(), sbin.asset_class.as_str(), sbin.exchange.as_str()),
        ("Banks", "equity", "NSE")
    );
    assert_eq!((of(738_561).lot_size, of(738_561).strike.to_bits()), (1, 0));
}

#[test]
fn bad_entries_are_counted_and_the_rest_goes_on() {
    let (table, report) = read(
        r#"{"x": {"symbol": "A"}, "257": [1, {"a": []}], "513": null, "769": "text", "1025": 3, "1281": true,
            "1537": -1.5, "1793": {}, "4294967296": {"symbol": "B"}, "2049": {"symbol": "C"}}"#,
    )
    .unwrap();
    assert_eq!((report.rows, report.added, report.bad), (10, 1, 9));
    assert_eq!(report.problems[0].reason, "the key `x` is no token");
    assert_eq!(report.problems[1].reason, "the value of 257 is no object");
    assert_eq!(report.problems[7].reason, "1793 has neither symbol, tradingsymbol, key nor name");
    assert!(table.get(Token(2_049)).is_some());
}

#[test]
fn a_cut_file_is_an_error_that_says_where_and_keeps_what_came_before() {
    let whole = r#"{"257": {"symbol": "A"}, "513": {"symbol": "B"}}"#;
    for cut in 0..whole.len() {
        let mut builder = InstrumentTableBuilder::new();
        let error = builder.read_token_lookup(&whole.as_bytes()[..cut]).unwrap_err();
        let ReadError::Json { entries, source } = error else { panic!("{error}") };
        assert!(source.is_eof() && entries == builder.len() as u64, "{cut}: {source}");
    }
    assert_eq!(read(whole).unwrap().0.len(), 2);
    assert!(matches!(read("[]"), Err(ReadError::Json { entries: 0, .. })));
    assert!(read("{} trailing").is_err());
}

proptest! {
    #[test]
    fn any_text_never_panics(text in r#"[{}\[\]":,0-9a-z .\\-]{0,200}"#) {
        drop(read(&text));
    }

    #[test]
    fn damaged_files_never_panic(
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20),
    ) {
        let mut bytes = br#"{"257": {"symbol": "A", "strike": 1.5, "expiry": "2026-11-26"}, "513": {"key": "NSE:B"}}"#.to_vec();
        let len = bytes.len();
        for (at, value) in flips {
            bytes[at.index(len)] = value;
        }
        drop(InstrumentTableBuilder::new().read_token_lookup(&bytes[..]));
    }
}
