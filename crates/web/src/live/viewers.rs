//! Who looks on, and what was sent to them.

use crate::state::WebCounts;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tickhouse_telemetry::Latency;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

/// Who looks on, and what was sent to them.
#[derive(Debug)]
pub(crate) struct Viewers {
    places: Arc<Semaphore>,
    most: usize,
    end: watch::Sender<bool>,
    total: AtomicU64,
    refused: AtomicU64,
    pub(super) stalled: AtomicU64,
    pub(super) messages: AtomicU64,
    pub(super) message_bytes: AtomicU64,
    pub(super) bad_messages: AtomicU64,
    latency: Mutex<Latency>,
}

impl Viewers {
    pub(crate) fn new(most: usize) -> Self {
        Self {
            places: Arc::new(Semaphore::new(most)),
            most,
            end: watch::Sender::new(false),
            total: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            stalled: AtomicU64::new(0),
            messages: AtomicU64::new(0),
            message_bytes: AtomicU64::new(0),
            bad_messages: AtomicU64::new(0),
            latency: Mutex::default(),
        }
    }

    /// A place, if there is one.
    pub(super) fn enter(&self) -> Option<OwnedSemaphorePermit> {
        let place = Arc::clone(&self.places).try_acquire_owned().ok();
        let counter = if place.is_some() { &self.total } else { &self.refused };
        counter.fetch_add(1, Ordering::Relaxed);
        place
    }

    /// Tells when everybody is to go.
    pub(super) fn end(&self) -> watch::Receiver<bool> {
        self.end.subscribe()
    }

    pub(crate) fn close(&self) {
        self.end.send_replace(true);
    }

    /// Counts a message of quotes with how old each was when it was sent.
    pub(super) fn note_latency(&self, ages: impl Iterator<Item = std::time::Duration>) {
        let mut latency = self.latency.lock().unwrap_or_else(PoisonError::into_inner);
        ages.for_each(|age| latency.record(age));
    }

    pub(crate) fn latency(&self) -> Latency {
        self.latency.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn counts(&self) -> WebCounts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        WebCounts {
            clients: (self.most - self.places.available_permits()) as u64,
            clients_total: read(&self.total),
            clients_refused: read(&self.refused),
            clients_stalled: read(&self.stalled),
            messages: read(&self.messages),
            message_bytes: read(&self.message_bytes),
            bad_messages: read(&self.bad_messages),
            socket_to_browser: self.latency().summary(),
            ..WebCounts::default()
        }
    }
}
