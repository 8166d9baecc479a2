//! What a simulator did so far.

use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// A count that many tasks raise.
#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    pub(crate) fn add(&self, by: u64) {
        self.0.fetch_add(by, Ordering::Relaxed);
    }

    pub(crate) fn subtract(&self, by: u64) {
        self.0.fetch_sub(by, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) connections: Count,
    pub(crate) connections_accepted: Count,
    pub(crate) handshakes_refused: Count,
    pub(crate) subscribed_tokens: Count,
    pub(crate) updates: Count,
    pub(crate) frames_sent: Count,
    pub(crate) packets_sent: Count,
    pub(crate) bytes_sent: Count,
    pub(crate) heartbeats_sent: Count,
    pub(crate) texts_sent: Count,
    pub(crate) requests_received: Count,
    pub(crate) faults: Count,
    pub(crate) rest_requests: Count,
    pub(crate) paused: AtomicBool,
}

/// Totals since the start, as `GET /sim/counters` gives them. `connections` and `subscribed_tokens` are of the present.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Open WebSocket connections.
    pub connections: u64,
    /// WebSocket connections so far.
    pub connections_accepted: u64,
    /// WebSocket handshakes answered with 403 or 429.
    pub handshakes_refused: u64,
    /// Subscriptions of all open connections.
    pub subscribed_tokens: u64,
    /// Updates that the market made, wanted by somebody or not.
    pub updates: u64,
    /// Data frames handed to sockets; heartbeats and texts not counted.
    pub frames_sent: u64,
    /// Whole packets in those frames, as their sender meant them.
    pub packets_sent: u64,
    /// Bytes of those frames' payloads.
    pub bytes_sent: u64,
    /// One-byte frames.
    pub heartbeats_sent: u64,
    /// Text messages.
    pub texts_sent: u64,
    /// Messages of clients that were understood.
    pub requests_received: u64,
    /// Faults that struck a connection.
    pub faults: u64,
    /// Requests of REST.
    pub rest_requests: u64,
    /// Whether the market stands still.
    pub paused: bool,
}

impl Tally {
    pub(crate) fn read(&self) -> Counters {
        Counters {
            connections: self.connections.get(),
            connections_accepted: self.connections_accepted.get(),
            handshakes_refused: self.handshakes_refused.get(),
            subscribed_tokens: self.subscribed_tokens.get(),
            updates: self.updates.get(),
            frames_sent: self.frames_sent.get(),
            packets_sent: self.packets_sent.get(),
            bytes_sent: self.bytes_sent.get(),
            heartbeats_sent: self.heartbeats_sent.get(),
            texts_sent: self.texts_sent.get(),
            requests_received: self.requests_received.get(),
            faults: self.faults.get(),
            rest_requests: self.rest_requests.get(),
            paused: self.paused.load(Ordering::Acquire),
        }
    }
}
