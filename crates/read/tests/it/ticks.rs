//! Names mean what they meant on each day; candles are no ticks; counts have a sign.

use crate::{reader, run, store};
use jiff::civil::Date;
use serde::Deserialize;
use tickhouse_read::ticks::{Instruments, TickOrder, Ticks, depth, gaps};
use tickhouse_read::{Format, ReadError, Reader, Selection, Statement, Window};
use tickhouse_store::Store;

/// Two contracts that followed each other under one name, a token that followed another instrument's, an import of candles.
async fn world(name: &str) -> (Store, Reader) {
    let store = store(name).await;
    let columns = "instrument_token, symbol, tradingsymbol, underlying, exchange, segment, instrument_type, valid_from, valid_to";
    run(
        &store,
        &format!(
            "INSERT INTO instruments ({columns}) VALUES \
             (100, 'RENAMED', 'RENAMED', 'R', 'NSE', 'NSE', 'EQ', '1970-01-01', '2026-11-18'), \
             (200, 'RENAMED', 'RENAMED', 'R', 'NSE', 'NSE', 'EQ', '2026-11-20', '2149-06-06'), \
             (100, 'OTHER', 'OTHER', 'O', 'NSE', 'NSE', 'EQ', '2026-11-19', '2149-06-06')"
        ),
    )
    .await;
    let mut rows = Vec::new();
    for day in 17..=21 {
        for token in [100, 200] {
            for second in 0..3 {
                let at = format!("2026-11-{day} 10:00:0{second}");
                let price = day * 10 + second;
                rows.push(format!(
                    "({token}, '{at}', '{at}', {price}, {second}, 'full', {second}, {price}, {}, '')",
                    2 - second
                ));
            }
            // a candle beside them
            rows.push(format!("({token}, '2026-11-{day} 10:00:00', '2026-11-{day} 10:00:00', 1, 0, 'minute', 9, 0, 0, 'import:x')"));
        }
    }
    run(
        &store,
        &format!(
            "INSERT INTO tick_data (instrument_token, timestamp, exchange_timestamp, last_price, bid_1_quantity, packet_type, sequence, \
             bid_1_price, ask_1_quantity, stream) VALUES {}",
            rows.join(", ")
        ),
    )
    .await;
    let reader = reader(&store);
    (store, reader)
}

fn november(first: i8, last: i8) -> Window {
    let day = |day| Window::day(Date::constant(2026, 11, day));
    Window { from: day(first).from, to: day(last).to }
}

#[derive(Debug, PartialEq, Deserialize)]
struct Seen {
    instrument_token: u32,
    last_price: f64,
}

async fn seen(reader: &Reader, selection: Selection, window: Window) -> Vec<(u32, f64)> {
    let columns = ["instrument_token", "last_price"].map(str::to_owned).into();
    let ticks = Ticks { selection, window, columns, order: TickOrder::Time };
    let rows: Vec<Seen> = reader.rows(&ticks.statement().unwrap()).await.unwrap();
    rows.into_iter().map(|row| (row.instrument_token, row.last_price)).collect()
}

#[tokio::test]
async fn a_name_means_what_it_meant_on_each_day() {
    let (_store, reader) = world("read_ticks_names").await;
    let window = november(17, 21);
    let selection = reader.select(&["renamed".to_owned()], &window).await.unwrap();
    let expected: Vec<(u32, f64)> = [(17, 100), (18, 100), (20, 200), (21, 200)]
        .into_iter()
        .flat_map(|(day, token)| (0..3).map(move |second| (token, f64::from(day * 10 + second))))
        .collect();
    assert_eq!(seen(&reader, selection, window).await, expected);
    // on its last day nobody has the name
    let gone = reader.select(&["RENAMED".to_owned()], &november(18, 19)).await.unwrap();
    assert_eq!(seen(&reader, gone, november(18, 19)).await.len(), 3);
    let unknown = reader.select(&["NOBODY".to_owned()], &window).await;
    assert!(matches!(unknown, Err(ReadError::UnknownInstrument { .. })), "{unknown:?}");
    // a token that no master lists is taken as it is
    let token = reader.select(&["300".to_owned()], &window).await.unwrap();
    assert_eq!(seen(&reader, token, window).await, []);
    assert_eq!(seen(&reader, Selection::all(), window).await.len(), 30);
}

#[derive(Deserialize)]
struct Difference {
    difference: i64,
}

/// Every column, in every order, in every format that users take; and books, gaps, instruments.
#[tokio::test]
async fn statements_are_understood() {
    let (store, reader) = world("read_ticks_statements").await;
    let window = november(17, 21);
    let some = reader.select(&["OTHER".to_owned()], &window).await.unwrap();
    for (selection, order) in [(Selection::all(), TickOrder::Time), (some.clone(), TickOrder::Instrument)] {
        let ticks = Ticks { selection, window, columns: vec!["*".to_owned()], order };
        for format in [Format::Csv, Format::Parquet, Format::ArrowStream] {
            let bytes =
                reader.stream(&ticks.statement().unwrap(), format).await.unwrap().collect().await.unwrap();
            assert!(!bytes.is_empty());
        }
    }
    let books = depth(&some, &window, 5);
    let inner = books.sql().to_owned();
    let mut statement =
        Statement::new(format!("SELECT bid_1_quantity - ask_1_quantity AS difference FROM ({inner})"));
    for (name, value) in books.parameters() {
        statement = statement.with(name.to_owned(), value);
    }
    let rows: Vec<Difference> = reader.rows(&statement).await.unwrap();
    assert_eq!(rows.iter().map(|row| row.difference).collect::<Vec<_>>(), [-2, 0, 2].repeat(3));
    let count = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap().lines().count();
    // one that is open, one of another instrument, one of before
    let values = "('r', '2026-11-18 10:00:00', '1970-01-01 05:30:00', 'silent', []), \
                  ('r', '2026-11-18 10:00:00', '2026-11-18 10:00:05', 'closed', [100]), \
                  ('r', '2026-11-18 10:00:00', '2026-11-18 10:00:05', 'closed', [7]), \
                  ('r', '2026-11-10 10:00:00', '2026-11-10 10:00:05', 'closed', [])";
    run(&store, &format!("INSERT INTO feed_gaps (recorder, `from`, `to`, cause, tokens) VALUES {values}"))
        .await;
    for (statement, expected) in [(gaps(&some, &window), 2), (gaps(&Selection::all(), &window), 3)] {
        let bytes = reader.stream(&statement, Format::Csv).await.unwrap().collect().await.unwrap();
        assert_eq!(count(bytes), expected + 1, "beside the header");
    }
    let day = Date::constant(2026, 11, 19);
    let instruments =
        Instruments { exchange: "nse".to_owned(), names: vec!["other".to_owned()], ..Instruments::default() };
    let bytes =
        reader.stream(&instruments.statement(day), Format::Ndjson).await.unwrap().collect().await.unwrap();
    assert_eq!(count(bytes), 1);
}
