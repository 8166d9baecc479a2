//! Candles on a real engine and a simulated Kite.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod backfill;
mod import;

use std::path::Path;
use std::sync::Arc;
use tickhouse_embed::testkit::TestEngine;
use tickhouse_enrich::{Calendar, Rules};
use tickhouse_history::TickMirror;
use tickhouse_store::{SchemaOptions, Store, StoreOptions, migrate};
use tickhouse_telemetry::Clock;

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

pub(crate) fn mirror(store: &Store, folder: &Path) -> TickMirror {
    TickMirror {
        store: store.clone(),
        clock: Clock::system(),
        calendar: Arc::new(Calendar::clone(&Calendar::builtin())),
        rules: Arc::new(Rules::builtin().clone()),
        batch_rows: 1_000,
        lock: folder.join("candles.lock"),
    }
}
