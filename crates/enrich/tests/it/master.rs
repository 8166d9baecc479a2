use crate::fixture;
use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use std::io::{Read, Write};
use tickhouse_enrich::{InstrumentTableBuilder, ReadError, ReadReport, read_kite_csv};
use tickhouse_model::{Instrument, InstrumentKind, Token};

const HEADER: &str = "instrument_token,exchange_token,tradingsymbol,name,last_price,expiry,strike,tick_size,lot_size,\
                      instrument_type,segment,exchange";

fn read(bytes: impl Read) -> Result<(Vec<Instrument>, ReadReport), ReadError> {
    let mut instruments = Vec::new();
    let report = read_kite_csv(bytes, |instrument| {
        instruments.push(instrument);
        Ok(false)
    })?;
    Ok((instruments, report))
}

fn rows(rows: &str) -> (Vec<Instrument>, ReadReport) {
    read(format!("{HEADER}\n{rows}").as_bytes()).unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// What the `csv` crate makes of the same bytes: token, trading symbol, name, exchange, strike.
fn oracle(bytes: &[u8]) -> Vec<(u32, String, String, String, f64)> {
    csv::Reader::from_reader(bytes)
        .records()
        .map(|record| {
            let record = record.unwrap();
            let text = |at: usize| record[at].to_owned();
            (record[0].parse().unwrap(), text(2), text(3), text(11), record[6].parse().unwrap_or(0.0))
        })
        .collect()
}

#[test]
fn the_real_extracts_are_read_whole() {
    for (name, count) in [("mocks_instruments_all.csv", 99), ("mocks_instruments_nse.csv", 99)] {
        let bytes = fixture(name);
        let (instruments, report) = read(&bytes[..]).unwrap();
        assert_eq!(
            (report.rows, report.bad, instruments.len()),
            (count, 0, count as usize),
            "{name}: {report}"
        );
        let ours: Vec<_> = instruments
            .iter()
            .cloned()
            .map(|it| (it.token.0, it.tradingsymbol, it.underlying, it.exchange, it.strike))
            .collect();
        assert_eq!(ours, oracle(&bytes), "{name}");
        for instrument in &instruments {
            assert_eq!(instrument.token.segment().name(), instrument.exchange, "{instrument:?}");
        }
        assert_eq!(read(&gzip(&bytes)[..]).unwrap().0, instruments, "gzipped as the API sends it");
    }
}

#[test]
fn one_option_in_full() {
    let (instruments, report) = rows(
        "12073986,47164,BANKNIFTY18JAN23500CE,BANKNIFTY,2528.4,2018-01-25,23500.0,0.05,40,CE,NFO-OPT,NFO\r\n",
    );
    assert_eq!(report.problems, []);
    assert_eq!(
        instruments,
        [Instrument {
            token: Token(12_073_986),
            symbol: String::new(),
            tradingsymbol: "BANKNIFTY18JAN23500CE".to_owned(),
            underlying: "BANKNIFTY".to_owned(),
            exchange: "NFO".to_owned(),
            segment: "NFO-OPT".to_owned(),
            instrument_type: InstrumentKind::Call,
            sector: String::new(),
            asset_class: String::new(),
            expiry: Some(17_556),
            strike: 23_500.0,
            tick_size: 0.05,
            lot_size: 40,
        }]
    );
}

#[test]
fn odd_rows_that_are_right() {
    let (instruments, report) = rows(concat!(
        "256265,1001,NIFTY 50,\"NIFTY 50\",0.0,,0.0,0.0,0,EQ,INDICES,NSE\n",
        "1,2,M&M,\"MAHINDRA \"\"M&M\"\", AND MORE\",0,,0,0.05,1,EQ,NSE,NSE\n",
        "\n",
        // without exchange_token, as Kite's documentation has it
        "645639,SILVER15DECFUT,,7800.0,2015-12-31,,1,1,FUT,MCX,MCX",
    ));
    assert_eq!((report.rows, report.bad), (3, 0), "{report}");
    assert_eq!(instruments[0].instrument_type, InstrumentKind::Index);
    assert_eq!(instruments[1].underlying, "MAHINDRA \"M&M\", AND MORE");
    assert_eq!(
        (instruments[2].tradingsymbol.as_str(), instruments[2].exchange.as_str(), instruments[2].expiry),
        ("SILVER15DECFUT", "MCX", Some(16_800))
    );
}

#[test]
fn bad_rows_are_counted_with_line_and_reason() {
    let long = "X".repeat(300);
    let endless = "Y".repeat(40_000);
    let text = format!(
        "{HEADER}\nabc,1,A,A,0,,0,0,1,EQ,NSE,NSE\n257,1,\"A,A,0,,0,0,1,EQ,NSE,NSE\n\
         513,2,B,B,0,,0,0,1,EQ,NSE,NSE\n769,3,C,C,0,2026-02-30,0,0,1,EQ,NSE,NSE\n1025,4,D,D\n\
         1281,5,E,E,0,,NaN,0,1,EQ,NSE,NSE\n1537,6,{long},F,0,,0,0,1,EQ,NSE,NSE\n{endless}\n\
         1793,7,,G,0,,0,0,1,EQ,NSE,NSE\n-5,7,H,H,0,,0,0,1,EQ,NSE,NSE\n"
    );
    let mut bytes = text.into_bytes();
    bytes.extend(b"2049,8,\xff\xfe,I,0,,0,0,1,EQ,NSE,NSE\n2305,9,J,J,0,,0,0,1,EQ,NSE,NSE");
    let (instruments, report) = read(&bytes[..]).unwrap();
    let symbols: Vec<_> = instruments.iter().map(|instrument| instrument.tradingsymbol.as_str()).collect();
    assert_eq!(symbols, ["B", "J"], "an unclosed quote costs one row");
    let reasons: Vec<_> =
        report.problems.iter().map(|problem| (problem.line, problem.reason.as_str())).collect();
    assert_eq!(
        reasons,
        [
            (2, "instrument_token `abc` is no number"),
            (3, "a quote is not closed"),
            (5, "expiry `2026-02-30` is no date from 1970 to 2149"),
            (6, "4 fields where the header has 12"),
            (7, "strike `NaN` is no number"),
            (8, "a field of 300 bytes, more than 255"),
            (9, "the line is longer than 16 KiB"),
            (10, "tradingsymbol is empty"),
            (11, "instrument_token `-5` is no number"),
            (12, "the line is not UTF-8"),
        ]
    );
    assert_eq!((report.rows, report.added, report.bad), (12, 2, 10));
}

#[test]
fn the_later_row_of_a_token_wins_and_is_counted() {
    let text = format!("{HEADER}\n257,1,A,A,0,,0,0,1,EQ,NSE,NSE\n257,1,B,B,0,,0,0,1,EQ,NSE,NSE\n");
    let mut builder = InstrumentTableBuilder::new();
    let report = builder.read_kite_csv(text.as_bytes()).unwrap();
    assert_eq!((report.rows, report.added, report.replaced, builder.len()), (2, 1, 1, 1));
    let table = builder.finish();
    assert_eq!(table.text(table.get(Token(257)).unwrap().tradingsymbol), "B");
}

#[test]
fn what_is_no_master_is_an_error() {
    let error = read(&b"<html>502</html>"[..]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "this is no Kite instruments CSV: the first line lacks the columns instrument_token, tradingsymbol, exchange"
    );
    assert!(matches!(read(&b""[..]), Err(ReadError::Header { .. })));
    let whole = gzip(&fixture("mocks_instruments_all.csv"));
    assert!(matches!(read(&whole[..whole.len() / 2]), Err(ReadError::Io { .. })), "a torn download");
}

/// A reader that gives one byte at a time, as a socket may.
struct Slow<'a>(&'a [u8]);

