//! The way out: observations into the bounded queue to the journal.

use crate::{SocketHandle, SourceError};
use bytes::Bytes;
use serde::Serialize;
use std::time::Duration;
use tickhouse_model::{
    Connected, Disconnected, Gap, Observed, RecordKind, SnapshotMarks, SocketId, Timestamp,
};
use tokio::sync::mpsc::{self, error::TrySendError};
use tokio::time::Instant;

/// Hands observations to the journal. When the queue is full it waits: the socket is not read meanwhile, so TCP pushes
/// back and nothing is dropped. Stalls are counted.
#[derive(Debug)]
pub(crate) struct Outlet {
    pub(crate) socket: SocketId,
    pub(crate) queue: mpsc::Sender<Observed>,
    pub(crate) handle: SocketHandle,
    pub(crate) copies: Option<mpsc::Sender<Bytes>>,
}

impl Outlet {
    /// Hands over one observation; tells how long the queue was full.
    pub(crate) async fn send(&self, observed: Observed) -> Result<Duration, SourceError> {
        let kind = observed.kind;
        let waited = match self.queue.try_send(observed) {
            Ok(()) => Duration::ZERO,
            Err(TrySendError::Full(observed)) => self.wait_for_room(observed).await?,
            Err(TrySendError::Closed(_)) => return Err(self.closed()),
        };
        self.handle.stats().record(kind);
        Ok(waited)
    }

    /// Shows a data frame to whoever looks on; passed over when there is no room.
    #[inline]
    pub(crate) fn show(&self, frame: &Bytes) {
        if let Some(copies) = &self.copies {
            copies.try_send(frame.clone()).ok();
        }
    }

    #[cold]
    async fn wait_for_room(&self, observed: Observed) -> Result<Duration, SourceError> {
        self.handle.stats().stall();
        let since = Instant::now();
        self.queue.send(observed).await.map_err(|_| self.closed())?;
        let waited = since.elapsed();
        self.handle.stats().stalled(waited);
        Ok(waited)
    }

    pub(crate) async fn subscription(&self, at: Timestamp, text: &str) -> Result<Duration, SourceError> {
        self.send(plain(at, RecordKind::Subscription, Bytes::copy_from_slice(text.as_bytes()))).await
    }

    pub(crate) async fn connect(&self, at: Timestamp, event: &Connected) -> Result<Duration, SourceError> {
        self.send(plain(at, RecordKind::Connect, json(event))).await
    }

    pub(crate) async fn disconnect(
        &self,
        at: Timestamp,
        event: &Disconnected,
    ) -> Result<Duration, SourceError> {
        self.send(plain(at, RecordKind::Disconnect, json(event))).await
    }

    pub(crate) async fn gap(&self, at: Timestamp, event: &Gap) -> Result<Duration, SourceError> {
        self.handle.stats().gap(at);
        self.send(plain(at, RecordKind::Gap, json(event))).await
    }

    fn closed(&self) -> SourceError {
        SourceError::QueueClosed { socket: self.socket }
    }
}

pub(crate) fn plain(received_at: Timestamp, kind: RecordKind, payload: Bytes) -> Observed {
    Observed { received_at, kind, snapshots: SnapshotMarks::None, payload }
}

fn json(event: &impl Serialize) -> Bytes {
    serde_json::to_vec(event).expect("events are plain structs").into()
}
