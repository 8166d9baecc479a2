//! Flat entries: one field per column, as programs written to the brief `XADD` them.
//!
//! What enters: fields and values, all text. What leaves: a [`FlatTick`], [`FlatNews`] or
//! [`FlatIndex`], or an error that names the field; and back. What
//! never happens here: I/O, a clock, enrichment.
//!
//! A field that is missing, empty, or one of the words that Python and pandas write for nothing (`None`, `nan`, `null`,
//! `NaT`) counts as 0 or as an empty text. Integers may be written as floats (`"75.0"`), as pandas does. Fields that no
//! column takes are counted and passed over, those that Tickhouse computes itself (`date`, `hour`, `batch_id`,
//! `processed_at`) just passed over.
//!
//! Times: ISO 8601; without an offset they are India's. Also Unix times in seconds, milli-, micro- or nanoseconds, told
//! apart by their size. And as mails and feeds write them: `Fri, 20 Nov 2026 10:15:00 +0530`.

mod indices;
mod names;
mod news;
mod read;
#[cfg(test)]
mod tests;
mod value;
mod write;

pub use indices::FlatIndex;
pub use news::FlatNews;
pub use value::FlatError;

use tickhouse_model::{DEPTH_LEVELS, DataQuality, SessionType, Timestamp};

/// One level of one side of the book.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct FlatLevel {
    /// In rupees, 0 where the level is empty.
    pub price: f64,
    /// Units on offer.
    pub quantity: u32,
    /// Orders they belong to.
    pub orders: u16,
}

/// A tick as a flat entry has it: the brief's columns, prices in rupees.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FlatTick {
    /// Kite's number. The only field that must be there.
    pub instrument_token: u32,
    /// The trading symbol, with the names people use for indices.
    pub symbol: String,
    /// Kite's trading symbol.
    pub tradingsymbol: String,
    /// `NSE`, `NFO`, …
    pub exchange: String,
    /// Kite's segment, e.g. `NFO-OPT`.
    pub segment: String,
    /// Name of the underlying or of the company.
    pub underlying: String,
    /// Sector of a share.
    pub sector: String,
    /// `EQ`, `FUT`, `CE`, `PE`, …
    pub asset_class: String,
    /// Kite's `instrument_type`.
    pub instrument_type: String,
    /// Days since 1970-01-01, none for what does not expire.
    pub expiry: Option<i32>,
    /// In rupees, 0 without one.
    pub strike: f64,
    /// [`Timestamp::NONE`] when the entry has none: take the entry id's time.
    pub timestamp: Timestamp,
    /// The exchange's time; that of `timestamp` when the entry has none.
    pub exchange_timestamp: Timestamp,
    /// When the last trade was, [`Timestamp::NONE`] when not given.
    pub last_trade_time: Timestamp,
    /// In rupees.
    pub last_price: f64,
    /// The day's open, in rupees.
    pub open_price: f64,
    /// The day's high so far, in rupees.
    pub high_price: f64,
    /// The day's low so far, in rupees.
    pub low_price: f64,
    /// The previous day's close, in rupees.
    pub close_price: f64,
    /// The day's volume-weighted average, in rupees.
    pub average_traded_price: f64,
    /// The day's running total.
    pub volume: u64,
    /// Units of the last trade.
    pub last_traded_quantity: u32,
    /// Units wanted in the whole book.
    pub total_buy_quantity: u64,
    /// Units on offer in the whole book.
    pub total_sell_quantity: u64,
    /// Open interest.
    pub open_interest: u64,
    /// Its high of the day.
    pub oi_day_high: u64,
    /// Its low of the day.
    pub oi_day_low: u64,
    /// Best first.
    pub bids: [FlatLevel; DEPTH_LEVELS],
    /// Best first.
    pub asks: [FlatLevel; DEPTH_LEVELS],
    /// `full`, `quote`, …, or the interval of a historical candle.
    pub packet_type: String,
    /// Phase of the session; `regular` when the entry does not say.
    pub session_type: SessionType,
    /// How much is known about the instrument; `raw` when the entry does not say.
    pub data_quality: DataQuality,
}

/// What reading an entry gave.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FlatEntry {
    /// The tick.
    pub tick: FlatTick,
    /// Fields that no column takes.
    pub unknown_fields: u32,
}
