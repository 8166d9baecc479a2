//! What the journals hold, as digests by chunk.
//!
//! What enters: a socket's journal, a window, the loader's mark. What leaves: for each chunk of sequences what the tables must hold of it. What
//! never happens here: memory that grows with the records.

use crate::chunk::{Chunk, Held, Place, Sum};
use crate::digest::{Outcome, frame_digest, place_digest, tick_digest};
use crate::{Stop, VerifyError};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tickhouse_decode::{Item, decode};
use tickhouse_journal::{JournalEntry, JournalReader};
use tickhouse_load::ticks::{Known, PacketPlace, packet_tick};
use tickhouse_model::{DataQuality, Gap, Record, RecordKind, SessionType, SnapshotMarks, Timestamp};
use tickhouse_read::Window;
use tickhouse_store::TickInstrument;

/// Bytes of a journal that are read at once.
const READ_BYTES: usize = 4 << 20;

/// One socket's journal.
#[derive(Clone, Debug)]
pub(crate) struct Journal {
    pub(crate) directory: PathBuf,
    pub(crate) recorder: String,
    pub(crate) socket: u16,
    /// Up to where everything is stored, as (session, sequence).
    pub(crate) mark: Place,
}

/// What a socket's journal holds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Journaled {
    /// The first record that is still there: what is before it can't be compared with.
    pub(crate) first: Option<Place>,
    /// Records of the window up to the mark, by chunk.
    pub(crate) chunks: BTreeMap<Chunk, Held>,
    /// Binary messages among them, and heartbeats among those.
    pub(crate) frames: u64,
    pub(crate) heartbeats: u64,
    /// Records of the window after the mark, and the receive time of the first.
    pub(crate) waiting: u64,
    pub(crate) waiting_since: Option<Timestamp>,
    /// Sequences that are missing between two records.
    pub(crate) holes: u64,
    /// Bytes that belong to no record.
    pub(crate) damaged_bytes: u64,
}

/// A packet's row as the journal says it must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PacketRow {
    pub(crate) sequence: u64,
    pub(crate) packet_index: u16,
    pub(crate) token: u32,
    pub(crate) digest: u64,
}

/// The rows of one chunk as the journal says they must be.
#[derive(Debug, Default)]
pub(crate) struct ChunkRows {
    /// Sequence and digest.
    pub(crate) frames: Vec<(u64, u64)>,
    pub(crate) packets: Vec<PacketRow>,
    /// Sequence and packet index.
    pub(crate) quarantined: Vec<(u64, u16)>,
}

impl Journal {
    /// Reads the journal once. `seen` is told of bytes as they are read.
    pub(crate) fn read(
        &self,
        window: Window,
        seen: &dyn Fn(u64),
        stop: &Stop,
    ) -> Result<Journaled, VerifyError> {
        let mut found = Journaled::default();
        let mut last: Option<Place> = None;
        let reader = JournalReader::open_since(&self.directory, &self.recorder, self.socket, window.from);
        let mut reader = reader.map_err(self.error())?;
        let mut entries = Vec::new();
        while reader.next_batch(READ_BYTES, &mut entries).map_err(self.error())? > 0 {
            stop.check()?;
            let mut bytes = 0;
            for entry in entries.drain(..) {
                bytes += entry.bytes.len() as u64;
                let place = (entry.id.session, entry.id.sequence);
                found.first.get_or_insert(place);
                found.holes += last.map_or(0, |last| between(last, place));
                last = Some(place);
                if (window.from..window.to).contains(&entry.received_at) {
                    self.take(&entry, place, &mut found)?;
                }
            }
            seen(bytes);
        }
        found.damaged_bytes = reader.damaged_bytes();
        Ok(found)
    }

    fn take(&self, entry: &JournalEntry, place: Place, found: &mut Journaled) -> Result<(), VerifyError> {
        if place > self.mark {
            found.waiting += 1;
            found.waiting_since.get_or_insert(entry.received_at);
            return Ok(());
        }
        let record = decoded(entry)?;
        let held = found.chunks.entry(Chunk::of(place, self.socket)).or_default();
        let outcome = rows_of(&self.recorder, &record, |row| match row {
            Row::Tick(row) => {
                held.ticks.add(row.digest);
                held.places.add(place_digest(row.sequence, row.packet_index));
            }
            Row::Quarantined { sequence, packet_index } => {
                held.quarantined.add(place_digest(sequence, packet_index));
            }
        });
        held.frames.add(frame_digest(&record, outcome, entry.checksum));
        if matches!(record.kind, RecordKind::Frame | RecordKind::Pushed) {
            found.frames += 1;
            found.heartbeats += u64::from(tickhouse_decode::is_heartbeat(&record.payload));
        }
        Ok(())
    }

