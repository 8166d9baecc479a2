//! How long a candle lasts.

use serde::Serialize;
use std::fmt;
use std::str::FromStr;

/// The length of a candle, in Kite's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Interval {
    /// One minute.
    Minute,
    /// Three minutes.
    Minute3,
    /// Five minutes.
    Minute5,
    /// Ten minutes.
    Minute10,
    /// A quarter of an hour.
    Minute15,
    /// Half an hour.
    Minute30,
    /// An hour.
    Minute60,
    /// A trading day.
    Day,
}

/// Kite's word, the `packet_type` of a candle in `tick_data`, and most days that one request may span: 60 to 2,000, as
/// Zerodha's staff gives them (<https://kite.trade/forum/discussion/3105>).
const INTERVALS: [(Interval, &str, &str, u16); 8] = [
    (Interval::Minute, "minute", "candle_minute", 60),
    (Interval::Minute3, "3minute", "candle_3minute", 100),
    (Interval::Minute5, "5minute", "candle_5minute", 100),
    (Interval::Minute10, "10minute", "candle_10minute", 100),
    (Interval::Minute15, "15minute", "candle_15minute", 200),
    (Interval::Minute30, "30minute", "candle_30minute", 200),
    (Interval::Minute60, "60minute", "candle_60minute", 400),
    (Interval::Day, "day", "candle_day", 2_000),
];

impl Interval {
    /// Every interval, the shortest first.
    pub const ALL: [Self; 8] = [
        Self::Minute,
        Self::Minute3,
        Self::Minute5,
        Self::Minute10,
        Self::Minute15,
        Self::Minute30,
        Self::Minute60,
        Self::Day,
    ];

    /// Kite's word: the column `interval` of `candles`.
    pub const fn name(self) -> &'static str {
        INTERVALS[self as usize].1
    }

    /// The `packet_type` of such a candle in `tick_data`: `candle_minute`.
    pub const fn packet_type(self) -> &'static str {
        INTERVALS[self as usize].2
    }

    /// Most days, first and last included, that one request of Kite's historical REST may span.
    pub const fn most_days(self) -> u16 {
        INTERVALS[self as usize].3
    }

    /// Minutes that such a candle lasts; `None` for a trading day, whose length the exchange says.
    pub const fn minutes(self) -> Option<u16> {
        Some(match self {
            Self::Minute => 1,
            Self::Minute3 => 3,
            Self::Minute5 => 5,
            Self::Minute10 => 10,
            Self::Minute15 => 15,
            Self::Minute30 => 30,
            Self::Minute60 => 60,
            Self::Day => return None,
        })
    }

    /// The interval of a word as files have it: Kite's, or `1min`, `5m`, `1h`, `hour`, `1d`, `daily`, in any case.
    pub fn of_word(word: &str) -> Option<Self> {
        if word.is_empty() || word.len() > 12 {
            return None;
        }
        let word = word.to_ascii_lowercase();
        if let Some((interval, ..)) = INTERVALS.iter().find(|(_, name, ..)| *name == word) {
            return Some(*interval);
        }
        let digits = word.bytes().take_while(u8::is_ascii_digit).count();
        let (count, unit) = word.split_at(digits);
        let count: u16 = if count.is_empty() { 1 } else { count.parse().ok()? };
        match (count, unit.trim_start_matches(['_', ' ', '-'])) {
            (minutes, "m" | "min" | "mins" | "minute" | "minutes" | "t") => match minutes {
                // "m" alone is a month to some
                1 if digits == 0 && unit.len() == 1 => None,
                1 => Some(Self::Minute),
                3 => Some(Self::Minute3),
                5 => Some(Self::Minute5),
                10 => Some(Self::Minute10),
                15 => Some(Self::Minute15),
                30 => Some(Self::Minute30),
                60 => Some(Self::Minute60),
                _ => None,
            },
            (1, "h" | "hour" | "hourly") => Some(Self::Minute60),
            (1, "d" | "day" | "daily") => Some(Self::Day),
            _ => None,
        }
    }
}

impl FromStr for Interval {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::of_word(text).ok_or_else(|| {
            let names: Vec<_> = Self::ALL.iter().map(|interval| interval.name()).collect();
            format!("`{text}` is no interval: use {}", names.join(", "))
        })
    }
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for Interval {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_files() {
        for interval in Interval::ALL {
            assert_eq!(interval.name().parse(), Ok(interval));
            assert_eq!(interval.packet_type(), format!("candle_{interval}"));
        }
        for (word, interval) in [
            ("1min", Interval::Minute),
            ("1MINUTE", Interval::Minute),
            ("5m", Interval::Minute5),
            ("15_min", Interval::Minute15),
            ("hour", Interval::Minute60),
            ("1D", Interval::Day),
        ] {
            assert_eq!(Interval::of_word(word), Some(interval), "{word}");
        }
        for word in ["", "m", "2minute", "week", "GOLD", "0m", "99999999m", "data"] {
            assert_eq!(Interval::of_word(word), None, "{word}");
        }
    }
}
