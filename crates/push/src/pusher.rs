//! The journal of pushed ticks, and the publisher that carries it on.
//!
//! What enters: messages. What leaves: records of kind `pushed` in the journal, in order, and from its files into Redis. What
//! never happens here: holding what Redis does not take, a push in two halves, two records with one number.

mod background;
mod status;

pub use status::{PushCounters, PusherStatus};

use crate::{Dialect, PushError, PushedMessage, PushedTick, encode};
use background::Background;
use serde::Serialize;
use status::Counts;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tickhouse_journal::{Journal, JournalOptions, JournalPosition};
use tickhouse_model::{FrameId, Observed, RecordKind, SnapshotMarks, SocketId, Timestamp};
use tickhouse_stream::{Publisher, PublisherHandle, PublisherOptions, RedisOptions};
use tickhouse_telemetry::Clock;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::sync::watch;

/// A pusher has one journal: the order of pushes is the order of its records.
const SOCKET: SocketId = 0;
/// Longest wait at the end of a pusher that was dropped instead of closed.
const DROP_PATIENCE: Duration = Duration::from_secs(2);

/// What a pusher needs to know.
#[derive(Clone, Debug)]
pub struct PusherOptions {
    /// Directory of all journals.
    pub journal_dir: PathBuf,
    /// Name of this pusher: its journal's directory, part of its stream's name, the column `recorder` of its rows. One process
    /// at a time has it; no recorder may.
    pub name: String,
    /// The journal. `queue_len` bounds the pushes under way; a push has at most 0.9 MB.
    pub journal: JournalOptions,
    /// Where Redis is.
    pub redis: RedisOptions,
    /// How the publisher works.
    pub publisher: PublisherOptions,
    /// Gives receive times: that of a pushed tick is when it was pushed.
    pub clock: Clock,
    /// How ticks that are pushed without saying otherwise are written.
    pub dialect: Dialect,
}

/// Where a push stands: its record in the journal, and thereby its rows, by (recorder, session, socket, sequence).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Receipt {
    /// Ticks of the push: their `packet_index` is 0, 1, 2, ….
    pub accepted: usize,
    /// The pusher's name.
    pub recorder: String,
    /// The record.
    #[serde(flatten)]
    pub record: FrameId,
}

/// Takes ticks from any number of threads and tasks. Share it by an [`Arc`](std::sync::Arc).
///
/// [`Pusher::push`] and [`Pusher::push_blocking`] return once the push is journaled: then it survives the death of the
/// process, and, as far as [`Fsync`](tickhouse_journal::Fsync) says, that of the machine. [`Pusher::submit`] returns at once, for
/// those who push one tick at a time and fast; [`Pusher::flush`] waits for what was submitted.
#[derive(Debug)]
pub struct Pusher {
    lane: Mutex<Lane>,
    position: watch::Receiver<JournalPosition>,
    publisher: PublisherHandle,
    runtime: Handle,
    background: Mutex<Option<Background>>,
    session: u64,
    options: PusherOptions,
    counts: Counts,
}

/// The way to the journal. Numbers are given where the order is made, under one lock.
#[derive(Debug)]
struct Lane {
    sender: Option<mpsc::Sender<Observed>>,
    handed_over: u64,
}

/// What was left when a pusher ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CloseReport {
    /// Records journaled in this session.
    pub records: u64,
    /// Records given up because the disk stayed full.
    pub abandoned: u64,
    /// Whether all of it is in Redis; otherwise the next pusher of this name publishes the rest.
    pub published: bool,
}

impl Pusher {
    /// Opens the journal, begins a session, and starts publishing on a thread of its own, what an earlier pusher of this name
    /// left first. Redis may be away.
    ///
    /// # Errors
    /// When another process has this name, the journal can't be opened, or the Redis URL is none.
    pub fn open(options: PusherOptions) -> Result<Self, PushError> {
        let PusherOptions { journal_dir, name, clock, .. } = &options;
        let journal = Journal::open(journal_dir, name, options.journal.clone(), clock.clone())?;
        let session = journal.session();
        let socket = journal.start_socket(SOCKET)?;
        let (publish, publisher) = Publisher::new(
            options.redis.clone(),
            options.publisher.clone(),
            journal_dir,
            name,
            SOCKET,
            socket.position.clone(),
            clock.clone(),
        )?;
        let background = Background::start(journal, publish, &publisher)?;
        Ok(Self {
            lane: Mutex::new(Lane { sender: Some(socket.sender), handed_over: 0 }),
            position: socket.position,
            publisher,
            runtime: background.runtime(),
            background: Mutex::new(Some(background)),
            session,
            options,
            counts: Counts::default(),
        })
    }

    /// The pusher's name.
    pub fn name(&self) -> &str {
        &self.options.name
    }

    /// The session of this process.
    pub const fn session(&self) -> u64 {
        self.session
    }

    /// Pushes ticks of the pusher's own dialect: all of them or none. Waits while the queue is full, and until they are
    /// journaled.
    ///
    /// # Errors
    /// [`PushError::Refused`], [`PushError::Count`], [`PushError::Closed`].
    ///
    /// # Cancel safety
    /// A push whose future is dropped may be journaled or not, never in part.
    pub async fn push(&self, ticks: &[PushedTick]) -> Result<Receipt, PushError> {
        let message = self.encode(ticks)?;
        let receipt = self.submit_waiting(message).await?;
        self.journaled(&receipt).await?;
        Ok(receipt)
    }

    /// As [`Pusher::push`], for threads without a runtime.
    ///
    /// # Errors
    /// As [`Pusher::push`].
    ///
    /// # Panics
    /// In an asynchronous context.
    pub fn push_blocking(&self, ticks: &[PushedTick]) -> Result<Receipt, PushError> {
        self.runtime.block_on(self.push(ticks))
    }

