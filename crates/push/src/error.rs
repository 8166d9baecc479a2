//! What can be wrong with a push.

use std::fmt;
use std::time::Duration;
use tickhouse_journal::JournalError;
use tickhouse_stream::StreamError;

/// A value that Kite's packet can't hold, or that is missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Which tick of the push, from 0.
    pub index: usize,
    /// Which of its fields, as in `depth.buy[2].price`.
    pub field: String,
    /// What is wrong, and what would be right.
    pub reason: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}].{}: {}", self.index, self.field, self.reason)
    }
}

impl std::error::Error for Refusal {}

/// Why a push failed. Nothing of it is stored, but for [`PushError::NotJournaled`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PushError {
    /// A tick was refused, and the push with it.
    #[error("refused: {0}")]
    Refused(#[from] Refusal),
    /// No tick, or more than a push may have.
    #[error("a push has 1 to {most} ticks, this has {found}", most = crate::MOST_TICKS)]
    Count {
        /// Ticks of the push.
        found: usize,
    },
    /// The queue to the journal is full: come again.
    #[error("the queue to the journal is full: push again in a moment")]
    QueueFull,
    /// The journal can't be written, e.g. because the disk is full.
    #[error("the journal can't be written: {0}")]
    JournalFault(String),
    /// Not journaled in time. What was pushed is in the queue, and will be stored unless the process dies before.
    #[error(
        "not journaled within {waited:?}: it may still be stored, so pushing it again may store it twice"
    )]
    NotJournaled {
        /// How long it was waited for.
        waited: Duration,
    },
    /// The pusher was closed.
    #[error("the pusher is closed")]
    Closed,
    /// The journal could not be opened.
    #[error("the journal can't be opened")]
    Journal(#[from] JournalError),
    /// The publisher could not be set up.
    #[error("the publisher can't be set up")]
    Stream(#[from] StreamError),
    /// The system gives no thread.
    #[error("no thread for the publisher")]
    Thread(#[source] std::io::Error),
}
