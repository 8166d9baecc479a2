//! What a publisher tells about itself.

use crate::EntryId;
use serde::Serialize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tickhouse_model::{FrameId, Timestamp};
use tickhouse_telemetry::{Latency, LatencySummary};
use tokio::sync::watch;

/// Counters of a publisher since its process began. Records that left the journal are `published + already_there`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct PublisherStatus {
    /// The stream.
    pub stream: String,
    /// Whether the last command was answered.
    pub connected: bool,
    /// Why nothing is published at the moment. The journal holds what waits; nothing is dropped.
    pub waiting_for: Option<String>,
    /// Entries added.
    pub published: u64,
    /// Records that Redis had already: their answer was lost.
    pub already_there: u64,
    /// Bytes of the records added.
    pub bytes: u64,
    /// Round trips that added entries.
    pub batches: u64,
    /// Times that publishing began anew: connections lost, refusals, vanished streams, resends.
    pub restarts: u64,
    /// Times that the stream was gone: FLUSHALL, DEL, a lost append-only file.
    pub vanished: u64,
    /// Resends done for a loader.
    pub resends: u64,
    /// Failures of Redis: refused, timed out, out of memory.
    pub errors: u64,
    /// Bytes of the journal that fit no record; the sequences in them are missing from the stream.
    pub damaged_bytes: u64,
    /// The last entry in Redis.
    pub last_published: EntryId,
    /// What the loader has confirmed.
    pub mark: EntryId,
    /// From the socket to the answer of Redis.
    pub latency: LatencySummary,
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) status: PublisherStatus,
    pub(super) latency: Latency,
}

/// Looks at a running publisher. Cheap to clone.
#[derive(Clone, Debug)]
pub struct PublisherHandle {
    pub(super) counters: Arc<Mutex<Counters>>,
    pub(super) mark: watch::Receiver<EntryId>,
}

impl PublisherHandle {
    /// Counters and latency so far.
    pub fn status(&self) -> PublisherStatus {
        let counters = lock(&self.counters);
        PublisherStatus { latency: counters.latency.summary(), ..counters.status.clone() }
    }

    /// The latencies so far, socket to the answer of Redis, to add to others'.
    pub fn latency(&self) -> Latency {
        lock(&self.counters).latency.clone()
    }

    /// What the loader has confirmed, [`EntryId::ZERO`] before anything: journal segments at or below it may be pruned.
    pub fn mark(&self) -> watch::Receiver<EntryId> {
        self.mark.clone()
    }
}

/// What a batch brought.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Added {
    pub(super) published: u64,
    pub(super) already_there: u64,
    pub(super) bytes: u64,
}

impl Counters {
    pub(super) fn note_batch(
        &mut self,
        added: Added,
        received: impl Iterator<Item = (FrameId, Timestamp)>,
        now: Timestamp,
    ) {
        let status = &mut self.status;
        status.connected = true;
        status.waiting_for = None;
        status.published += added.published;
        status.already_there += added.already_there;
        status.bytes += added.bytes;
        status.batches += 1;
        for (id, received_at) in received {
            status.last_published = id.into();
            self.latency.record(now.since(received_at));
        }
    }

    pub(super) fn note_wait(&mut self, why: String, connected: bool) {
        self.status.connected = connected;
        self.status.waiting_for = Some(why);
    }
}

/// Locks; every state in between is whole.
pub(super) fn lock(counters: &Mutex<Counters>) -> MutexGuard<'_, Counters> {
    counters.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Pauses between attempts: 50 ms, doubling to 2 s.
#[derive(Debug)]
pub(super) struct Backoff(Duration);

impl Backoff {
    const FIRST: Duration = Duration::from_millis(50);
    const LONGEST: Duration = Duration::from_secs(2);

    pub(super) const fn new() -> Self {
        Self(Self::FIRST)
    }

    pub(super) fn next(&mut self) -> Duration {
        let pause = self.0;
        self.0 = (self.0 * 2).min(Self::LONGEST);
        pause
    }
}
