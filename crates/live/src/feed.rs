//! From the streams of Redis to the market.
//!
//! What enters: entries after the streams' ends at the start, and all of streams that appear later; imports of other systems'
//! history are none. What leaves: ticks in the market. What never happens here: a consumer group, a write, an end because Redis is
//! away or an entry can't be read: the first is tried again, the second counted (the loader puts it into quarantine).

use crate::{Latest, Market};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tickhouse_decode::{Item, decode};
use tickhouse_model::{Record, RecordKind, SnapshotMarks, Timestamp};
use tickhouse_read::Reader;
use tickhouse_read::ticks::is_tick_of_flat;
use tickhouse_stream::{
    Control, Entry, EntryId, EntryValue, FlatTick, ReadLimits, RedisOptions, Stream, StreamError, StreamKind,
    Tail,
};
use tokio::task::JoinHandle;

/// Between looks at which streams there are.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Between two reads, so that busy streams are read in batches: it spares Redis a command per frame.
const READ_EVERY: Duration = Duration::from_millis(4);
/// Longest wait for entries.
const BLOCK: Duration = Duration::from_millis(250);
/// Bytes and entries of one read.
const READ: (usize, usize) = (4 << 20, 512);
/// Pauses between attempts, doubling from the first to the second.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

/// Where the ticks come from.
#[derive(Clone, Debug)]
pub struct FeedOptions {
    /// The streams.
    pub redis: RedisOptions,
    /// The tables, for what has not ticked since the start.
    pub reader: Reader,
}

/// How the feed is.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct FeedStatus {
    /// Streams that are read.
    pub streams: usize,
    /// Entries that were read.
    pub entries: u64,
    /// Of them those that hold no tick that can be read.
    pub unreadable: u64,
    /// Why nothing comes, if Redis is away; it is tried again.
    pub error: Option<String>,
}

/// The running feed. Ends when dropped.
#[derive(Debug)]
pub struct Feed {
    shared: Arc<Shared>,
    tasks: [JoinHandle<()>; 2],
}

#[derive(Debug, Default)]
struct Shared {
    entries: AtomicU64,
    unreadable: AtomicU64,
    state: Mutex<(usize, Option<String>)>,
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl Feed {
    /// Begins to read into a market, on the current runtime. `now` is asked for the day.
    ///
    /// # Errors
    /// When the URL of Redis is none.
    pub fn start(
        options: FeedOptions,
        market: Arc<Market>,
        now: impl Fn() -> Timestamp + Send + Sync + 'static,
    ) -> Result<Self, StreamError> {
        let FeedOptions { redis, reader } = options;
        let latest = Latest::new(reader, Arc::clone(&market));
        let shared = Arc::new(Shared::default());
        let mut reading = Reading {
            control: Control::new(redis.clone())?,
            tail: Tail::new(&redis)?,
            market,
            latest: latest.clone(),
            shared: Arc::clone(&shared),
            sources: Vec::new(),
            began: false,
            looked_at: None,
            entry_bytes: 0,
        };
        let tasks = [
            tokio::spawn(async move { reading.run().await }),
            tokio::spawn(async move { latest.run(now).await }),
        ];
        Ok(Self { shared, tasks })
    }

    /// How it is.
    pub fn status(&self) -> FeedStatus {
        let (streams, error) = self.shared.state.lock().unwrap_or_else(PoisonError::into_inner).clone();
        FeedStatus {
            streams,
            entries: self.shared.entries.load(Ordering::Relaxed),
            unreadable: self.shared.unreadable.load(Ordering::Relaxed),
            error,
        }
    }
}

/// A stream, and the last entry that was taken of it.
#[derive(Debug)]
struct Source {
    stream: Stream,
    last: EntryId,
}

struct Reading {
    control: Control,
    tail: Tail,
    market: Arc<Market>,
    latest: Latest,
    shared: Arc<Shared>,
    sources: Vec<Source>,
    /// Whether the streams of the start are known: those that appear later are read from their begin.
    began: bool,
    looked_at: Option<Instant>,
    /// Bytes of the largest entries of late.
    entry_bytes: usize,
}

impl Reading {
    async fn run(&mut self) {
        let mut pause = PAUSES.0;
        loop {
            let begun = Instant::now();
            match self.round().await {
                Ok(()) => {
                    if self.note(None) {
                        tracing::info!("redis is back");
                        self.latest.want();
                    }
                    pause = PAUSES.0;
                    tokio::time::sleep(READ_EVERY.saturating_sub(begun.elapsed())).await;
                }
                Err(error) => {
                    let first = !self.note(Some(error.to_string()));
                    if first {
                        tracing::warn!(%error, "redis can't be read: nothing moves on the page until it is back");
                    }
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(PAUSES.1);
                }
            }
        }
    }

    /// Notes how it is; gives whether there was an error before.
    fn note(&self, error: Option<String>) -> bool {
        let mut state = self.shared.state.lock().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut *state, (self.sources.len(), error));
        before.1.is_some()
    }

