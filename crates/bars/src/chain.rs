//! From the buckets of a day to slices with volumes and repaired prices.
//!
//! A running total means something only beside the one before it, and the day's high only beside the day's high before: so a day is
//! walked from its opening on. What the walk finds is a slice of each bucket that shows a price.

use crate::sessions::{Day, Key};
use crate::spans::Spans;
use crate::{Bucket, DayRange, Interval, Prices, Source, Totals};
use tickhouse_model::SessionType;

/// A part of a bar: from one bucket or one candle.
#[derive(Clone, Debug)]
pub(crate) struct Slice {
    pub(crate) at: i64,
    pub(crate) until: i64,
    pub(crate) key: Key,
    pub(crate) prices: Prices,
    pub(crate) volume: u64,
    /// Σ price × volume and Σ volume, for the mean.
    pub(crate) turnover: (f64, f64),
    pub(crate) open_interest: u64,
    pub(crate) ticks: u64,
    /// Volume and prices are known, unless there is a gap in `[since, until)`.
    pub(crate) sound: bool,
    /// The end of what was seen before it.
    pub(crate) since: i64,
    /// The bar began with the day, and this slice's packets state the day: nothing before it is missing from the bar.
    pub(crate) heals: bool,
    pub(crate) source: Source,
}

/// What is known of the day up to a bucket.
struct Walk<'a> {
    day: &'a Day,
    gaps: &'a Spans,
    interval: Interval,
    length: i64,
    /// Begin of the last bucket with a packet.
    before: Option<i64>,
    /// A bucket before showed a price of this day.
    has_traded: bool,
    total: Option<u64>,
    /// The count of the day began anew: that it was 0 says nothing of the day's first trade.
    was_reset: bool,
    range: Option<DayRange>,
    open_interest: u64,
    /// The bar that holds the day's first trade, and everything after it so far.
    opened: Option<Key>,
    /// Where counting begins without a total before it.
    begins: Vec<i64>,
}

/// A day's slices.
pub(crate) struct Chain {
    /// In order.
    pub(crate) slices: Vec<Slice>,
    /// Begins of the buckets at which counting began, rising: no volume after one reaches back beyond it. None where the day was
    /// counted from its opening on.
    pub(crate) begins: Vec<i64>,
}

/// The slices of a day. `buckets` are of that day, in order.
pub(crate) fn slices_of_day(
    buckets: &[Bucket],
    day: &Day,
    gaps: &Spans,
    interval: Interval,
    length: i64,
) -> Chain {
    let mut walk = Walk {
        day,
        gaps,
        interval,
        length,
        before: None,
        has_traded: false,
        total: None,
        was_reset: false,
        range: None,
        open_interest: 0,
        opened: None,
        begins: Vec::new(),
    };
    // before a day's opening packets show the day before
    let opening = day.opening();
    let buckets = &buckets[buckets.partition_point(|bucket| bucket.at.as_millis() < opening)..];
    let next = |number: usize| buckets[number + 1..].iter().find_map(|bucket| bucket.totals);
    let slices = buckets.iter().enumerate().filter_map(|(number, bucket)| walk.step(bucket, || next(number)));
    let slices = slices.collect();
    Chain { slices, begins: walk.begins }
}

