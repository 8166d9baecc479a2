//! The connection itself: nothing is written, nothing is pasted, nothing that broke off looks whole.

use crate::{reader, run, store};
use jiff::civil::Date;
use serde::Deserialize;
use tickhouse_embed::READER;
use tickhouse_embed::testkit::TestEngine;
use tickhouse_model::Timestamp;
use tickhouse_read::{Answer, ComputedRows, Format, ReadError, Reader, ReaderOptions, Statement};

#[derive(Debug, PartialEq, Deserialize)]
struct Value {
    value: String,
}

#[tokio::test]
async fn parameters_are_values_whatever_they_hold() {
    let reader = reader(&store("read_parameters").await);
    for text in [
        "plain",
        "a'b\"c`d",
        "back\\slash \\n",
        "tab\tline\nreturn\rnul\0",
        "{x:String}",
        "'; DROP TABLE tick_data --",
        "é✓",
    ] {
        let statement = Statement::new("SELECT {text:String} AS value").with("text", text);
        assert_eq!(reader.rows::<Value>(&statement).await.unwrap(), [Value { value: text.to_owned() }]);
        let list = [text.to_owned(), "other".to_owned()];
        let statement =
            Statement::new("SELECT {list:Array(String)}[1] AS value").with("list", list.as_slice());
        assert_eq!(reader.rows::<Value>(&statement).await.unwrap(), [Value { value: text.to_owned() }]);
    }
    let statement = Statement::new("SELECT concat(toString({at:DateTime64(3, 'UTC')}), ' ', toString({day:Date}), ' ', toString({n:Array(UInt32)})) AS value")
        .with("at", Timestamp::from_text("2026-11-20 10:15:30.125").unwrap())
        .with("day", Date::constant(2026, 11, 20))
        .with("n", [1_u32, 2].as_slice());
    let expected = "2026-11-20 04:45:30.125 2026-11-20 [1,2]";
    assert_eq!(reader.rows::<Value>(&statement).await.unwrap()[0].value, expected);
}

/// A reader of the user that dashboards are, and one of the user who may do everything: both can't write.
#[tokio::test]
async fn nobody_writes_through_a_reader() {
    let store = store("read_only").await;
    let engine = TestEngine::shared().await.engine();
    let everything = reader(&store);
    let password = engine.credentials().reader_password.clone();
    let least =
        Reader::new(ReaderOptions { user: READER.to_owned(), password, ..everything.options().clone() });
    for reader in [everything, least] {
        for sql in [
            "INSERT INTO candles (instrument_token) VALUES (1)",
            "DROP TABLE candles",
            "TRUNCATE TABLE candles",
        ] {
            let refused = reader.stream(&Statement::new(sql), Format::Csv).await;
            assert!(matches!(refused, Err(ReadError::Refused { .. })), "{sql}: {refused:?}");
        }
        let rows: Vec<Value> =
            reader.rows(&Statement::new("SELECT toString(count()) AS value FROM candles")).await.unwrap();
        assert_eq!(rows[0].value, "0");
        let computed = ComputedRows {
            columns: vec![("price", "Float64")],
            ndjson: b"{\"price\":1.5}\n{\"price\":2}\n".to_vec(),
        };
        let answer =
            reader.present(Answer::Rows(computed), Format::Csv).await.unwrap().collect().await.unwrap();
        assert_eq!(String::from_utf8(answer).unwrap(), "\"price\"\n1.5\n2\n");
    }
}

#[tokio::test]
async fn an_answer_that_broke_off_is_an_error() {
    let reader = reader(&store("read_late").await);
    let sql = "SELECT number, throwIf(number = 9000000, 'boom') FROM numbers(9500000) SETTINGS max_block_size = 1000";
    for format in [Format::Csv, Format::Ndjson, Format::ArrowStream] {
        let mut stream = match reader.stream(&Statement::new(sql), format).await {
            Ok(stream) => stream,
            Err(ReadError::Refused { words }) => panic!("refused before the first row: {words}"),
            Err(error) => panic!("{error}"),
        };
        let error = loop {
            match stream.next().await {
                Ok(Some(_)) => {}
                Ok(None) => panic!("{format:?}: the answer looks whole"),
                Err(error) => break error,
            }
        };
        assert!(error.to_string().contains("boom"), "{format:?}: {error}");
    }
}

