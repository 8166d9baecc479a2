//! Days on which the plain reading of a column is wrong: totals of the day before, tokens used again, books emptied by the close.

use super::{ask, day, near, number, question, text};
use crate::{reader, run, store};
use serde_json::Value;
use tickhouse_model::Timestamp;
use tickhouse_read::{NamedQuery, Question, Reader, Session, Statement, Window};

const COLUMNS: &str = "instrument_token, symbol, exchange, timestamp, exchange_timestamp, last_price, open_price, high_price, low_price, \
     close_price, volume, last_traded_quantity, open_interest, bid_1_price, ask_1_price, packet_type, session_type, data_quality, sequence";

async fn insert(store: &tickhouse_store::Store, rows: &[String]) {
    run(store, &format!("INSERT INTO tick_data ({COLUMNS}) VALUES {}", rows.join(", "))).await;
}

#[tokio::test]
async fn totals_of_the_day_before_do_not_count() {
    let (store, mut rows) = (store("named_stale").await, Vec::new());
    let mut tick = |time: &str,
                    session: &str,
                    (last, high, low, close): (f64, f64, f64, f64),
                    volume,
                    quantity| {
        let number = rows.len() + 1;
        rows.push(format!(
            "(5001, 'STALE', 'NSE', '2026-11-20 {time}', '2026-11-20 {time}', {last}, {low}, {high}, {low}, {close}, \
             {volume}, {quantity}, 0, 0, 0, 'full', '{session}', 'enriched', {number})"
        ));
    };
    tick("08:55:00", "closed", (90.0, 199.0, 80.0, 170.0), 5_000_000, 7);
    tick("09:15:10", "regular", (101.0, 101.0, 101.0, 90.0), 100, 100);
    tick("09:15:20", "regular", (102.0, 103.0, 100.0, 90.0), 300, 5);
    insert(&store, &rows).await;
    let reader = reader(&store);

    let any = Question { session: Some(Session::Any), ..day(&[]) };
    let gainers = ask(&reader, "gainers", &any).await;
    assert_eq!(gainers.len(), 1);
    near(number(&gainers[0], "previous_close"), 90.0, "previous close");
    near(number(&gainers[0], "day_high"), 103.0, "high");
    near(number(&gainers[0], "day_low"), 100.0, "low");
    near(number(&gainers[0], "day_volume"), 300.0, "volume");

    let latest = ask(&reader, "latest", &any).await;
    near(number(&latest[0], "latest_volume"), 300.0, "latest volume");
    near(number(&latest[0], "change"), 12.0, "change from the previous close");
    near(number(&ask(&reader, "volume", &any).await[0], "total_volume"), 300.0, "total");
    for (query, volume) in [("volume-by-minute", "total_volume"), ("ohlc", "volume")] {
        let bars = ask(&reader, query, &day(&["STALE"])).await;
        let opened = bars.iter().find(|bar| bar["minute"] == "2026-11-20 09:15:00").unwrap();
        near(number(opened, volume), 300.0, query);
        near(number(opened, "complete"), 1.0, query);
    }

    let vwap = ask(&reader, "vwap", &day(&["STALE"])).await;
    near(number(&vwap[0], "traded_volume"), 300.0, "traded");
    near(number(&vwap[0], "vwap"), (100.0 * 101.0 + 200.0 * 102.0) / 300.0, "vwap");

    // after the close the day's own totals come on: these do count
    let mut rows = rows.clone();
    rows.truncate(1);
    rows[0] = rows[0].replace("08:55:00", "15:45:00").replace("5000000", "350").replace(", 1)", ", 9)");
    insert(&store, &rows).await;
    near(number(&ask(&reader, "gainers", &any).await[0], "day_volume"), 350.0, "volume after the close");
    near(
        number(&ask(&reader, "vwap", &day(&["STALE"])).await[0], "traded_volume"),
        350.0,
        "traded till the end",
    );
}

