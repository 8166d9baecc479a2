//! Reads streams into batches.
//!
//! What enters: entries. What leaves: sealed batches, by size or time, whichever comes first. What never happens here:
//! reading on while the steps that store batches are behind by more than one.

use crate::batch::{Batch, SealedBatch};
use crate::counters::Counters;
use crate::error::LoadError;
use crate::loader::{LoaderState, Shared, StreamState};
use crate::owner::Stored;
use crate::rows::RowMaker;
use crate::source::{Accepted, Hole, Source, payload_of};
use std::collections::BTreeMap;
use std::sync::PoisonError;
use std::time::{Duration, Instant};
use tickhouse_model::FrameId;
use tickhouse_store::{Deduplicate, InsertId, LedgerColumns, Mark, Origin, QuarantineRow, batch_id};
use tickhouse_stream::{
    Consumer, DeadLetter, Entry, EntryId, GroupState, ReadLimits, Stream, StreamEntries, StreamError,
};
use tokio::sync::{mpsc, watch};

/// Between looks at which streams there are and how far they have come.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Longest wait for entries, so that a stop is noticed.
const BLOCK: Duration = Duration::from_millis(100);
/// A read of fewer entries and bytes means that the streams are nearly empty; asking at once would fetch each entry as it comes, at a
/// round trip each. A batch is collected for much longer than [`GATHER`] anyway.
const FEW: usize = 512;
const GATHER: Duration = Duration::from_millis(20);
/// Bytes of one read: a few milliseconds of decoding between two turns of the steps that store.
const READ_BYTES: usize = 2 << 20;

