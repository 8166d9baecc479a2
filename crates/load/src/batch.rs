//! A batch being filled, and a batch that is sealed.
//!
//! What enters: rows and the entries they came from. What leaves: a seal and blocks, one per table and partition. What
//! never happens here: I/O.

use crate::counters::Counters;
use crate::outlet::flat_tick;
use rustc_hash::FxHashSet;
use std::collections::BTreeMap;
use std::time::Instant;
use tickhouse_model::{DataQuality, Gap, Timestamp};
use tickhouse_store::{
    FrameRow, IndexColumns, IndexRow, LedgerColumns, Month, NativeBlock, NewsColumns, NewsRow, Origin,
    Partition, QuarantineRow, RowIdentity, Seal, SealRange, Tick, TickColumns,
};
use tickhouse_stream::{EntryId, FlatTick, Stream};
use tickhouse_telemetry::Latency;
use uuid::Uuid;

/// Partitions in one batch. Live ticks fill one, two at the turn of an hour; imported flat entries may fill many.
const PARTITIONS_MAX: usize = 16;
/// Entries in one batch: bounds its acknowledgement.
const ENTRIES_MAX: usize = 100_000;
/// Bytes of quarantined payloads and of news in one batch.
const TEXT_BYTES_MAX: usize = 16 << 20;

/// Rows and entries of one batch, growing.
#[derive(Debug)]
pub(crate) struct Batch {
    id: Uuid,
    processed_at: Timestamp,
    ticks: BTreeMap<Partition, TickColumns>,
    ledger: LedgerColumns,
    news: NewsColumns,
    indices: BTreeMap<Month, IndexColumns>,
    sources: BTreeMap<String, SourceRange>,
    tally: Tally,
    received: Vec<(Timestamp, u32)>,
    dead: Vec<Dead>,
    /// Its ticks once more, for the stream of stored ticks.
    flat: Option<Vec<FlatTick>>,
    first_at: Option<Instant>,
    date: Option<i32>,
    /// Rows that are stored and must not be made again; only while a batch is recovered.
    skip: FxHashSet<RowIdentity>,
}

/// The entries of one stream in a batch.
#[derive(Debug)]
struct SourceRange {
    stream: Stream,
    epoch: u32,
    ids: Vec<EntryId>,
}

/// A quarantined item on its way to the stream of dead letters.
#[derive(Debug)]
pub(crate) struct Dead {
    pub(crate) origin: String,
    pub(crate) id: EntryId,
    pub(crate) reason: String,
    pub(crate) payload: Vec<u8>,
}

impl Dead {
    fn of(item: &QuarantineRow<'_>) -> Self {
        let Origin { recorder, id, stream, .. } = item.origin;
        let origin = if stream.is_empty() { format!("{recorder}/{}", id.socket) } else { stream.to_owned() };
        let reason = format!("{}: {}", item.reason, item.detail);
        Self { origin, id: id.into(), reason, payload: item.payload.to_vec() }
    }
}

/// What a batch adds to the counters once it is stored.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) packets: u64,
    pub(crate) ticks: u64,
    pub(crate) flat_ticks: u64,
    pub(crate) raw_ticks: u64,
    /// Of quarantined payloads and of news.
    pub(crate) text_bytes: usize,
}

impl Batch {
    pub(crate) fn new(id: Uuid, processed_at: Timestamp) -> Self {
        Self {
            id,
            processed_at,
            ticks: BTreeMap::new(),
            ledger: LedgerColumns::new(id),
            news: NewsColumns::new(id, processed_at),
            indices: BTreeMap::new(),
            sources: BTreeMap::new(),
            tally: Tally::default(),
            received: Vec::new(),
            dead: Vec::new(),
            flat: None,
            first_at: None,
            date: None,
            skip: FxHashSet::default(),
        }
    }

    /// Whether its ticks are published once they are stored.
    pub(crate) fn published(mut self, published: bool) -> Self {
        self.flat = published.then(Vec::new);
        self
    }

