//! What can go wrong with Redis, and what to do about it.

use crate::EntryId;
use redis::{RedisError, ServerErrorKind};

/// What a caller does about a [`StreamError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// Wait a little (with growing pauses) and do it again; the command may or may not have been carried out.
    Retry,
    /// Make the group again with [`Consumer::ensure_group`](crate::Consumer::ensure_group), at the mark.
    Regroup,
    /// Waiting does not help: configuration, rights, or a key of another type.
    Stop,
}

/// What went wrong with Redis.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StreamError {
    /// The URL is none.
    #[error("the URL of Redis ({endpoint}) is not valid")]
    Url {
        /// Host and port as far as they were understood.
        endpoint: String,
        /// Why.
        #[source]
        source: RedisError,
    },
    /// No connection, or it broke, or no answer came in time.
    #[error("redis at {endpoint} does not answer while {doing}")]
    Unreachable {
        /// Host and port.
        endpoint: String,
        /// What was being done.
        doing: &'static str,
        /// Why.
        #[source]
        source: RedisError,
    },
    /// Redis is there but can't take commands now: loading, read-only replica, a script running.
    #[error("redis at {endpoint} is not ready while {doing}")]
    NotReady {
        /// Host and port.
        endpoint: String,
        /// What was being done.
        doing: &'static str,
        /// Its answer.
        #[source]
        source: RedisError,
    },
    /// `maxmemory` is reached and the policy is, rightly, `noeviction`.
    #[error(
        "redis at {endpoint} has no memory left while {doing}: raise maxmemory or let the loader catch up"
    )]
    Full {
        /// Host and port.
        endpoint: String,
        /// What was being done.
        doing: &'static str,
    },
    /// The group, or the whole stream, is gone: FLUSHALL, DEL, a resend, a lost append-only file.
    #[error("the consumer group of {} is gone", stream.as_deref().unwrap_or("a stream"))]
    NoGroup {
        /// Which stream, when Redis says so.
        stream: Option<String>,
    },
    /// Redis refused the command.
    #[error("redis at {endpoint} refused {doing}")]
    Refused {
        /// Host and port.
        endpoint: String,
        /// What was being done.
        doing: &'static str,
        /// Its answer.
        #[source]
        source: RedisError,
    },
    /// An answer of a shape that the command does not have.
    #[error("redis answered {doing} with {reply}: is it a Redis of 7.0 or later?")]
    Unexpected {
        /// What was being done.
        doing: &'static str,
        /// The beginning of the answer.
        reply: String,
    },
    /// The lease is another owner's.
    #[error("lease {name} is held by {holder}: stop that one, or wait until it expires")]
    LeaseHeld {
        /// Name of the lease.
        name: String,
        /// Who has it.
        holder: String,
    },
    /// The lease was lost: expired, taken, or gone with the keys of Redis.
    #[error("lease {name} with fence {fence} is lost")]
    LeaseLost {
        /// Name of the lease.
        name: String,
        /// Fence that it had.
        fence: u64,
    },
    /// The journal can't be read or the remembered mark can't be written.
    #[error(transparent)]
    Journal(#[from] tickhouse_journal::JournalError),
    /// Redis has an entry where the journal has another or none.
    #[error(
        "stream {stream} has entry {found} but the journal of that socket ends before it: two recorders of one name?"
    )]
    AheadOfJournal {
        /// The stream.
        stream: String,
        /// Its last id.
        found: EntryId,
    },
}

impl StreamError {
    /// What to do about it.
    pub fn disposition(&self) -> Disposition {
        match self {
            Self::Unreachable { .. } | Self::NotReady { .. } | Self::Full { .. } | Self::LeaseHeld { .. } => {
                Disposition::Retry
            }
            Self::NoGroup { .. } => Disposition::Regroup,
            Self::Url { .. }
            | Self::Refused { .. }
            | Self::Unexpected { .. }
            | Self::LeaseLost { .. }
            | Self::Journal(_)
            | Self::AheadOfJournal { .. } => Disposition::Stop,
        }
    }

    pub(crate) fn of(endpoint: &str, doing: &'static str, source: RedisError) -> Self {
        let endpoint = endpoint.to_owned();
        if source.is_io_error() || source.is_timeout() || source.is_connection_dropped() {
            return Self::Unreachable { endpoint, doing, source };
        }
        match source.code() {
            Some("OOM") => return Self::Full { endpoint, doing },
            Some("NOGROUP" | "UNBLOCKED") => {
                return Self::NoGroup { stream: source.detail().and_then(quoted).map(str::to_owned) };
            }
            Some("MISCONF" | "BUSY") => return Self::NotReady { endpoint, doing, source },
            _ => {}
        }
        match source.kind() {
            redis::ErrorKind::Server(
                ServerErrorKind::BusyLoading
                | ServerErrorKind::ReadOnly
                | ServerErrorKind::TryAgain
                | ServerErrorKind::ClusterDown
                | ServerErrorKind::MasterDown,
            ) => Self::NotReady { endpoint, doing, source },
            _ if source.is_unrecoverable_error() => Self::Unreachable { endpoint, doing, source },
            _ => Self::Refused { endpoint, doing, source },
        }
    }
}

/// The first 'quoted' word of an answer.
fn quoted(text: &str) -> Option<&str> {
    text.split('\'').nth(1)
}
