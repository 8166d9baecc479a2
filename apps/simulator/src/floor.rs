//! The trading floor: one thread that owns the market and hands every connection its events in order.
//!
//! What enters: commands (attach, a client's request, quotes, pause) and the passing of time. What leaves: batches of
//! updates, the same for all, and answers to requests, over a bounded queue per connection. What never happens here:
//! encoding for one client, touching a socket.
//!
//! Requests go through the floor and come back with the last values of their tokens, so a subscription takes effect at
//! one point of the market's order: its snapshot first, then every later update.
//!
//! A connection's queue holds [`QUEUE`] batches. When it is full the floor waits, or with [`SlowClient::Disconnect`]
//! evicts the connection.

use crate::access::Eviction;
use crate::counters::Tally;
use crate::market::{Batch, Market, Traded};
use crate::options::{Session, SlowClient};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tickhouse_decode::Request;
use tickhouse_model::{Packet, Timestamp, Token};
use tickhouse_telemetry::Clock;
use tokio::sync::mpsc::{self, error::TrySendError};
use tokio::sync::oneshot;
use tokio::time::{Instant, MissedTickBehavior};

/// Batches under way to one connection.
pub(crate) const QUEUE: usize = 16;

/// Updates in one batch, at most.
const BATCH: usize = 4_096;

/// Updates that are owed after the floor was held up for longer than this are not made.
const PATIENCE: f64 = 0.25;

/// Seconds in which an opening burst falls to about a third.
const BURST_SECONDS: f64 = 20.0;

/// What the floor is asked.
pub(crate) enum Command {
    /// A new connection.
    Attach { connection: u64, events: mpsc::Sender<Event>, eviction: Arc<Eviction> },
    /// A client's message; comes back as [`Event::Answer`].
    Request { connection: u64, request: Request },
    /// A text for all connections.
    Text(Arc<str>),
    /// Last values.
    Quotes { indexes: Vec<u32>, reply: oneshot::Sender<(Timestamp, Vec<Packet>)> },
    /// What was traded of an instrument, minute by minute.
    Traded { index: u32, reply: oneshot::Sender<Traded> },
    /// Stand still. The receiver ends when every connection has sent what it had.
    Pause(oneshot::Sender<mpsc::Receiver<()>>),
    /// Go on.
    Resume(oneshot::Sender<()>),
    /// End.
    Stop,
}

/// What a connection is told, in the order of the market.
#[derive(Debug)]
pub(crate) enum Event {
    /// Updates.
    Batch(Arc<Batch>),
    /// One of its own requests, with the last values of those of its tokens that are listed (none for an unsubscribe).
    Answer { request: Request, snapshot: Batch },
    /// A text to send.
    Text(Arc<str>),
    /// Send what is waiting, then drop this.
    Barrier(mpsc::Sender<()>),
}

struct Listener {
    connection: u64,
    events: mpsc::Sender<Event>,
    eviction: Arc<Eviction>,
}

/// How fast and when the market moves.
pub(crate) struct Pace {
    pub(crate) rate: f64,
    pub(crate) step: Duration,
    pub(crate) session: Session,
    pub(crate) opening_burst: f64,
    pub(crate) slow_client: SlowClient,
}

/// The thread's state.
pub(crate) struct Floor {
    pub(crate) market: Market,
    pub(crate) clock: Clock,
    pub(crate) pace: Pace,
    pub(crate) commands: mpsc::Receiver<Command>,
    pub(crate) tally: Arc<Tally>,
    listeners: Vec<Listener>,
    /// Updates owed, with their fraction.
    owed: f64,
    advanced_at: Instant,
    /// When the session opened that is open; `None` while it is closed.
    opened_at: Option<Instant>,
    now: Timestamp,
}

impl Floor {
    pub(crate) fn new(
        market: Market,
        clock: Clock,
        pace: Pace,
        commands: mpsc::Receiver<Command>,
        tally: Arc<Tally>,
    ) -> Self {
        let now = clock.now();
        Self {
            market,
            clock,
            pace,
            commands,
            tally,
            listeners: Vec::new(),
            owed: 0.0,
            advanced_at: Instant::now(),
            opened_at: None,
            now,
        }
    }

