//! Counters of a socket: written by its task without a lock, read by anybody.
//!
//! Sums that must agree: `frames = data_frames + heartbeats`; every frame and text is one record, so
//! `records = frames + texts + subscriptions + connects + disconnects + gaps`.

use serde::Serialize;
use std::sync::atomic::{AtomicI64, AtomicU8, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tickhouse_model::{RecordKind, Timestamp};

/// What a socket is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum SocketState {
    /// Not begun.
    Idle,
    /// At TCP, TLS or the WebSocket handshake.
    Connecting,
    /// Open.
    Connected,
    /// Waiting before the next attempt.
    Waiting,
    /// Waiting for another access token.
    Paused,
    /// Ended.
    Stopped,
}

impl SocketState {
    const ALL: [Self; 6] =
        [Self::Idle, Self::Connecting, Self::Connected, Self::Waiting, Self::Paused, Self::Stopped];
}

/// Live counters of one socket.
#[derive(Debug, Default)]
pub struct SocketStats {
    state: AtomicU8,
    attempts: AtomicU64,
    kinds: [AtomicU64; RecordKind::ALL.len()],
    heartbeats: AtomicU64,
    bytes: AtomicU64,
    packets: AtomicU64,
    orders: AtomicU64,
    broker_messages: AtomicU64,
    error_texts: AtomicU64,
    over_limit: AtomicU64,
    last_frame_at: AtomicI64,
    last_data_at: AtomicI64,
    last_gap_at: AtomicI64,
    subscribed: AtomicU64,
    awaiting_snapshot: AtomicU64,
    queue_stalls: AtomicU64,
    queue_stalled_nanos: AtomicU64,
    reason: Mutex<Option<String>>,
}

/// The counters at one moment; times are nanoseconds since 1970 UTC, 0 for never.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SocketSnapshot {
    /// What the socket is doing.
    pub state: SocketState,
    /// Why it waits, pauses or has ended; `None` while it is connected.
    pub reason: Option<String>,
    /// Connection attempts, failed ones included.
    pub attempts: u64,
    /// Connections that opened.
    pub connects: u64,
    /// Connections that opened after the first.
    pub reconnects: u64,
    /// Disconnect records.
    pub disconnects: u64,
    /// Binary messages, heartbeats included.
    pub frames: u64,
    /// Binary messages of at least 4 bytes, which can hold a packet.
    pub data_frames: u64,
    /// Shorter binary messages.
    pub heartbeats: u64,
    /// Text messages.
    pub texts: u64,
    /// Subscribe, unsubscribe and mode messages sent.
    pub subscriptions: u64,
    /// Gap records.
    pub gaps: u64,
    /// All records handed to the journal queue.
    pub records: u64,
    /// Bytes of binary and text messages.
    pub bytes: u64,
    /// Packets that the containers say they have.
    pub packets: u64,
    /// Text messages that are order updates.
    pub orders: u64,
    /// Text messages that are alerts of the broker.
    pub broker_messages: u64,
    /// Text messages that are errors, those over the limit included.
    pub error_texts: u64,
    /// Errors that say the socket has more instruments than are allowed.
    pub over_limit: u64,
    /// When the last binary or text message was received.
    pub last_frame_at: Timestamp,
    /// When the last data frame was received.
    pub last_data_at: Timestamp,
    /// When the last hole in the feed ended.
    pub last_gap_at: Timestamp,
    /// Instruments subscribed on the open connection.
    pub subscribed: u64,
    /// Of these, how many have sent nothing since they were subscribed. What is left after a while is not served: never
    /// traded, expired, or beyond an unspoken limit.
    pub awaiting_snapshot: u64,
    /// How often the journal queue was full.
    pub queue_stalls: u64,
    /// Milliseconds spent waiting for room in it.
    pub queue_stalled_ms: u64,
}

