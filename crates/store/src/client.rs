//! How ClickHouse is reached, and the settings that every statement carries.

use crate::StoreError;
use clickhouse::{Client, Compression};
use std::fmt;

/// Where ClickHouse is, and as whom to speak to it. Its `Debug` hides the password.
#[derive(Clone, PartialEq, Eq)]
pub struct StoreOptions {
    /// `http://127.0.0.1:8123`, or `https://…` for a server elsewhere.
    pub url: String,
    /// Database of the tables.
    pub database: String,
    /// User; `default` on a fresh server.
    pub user: String,
    /// Password, empty for none.
    pub password: String,
    /// LZ4 on the connection: worth it over a network, not on one machine.
    pub compress: bool,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            url: "http://127.0.0.1:8123".to_owned(),
            database: "trading".to_owned(),
            user: "default".to_owned(),
            password: String::new(),
            compress: false,
        }
    }
}

impl StoreOptions {
    /// The defaults with another URL.
    pub fn at(url: impl Into<String>) -> Self {
        Self { url: url.into(), ..Self::default() }
    }
}

impl fmt::Debug for StoreOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreOptions")
            .field("url", &self.url)
            .field("database", &self.database)
            .field("user", &self.user)
            .field("compress", &self.compress)
            .finish_non_exhaustive()
    }
}

/// A handle on the database. Cloning is cheap; clones share connections.
#[derive(Clone, Debug)]
pub struct Store {
    client: Client,
    inserts: Client,
    options: StoreOptions,
}

impl Store {
    /// A handle; nothing is sent yet.
    pub fn new(options: StoreOptions) -> Self {
        let compression = if options.compress { Compression::Lz4 } else { Compression::None };
        let client = Client::default()
            .with_url(&options.url)
            .with_user(&options.user)
            .with_password(&options.password)
            .with_database(&options.database)
            .with_compression(compression)
            // our statements name their columns and types; a DESCRIBE per query would double the round trips
            .with_validation(false);
        // sent explicitly, because defaults change: async_insert is on since 26.3 and acknowledges coalesced batches
        let inserts = client
            .clone()
            .with_setting("async_insert", "0")
            .with_setting("wait_end_of_query", "1")
            .with_setting("deduplicate_blocks_in_dependent_materialized_views", "1")
            .with_setting("materialized_views_ignore_errors", "0")
            .with_setting("max_insert_block_size", "1048449")
            .with_setting("max_partitions_per_insert_block", "100");
        Self { client, inserts, options }
    }

    /// For queries.
    pub const fn client(&self) -> &Client {
        &self.client
    }

    /// For inserts: every setting that decides what an acknowledgement means is sent.
    pub const fn insert_client(&self) -> &Client {
        &self.inserts
    }

    /// What it was made of.
    pub const fn options(&self) -> &StoreOptions {
        &self.options
    }

    /// Whether the server answers.
    ///
    /// # Errors
    /// When it does not, or refuses the user.
    pub async fn ping(&self) -> Result<(), StoreError> {
        let answer = self.client.query("SELECT 1").fetch_one::<u8>().await;
        answer.map(drop).map_err(|source| StoreError::query("reach ClickHouse", source))
    }
}
