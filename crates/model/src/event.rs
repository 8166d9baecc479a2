//! What happens on a socket besides data: the payloads of lifecycle records, as JSON.

use crate::{Timestamp, Token};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Payload of a [`RecordKind::Connect`](crate::RecordKind::Connect) record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connected {
    /// Host and port, never the query: that carries the access token.
    pub endpoint: String,
    /// Attempts since the last connection, 1 for the first.
    pub attempt: u32,
}

/// Payload of a [`RecordKind::Disconnect`](crate::RecordKind::Disconnect) record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disconnected {
    /// Why the connection ended.
    pub cause: GapCause,
    /// The close reason or the error, without secrets.
    pub detail: String,
    /// Receive time of the last data frame, [`Timestamp::NONE`] when there was none.
    pub last_frame_at: Timestamp,
}

/// Payload of a [`RecordKind::Gap`](crate::RecordKind::Gap) record: a window in which ticks may have been missed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// Receive time of the last data frame before the hole.
    pub from: Timestamp,
    /// Receive time of the first frame after it; [`Timestamp::NONE`] while it is open.
    pub to: Timestamp,
    /// Why.
    pub cause: GapCause,
    /// What is known beyond the cause, without secrets.
    pub detail: String,
    /// Which instruments; empty means every instrument of the socket.
    pub tokens: Vec<Token>,
}

/// Why ticks may be missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GapCause {
    /// The other end closed the connection.
    Closed,
    /// The connection broke: reset, TLS or protocol error.
    Broken,
    /// No frame at all within the read timeout.
    ReadTimeout,
    /// Heartbeats kept coming, data did not.
    HeartbeatsOnly,
    /// Some subscribed instruments never sent their snapshot, or fell silent while the others went on.
    Silent,
    /// The recorder itself was not running.
    RecorderDown,
    /// The access token was refused.
    Unauthorised,
    /// Too many connections or requests.
    RateLimited,
    /// The journal could not be written.
    DiskFull,
    /// A stream of flat entries was trimmed before it was read.
    Trimmed,
    /// Records are gone from the stream and from the journal.
    Lost,
}

impl GapCause {
    /// The value of the column `cause`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Broken => "broken",
            Self::ReadTimeout => "read_timeout",
            Self::HeartbeatsOnly => "heartbeats_only",
            Self::Silent => "silent",
            Self::RecorderDown => "recorder_down",
            Self::Unauthorised => "unauthorised",
            Self::RateLimited => "rate_limited",
            Self::DiskFull => "disk_full",
            Self::Trimmed => "trimmed",
            Self::Lost => "lost",
        }
    }
}

impl fmt::Display for GapCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
