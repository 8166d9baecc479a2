//! The proof of a run: what the journal has is in ClickHouse, by identity, each once.
//!
//! What enters: journals on disk; ClickHouse. What leaves: counts by session and socket, and what is missing or double.
//! Independent of the counters of the processes that did the work.

use crate::http_query::HttpQuery;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;
use tickhouse_decode::{Item, decode, is_heartbeat};
use tickhouse_journal::JournalReader;
use tickhouse_model::{Record, RecordKind};

/// Bytes of a journal that are read at once.
const READ_BYTES: usize = 4 << 20;

/// Session and socket.
type Origin = (u64, u16);

/// What the journal has of one session and socket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Journaled {
    /// Records of every kind; the sequences are 1 to this.
    pub(crate) records: u64,
    /// Binary messages, and pushes.
    pub(crate) frames: u64,
    /// Those of them that are heartbeats.
    pub(crate) heartbeats: u64,
    /// Packets of a known length.
    pub(crate) packets: u64,
    /// Packets of unknown length, and frames that are damaged.
    pub(crate) undecodable: u64,
    /// Sequences that do not follow.
    pub(crate) holes: u64,
}

/// Reads what follows `after` in a socket's journal.
pub(crate) fn read_journal(
    directory: &Path,
    recorder: &str,
    socket: u16,
    after: Option<(u64, u64)>,
) -> anyhow::Result<BTreeMap<Origin, Journaled>> {
    let mut reader = JournalReader::open(directory, recorder, socket, after)?;
    let mut found: BTreeMap<Origin, Journaled> = BTreeMap::new();
    let mut entries = Vec::new();
    while reader.next_batch(READ_BYTES, &mut entries)? > 0 {
        for entry in entries.drain(..) {
            let counts = found.entry((entry.id.session, socket)).or_default();
            counts.records += 1;
            counts.holes += u64::from(entry.id.sequence != counts.records + counts.holes);
            if matches!(entry.kind, RecordKind::Frame | RecordKind::Pushed) {
                let record = Record::decode(&entry.bytes)?;
                count_frame(&record.payload, counts);
            }
        }
    }
    Ok(found)
}

fn count_frame(message: &[u8], counts: &mut Journaled) {
    counts.frames += 1;
    if is_heartbeat(message) {
        counts.heartbeats += 1;
        return;
    }
    for item in decode(message) {
        match item {
            Ok(Item::Packet { .. }) => counts.packets += 1,
            Ok(Item::Unknown { .. }) | Err(_) => counts.undecodable += 1,
        }
    }
}

/// What ClickHouse has of one session and socket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct Stored {
    /// Rows.
    pub(crate) rows: u64,
    /// Distinct identities.
    pub(crate) distinct: u64,
}

#[derive(Debug, Deserialize)]
struct StoredRow {
    session: u64,
    socket: u16,
    #[serde(flatten)]
    stored: Stored,
}

/// The three tables in which a record or packet may be.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tables {
    frames: BTreeMap<Origin, Stored>,
    ticks: BTreeMap<Origin, Stored>,
    quarantine: BTreeMap<Origin, Stored>,
}

impl Tables {
    /// Counts the rows of these sessions.
    pub(crate) async fn read(server: &HttpQuery, recorder: &str, sessions: &[u64]) -> anyhow::Result<Self> {
        let identity = "(sequence, packet_index)";
        Ok(Self {
            frames: count(server, "frames", "sequence", recorder, sessions).await?,
            ticks: count(server, "tick_data", identity, recorder, sessions).await?,
            quarantine: count(server, "quarantine", identity, recorder, sessions).await?,
        })
    }

    /// Rows of `frames`.
    pub(crate) fn frame_rows(&self) -> u64 {
        self.frames.values().map(|stored| stored.rows).sum()
    }
}

