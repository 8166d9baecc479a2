//! Bars one can trust. The rules, with their reasons, are docs/bars.md.
//!
//! What enters: [`Bucket`]s (what was seen of one instrument in the smallest slices of time), the gaps of the feed, the broker's
//! candles, a calendar. What leaves: [`Bar`]s, each saying whether it is complete, what is missing and where it comes from. What
//! never happens here: I/O, async, a clock, a bar where nothing was seen, a bar across two phases of a day.
//!
//! [`bars`] makes bars of time, [`StreamBars`] bars of so many ticks, so much volume or such a range, and [`reconcile`] holds our
//! bars against somebody else's.

mod bar;
mod build;
mod chain;
mod fill;
mod interval;
mod reconcile;
mod sessions;
mod spans;
mod stream;

pub use bar::{
    Bar, Bucket, Candle, CandleLength, DayRange, Prices, Seen, SliceLength, Source, Span, Totals, Turnover,
};
pub use build::bars;
pub use interval::{Interval, IntervalError};
pub use reconcile::{Difference, Field, Reason, Reconciled, Tolerance, reconcile};
pub use sessions::opening;
pub use stream::{StreamBars, StreamRule, TickSeen};
