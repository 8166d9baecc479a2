//! What a pusher tells about itself.

use serde::Serialize;
use std::sync::atomic::{AtomicU64, Ordering};
use tickhouse_journal::SocketStatus;
use tickhouse_stream::PublisherStatus;

/// Counters of pushes since the process began. Once nothing is under way, `pushes` equals the journal's `records`, and these
/// the publisher's `published + already_there` but for what an earlier session left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PushCounters {
    /// Pushes handed to the journal, one record each.
    pub pushes: u64,
    /// Their ticks: as many rows of `tick_data`.
    pub ticks: u64,
    /// Pushes refused for what is in them, by the Rust interface; the HTTP interface counts its own.
    pub refused: u64,
    /// Pushes turned away because the queue was full.
    pub queue_full: u64,
}

/// What a pusher does.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PusherStatus {
    /// Its name.
    pub recorder: String,
    /// Its session.
    pub session: u64,
    /// Pushes.
    pub counters: PushCounters,
    /// The journal; none once it is closed.
    pub journal: Option<SocketStatus>,
    /// The publisher.
    pub publisher: PublisherStatus,
}

#[derive(Debug, Default)]
pub(super) struct Counts {
    pushes: AtomicU64,
    ticks: AtomicU64,
    refused: AtomicU64,
    queue_full: AtomicU64,
}

impl Counts {
    pub(super) fn note_push(&self, ticks: usize) {
        self.pushes.fetch_add(1, Ordering::Relaxed);
        self.ticks.fetch_add(ticks as u64, Ordering::Relaxed);
    }

    pub(super) fn note_refused(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn note_queue_full(&self) {
        self.queue_full.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn read(&self) -> PushCounters {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        PushCounters {
            pushes: read(&self.pushes),
            ticks: read(&self.ticks),
            refused: read(&self.refused),
            queue_full: read(&self.queue_full),
        }
    }
}
