//! One ownership of the streams: from the lease to its loss, an error, or the end.
//!
//! ```text
//!           ┌ reader: read ▶ accept ▶ seal ┐ one batch ┌ committer: record ▶ insert ▶ count ▶ mark ▶ acknowledge ▶ trim
//!  lease ───┤                              ├──────────▶┤
//!           └ keeper: renew                ┘           └ an error of any of them ends all of them
//! ```

use crate::batch::SealedBatch;
use crate::counters::Counters;
use crate::error::LoadError;
use crate::loader::Shared;
use crate::reader::Reader;
use crate::{recovery, settle};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use tickhouse_store::Mark;
use tickhouse_stream::{Consumer, Control, DeadLetter, EntryId, Lease};
use tokio::sync::{mpsc, watch};

/// Pause between trims of a stream.
const TRIM_EVERY: Duration = Duration::from_secs(1);

/// The highest stored entry of each origin, as the committer moves it.
pub(crate) type Stored = Mutex<BTreeMap<String, EntryId>>;

/// Holds the lease.
pub(crate) struct Owner<'a> {
    shared: &'a Shared,
    control: Control,
    consumer: Consumer,
    lease: Lease,
    marks: BTreeMap<String, Mark>,
}

impl<'a> Owner<'a> {
    /// Acquires the lease and settles what earlier owners left open.
    pub(crate) async fn begin(shared: &'a Shared) -> Result<Self, LoadError> {
        let options = &shared.options;
        shared.store.ping().await?;
        let consumer = Consumer::connect(options.redis.clone(), &options.name).await?;
        let control = consumer.control().clone();
        let now = u64::try_from(shared.clock.now().as_millis()).unwrap_or(0);
        let floor = now.max(shared.store.highest_fence().await? + 1);
        let unreleased = shared.unreleased.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(lease) = unreleased {
            // nothing of that ownership runs any more, so there is no need to wait until its lease expires
            if let Err(error) = lease.release().await {
                *shared.unreleased.lock().unwrap_or_else(PoisonError::into_inner) = Some(lease);
                return Err(error.into());
            }
        }
        let lease = Lease::acquire(&control, &options.name, options.lease_ttl, floor).await?;
        let mut owner = Self { shared, control, consumer, lease, marks: BTreeMap::new() };
        tokio::select! {
            settled = owner.settle_open() => settled?,
            lost = keep(&owner.lease, options.lease_ttl) => return Err(lost),
        }
        owner.marks = shared.store.marks().await?;
        owner.ask_for_what_was_forgotten().await?;
        for (origin, mark) in &owner.marks {
            owner.control.set_mark(origin, mark.last.into()).await?;
        }
        tracing::info!(fence = owner.lease.fence(), origins = owner.marks.len(), "owning the streams");
        shared.state.send_modify(|state| {
            state.fence = Some(owner.lease.fence());
            state.error = None;
        });
        Ok(owner)
    }

    async fn settle_open(&self) -> Result<(), LoadError> {
        for seal in self.shared.store.open_seals().await? {
            let marks = self.shared.store.marks().await?;
            recovery::recover(self.shared, &self.control, &seal, &marks).await?;
        }
        Ok(())
    }

    /// A mark that Redis has higher than ClickHouse says that ClickHouse was restored older, or emptied: what it forgot may be
    /// in the journals still. Where a session ended is not visible in a stream, so no hole would tell.
    async fn ask_for_what_was_forgotten(&self) -> Result<(), LoadError> {
        for (origin, known) in self.control.marks().await? {
            let stream = recovery::stream_of(&self.control, &origin);
            let stored: EntryId = self.marks.get(&origin).map_or(EntryId::ZERO, |mark| mark.last.into());
            if stream.is_frames() && known > stored {
                tracing::warn!(origin, %known, %stored, "ClickHouse has less than was confirmed, asking for the rest again");
                // lowered first: the journal is pruned by it
                self.control.set_mark(&origin, stored).await?;
                self.control.request_resend(stream.name(), stored).await?;
            }
        }
        Ok(())
    }

    /// Loads until told to stop. Whatever was read by then is stored.
    pub(crate) async fn run(self, stop: watch::Receiver<bool>) -> Result<(), LoadError> {
        let Self { shared, control, consumer, lease, marks } = self;
        let stored = marks.iter().map(|(origin, mark)| (origin.clone(), mark.last.into())).collect();
        let stored = Stored::new(stored);
        let reader = Reader::new(shared, consumer, lease.fence(), &marks, &stored);
        let committer = Committer { shared, control, lease: &lease, stored: &stored, trims: VecDeque::new() };
        let (sender, receiver) = mpsc::channel(1);
        let loading = async { tokio::try_join!(reader.run(sender, stop), committer.run(receiver)) };
        let result = tokio::select! {
            result = loading => result.map(drop),
            lost = keep(&lease, shared.options.lease_ttl) => Err(lost),
        };
        if let Err(error) = lease.release().await {
            tracing::debug!(%error, "the lease was not given back, it expires by itself");
            *shared.unreleased.lock().unwrap_or_else(PoisonError::into_inner) = Some(lease);
        }
        result
    }
}

/// Renews the lease until it is lost.
async fn keep(lease: &Lease, ttl: Duration) -> LoadError {
    loop {
        tokio::time::sleep(ttl / 4).await;
        if let Err(error) = lease.renew().await {
            // an answer that does not come is no loss yet: the lease itself knows how long it may be relied on
            if !lease.is_held(Duration::ZERO) {
                return error.into();
            }
            tracing::debug!(%error, "the lease was not renewed");
        }
    }
}

/// Stores batches one after the other.
struct Committer<'a> {
    shared: &'a Shared,
    control: Control,
    lease: &'a Lease,
    stored: &'a Stored,
    /// Stored entries that are still in Redis: since when, stream, id.
    trims: VecDeque<(Instant, String, EntryId)>,
}

impl Committer<'_> {
    async fn run(mut self, mut batches: mpsc::Receiver<SealedBatch>) -> Result<(), LoadError> {
        let mut trim = tokio::time::interval(TRIM_EVERY);
        loop {
            tokio::select! {
                batch = batches.recv() => match batch {
                    Some(batch) => self.commit(batch).await?,
                    None => return Ok(()),
                },
                _ = trim.tick() => self.trim().await?,
            }
        }
    }

    async fn commit(&mut self, batch: SealedBatch) -> Result<(), LoadError> {
        let Shared { store, clock, counters, .. } = self.shared;
        // an owner that lost its lease must not begin an insert: its successor counts what is there
        if !self.lease.is_held(self.shared.options.lease_ttl / 4) {
            self.lease.renew().await?;
        }
        store.record_sealed(&batch.seal, clock.now()).await?;
        // asked of Redis, after the seal: a successor that did not see the seal when it looked for open ones loads these
        // entries by itself, and one that comes later sees it
        self.lease.renew().await?;
        settle::store_fresh(store, &batch, counters).await?;
        store.record_stored(&batch.seal, clock.now()).await?;
        batch.count(counters, clock.now());
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
