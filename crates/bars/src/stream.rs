//! Bars of so many ticks, so much volume or such a range, tick by tick.

use crate::sessions::{DAY_MILLIS, Day, Stretch, day_of};
use crate::spans::Spans;
use crate::{Bar, Prices, Source, Span};
use std::sync::Arc;
use tickhouse_enrich::{Calendar, Market};
use tickhouse_model::Timestamp;

/// What ends a bar: the tick that fulfils it belongs to the bar.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum StreamRule {
    /// So many ticks; at least 1.
    Ticks(u64),
    /// So much traded volume, or more: a packet is never split.
    Volume(u64),
    /// High less low of so much, in rupees, or more: a jump makes no bars of prices that nobody saw.
    Range(f64),
}

/// A tick, in the order of the exchange's time. Cached values are not ticks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TickSeen {
    /// Its time: the exchange's, or the receive time where that says nothing.
    pub at: Timestamp,
    /// Last price in rupees.
    pub price: f64,
    /// The day's running total; `None` where the packet carries none.
    pub total: Option<u64>,
    /// The total is this one trade: nothing was traded before.
    pub is_first_trade: bool,
    /// `None` where the packet carries none.
    pub open_interest: Option<u64>,
}

/// Makes such bars. A bar never holds ticks of two phases of a day, nor of two days: it ends early.
#[derive(Debug)]
pub struct StreamBars {
    rule: StreamRule,
    calendar: Arc<Calendar>,
    market: Market,
    gaps: Spans,
    day: Option<Day>,
    phase: Option<Stretch>,
    total: Option<u64>,
    /// A total far below: late, or the first of a count that began anew; the next one tells.
    suspect: Option<u64>,
    open_interest: u64,
    before: Option<i64>,
    growing: Option<Growing>,
}

#[derive(Debug)]
struct Growing {
    phase: Stretch,
    since: i64,
    start: i64,
    end: i64,
    prices: Prices,
    volume: u64,
    value: f64,
    ticks: u64,
    sound: bool,
}

impl StreamBars {
    /// No bar yet. `gaps`: when ticks may have been missed.
    pub fn new(rule: StreamRule, calendar: Arc<Calendar>, market: Market, gaps: &[Span]) -> Self {
        Self {
            rule,
            calendar,
            market,
            gaps: Spans::of(gaps),
            day: None,
            phase: None,
            total: None,
            suspect: None,
            open_interest: 0,
            before: None,
            growing: None,
        }
    }

    /// Takes a tick in; gives the bars that end before it and with it.
    pub fn push(&mut self, tick: &TickSeen) -> [Option<Bar>; 2] {
        let at = tick.at.as_millis();
        let ended = self.enter(at);
        let Some(day) = &self.day else { return [ended, None] };
        let phase = *day.stretch(at);
        if at < day.opening() {
            return [ended, None];
        }
        let (volume, sound) = self.count(tick);
        self.open_interest = tick.open_interest.unwrap_or(self.open_interest);
        let since = self.before.replace(at).unwrap_or(at);
        // a price before the day's first trade is the day before's
        if tick.total == Some(0) {
            return [ended, None];
        }
        let growing = self.growing.get_or_insert(Growing {
            phase,
            since,
            start: at,
            end: at,
            prices: Prices { open: tick.price, high: tick.price, low: tick.price, close: tick.price },
            volume: 0,
            value: 0.0,
            ticks: 0,
            sound: true,
        });
        growing.end = growing.end.max(at);
        growing.prices.high = growing.prices.high.max(tick.price);
        growing.prices.low = growing.prices.low.min(tick.price);
        growing.prices.close = tick.price;
        growing.volume += volume;
        growing.value += tick.price * volume as f64;
        growing.ticks += 1;
        growing.sound &= sound;
        let is_full = match self.rule {
            StreamRule::Ticks(ticks) => growing.ticks >= ticks,
            StreamRule::Volume(volume) => growing.volume >= volume.max(1),
            // a hundredth of a paisa: prices are doubles nearest to decimal values
            StreamRule::Range(range) => growing.prices.high - growing.prices.low >= range - 1e-4,
        };
        [ended, if is_full { self.end(true) } else { None }]
    }

    /// The bar that was not finished. `now` is up to when anything can have been seen: if its phase of the day ends later, more may
    /// come, and it is not complete.
    pub fn finish(mut self, now: Timestamp) -> Option<Bar> {
        let is_over = self.growing.as_ref().is_some_and(|bar| bar.phase.until <= now.as_millis());
        self.end(is_over)
    }

    /// Into the day and phase of an instant: the bar of another one ends.
    fn enter(&mut self, at: i64) -> Option<Bar> {
        let holds = |day: &Day| day.midnight <= at && at < day.midnight + DAY_MILLIS;
        let mut ended = None;
        if !self.day.as_ref().is_some_and(holds) {
            ended = self.end(true);
            self.day = Some(Day::of(&self.calendar, self.market, day_of(at)));
            (self.total, self.suspect, self.open_interest, self.before) = (None, None, 0, None);
        }
        let phase = self.day.as_ref().map(|day| *day.stretch(at));
        if self.phase != phase {
            ended = ended.or_else(|| self.end(true));
            self.phase = phase;
        }
        ended
    }

    /// The volume since the tick before, and whether it is known.
    fn count(&mut self, tick: &TickSeen) -> (u64, bool) {
        let Some(total) = tick.total else { return (0, self.before.is_some()) };
        match self.total {
            // a late packet shows an older total; two far below are a count that began anew
            Some(before) if total < before / 2 => match self.suspect.replace(total) {
                None => (0, false),
                Some(first) => {
                    (self.total, self.suspect) = (Some(total), None);
                    (total.saturating_sub(first), false)
                }
            },
            Some(before) => {
                (self.total, self.suspect) = (Some(before.max(total)), None);
                (total.saturating_sub(before), true)
            }
            None => {
                self.total = Some(total);
                if tick.is_first_trade { (total, true) } else { (0, total == 0) }
            }
        }
    }

    fn end(&mut self, is_over: bool) -> Option<Bar> {
        let bar = self.growing.take()?;
        let missing: i64 = self.day.as_ref().map_or(0, |day| {
            day.open_parts(bar.since, bar.end).map(|(from, until)| self.gaps.within(from, until)).sum()
        });
        Some(Bar {
            start: Timestamp::from_millis(bar.start),
            end: Timestamp::from_millis(bar.end),
            session: bar.phase.phase,
            open: bar.prices.open,
            high: bar.prices.high,
            low: bar.prices.low,
            close: bar.prices.close,
            volume: bar.volume,
            open_interest: self.open_interest,
            vwap: (bar.volume > 0).then(|| bar.value / bar.volume as f64),
            tick_count: bar.ticks,
            complete: is_over && bar.sound && missing == 0,
            gap_seconds: u32::try_from((missing + 999) / 1_000).unwrap_or(u32::MAX),
            source: Source::Ticks,
        })
    }
}
