//! The running task and its handle.

use crate::filter::Filter;
use crate::history::{History, Marks, Range};
use crate::round::Rounds;
use crate::{FollowError, FollowedTick};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tickhouse_model::Timestamp;
use tickhouse_read::{ReadError, Reader, Selection};
use tickhouse_store::Mark;
use tickhouse_stream::{Control, RedisOptions, Tail};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Ticks that are handed over at once, at most.
const BATCH: usize = 1_000;
/// Rounds of history end when one is this short: well within the time that stored entries stay in Redis.
const SHORT_ROUND: Duration = Duration::from_secs(1);
/// Pauses between attempts, doubling from the first to the second.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// What is followed.
#[derive(Clone, Debug)]
pub struct FollowOptions {
    /// Where the streams are.
    pub redis: RedisOptions,
    /// Where the tables are.
    pub reader: Reader,
    /// Which instruments.
    pub selection: Selection,
    /// The first time of receipt; `None`: nothing that is there already, only what comes.
    pub from: Option<Timestamp>,
    /// Ticks that wait for their reader, at about 600 bytes each. When it is full, following waits; nothing is lost by that.
    pub queue_ticks: usize,
}

/// Where the ticks come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    /// From ClickHouse, by time.
    #[default]
    History,
    /// From Redis, as they come.
    Live,
}

/// How far it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FollowStatus {
    /// Where the ticks come from.
    pub phase: Phase,
    /// Ticks out of ClickHouse.
    pub from_history: u64,
    /// Ticks out of Redis.
    pub from_streams: u64,
    /// How often a stream lacked what ClickHouse had to give.
    pub caught_up: u64,
    /// How often entries of a flat stream were taken although entries before them may have been trimmed: no loader said that they
    /// were stored.
    pub unverified: u64,
    /// Streams whose next entries are awaited: in neither Redis nor, yet, ClickHouse.
    pub waiting: Vec<String>,
    /// What fails now and is tried again.
    pub error: Option<String>,
}

