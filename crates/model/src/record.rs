//! The record: one thing that happened on a socket, with its identity and receive time.
//!
//! The same bytes stand in the journal, in the Redis stream and, as a checksum, in the ledger table `frames`.
//!
//! # Layout (versions 1 and 2, little-endian)
//!
//! ```text
//!  0  u8   version: 2 for the first record of a session, 1 for all others
//!  1  u8   kind
//!  2  u16  socket
//!  4  u32  length of the payload
//!  8  u64  session
//! 16  u64  sequence
//! 24  i64  received at, nanoseconds since 1970 UTC
//! 32  u16  snapshot marks: 0 none, 0xffff every packet, else how many indexes follow
//!  …  version 2: u64 session, u64 sequence of the last record before this session, both 0 when there was none
//!  …  u16 × n  indexes of the packets that are cached snapshots, rising
//!  …  payload
//! ```

use crate::Timestamp;
use bytes::{Buf, BufMut, Bytes};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Bytes of a record before its snapshot indexes and payload.
pub const RECORD_HEADER_LEN: usize = 34;

const VERSION: u8 = 1;
/// With the identity of the record before it.
const VERSION_FIRST: u8 = 2;
/// Bytes of that identity.
const PREVIOUS_LEN: usize = 16;
const ALL_SNAPSHOT: u16 = u16::MAX;

/// A socket of a recorder: connections that follow each other on the same subscriptions are one socket.
pub type SocketId = u16;

/// The identity of a record within its recorder. Orders as things happened on one socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FrameId {
    /// Rises with each start of the recorder's process (Unix milliseconds at the start, or one more than the last).
    pub session: u64,
    /// Which socket.
    pub socket: SocketId,
    /// 1, 2, 3, … without a hole within a session and socket.
    pub sequence: u64,
}

impl fmt::Display for FrameId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.session, self.socket, self.sequence)
    }
}

/// What kind of thing happened. The numbers are on disk and never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum RecordKind {
    /// A binary message exactly as received, heartbeats included.
    Frame = 1,
    /// A text message exactly as received.
    Text = 2,
    /// A text message that was sent: subscribe, unsubscribe or mode.
    Subscription = 3,
    /// The socket opened; payload [`Connected`](crate::Connected).
    Connect = 4,
    /// The socket closed; payload [`Disconnected`](crate::Disconnected).
    Disconnect = 5,
    /// A tick pushed by a program instead of received from a socket.
    Pushed = 6,
    /// A window in which ticks may have been missed; payload [`Gap`](crate::Gap).
    Gap = 7,
}

impl RecordKind {
    /// All kinds.
    pub const ALL: [Self; 7] = [
        Self::Frame,
        Self::Text,
        Self::Subscription,
        Self::Connect,
        Self::Disconnect,
        Self::Pushed,
        Self::Gap,
    ];

    /// The kind of a number on disk.
    pub fn of(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u8 == number)
    }

    /// The value of the column `kind` of `frames`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Frame => "frame",
            Self::Text => "text",
            Self::Subscription => "subscription",
            Self::Connect => "connect",
            Self::Disconnect => "disconnect",
            Self::Pushed => "pushed",
            Self::Gap => "gap",
        }
    }
}

/// Which packets of a frame are the cached last values that Kite sends after a subscribe, possibly days old.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum SnapshotMarks {
    /// None: live data.
    #[default]
    None,
    /// Every packet.
    All,
    /// The packets at these indexes, rising.
    Some(Vec<u16>),
}

impl SnapshotMarks {
    /// Whether the packet at `index` of the frame is a snapshot.
    pub fn contains(&self, index: usize) -> bool {
        match self {
            Self::None => false,
            Self::All => true,
            Self::Some(indexes) => {
                u16::try_from(index).is_ok_and(|index| indexes.binary_search(&index).is_ok())
            }
        }
    }
}

/// One thing that happened on a socket, before the journal gives it its identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    /// When the recorder read it from the socket (or did it).
    pub received_at: Timestamp,
    /// What it is.
    pub kind: RecordKind,
    /// Which packets are snapshots; only frames have any.
    pub snapshots: SnapshotMarks,
    /// The message as received, or the JSON of an event.
    pub payload: Bytes,
}

