//! Bars of what is stored: docs/bars.md has the rules.
//!
//! What enters: a name, an interval, a window. What leaves: the bars that begin in the window, each whole and with the instrument that
//! it is of. What never happens here: a bar of two contracts whose token is the same, a candle that was asked for before it was over.

mod continuous;
mod rows;
mod series;
mod source;
mod stream;

pub use rows::difference_rows;
pub use series::NamedBar;

use crate::window::date_of;
use crate::{ReadError, Reader, Window};
use jiff::ToSpan as _;
use jiff::civil::Date;
use series::{Part, Series};
use source::Sliced;
use std::sync::Arc;
use tickhouse_bars::{
    Bar, Interval, Reconciled, Seen, SliceLength, Span, StreamRule, Tolerance, bars, reconcile,
};
use tickhouse_enrich::{Calendar, Market};
use tickhouse_model::Timestamp;

/// As many bars as one question may give: they stand in memory.
pub const MOST_BARS: u64 = 5_000_000;

/// Days whose minutes are read with one query.
const DAYS_AT_ONCE: i32 = 31;

/// What bars are made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BarSources {
    /// Ticks, and candles where minutes are missing.
    #[default]
    Both,
    /// Ticks only.
    Ticks,
    /// Candles only.
    Candles,
}

/// How bars are made.
#[derive(Clone, Debug)]
pub struct BarOptions {
    /// The hours of markets.
    pub calendar: Arc<Calendar>,
    /// The present: what is not over by then is not complete.
    pub now: Timestamp,
    /// What they are made of.
    pub sources: BarSources,
    /// The name is that of an underlying, or of one of its futures: of each day the contract that expires next, each from the day
    /// after the expiry before. Prices are not adjusted at a roll.
    pub continuous: bool,
}

impl BarOptions {
    /// Ticks and candles of one instrument, by the calendar that comes with the program.
    pub fn at(now: Timestamp) -> Self {
        Self { calendar: Calendar::builtin(), now, sources: BarSources::Both, continuous: false }
    }
}

/// Bars of ticks held against the broker's candles.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reconciliation {
    /// What was found.
    pub found: Reconciled,
    /// Days that have candles; on the others there was nothing to compare with.
    pub days_with_candles: usize,
}

impl Reader {
    /// The bars that begin in the window. Days, weeks and months begin at midnight.
    ///
    /// # Errors
    /// When the name is unknown or means several instruments, there would be more than [`MOST_BARS`], or a query fails.
    pub async fn bars(
        &self,
        name: &str,
        interval: Interval,
        window: &Window,
        options: &BarOptions,
    ) -> Result<Vec<NamedBar>, ReadError> {
        check_count(interval, window)?;
        let days = whole_days(interval, window);
        let mut found = Vec::new();
        for series in self.series(name, days, options.continuous).await? {
            let made = self.bars_of(&series, interval, options).await?;
            let inside = made.into_iter().filter(|bar| window.from <= bar.start && bar.start < window.to);
            found.extend(inside.map(|bar| series.named(bar)));
        }
        found.sort_by_key(|bar| bar.bar.start);
        Ok(found)
    }

    /// Bars of so many ticks, so much volume or such a range, from the window's first day on; those that begin in the window.
    ///
    /// # Errors
    /// As [`Reader::bars`].
    pub async fn stream_bars(
        &self,
        name: &str,
        rule: StreamRule,
        window: &Window,
        options: &BarOptions,
    ) -> Result<Vec<NamedBar>, ReadError> {
        let days = whole_days(Interval::Day, window);
        let mut found = Vec::new();
        for series in self.series(name, days, options.continuous).await? {
            for part in &series.parts {
                let made = self.stream_bars_of(&series, part, rule, window, options).await?;
                found.extend(made.into_iter().map(|bar| series.named(bar)));
                check_made(found.len())?;
            }
        }
        found.sort_by_key(|bar| bar.bar.start);
        Ok(found)
    }

    /// The bars of our ticks alone against those of the broker's candles alone, on the days that have candles.
    ///
    /// # Errors
    /// As [`Reader::bars`].
    pub async fn reconcile_bars(
        &self,
        name: &str,
        interval: Interval,
        window: &Window,
        options: &BarOptions,
        tolerance: Tolerance,
    ) -> Result<Reconciliation, ReadError> {
        let only = |sources| BarOptions { sources, ..options.clone() };
        let plain = |bars: Vec<NamedBar>| -> Vec<Bar> { bars.into_iter().map(|named| named.bar).collect() };
        let theirs = plain(self.bars(name, interval, window, &only(BarSources::Candles)).await?);
        let mut ours = plain(self.bars(name, interval, window, &only(BarSources::Ticks)).await?);
        let day = |bar: &Bar| bar.start.ist().days_since_epoch;
        let mut days: Vec<i32> = theirs.iter().map(day).collect();
        days.dedup();
        ours.retain(|bar| days.binary_search(&day(bar)).is_ok());
        let lengths = candle_lengths(interval);
        let (mut gaps, mut asked): (Vec<Span>, Vec<Span>) = (Vec::new(), Vec::new());
        for series in self.series(name, whole_days(interval, window), options.continuous).await? {
            for part in &series.parts {
                gaps.extend(self.gaps_of(part, options.now).await?);
                asked.extend(self.asked_of(part, &lengths).await?);
            }
        }
        Ok(Reconciliation {
            found: reconcile(&ours, &theirs, &gaps, &asked, tolerance),
            days_with_candles: days.len(),
        })
    }

