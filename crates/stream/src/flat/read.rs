//! Fields to a tick.

use super::names::{ASKS, BIDS, COMPUTED};
use super::{FlatEntry, FlatLevel, FlatTick};
use jiff::civil;
use jiff::tz::TimeZone;
use std::str::FromStr;
use tickhouse_model::{DataQuality, IST_OFFSET_SECONDS, SessionType, Timestamp};

/// Why an entry is no tick.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FlatError {
    /// The one field that must be there is not.
    #[error("the entry has no instrument_token")]
    NoToken,
    /// A value does not fit its column.
    #[error("field `{field}` has the value `{value}`, which is no {expected}")]
    Value {
        /// The field.
        field: String,
        /// The beginning of its value.
        value: String,
        /// What the column takes.
        expected: &'static str,
    },
}

impl FlatTick {
    /// Reads an entry's fields. Of a field that comes twice the last one counts, as in a Python dictionary.
    ///
    /// # Errors
    /// When there is no token, or a value does not fit its column; the first such field is named.
    pub fn from_fields<F: AsRef<[u8]>, V: AsRef<[u8]>>(
        fields: impl IntoIterator<Item = (F, V)>,
    ) -> Result<FlatEntry, FlatError> {
        let mut entry = FlatEntry::default();
        let mut has_token = false;
        for (field, value) in fields {
            let (field, value) = (field.as_ref(), Value { field: field.as_ref(), bytes: value.as_ref() });
            if field == b"instrument_token" {
                has_token = !value.is_nothing();
            }
            if !set(&mut entry.tick, field, value)? && !COMPUTED.iter().any(|name| name.as_bytes() == field) {
                entry.unknown_fields += 1;
            }
        }
        if !has_token {
            return Err(FlatError::NoToken);
        }
        if !entry.tick.exchange_timestamp.is_some() {
            entry.tick.exchange_timestamp = entry.tick.timestamp;
        }
        Ok(entry)
    }
}

/// Puts a value into its column; false when there is none of the name.
fn set(tick: &mut FlatTick, field: &[u8], value: Value<'_>) -> Result<bool, FlatError> {
    match field {
        b"instrument_token" => tick.instrument_token = value.integer()?,
        b"timestamp" => tick.timestamp = value.time()?,
        b"exchange_timestamp" => tick.exchange_timestamp = value.time()?,
        b"last_trade_time" => tick.last_trade_time = value.time()?,
        b"last_price" => tick.last_price = value.float()?,
        b"open_price" => tick.open_price = value.float()?,
        b"high_price" => tick.high_price = value.float()?,
        b"low_price" => tick.low_price = value.float()?,
        b"close_price" => tick.close_price = value.float()?,
        b"average_traded_price" => tick.average_traded_price = value.float()?,
        b"strike" => tick.strike = value.float()?,
        b"volume" => tick.volume = value.integer()?,
        b"last_traded_quantity" => tick.last_traded_quantity = value.integer()?,
        b"total_buy_quantity" => tick.total_buy_quantity = value.integer()?,
        b"total_sell_quantity" => tick.total_sell_quantity = value.integer()?,
        b"open_interest" => tick.open_interest = value.integer()?,
        b"oi_day_high" => tick.oi_day_high = value.integer()?,
        b"oi_day_low" => tick.oi_day_low = value.integer()?,
        b"expiry" => tick.expiry = value.day()?,
        b"session_type" => {
            tick.session_type = value.word(SessionType::ALL, SessionType::name, "session_type")?;
        }
        b"data_quality" => {
            tick.data_quality = value.word(DataQuality::ALL, DataQuality::name, "data_quality")?;
        }
        _ => {
            if let Some(text) = text_column(tick, field) {
                *text = value.text()?;
            } else {
                return set_level(tick, field, value);
            }
        }
    }
    Ok(true)
}

fn text_column<'a>(tick: &'a mut FlatTick, field: &[u8]) -> Option<&'a mut String> {
    Some(match field {
        b"symbol" => &mut tick.symbol,
        b"tradingsymbol" => &mut tick.tradingsymbol,
        b"exchange" => &mut tick.exchange,
        b"segment" => &mut tick.segment,
        b"underlying" => &mut tick.underlying,
        b"sector" => &mut tick.sector,
        b"asset_class" => &mut tick.asset_class,
        b"instrument_type" => &mut tick.instrument_type,
        b"packet_type" => &mut tick.packet_type,
        _ => return None,
    })
}

fn set_level(tick: &mut FlatTick, field: &[u8], value: Value<'_>) -> Result<bool, FlatError> {
    let (side, names) = match field.get(..4) {
        Some(b"bid_") => (&mut tick.bids, &BIDS),
        Some(b"ask_") => (&mut tick.asks, &ASKS),
        _ => return Ok(false),
    };
    for (level, names) in side.iter_mut().zip(names) {
        let FlatLevel { price, quantity, orders } = level;
        if field == names.price.as_bytes() {
            *price = value.float()?;
        } else if field == names.quantity.as_bytes() {
            *quantity = value.integer()?;
        } else if field == names.orders.as_bytes() {
            *orders = value.integer()?;
        } else {
            continue;
        }
        return Ok(true);
    }
    Ok(false)
}

/// A value and the field that an error names.
#[derive(Clone, Copy)]
struct Value<'a> {
    field: &'a [u8],
    bytes: &'a [u8],
}