    /// The rows of one chunk, one by one.
    pub(crate) fn rows(&self, chunk: Chunk, window: Window) -> Result<ChunkRows, VerifyError> {
        let mut rows = ChunkRows::default();
        let first = chunk.first();
        let after = Some((chunk.session, first.saturating_sub(1)));
        let reader = JournalReader::open(&self.directory, &self.recorder, self.socket, after);
        let mut reader = reader.map_err(self.error())?;
        let mut entries = Vec::new();
        while reader.next_batch(READ_BYTES, &mut entries).map_err(self.error())? > 0 {
            for entry in entries.drain(..) {
                let place = (entry.id.session, entry.id.sequence);
                let here = Chunk::of(place, self.socket);
                if here > chunk {
                    return Ok(rows);
                }
                if here < chunk || place > self.mark || !(window.from..window.to).contains(&entry.received_at)
                {
                    continue;
                }
                let record = decoded(&entry)?;
                let outcome = rows_of(&self.recorder, &record, |row| match row {
                    Row::Tick(row) => rows.packets.push(row),
                    Row::Quarantined { sequence, packet_index } => {
                        rows.quarantined.push((sequence, packet_index));
                    }
                });
                rows.frames.push((place.1, frame_digest(&record, outcome, entry.checksum)));
            }
        }
        Ok(rows)
    }

    fn error(&self) -> impl Fn(tickhouse_journal::JournalError) -> VerifyError {
        let (recorder, socket) = (self.recorder.clone(), self.socket);
        move |source| VerifyError::Journal { recorder: recorder.clone(), socket, source }
    }
}

fn decoded(entry: &JournalEntry) -> Result<Record, VerifyError> {
    Record::decode(&entry.bytes).map_err(|source| VerifyError::Record { id: entry.id, source })
}

/// Sequences that are missing between two records that follow each other; of a new session those before its first.
fn between(last: Place, next: Place) -> u64 {
    let expected = if next.0 == last.0 { last.1 + 1 } else { 1 };
    next.1.saturating_sub(expected)
}

enum Row {
    Tick(PacketRow),
    Quarantined { sequence: u64, packet_index: u16 },
}

/// What the loader makes of a record, by its own rules for a packet's columns.
fn rows_of(recorder: &str, record: &Record, mut each: impl FnMut(Row)) -> Outcome {
    let mut outcome = Outcome::default();
    let sequence = record.id.sequence;
    match record.kind {
        RecordKind::Frame | RecordKind::Pushed => {}
        RecordKind::Gap if serde_json::from_slice::<Gap>(&record.payload).is_err() => {
            each(Row::Quarantined { sequence, packet_index: 0 });
            return Outcome { ticks: 0, quarantined: 1 };
        }
        _ => return outcome,
    }
    let unmarked = matches!(record.snapshots, SnapshotMarks::None);
    decode(&record.payload).for_each(|item| {
        let packet_index = match item {
            Ok(Item::Packet { index, packet }) => {
                let snapshot = !unmarked && record.snapshots.contains(index.into());
                let at = PacketPlace { recorder, record, index, snapshot };
                let known = Known { instrument: TickInstrument::default(), data_quality: DataQuality::Raw };
                let tick = packet_tick(&packet.to_packet(), known, SessionType::Regular, &at);
                outcome.ticks = outcome.ticks.saturating_add(1);
                let token = tick.token.0;
                each(Row::Tick(PacketRow {
                    sequence,
                    packet_index: index,
                    token,
                    digest: tick_digest(&tick),
                }));
                return;
            }
            Ok(Item::Unknown { index, .. }) => index,
            Err(_) => outcome.ticks + outcome.quarantined,
        };
        outcome.quarantined = outcome.quarantined.saturating_add(1);
        each(Row::Quarantined { sequence, packet_index });
    });
    outcome
}

/// The recorders that have a journal below this directory, and their sockets.
pub(crate) fn sockets(directory: &Path) -> Result<BTreeMap<String, Vec<u16>>, VerifyError> {
    tickhouse_journal::recorders(directory).map_err(VerifyError::Listing)
}

impl Sum {
    /// Adds a row.
    fn add(&mut self, digest: u64) {
        self.rows += 1;
        self.digest = self.digest.wrapping_add(digest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holes_are_counted_within_sessions_and_at_their_begin() {
        let cases = [((1, 5), (1, 6), 0), ((1, 5), (1, 9), 3), ((1, 5), (2, 1), 0), ((1, 5), (2, 3), 2)];
        for (last, next, expected) in cases {
            assert_eq!(between(last, next), expected, "{last:?} {next:?}");
        }
    }
}