/// Ticks, history first. Ends when dropped.
#[derive(Debug)]
pub struct Follower {
    batches: mpsc::Receiver<Result<Vec<FollowedTick>, FollowError>>,
    status: Arc<Mutex<FollowStatus>>,
    task: JoinHandle<()>,
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Follower {
    /// Begins to follow, on the current runtime.
    ///
    /// # Errors
    /// When the URL of Redis is none, or the selection is larger than a table of instruments.
    pub fn start(options: FollowOptions) -> Result<Self, FollowError> {
        let batch = BATCH.min(options.queue_ticks).max(1);
        let (sender, batches) = mpsc::channel((options.queue_ticks / batch).max(1));
        let status = Arc::new(Mutex::new(FollowStatus::default()));
        let from = options.from.unwrap_or(Timestamp::NONE);
        let out = Out { sender, batch, status: Arc::clone(&status) };
        let FollowOptions { redis, reader, selection, .. } = options;
        let rounds = Rounds {
            control: Control::new(redis.clone())?,
            tail: Tail::new(&redis)?,
            filter: Filter::new(&selection, from)?,
            history: History { reader, selection, from },
            begin: Marks::new(),
            sources: Vec::new(),
            looked_at: None,
            asked_at: None,
            entry_bytes: 1_024,
            out,
        };
        let with_history = options.from.is_some();
        let task = tokio::spawn(async move {
            let out = rounds.out.clone();
            if let Err(Ended::Failed(error)) = run(rounds, with_history).await {
                // a reader that is gone does not want to know
                drop(out.sender.send(Err(error)).await);
            }
        });
        Ok(Self { batches, status, task })
    }

    /// The next ticks, at least one; `None` after an error. Waits for as long as nothing comes.
    ///
    /// # Errors
    /// Why following ended.
    ///
    /// # Cancel safety
    /// Safe: what was not returned is returned by the next call.
    pub async fn next(&mut self) -> Option<Result<Vec<FollowedTick>, FollowError>> {
        self.batches.recv().await
    }

    /// How far it is.
    pub fn status(&self) -> FollowStatus {
        self.status.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Where ticks go.
#[derive(Clone, Debug)]
pub(crate) struct Out {
    sender: mpsc::Sender<Result<Vec<FollowedTick>, FollowError>>,
    batch: usize,
    status: Arc<Mutex<FollowStatus>>,
}

/// Why the task ends.
#[derive(Debug)]
pub(crate) enum Ended {
    /// Nobody reads any more.
    Unread,
    /// It can't go on.
    Failed(FollowError),
}

impl<E: Into<FollowError>> From<E> for Ended {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

impl Out {
    pub(crate) fn note(&self, change: impl FnOnce(&mut FollowStatus)) {
        change(&mut self.status.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Hands ticks over, and waits while too many wait.
    pub(crate) async fn send(&self, ticks: Vec<FollowedTick>) -> Result<(), Ended> {
        let mut ticks = ticks.into_iter();
        loop {
            let batch: Vec<_> = ticks.by_ref().take(self.batch).collect();
            if batch.is_empty() {
                return Ok(());
            }
            if self.sender.send(Ok(batch)).await.is_err() {
                return Err(Ended::Unread);
            }
        }
    }
}

async fn run(mut rounds: Rounds, with_history: bool) -> Result<(), Ended> {
    rounds.control.ping().await?;
    if with_history {
        rounds.begin = replay(&rounds).await?;
    } else {
        rounds.begin = begin_now(&rounds).await?;
    }
    rounds.out.note(|status| status.phase = Phase::Live);
    let mut pause = PAUSES.0;
    loop {
        match rounds.round().await {
            Ok(()) => {
                if pause > PAUSES.0 {
                    rounds.out.note(|status| status.error = None);
                }
                pause = PAUSES.0;
            }
            Err(Ended::Failed(error)) if error.passes() => {
                tracing::warn!(error = chain(&error), "following stopped, trying again");
                rounds.out.note(|status| status.error = Some(chain(&error)));
                pause = (pause * 2).min(PAUSES.1);
                tokio::time::sleep(pause).await;
            }
            Err(ended) => return Err(ended),
        }
    }
}

/// Everything that is stored, until Redis surely has what follows; gives up to where that was.
async fn replay(rounds: &Rounds) -> Result<Marks, Ended> {
    let mut done = Marks::new();
    loop {
        let began = Instant::now();
        let marks = rounds.history.marks().await?;
        give(rounds, &Range::between(&done, &marks)).await?;
        done = marks;
        if began.elapsed() < SHORT_ROUND {
            return Ok(done);
        }
    }
}

/// Where each stream ends now.
async fn begin_now(rounds: &Rounds) -> Result<Marks, Ended> {
    let mut begin = rounds.history.marks().await?;
    for stream in rounds.control.discover().await? {
        if let Some(info) = rounds.control.info(stream.name()).await? {
            let end = (info.last_generated_id.ms, info.last_generated_id.seq);
            let mark = begin.entry(stream.origin()).or_default();
            // a stream that was lost, or begun anew, ends before what is stored of it: the loader's number counts
            *mark = (*mark).max(Mark { epoch: mark.epoch, last: end });
        }
    }
    Ok(begin)
}

/// Hands over the ticks of a range. A server that goes away meanwhile is waited for.
pub(crate) async fn give(rounds: &Rounds, range: &Range) -> Result<(), Ended> {
    let pieces = rounds.history.pieces(range).await?;
    let mut begun = false;
    for piece in pieces {
        let mut pause = PAUSES.0;
        let ticks = loop {
            match rounds.history.ticks(range, piece).await {
                Ok(ticks) => break ticks,
                // once some of the range is given out, only its rest may follow
                Err(error @ ReadError::Refused { .. }) if !begun => return Err(error.into()),
                Err(error) => {
                    let error = FollowError::from(error);
                    rounds.out.note(|status| status.error = Some(chain(&error)));
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(PAUSES.1);
                }
            }
        };
        begun = true;
        rounds.out.note(|status| {
            status.from_history += ticks.len() as u64;
            status.error = None;
        });
        rounds.out.send(ticks).await?;
    }
    Ok(())
}

/// An error and its causes in one line.
fn chain(error: &FollowError) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
