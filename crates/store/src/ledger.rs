//! What is stored beside ticks: the ledger of records, what could not be read, and the holes.

use crate::native::{BlockBuilder, ColumnSpec, NativeBlock, column};
use crate::{Store, StoreError};
use tickhouse_model::{FrameId, Gap, RecordKind, Timestamp};
use uuid::Uuid;

const TEXT: &str = "LowCardinality(String)";

/// The columns of `frames`.
pub const FRAME_COLUMNS: &[ColumnSpec] = &[
    column("recorder", TEXT),
    column("session", "UInt64"),
    column("socket", "UInt16"),
    column("sequence", "UInt64"),
    column("received_at", "DateTime64(6, 'Asia/Kolkata')"),
    column("kind", TEXT),
    column("packets", "UInt16"),
    column("ticks", "UInt16"),
    column("quarantined", "UInt16"),
    column("bytes", "UInt32"),
    column("checksum", "UInt32"),
    column("batch_id", "UUID"),
    column("date", "Date"),
];

/// The columns of `quarantine`.
pub const QUARANTINE_COLUMNS: &[ColumnSpec] = &[
    column("recorder", TEXT),
    column("session", "UInt64"),
    column("socket", "UInt16"),
    column("sequence", "UInt64"),
    column("packet_index", "UInt16"),
    column("stream", TEXT),
    column("epoch", "UInt32"),
    column("received_at", "DateTime64(6, 'Asia/Kolkata')"),
    column("reason", TEXT),
    column("detail", "String"),
    column("payload", "String"),
    column("batch_id", "UUID"),
    column("date", "Date"),
];

/// The columns of `feed_gaps`.
pub const GAP_COLUMNS: &[ColumnSpec] = &[
    column("recorder", TEXT),
    column("session", "UInt64"),
    column("socket", "UInt16"),
    column("sequence", "UInt64"),
    column("stream", TEXT),
    column("epoch", "UInt32"),
    column("from", "DateTime64(3, 'Asia/Kolkata')"),
    column("to", "DateTime64(3, 'Asia/Kolkata')"),
    column("cause", TEXT),
    column("detail", "String"),
    column("tokens", "Array(UInt32)"),
    column("batch_id", "UUID"),
    column("date", "Date"),
];

/// A row of `frames`: one journal record. For a frame, `packets` = `ticks` + `quarantined`, where the packets that a
/// truncated frame announces but does not hold count as one quarantined item.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "the fields are columns: docs/data-dictionary.md describes each")]
pub struct FrameRow<'a> {
    pub recorder: &'a str,
    pub id: FrameId,
    pub received_at: Timestamp,
    pub kind: RecordKind,
    pub packets: u16,
    pub ticks: u16,
    pub quarantined: u16,
    pub bytes: u32,
    pub checksum: u32,
}

/// Where a quarantined item or a gap came from.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "the fields are columns: docs/data-dictionary.md describes each")]
pub struct Origin<'a> {
    pub recorder: &'a str,
    pub id: FrameId,
    pub stream: &'a str,
    pub epoch: u32,
}

/// A row of `quarantine`.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "the fields are columns: docs/data-dictionary.md describes each")]
pub struct QuarantineRow<'a> {
    pub origin: Origin<'a>,
    pub packet_index: u16,
    pub received_at: Timestamp,
    pub reason: &'a str,
    pub detail: &'a str,
    pub payload: &'a [u8],
}

/// Records, quarantined items and gaps of one batch as columns.
#[derive(Debug)]
pub struct LedgerColumns {
    batch_id: Uuid,
    frames: BlockBuilder,
    quarantine: BlockBuilder,
    gaps: BlockBuilder,
}

impl LedgerColumns {
    /// No rows yet.
    pub fn new(batch_id: Uuid) -> Self {
        Self {
            batch_id,
            frames: BlockBuilder::new(FRAME_COLUMNS),
            quarantine: BlockBuilder::new(QUARANTINE_COLUMNS),
            gaps: BlockBuilder::new(GAP_COLUMNS),
        }
    }