    /// Reads what there is.
    async fn round(&mut self) -> Result<(), StreamError> {
        if self.looked_at.is_none_or(|at| at.elapsed() >= LOOK_EVERY) {
            self.look().await?;
            self.looked_at = Some(Instant::now());
        }
        let after: Vec<(&str, EntryId)> =
            self.sources.iter().map(|source| (source.stream.name(), source.last)).collect();
        let fit = READ.0 / self.entry_bytes.max(1) / after.len().max(1);
        let limits = ReadLimits { max_entries: fit.clamp(1, READ.1), max_bytes: READ.0, block: BLOCK };
        let found = self.tail.read(&after, limits).await?;
        let largest = found.iter().flat_map(|one| &one.entries).map(|entry| entry.value.len()).max();
        if let Some(largest) = largest {
            // up at once, down slowly: the opening burst's frames are ten times those of noon
            self.entry_bytes = largest.max(self.entry_bytes - self.entry_bytes / 8).max(64);
        }
        for one in &found {
            self.take(&one.stream, &one.entries);
        }
        if !found.is_empty() {
            self.market.tell();
        }
        Ok(())
    }

    fn take(&mut self, stream: &str, entries: &[Entry]) {
        let Some(source) = self.sources.iter_mut().find(|source| source.stream.name() == stream) else {
            return;
        };
        let frames = source.stream.is_frames();
        let (mut unreadable, mut holes) = (0, false);
        for entry in entries {
            let taken = if frames {
                holes |= !follows(source.last, entry.id);
                take_record(&self.market, entry)
            } else {
                take_flat(&self.market, entry)
            };
            unreadable += u64::from(!taken);
            source.last = entry.id;
        }
        self.shared.entries.fetch_add(entries.len() as u64, Ordering::Relaxed);
        self.shared.unreadable.fetch_add(unreadable, Ordering::Relaxed);
        if holes {
            // trimmed while Redis or we were away: what was in it is in the tables
            self.market.note_hole();
            self.latest.want();
        }
    }

    /// Finds new streams, and flat ones that begin anew.
    async fn look(&mut self) -> Result<(), StreamError> {
        for stream in self.control.discover().await? {
            if !matches!(stream.kind(), StreamKind::Frames { .. } | StreamKind::Flat)
                || self.sources.iter().any(|source| source.stream == stream)
            {
                continue;
            }
            let last = if self.began {
                EntryId::ZERO
            } else {
                let info = self.control.info(stream.name()).await?;
                info.map_or(EntryId::ZERO, |info| info.last_generated_id)
            };
            self.sources.push(Source { stream, last });
        }
        self.began = true;
        for source in self.sources.iter_mut().filter(|source| source.stream.ids_may_begin_anew()) {
            let info = self.control.info(source.stream.name()).await?;
            let end = info.map_or(EntryId::ZERO, |info| info.last_generated_id);
            if end < source.last {
                source.last = EntryId::ZERO;
            }
        }
        Ok(())
    }
}

/// Whether a record comes right after another, as far as their numbers tell.
fn follows(last: EntryId, id: EntryId) -> bool {
    last == EntryId::ZERO || (id.ms == last.ms && id.seq == last.seq + 1) || (id.ms > last.ms && id.seq == 1)
}

/// Takes the ticks of a record; false where it can't be read.
fn take_record(market: &Market, entry: &Entry) -> bool {
    let EntryValue::Record(bytes) = &entry.value else { return false };
    let Ok(record) = Record::decode(bytes) else { return false };
    if !matches!(record.kind, RecordKind::Frame | RecordKind::Pushed) {
        return true;
    }
    let live = matches!(record.snapshots, SnapshotMarks::None);
    let mut whole = true;
    let packets = decode(&record.payload).filter_map(|item| {
        let Ok(Item::Packet { index, packet }) = item else {
            whole = false;
            return None;
        };
        let snapshot = !live && record.snapshots.contains(index.into());
        Some((packet.to_packet(), snapshot))
    });
    market.take(record.received_at, packets);
    whole
}

/// Takes a flat tick; false where the entry is none.
fn take_flat(market: &Market, entry: &Entry) -> bool {
    let EntryValue::Flat(fields) = &entry.value else { return false };
    let Ok(flat) = FlatTick::from_fields(fields.iter().map(|(field, value)| (field, value))) else {
        return false;
    };
    let tick = flat.tick;
    if is_tick_of_flat(&tick.packet_type) {
        // an id that Redis made begins with its Unix milliseconds
        let arrived_at = Timestamp::from_millis(i64::try_from(entry.id.ms).unwrap_or(i64::MAX));
        let at = if tick.timestamp.is_some() { tick.timestamp } else { arrived_at };
        market.take_flat(at, &tick);
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_follow_by_their_numbers() {
        let id = EntryId::new;
        assert!(
            follows(EntryId::ZERO, id(5, 7)) && follows(id(5, 7), id(5, 8)) && follows(id(5, 7), id(6, 1))
        );
        assert!(!follows(id(5, 7), id(5, 9)) && !follows(id(5, 7), id(6, 2)));
    }
}
