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
    /// A question was refused, or not answered.
    #[error("could not {doing}")]
    Read {
        /// What it was for.
        doing: String,
        /// Why.
        #[source]
        source: tickhouse_read::ReadError,
    },
    /// There is no such table.
    #[error("there is no table {table}: create the schema with `tickhouse migrate`")]
    NoTable {
        /// Which.
        table: String,
    },
    /// Another process writes the folder.
    #[error("another export or retention writes {}: wait for it, or take another folder", folder.display())]
    Busy {
        /// Which.
        folder: PathBuf,
    },
    /// A backup, a restore or a retention of this data directory runs.
    #[error("a backup, a restore or another retention is running ({} is locked): wait for its end", path.display())]
    Locked {
        /// The lock.
        path: PathBuf,
    },
    /// What was asked for does not go together.
    #[error("{0}")]
    Request(String),
    /// A file was read back and does not hold what the table holds.
    #[error("{} was read back and holds other rows than the table: is the disk or the memory at fault?", path.display())]
    Damaged {
        /// Which; it was taken away.
        path: PathBuf,
    },
    /// The rows of a file changed every time it was written.
    #[error(
        "the rows of {path} changed {attempts} times while they were written: run it again when they are at rest"
    )]
    Unsteady {
        /// Which.
        path: String,
        /// How often it was written.
        attempts: u32,
    },
}

impl ArchiveError {
    /// For `map_err` of statements.
    pub(crate) fn clickhouse(doing: impl Into<String>) -> impl FnOnce(clickhouse::error::Error) -> Self {
        let doing = doing.into();
        |source| Self::ClickHouse { doing, source }
    }

    /// For `map_err` of questions.
    pub(crate) fn read(doing: impl Into<String>) -> impl FnOnce(tickhouse_read::ReadError) -> Self {
        let doing = doing.into();
        |source| Self::Read { doing, source }
    }

    /// For `map_err` of files.
    pub(crate) fn file(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        |source| Self::File { path, source }
    }
}
