//! What a pusher does besides taking pushes: publishing, removing what is stored, ending.

use super::{CloseReport, SOCKET};
use crate::PushError;
use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tickhouse_journal::{Journal, SocketStatus};
use tickhouse_stream::{EntryId, Publisher, PublisherHandle};
use tokio::runtime::{Builder, Handle};
use tokio::sync::{oneshot, watch};
use tokio::time::MissedTickBehavior;

/// How often stored segments beyond the caps are removed.
const PRUNE_EVERY: Duration = Duration::from_mins(1);
const POLL: Duration = Duration::from_millis(2);

/// A journal with the thread that publishes it.
#[derive(Debug)]
pub(super) struct Background {
    journal: Arc<Journal>,
    thread: JoinHandle<()>,
    stop: oneshot::Sender<()>,
    runtime: Handle,
}

impl Background {
    pub(super) fn start(
        journal: Journal,
        publisher: Publisher,
        handle: &PublisherHandle,
    ) -> Result<Self, PushError> {
        let journal = Arc::new(journal);
        let runtime = Builder::new_current_thread().enable_all().build().map_err(PushError::Thread)?;
        let entrance = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        let (kept, mark) = (Arc::downgrade(&journal), handle.mark());
        let run = move || {
            runtime.block_on(async {
                let publish = publisher.run(async { drop(stopped.await) });
                tokio::select! {
                    () = publish => {}
                    () = prune(kept, mark) => {}
                }
            });
        };
        let thread = std::thread::Builder::new().name("push-publish".to_owned()).spawn(run);
        let thread = thread.map_err(PushError::Thread)?;
        Ok(Self { journal, thread, stop, runtime: entrance })
    }

    pub(super) fn runtime(&self) -> Handle {
        self.runtime.clone()
    }

    /// Counters of the journal.
    pub(super) fn socket(&self) -> Option<SocketStatus> {
        self.journal.status().sockets.into_iter().next()
    }

    /// Ends the journal, then the publisher, which has then published everything, or is stopped.
    pub(super) fn stop(self, deadline: Instant) -> CloseReport {
        let Self { mut journal, thread, stop, .. } = self;
        let left = || deadline.saturating_duration_since(Instant::now());
        let status = loop {
            match Arc::try_unwrap(journal) {
                Ok(journal) => break Some(journal.close(left())),
                // segments are being removed
                Err(_) if left().is_zero() => break None,
                Err(shared) => journal = shared,
            }
            std::thread::sleep(POLL);
        };
        while !thread.is_finished() && !left().is_zero() {
            std::thread::sleep(POLL);
        }
        let published = thread.is_finished();
        if !published {
            tracing::warn!("not everything could be published: the journal keeps it for the next start");
            // an error means that it has ended meanwhile
            stop.send(()).ok();
        }
        if thread.join().is_err() {
            tracing::error!("the publisher's thread panicked");
        }
        let socket = status.and_then(|status| status.sockets.into_iter().next()).unwrap_or_default();
        CloseReport { records: socket.records, abandoned: socket.abandoned, published }
    }
}

/// Removes stored segments for ever.
async fn prune(journal: Weak<Journal>, mark: watch::Receiver<EntryId>) {
    let mut due = tokio::time::interval(PRUNE_EVERY);
    due.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        due.tick().await;
        let Some(journal) = journal.upgrade() else { return std::future::pending().await };
        let stored = *mark.borrow();
        let marks = BTreeMap::from([(SOCKET, (stored.ms, stored.seq))]);
        match tokio::task::spawn_blocking(move || journal.prune(&marks)).await {
            Ok(Ok(pruned)) if pruned.segments > 0 => {
                tracing::info!(segments = pruned.segments, bytes = pruned.bytes, "stored segments removed");
            }
            Ok(Ok(_)) | Err(_) => {}
            Ok(Err(error)) => tracing::warn!(%error, "segments can't be removed"),
        }
    }
}