    /// Runs until [`Command::Stop`], or until nobody can send commands.
    pub(crate) async fn run(mut self) {
        let mut steps = tokio::time::interval(self.pace.step);
        steps.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                command = self.commands.recv() => match command {
                    None | Some(Command::Stop) => return,
                    Some(command) => self.obey(command).await,
                },
                _ = steps.tick() => self.advance().await,
            }
        }
    }

    /// The clock, never backwards: a machine's clock may be set.
    fn look_at_clock(&mut self) -> Timestamp {
        self.now = self.now.max(self.clock.now());
        self.now
    }

    async fn obey(&mut self, command: Command) {
        match command {
            Command::Attach { connection, events, eviction } => {
                self.listeners.push(Listener { connection, events, eviction });
            }
            Command::Request { connection, request } => {
                let now = self.look_at_clock();
                let tokens: &[Token] = match &request {
                    Request::Subscribe(tokens) | Request::Mode(_, tokens) => tokens,
                    Request::Unsubscribe(_) => &[],
                };
                let snapshot = self.market.snapshot(tokens, now);
                if let Some(place) = self.listeners.iter().position(|other| other.connection == connection) {
                    self.tell(place, Event::Answer { request, snapshot }).await;
                }
            }
            Command::Text(text) => self.tell_all(|| Event::Text(Arc::clone(&text))).await,
            Command::Quotes { indexes, reply } => {
                let now = self.look_at_clock();
                let packets = indexes.iter().map(|index| *self.market.last_value(*index, now)).collect();
                // who asked may be gone
                reply.send((now, packets)).ok();
            }
            Command::Traded { index, reply } => {
                // who asked may be gone
                reply.send(self.market.traded(index)).ok();
            }
            Command::Pause(reply) => {
                self.tally.paused.store(true, Ordering::Release);
                let (alive, drained) = mpsc::channel(1);
                self.tell_all(|| Event::Barrier(alive.clone())).await;
                reply.send(drained).ok();
            }
            Command::Resume(reply) => {
                self.tally.paused.store(false, Ordering::Release);
                (self.advanced_at, self.owed) = (Instant::now(), 0.0);
                reply.send(()).ok();
            }
            Command::Stop => {}
        }
    }

    /// Makes the updates that time has brought.
    async fn advance(&mut self) {
        let elapsed = self.advanced_at.elapsed().as_secs_f64();
        self.advanced_at = Instant::now();
        if self.tally.paused.load(Ordering::Acquire) {
            return;
        }
        let now = self.look_at_clock();
        let open = self.pace.session.open_segments(now);
        if !open.contains(&true) {
            self.opened_at = None;
            return;
        }
        let opened_at = *self.opened_at.get_or_insert_with(Instant::now);
        let age = opened_at.elapsed().as_secs_f64();
        let burst = 1.0 + (self.pace.opening_burst - 1.0) * (-age / BURST_SECONDS).exp();
        let rate = self.pace.rate * burst;
        self.owed = (self.owed + elapsed * rate).min(rate * PATIENCE);
        while self.owed >= 1.0 {
            let count = (self.owed as usize).min(BATCH);
            self.owed -= count as f64;
            let mut batch = Batch::with_capacity(count);
            self.market.step(now, count, &open, &mut batch);
            self.tally.updates.add(batch.updates.len() as u64);
            let batch = Arc::new(batch);
            self.tell_all(|| Event::Batch(Arc::clone(&batch))).await;
        }
    }

    async fn tell_all(&mut self, event: impl Fn() -> Event) {
        for place in (0..self.listeners.len()).rev() {
            self.tell(place, event()).await;
        }
    }

    /// Queues an event; a connection that is gone, or too slow where that matters, is forgotten.
    async fn tell(&mut self, place: usize, event: Event) {
        let listener = &self.listeners[place];
        let gone = match self.pace.slow_client {
            SlowClient::Wait => listener.events.send(event).await.is_err(),
            SlowClient::Disconnect => match listener.events.try_send(event) {
                Ok(()) => false,
                Err(TrySendError::Closed(_)) => true,
                Err(TrySendError::Full(_)) => {
                    listener.eviction.evict("too slow");
                    true
                }
            },
        };
        if gone {
            self.listeners.swap_remove(place);
        }
    }
}
