//! Why a loader starts again from what is durable.

use tickhouse_store::StoreError;
use tickhouse_stream::StreamError;
use uuid::Uuid;

/// Why a loader stopped reading. None of these loses anything: it starts again from the seals and marks in ClickHouse.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// Redis.
    #[error(transparent)]
    Stream(#[from] StreamError),
    /// ClickHouse.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Rows of a batch are missing after inserts that were answered cleanly.
    #[error("batch {batch_id}: {table} has {found} of {expected} rows after a confirmed insert")]
    Missing {
        /// The batch.
        batch_id: Uuid,
        /// Which table.
        table: String,
        /// Rows that were counted.
        found: u64,
        /// Rows that there should be.
        expected: u64,
    },
    /// Entries of an unconfirmed batch are not in Redis (yet).
    #[error(
        "batch {batch_id}: {found} of {expected} entries of {stream} are in redis; waiting for its publisher"
    )]
    EntriesMissing {
        /// The batch.
        batch_id: Uuid,
        /// Which stream.
        stream: String,
        /// Entries that were read.
        found: usize,
        /// Entries that the seal names.
        expected: u32,
    },
}
