//! Files out of a real engine, and back.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod backup;
mod backup_s3;
mod export;
mod retention;

use tickhouse_embed::testkit::TestEngine;
use tickhouse_store::{SchemaOptions, Store, StoreOptions, migrate};

/// A database of its own with the schema.
pub(crate) async fn store(database: &str) -> Store {
    let engine = TestEngine::shared().await;
    let store = Store::new(StoreOptions { database: database.to_owned(), ..StoreOptions::at(engine.url()) });
    migrate(&store, SchemaOptions::default(), false).await.unwrap();
    store
}

/// What a statement answers, tab-separated.
pub(crate) async fn ask(store: &Store, sql: &str) -> String {
    let bytes = store.client().query_raw(sql).fetch_bytes("TabSeparated").unwrap().collect().await;
    let bytes = bytes.unwrap_or_else(|error| panic!("{sql}: {error}"));
    String::from_utf8(bytes.to_vec()).unwrap().trim_end().to_owned()
}

pub(crate) async fn run(store: &Store, sql: &str) {
    store.client().query_raw(sql).execute().await.unwrap_or_else(|error| panic!("{sql}: {error}"));
}

/// Ticks of a day from 09:15 on, a second apart: as many of each symbol, with values that differ from row to row.
pub(crate) async fn ticks(store: &Store, day: &str, symbols: &[&str], each: u32) {
    let names: Vec<String> =
        symbols.iter().map(|name| format!("'{}'", name.replace('\\', "\\\\").replace('\'', "\\'"))).collect();
    run(
        store,
        &format!(
            "INSERT INTO tick_data (instrument_token, symbol, exchange, timestamp, exchange_timestamp, last_price, volume, \
             packet_type, session_type, data_quality, batch_id, sequence, recorder) SETTINGS async_insert = 0 \
             SELECT toUInt32(256 * (number % {0} + 1) + 1) AS instrument_token, [{1}][number % {0} + 1] AS symbol, 'NSE', \
             toDateTime64('{day} 09:15:00', 3, 'Asia/Kolkata') + intDiv(number, {0}) + number % 7 / 10 AS timestamp, \
             toStartOfSecond(timestamp), 100 + cityHash64(number, '{day}') % 20000 / 20, number * 3, 'full', 'regular', 'enriched', \
             '0b0b0b0b-0000-8000-8000-00000000000a', number + 1, 'test' FROM numbers({2})",
            symbols.len(),
            names.join(", "),
            each as usize * symbols.len(),
        ),
    )
    .await;
}
