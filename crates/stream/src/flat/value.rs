//! One value of an entry: text to number, time, word or list.

use jiff::civil;
use jiff::tz::TimeZone;
use std::str::FromStr;
use tickhouse_model::{IST_OFFSET_SECONDS, Timestamp};

/// Why an entry is no tick, news item or index value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FlatError {
    /// The one field that must be there is not.
    #[error("the entry has no instrument_token")]
    NoToken,
    /// Another field that must be there is not.
    #[error("the entry has no {fields}")]
    Missing {
        /// The field, or those of which one would do.
        fields: &'static str,
    },
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

/// A value and the field that an error names.
#[derive(Clone, Copy)]
pub(super) struct Value<'a> {
    pub(super) field: &'a [u8],
    pub(super) bytes: &'a [u8],
}

impl<'a> Value<'a> {
    pub(super) fn is_nothing(self) -> bool {
        matches!(self.bytes.trim_ascii(), b"" | b"None" | b"nan" | b"NaN" | b"null" | b"NaT")
    }

    pub(super) fn error(self, expected: &'static str) -> FlatError {
        let value: String = String::from_utf8_lossy(self.bytes).chars().take(80).collect();
        FlatError::Value { field: String::from_utf8_lossy(self.field).into_owned(), value, expected }
    }

    fn trimmed(self, expected: &'static str) -> Result<&'a str, FlatError> {
        std::str::from_utf8(self.bytes.trim_ascii()).map_err(|_| self.error(expected))
    }

    pub(super) fn text(self) -> Result<String, FlatError> {
        if self.is_nothing() {
            return Ok(String::new());
        }
        std::str::from_utf8(self.bytes).map(str::to_owned).map_err(|_| self.error("UTF-8 text"))
    }

    pub(super) fn float(self) -> Result<f64, FlatError> {
        const EXPECTED: &str = "finite number";
        if self.is_nothing() {
            return Ok(0.0);
        }
        let number: f64 = self.trimmed(EXPECTED)?.parse().map_err(|_| self.error(EXPECTED))?;
        if number.is_finite() { Ok(number) } else { Err(self.error(EXPECTED)) }
    }

    /// A whole number that fits, also written as a float.
    pub(super) fn integer<T: FromStr + TryFrom<u64> + Default>(self) -> Result<T, FlatError> {
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

    /// A number within bounds, both included.
    pub(super) fn float_within(
        self,
        range: std::ops::RangeInclusive<f64>,
        expected: &'static str,
    ) -> Result<f64, FlatError> {
        if self.is_nothing() {
            return Ok(0.0);
        }
        let number: f64 = self.trimmed(expected)?.parse().map_err(|_| self.error(expected))?;
        if range.contains(&number) { Ok(number) } else { Err(self.error(expected)) }
    }

    /// A list: JSON's `["INFY", "TCS"]`, Python's `['INFY', 'TCS']`, or `INFY, TCS`. Empty items are left out.
    pub(super) fn list(self) -> Result<Vec<String>, FlatError> {
        const EXPECTED: &str = "list such as [\"INFY\", \"TCS\"] or INFY, TCS";
        if self.is_nothing() {
            return Ok(Vec::new());
        }
        let text = self.trimmed(EXPECTED)?;
        let items = if text.starts_with(['[', '(', '{']) {
            quoted_items(text).ok_or_else(|| self.error(EXPECTED))?
        } else {
            text.split(',').map(|item| item.trim().to_owned()).collect()
        };
        Ok(items.into_iter().filter(|item| !item.is_empty()).collect())
    }

    pub(super) fn word<T: Copy + Default, const N: usize>(
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

    pub(super) fn time(self) -> Result<Timestamp, FlatError> {
        const EXPECTED: &str = "ISO 8601 time or Unix time";
        if self.is_nothing() {
            return Ok(Timestamp::NONE);
        }
        let text = self.trimmed(EXPECTED)?;
        time_of(text).ok_or_else(|| self.error(EXPECTED))
    }

    pub(super) fn day(self) -> Result<Option<i32>, FlatError> {
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
    // feeds and mails: `Fri, 20 Nov 2026 10:15:00 +0530`
    if text.contains(", ")
        && let Ok(at) = jiff::fmt::rfc2822::DateTimeParser::new().relaxed_weekday(true).parse_timestamp(text)
    {
        return i64::try_from(at.as_nanosecond()).ok().map(Timestamp::from_nanos);
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

/// Items of a list in brackets, each quoted by `"` or `'` or not at all; a backslash takes the next character as it is.
fn quoted_items(text: &str) -> Option<Vec<String>> {
    if let Ok(items) = serde_json::from_str::<Vec<String>>(text) {
        return Some(items);
    }
    let inner = [('[', ']'), ('(', ')'), ('{', '}')]
        .into_iter()
        .find_map(|(open, close)| text.strip_prefix(open)?.strip_suffix(close))?;
    let mut items = Vec::new();
    let mut rest = inner.trim();
    while !rest.is_empty() {
        let (item, after) = if let Some(quote @ ('"' | '\'')) = rest.chars().next() {
            quoted_item(&rest[1..], quote)?
        } else {
            let end = rest.find(',').unwrap_or(rest.len());
            let item = rest[..end].trim();
            // a bracket or quote in the middle is no word
            if item.contains(['[', ']', '{', '}', '(', ')', '"', '\'']) {
                return None;
            }
            (item.to_owned(), &rest[end..])
        };
        items.push(item);
        rest = match after.trim_start().strip_prefix(',') {
            Some(next) => next.trim_start(),
            None if after.trim().is_empty() => "",
            None => return None,
        };
    }
    Some(items)
}

/// Text up to the closing quote, and what follows that.
fn quoted_item(text: &str, quote: char) -> Option<(String, &str)> {
    let mut item = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '\\' => item.push(characters.next()?.1),
            _ if character == quote => return Some((item, &text[at + 1..])),
            _ => item.push(character),
        }
    }
    None
}
