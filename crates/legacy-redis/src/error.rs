//! What can go wrong with an import.

use redis::RedisError;
use std::path::PathBuf;
use tickhouse_stream::StreamError;

/// What ends an import. Run again, it goes on where it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// The source.
    #[error("the source at {endpoint} fails while {doing}; run the import again to go on")]
    Source {
        /// Host and port.
        endpoint: String,
        /// What was being done.
        doing: &'static str,
        /// Why.
        #[source]
        source: RedisError,
    },
    /// The Redis that is published to.
    #[error(transparent)]
    Stream(#[from] StreamError),
    /// A file of the import.
    #[error("{path} fails")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A file of the import is not as it was written.
    #[error("{path} is damaged: {what}; delete {folder} to begin anew under another name")]
    Damaged {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        what: String,
        /// The folder of the import.
        folder: PathBuf,
    },
    /// The folder belongs to an import of something else.
    #[error("{folder} is an import of {found}, not of {wanted}: give this one another name")]
    OtherSource {
        /// The folder.
        folder: PathBuf,
        /// What it imports.
        found: String,
        /// What was asked for.
        wanted: String,
    },
    /// The folder belongs to an import that was begun with other rules.
    #[error(
        "{folder} was begun with other rules, and records of both would be mixed: go on with the rules it was begun \
         with, or give this import another name"
    )]
    OtherRules {
        /// The folder.
        folder: PathBuf,
    },
    /// Another process has the folder.
    #[error(
        "{folder} is being imported by another process: wait for its end, or give this import another name"
    )]
    Busy {
        /// The folder.
        folder: PathBuf,
    },
    /// A stream of this name is there, and nothing on disk tells what was published to it.
    #[error(
        "{stream} was written by an import that this data directory knows nothing of: give this one another name"
    )]
    Stranger {
        /// The stream.
        stream: String,
    },
    /// A name that can't be one.
    #[error("`{0}` can't be the name of an import: use letters, digits, - and _, and begin with a letter")]
    Name(String),
}
