//! How long a bar is.

use std::fmt;
use std::str::FromStr;

use crate::SliceLength;

const DAY: u32 = 86_400;

/// How long a bar is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Interval {
    /// So many seconds, 1 to 86,399, from the begin of each phase on.
    Seconds(u32),
    /// A trading day.
    Day,
    /// Monday to Sunday.
    Week,
    /// A month of the calendar.
    Month,
}

/// A text that names no interval.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an interval: write 1s to 59s, 1m, 5m, 15m, 1h, 2h30m, 1d, 1w or 1mo")]
pub struct IntervalError(String);

impl Interval {
    /// Which slices such bars are made of.
    pub const fn slice(self) -> SliceLength {
        match self {
            Self::Seconds(seconds) if !seconds.is_multiple_of(60) => SliceLength::Second,
            _ => SliceLength::Minute,
        }
    }

    /// Whether it is a day or longer.
    pub const fn holds_days(self) -> bool {
        !matches!(self, Self::Seconds(_))
    }

    fn of_text(text: &str) -> Option<Self> {
        match text {
            "day" | "1day" => return Some(Self::Day),
            "week" | "1week" => return Some(Self::Week),
            "month" | "1month" | "1mo" | "1M" => return Some(Self::Month),
            _ => {}
        }
        let mut seconds: u32 = 0;
        let mut rest = text;
        while !rest.is_empty() {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let (number, tail) = rest.split_at(digits);
            let letters = tail.bytes().take_while(u8::is_ascii_alphabetic).count();
            let (unit, tail) = tail.split_at(letters);
            let number: u32 = match number {
                "" if text == unit => 1,
                number => number.parse().ok()?,
            };
            let unit = match unit {
                "s" | "sec" | "second" | "seconds" => 1,
                "m" | "min" | "minute" | "minutes" => 60,
                "h" | "hour" | "hours" => 3_600,
                "d" if text == "1d" => return Some(Self::Day),
                "w" if text == "1w" => return Some(Self::Week),
                _ => return None,
            };
            seconds = seconds.checked_add(number.checked_mul(unit)?)?;
            rest = tail;
        }
        match seconds {
            0 => None,
            DAY => Some(Self::Day),
            1..DAY => Some(Self::Seconds(seconds)),
            _ => None,
        }
    }
}

impl FromStr for Interval {
    type Err = IntervalError;

    /// `1s`, `5m`, `1h`, `1d`, `1w`, `1mo`, or Kite's words (`minute`, `5minute`, `day`).
    fn from_str(text: &str) -> Result<Self, IntervalError> {
        let text = text.trim();
        Self::of_text(text).ok_or_else(|| IntervalError(text.to_owned()))
    }
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = match self {
            Self::Seconds(seconds) => *seconds,
            Self::Day => return f.write_str("1d"),
            Self::Week => return f.write_str("1w"),
            Self::Month => return f.write_str("1mo"),
        };
        for (unit, length) in [('h', seconds / 3_600), ('m', seconds / 60 % 60), ('s', seconds % 60)] {
            if length > 0 {
                write!(f, "{length}{unit}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_people_and_of_kite() {
        for (text, interval) in [
            ("1s", Interval::Seconds(1)),
            ("90s", Interval::Seconds(90)),
            ("5m", Interval::Seconds(300)),
            ("minute", Interval::Seconds(60)),
            ("60minute", Interval::Seconds(3_600)),
            ("1h", Interval::Seconds(3_600)),
            ("2h30m", Interval::Seconds(9_000)),
            ("24h", Interval::Day),
            ("1d", Interval::Day),
            ("day", Interval::Day),
            ("1w", Interval::Week),
            ("1mo", Interval::Month),
            ("1M", Interval::Month),
        ] {
            assert_eq!(text.parse(), Ok(interval), "{text}");
            assert_eq!(interval.to_string().parse(), Ok(interval), "{interval}");
        }
        for text in ["", "0m", "2d", "25h", "m5", "1.5m", "-1m", "99999999999s", "5 m", "1y", "é"] {
            assert!(text.parse::<Interval>().is_err(), "{text}");
        }
    }
}