/// Reads the streams of one ownership.
pub(crate) struct Reader<'a> {
    shared: &'a Shared,
    consumer: Consumer,
    fence: u64,
    number: u64,
    marks: &'a BTreeMap<String, Mark>,
    stored: &'a Stored,
    sources: BTreeMap<String, Source>,
    rows: RowMaker,
    batch: Batch,
    looked_at: Option<Instant>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(
        shared: &'a Shared,
        consumer: Consumer,
        fence: u64,
        marks: &'a BTreeMap<String, Mark>,
        stored: &'a Stored,
    ) -> Self {
        let rows = RowMaker::new(shared.instruments.clone(), shared.calendar.clone());
        let batch = Batch::new(batch_id(&shared.options.name, fence, 1), shared.clock.now());
        let batch = batch.published(shared.outlet.is_on());
        Self {
            shared,
            consumer,
            fence,
            number: 1,
            marks,
            stored,
            sources: BTreeMap::new(),
            rows,
            batch,
            looked_at: None,
        }
    }

    /// Reads until told to stop, then hands over what it has.
    pub(crate) async fn run(
        mut self,
        sealed: mpsc::Sender<SealedBatch>,
        stop: watch::Receiver<bool>,
    ) -> Result<(), LoadError> {
        while !*stop.borrow() {
            if self.looked_at.is_none_or(|at| at.elapsed() >= LOOK_EVERY) {
                self.look().await?;
            }
            let (mut entries, mut bytes) = (0, 0);
            for found in self.read().await? {
                entries += found.entries.len();
                bytes += found.entries.iter().map(|entry| entry.value.len()).sum::<usize>();
                self.take(&found, &sealed).await?;
            }
            let age = self.batch.first_at().map_or(Duration::ZERO, |at| at.elapsed());
            if age >= self.shared.options.batch_time {
                self.hand_over(&sealed).await?;
            } else if entries < FEW && bytes < READ_BYTES / 8 {
                tokio::time::sleep(GATHER).await;
            }
        }
        self.hand_over(&sealed).await
    }

    async fn read(&mut self) -> Result<Vec<StreamEntries>, LoadError> {
        let left =
            self.batch.first_at().map(|at| self.shared.options.batch_time.saturating_sub(at.elapsed()));
        let block = left.unwrap_or(BLOCK).clamp(Duration::from_millis(1), BLOCK);
        let limits = ReadLimits { block, max_bytes: READ_BYTES, ..ReadLimits::default() };
        let ready = self.sources.iter().filter(|(_, source)| source.ready);
        let names: Vec<&str> = ready.map(|(name, _)| name.as_str()).collect();
        match self.consumer.read(&names, limits).await {
            Ok(found) => Ok(found),
            Err(StreamError::NoGroup { stream }) => {
                for source in self.sources.values_mut() {
                    let gone = stream.as_ref().is_none_or(|name| name == source.stream.name());
                    source.ready = source.ready && !gone;
                }
                self.looked_at = None;
                Ok(Vec::new())
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn take(
        &mut self,
        found: &StreamEntries,
        sealed: &mpsc::Sender<SealedBatch>,
    ) -> Result<(), LoadError> {
        Counters::add(&self.shared.counters.entries_read, found.entries.len() as u64);
        if self.batch.first_at().is_none() {
            // the batch before may have ended long ago, and a new day's master come since
            self.rows.refresh();
        }
        let mut repeats = Vec::new();
        for entry in &found.entries {
            loop {
                let Some(source) = self.sources.get_mut(&found.stream) else { return Ok(()) };
                match source.accept(entry, &mut self.batch, &mut self.rows) {
                    Accepted::Taken => {}
                    Accepted::Repeat => repeats.push(entry.id),
                    Accepted::Hole => return self.ask_again(&found.stream).await,
                    Accepted::Foreign => {
                        self.bury(&found.stream, entry).await?;
                        // its id may be past the publisher's next ones: a stream sent again is clean
                        return self.ask_again(&found.stream).await;
                    }
                    Accepted::NextBatch => {
                        self.hand_over(sealed).await?;
                        continue;
                    }
                }
                break;
            }
            if let Some(source) = self.sources.get_mut(&found.stream) {
                source.read += 1;
            }
            if self.batch.is_full(self.shared.options.batch_rows) {
                self.hand_over(sealed).await?;
            }
        }
        self.drop_repeats(&found.stream, repeats).await
    }

    /// Acknowledges entries that are stored; those that are in a batch are acknowledged with it.
    async fn drop_repeats(&mut self, stream: &str, mut repeats: Vec<EntryId>) -> Result<(), LoadError> {
        if repeats.is_empty() {
            return Ok(());
        }
        Counters::add(&self.shared.counters.repeats, repeats.len() as u64);
        let origin = self.sources.get(stream).map(|source| source.stream.origin()).unwrap_or_default();
        let stored = self.stored_id(&origin);
        repeats.retain(|id| *id <= stored);
        self.consumer.control().ack(stream, &repeats).await?;
        Ok(())
    }

    fn stored_id(&self, origin: &str) -> EntryId {
        let stored = self.stored.lock().unwrap_or_else(PoisonError::into_inner);
        stored.get(origin).copied().unwrap_or_default()
    }

    /// Seals the batch, if there is anything in it, and waits until the sealer takes it.
    async fn hand_over(&mut self, sealed: &mpsc::Sender<SealedBatch>) -> Result<(), LoadError> {
        if self.batch.first_at().is_none() {
            return Ok(());
        }
        let name = &self.shared.options.name;
        let next = Batch::new(batch_id(name, self.fence, self.number + 1), self.shared.clock.now());
        let next = next.published(self.shared.outlet.is_on());
        let batch = std::mem::replace(&mut self.batch, next).seal(name, self.fence, self.number);
        self.number += 1;
        self.rows.refresh();
        // a sealer that is gone has its own error, which ends this future too
        let handed = sealed.send(batch).await;
        if handed.is_err() {
            std::future::pending::<()>().await;
        }
        Ok(())
    }

    /// Records are missing: asks their publisher, and reads this stream no further until it has answered.
    async fn ask_again(&mut self, stream: &str) -> Result<(), LoadError> {
        let Some(source) = self.sources.get_mut(stream) else { return Ok(()) };
        tracing::warn!(stream, after = %source.last, "records are missing, asking for them again");
        source.ready = false;
        source.hole = Some(Hole { since: Instant::now() });
        let after = source.last;
        Counters::add(&self.shared.counters.holes, 1);
        Ok(self.consumer.control().request_resend(stream, after).await?)
    }

    /// An entry that is no record in a stream that only its publisher may write: to quarantine by itself, outside any
    /// batch, since it has no place in the sequence.
    async fn bury(&mut self, stream: &str, entry: &Entry) -> Result<(), LoadError> {
        let id = FrameId { session: entry.id.ms, socket: 0, sequence: entry.id.seq };
        let batch_id = batch_id(stream, id.session, id.sequence);
        let payload = payload_of(&entry.value);
        let mut ledger = LedgerColumns::new(batch_id);
        ledger.push_quarantined(&QuarantineRow {
            origin: Origin { recorder: "", id, stream, epoch: 0 },
            packet_index: 0,
            received_at: self.shared.clock.now(),
            reason: "foreign_entry",
            detail: "not written by the publisher of the stream",
            payload: &payload,
        });
        for (table, block) in ledger.finish() {
            let part = InsertId { batch_id, part: table };
            self.shared.store.insert_block(table, &block, part, Deduplicate::ByToken).await?;
        }
        Counters::add(&self.shared.counters.quarantined, 1);
        let letter = DeadLetter { origin: stream, id: entry.id, reason: "foreign_entry", payload: &payload };
        self.consumer.control().dead(letter).await?;
        self.consumer.control().ack(stream, &[entry.id]).await?;
        Ok(())
    }

    /// Finds new streams, makes groups, ends waits for missing records, and says where everything stands.
    async fn look(&mut self) -> Result<(), LoadError> {
        for stream in self.consumer.discover().await? {
            if !self.sources.contains_key(stream.name()) {
                let mark = self.marks.get(&stream.origin()).copied().unwrap_or_default();
                let mut source = Source::behind(&self.shared.store, stream.clone(), mark.epoch, mark).await?;
                if stream.is_frames() && self.consumer.control().resend_pending(stream.name()).await? {
                    // what is in the stream now begins too late
                    source.hole = Some(Hole { since: Instant::now() });
                }
                self.sources.insert(stream.name().to_owned(), source);
            }
        }
        let names: Vec<String> = self.sources.keys().cloned().collect();
        let mut states = Vec::with_capacity(names.len());
        for name in names {
            self.prepare(&name).await?;
            states.extend(self.state_of(&name).await?);
        }
        self.looked_at = Some(Instant::now());
        self.shared.state.send_modify(|state: &mut LoaderState| {
            state.streams = states;
            state.looked += 1;
        });
        Ok(())
    }

    /// Makes a stream that is not being read ready, if it can be.
    async fn prepare(&mut self, name: &str) -> Result<(), LoadError> {
        let patience = self.shared.options.resend_patience;
        let Some(source) = self.sources.get_mut(name) else { return Ok(()) };
        if source.ready {
            return Ok(());
        }
        if let Some(Hole { since }) = source.hole {
            let asked = self.consumer.control().resend_pending(name).await?;
            if asked && since.elapsed() < patience {
                return Ok(());
            }
            // whatever comes next is all there is
            source.hole = None;
            source.give_up_after = Some(source.last);
        }
        let stream: Stream = source.stream.clone();
        if stream.ids_may_begin_anew() {
            let info = self.consumer.control().info(name).await?;
            if info.is_none_or(|info| info.regressed_below(source.last)) && source.last > EntryId::ZERO {
                source.begin_anew();
            }
        }
        let after = source.last;
        match self.consumer.ensure_group(&stream, after).await? {
            GroupState::NoStream => return Ok(()),
            GroupState::Created => {}
            GroupState::Existed => self.consumer.seek(name, after).await?,
        }
        if let Some(source) = self.sources.get_mut(name) {
            source.ready = true;
        }
        Ok(())
    }

    async fn state_of(&mut self, name: &str) -> Result<Option<StreamState>, LoadError> {
        let Some(info) = self.consumer.control().info(name).await? else { return Ok(None) };
        let Some(source) = self.sources.get_mut(name) else { return Ok(None) };
        if !source.stream.is_frames() {
            source.note_trimmed(&info, &mut self.batch, self.shared.clock.now());
        }
        let Some(source) = self.sources.get(name) else { return Ok(None) };
        let stored = self.stored_id(&source.stream.origin());
        Ok(Some(StreamState {
            stream: name.to_owned(),
            last_id: info.last_generated_id.to_string(),
            stored_id: stored.to_string(),
            entries: info.length,
            caught_up: source.last >= info.last_generated_id
                && (stored == source.last || source.last == EntryId::ZERO),
        }))
    }
}
