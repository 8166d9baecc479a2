//! Why following ends.

use tickhouse_read::ReadError;
use tickhouse_stream::{Disposition, StreamError};

/// Why following ends. What passes by itself (a server that restarts) ends it only at its begin, where it is more likely to be a
/// wrong address.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FollowError {
    /// Redis.
    #[error(transparent)]
    Stream(#[from] StreamError),
    /// ClickHouse.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// More instruments than a table holds.
    #[error(transparent)]
    Instruments(#[from] tickhouse_enrich::TableFull),
}

impl FollowError {
    /// Whether trying again later may help.
    pub(crate) fn passes(&self) -> bool {
        match self {
            Self::Stream(error) => error.disposition() != Disposition::Stop,
            Self::Read(error) => {
                !matches!(error, ReadError::UnknownInstrument { .. } | ReadError::Ambiguous { .. })
            }
            Self::Instruments(_) => false,
        }
    }
}
