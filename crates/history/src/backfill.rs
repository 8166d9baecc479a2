//! Kite's historical candles into ClickHouse.
//!
//! What enters: instruments, an interval, days; or windows of `feed_gaps`. What leaves: candles in `candles`, and a row for
//! each answer in `backfill_progress` or `gap_fills`. What never happens here: a request for what was answered and stored
//! before; more than three requests a second over all processes of a data directory; a wait for anything that records.
//!
//! The row of progress is written after the candles of its answer: a kill between the two asks that one again, and finds
//! the candles there.

mod gaps;
mod pace;
mod plan;

pub use gaps::{Gap, concerned, gaps};
pub use pace::Pace;
pub use plan::{Covered, Days, Request, covered, plan};

use crate::file::Pass;
use crate::instruments::Known;
use crate::write::{Candle, CandleWriter, word};
use crate::{HistoryError, Interval};
use futures_util::StreamExt as _;
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;
use tickhouse_model::{Timestamp, Token};
use tickhouse_source::rest::{Disposition, HistoricalCandle, HistoricalQuery, Rest, RestError};
use tickhouse_source::{Backoff, Key};
use tickhouse_store::{Store, StoredCandle};
use tickhouse_telemetry::Clock;

/// Requests under way: an answer may take longer than the pause between two of them.
const AT_ONCE: usize = 4;
/// How often a request is made before it is given up for this run.
const ATTEMPTS: u32 = 8;
/// Pauses between attempts.
const PAUSES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));
/// Kite's "too many requests": wait at least this long, all processes.
const TOO_MANY: Duration = Duration::from_secs(2);
/// Failures that a report names.
const FAILURES_NAMED: usize = 20;

/// What it takes.
#[derive(Debug)]
pub struct Backfill {
    /// Kite, or a simulator.
    pub rest: Rest,
    /// With its access token.
    pub key: Key,
    /// Where to.
    pub store: Store,
    /// The present: what is not over yet is not noted as asked.
    pub clock: Clock,
    /// Keeps the rate.
    pub pace: Pace,
}

/// What was done. `requests` = those answered and stored + `failed`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct BackfillReport {
    /// Requests made, without repeats.
    pub requests: u64,
    /// Attempts beyond the first.
    pub retries: u64,
    /// Candles in the answers.
    pub candles: u64,
    /// Rows written into `candles`.
    pub written: u64,
    /// Stored before with the same values.
    pub unchanged: u64,
    /// Requests given up.
    pub failed: u64,
    /// The first of them.
    pub failures: Vec<String>,
}

/// What becomes of a request's answer beside its candles.
#[derive(Clone, Debug)]
pub struct Task {
    /// What is asked.
    pub request: Request,
    /// The gaps that the answer fills, by their number in [`gaps`]; empty for a range of days.
    pub fills: Vec<usize>,
}

/// An answer and when its request was made, or why there is none.
type Answer = (Task, u64, Result<(Timestamp, Vec<HistoricalCandle>), RestError>);

impl Backfill {
    /// Asks for everything and stores it. `progress` is told of each request that is done, with the candles of its answer.
    ///
    /// Not cancel safe, but running it again goes on.
    ///
    /// # Errors
    /// [`HistoryError::LogIn`], [`HistoryError::Stopped`], or ClickHouse failed: what is stored stays. A request that Kite
    /// refuses is no error: see [`BackfillReport::failures`].
    pub async fn run(
        &self,
        tasks: Vec<Task>,
        filled: &[Gap],
        pass: &Pass,
        progress: impl Fn(u64),
    ) -> Result<BackfillReport, HistoryError> {
        let mut report = BackfillReport::default();
        let mut writer = CandleWriter::new(self.store.clone(), self.clock.clone(), false);
        let answers = futures_util::stream::iter(tasks).map(|task| self.answer(task, pass));
        let mut answers = std::pin::pin!(answers.buffered(AT_ONCE));
        while let Some((task, retries, answer)) = answers.next().await {
            report.retries += retries;
            let (asked_at, candles) = match answer {
                Ok(answered) => answered,
                Err(_) if pass.is_stopped() => return Err(HistoryError::Stopped),
                Err(error) if error.disposition() == Disposition::LogIn => {
                    return Err(HistoryError::LogIn(error));
                }
                Err(error) => {
                    report.requests += 1;
                    report.failed += 1;
                    if report.failures.len() < FAILURES_NAMED {
                        report.failures.push(format!("{}: {error}", task.request));
                    }
                    progress(0);
                    continue;
                }
            };
            report.requests += 1;
            report.candles += candles.len() as u64;
            let request = &task.request;
            let batch: Vec<Candle> = candles.iter().map(|candle| stored(candle, request)).collect();
            let written = writer.write(&batch).await?;
            report.written += written.written;
            report.unchanged += written.unchanged;
            if task.fills.is_empty() {
                plan::note(&self.store, request, candles.len(), asked_at).await?;
            } else {
                gaps::note(&self.store, &task, filled, &candles, asked_at).await?;
            }
            progress(candles.len() as u64);
            if pass.is_stopped() {
                return Err(HistoryError::Stopped);
            }
        }
        Ok(report)
    }

