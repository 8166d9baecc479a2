//! Files of candles: which forms they have, and the candles in them.
//!
//! What enters: a JSON file. What leaves: candles in the file's order, each with what the file calls its instrument, and the
//! faults with their places. What never happens here: ClickHouse, memory that grows with the file (but for one entry per
//! instrument), a guess at an instrument or interval.
//!
//! docs/candles.md lists the forms.

mod fields;
mod survey;
mod walk;

pub(crate) use survey::open;
pub use survey::{Counts, Pass, Survey, SurveyOptions, survey};
pub(crate) use walk::{Sink, Stop, Walk};

use crate::Interval;
use std::fmt;
use tickhouse_model::Timestamp;

/// What a file calls an instrument.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Name {
    /// Kite's number.
    Token(u32),
    /// A trading symbol, with its exchange where the file tells.
    Symbol {
        /// Kite's exchange; empty where the file does not say.
        exchange: Box<str>,
        /// The trading symbol, or an index by the name people use.
        symbol: Box<str>,
    },
}

impl Name {
    /// `408065`, `NSE:INFY` or `INFY`.
    pub fn of_text(text: &str) -> Self {
        if let Ok(token) = text.parse() {
            return Self::Token(token);
        }
        let (exchange, symbol) = match text.split_once(':') {
            Some((exchange, symbol)) if EXCHANGES.contains(&exchange) => (exchange, symbol),
            _ => ("", text),
        };
        Self::Symbol { exchange: exchange.into(), symbol: symbol.into() }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Token(token) => token.fmt(f),
            Self::Symbol { exchange, symbol } if exchange.is_empty() => f.write_str(symbol),
            Self::Symbol { exchange, symbol } => write!(f, "{exchange}:{symbol}"),
        }
    }
}

/// Kite's exchanges, as keys of files.
pub(crate) const EXCHANGES: [&str; 10] =
    ["NSE", "BSE", "NFO", "BFO", "CDS", "BCD", "MCX", "NCO", "GLOBAL", "NSEIX"];

/// A candle of a file. Prices in rupees.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FileCandle {
    /// Whose: index into [`Survey::names`].
    pub name: u32,
    /// How long it lasts.
    pub interval: Interval,
    /// Its begin.
    pub timestamp: Timestamp,
    /// First price.
    pub open: f64,
    /// Highest price.
    pub high: f64,
    /// Lowest price.
    pub low: f64,
    /// Last price.
    pub close: f64,
    /// Traded in it.
    pub volume: u64,
    /// At its end, 0 where the file has none.
    pub open_interest: u64,
}

#[cfg(test)]
mod tests;
