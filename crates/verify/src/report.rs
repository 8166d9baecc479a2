//! What was found.

use crate::compare::Verdict;
use crate::ledger::Imbalance;
use crate::stored::Table;
use serde::{Deserialize, Serialize};
use tickhouse_model::{FrameId, Timestamp};

/// Rows that are listed one by one; the others are counted.
pub const MOST_LISTED: usize = 1_000;

/// What was compared, and what was found.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// Sums over everything.
    pub totals: Totals,
    /// By socket.
    pub sockets: Vec<SocketReport>,
    /// Rows that are wrong, at most [`MOST_LISTED`].
    pub wrong: Vec<WrongRow>,
    /// What does not balance within ClickHouse, whether or not a journal still tells of it.
    pub imbalances: Vec<Imbalance>,
    /// Windows in which ticks may have been missed, by cause.
    pub gaps: Vec<GapSum>,
    /// Rows of streams of flat entries, whose producers keep no journal.
    pub flat_streams: Vec<FlatStream>,
}

/// Sums over everything that was compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Records of the journals, up to what the loader has said to be stored.
    pub records: u64,
    /// Binary messages and pushes among them.
    pub frames: u64,
    /// Heartbeats among the frames.
    pub heartbeats: u64,
    /// Packets of the journals that have a row of `tick_data`.
    pub packets: u64,
    /// Packets and messages of the journals that can't be read and have a row of `quarantine`.
    pub undecodable: u64,
    /// Rows of `tick_data`, of sockets and pushes, whether or not a journal still has them.
    pub ticks_stored: u64,
    /// Rows of `quarantine`, likewise.
    pub quarantined: u64,
    /// Rows that a journal has and their table does not, and sequences of which no record is anywhere.
    pub missing: u64,
    /// Rows too many.
    pub duplicates: u64,
    /// Rows whose content is not that of the journal.
    pub altered: u64,
    /// Rows that the journal of their time does not have.
    pub unknown: u64,
    /// Records of the journals that are not stored yet.
    pub waiting: u64,
    /// How long the oldest of them waits, seconds.
    pub waiting_seconds: u64,
    /// Records of `frames` whose journal is gone: they are compared with `tick_data` only.
    pub without_journal: u64,
}

/// One socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SocketReport {
    /// Whose.
    pub recorder: String,
    /// Which.
    pub socket: u16,
    /// Records of its journal in the window, up to the mark.
    pub records: u64,
    /// Packets among them.
    pub packets: u64,
    /// Not stored yet.
    pub waiting: u64,
    /// Sequences that its journal lacks.
    pub holes: u64,
    /// Bytes of its journal that belong to no record.
    pub damaged_bytes: u64,
}

/// A row that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WrongRow {
    /// In which table.
    pub table: Table,
    /// What is wrong.
    pub verdict: Verdict,
    /// Whose.
    pub recorder: String,
    /// Which record.
    #[serde(flatten)]
    pub id: FrameId,
    /// Which packet of it.
    pub packet_index: u16,
    /// Its instrument, where the journal tells.
    pub instrument_token: Option<u32>,
    /// How many rows.
    pub rows: u64,
}

/// Gaps of a cause.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GapSum {
    /// Why.
    pub cause: String,
    /// How many reach into the window.
    pub gaps: u64,
    /// How many of them begin in it.
    pub begun: u64,
    /// Their length in all, within the window, seconds.
    pub seconds: f64,
}

/// Rows of a stream of flat entries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FlatStream {
    /// Its name.
    pub stream: String,
    /// How often its ids began anew before.
    pub epoch: u32,
    /// Rows of `tick_data`.
    pub rows: u64,
    /// Entries that have more than one.
    pub duplicates: u64,
}

/// How long a record may wait to be stored before that counts as a fault.
pub const PATIENCE_SECONDS: u64 = 300;

impl Report {
    /// Whether everything is accounted for.
    pub fn is_proven(&self) -> bool {
        let Totals { missing, duplicates, altered, unknown, waiting_seconds, .. } = self.totals;
        missing + duplicates + altered + unknown == 0
            && self.imbalances.is_empty()
            && waiting_seconds <= PATIENCE_SECONDS
    }

    /// Counts a row, and lists it while there is room.
    pub(crate) fn wrong(&mut self, row: WrongRow) {
        let sum = match row.verdict {
            Verdict::Missing => &mut self.totals.missing,
            Verdict::Duplicate => &mut self.totals.duplicates,
            Verdict::Altered => &mut self.totals.altered,
            Verdict::Unknown => &mut self.totals.unknown,
        };
        *sum += row.rows;
        if self.wrong.len() < MOST_LISTED {
            self.wrong.push(row);
        }
    }

    /// What waits.
    pub(crate) fn waiting(&mut self, records: u64, since: Option<Timestamp>, now: Timestamp) {
        self.totals.waiting += records;
        let seconds = since.map_or(0, |since| now.since(since).as_secs());
        self.totals.waiting_seconds = self.totals.waiting_seconds.max(seconds);
    }
}
