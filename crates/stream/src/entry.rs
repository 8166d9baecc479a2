//! Entries of a stream and their ids.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use tickhouse_model::{FrameId, SocketId};

/// The one field of a frame entry: the record's bytes.
pub const RECORD_FIELD: &str = "r";

/// The id of an entry, `<ms>-<seq>`. In a frame stream it is the record's `<session>-<sequence>`. Orders as Redis does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct EntryId {
    /// Unix milliseconds as Redis gives them; in a frame stream the session.
    pub ms: u64,
    /// Number within the millisecond; in a frame stream the sequence.
    pub seq: u64,
}

impl EntryId {
    /// Before every entry. As a mark: nothing is stored yet.
    pub const ZERO: Self = Self::new(0, 0);
    /// After every entry.
    pub const MAX: Self = Self::new(u64::MAX, u64::MAX);

    /// The id `<ms>-<seq>`.
    pub const fn new(ms: u64, seq: u64) -> Self {
        Self { ms, seq }
    }

    /// The smallest id after this one; saturates.
    #[must_use]
    pub const fn next(self) -> Self {
        match (self.seq.checked_add(1), self.ms.checked_add(1)) {
            (Some(seq), _) => Self::new(self.ms, seq),
            (None, Some(ms)) => Self::new(ms, 0),
            (None, None) => Self::MAX,
        }
    }
}

impl From<FrameId> for EntryId {
    fn from(id: FrameId) -> Self {
        Self::new(id.session, id.sequence)
    }
}

impl From<(u64, u64)> for EntryId {
    fn from((ms, seq): (u64, u64)) -> Self {
        Self::new(ms, seq)
    }
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.ms, self.seq)
    }
}

/// A text is no entry id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no entry id: it looks like 1763712900000-42")]
pub struct EntryIdError(String);

impl FromStr for EntryId {
    type Err = EntryIdError;

    fn from_str(text: &str) -> Result<Self, EntryIdError> {
        let (ms, seq) = text.split_once('-').unwrap_or((text, "0"));
        match (ms.parse(), seq.parse()) {
            (Ok(ms), Ok(seq)) => Ok(Self::new(ms, seq)),
            _ => Err(EntryIdError(text.to_owned())),
        }
    }
}

/// A stream that a loader reads.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stream {
    name: String,
    kind: StreamKind,
}

/// Who writes a stream, and what its entries are.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StreamKind {
    /// The records of one socket, written by its publisher alone.
    Frames {
        /// The recorder.
        recorder: String,
        /// Its socket.
        socket: SocketId,
    },
    /// Ticks, one field per column, written and perhaps trimmed by anybody.
    Flat,
    /// Ticks, one field per column, written by one import: ids tell the place in what is imported, so they never begin anew.
    Imported,
    /// News items, one field per column, written by anybody.
    News,
    /// Index values, one field per column, written by anybody.
    Indices,
}

impl Stream {
    /// The stream of a socket's records; [`RedisOptions::frame_stream`](crate::RedisOptions::frame_stream) knows its name.
    pub fn frames(name: impl Into<String>, recorder: &str, socket: SocketId) -> Self {
        Self { name: name.into(), kind: StreamKind::Frames { recorder: recorder.to_owned(), socket } }
    }

    /// A stream of flat ticks.
    pub fn flat(name: impl Into<String>) -> Self {
        Self::of_kind(name, StreamKind::Flat)
    }

    /// A stream of this kind; [`RedisOptions::stream`](crate::RedisOptions::stream) tells the kind of a name.
    pub fn of_kind(name: impl Into<String>, kind: StreamKind) -> Self {
        Self { name: name.into(), kind }
    }

    /// The key in Redis.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Who writes it and what its entries are.
    pub const fn kind(&self) -> &StreamKind {
        &self.kind
    }

    /// Whether its entries are records of a journal.
    pub const fn is_frames(&self) -> bool {
        matches!(self.kind, StreamKind::Frames { .. })
    }

    /// Whether Redis gives its ids, so that a stream which was lost and is written again may repeat ids with other content.
    pub const fn ids_may_begin_anew(&self) -> bool {
        matches!(self.kind, StreamKind::Flat | StreamKind::News | StreamKind::Indices)
    }

    /// The field of the hash of marks: `<recorder>/<socket>`, or the name of a stream of flat entries.
    pub fn origin(&self) -> String {
        match &self.kind {
            StreamKind::Frames { recorder, socket } => format!("{recorder}/{socket}"),
            _ => self.name.clone(),
        }
    }
}

impl fmt::Display for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// One entry of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its id.
    pub id: EntryId,
    /// What it holds.
    pub value: EntryValue,
}

/// What an entry holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EntryValue {
    /// The bytes of a [`Record`](tickhouse_model::Record): the entry's only field is [`RECORD_FIELD`].
    Record(Bytes),
    /// Fields and values in the order in which they were written.
    Flat(Vec<(Bytes, Bytes)>),
    /// Delivered before and trimmed or deleted since: it is in the list of pending entries only. Acknowledge it; for a
    /// frame ask for a resend, for a flat entry note a gap.
    Gone,
}

impl EntryValue {
    /// Bytes of fields and values.
    pub fn len(&self) -> usize {
        match self {
            Self::Record(bytes) => bytes.len(),
            Self::Flat(fields) => fields.iter().map(|(field, value)| field.len() + value.len()).sum(),
            Self::Gone => 0,
        }
    }

    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn ids_read_their_own_text_and_order_as_pairs(ms in any::<u64>(), seq in any::<u64>()) {
            let id = EntryId::new(ms, seq);
            prop_assert_eq!(id.to_string().parse::<EntryId>(), Ok(id));
            prop_assert!(id < id.next() || id == EntryId::MAX);
        }
    }

    #[test]
    fn nonsense_is_no_id() {
        for text in ["", "-", "a-1", "1-b", "1-2-3", "$", "99999999999999999999-0"] {
            assert!(text.parse::<EntryId>().is_err(), "{text}");
        }
        assert_eq!("17".parse(), Ok(EntryId::new(17, 0)));
    }
}
