//! This end: a running socket and what it observed.

use crate::exchange::{Exchange, soon};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tickhouse_model::{Disconnected, Gap, Mode, Observed, RecordKind, SnapshotMarks, Token};
use tickhouse_source::{
    AccessToken, Key, PreviousSession, Secret, SessionGate, SocketHandle, SocketSetup, SocketSnapshot,
    SocketState, SourceError, Subscription, TickerOptions, control, run_socket,
};
use tickhouse_telemetry::Clock;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

pub(crate) const TOKEN: &str = "s3cr3t-first";

/// What a test may choose.
pub(crate) struct Wish {
    pub(crate) options: TickerOptions,
    pub(crate) subscriptions: Vec<Subscription>,
    pub(crate) key: Option<Key>,
    pub(crate) in_session: bool,
    pub(crate) previous: Option<PreviousSession>,
    pub(crate) queue: usize,
}

impl Wish {
    /// Watchdogs that do not bark within a test, delays that a test does not notice.
    pub(crate) fn new(exchange: &Exchange, subscriptions: &[(u32, Mode)]) -> Self {
        let millis = Duration::from_millis;
        let options = TickerOptions {
            ping_every: millis(50),
            read_timeout: Duration::from_mins(1),
            data_timeout: Duration::from_mins(1),
            backoff: (millis(5), millis(20)),
            healthy_after: millis(1),
            refused_delay: millis(300),
            snapshot_within: Duration::from_mins(1),
            ..TickerOptions::at(&exchange.url()).unwrap()
        };
        Self {
            options,
            subscriptions: list(subscriptions),
            key: None,
            in_session: true,
            previous: None,
            queue: 1_000,
        }
    }

    pub(crate) fn start(self) -> Recorder {
        let (token, source) = AccessToken::changing(Secret::new(TOKEN));
        let key = self.key.unwrap_or_else(|| Key::new("key1", source));
        let in_session = Arc::new(AtomicBool::new(self.in_session));
        let gate = Arc::clone(&in_session);
        let (queue, observed) = mpsc::channel(self.queue);
        let (handle, control) = control(&self.subscriptions, 3_000).unwrap();
        let setup = SocketSetup {
            socket: 7,
            key: key.clone(),
            options: self.options,
            clock: Clock::system(),
            gate: SessionGate::new(move |_| gate.load(Ordering::Relaxed)),
            previous: self.previous,
        };
        let task = tokio::spawn(run_socket(setup, control, queue));
        Recorder { handle, observed, task, token, key, in_session }
    }
}

pub(crate) fn list(subscriptions: &[(u32, Mode)]) -> Vec<Subscription> {
    subscriptions.iter().map(|(token, mode)| Subscription { token: Token(*token), mode: *mode }).collect()
}

pub(crate) struct Recorder {
    pub(crate) handle: SocketHandle,
    pub(crate) observed: mpsc::Receiver<Observed>,
    pub(crate) task: JoinHandle<Result<(), SourceError>>,
    pub(crate) token: watch::Sender<Secret>,
    pub(crate) key: Key,
    pub(crate) in_session: Arc<AtomicBool>,
}

impl Recorder {
    pub(crate) async fn next(&mut self) -> Observed {
        soon("record", self.observed.recv()).await.expect("a running socket")
    }

    pub(crate) async fn expect(&mut self, kind: RecordKind) -> Observed {
        let next = self.next().await;
        assert_eq!(next.kind, kind, "{}", String::from_utf8_lossy(&next.payload));
        next
    }

    /// The next records have these kinds.
    pub(crate) async fn kinds(&mut self, kinds: &[RecordKind]) {
        for kind in kinds {
            self.expect(*kind).await;
        }
    }

    pub(crate) async fn frame(&mut self) -> (Vec<u8>, SnapshotMarks) {
        let frame = self.expect(RecordKind::Frame).await;
        (frame.payload.to_vec(), frame.snapshots)
    }

    pub(crate) async fn disconnect(&mut self) -> Disconnected {
        serde_json::from_slice(&self.expect(RecordKind::Disconnect).await.payload).unwrap()
    }

    pub(crate) async fn gap(&mut self) -> Gap {
        serde_json::from_slice(&self.expect(RecordKind::Gap).await.payload).unwrap()
    }

    pub(crate) fn stats(&self) -> SocketSnapshot {
        self.handle.stats().snapshot()
    }

    /// Polls until the counters say so.
    pub(crate) async fn until(
        &self,
        what: &str,
        reached: impl Fn(&SocketSnapshot) -> bool,
    ) -> SocketSnapshot {
        soon(what, async {
            loop {
                let stats = self.stats();
                if reached(&stats) {
                    return stats;
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        })
        .await
    }

    /// Shuts down; gives what was still recorded.
    pub(crate) async fn stop(mut self) -> Vec<Observed> {
        self.handle.shut_down();
        let mut rest = Vec::new();
        while let Some(observed) = soon("end of records", self.observed.recv()).await {
            rest.push(observed);
        }
        soon("end of task", self.task).await.unwrap().unwrap();
        assert_eq!(self.handle.stats().state(), SocketState::Stopped);
        rest
    }
}