async fn count(
    server: &HttpQuery,
    table: &str,
    identity: &str,
    recorder: &str,
    sessions: &[u64],
) -> anyhow::Result<BTreeMap<Origin, Stored>> {
    if sessions.is_empty() {
        return Ok(BTreeMap::new());
    }
    let list = sessions.iter().map(u64::to_string).collect::<Vec<_>>().join(", ");
    let sql = format!(
        "SELECT session, socket, count() AS rows, uniqExact({identity}) AS distinct FROM {table} \
         WHERE recorder = '{recorder}' AND session IN ({list}) GROUP BY session, socket"
    );
    let rows: Vec<StoredRow> = server.rows(&sql).await?;
    Ok(rows.into_iter().map(|row| ((row.session, row.socket), row.stored)).collect())
}

/// The sum of a comparison.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) journaled: Journaled,
    pub(crate) ticks_stored: u64,
    pub(crate) quarantined: u64,
    /// Records and packets of the journal that are in no table.
    pub(crate) missing: u64,
    /// Rows whose identity another row has, and rows of nothing that is in the journal.
    pub(crate) duplicates: u64,
}

/// Compares by session and socket, so that a surplus here cannot hide a loss there.
pub(crate) fn compare(journal: &BTreeMap<Origin, Journaled>, tables: &Tables) -> Verdict {
    let mut verdict = Verdict::default();
    for (origin, journaled) in journal {
        let of = |table: &BTreeMap<Origin, Stored>| table.get(origin).copied().unwrap_or_default();
        let (frames, ticks, quarantine) = (of(&tables.frames), of(&tables.ticks), of(&tables.quarantine));
        let sum = &mut verdict.journaled;
        sum.records += journaled.records;
        sum.frames += journaled.frames;
        sum.heartbeats += journaled.heartbeats;
        sum.packets += journaled.packets;
        sum.undecodable += journaled.undecodable;
        sum.holes += journaled.holes;
        verdict.ticks_stored += ticks.rows;
        verdict.quarantined += quarantine.rows;
        for (expected, found) in
            [(journaled.records, frames), (journaled.packets, ticks), (journaled.undecodable, quarantine)]
        {
            verdict.missing += expected.saturating_sub(found.distinct);
            verdict.duplicates += found.rows - found.distinct + found.distinct.saturating_sub(expected);
        }
        verdict.missing += journaled.holes;
    }
    verdict
}

#[cfg(test)]
mod tests {
    use super::*;
    use tickhouse_decode::FrameBuilder;
    use tickhouse_model::{Packet, PacketKind, Token};

    const ORIGIN: Origin = (7, 0);

    fn journal() -> BTreeMap<Origin, Journaled> {
        let counts =
            Journaled { records: 10, frames: 8, packets: 100, undecodable: 2, ..Journaled::default() };
        BTreeMap::from([(ORIGIN, counts)])
    }

    fn tables(frames: (u64, u64), ticks: (u64, u64), quarantine: (u64, u64)) -> Tables {
        let table = |(rows, distinct)| BTreeMap::from([(ORIGIN, Stored { rows, distinct })]);
        Tables { frames: table(frames), ticks: table(ticks), quarantine: table(quarantine) }
    }

    #[test]
    fn loss_and_repetition_are_seen() {
        let faults = |tables: &Tables| {
            let verdict = compare(&journal(), tables);
            (verdict.missing, verdict.duplicates)
        };
        assert_eq!(faults(&tables((10, 10), (100, 100), (2, 2))), (0, 0));
        assert_eq!(faults(&tables((9, 9), (100, 100), (2, 2))), (1, 0));
        assert_eq!(faults(&tables((10, 10), (100, 99), (2, 2))), (1, 1));
        assert_eq!(faults(&tables((10, 10), (101, 101), (1, 1))), (1, 1), "a surplus hides no loss");
        assert_eq!(faults(&Tables::default()), (112, 0));
    }

    #[test]
    fn packets_of_a_frame_are_counted() {
        let mut builder = FrameBuilder::default();
        builder.push(&Packet::empty(Token(256_265), PacketKind::IndexFull));
        builder.push_raw(&[0; 5]);
        let mut counts = Journaled::default();
        count_frame(&builder.take(), &mut counts);
        count_frame(&[0], &mut counts);
        let expected =
            Journaled { frames: 2, heartbeats: 1, packets: 1, undecodable: 1, ..Journaled::default() };
        assert_eq!(counts, expected);
    }
}