impl SocketStats {
    /// The counters now. Each is exact; together they may be a message apart.
    pub fn snapshot(&self) -> SocketSnapshot {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let kind = |kind: RecordKind| get(&self.kinds[kind as usize - 1]);
        let at = |time: &AtomicI64| Timestamp::from_nanos(time.load(Ordering::Relaxed));
        let heartbeats = get(&self.heartbeats);
        SocketSnapshot {
            state: self.state(),
            reason: self.reason.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            attempts: get(&self.attempts),
            connects: kind(RecordKind::Connect),
            reconnects: kind(RecordKind::Connect).saturating_sub(1),
            disconnects: kind(RecordKind::Disconnect),
            frames: kind(RecordKind::Frame),
            data_frames: kind(RecordKind::Frame).saturating_sub(heartbeats),
            heartbeats,
            texts: kind(RecordKind::Text),
            subscriptions: kind(RecordKind::Subscription),
            gaps: kind(RecordKind::Gap),
            records: self.kinds.iter().map(get).sum(),
            bytes: get(&self.bytes),
            packets: get(&self.packets),
            orders: get(&self.orders),
            broker_messages: get(&self.broker_messages),
            error_texts: get(&self.error_texts),
            over_limit: get(&self.over_limit),
            last_frame_at: at(&self.last_frame_at),
            last_data_at: at(&self.last_data_at),
            last_gap_at: at(&self.last_gap_at),
            subscribed: get(&self.subscribed),
            awaiting_snapshot: get(&self.awaiting_snapshot),
            queue_stalls: get(&self.queue_stalls),
            queue_stalled_ms: get(&self.queue_stalled_nanos) / 1_000_000,
        }
    }

    /// What the socket is doing.
    pub fn state(&self) -> SocketState {
        SocketState::ALL[usize::from(self.state.load(Ordering::Relaxed))]
    }

    pub(crate) fn enter(&self, state: SocketState, reason: Option<&str>) {
        *self.reason.lock().unwrap_or_else(PoisonError::into_inner) = reason.map(str::to_owned);
        self.state.store(state as u8, Ordering::Relaxed);
    }

    pub(crate) fn attempt(&self) {
        add(&self.attempts, 1);
    }

    /// A record that the queue took.
    pub(crate) fn record(&self, kind: RecordKind) {
        add(&self.kinds[kind as usize - 1], 1);
    }

    pub(crate) fn frame(&self, at: Timestamp, bytes: usize, packets: u16, is_data: bool) {
        self.message(at, bytes);
        if is_data {
            add(&self.packets, u64::from(packets));
            self.last_data_at.store(at.as_nanos(), Ordering::Relaxed);
        } else {
            add(&self.heartbeats, 1);
        }
    }

    pub(crate) fn message(&self, at: Timestamp, bytes: usize) {
        add(&self.bytes, bytes as u64);
        self.last_frame_at.store(at.as_nanos(), Ordering::Relaxed);
    }

    pub(crate) fn gap(&self, at: Timestamp) {
        self.last_gap_at.store(at.as_nanos(), Ordering::Relaxed);
    }

    pub(crate) fn order(&self) {
        add(&self.orders, 1);
    }

    pub(crate) fn broker_message(&self) {
        add(&self.broker_messages, 1);
    }

    pub(crate) fn error_text(&self, over_limit: bool) {
        add(&self.error_texts, 1);
        add(&self.over_limit, u64::from(over_limit));
    }

    pub(crate) fn subscribed(&self, tokens: usize, awaiting: usize) {
        self.subscribed.store(tokens as u64, Ordering::Relaxed);
        self.awaiting_snapshot.store(awaiting as u64, Ordering::Relaxed);
    }

    pub(crate) fn stalled(&self, waited: Duration) {
        add(&self.queue_stalled_nanos, u64::try_from(waited.as_nanos()).unwrap_or(u64::MAX));
    }

    pub(crate) fn stall(&self) {
        add(&self.queue_stalls, 1);
    }
}

fn add(counter: &AtomicU64, by: u64) {
    counter.fetch_add(by, Ordering::Relaxed);
}
