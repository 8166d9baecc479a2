//! The tick dictionary of Kite's client libraries.
//!
//! What enters: JSON objects with the keys of any version. What leaves: [`PushedTick`]. What never happens here: a key that
//! is passed over silently.

pub(crate) mod read;

use jiff::civil::DateTime;
use serde::Deserialize;
use tickhouse_model::{DEPTH_LEVELS, Mode};

/// A tick as `KiteTicker.on_ticks` gives it. Prices are in rupees (or what the [`Source`](crate::Source) makes of them).
///
/// As JSON an object with these names, or those of clients before 4.0: `last_quantity`, `average_price`, `volume`,
/// `buy_quantity`, `sell_quantity`, `timestamp`. `null` counts as absent. Another key, or one that comes twice, is an error.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PushedTick {
    /// Which instrument.
    #[serde(deserialize_with = "read::token")]
    pub instrument_token: u32,
    /// How it was subscribed: it decides which fields there are.
    pub mode: Mode,
    /// Whether it is no index. Needs not be said: the token's segment tells, and must agree.
    #[serde(default)]
    pub tradable: Option<bool>,
    /// Price of the last trade, or the index value.
    pub last_price: f64,
    /// Quantity of the last trade.
    #[serde(default, alias = "last_quantity", deserialize_with = "read::whole")]
    pub last_traded_quantity: Option<i64>,
    /// Volume-weighted average price of the day.
    #[serde(default, alias = "average_price")]
    pub average_traded_price: Option<f64>,
    /// Running total of the day.
    #[serde(default, alias = "volume", deserialize_with = "read::whole")]
    pub volume_traded: Option<i64>,
    /// Pending buy quantity.
    #[serde(default, alias = "buy_quantity", deserialize_with = "read::whole")]
    pub total_buy_quantity: Option<i64>,
    /// Pending sell quantity.
    #[serde(default, alias = "sell_quantity", deserialize_with = "read::whole")]
    pub total_sell_quantity: Option<i64>,
    /// The day's prices.
    #[serde(default, deserialize_with = "read::object_or_null")]
    pub ohlc: Option<PushedOhlc>,
    /// Percentage from the previous close, which clients compute. Kite does not send it: it is passed over.
    #[serde(default)]
    pub change: Option<f64>,
    /// When the last trade was.
    #[serde(default)]
    pub last_trade_time: PushedTime,
    /// Open interest.
    #[serde(default, deserialize_with = "read::whole")]
    pub oi: Option<i64>,
    /// The day's highest open interest.
    #[serde(default, deserialize_with = "read::whole")]
    pub oi_day_high: Option<i64>,
    /// The day's lowest open interest.
    #[serde(default, deserialize_with = "read::whole")]
    pub oi_day_low: Option<i64>,
    /// When the exchange says this was so.
    #[serde(default, alias = "timestamp")]
    pub exchange_timestamp: PushedTime,
    /// Five levels on each side.
    #[serde(default, deserialize_with = "read::object_or_null")]
    pub depth: Option<PushedDepth>,
}

impl PushedTick {
    /// A tick of a mode with nothing but a price.
    pub const fn new(instrument_token: u32, mode: Mode, last_price: f64) -> Self {
        Self {
            instrument_token,
            mode,
            tradable: None,
            last_price,
            last_traded_quantity: None,
            average_traded_price: None,
            volume_traded: None,
            total_buy_quantity: None,
            total_sell_quantity: None,
            ohlc: None,
            change: None,
            last_trade_time: PushedTime::None,
            oi: None,
            oi_day_high: None,
            oi_day_low: None,
            exchange_timestamp: PushedTime::None,
            depth: None,
        }
    }
}

/// Prices of the day; `close` is the previous day's.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PushedOhlc {
    /// The day's open.
    pub open: f64,
    /// The day's high.
    pub high: f64,
    /// The day's low.
    pub low: f64,
    /// The previous session's close.
    pub close: f64,
}

/// The book, best first. Levels that are not given are empty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PushedDepth {
    /// Bids.
    #[serde(deserialize_with = "read::side")]
    pub buy: [PushedLevel; DEPTH_LEVELS],
    /// Offers.
    #[serde(deserialize_with = "read::side")]
    pub sell: [PushedLevel; DEPTH_LEVELS],
}

/// A level of the book.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PushedLevel {
    /// Shares, units or lots.
    #[serde(deserialize_with = "read::whole_number")]
    pub quantity: i64,
    /// In rupees.
    pub price: f64,
    /// Orders at this price, at most 65 535.
    #[serde(deserialize_with = "read::whole_number")]
    pub orders: i64,
}

/// A time as programs write it. Kite's times are whole seconds.
///
/// As JSON: `null`; a number of seconds since 1970 UTC (above 4 294 967 295: milliseconds); an ISO 8601 text, with an offset
/// or without one, with `T` or a space between date and time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PushedTime {
    /// There is none.
    #[default]
    None,
    /// Seconds since 1970-01-01 00:00:00 UTC.
    Unix(i64),
    /// What a clock on the wall showed, in the zone of the [`Dialect`](crate::Dialect). Python's client makes these, by the
    /// clock of its host.
    Local(DateTime),
}