impl Observed {
    /// The record of this observation.
    pub fn with_id(self, id: FrameId) -> Record {
        let Self { received_at, kind, snapshots, payload } = self;
        Record { id, received_at, kind, snapshots, payload, previous: None }
    }
}

/// One thing that happened on a socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its identity.
    pub id: FrameId,
    /// When the recorder read it from the socket (or did it).
    pub received_at: Timestamp,
    /// What it is.
    pub kind: RecordKind,
    /// Which packets are snapshots; only frames have any.
    pub snapshots: SnapshotMarks,
    /// The message as received, or the JSON of an event.
    pub payload: Bytes,
    /// In the first record of a session: session and sequence of the last record that the journal of its socket held
    /// before, (0, 0) when it held none. Sequences count within a session only, so nothing else tells where the session
    /// before ended. `None` in all other records, and in first ones that were written without it.
    pub previous: Option<(u64, u64)>,
}

impl Record {
    /// Bytes that [`Record::encode`] appends.
    pub fn encoded_len(&self) -> usize {
        let indexes = match &self.snapshots {
            SnapshotMarks::Some(indexes) => indexes.len() * 2,
            _ => 0,
        };
        let previous = if self.previous.is_some() { PREVIOUS_LEN } else { 0 };
        RECORD_HEADER_LEN + previous + indexes + self.payload.len()
    }

    /// Appends the record's bytes.
    pub fn encode(&self, out: &mut impl BufMut) {
        out.put_u8(if self.previous.is_some() { VERSION_FIRST } else { VERSION });
        out.put_u8(self.kind as u8);
        out.put_u16_le(self.id.socket);
        out.put_u32_le(self.payload.len() as u32);
        out.put_u64_le(self.id.session);
        out.put_u64_le(self.id.sequence);
        out.put_i64_le(self.received_at.as_nanos());
        out.put_u16_le(match &self.snapshots {
            SnapshotMarks::None => 0,
            SnapshotMarks::All => ALL_SNAPSHOT,
            SnapshotMarks::Some(indexes) => indexes.len() as u16,
        });
        if let Some((session, sequence)) = self.previous {
            out.put_u64_le(session);
            out.put_u64_le(sequence);
        }
        if let SnapshotMarks::Some(indexes) = &self.snapshots {
            indexes.iter().for_each(|index| out.put_u16_le(*index));
        }
        out.put_slice(&self.payload);
    }

    /// Reads a record that fills `bytes` exactly; the payload shares the buffer.
    ///
    /// # Errors
    /// When the bytes are cut, of another version or kind, or longer than the record says.
    pub fn decode(bytes: &Bytes) -> Result<Self, RecordError> {
        let header: &[u8; RECORD_HEADER_LEN] = bytes
            .first_chunk()
            .ok_or(RecordError::Truncated { needed: RECORD_HEADER_LEN, len: bytes.len() })?;
        let previous_len = match header[0] {
            VERSION => 0,
            VERSION_FIRST => PREVIOUS_LEN,
            other => return Err(RecordError::Version(other)),
        };
        let kind = RecordKind::of(header[1]).ok_or(RecordError::Kind(header[1]))?;
        let payload_len = le_u32(header, 4) as usize;
        let marks = le_u16(header, 32);
        let indexes_len = if marks == ALL_SNAPSHOT { 0 } else { usize::from(marks) * 2 };
        let indexes_at = RECORD_HEADER_LEN + previous_len;
        let needed = indexes_at.saturating_add(indexes_len).saturating_add(payload_len);
        if bytes.len() != needed {
            return Err(RecordError::Truncated { needed, len: bytes.len() });
        }
        let payload_at = indexes_at + indexes_len;
        let snapshots = match marks {
            0 => SnapshotMarks::None,
            ALL_SNAPSHOT => SnapshotMarks::All,
            _ => SnapshotMarks::Some(read_indexes(&bytes[indexes_at..payload_at])),
        };
        Ok(Self {
            id: FrameId {
                session: le_u64(header, 8),
                socket: le_u16(header, 2),
                sequence: le_u64(header, 16),
            },
            received_at: Timestamp::from_nanos(le_u64(header, 24).cast_signed()),
            kind,
            snapshots,
            payload: bytes.slice(payload_at..),
            previous: (previous_len > 0).then(|| {
                let mut fields = bytes.slice(RECORD_HEADER_LEN..indexes_at);
                (fields.get_u64_le(), fields.get_u64_le())
            }),
        })
    }