impl Walk<'_> {
    /// `next` gives the totals that come after the bucket's.
    fn step(&mut self, bucket: &Bucket, next: impl FnOnce() -> Option<Totals>) -> Option<Slice> {
        if let Some(open_interest) = bucket.open_interest {
            self.open_interest = open_interest;
        }
        let Some(seen) = bucket.prices.filter(|_| bucket.ticks > 0) else {
            // a cached value: its total is where counting begins if nothing else was seen
            if let (None, Some(totals)) = (self.total, bucket.totals) {
                self.total = Some(totals.highest);
                self.begins.push(bucket.at.as_millis());
            }
            return None;
        };
        // a packet that only the book made repeats the price of a trade before it, which may be of the bar before
        let seen = bucket.turnover.and_then(|turnover| turnover.trades).unwrap_or(seen);
        let at = bucket.at.as_millis();
        let key = self.day.key(at, self.interval);
        let phase = self.day.stretch(at).phase;
        let opening = self.day.opening();
        self.opened = self.opened.filter(|opened| *opened == key);
        // all since the last observation, or since the opening, lies in this bar
        let inside = self.before.map_or(key.start <= opening, |before| key.start <= before);
        let is_first_trade_seen = bucket.totals.is_some_and(|totals| totals.lowest == 0);
        let since = match self.before {
            Some(before) => before + self.length,
            None if is_first_trade_seen => at,
            None => opening,
        };
        let cut = self.gaps.touch(since, at + self.length);
        let count = self.count(bucket.totals, inside, next);
        if count.is_reset || (bucket.totals.is_some() && self.total.is_none() && !inside) {
            self.begins.push(at);
        }
        if count.is_reset {
            (self.range, self.opened, self.was_reset) = (None, None, true);
        }
        let untraded = bucket.totals.is_some_and(|totals| totals.highest == 0) && !count.is_reset;
        let is_at_zero = count.base == Some(0) && !untraded && !self.was_reset;
        let first = is_at_zero && (is_first_trade_seen || inside || !cut);
        let range = bucket.day.filter(|_| {
            // an index's packets before its open may still state the day before
            bucket.totals.is_some() || phase != SessionType::PreMarket
        });
        let prices = self.repair(seen, range, key, (first, inside || !cut, bucket.totals.is_some()));
        let known = match (bucket.totals, self.before) {
            // volume since the opening is known; prices only if the packets state the day
            (Some(_), None) if self.total.is_none() && !is_first_trade_seen => {
                inside && self.opened == Some(key)
            }
            (Some(_), _) => true,
            (None, before) => before.is_some() || self.opened == Some(key),
        };
        self.total = count.total.or(self.total);
        self.before = Some(at);
        if untraded || self.is_outside_days(phase, bucket.totals.is_some()) {
            return None;
        }
        self.has_traded = true;
        let turnover = match bucket.turnover {
            Some(turnover) => (turnover.value, turnover.volume),
            None => (prices.typical() * count.volume as f64, count.volume as f64),
        };
        Some(Slice {
            at,
            until: at + self.length,
            key,
            prices,
            volume: count.volume,
            turnover,
            open_interest: self.open_interest,
            ticks: bucket.ticks,
            sound: known && !count.is_reset,
            since,
            heals: range.is_some() && self.opened == Some(key),
            source: Source::Ticks,
        })
    }

    /// What a bar of days leaves out: what is seen while the market is closed, and indicative values of an index before its open.
    fn is_outside_days(&self, phase: SessionType, carries_totals: bool) -> bool {
        let is_outside = match phase {
            SessionType::Closed => self.day.trades(),
            SessionType::PreMarket => !carries_totals,
            _ => false,
        };
        self.interval.holds_days() && is_outside
    }

    fn count(&self, totals: Option<Totals>, inside: bool, next: impl FnOnce() -> Option<Totals>) -> Count {
        let Some(totals) = totals else { return Count::default() };
        let Totals { lowest, highest } = totals;
        match self.total {
            // the exchange, or somebody on the way, began anew: what was traded in between nobody knows. One packet that came late
            // looks the same, but for what comes next
            Some(before) if highest < before / 2 && next().is_none_or(|next| next.highest < before / 2) => {
                let volume = highest.saturating_sub(lowest);
                Count { volume, base: None, total: Some(highest), is_reset: true }
            }
            // less is a packet that came late
            Some(before) => {
                let volume = highest.saturating_sub(before);
                Count { volume, base: Some(before), total: Some(before.max(highest)), is_reset: false }
            }
            None => {
                let base = if inside { 0 } else { lowest };
                let volume = highest.saturating_sub(base);
                Count { volume, base: Some(base), total: Some(highest), is_reset: false }
            }
        }
    }

    /// The prices of a bucket, with what the day's own open, high and low tell. `first`: the day's first trade lies in it, or
    /// between it and the last observation within the bar; `joined`: what happened since the last observation lies in this bar, or
    /// was not missed; `counts`: its packets carry totals, so it is no index.
    fn repair(
        &mut self,
        seen: Prices,
        range: Option<DayRange>,
        key: Key,
        (first, joined, counts): (bool, bool, bool),
    ) -> Prices {
        let Some(range) = range else {
            return seen;
        };
        let mut prices = seen;
        let stretch = self.day.stretch(key.start.max(self.day.opening()));
        let begins_regular = stretch.phase == SessionType::Regular && key.start <= stretch.from;
        let is_day = self.interval.holds_days();
        if first && (range.low..=range.high).contains(&seen.close) {
            // before the first trade, packets show the price of the day before
            prices = Prices { open: range.open, high: range.high, low: range.low, close: seen.close };
            self.opened = Some(key);
        } else if let Some(before) = self.range.filter(|before| before.is_of_day(range.open)) {
            if joined && range.high > before.high {
                prices.high = prices.high.max(range.high);
            }
            if joined && range.low < before.low {
                prices.low = prices.low.min(range.low);
            }
        } else if self.range.is_none() && (begins_regular || is_day) && (!self.has_traded || !counts) {
            // no auction was seen, or it is an index: the first bar of trading opens at the day's open
            prices.open = range.open;
            prices.high = prices.high.max(range.open);
            prices.low = prices.low.min(range.open);
            if !counts && joined {
                prices.high = prices.high.max(range.high);
                prices.low = prices.low.min(range.low);
                self.opened = Some(key);
            }
        }
        self.range = Some(match self.range {
            Some(before) if before.is_of_day(range.open) => DayRange {
                open: range.open,
                high: before.high.max(range.high),
                low: before.low.min(range.low),
            },
            _ => range,
        });
        prices
    }
}

/// What a bucket's running totals come to.
#[derive(Default)]
struct Count {
    volume: u64,
    /// The total before the bucket.
    base: Option<u64>,
    total: Option<u64>,
    is_reset: bool,
}
