//! Few questions at once, each for a limited time.
//!
//! What enters: work. What leaves: its result, or that it could not be begun or ended in time. What never happens here: a queue
//! without an end: whoever waits too long is turned away.

use crate::fault::Fault;
use crate::limits::Limits;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::Semaphore;

/// Lets a few in at once.
#[derive(Debug)]
pub(crate) struct Gate {
    places: Semaphore,
    wait: Duration,
    time: Duration,
    pub(crate) answered: AtomicU64,
    pub(crate) refused: AtomicU64,
}

impl Gate {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            places: Semaphore::new(limits.questions),
            wait: limits.question_wait,
            time: limits.question_time,
            answered: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        }
    }

    /// Does the work when there is a place. Dropped work ends its query too.
    pub(crate) async fn run<T>(&self, work: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
        let result = match tokio::time::timeout(self.wait, self.places.acquire()).await {
            // it is never closed
            Err(_) | Ok(Err(_)) => Err(Fault::busy()),
            Ok(Ok(_place)) => tokio::time::timeout(self.time, work)
                .await
                .unwrap_or_else(|_| Err(Fault::too_slow(self.time))),
        };
        let counter = if result.is_ok() { &self.answered } else { &self.refused };
        counter.fetch_add(1, Ordering::Relaxed);
        result
    }
}