#[tokio::test]
async fn depth_is_the_last_book_that_was_not_empty() {
    let store = store("named_books").await;
    let row = |token: u32, time: &str, bid: f64, ask: f64| {
        format!(
            "({token}, 'B{token}', 'NSE', '2026-11-20 {time}', '2026-11-20 {time}', 50, 50, 50, 50, 50, 9, 1, 0, {bid}, {ask}, \
             'full', 'regular', 'enriched', 1)"
        )
    };
    insert(
        &store,
        &[
            row(1, "10:00:00", 48.0, 52.0),
            row(1, "10:00:03", 49.0, 51.0),
            row(1, "15:30:05", 0.0, 0.0),
            row(2, "10:00:00", 10.0, 11.0),
            row(2, "10:00:07", 0.0, 12.0),
            row(3, "10:00:00", 0.0, 0.0),
        ],
    )
    .await;
    let reader = reader(&store);
    for names in [["1", "2", "3"], ["B1", "B2", "B3"]] {
        let depth = ask(&reader, "depth", &day(&names)).await;
        let found: Vec<(&str, f64, f64)> = depth
            .iter()
            .map(|row| (text(row, "symbol"), number(row, "bid_price"), number(row, "ask_price")))
            .collect();
        assert_eq!(found, [("B1", 49.0, 51.0), ("B2", 0.0, 12.0)]);
        assert!(text(&depth[0], "timestamp").starts_with("2026-11-20 10:00:03"));
    }
}

#[tokio::test]
async fn a_token_used_again_is_another_instrument() {
    let store = store("named_again").await;
    let row = |symbol: &str, time: &str, price: f64| {
        format!(
            "(5003, '{symbol}', 'NFO', '2026-11-{time}', '2026-11-{time}', {price}, 1, 1, 1, 1, 4, 4, 50, {price}, {price} + 1, \
             'full', 'regular', 'enriched', 1)"
        )
    };
    insert(
        &store,
        &[
            row("OLDCE", "19 10:00:00", 10.0),
            row("OLDCE", "19 10:01:00", 11.0),
            row("NEWCE", "20 10:00:00", 500.0),
            row("NEWCE", "20 10:01:00", 501.0),
        ],
    )
    .await;
    let reader = reader(&store);
    let at = |text| Timestamp::from_text(text).unwrap();
    let both = |names: &[&str]| Question {
        window: Window::new(at("2026-11-19 00:00"), at("2026-11-21 00:00")).unwrap(),
        ..question(names, "00:00", "01:00")
    };
    for name in ["range", "ohlc", "oi", "volume-by-minute"] {
        let rows = ask(&reader, name, &both(&["OLDCE"])).await;
        assert_eq!(rows.len(), 2, "{name}: {rows:?}");
        assert!(rows.iter().all(|row| text(row, "symbol") == "OLDCE"), "{name}: {rows:?}");
        assert_eq!(ask(&reader, name, &both(&["5003"])).await.len(), 4, "{name} by token");
    }
    for name in ["spread", "movers", "ohlc", "oi"] {
        let rows = ask(&reader, name, &both(&[])).await;
        let of = |symbol: &str| rows.iter().filter(|row| text(row, "symbol") == symbol).count();
        assert_eq!(of("OLDCE"), of("NEWCE"), "{name}: {rows:?}");
        assert!(of("OLDCE") > 0, "{name}: {rows:?}");
    }
    for name in ["vwap", "movers"] {
        let rows = ask(&reader, name, &both(&["OLDCE"])).await;
        assert_eq!(rows.len(), 1, "{name}");
        let first = number(&rows[0], "first_price");
        near(first, 10.0, name);
        near(number(&rows[0], "tick_count"), 2.0, name);
    }
}

/// What is asked for by token is found by the table's key, without a look at names.
#[tokio::test]
async fn tokens_alone_are_read_by_key() {
    let store = store("named_keys").await;
    let reader = reader(&store);
    insert(
        &store,
        &["(7, 'X', 'NSE', '2026-11-20 10:00:00', '2026-11-20 10:00:00', 1, 1, 1, 1, 1, 1, 1, 0, 1, 2, 'full', 'regular', 'enriched', 1)"
            .to_owned()],
    )
    .await;
    for name in ["range", "vwap"] {
        let plan = plan(&reader, name, &["7"]).await;
        assert!(plan.contains("instrument_token in 1-element set"), "{name}: {plan}");
        assert!(!plan.contains("latest_prices"), "{name}: {plan}");
    }
}

async fn plan(reader: &Reader, name: &str, names: &[&str]) -> String {
    let statement = NamedQuery::find(name).unwrap().statement(&day(names)).unwrap();
    let mut explained = Statement::new(format!("EXPLAIN indexes = 1 {}", statement.sql()));
    for (name, value) in statement.parameters() {
        explained = explained.with(name.to_owned(), value);
    }
    let rows: Vec<Value> = reader.rows(&explained).await.unwrap();
    rows.iter().map(|row| text(row, "explain").to_owned() + "\n").collect()
}
