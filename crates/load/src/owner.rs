//! One ownership of the streams: from the lease to its loss, an error, or the end.
//!
//! ```text
//!  lease ─┬─ reader: read ▶ accept ▶ seal ─▶ sealer: record ─▶ inserter: ticks, count ─▶ finisher: ledger, count ▶ stored ▶ acknowledge
//!         └─ keeper: renew                                                      an error of any of them ends all of them
//! ```

use crate::commit::{Finisher, Inserter, Sealer};
use crate::error::LoadError;
use crate::loader::Shared;
use crate::reader::Reader;
use crate::recovery;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tickhouse_store::Mark;
use tickhouse_stream::{Consumer, Control, EntryId, Lease};
use tokio::sync::{mpsc, watch};

/// The highest stored entry of each origin, as the finisher moves it.
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
            settled = recovery::settle_open(shared, &owner.control) => settled?,
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

    /// A mark that Redis has higher than ClickHouse says that ClickHouse was restored older, or emptied: what it forgot may be
    /// in the journals still. The next record would show the hole, but a recorder that has stopped sends none. Flat entries are in
    /// no journal: what Redis has of them is read again, the rest is a gap.
    async fn ask_for_what_was_forgotten(&self) -> Result<(), LoadError> {
        for (origin, known) in self.control.marks().await? {
            let stream = recovery::stream_of(&self.control, &origin);
            let mark = self.marks.get(&origin).copied().unwrap_or_default();
            let stored = EntryId::from(mark.last);
            if known <= stored {
                continue;
            }
            tracing::warn!(origin, %known, %stored, "ClickHouse has less than was confirmed, asking for the rest again");
            if stream.is_frames() {
                // lowered first: the journal is pruned by it
                self.control.set_mark(&origin, stored).await?;
                self.control.request_resend(stream.name(), stored).await?;
            } else {
                recovery::declare_forgotten(self.shared, &self.control, &stream, mark, known).await?;
                self.control.set_mark(&origin, stored).await?;
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
        let sealer = Sealer { shared, lease: &lease };
        let inserter = Inserter { shared, lease: &lease };
        let finisher = Finisher::new(shared, control, &stored);
        let (seal, collected) = mpsc::channel(1);
        let (insert, recorded) = mpsc::channel(1);
        let (finish, counted) = mpsc::channel(1);
        // on the heap: all that the four hold between two turns is some 20 kB
        let loading = Box::pin(async {
            tokio::try_join!(
                reader.run(seal, stop),
                sealer.run(collected, insert),
                inserter.run(recorded, finish),
                finisher.run(counted),
            )
        });
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