    /// Adds a record.
    pub fn push_frame(&mut self, frame: &FrameRow<'_>) {
        self.frames
            .row()
            .text(frame.recorder)
            .u64(frame.id.session)
            .u16(frame.id.socket)
            .u64(frame.id.sequence)
            .i64(micros(frame.received_at))
            .text(frame.kind.name())
            .u16(frame.packets)
            .u16(frame.ticks)
            .u16(frame.quarantined)
            .u32(frame.bytes)
            .u32(frame.checksum)
            .uuid(self.batch_id)
            .u16(date(frame.received_at))
            .end();
    }

    /// Adds what could not be read.
    pub fn push_quarantined(&mut self, item: &QuarantineRow<'_>) {
        self.quarantine
            .row()
            .text(item.origin.recorder)
            .u64(item.origin.id.session)
            .u16(item.origin.id.socket)
            .u64(item.origin.id.sequence)
            .u16(item.packet_index)
            .text(item.origin.stream)
            .u32(item.origin.epoch)
            .i64(micros(item.received_at))
            .text(item.reason)
            .bytes(item.detail.as_bytes())
            .bytes(item.payload)
            .uuid(self.batch_id)
            .u16(date(item.received_at))
            .end();
    }

    /// Adds a hole.
    pub fn push_gap(&mut self, origin: &Origin<'_>, gap: &Gap) {
        self.gaps
            .row()
            .text(origin.recorder)
            .u64(origin.id.session)
            .u16(origin.id.socket)
            .u64(origin.id.sequence)
            .text(origin.stream)
            .u32(origin.epoch)
            .i64(gap.from.as_millis())
            .i64(gap.to.as_millis())
            .text(gap.cause.name())
            .bytes(gap.detail.as_bytes())
            .u32s(gap.tokens.iter().map(|token| token.0))
            .uuid(self.batch_id)
            .u16(date(gap.from))
            .end();
    }

    /// Rows so far: records, quarantined items, gaps.
    pub const fn rows(&self) -> LedgerRows {
        LedgerRows { frames: self.frames.rows(), quarantined: self.quarantine.rows(), gaps: self.gaps.rows() }
    }

    /// The blocks with the tables they belong to, `frames` last: its rows promise the others. Empty ones are left out.
    pub fn finish(self) -> Vec<(&'static str, NativeBlock)> {
        [("quarantine", self.quarantine), ("feed_gaps", self.gaps), ("frames", self.frames)]
            .into_iter()
            .filter(|(_, block)| !block.is_empty())
            .map(|(table, block)| (table, block.finish()))
            .collect()
    }
}

/// Rows of a [`LedgerColumns`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LedgerRows {
    /// Rows of `frames`.
    pub frames: usize,
    /// Rows of `quarantine`.
    pub quarantined: usize,
    /// Rows of `feed_gaps`.
    pub gaps: usize,
}

impl Store {
    /// When a record was received, to the microsecond; `None` where `frames` has no such record.
    ///
    /// # Errors
    /// When the query fails.
    pub async fn received_at(
        &self,
        recorder: &str,
        socket: u16,
        (session, sequence): (u64, u64),
    ) -> Result<Option<Timestamp>, StoreError> {
        let sql = "SELECT toUnixTimestamp64Micro(received_at) FROM frames \
                   WHERE recorder = ? AND socket = ? AND session = ? AND sequence = ? LIMIT 1";
        let query = self.client().query(sql).bind(recorder).bind(socket).bind(session).bind(sequence);
        let found = query.fetch_optional::<i64>().await;
        let found = found.map_err(|source| StoreError::query("read when a record was received", source))?;
        Ok(found.map(|micros| Timestamp::from_nanos(micros.saturating_mul(1_000))))
    }
}

fn micros(at: Timestamp) -> i64 {
    at.as_nanos().div_euclid(1_000)
}

fn date(at: Timestamp) -> u16 {
    at.ist().days_since_epoch.clamp(0, i32::from(u16::MAX)) as u16
}
