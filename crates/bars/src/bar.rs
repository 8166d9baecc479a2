//! What goes in, and what comes out.

use serde::{Serialize, Serializer};
use tickhouse_model::{SessionType, Timestamp};

/// A stretch of time; `until` is the first instant after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    /// Its first instant.
    pub from: Timestamp,
    /// The first instant after it.
    pub until: Timestamp,
}

/// Prices of a stretch of time, in rupees.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Prices {
    /// The first.
    pub open: f64,
    /// The highest.
    pub high: f64,
    /// The lowest.
    pub low: f64,
    /// The last.
    pub close: f64,
}

impl Prices {
    /// The mean of high, low and close: what stands for the price of a trade where only these are known.
    pub(crate) fn typical(&self) -> f64 {
        (self.high + self.low + self.close) / 3.0
    }
}

/// The day's running total of the traded volume, as packets of a bucket stated it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Totals {
    /// The lowest; 0 too where the day's first trade was seen (a packet whose total is its last traded quantity).
    pub lowest: u64,
    /// The highest.
    pub highest: u64,
}

/// The day's own open, high and low, as packets state them behind which there is a trade of the day.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DayRange {
    /// The price of the day's first trade.
    pub open: f64,
    /// The highest stated.
    pub high: f64,
    /// The lowest stated.
    pub low: f64,
}

impl DayRange {
    /// Whether it is of the day that opened at this price: packets repeat it to the bit.
    pub(crate) const fn is_of_day(&self, open: f64) -> bool {
        self.open.to_bits() == open.to_bits()
    }
}

/// What was traded between packets, each at the price of the packet that shows it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Turnover {
    /// Σ price × volume, in rupees.
    pub value: f64,
    /// Σ volume.
    pub volume: f64,
    /// Prices of the packets that show a trade since the one before; `None` where there is none of them.
    pub trades: Option<Prices>,
}

/// How long buckets are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SliceLength {
    /// A second.
    Second,
    /// A minute.
    Minute,
}

impl SliceLength {
    pub(crate) const fn millis(self) -> i64 {
        match self {
            Self::Second => 1_000,
            Self::Minute => 60_000,
        }
    }
}

/// What was seen of an instrument in a second or a minute.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bucket {
    /// Its first instant.
    pub at: Timestamp,
    /// Last prices of its packets; `None` where there was only a cached one, which has nothing but a total.
    pub prices: Option<Prices>,
    /// `None` where no packet carried one: indices, ltp mode.
    pub totals: Option<Totals>,
    /// The last one, of packets that carry it.
    pub open_interest: Option<u64>,
    /// Packets, cached ones left out.
    pub ticks: u64,
    /// `None` where no packet stated it.
    pub day: Option<DayRange>,
    /// `None` where the ticks themselves were not read.
    pub turnover: Option<Turnover>,
}

/// How long a candle lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CandleLength {
    /// So many minutes.
    Minutes(u16),
    /// A trading day, which begins at midnight.
    Day,
}

/// A candle of the broker.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candle {
    /// Its begin.
    pub at: Timestamp,
    /// How long it lasts.
    pub length: CandleLength,
    /// Its prices.
    pub prices: Prices,
    /// Traded in it.
    pub volume: u64,
    /// At its end; 0 where there is none.
    pub open_interest: u64,
}

/// All that is known of one instrument in some days. Buckets and candles are of whole days, for volumes are differences to what was
/// seen before; in any order.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// How long the buckets are. Candles fill minutes, never seconds.
    pub slice: SliceLength,
    /// What was seen.
    pub buckets: &'a [Bucket],
    /// When ticks may have been missed.
    pub gaps: &'a [Span],
    /// The broker's candles.
    pub candles: &'a [Candle],
    /// Of which times the broker was asked for minute candles and answered: a minute without a candle had no trade.
    pub asked: &'a [Span],
    /// Up to when anything can have been seen: the present. What ends after it is not complete.
    pub until: Timestamp,
}

/// Where a bar's numbers come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// Recorded ticks.
    Ticks,
    /// The broker's candles.
    Candles,
    /// Some minutes from ticks, some from candles.
    Both,
}

impl Source {
    /// The word in a column.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ticks => "ticks",
            Self::Candles => "candles",
            Self::Both => "both",
        }
    }

    pub(crate) const fn with(self, other: Self) -> Self {
        match (self, other) {
            (Self::Ticks, Self::Ticks) => Self::Ticks,
            (Self::Candles, Self::Candles) => Self::Candles,
            _ => Self::Both,
        }
    }
}

impl Serialize for Source {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// A bar.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bar {
    /// Its begin; of a day its midnight, of a week its Monday's, of a month its first day's. Of a bar of ticks, volume or range the
    /// time of its first tick.
    pub start: Timestamp,
    /// The first instant after it: shorter than the interval where the phase ends. Of a bar of ticks, volume or range the time of
    /// its last tick.
    pub end: Timestamp,
    /// The phase of the market's day. A day, week or month is called regular and holds all phases but `closed`.
    pub session: SessionType,
    /// Its first price, or the day's own open.
    pub open: f64,
    /// Its highest price, also where only the day's high shows it.
    pub high: f64,
    /// Its lowest price, also where only the day's low shows it.
    pub low: f64,
    /// Its last price.
    pub close: f64,
    /// Traded in it.
    pub volume: u64,
    /// The last one of the day so far; 0 where there is none.
    pub open_interest: u64,
    /// Volume-weighted price; `None` where nothing was traded.
    pub vwap: Option<f64>,
    /// Packets seen in it, also in minutes whose prices come from a candle.
    pub tick_count: u64,
    /// Nothing is known to be missing from open, high, low, close and volume, and it is over.
    pub complete: bool,
    /// Seconds of trading hours in it, rounded up, in which ticks may have been missed and no candle stands in.
    pub gap_seconds: u32,
    /// Where its numbers come from.
    pub source: Source,
}