    /// Hands ticks over without waiting for the journal. What was submitted and not journaled dies with the process.
    ///
    /// # Errors
    /// As [`Pusher::push`]; [`PushError::QueueFull`] instead of waiting.
    pub fn submit(&self, ticks: &[PushedTick]) -> Result<Receipt, PushError> {
        self.submit_message(self.encode(ticks)?)
    }

    /// Hands a message over without waiting: what [`Pusher::submit`] does with ticks of any dialect.
    ///
    /// # Errors
    /// [`PushError::QueueFull`], [`PushError::JournalFault`] while the journal can't be written, [`PushError::Closed`].
    pub fn submit_message(&self, message: PushedMessage) -> Result<Receipt, PushError> {
        if let Some(fault) = self.fault() {
            return Err(PushError::JournalFault(fault));
        }
        let mut lane = lock(&self.lane);
        let sender = lane.sender.as_ref().ok_or(PushError::Closed)?;
        let ticks = message.ticks();
        sender.try_send(Self::observed(message, self.options.clock.now())).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => {
                self.counts.note_queue_full();
                PushError::QueueFull
            }
            mpsc::error::TrySendError::Closed(_) => PushError::Closed,
        })?;
        Ok(self.receipt(&mut lane, ticks))
    }

    async fn submit_waiting(&self, message: PushedMessage) -> Result<Receipt, PushError> {
        let now = self.options.clock.now();
        self.submit_waiting_at(message, now).await
    }

    async fn submit_waiting_at(
        &self,
        message: PushedMessage,
        received_at: Timestamp,
    ) -> Result<Receipt, PushError> {
        let sender = lock(&self.lane).sender.clone().ok_or(PushError::Closed)?;
        let place = sender.reserve().await.map_err(|_| PushError::Closed)?;
        let mut lane = lock(&self.lane);
        let ticks = message.ticks();
        place.send(Self::observed(message, received_at));
        Ok(self.receipt(&mut lane, ticks))
    }

    /// Hands over a message whose ticks came at `received_at`. Waits while the queue is full, not for the journal.
    pub(crate) fn hand_over_blocking(
        &self,
        message: PushedMessage,
        received_at: Timestamp,
    ) -> Result<Receipt, PushError> {
        self.runtime.block_on(self.submit_waiting_at(message, received_at))
    }

    /// The last sequence of this session that is in the journal's file.
    pub(crate) fn journaled_sequence(&self) -> u64 {
        self.position.borrow().sequence
    }

    /// The clock of receive times.
    pub(crate) const fn clock(&self) -> &Clock {
        &self.options.clock
    }

    fn observed(message: PushedMessage, received_at: Timestamp) -> Observed {
        Observed {
            received_at,
            kind: RecordKind::Pushed,
            snapshots: SnapshotMarks::None,
            payload: message.into_bytes(),
        }
    }

    fn receipt(&self, lane: &mut Lane, accepted: usize) -> Receipt {
        lane.handed_over += 1;
        self.counts.note_push(accepted);
        let record = FrameId { session: self.session, socket: SOCKET, sequence: lane.handed_over };
        Receipt { accepted, recorder: self.options.name.clone(), record }
    }

    fn encode(&self, ticks: &[PushedTick]) -> Result<PushedMessage, PushError> {
        encode(ticks, &self.options.dialect).inspect_err(|_| self.counts.note_refused())
    }

    /// Waits until a push is journaled.
    ///
    /// # Errors
    /// [`PushError::JournalFault`] when the journal ended before it came to this.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn journaled(&self, receipt: &Receipt) -> Result<(), PushError> {
        self.reached(receipt.record.sequence).await
    }

    async fn reached(&self, sequence: u64) -> Result<(), PushError> {
        let mut position = self.position.clone();
        let reached = position.wait_for(|position| position.sequence >= sequence).await;
        reached.map(drop).map_err(|_| PushError::JournalFault("it was closed before".to_owned()))
    }

    /// Waits until everything that was handed over before is journaled.
    ///
    /// # Errors
    /// [`PushError::JournalFault`] when the journal ended before.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn flush(&self) -> Result<(), PushError> {
        let sequence = lock(&self.lane).handed_over;
        self.reached(sequence).await
    }

    /// As [`Pusher::flush`], for threads without a runtime.
    ///
    /// # Errors
    /// As [`Pusher::flush`].
    ///
    /// # Panics
    /// In an asynchronous context.
    pub fn flush_blocking(&self) -> Result<(), PushError> {
        self.runtime.block_on(self.flush())
    }

    /// Why the journal can't be written at the moment, e.g. a full disk.
    pub fn fault(&self) -> Option<String> {
        let background = lock(&self.background);
        background.as_ref().and_then(Background::socket).and_then(|socket| socket.fault)
    }

    /// Counters.
    pub fn status(&self) -> PusherStatus {
        PusherStatus {
            recorder: self.options.name.clone(),
            session: self.session,
            counters: self.counts.read(),
            journal: lock(&self.background).as_ref().and_then(Background::socket),
            publisher: self.publisher.status(),
        }
    }

    /// Takes no more pushes, waits until what was handed over is journaled and, as far as `patience` allows, published. Blocks:
    /// call it from a thread that may. A second call finds nothing to do and gives `None`.
    pub fn close(&self, patience: Duration) -> Option<CloseReport> {
        let deadline = Instant::now() + patience;
        lock(&self.lane).sender = None;
        let background = lock(&self.background).take()?;
        Some(background.stop(deadline))
    }
}

impl Drop for Pusher {
    fn drop(&mut self) {
        self.close(DROP_PATIENCE);
    }
}

/// Locks; a panic of another holder leaves values that are whole.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