    /// CRC-32C of the encoded record: the same number in the journal, the ledger and the proof.
    pub fn checksum_of(encoded: &[u8]) -> u32 {
        crc32c::crc32c(encoded)
    }
}

/// Why bytes are no record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// Too few or too many bytes.
    #[error("a record of {needed} bytes was expected, {len} are there")]
    Truncated {
        /// Bytes the record should have.
        needed: usize,
        /// Bytes there are.
        len: usize,
    },
    /// Written by a version that this one does not know.
    #[error("record version {0} is not known: was it written by a newer tickhouse?")]
    Version(u8),
    /// A kind that this version does not know.
    #[error("record kind {0} is not known: was it written by a newer tickhouse?")]
    Kind(u8),
}

fn read_indexes(bytes: &[u8]) -> Vec<u16> {
    bytes.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect()
}

fn le_u16(bytes: &[u8; RECORD_HEADER_LEN], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn le_u32(bytes: &[u8; RECORD_HEADER_LEN], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn le_u64(bytes: &[u8; RECORD_HEADER_LEN], at: usize) -> u64 {
    u64::from(le_u32(bytes, at)) | u64::from(le_u32(bytes, at + 4)) << 32
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_record() -> impl Strategy<Value = Record> {
        let marks = prop_oneof![
            Just(SnapshotMarks::None),
            Just(SnapshotMarks::All),
            prop::collection::btree_set(any::<u16>(), 1..50)
                .prop_map(|set| SnapshotMarks::Some(set.into_iter().collect())),
        ];
        (
            any::<(u64, u16, u64, i64)>(),
            0..RecordKind::ALL.len(),
            marks,
            prop::collection::vec(any::<u8>(), 0..300),
            any::<Option<(u64, u64)>>(),
        )
            .prop_map(|((session, socket, sequence, at), kind, snapshots, payload, previous)| {
                Record {
                    id: FrameId { session, socket, sequence },
                    received_at: Timestamp::from_nanos(at),
                    kind: RecordKind::ALL[kind],
                    snapshots,
                    payload: payload.into(),
                    previous,
                }
            })
    }

    proptest! {
        #[test]
        fn decodes_what_it_encodes(record in any_record()) {
            let mut bytes = Vec::new();
            record.encode(&mut bytes);
            prop_assert_eq!(bytes.len(), record.encoded_len());
            prop_assert_eq!(Record::decode(&bytes.into()), Ok(record));
        }

        #[test]
        fn any_cut_is_an_error(record in any_record(), cut in any::<prop::sample::Index>()) {
            let mut bytes = Vec::new();
            record.encode(&mut bytes);
            bytes.truncate(cut.index(bytes.len()));
            prop_assert!(Record::decode(&bytes.into()).is_err());
        }

        #[test]
        fn any_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            drop(Record::decode(&bytes.into()));
        }
    }

    /// A record of version 1, written by hand.
    #[test]
    fn what_was_written_without_the_record_before_is_read() {
        let mut bytes = vec![1, 4, 3, 0, 2, 0, 0, 0];
        bytes.extend([9, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        bytes.extend(b"{}");
        let record = Record::decode(&bytes.into()).unwrap();
        assert_eq!(
            (record.id, record.kind),
            (FrameId { session: 9, socket: 3, sequence: 1 }, RecordKind::Connect)
        );
        assert_eq!((&record.payload[..], record.previous), (&b"{}"[..], None));
    }

    #[test]
    fn marks_find_their_packets() {
        let marks = SnapshotMarks::Some(vec![0, 7, 300]);
        assert_eq!([0, 1, 7, 300].map(|index| marks.contains(index)), [true, false, true, true]);
        assert!(SnapshotMarks::All.contains(70_000) && !SnapshotMarks::None.contains(0));
    }
}
