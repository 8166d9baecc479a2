//! The fields of one candle, as they are read.

use crate::json::{Scalar, shortened};
use tickhouse_model::Timestamp;

/// Places in an array, and the fields of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    Time,
    Open,
    High,
    Low,
    Close,
    Volume,
    OpenInterest,
}

/// Kite's order.
pub(super) const ARRAY: [Field; 7] =
    [Field::Time, Field::Open, Field::High, Field::Low, Field::Close, Field::Volume, Field::OpenInterest];

impl Field {
    /// Of an object's key.
    pub(super) fn of_key(key: &str) -> Option<Self> {
        Some(match key {
            "date" | "datetime" | "timestamp" | "time" | "ts" | "t" | "start" | "start_time" | "Date"
            | "Datetime" | "Timestamp" => Self::Time,
            "open" | "o" | "Open" | "open_price" => Self::Open,
            "high" | "h" | "High" | "high_price" => Self::High,
            "low" | "l" | "Low" | "low_price" => Self::Low,
            "close" | "c" | "Close" | "close_price" => Self::Close,
            "volume" | "v" | "vol" | "Volume" => Self::Volume,
            "oi" | "open_interest" | "openInterest" | "OI" => Self::OpenInterest,
            _ => return None,
        })
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Time => "time",
            Self::Open => "open",
            Self::High => "high",
            Self::Low => "low",
            Self::Close => "close",
            Self::Volume => "volume",
            Self::OpenInterest => "open interest",
        }
    }
}

/// A number of a candle.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Number {
    #[default]
    Absent,
    /// `null` or `NaN`.
    Nothing,
    Is(f64),
}

/// A candle in the making.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Fields {
    time: Option<Timestamp>,
    time_is_nothing: bool,
    prices: [Number; 4],
    counts: [Number; 2],
}

/// Time, prices, volume and open interest.
pub(super) type Values = (Timestamp, [f64; 4], [u64; 2]);

impl Fields {
    /// Takes a value; the error says what is wrong with it.
    pub(super) fn set(&mut self, field: Field, value: Scalar<'_>) -> Result<(), String> {
        if field == Field::Time {
            return self.set_time(value);
        }
        let number = match value {
            Scalar::Number(number) => Number::Is(number),
            Scalar::Nothing => Number::Nothing,
            Scalar::Text(text) => match text.trim().parse::<f64>() {
                Ok(number) if number.is_finite() => Number::Is(number),
                _ => return Err(format!("{}: `{}` is no number", field.name(), shortened(text))),
            },
            Scalar::Bool(value) => return Err(format!("{}: `{value}` is no number", field.name())),
        };
        match field {
            Field::Volume => self.counts[0] = number,
            Field::OpenInterest => self.counts[1] = number,
            price => self.prices[price as usize - Field::Open as usize] = number,
        }
        Ok(())
    }

    fn set_time(&mut self, value: Scalar<'_>) -> Result<(), String> {
        let time = match value {
            Scalar::Text(text) => Timestamp::from_text(text.trim()).ok_or_else(|| {
                format!("`{}` is no time: write 2026-11-20T09:15:00+05:30", shortened(text))
            })?,
            Scalar::Number(number) => unix_time(number)
                .ok_or_else(|| format!("{number} is no time in seconds or milliseconds since 1970"))?,
            Scalar::Nothing => {
                self.time_is_nothing = true;
                return Ok(());
            }
            Scalar::Bool(value) => return Err(format!("`{value}` is no time")),
        };
        // a column of seconds since 1970 holds it
        if !(1..=i64::from(u32::MAX)).contains(&time.as_seconds()) {
            return Err(format!("{time}: use times from 1970 to 2106"));
        }
        self.time = Some(time);
        Ok(())
    }

    /// Whether an object with these is a candle.
    pub(super) fn is_candle(&self) -> bool {
        self.prices.iter().any(|price| *price != Number::Absent)
            || (self.time.is_some() && self.counts.iter().any(|count| *count != Number::Absent))
    }

    /// The candle; `None` when it says that there was no trade: no price at all.
    pub(super) fn finish(&self) -> Result<Option<Values>, String> {
        for (price, field) in self.prices.iter().zip(&ARRAY[1..5]) {
            if *price == Number::Absent {
                return Err(format!("a candle without its {}", field.name()));
            }
        }
        let Some(time) = self.time else {
            return Err(format!(
                "a candle {} its time",
                if self.time_is_nothing { "with nothing as" } else { "without" }
            ));
        };
        if self.prices.iter().all(|price| *price == Number::Nothing) {
            return Ok(None);
        }
        let mut prices = [0.0; 4];
        for ((value, price), field) in prices.iter_mut().zip(&self.prices).zip(&ARRAY[1..5]) {
            *value = match price {
                Number::Is(number) => *number,
                _ => return Err(format!("a candle with nothing as its {}", field.name())),
            };
        }
        if prices[1] < prices[2] {
            return Err(format!("its high {} is below its low {}", prices[1], prices[2]));
        }
        Ok(Some((time, prices, [count(self.counts[0], "volume")?, count(self.counts[1], "open interest")?])))
    }
}

fn count(number: Number, name: &str) -> Result<u64, String> {
    match number {
        Number::Is(value) if (0.0..=9_007_199_254_740_992.0).contains(&value) && value.fract() == 0.0 => {
            Ok(value as u64)
        }
        Number::Is(value) => Err(format!("{name}: {value} is no count")),
        Number::Absent | Number::Nothing => Ok(0),
    }
}

/// Seconds since 1970, or milliseconds where seconds would be beyond the year 2100.
fn unix_time(number: f64) -> Option<Timestamp> {
    const LAST_SECOND: f64 = 4_102_444_800.0;
    if (100_000_000.0..=LAST_SECOND).contains(&number) {
        Some(Timestamp::from_millis((number * 1e3).round() as i64))
    } else if (100_000_000_000.0..=LAST_SECOND * 1e3).contains(&number) {
        Some(Timestamp::from_millis(number.round() as i64))
    } else {
        None
    }
}