    /// One request, again and again while that may help.
    async fn answer(&self, task: Task, pass: &Pass) -> Answer {
        let request = &task.request;
        let query = HistoricalQuery {
            token: request.known.instrument.token,
            interval: request.interval.name(),
            from: request.from,
            to: request.to,
            continuous: request.continuous,
            open_interest: true,
        };
        let mut backoff = Backoff::new(PAUSES.0, PAUSES.1);
        let mut retries = 0;
        loop {
            if pass.is_stopped() {
                let stopped =
                    RestError::Invalid { call: "backfill".to_owned(), problem: "stopped".to_owned() };
                return (task, retries, Err(stopped));
            }
            if let Err(error) = self.pace.wait(&self.clock).await {
                // without the shared file nobody knows what the other processes ask: slower than all of them
                tracing::warn!(%error, "the shared rate can't be kept, waiting instead");
                tokio::time::sleep(TOO_MANY).await;
            }
            let asked_at = self.clock.now();
            let error = match self.rest.historical(&self.key, &query).await {
                Ok(candles) => return (task, retries, Ok((asked_at, candles))),
                Err(error) => error,
            };
            let again = match error.disposition() {
                Disposition::Retry => true,
                Disposition::RetrySlowly => {
                    self.pace.push_back(&self.clock, TOO_MANY).await.ok();
                    true
                }
                Disposition::LogIn | Disposition::GiveUp => false,
            };
            if !again || retries + 1 >= u64::from(ATTEMPTS) {
                return (task, retries, Err(error));
            }
            retries += 1;
            tracing::debug!(%error, retries, "asking again");
            tokio::time::sleep(backoff.next(rand::random())).await;
        }
    }
}

fn stored(candle: &HistoricalCandle, request: &Request) -> Candle {
    let numbers = StoredCandle {
        instrument_token: request.known.instrument.token.0,
        at: candle.timestamp.as_seconds().clamp(0, i64::from(u32::MAX)) as u32,
        open: candle.open,
        high: candle.high,
        low: candle.low,
        close: candle.close,
        volume: candle.volume,
        open_interest: candle.open_interest,
    };
    let interval = word(request.interval, request.continuous);
    Candle { interval, numbers, known: Arc::clone(&request.known) }
}

/// Whose candles are wanted.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The instruments.
    pub instruments: Vec<Arc<Known>>,
    /// Their interval.
    pub interval: Interval,
    /// The series that runs through expired contracts: day candles of futures.
    pub continuous: bool,
}

/// The token of a request, for people.
pub(crate) fn name(known: &Known) -> String {
    let instrument = &known.instrument;
    let Token(token) = instrument.token;
    format!("{}:{} ({token})", instrument.exchange, instrument.tradingsymbol)
}

/// How long so many requests take at Kite's rate.
pub fn least_time(requests: usize) -> Duration {
    pace::APART.saturating_mul(u32::try_from(requests).unwrap_or(u32::MAX))
}

/// The last instant of a day of India.
pub(crate) fn end_of_day(day: u16) -> Timestamp {
    start_of_day(day).plus(Duration::from_secs(86_399))
}

/// The day of India of an instant.
pub(crate) fn day_of(at: Timestamp) -> u16 {
    at.ist().days_since_epoch.clamp(0, i32::from(u16::MAX)) as u16
}

/// The first instant of a day of India.
pub(crate) fn start_of_day(day: u16) -> Timestamp {
    Timestamp::from_millis((i64::from(day) * 86_400 - tickhouse_model::IST_OFFSET_SECONDS) * 1_000)
}