    /// A batch that leaves out rows which are stored.
    pub(crate) fn without(id: Uuid, processed_at: Timestamp, skip: FxHashSet<RowIdentity>) -> Self {
        Self { skip, ..Self::new(id, processed_at) }
    }

    /// Notes an entry as part of the batch. Its rows follow.
    pub(crate) fn take(&mut self, stream: &Stream, epoch: u32, id: EntryId) {
        self.first_at.get_or_insert_with(Instant::now);
        let source = self.sources.entry(stream.origin()).or_insert_with(|| SourceRange {
            stream: stream.clone(),
            epoch,
            ids: Vec::new(),
        });
        source.ids.push(id);
    }

    pub(crate) fn push_tick(&mut self, tick: &Tick<'_>) {
        if !self.skip.is_empty() && self.skip.contains(&identity(tick)) {
            return;
        }
        let partition = Partition::of(tick.timestamp);
        let (id, processed_at) = (self.id, self.processed_at);
        let columns =
            self.ticks.entry(partition).or_insert_with(|| TickColumns::new(partition, id, processed_at));
        columns.push(tick);
        if let Some(flat) = &mut self.flat {
            flat.push(flat_tick(tick));
        }
        self.tally.ticks += 1;
        self.tally.raw_ticks += u64::from(tick.data_quality == DataQuality::Raw);
        self.tally.flat_ticks += u64::from(!tick.identity.stream.is_empty());
    }

    pub(crate) fn push_frame(&mut self, frame: &FrameRow<'_>) {
        self.tally.packets += u64::from(frame.packets);
        self.received.push((frame.received_at, u32::from(frame.ticks)));
        self.date.get_or_insert(frame.received_at.ist().days_since_epoch);
        self.ledger.push_frame(frame);
    }

    pub(crate) fn push_quarantined(&mut self, item: &QuarantineRow<'_>) {
        self.tally.text_bytes += item.payload.len();
        self.dead.push(Dead::of(item));
        self.ledger.push_quarantined(item);
    }

    pub(crate) fn push_news(&mut self, news: &NewsRow<'_>) {
        self.tally.text_bytes += news.title.len() + news.content.len();
        self.news.push(news);
    }

    pub(crate) fn push_index(&mut self, index: &IndexRow<'_>) {
        let id = self.id;
        self.indices.entry(Month::of(index.timestamp)).or_insert_with(|| IndexColumns::new(id)).push(index);
    }

    pub(crate) fn push_gap(&mut self, origin: &Origin<'_>, gap: &Gap) {
        self.first_at.get_or_insert_with(Instant::now);
        self.ledger.push_gap(origin, gap);
    }

    /// Ticks, news items and index values so far.
    pub(crate) fn rows(&self) -> usize {
        self.ticks.values().map(TickColumns::rows).sum::<usize>()
            + self.indices.values().map(IndexColumns::rows).sum::<usize>()
            + self.news.rows()
    }

    /// When its first entry was taken; `None` while it is empty.
    pub(crate) const fn first_at(&self) -> Option<Instant> {
        self.first_at
    }

    /// Whether a record received on this date may join: the ledger is partitioned by date, and one insert is one partition.
    pub(crate) fn admits(&self, received_at: Timestamp) -> bool {
        self.date.is_none_or(|date| date == received_at.ist().days_since_epoch)
    }

    /// Whether entries of this epoch of a stream may join: a seal names one range, hence one epoch, of each origin.
    pub(crate) fn admits_epoch(&self, stream: &Stream, epoch: u32) -> bool {
        self.sources.get(&stream.origin()).is_none_or(|source| source.epoch == epoch)
    }

    /// Whether it must be sealed now, whatever its age.
    pub(crate) fn is_full(&self, rows_max: usize) -> bool {
        self.rows() >= rows_max
            || self.ticks.len() >= PARTITIONS_MAX
            || self.sources.values().map(|source| source.ids.len()).sum::<usize>() >= ENTRIES_MAX
            || self.indices.len() >= PARTITIONS_MAX
            || self.tally.text_bytes >= TEXT_BYTES_MAX
    }

