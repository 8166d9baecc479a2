//! What can go wrong with ClickHouse.

use uuid::Uuid;

/// What can go wrong with ClickHouse.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// A statement that stores no ticks failed.
    #[error("could not {doing}")]
    Query {
        /// What it was for.
        doing: &'static str,
        /// Why.
        #[source]
        source: clickhouse::error::Error,
    },
    /// A statement of a migration failed.
    #[error(
        "migration {number} failed at `{statement}`: what was applied before it stays, run it again when mended"
    )]
    Migration {
        /// Which.
        number: u32,
        /// First line of the statement.
        statement: String,
        /// Why.
        #[source]
        source: clickhouse::error::Error,
    },
    /// A migration that was applied has another text now.
    #[error(
        "migration {number} ({name}) was applied with another text: this program's migrations were edited, use a released one"
    )]
    MigrationChanged {
        /// Which.
        number: u32,
        /// Its name.
        name: String,
    },
    /// The database was made by a newer program.
    #[error(
        "the database has migration {number} ({name}), this program knows {known}: use a newer tickhouse"
    )]
    SchemaNewer {
        /// Which.
        number: u32,
        /// Its name.
        name: String,
        /// Migrations that this program has.
        known: u32,
    },
    /// An insert failed, or its answer was lost: the rows may be there.
    #[error("insert of batch {batch_id} into {table} was not confirmed")]
    Insert {
        /// Table.
        table: String,
        /// Batch.
        batch_id: Uuid,
        /// Why.
        #[source]
        source: clickhouse::error::Error,
    },
    /// A whole master lists less than half of what an exchange has.
    #[error(
        "the master lists {listed} instruments of {exchange}, of which {live} are live: was it cut, or is it of another day? \
         If it is right, say --allow-shrink"
    )]
    MasterShrinks {
        /// Exchange.
        exchange: String,
        /// What the master has.
        listed: u64,
        /// What is stored as live on its day.
        live: u64,
    },
}

impl StoreError {
    /// A statement that stores no ticks failed.
    pub const fn query(doing: &'static str, source: clickhouse::error::Error) -> Self {
        Self::Query { doing, source }
    }
}
