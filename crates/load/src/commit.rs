//! The three steps that store a batch. Each works on another batch at the same time, in the order of the batches:
//! while the rows of one are inserted, the next one's seal is synced to disk and the last one's ledger is written.
//!
//! What enters: sealed batches, in order. What leaves: acknowledged entries. What never happens here: an insert whose seal is not
//! recorded, or `stored` recorded for a batch before the one ahead of it, since the mark is the highest stored entry.
//!
//! A crash leaves up to three open seals. Each names its own batch, so each is counted and settled by itself, oldest first
//! (`recovery`). A batch is taken from its queue only when there is room behind the step, so at most five exist: one
//! being filled, one that waits, and one at each step, the last without its ticks.

use crate::batch::SealedBatch;
use crate::counters::Counters;
use crate::error::LoadError;
use crate::loader::Shared;
use crate::owner::Stored;
use crate::settle;
use std::collections::{BTreeMap, VecDeque};
use std::sync::PoisonError;
use std::time::{Duration, Instant};
use tickhouse_stream::{Control, DeadLetter, EntryId, Lease};
use tokio::sync::mpsc::{Permit, Receiver, Sender};

/// Pause between trims of a stream.
const TRIM_EVERY: Duration = Duration::from_secs(1);

/// Room behind a step. One whose follower is gone waits for the follower's error to end it.
async fn room(behind: &Sender<SealedBatch>) -> Permit<'_, SealedBatch> {
    match behind.reserve().await {
        Ok(permit) => permit,
        Err(_gone) => std::future::pending().await,
    }
}

/// Records that a batch will be inserted.
pub(crate) struct Sealer<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) lease: &'a Lease,
}

impl Sealer<'_> {
    pub(crate) async fn run(
        self,
        mut batches: Receiver<SealedBatch>,
        sealed: Sender<SealedBatch>,
    ) -> Result<(), LoadError> {
        let Shared { store, clock, .. } = self.shared;
        loop {
            let room = room(&sealed).await;
            let Some(batch) = batches.recv().await else { return Ok(()) };
            store.record_sealed(&batch.seal, clock.now()).await?;
            // asked of Redis, after the seal: a successor that did not see the seal when it looked for open ones loads these
            // entries by itself, and one that comes later sees it
            self.lease.renew().await?;
            room.send(batch);
        }
    }
}

/// Inserts and counts the ticks of a batch.
pub(crate) struct Inserter<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) lease: &'a Lease,
}

impl Inserter<'_> {
    pub(crate) async fn run(
        self,
        mut sealed: Receiver<SealedBatch>,
        inserted: Sender<SealedBatch>,
    ) -> Result<(), LoadError> {
        let Shared { store, clock, counters, options, .. } = self.shared;
        loop {
            let room = room(&inserted).await;
            let Some(mut batch) = sealed.recv().await else { return Ok(()) };
            // an owner that lost its lease must not begin an insert: its successor counts what is there
            if !self.lease.is_held(options.lease_ttl / 4) {
                self.lease.renew().await?;
            }
            settle::store_ticks(store, &batch, counters).await?;
            batch.note_queryable(counters, clock.now());
            batch.ticks = Vec::new();
            room.send(batch);
        }
    }
}

/// Stores what a batch has beside its ticks, records it as stored, and lets Redis forget it.
pub(crate) struct Finisher<'a> {
    shared: &'a Shared,
    control: Control,
    stored: &'a Stored,
    /// Stored entries that are still in Redis: since when, stream, id.
    trims: VecDeque<(Instant, String, EntryId)>,
}

impl<'a> Finisher<'a> {
    pub(crate) const fn new(shared: &'a Shared, control: Control, stored: &'a Stored) -> Self {
        Self { shared, control, stored, trims: VecDeque::new() }
    }

    pub(crate) async fn run(mut self, mut inserted: Receiver<SealedBatch>) -> Result<(), LoadError> {
        let mut trim = tokio::time::interval(TRIM_EVERY);
        loop {
            tokio::select! {
                batch = inserted.recv() => match batch {
                    Some(batch) => self.finish(batch).await?,
                    None => return Ok(()),
                },
                _ = trim.tick() => self.trim().await?,
            }
        }
    }

    async fn finish(&mut self, mut batch: SealedBatch) -> Result<(), LoadError> {
        let Shared { store, clock, counters, .. } = self.shared;
        settle::store_ledger(store, &batch, counters).await?;
        store.record_stored(&batch.seal, clock.now()).await?;
        batch.count(counters);
        self.shared.outlet.offer(std::mem::take(&mut batch.flat), counters);
        for dead in &batch.dead {
            let letter = DeadLetter {
                origin: &dead.origin,
                id: dead.id,
                reason: &dead.reason,
                payload: &dead.payload,
            };
            self.control.dead(letter).await?;
        }
        self.acknowledge(&batch).await
    }

    async fn acknowledge(&mut self, batch: &SealedBatch) -> Result<(), LoadError> {
        let now = Instant::now();
        for (stream, ids) in &batch.entries {
            let Some(last) = ids.last() else { continue };
            let origin = stream.origin();
            self.control.set_mark(&origin, *last).await?;
            self.stored.lock().unwrap_or_else(PoisonError::into_inner).insert(origin, *last);
            self.control.ack(stream.name(), ids).await?;
            self.trims.push_back((now, stream.name().to_owned(), *last));
        }
        Ok(())
    }

    /// Trims what has been stored for longer than the grace.
    async fn trim(&mut self) -> Result<(), LoadError> {
        let grace = self.shared.options.trim_grace;
        let mut due = BTreeMap::new();
        while self.trims.front().is_some_and(|(since, ..)| since.elapsed() >= grace) {
            if let Some((_, stream, id)) = self.trims.pop_front() {
                due.insert(stream, id);
            }
        }
        for (stream, id) in due {
            Counters::add(&self.shared.counters.trimmed, self.control.trim(&stream, id).await?);
        }
        Ok(())
    }
}
