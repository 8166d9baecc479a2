//! Slices become bars.

use crate::chain::{Slice, slices_of_day};
use crate::fill::{Filled, fill};
use crate::sessions::{DAY_MILLIS, Day, Key, day_of};
use crate::spans::Spans;
use crate::{Bar, Bucket, Candle, Interval, Prices, Seen, SliceLength, Source};
use std::collections::BTreeMap;
use tickhouse_enrich::{Calendar, Market};
use tickhouse_model::{SessionType, Timestamp};

/// The bars of what was seen, in order. Bars of the first and last day, week or month hold what `seen` has of them: give whole ones.
/// `seen.slice` is at most [`Interval::slice`] long.
pub fn bars(seen: &Seen<'_>, calendar: &Calendar, market: Market, interval: Interval) -> Vec<Bar> {
    let gaps = Spans::of(seen.gaps);
    let mut days = days_of(seen, calendar, market);
    let mut filled: Vec<(i32, Filled)> = Vec::new();
    let mut covered: Vec<(i64, i64)> = Vec::new();
    for (number, (day, buckets, candles)) in &mut days {
        buckets.sort_by_key(|bucket| bucket.at);
        candles.sort_by_key(|candle| (candle.length, candle.at));
        let chain = slices_of_day(buckets, day, &gaps, interval, seen.slice.millis());
        let mut done = fill(chain, candles, day, &gaps, interval);
        covered.append(&mut done.covered);
        filled.push((*number, done));
    }
    let asked = if seen.slice == SliceLength::Minute { Spans::of(seen.asked) } else { Spans::default() };
    let open = gaps.without(&asked).without(&covered.into_iter().collect());
    let mut growing: BTreeMap<Key, Growing> = BTreeMap::new();
    for (number, Filled { slices, healed, .. }) in &filled {
        for slice in slices {
            let whole = Filled::is_whole(*healed, slice, &open);
            growing
                .entry(slice.key)
                .and_modify(|bar| bar.add(slice, *number, whole))
                .or_insert_with(|| Growing::of(slice, *number, whole));
        }
        if let Some((key, at)) = healed
            && let Some(bar) = growing.get_mut(key)
        {
            bar.healed.insert(*number, *at);
        }
    }
    let mut hours =
        Hours { calendar, market, days: days.into_iter().map(|(n, (day, ..))| (n, day)).collect() };
    let until = seen.until.as_millis();
    growing.into_iter().map(|(key, bar)| bar.finish(key, &open, &mut hours, until)).collect()
}

type OfDay = (Day, Vec<Bucket>, Vec<Candle>);

fn days_of(seen: &Seen<'_>, calendar: &Calendar, market: Market) -> BTreeMap<i32, OfDay> {
    let mut days: BTreeMap<i32, OfDay> = BTreeMap::new();
    let fresh = |day| (Day::of(calendar, market, day), Vec::new(), Vec::new());
    for bucket in seen.buckets {
        let day = day_of(bucket.at.as_millis());
        days.entry(day).or_insert_with(|| fresh(day)).1.push(*bucket);
    }
    // a candle says nothing of a second
    for candle in seen.candles.iter().filter(|_| seen.slice == SliceLength::Minute) {
        let day = day_of(candle.at.as_millis());
        days.entry(day).or_insert_with(|| fresh(day)).2.push(*candle);
    }
    days
}

/// The hours of days, looked up once.
struct Hours<'a> {
    calendar: &'a Calendar,
    market: Market,
    days: BTreeMap<i32, Day>,
}

impl Hours<'_> {
    fn day(&mut self, number: i32) -> &Day {
        let (calendar, market) = (self.calendar, self.market);
        self.days.entry(number).or_insert_with(|| Day::of(calendar, market, number))
    }
}

/// A bar that is not finished.
struct Growing {
    prices: Prices,
    volume: u64,
    turnover: (f64, f64),
    open_interest: u64,
    ticks: u64,
    whole: bool,
    source: Source,
    /// The days that have something in it, and per day the instant before which nothing is missing.
    days: Vec<i32>,
    healed: BTreeMap<i32, i64>,
}

impl Growing {
    fn of(slice: &Slice, day: i32, whole: bool) -> Self {
        Self {
            prices: slice.prices,
            volume: slice.volume,
            turnover: slice.turnover,
            open_interest: slice.open_interest,
            ticks: slice.ticks,
            whole,
            source: slice.source,
            days: vec![day],
            healed: BTreeMap::new(),
        }
    }

    fn add(&mut self, slice: &Slice, day: i32, whole: bool) {
        self.prices.high = self.prices.high.max(slice.prices.high);
        self.prices.low = self.prices.low.min(slice.prices.low);
        self.prices.close = slice.prices.close;
        self.volume += slice.volume;
        self.turnover.0 += slice.turnover.0;
        self.turnover.1 += slice.turnover.1;
        self.open_interest = slice.open_interest;
        self.ticks += slice.ticks;
        self.whole &= whole;
        self.source = self.source.with(slice.source);
        if self.days.last() != Some(&day) {
            self.days.push(day);
        }
    }

    fn finish(self, key: Key, open: &Spans, hours: &mut Hours<'_>, until: i64) -> Bar {
        let is_of_days = key.end - key.start >= DAY_MILLIS;
        let mut whole = self.whole && (is_of_days || key.end <= until);
        let (mut missing, mut last_trading) = (0, key.start);
        for number in day_of(key.start)..=day_of(key.end - 1) {
            let day = hours.day(number);
            let healed = self.healed.get(&number).copied().unwrap_or(i64::MIN);
            for (from, until) in day.open_parts(key.start, key.end) {
                missing += open.within(from, until);
                whole &= !open.touch(from.max(healed), until);
            }
            if is_of_days && key.phase != SessionType::Closed && day.trades() {
                last_trading = day.trading().next_back().map_or(last_trading, |stretch| stretch.until);
                // a trading day of which nothing is known
                whole &= self.days.contains(&number);
            }
        }
        Bar {
            start: Timestamp::from_millis(key.start),
            end: Timestamp::from_millis(key.end),
            session: key.phase,
            open: self.prices.open,
            high: self.prices.high,
            low: self.prices.low,
            close: self.prices.close,
            volume: self.volume,
            open_interest: self.open_interest,
            vwap: (self.turnover.1 > 0.0).then(|| self.turnover.0 / self.turnover.1),
            tick_count: self.ticks,
            complete: whole && last_trading <= until,
            gap_seconds: u32::try_from((missing + 999) / 1_000).unwrap_or(u32::MAX),
            source: self.source,
        }
    }
}
