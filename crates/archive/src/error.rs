//! What can go wrong on the way to files and back.

use std::path::PathBuf;

/// What can go wrong on the way to files and back.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArchiveError {
    /// ClickHouse refused a statement, or did not answer.
    #[error("could not {doing}")]
    ClickHouse {
        /// What it was for.
        doing: String,
        /// Why.
        #[source]
        source: clickhouse::error::Error,
    },
    /// A file or folder can't be read or written.
    #[error("{}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A manifest that is none, or of a newer program.
    #[error("{} is no manifest that this program reads: {problem}", path.display())]
    Manifest {
        /// Which.
        path: PathBuf,
        /// Why.
        problem: String,
    },
}

impl ArchiveError {
    /// For `map_err` of statements.
    pub(crate) fn clickhouse(doing: impl Into<String>) -> impl FnOnce(clickhouse::error::Error) -> Self {
        let doing = doing.into();
        |source| Self::ClickHouse { doing, source }
    }

    /// For `map_err` of files.
    pub(crate) fn file(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        |source| Self::File { path, source }
    }
}