#[tokio::test]
async fn computed_rows_take_every_format() {
    let reader = reader(&store("read_formats").await);
    let columns = [("start", "DateTime64(3, 'Asia/Kolkata')"), ("open", "Float64"), ("complete", "Bool")];
    let row = serde_json::json!({ "start": "2026-11-20 09:15:00.000", "open": 100.05, "complete": true });
    let rows = ComputedRows::new(&columns, [row]).unwrap();
    let present = async |format| {
        reader.present(Answer::Rows(rows.clone()), format).await.unwrap().collect().await.unwrap()
    };
    assert_eq!(
        present(Format::Csv).await,
        b"\"start\",\"open\",\"complete\"\n\"2026-11-20 09:15:00.000\",100.05,true\n"
    );
    assert_eq!(
        String::from_utf8(present(Format::JsonRows).await).unwrap(),
        "[\"start\", \"open\", \"complete\"]\n[\"DateTime64(3, 'Asia\\/Kolkata')\", \"Float64\", \"Bool\"]\n\
         [\"2026-11-20 09:15:00.000\", 100.05, true]\n"
    );
    assert!(present(Format::Parquet).await.starts_with(b"PAR1"));
    assert!(present(Format::Arrow).await.starts_with(b"ARROW1"));
    assert!(present(Format::ArrowStream).await.starts_with(&[0xff; 4]));
}

#[tokio::test]
async fn a_name_means_an_instrument_of_a_day() {
    let store = store("read_instruments").await;
    run(&store, "INSERT INTO instruments (instrument_token, symbol, tradingsymbol, underlying, exchange, segment, instrument_type, expiry, strike, valid_from, valid_to) VALUES \
        (256265, 'NIFTY', 'NIFTY 50', 'NIFTY 50', 'NSE', 'INDICES', 'INDEX', '1970-01-01', 0, '1970-01-01', '2149-06-06'), \
        (408065, 'INFY', 'INFY', 'INFOSYS', 'NSE', 'NSE', 'EQ', '1970-01-01', 0, '1970-01-01', '2149-06-06'), \
        (128053508, 'INFY', 'INFY', 'INFOSYS', 'BSE', 'BSE', 'EQ', '1970-01-01', 0, '1970-01-01', '2149-06-06'), \
        (11, 'INFY26NOVFUT', 'INFY26NOVFUT', 'INFY', 'NFO', 'NFO-FUT', 'FUT', '2026-11-26', 0, '2026-09-01', '2026-11-26'), \
        (12, 'OLD', 'OLD', 'OLD', 'NSE', 'NSE', 'EQ', '1970-01-01', 0, '2026-01-01', '2026-11-19'), \
        (12, 'NEW', 'NEW', 'NEW', 'NSE', 'NSE', 'EQ', '1970-01-01', 0, '2026-11-20', '2149-06-06')").await;
    run(
        &store,
        "INSERT INTO token_metadata (instrument_token, symbol) VALUES (256265, 'NIFTY'), (408065, 'INFY')",
    )
    .await;
    let reader = reader(&store);
    let day = Date::constant(2026, 11, 20);
    let token =
        async |name: &str, day| reader.instrument(name, day).await.map(|found| found.instrument.token.0);
    assert_eq!(token("NIFTY", day).await.unwrap(), 256_265);
    assert_eq!(token("nifty 50", day).await.unwrap(), 256_265);
    assert_eq!(token("infy", day).await.unwrap(), 408_065);
    assert_eq!(token("BSE:INFY", day).await.unwrap(), 128_053_508);
    assert_eq!(token("408065", day).await.unwrap(), 408_065);
    let symbol = async |day| reader.instrument("12", day).await.unwrap().instrument.symbol;
    assert_eq!(
        (symbol(Date::constant(2026, 11, 19)).await, symbol(day).await),
        ("OLD".to_owned(), "NEW".to_owned())
    );
    let infosys = reader.instrument("INFY", day).await.unwrap();
    assert_eq!(infosys.market.name(), "NSE-CAS", "a share with derivatives closes by auction");
    let error = token("INFI", day).await.unwrap_err().to_string();
    assert!(error.contains("did you mean INFY"), "{error}");
    assert!(token("INFY26NOVFUT", Date::constant(2026, 11, 27)).await.is_err(), "expired");
}
