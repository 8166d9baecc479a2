//! A ClickHouse of its own, with data in a temporary directory that is gone at the end, or in one that is kept.

use anyhow::Context as _;
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;
use tickhouse_embed::{Engine, EngineOptions};
use tickhouse_store::{SchemaOptions, Store, StoreOptions, migrate};

const MEMORY_BYTES: u64 = 6 << 30;

/// A running engine.
#[derive(Debug)]
pub(crate) struct ClickHouse {
    pub(crate) engine: Engine,
    _directory: Option<TempDir>,
}

impl ClickHouse {
    pub(crate) async fn start(tickhouse: &Path) -> anyhow::Result<Self> {
        let directory = tempfile::tempdir()?;
        let engine = Self::engine(tickhouse, directory.path()).await?;
        Ok(Self { engine, _directory: Some(directory) })
    }

    /// One whose data stays in a directory, for the next run.
    pub(crate) async fn start_in(tickhouse: &Path, directory: &Path) -> anyhow::Result<Self> {
        Ok(Self { engine: Self::engine(tickhouse, directory).await?, _directory: None })
    }

    async fn engine(tickhouse: &Path, directory: &Path) -> anyhow::Result<Engine> {
        let options = EngineOptions {
            http_port: 0,
            tcp_port: 0,
            memory_bytes: MEMORY_BYTES,
            log_level: "warning".to_owned(),
            ..EngineOptions::new(tickhouse, directory)
        };
        Engine::start(options).await.context("the ClickHouse engine does not start")
    }

    /// A handle on a new database with the whole schema, views included.
    pub(crate) async fn database(&self, name: &str) -> anyhow::Result<Store> {
        let options = StoreOptions { database: name.to_owned(), ..StoreOptions::at(self.engine.url()) };
        let store = Store::new(options);
        migrate(&store, SchemaOptions::default(), false).await?;
        Ok(store)
    }
}

/// Runs a statement.
pub(crate) async fn run(store: &Store, sql: &str) -> anyhow::Result<()> {
    store.client().query_raw(sql).execute().await.with_context(|| sql.to_owned())
}

/// The answer of a query as text.
pub(crate) async fn ask(store: &Store, sql: &str) -> anyhow::Result<String> {
    let bytes = store.client().query_raw(sql).fetch_bytes("TabSeparated")?.collect().await;
    let bytes = bytes.with_context(|| sql.to_owned())?;
    Ok(String::from_utf8(bytes.to_vec())?.trim_end().to_owned())
}

/// Drops a database for good, and waits until the engine has nothing left to merge.
pub(crate) async fn drop_database(store: &Store) -> anyhow::Result<()> {
    run(store, &format!("DROP DATABASE {} SYNC", store.options().database)).await?;
    while ask(&in_default(store), "SELECT count() FROM system.merges").await? != "0" {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

fn in_default(store: &Store) -> Store {
    Store::new(StoreOptions { database: "default".to_owned(), ..store.options().clone() })
}
