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
}

impl StoreError {
    /// A statement that stores no ticks failed.
    pub const fn query(doing: &'static str, source: clickhouse::error::Error) -> Self {
        Self::Query { doing, source }
    }
}