    async fn bars_of(
        &self,
        series: &Series,
        interval: Interval,
        options: &BarOptions,
    ) -> Result<Vec<Bar>, ReadError> {
        let slice = interval.slice();
        let mut all = Vec::new();
        let mut sliced = Sliced::default();
        for part in &series.parts {
            for days in pieces(part, slice) {
                self.read_slices(&days, slice, options, series, &mut sliced).await?;
                if slice == SliceLength::Second {
                    // days of seconds stand for themselves
                    all.extend(make(&std::mem::take(&mut sliced), slice, series, interval, options));
                    check_made(all.len())?;
                }
            }
        }
        if slice == SliceLength::Minute {
            all = make(&sliced, slice, series, interval, options);
        }
        Ok(all)
    }

    async fn read_slices(
        &self,
        days: &Part,
        slice: SliceLength,
        options: &BarOptions,
        series: &Series,
        into: &mut Sliced,
    ) -> Result<(), ReadError> {
        let ticks = async {
            if options.sources == BarSources::Candles {
                return Ok((Vec::new(), Vec::new()));
            }
            let openings = openings(days, &options.calendar, series.market);
            tokio::try_join!(self.buckets_of(days, slice, &openings), self.gaps_of(days, options.now))
        };
        let candles = async {
            if options.sources == BarSources::Ticks || slice == SliceLength::Second {
                return Ok(Vec::new());
            }
            self.candles_of(days, &options.calendar, series.market).await
        };
        let ((buckets, gaps), candles) = tokio::try_join!(ticks, candles)?;
        if !gaps.is_empty() && options.sources == BarSources::Both && slice == SliceLength::Minute {
            into.asked.extend(self.asked_of(days, &candle_lengths(Interval::Seconds(60))).await?);
        }
        into.buckets.extend(buckets);
        into.gaps.extend(gaps);
        into.candles.extend(candles);
        Ok(())
    }
}

/// When each day of a part opens, in milliseconds.
fn openings(days: &Part, calendar: &Calendar, market: Market) -> Vec<i64> {
    let number = |day: Date| (day - Date::constant(1970, 1, 1)).get_days();
    let days = number(days.first)..=number(days.last);
    days.map(|day| tickhouse_bars::opening(calendar, market, day).as_millis()).collect()
}

fn make(
    sliced: &Sliced,
    slice: SliceLength,
    series: &Series,
    interval: Interval,
    options: &BarOptions,
) -> Vec<Bar> {
    let Sliced { buckets, gaps, candles, asked } = sliced;
    let seen = Seen { slice, buckets, gaps, candles, asked, until: options.now };
    bars(&seen, &options.calendar, series.market, interval)
}

/// The broker's words for the candles that fit into bars of an interval.
fn candle_lengths(interval: Interval) -> Vec<String> {
    let lengths = [1, 3, 5, 10, 15, 30, 60];
    let fits = |minutes: &u32| match interval {
        Interval::Seconds(seconds) => minutes * 60 <= seconds,
        _ => true,
    };
    let word = |minutes: u32| if minutes == 1 { "minute".to_owned() } else { format!("{minutes}minute") };
    let day = interval.holds_days().then(|| "day".to_owned());
    lengths.into_iter().filter(fits).map(word).chain(day).collect()
}

/// The days of a part in pieces that are read at once.
fn pieces(part: &Part, slice: SliceLength) -> Vec<Part> {
    let step = if slice == SliceLength::Second { 1 } else { DAYS_AT_ONCE };
    let mut pieces = Vec::new();
    let mut first = part.first;
    while first <= part.last {
        let last = first.saturating_add((step - 1).days()).min(part.last);
        pieces.push(Part { first, last, ..part.clone() });
        first = last.saturating_add(1.day());
    }
    pieces
}

/// The days that bars beginning in a window are made of, first and last included.
fn whole_days(interval: Interval, window: &Window) -> (Date, Date) {
    let last = match interval {
        Interval::Seconds(_) | Interval::Day => window.last_day(),
        Interval::Week => window.last_day().saturating_add(6.days()),
        Interval::Month => window.last_day().saturating_add(31.days()),
    };
    (window.first_day(), last)
}

fn check_count(interval: Interval, window: &Window) -> Result<(), ReadError> {
    let Interval::Seconds(length) = interval else { return Ok(()) };
    let most = window.to.since(window.from).as_secs() / u64::from(length.max(1));
    // a share trades for a quarter of a day
    check_made(usize::try_from(most / 4).unwrap_or(usize::MAX))
}

fn check_made(bars: usize) -> Result<(), ReadError> {
    if bars as u64 > MOST_BARS {
        return Err(ReadError::TooManyBars { most: MOST_BARS });
    }
    Ok(())
}

/// India's date of a bar.
pub(crate) fn date_of_bar(bar: &Bar) -> Date {
    date_of(bar.end.minus(std::time::Duration::from_nanos(1)).max(bar.start))
}
