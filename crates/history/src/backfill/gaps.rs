//! Windows of `feed_gaps`, and which of them were filled with candles.

use super::{Request, Task, Wanted};
use crate::{HistoryError, Interval};
use clickhouse::Row;
use rustc_hash::FxHashSet;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;
use tickhouse_model::Timestamp;
use tickhouse_source::rest::HistoricalCandle;
use tickhouse_store::{Store, StoreError};

/// Candles of the last minutes settle some seconds after their end: a gap that ended more recently waits.
const SETTLED: Duration = Duration::from_mins(2);
/// A window longer than this is no gap of a feed but a recorder that was switched off: `backfill --from --to` asks for days.
const LONGEST: Duration = Duration::from_hours(24 * 7);

/// A closed window of `feed_gaps`.
#[derive(Clone, Debug, PartialEq, Eq, Row, Deserialize)]
pub struct Gap {
    recorder: String,
    stream: String,
    session: u64,
    socket: u16,
    sequence: u64,
    epoch: u32,
    /// Milliseconds since 1970-01-01 UTC.
    from: i64,
    to: i64,
    /// Empty: every instrument of the socket.
    tokens: Vec<u32>,
}

impl Gap {
    fn concerns(&self, token: u32) -> bool {
        self.tokens.is_empty() || self.tokens.contains(&token)
    }

    /// From the minute in which it began to the one in which it ended.
    fn window(&self) -> (Timestamp, Timestamp) {
        let minute = |millis: i64| Timestamp::from_millis(millis.div_euclid(60_000) * 60_000);
        (minute(self.from), minute(self.to))
    }
}

#[derive(Row, Serialize)]
struct FillRow<'a> {
    recorder: &'a str,
    session: u64,
    socket: u16,
    sequence: u64,
    stream: &'a str,
    epoch: u32,
    instrument_token: u32,
    interval: &'a str,
    from: i64,
    to: i64,
    candles: u32,
    filled_at: i64,
}

/// The windows that concern the instruments and are not filled yet, and the requests that fill them: one per instrument and
/// span that Kite allows, however many windows lie in it.
///
/// # Errors
/// When a query fails.
pub async fn gaps(
    store: &Store,
    wanted: &Wanted,
    (from, to): (Timestamp, Timestamp),
    now: Timestamp,
) -> Result<(Vec<Gap>, Vec<Task>), HistoryError> {
    let sql = "SELECT toString(recorder) AS recorder, toString(stream) AS stream, session, socket, sequence, epoch, \
               toUnixTimestamp64Milli(`from`) AS first, toUnixTimestamp64Milli(`to`) AS last, tokens FROM feed_gaps \
               WHERE last > first AND first >= ? AND first <= ? AND last <= ? AND last - first <= ? \
               ORDER BY first, last, sequence";
    let query = store.client().query(sql).bind(from.as_millis()).bind(to.as_millis());
    let query = query.bind(now.minus(SETTLED).as_millis()).bind(LONGEST.as_millis() as u64);
    let rows = query.fetch_all::<Gap>().await;
    let gaps = rows.map_err(|source| StoreError::query("read the gaps of the feed", source))?;
    let filled = filled(store, wanted.interval).await?;
    Ok((gaps.clone(), tasks(&gaps, wanted, &filled)))
}

/// What names a gap and an instrument.
type Fill = (String, String, u64, u16, u64, u32, u32);

fn fill_of(gap: &Gap, token: u32) -> Fill {
    let Gap { recorder, stream, session, socket, sequence, epoch, .. } = gap;
    (recorder.clone(), stream.clone(), *session, *socket, *sequence, *epoch, token)
}

async fn filled(store: &Store, interval: Interval) -> Result<FxHashSet<Fill>, HistoryError> {
    let sql = "SELECT toString(recorder), toString(stream), session, socket, sequence, epoch, instrument_token \
               FROM gap_fills FINAL WHERE interval = ?";
    let rows = store.client().query(sql).bind(interval.name()).fetch_all::<Fill>().await;
    Ok(rows.map_err(|source| StoreError::query("read which gaps are filled", source))?.into_iter().collect())
}

fn tasks(gaps: &[Gap], wanted: &Wanted, filled: &FxHashSet<Fill>) -> Vec<Task> {
    let span = Duration::from_hours(24 * (u64::from(wanted.interval.most_days()) - 1));
    let mut tasks: Vec<Task> = Vec::new();
    for known in &wanted.instruments {
        let token = known.instrument.token.0;
        let mut last: Option<Task> = None;
        for (number, gap) in gaps.iter().enumerate() {
            if !gap.concerns(token) || filled.contains(&fill_of(gap, token)) {
                continue;
            }
            let (from, to) = gap.window();
            match &mut last {
                Some(task) if to.since(task.request.from) <= span => {
                    task.request.to = task.request.to.max(to);
                    task.fills.push(number);
                }
                other => {
                    let request = Request {
                        known: Arc::clone(known),
                        interval: wanted.interval,
                        continuous: false,
                        from,
                        to,
                    };
                    tasks.extend(other.replace(Task { request, fills: vec![number] }));
                }
            }
        }
        tasks.extend(last);
    }
    tasks
}

/// Notes that the windows of a task are filled.
pub(super) async fn note(
    store: &Store,
    task: &Task,
    gaps: &[Gap],
    candles: &[HistoricalCandle],
    now: Timestamp,
) -> Result<(), HistoryError> {
    let failed = |source| StoreError::query("note which gaps are filled", source);
    let mut insert = store.insert_client().insert::<FillRow<'_>>("gap_fills").await.map_err(failed)?;
    for gap in task.fills.iter().filter_map(|number| gaps.get(*number)) {
        let (from, to) = gap.window();
        let within =
            candles.iter().filter(|candle| candle.timestamp >= from && candle.timestamp <= to).count();
        let row = FillRow {
            recorder: gap.recorder.as_str(),
            session: gap.session,
            socket: gap.socket,
            sequence: gap.sequence,
            stream: gap.stream.as_str(),
            epoch: gap.epoch,
            instrument_token: task.request.known.instrument.token.0,
            interval: task.request.interval.name(),
            from: gap.from,
            to: gap.to,
            candles: within as u32,
            filled_at: now.as_millis(),
        };
        insert.write(&row).await.map_err(failed)?;
    }
    Ok(insert.end().await.map_err(failed)?)
}

/// How many windows concern an instrument at all: for a report.
pub fn concerned(gaps: &[Gap], tasks: &[Task]) -> usize {
    let filled = tasks.iter().flat_map(|task| &task.fills).filter(|number| **number < gaps.len());
    filled.collect::<FxHashSet<_>>().len()
}
