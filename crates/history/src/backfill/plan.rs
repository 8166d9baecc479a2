//! Which requests are left to make: the days that are wanted, less those that were answered, cut as Kite allows.

use super::{Wanted, day_of, end_of_day, name, start_of_day};
use crate::instruments::Known;
use crate::write::word;
use crate::{HistoryError, Interval};
use clickhouse::Row;
use rustc_hash::FxHashMap;
use serde::Serialize;
use std::fmt;
use std::sync::Arc;
use tickhouse_model::Timestamp;
use tickhouse_store::{Store, StoreError};

/// Days since 1970-01-01 in India, the last one included.
pub type Days = (u16, u16);

/// One call of Kite's historical REST.
#[derive(Clone, Debug)]
pub struct Request {
    /// Whose candles.
    pub known: Arc<Known>,
    /// How long they last.
    pub interval: Interval,
    /// Through expired contracts.
    pub continuous: bool,
    /// First and last begin.
    pub from: Timestamp,
    /// Last begin.
    pub to: Timestamp,
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (from, to) = (self.from.ist().date_text(), self.to.ist().date_text());
        write!(f, "{}, {}, {from} to {to}", name(&self.known), word(self.interval, self.continuous))
    }
}

/// What was answered before, by token: rising days that do not touch.
pub type Covered = FxHashMap<u32, Vec<Days>>;

/// Reads what was answered before.
///
/// # Errors
/// When the query fails.
pub async fn covered(store: &Store, interval: Interval, continuous: bool) -> Result<Covered, HistoryError> {
    let sql = "SELECT instrument_token, toUInt16(`from`) AS first, toUInt16(`to`) AS last FROM backfill_progress FINAL \
               WHERE interval = ? ORDER BY instrument_token, first, last";
    let rows =
        store.client().query(sql).bind(word(interval, continuous)).fetch_all::<(u32, u16, u16)>().await;
    let rows = rows.map_err(|source| StoreError::query("read what was asked before", source))?;
    let mut covered = Covered::default();
    for (token, first, last) in rows {
        let days = covered.entry(token).or_default();
        match days.last_mut() {
            Some((_, end)) if first <= end.saturating_add(1) => *end = last.max(*end),
            _ => days.push((first, last)),
        }
    }
    Ok(covered)
}

/// The requests that are left, instrument by instrument.
pub fn plan(wanted: &Wanted, days: Days, covered: &Covered) -> Vec<Request> {
    let mut requests = Vec::new();
    for known in &wanted.instruments {
        let before = covered.get(&known.instrument.token.0).map_or(&[][..], Vec::as_slice);
        for (first, last) in missing(days, before) {
            let mut next = Some(first);
            while let Some(from) = next.filter(|from| *from <= last) {
                let to = last.min(from.saturating_add(wanted.interval.most_days() - 1));
                requests.push(Request {
                    known: Arc::clone(known),
                    interval: wanted.interval,
                    continuous: wanted.continuous,
                    from: start_of_day(from),
                    to: end_of_day(to),
                });
                next = to.checked_add(1);
            }
        }
    }
    requests
}

/// `days` without what is covered.
fn missing((first, last): Days, covered: &[Days]) -> Vec<Days> {
    let mut missing = Vec::new();
    let mut next = Some(first);
    for (start, end) in covered.iter().filter(|(start, end)| *end >= first && *start <= last) {
        let Some(from) = next else { break };
        if *start > from {
            missing.push((from, *start - 1));
        }
        // behind the last day of a `Date` there is none
        next = end.checked_add(1).map(|after| after.max(from));
    }
    missing.extend(next.filter(|from| *from <= last).map(|from| (from, last)));
    missing
}

#[derive(Row, Serialize)]
struct ProgressRow {
    instrument_token: u32,
    interval: &'static str,
    from: u16,
    to: u16,
    candles: u32,
    asked_at: i64,
}

/// Notes that a request was answered and stored, for those of its days that were over when it was made: an answer that comes
/// after midnight may lack the end of the day before.
pub(super) async fn note(
    store: &Store,
    request: &Request,
    candles: usize,
    asked_at: Timestamp,
) -> Result<(), HistoryError> {
    let (from, to) = (day_of(request.from), day_of(request.to).min(day_of(asked_at).saturating_sub(1)));
    if from > to {
        return Ok(());
    }
    let row = ProgressRow {
        instrument_token: request.known.instrument.token.0,
        interval: word(request.interval, request.continuous),
        from,
        to,
        candles: candles as u32,
        asked_at: asked_at.as_millis(),
    };
    let failed = |source| StoreError::query("note what was asked", source);
    let mut insert =
        store.insert_client().insert::<ProgressRow>("backfill_progress").await.map_err(failed)?;
    insert.write(&row).await.map_err(failed)?;
    Ok(insert.end().await.map_err(failed)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_missing() {
        assert_eq!(missing((10, 20), &[]), [(10, 20)]);
        assert_eq!(missing((10, 20), &[(1, 9), (12, 13), (18, 30)]), [(10, 11), (14, 17)]);
        assert_eq!(missing((10, 20), &[(5, 25)]), []);
        assert_eq!(missing((0, u16::MAX), &[(0, u16::MAX)]), []);
    }

    proptest! {
        #[test]
        fn every_day_is_covered_or_missing(first in 0_u16..60, length in 0_u16..60, cuts in prop::collection::btree_set(0_u16..120, 0..12)) {
            let last = first + length;
            let cuts: Vec<u16> = cuts.into_iter().collect();
            let covered: Vec<Days> = cuts.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect();
            let missing = missing((first, last), &covered);
            let holds = |ranges: &[Days], day: u16| ranges.iter().any(|(from, to)| (*from..=*to).contains(&day));
            for day in 0..130 {
                let wanted = (first..=last).contains(&day) && !holds(&covered, day);
                prop_assert_eq!(holds(&missing, day), wanted, "day {}", day);
            }
        }
    }
}
