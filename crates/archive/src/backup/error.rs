//! Why there is no backup, or no restored database, and what to do.

use crate::ArchiveError;
use std::path::PathBuf;
use tickhouse_store::StoreError;

/// Why there is no backup, or no restored database.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// A statement or a file.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// The schema.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The database has no tables of ours.
    #[error("database {database} has no schema of Tickhouse: there is nothing to back up")]
    NoSchema {
        /// Which.
        database: String,
    },
    /// Another backup or restore of this data directory runs, or a retention.
    #[error("another backup or restore, or a retention, is running ({} is locked): wait for its end", path.display())]
    Busy {
        /// The lock.
        path: PathBuf,
    },
    /// Rows are in a table beside the one that they are of, where nothing would find them once restored.
    #[error(
        "rows were moved aside into {tables} by a retention that did not end: run `tickhouse retention apply` once, which puts them \
         back or finishes, and then this again"
    )]
    MovedAside {
        /// Which.
        tables: String,
    },
    /// Neither a folder nor an address of S3.
    #[error("{address:?} is no place for backups: {problem}")]
    Address {
        /// As given, without what might be a secret.
        address: String,
        /// Why.
        problem: &'static str,
    },
    /// An incremental backup needs one before it.
    #[error(
        "{place} has no whole backup of database {database} by method {method}: make a full one first, without --incremental"
    )]
    NoBase {
        /// Where was looked.
        place: String,
        /// Of which database.
        database: String,
        /// By which method.
        method: &'static str,
    },
    /// Nothing there to restore.
    #[error(
        "{place} holds no whole backup: a backup is whole when its backup.json is there (`tickhouse backup list`)"
    )]
    NoBackup {
        /// Where was looked.
        place: String,
    },
    /// A file of a backup is not what was written, or is gone.
    #[error("{file} of backup {id} {problem}: take another copy of it, or an older backup")]
    Damaged {
        /// The file.
        file: String,
        /// The backup that holds it.
        id: String,
        /// In words.
        problem: String,
    },
    /// An incremental backup whose base is gone.
    #[error(
        "backup {id} needs backup {base}, which is not in {place}: bring {base} back there, or restore an older one"
    )]
    BaseMissing {
        /// The one that needs it.
        id: String,
        /// The one that is gone.
        base: String,
        /// Where was looked.
        place: String,
    },
    /// The backup that an incremental one would stand on can't be restored itself.
    #[error(
        "backup {base} can't be built upon, {missing} is gone: bring it back, or make a full backup, without --incremental"
    )]
    BrokenChain {
        /// The newest backup.
        base: String,
        /// A backup or a file.
        missing: String,
    },
    /// This server can't do what the method needs.
    #[error("{problem}")]
    Method {
        /// In words, with the way round.
        problem: String,
    },
    /// The server gave a backup or restore up.
    #[error("ClickHouse gave up at its {what}: {problem}")]
    Server {
        /// BACKUP or RESTORE.
        what: &'static str,
        /// The server's words.
        problem: String,
    },
    /// The database to restore into holds something.
    #[error(
        "database {database} is not empty ({found}): restore into another one with --database NAME, or drop it first"
    )]
    NotEmpty {
        /// Which.
        database: String,
        /// Some of its tables.
        found: String,
    },
    /// What came back is not what was saved.
    #[error("the restored rows differ from what was backed up: {}", differences.join("; "))]
    Differs {
        /// Table, partition, and both digests.
        differences: Vec<String>,
    },
}
