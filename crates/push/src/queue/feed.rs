//! The thread between queue and journal.

use super::state::Shared;
use crate::{PushError, Pusher};
use std::collections::VecDeque;

/// Runs until the queue is closed and empty, or the journal takes nothing more.
pub(super) fn run(queue: &Shared, pusher: &Pusher) {
    // the callers learn of the end even of one by a panic
    let finish = Finish(queue);
    while let Some(batches) = queue.take() {
        // all are handed over before any is waited for, so that a policy which forces each write to the disk forces one
        let mut under_way = VecDeque::with_capacity(batches.len());
        let mut result = Ok(());
        for batch in batches {
            let ticks = batch.message.ticks() as u64;
            match pusher.hand_over_blocking(batch.message, batch.received_at) {
                Ok(receipt) => under_way.push_back((receipt.record.sequence, ticks)),
                Err(error) => {
                    result = Err(error);
                    break;
                }
            }
        }
        let flushed = pusher.flush_blocking();
        let written = pusher.journaled_sequence();
        let ticks =
            under_way.iter().filter(|(sequence, _)| *sequence <= written).map(|(_, ticks)| ticks).sum();
        queue.note_journaled(ticks);
        if let Err(error) = result.and(flushed) {
            if !matches!(error, PushError::Closed) {
                tracing::error!(%error, "ticks can't be journaled any longer");
            }
            break;
        }
    }
    drop(finish);
}

struct Finish<'a>(&'a Shared);

impl Drop for Finish<'_> {
    fn drop(&mut self) {
        self.0.note_finished();
    }
}
