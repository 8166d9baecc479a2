//! What can go wrong with publishing.

use std::path::PathBuf;
use tickhouse_stream::StreamError;

/// What ends publishing. A bad line or a feed that does not answer does not.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NewsError {
    /// Redis.
    #[error(transparent)]
    Stream(#[from] StreamError),
    /// The lines can't be read.
    #[error("the lines can't be read after line {line}")]
    Read {
        /// The last line that was read.
        line: u64,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// What a poller remembers can't be written.
    #[error("{path} can't be written")]
    State {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// No HTTP client can be made.
    #[error("no HTTP client")]
    Client(#[source] reqwest::Error),
}