impl Read for Slow<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.0.len().min(buffer.len()).min(1);
        self.0.read(&mut buffer[..count])
    }
}

#[test]
fn gzip_is_known_by_its_bytes_however_they_come() {
    let bytes = fixture("mocks_instruments_all.csv");
    let zipped = gzip(&bytes);
    assert_eq!(read(Slow(&zipped)).unwrap().1.added, 99);
    assert_eq!(read(Slow(&bytes)).unwrap().1.added, 99);
}

proptest! {
    /// The `csv` crate writes the rows, so its quoting is the oracle.
    #[test]
    fn any_names_that_csv_writes_are_read_back(names in prop::collection::vec("[ -~é₹]{1,40}", 1..40)) {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(HEADER.split(',')).unwrap();
        for (number, name) in names.iter().enumerate() {
            let token = (number << 8 | 1).to_string();
            let fields = [&token, "1", "X", name, "0", "", "", "0.05", "1", "EQ", "NSE", "NSE"];
            writer.write_record(fields).unwrap();
        }
        let (instruments, report) = read(&writer.into_inner().unwrap()[..]).unwrap();
        prop_assert_eq!(report.problems, []);
        let read: Vec<_> = instruments.iter().map(|instrument| instrument.underlying.as_str()).collect();
        let written: Vec<_> = names.iter().map(|name| name.trim()).collect();
        prop_assert_eq!(read, written);
    }

    #[test]
    fn damaged_masters_never_panic_and_always_balance(
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..60),
        cut in any::<prop::sample::Index>(),
        zipped in any::<bool>(),
    ) {
        let mut bytes = fixture("mocks_instruments_all.csv");
        if zipped {
            bytes = gzip(&bytes);
        }
        let len = bytes.len();
        for (at, value) in flips {
            bytes[at.index(len)] = value;
        }
        bytes.truncate(cut.index(len + 1));
        let mut builder = InstrumentTableBuilder::new();
        if let Ok(report) = builder.read_kite_csv(&bytes[..]) {
            prop_assert_eq!(report.rows, report.added + report.replaced + report.bad);
            prop_assert_eq!(builder.len() as u64, report.added);
            prop_assert_eq!(report.problems.len() as u64, report.bad.min(100));
        }
        let table = builder.finish();
        for found in table.iter() {
            prop_assert!(!table.text(found.tradingsymbol).is_empty());
        }
    }

    #[test]
    fn any_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let mut with_header = HEADER.as_bytes().to_vec();
        with_header.push(b'\n');
        with_header.extend(&bytes);
        drop(read(&bytes[..]));
        drop(read(&with_header[..]));
    }
}

#[test]
fn every_cut_of_the_real_extract_gives_the_rows_before_it() {
    let bytes = fixture("mocks_instruments_all.csv");
    let whole = read(&bytes[..]).unwrap().0;
    let after_header = bytes.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    for cut in after_header..bytes.len() {
        let (instruments, report) = read(&bytes[..cut]).unwrap();
        let lines = bytes[..cut].split(|byte| *byte == b'\n').count() - 2;
        assert!(instruments.len() >= lines.min(whole.len()), "{cut}");
        assert_eq!(instruments[..lines.min(99)], whole[..lines.min(99)], "{cut}");
        assert!(report.bad <= 1, "{cut}: {report}");
    }
}
