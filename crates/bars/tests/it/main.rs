//! The rules of docs/bars.md, by example and by property.
#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![allow(clippy::float_cmp, reason = "prices are handed on, never computed")]

mod candles;
mod properties;
mod rules;
mod stream;

use std::sync::Arc;
use tickhouse_bars::{
    Bar, Bucket, Candle, CandleLength, DayRange, Interval, Prices, Seen, SliceLength, Span, Totals, bars,
};
use tickhouse_enrich::{Calendar, Market};
use tickhouse_model::Timestamp;

/// An instant of 2026-11-19, a Thursday, or of another day where the text names one.
pub(crate) fn at(text: &str) -> Timestamp {
    let text = if text.len() > 12 { text.to_owned() } else { format!("2026-11-19 {text}") };
    Timestamp::from_text(&text).unwrap()
}

pub(crate) fn span(from: &str, until: &str) -> Span {
    Span { from: at(from), until: at(until) }
}

/// A minute in which the price was `price`, from a total to a total.
pub(crate) fn minute(start: &str, price: f64, totals: (u64, u64)) -> Bucket {
    Bucket {
        at: at(start),
        prices: Some(Prices { open: price, high: price, low: price, close: price }),
        totals: Some(Totals { lowest: totals.0, highest: totals.1 }),
        open_interest: None,
        ticks: 3,
        day: None,
        turnover: None,
    }
}

/// The same, with the day's own open, high and low.
pub(crate) fn of_day(bucket: Bucket, open: f64, high: f64, low: f64) -> Bucket {
    Bucket { day: Some(DayRange { open, high, low }), ..bucket }
}

pub(crate) fn candle(start: &str, minutes: u16, price: f64, volume: u64) -> Candle {
    let length = if minutes == 0 { CandleLength::Day } else { CandleLength::Minutes(minutes) };
    let prices = Prices { open: price, high: price, low: price, close: price };
    Candle { at: at(start), length, prices, volume, open_interest: 0 }
}

/// What was seen, as a test builds it up.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) market: Market,
    pub(crate) buckets: Vec<Bucket>,
    pub(crate) gaps: Vec<Span>,
    pub(crate) candles: Vec<Candle>,
    pub(crate) asked: Vec<Span>,
    pub(crate) until: Timestamp,
}

impl Case {
    pub(crate) fn of(market: Market, buckets: &[Bucket]) -> Self {
        Self {
            market,
            buckets: buckets.to_vec(),
            gaps: Vec::new(),
            candles: Vec::new(),
            asked: Vec::new(),
            until: at("2027-01-01 00:00"),
        }
    }

    pub(crate) fn bars(&self, interval: &str) -> Vec<Bar> {
        self.bars_of(interval.parse().unwrap())
    }

    pub(crate) fn bars_of(&self, interval: Interval) -> Vec<Bar> {
        let seen = Seen {
            slice: SliceLength::Minute,
            buckets: &self.buckets,
            gaps: &self.gaps,
            candles: &self.candles,
            asked: &self.asked,
            until: self.until,
        };
        bars(&seen, &Calendar::builtin(), self.market, interval)
    }
}

/// `09:15 regular` of each bar.
pub(crate) fn starts(bars: &[Bar]) -> Vec<String> {
    let clock = |bar: &Bar| bar.start.to_string()[11..16].to_owned();
    bars.iter().map(|bar| format!("{} {}", clock(bar), bar.session)).collect()
}

pub(crate) fn calendar() -> Arc<Calendar> {
    Calendar::builtin()
}
