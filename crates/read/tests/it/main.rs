//! Reading from a real engine.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bars;
mod chain;
mod named;
mod reader;
mod ticks;

use tickhouse_embed::testkit::TestEngine;
use tickhouse_read::{Reader, ReaderOptions};
use tickhouse_store::{SchemaOptions, Store, StoreOptions, migrate};

/// A database of its own with the schema, in the shared engine.
pub(crate) async fn store(database: &str) -> Store {
    let engine = TestEngine::shared().await;
    let store = Store::new(StoreOptions { database: database.to_owned(), ..StoreOptions::at(engine.url()) });
    migrate(&store, SchemaOptions::default(), false).await.unwrap();
    store
}

/// A reader of the same database.
pub(crate) fn reader(store: &Store) -> Reader {
    let options = store.options();
    Reader::new(ReaderOptions {
        database: options.database.clone(),
        ..ReaderOptions::at(options.url.as_str())
    })
}

/// Runs a statement that may write.
pub(crate) async fn run(store: &Store, sql: &str) {
    store.client().query_raw(sql).execute().await.unwrap_or_else(|error| panic!("{sql}: {error}"));
}
