//! Windows of `feed_gaps`, and which of them were filled with candles.

use super::{Request, Task, Wanted, day_of, start_of_day};
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

    /// First and last begin of the candles that hold one of its minutes. The first may begin before it.
    fn window(&self, interval: Interval) -> (Timestamp, Timestamp) {
        let minute = |millis: i64| Timestamp::from_millis(millis.div_euclid(60_000) * 60_000);
        let from = minute(self.from);
        let first = match interval.minutes() {
            // candles follow each other from the open on, which lies on no round hour: whichever holds the minute began less
            // than its length before
            Some(minutes) => from.minus(Duration::from_mins(u64::from(minutes - 1))),
            None => start_of_day(day_of(from)),
        };
        (first, minute(self.to))
    }
}

/// When a gap has to have ended, for the candles that hold its minutes to be over and settled.
fn settled(interval: Interval, now: Timestamp) -> Timestamp {
    let settled = now.minus(SETTLED);
    match interval.minutes() {
        Some(minutes) => settled.minus(Duration::from_mins(u64::from(minutes - 1))),
        None => start_of_day(day_of(settled)).minus(Duration::from_millis(1)),
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
    let query = query.bind(settled(wanted.interval, now).as_millis()).bind(LONGEST.as_millis() as u64);
    let rows = query.fetch_all::<Gap>().await;
    let gaps = rows.map_err(|source| StoreError::query("read the gaps of the feed", source))?;
    let filled = filled(store, wanted.interval, &gaps).await?;
    Ok((gaps.clone(), tasks(&gaps, wanted, &filled)))
}

/// What names a gap and an instrument.
type Fill = (String, String, u64, u16, u64, u32, u32);

fn fill_of(gap: &Gap, token: u32) -> Fill {
    let Gap { recorder, stream, session, socket, sequence, epoch, .. } = gap;
    (recorder.clone(), stream.clone(), *session, *socket, *sequence, *epoch, token)
}

/// The fills of these gaps, which are in the order of their begin; fills of other times are not read.
async fn filled(store: &Store, interval: Interval, gaps: &[Gap]) -> Result<FxHashSet<Fill>, HistoryError> {
    let mut filled = FxHashSet::default();
    let (Some(first), Some(last)) = (gaps.first(), gaps.last()) else { return Ok(filled) };
    let sql = "SELECT toString(recorder), toString(stream), session, socket, sequence, epoch, instrument_token \
               FROM gap_fills FINAL WHERE interval = ? AND toUnixTimestamp64Milli(`from`) BETWEEN ? AND ?";
    let failed = |source| StoreError::query("read which gaps are filled", source);
    let query = store.client().query(sql).bind(interval.name()).bind(first.from).bind(last.from);
    let mut rows = query.fetch::<Fill>().map_err(failed)?;
    while let Some(fill) = rows.next().await.map_err(failed)? {
        filled.insert(fill);
    }
    Ok(filled)
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
            let (from, to) = gap.window(wanted.interval);
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

/// Notes that the windows of a task were filled by what was asked at `asked_at`.
pub(super) async fn note(
    store: &Store,
    task: &Task,
    gaps: &[Gap],
    candles: &[HistoricalCandle],
    asked_at: Timestamp,
) -> Result<(), HistoryError> {
    let failed = |source| StoreError::query("note which gaps are filled", source);
    let mut insert = store.insert_client().insert::<FillRow<'_>>("gap_fills").await.map_err(failed)?;
    for gap in task.fills.iter().filter_map(|number| gaps.get(*number)) {
        let (from, to) = gap.window(task.request.interval);
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
            filled_at: asked_at.as_millis(),
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

#[cfg(test)]
mod tests {
    use super::*;

    fn gap(from: &str, to: &str) -> Gap {
        let millis = |text| Timestamp::from_text(text).unwrap().as_millis();
        Gap {
            recorder: "main".to_owned(),
            stream: String::new(),
            session: 1,
            socket: 0,
            sequence: 1,
            epoch: 0,
            from: millis(from),
            to: millis(to),
            tokens: Vec::new(),
        }
    }

    /// Against the session's grid, candle by candle.
    #[test]
    fn a_window_has_every_candle_that_holds_a_minute_of_the_gap() {
        let open = Timestamp::from_text("2026-11-19 09:15").unwrap();
        for (from, to) in [
            ("2026-11-19 10:02", "2026-11-19 10:04"),
            ("2026-11-19 10:00", "2026-11-19 10:00:30"),
            ("2026-11-19 09:15:10", "2026-11-19 09:16"),
            ("2026-11-19 11:14:59", "2026-11-19 13:15:01"),
        ] {
            let gap = gap(from, to);
            for interval in Interval::ALL {
                let (first, last) = gap.window(interval);
                let Some(minutes) = interval.minutes() else {
                    let midnight = Timestamp::from_text("2026-11-19 00:00").unwrap();
                    assert_eq!(first, midnight, "{from}");
                    continue;
                };
                for number in 0..375 / u64::from(minutes) {
                    let begin = open.plus(Duration::from_mins(number * u64::from(minutes)));
                    let holds = (0..u64::from(minutes)).any(|minute| {
                        let minute = begin.plus(Duration::from_mins(minute)).as_millis();
                        minute + 60_000 > gap.from && minute <= gap.to
                    });
                    assert_eq!(
                        first <= begin && begin <= last,
                        holds,
                        "{interval} of {from} to {to}: {begin}"
                    );
                }
            }
        }
    }

    #[test]
    fn candles_that_are_not_over_are_waited_for() {
        let now = Timestamp::from_text("2026-11-19 10:20").unwrap();
        let at = |text| Timestamp::from_text(text).unwrap();
        assert_eq!(settled(Interval::Minute, now), at("2026-11-19 10:18"));
        assert_eq!(settled(Interval::Minute60, now), at("2026-11-19 09:19"));
        assert!(settled(Interval::Day, now) < at("2026-11-19 00:00"));
    }
}
