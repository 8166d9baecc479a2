//! Why a socket cannot be run at all. What happens on a running socket is a record, not an error.

/// Why [`run_socket`](crate::run_socket) or its set-up gave up. A lost connection is none of these: it is retried.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// The receiver of the queue is gone: nothing more can be kept, so nothing more is read.
    #[error("the journal queue of socket {socket} is closed: its writer has ended, see its error")]
    QueueClosed {
        /// Which socket.
        socket: u16,
    },
    /// More subscriptions than a socket may carry.
    #[error("{wanted} instruments on one socket, {limit} are allowed: spread them over more sockets")]
    TooManySubscriptions {
        /// Distinct tokens asked for.
        wanted: usize,
        /// How many fit.
        limit: usize,
    },
    /// An option that cannot work.
    #[error("ticker option `{option}`: {problem}")]
    Option {
        /// Name of the field of [`TickerOptions`](crate::TickerOptions).
        option: &'static str,
        /// What is wrong with it.
        problem: String,
    },
}