impl<'a> Value<'a> {
    fn is_nothing(self) -> bool {
        matches!(self.bytes.trim_ascii(), b"" | b"None" | b"nan" | b"NaN" | b"null" | b"NaT")
    }

    fn error(self, expected: &'static str) -> FlatError {
        let value: String = String::from_utf8_lossy(self.bytes).chars().take(80).collect();
        FlatError::Value { field: String::from_utf8_lossy(self.field).into_owned(), value, expected }
    }

    fn trimmed(self, expected: &'static str) -> Result<&'a str, FlatError> {
        std::str::from_utf8(self.bytes.trim_ascii()).map_err(|_| self.error(expected))
    }

    fn text(self) -> Result<String, FlatError> {
        if self.is_nothing() {
            return Ok(String::new());
        }
        std::str::from_utf8(self.bytes).map(str::to_owned).map_err(|_| self.error("UTF-8 text"))
    }

    fn float(self) -> Result<f64, FlatError> {
        const EXPECTED: &str = "finite number";
        if self.is_nothing() {
            return Ok(0.0);
        }
        let number: f64 = self.trimmed(EXPECTED)?.parse().map_err(|_| self.error(EXPECTED))?;
        if number.is_finite() { Ok(number) } else { Err(self.error(EXPECTED)) }
    }

    /// A whole number that fits, also written as a float.
    fn integer<T: FromStr + TryFrom<u64> + Default>(self) -> Result<T, FlatError> {
        const EXPECTED: &str = "whole number in the column's range";
        /// Beyond this a double no longer tells neighbours apart.
        const EXACT: f64 = 9_007_199_254_740_992.0;
        if self.is_nothing() {
            return Ok(T::default());
        }
        let text = self.trimmed(EXPECTED)?;
        if let Ok(number) = text.parse() {
            return Ok(number);
        }
        let number: f64 = text.parse().map_err(|_| self.error(EXPECTED))?;
        if number.fract() == 0.0 && (0.0..=EXACT).contains(&number) {
            return T::try_from(number as u64).map_err(|_| self.error(EXPECTED));
        }
        Err(self.error(EXPECTED))
    }

    fn word<T: Copy + Default, const N: usize>(
        self,
        all: [T; N],
        name: impl Fn(T) -> &'static str,
        expected: &'static str,
    ) -> Result<T, FlatError> {
        if self.is_nothing() {
            return Ok(T::default());
        }
        let text = self.bytes.trim_ascii();
        all.into_iter().find(|one| name(*one).as_bytes() == text).ok_or_else(|| self.error(expected))
    }

    fn time(self) -> Result<Timestamp, FlatError> {
        const EXPECTED: &str = "ISO 8601 time or Unix time";
        if self.is_nothing() {
            return Ok(Timestamp::NONE);
        }
        let text = self.trimmed(EXPECTED)?;
        time_of(text).ok_or_else(|| self.error(EXPECTED))
    }

    fn day(self) -> Result<Option<i32>, FlatError> {
        const EXPECTED: &str = "date such as 2026-11-26";
        if self.is_nothing() {
            return Ok(None);
        }
        let text = self.trimmed(EXPECTED)?;
        let date: civil::Date = text.parse().map_err(|_| self.error(EXPECTED))?;
        let at = date.to_zoned(TimeZone::UTC).map_err(|_| self.error(EXPECTED))?;
        Ok(i32::try_from(at.timestamp().as_second().div_euclid(86_400)).ok())
    }
}

fn time_of(text: &str) -> Option<Timestamp> {
    if let Ok(number) = text.parse::<i64>() {
        return unix_time(number);
    }
    if let Ok(seconds) = text.parse::<f64>() {
        // time.time(): to the microsecond a double is exact
        return (1e8..1e11)
            .contains(&seconds)
            .then(|| Timestamp::from_nanos((seconds * 1e6).round() as i64 * 1_000));
    }
    let nanos = match text.parse::<jiff::Timestamp>() {
        Ok(at) => at.as_nanosecond(),
        // only a text without an offset is India's
        Err(_) if has_offset(text) => return None,
        Err(_) => {
            let naive: civil::DateTime = text.parse().ok()?;
            let utc = naive.to_zoned(TimeZone::UTC).ok()?.timestamp().as_nanosecond();
            utc - i128::from(IST_OFFSET_SECONDS) * 1_000_000_000
        }
    };
    i64::try_from(nanos).ok().map(Timestamp::from_nanos)
}

/// Whether something that looks like an offset follows the time of day.
fn has_offset(text: &str) -> bool {
    text.get(10..).is_some_and(|time| time.contains(['+', '-', 'Z', 'z', '[']))
}

/// Seconds until the year 5138, milliseconds from 1973, and so on; 0 is none, as on Kite's wire. What would be a time before
/// March 1973 is something else, a time of day perhaps.
fn unix_time(number: i64) -> Option<Timestamp> {
    const TENS_OF_YEARS: i64 = 100_000_000_000;
    if number == 0 {
        return Some(Timestamp::NONE);
    }
    if number < 100_000_000 {
        return None;
    }
    let scale = match number {
        _ if number < TENS_OF_YEARS => 1_000_000_000,
        _ if number < TENS_OF_YEARS * 1_000 => 1_000_000,
        _ if number < TENS_OF_YEARS * 1_000_000 => 1_000,
        _ => 1,
    };
    number.checked_mul(scale).map(Timestamp::from_nanos)
}
