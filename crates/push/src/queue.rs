//! Ticks of single calls, gathered into records: for a callback that must not wait and gives one tick at a time.
//!
//! What enters: packets, from any thread, each call some 100 ns. What leaves: messages of the ticks of a few milliseconds, through a
//! [`Pusher`] into its journal. What never happens here: a tick that is accepted and then dropped without being counted, more
//! memory than the ticks that were allowed, a call that waits without having been asked to.
//!
//! ```text
//! offer ─▶ open batch ─▶ full batches ─▶ thread `push-feed` ─▶ Pusher ─▶ journal ─▶ journaled
//!          5 ms or 5,000 ticks           ╰── at most `capacity` ticks in all, until they are journaled ──╯
//! ```

mod feed;
mod state;

pub use state::QueueCounters;

use crate::pusher::lock;
use crate::{CloseReport, MOST_TICKS, PushError, Pusher};
use state::Shared;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tickhouse_model::Packet;

/// Longest wait at the end of a queue that was dropped instead of closed.
const DROP_PATIENCE: Duration = Duration::from_secs(2);
/// What the end takes at least where no time is left: nothing waits for a disk or for Redis then.
const AT_THE_END: Duration = Duration::from_millis(100);

/// What a queue needs to know.
#[derive(Clone, Copy, Debug)]
pub struct QueueOptions {
    /// Ticks that may be accepted and not yet journaled; about 200 bytes each.
    pub capacity: usize,
    /// How long ticks are gathered for a record. Their receive time is that of the first of them.
    pub gather: Duration,
}

impl Default for QueueOptions {
    /// 100,000 ticks: some ten seconds of a whole Kite key; 5 ms.
    fn default() -> Self {
        Self { capacity: 100_000, gather: Duration::from_millis(5) }
    }
}

/// Why a tick was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoPlace {
    /// As many ticks wait as may: see [`TickQueue::wait_for_place`].
    Full,
    /// The queue was closed, or its journal ended.
    Closed,
}

/// What became of the ticks of a queue that was closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drained {
    /// What became of the journal.
    pub journal: CloseReport,
    /// Ticks that were accepted and are not in the journal, because the disk took none of them in time.
    pub lost: u64,
}

/// A bounded queue of ticks in front of a [`Pusher`]. Share it by an [`Arc`].
#[derive(Debug)]
pub struct TickQueue {
    shared: Arc<Shared>,
    pusher: Arc<Pusher>,
    feeder: Mutex<Option<JoinHandle<()>>>,
}

impl TickQueue {
    /// Begins to take ticks for this pusher.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn new(pusher: Pusher, options: QueueOptions) -> Result<Self, PushError> {
        let pusher = Arc::new(pusher);
        let shared = Arc::new(Shared::new(options, pusher.clock().clone()));
        let (queue, target) = (Arc::clone(&shared), Arc::clone(&pusher));
        let thread = std::thread::Builder::new().name("push-feed".to_owned());
        let feeder = thread.spawn(move || feed::run(&queue, &target)).map_err(PushError::Thread)?;
        Ok(Self { shared, pusher, feeder: Mutex::new(Some(feeder)) })
    }

    /// Takes a tick. Never waits: for a lock of some nanoseconds at most.
    ///
    /// # Errors
    /// [`NoPlace`], and then the tick is not taken.
    pub fn offer(&self, packet: &Packet) -> Result<(), NoPlace> {
        self.shared.offer(packet)
    }

    /// Waits until there is place for a tick, or the queue is closed. `false` when there was none in time.
    pub fn wait_for_place(&self, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        self.shared.wait(deadline, |state| state.has_place(self.shared.capacity()) || state.ended)
    }

    /// Ticks accepted until now: what [`TickQueue::wait_journaled`] waits for.
    pub fn accepted(&self) -> u64 {
        lock(&self.shared.state).accepted
    }

    /// Waits until the first `accepted` ticks are journaled. `false` when they were not in time.
    ///
    /// # Errors
    /// [`PushError::JournalFault`] when the journal ended before.
    pub fn wait_journaled(&self, accepted: u64, patience: Duration) -> Result<bool, PushError> {
        let deadline = Instant::now() + patience;
        self.shared.want(accepted);
        self.shared.wait(deadline, |state| state.journaled >= accepted || state.finished);
        let state = lock(&self.shared.state);
        match state.journaled >= accepted {
            true => Ok(true),
            false if state.finished => Err(PushError::JournalFault("it was closed before".to_owned())),
            false => Ok(false),
        }
    }

    /// What it feeds: its name, session, status.
    pub fn pusher(&self) -> &Pusher {
        &self.pusher
    }

    /// Counters.
    pub fn counters(&self) -> QueueCounters {
        lock(&self.shared.state).counters()
    }

    /// Takes no more ticks, waits until those that were taken are journaled and, as far as `patience` allows, published. Blocks.
    /// A second call finds nothing to do and gives `None`.
    pub fn close(&self, patience: Duration) -> Option<Drained> {
        let deadline = Instant::now() + patience;
        self.shared.end();
        let feeder = lock(&self.feeder).take()?;
        self.shared.wait(deadline, |state| state.finished);
        // where the disk takes nothing the feeder still waits: closing the pusher ends that
        let left = deadline.saturating_duration_since(Instant::now()).max(AT_THE_END);
        let journal = self.pusher.close(left)?;
        if feeder.join().is_err() {
            tracing::error!("the thread that feeds the journal panicked");
        }
        let state = lock(&self.shared.state);
        Some(Drained { journal, lost: state.accepted - state.journaled })
    }
}

impl Drop for TickQueue {
    fn drop(&mut self) {
        self.close(DROP_PATIENCE);
    }
}

/// Whether a batch is as large as a push may be.
const fn is_whole(ticks: usize) -> bool {
    ticks >= MOST_TICKS
}
