//! What can go wrong with history.

use crate::json::Fault;
use std::path::PathBuf;
use tickhouse_source::rest::RestError;
use tickhouse_store::StoreError;

/// What can go wrong with history.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HistoryError {
    /// A file can't be read or written.
    #[error("{path}: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is read twice, which a pipe or a directory can't be.
    #[error("{path} is no regular file: candles are read twice, first to check them; save them into a file")]
    NoRegularFile {
        /// Which.
        path: PathBuf,
    },
    /// JSON, but none of the forms.
    #[error("{path} holds no candles: docs/candles.md shows the forms that are read")]
    NoCandles {
        /// Which.
        path: PathBuf,
    },
    /// Between the two passes somebody wrote to it.
    #[error("{path} was changed while it was read: run this again when it is complete")]
    FileChanged {
        /// Which.
        path: PathBuf,
    },
    /// Nothing was imported.
    #[error(
        "{path} has {count} fault(s), so nothing was imported; the first: {first}. Mend the file, or import all the rest with --keep-going"
    )]
    Faults {
        /// Which.
        path: PathBuf,
        /// How many.
        count: u64,
        /// The first.
        first: Fault,
    },
    /// No instrument is known that could be joined.
    #[error(
        "token_metadata is empty and instruments.file is not set: run `tickhouse instruments sync` first"
    )]
    NoInstruments,
    /// Kite's REST gave an error that ends everything.
    #[error(
        "the access token is missing, wrong or expired ({0}): run `tickhouse login`, then this again: it goes on where it was"
    )]
    LogIn(RestError),
    /// ClickHouse.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Rows that were inserted could not be counted back.
    #[error("{missing} candles are still missing in tick_data after {attempts} attempts: run this again")]
    NotStored {
        /// How many.
        missing: u64,
        /// How often it was tried.
        attempts: u32,
    },
    /// It was stopped from outside.
    #[error("stopped: what was stored stays, run it again to go on")]
    Stopped,
}
