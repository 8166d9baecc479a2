//! A chunk: the records of a session and socket whose sequences share all but their last bits. What is compared first.

use serde::Deserialize;

/// Session and sequence: orders the records of one socket.
pub(crate) type Place = (u64, u64);

/// Records of a chunk. Small enough to look at each packet of one that differs, large enough that a day has some thousand.
pub(crate) const CHUNK: u64 = 1 << 14;

/// Which chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
pub(crate) struct Chunk {
    pub(crate) socket: u16,
    pub(crate) session: u64,
    pub(crate) number: u64,
}

impl Chunk {
    pub(crate) fn of((session, sequence): Place, socket: u16) -> Self {
        Self { socket, session, number: sequence / CHUNK }
    }

    /// Its first sequence.
    pub(crate) const fn first(self) -> u64 {
        self.number * CHUNK
    }
}

/// How many rows, and the sum of their digests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sum {
    pub(crate) rows: u64,
    pub(crate) digest: u64,
}

/// What a chunk has: by its journal, or in the tables.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) frames: Sum,
    /// By identity and content.
    pub(crate) ticks: Sum,
    /// By identity alone.
    pub(crate) places: Sum,
    pub(crate) quarantined: Sum,
}
