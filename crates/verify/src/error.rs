//! Why there is no verdict.

use tickhouse_journal::JournalError;
use tickhouse_model::{FrameId, RecordError};
use tickhouse_read::ReadError;

/// Why there is no verdict.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// The journals' directory can't be listed.
    #[error("the journals can't be listed")]
    Listing(#[source] JournalError),
    /// A journal can't be read.
    #[error("the journal of socket {socket} of {recorder} can't be read")]
    Journal {
        /// Whose.
        recorder: String,
        /// Which.
        socket: u16,
        /// Why.
        #[source]
        source: JournalError,
    },
    /// A record that fits its checksum says nothing that this version understands.
    #[error("record {id} of the journal can't be decoded: a newer version wrote it?")]
    Record {
        /// Which.
        id: FrameId,
        /// Why.
        #[source]
        source: RecordError,
    },
    /// ClickHouse does not answer as it should.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// It was asked to stop.
    #[error("stopped before the end: nothing is proven")]
    Stopped,
    /// A thread died.
    #[error("reading a journal failed")]
    Thread(#[from] tokio::task::JoinError),
}
