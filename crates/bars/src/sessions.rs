//! A market's day in milliseconds, and which bar an instant belongs to.

use crate::Interval;
use tickhouse_enrich::{Calendar, Market};
use tickhouse_model::{IST_OFFSET_SECONDS, IstDateTime, SessionType, Timestamp};

pub(crate) const DAY_MILLIS: i64 = 86_400_000;

/// A phase of a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stretch {
    pub(crate) from: i64,
    pub(crate) until: i64,
    pub(crate) phase: SessionType,
}

/// A day of a market, midnight to midnight in India.
#[derive(Clone, Debug)]
pub(crate) struct Day {
    pub(crate) midnight: i64,
    stretches: Vec<Stretch>,
}

/// Which bar: its begin, end and phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) start: i64,
    pub(crate) end: i64,
    pub(crate) phase: SessionType,
}

/// The midnight of a day since 1970-01-01.
pub(crate) const fn midnight(day: i32) -> i64 {
    day as i64 * DAY_MILLIS - IST_OFFSET_SECONDS * 1_000
}

/// The day of an instant, since 1970-01-01.
pub(crate) fn day_of(millis: i64) -> i32 {
    Timestamp::from_millis(millis).ist().days_since_epoch
}

/// When the running totals of a day (since 1970-01-01) begin at 0: its first phase begins. Midnight where there is no trading. What packets
/// show before it is the day before.
pub fn opening(calendar: &Calendar, market: Market, day: i32) -> Timestamp {
    Timestamp::from_millis(Day::of(calendar, market, day).opening())
}

impl Day {
    pub(crate) fn of(calendar: &Calendar, market: Market, day: i32) -> Self {
        let midnight = midnight(day);
        let mut stretches = Vec::new();
        let mut at = midnight;
        while at < midnight + DAY_MILLIS {
            let span = calendar.span(market, Timestamp::from_millis(at));
            let until = span.until.as_millis();
            stretches.push(Stretch { from: at, until, phase: span.phase });
            // a calendar never gives an empty span; a day of which it did would have no end
            at = until.max(at + 1);
        }
        Self { midnight, stretches }
    }

    /// The phases in which there is trading.
    pub(crate) fn trading(&self) -> impl DoubleEndedIterator<Item = &Stretch> {
        self.stretches.iter().filter(|stretch| stretch.phase != SessionType::Closed)
    }

    /// Whether there is trading at all, as far as the calendar knows.
    pub(crate) fn trades(&self) -> bool {
        self.trading().next().is_some()
    }

    /// When the day's running total is 0: its first phase begins. Midnight where there is no trading.
    pub(crate) fn opening(&self) -> i64 {
        self.trading().next().map_or(self.midnight, |stretch| stretch.from)
    }

    /// The phase around an instant of the day.
    pub(crate) fn stretch(&self, at: i64) -> &Stretch {
        let after = self.stretches.partition_point(|stretch| stretch.until <= at);
        &self.stretches[after.min(self.stretches.len() - 1)]
    }

    /// The parts of `[from, until)` in which there is trading; of a day without any trading all of it.
    pub(crate) fn open_parts(&self, from: i64, until: i64) -> impl Iterator<Item = (i64, i64)> {
        let open = |stretch: &&Stretch| stretch.phase != SessionType::Closed || !self.trades();
        let parts = self.stretches.iter().filter(open);
        parts
            .map(move |part| (part.from.max(from), part.until.min(until)))
            .filter(|(from, until)| from < until)
    }

    /// The bar that an instant of this day belongs to.
    pub(crate) fn key(&self, at: i64, interval: Interval) -> Key {
        let phase = if self.trades() { SessionType::Regular } else { SessionType::Closed };
        let days = |first: i32, after: i32| Key { start: midnight(first), end: midnight(after), phase };
        let day = day_of(self.midnight);
        match interval {
            Interval::Seconds(seconds) => {
                let stretch = self.stretch(at);
                let length = i64::from(seconds.max(1)) * 1_000;
                let start = stretch.from + (at - stretch.from).div_euclid(length) * length;
                Key { start, end: (start + length).min(stretch.until), phase: stretch.phase }
            }
            Interval::Day => days(day, day + 1),
            Interval::Week => {
                // 1970-01-01 was a Thursday
                let monday = day - (day + 3).rem_euclid(7);
                days(monday, monday + 7)
            }
            Interval::Month => {
                let first = first_of_month(day);
                days(first, first_of_month(first + 31))
            }
        }
    }
}

fn first_of_month(day: i32) -> i32 {
    let (_, _, of_month) = IstDateTime { days_since_epoch: day, second_of_day: 0 }.date();
    day - i32::from(of_month) + 1
}