    /// Seals it.
    pub(crate) fn seal(self, loader: &str, fence: u64, number: u64) -> SealedBatch {
        let ledger_rows = self.ledger.rows();
        let range = |(origin, source): (&String, &SourceRange)| {
            let pair = |id: &EntryId| (id.ms, id.seq);
            SealRange {
                origin: origin.clone(),
                epoch: source.epoch,
                first: source.ids.first().map(pair).unwrap_or_default(),
                last: source.ids.last().map(pair).unwrap_or_default(),
                entries: source.ids.len() as u32,
            }
        };
        let seal = Seal {
            loader: loader.to_owned(),
            fence,
            number,
            ranges: self.sources.iter().map(range).collect(),
            partitions: self.ticks.iter().map(|(at, columns)| (*at, columns.rows() as u32)).collect(),
            frames: ledger_rows.frames as u32,
            quarantined: ledger_rows.quarantined as u32,
            gaps: ledger_rows.gaps as u32,
            news: self.news.rows() as u32,
            indices: self.indices.values().map(IndexColumns::rows).sum::<usize>() as u32,
        };
        let ticks = self.ticks.into_iter().map(|(at, columns)| (at, columns.finish())).collect();
        let entries = self.sources.into_values().map(|source| (source.stream, source.ids)).collect();
        // before `frames`, whose rows promise the others
        let news = self.news.finish().map(|block| ("news_data", block));
        SealedBatch {
            seal,
            ticks,
            indices: self.indices.into_iter().map(|(month, columns)| (month, columns.finish())).collect(),
            ledger: news.into_iter().chain(self.ledger.finish()).collect(),
            entries,
            dead: self.dead,
            flat: self.flat.unwrap_or_default(),
            tally: self.tally,
            received: self.received,
        }
    }
}

fn identity(tick: &Tick<'_>) -> RowIdentity {
    let identity = &tick.identity;
    (
        identity.recorder.to_owned(),
        identity.stream.to_owned(),
        identity.frame.session,
        identity.frame.socket,
        identity.frame.sequence,
        identity.packet_index,
    )
}

/// A batch that will not change any more.
#[derive(Debug)]
pub(crate) struct SealedBatch {
    pub(crate) seal: Seal,
    pub(crate) ticks: Vec<(Partition, NativeBlock)>,
    /// Values that were published as such, not those of index packets.
    pub(crate) indices: Vec<(Month, NativeBlock)>,
    pub(crate) ledger: Vec<(&'static str, NativeBlock)>,
    /// What to acknowledge once it is stored.
    pub(crate) entries: Vec<(Stream, Vec<EntryId>)>,
    /// What to send to the stream of dead letters before that.
    pub(crate) dead: Vec<Dead>,
    /// What to publish after it.
    pub(crate) flat: Vec<FlatTick>,
    tally: Tally,
    received: Vec<(Timestamp, u32)>,
}

impl SealedBatch {
    /// Notes that its ticks can be queried from now on.
    pub(crate) fn note_queryable(&self, counters: &Counters, now: Timestamp) {
        let mut latency = Latency::default();
        for (received_at, ticks) in &self.received {
            latency.record_n(now.since(*received_at), u64::from(*ticks));
        }
        counters.queryable(&latency);
    }

    /// Counts it as stored.
    pub(crate) fn count(&self, counters: &Counters) {
        Counters::add(&counters.frames_stored, u64::from(self.seal.frames));
        Counters::add(&counters.packets, self.tally.packets);
        Counters::add(&counters.ticks_stored, self.tally.ticks);
        Counters::add(&counters.flat_ticks_stored, self.tally.flat_ticks);
        Counters::add(&counters.raw_ticks_stored, self.tally.raw_ticks);
        Counters::add(&counters.quarantined, u64::from(self.seal.quarantined));
        Counters::add(&counters.news_stored, u64::from(self.seal.news));
        Counters::add(&counters.index_values_stored, u64::from(self.seal.indices));
        Counters::add(&counters.gaps_stored, u64::from(self.seal.gaps));
        Counters::add(&counters.batches, 1);
    }
}
