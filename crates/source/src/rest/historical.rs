//! `GET /instruments/historical/{token}/{interval}`: candles.

use super::{Rest, RestError, call_name};
use crate::Key;
use reqwest::Method;
use serde::de::{Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::fmt;
use std::time::Duration;
use tickhouse_model::{Timestamp, Token};

/// A long span of minutes is a megabyte.
const CALL_TIMEOUT: Duration = Duration::from_secs(20);

/// A candle as Kite gives it. Prices in rupees.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HistoricalCandle {
    /// Its begin; of a day its midnight.
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
    /// At its end; 0 where it was not asked for or there is none.
    pub open_interest: u64,
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HistoricalQuery<'a> {
    /// Whose candles.
    pub token: Token,
    /// Kite's word: `minute`, `5minute`, `day`, ….
    pub interval: &'a str,
    /// First begin that is wanted.
    pub from: Timestamp,
    /// Last begin that is wanted. Kite limits how far from `from`, by the interval.
    pub to: Timestamp,
    /// The series that runs through expired contracts: day candles of futures only.
    pub continuous: bool,
    /// With open interest.
    pub open_interest: bool,
}

impl Rest {
    /// Candles that begin within a span, rising. Kite allows three such calls a second and API key; this client does not
    /// pace itself.
    ///
    /// # Errors
    /// See [`RestError`]; a span that is too long is an `InputException`.
    pub async fn historical(
        &self,
        key: &Key,
        query: &HistoricalQuery<'_>,
    ) -> Result<Vec<HistoricalCandle>, RestError> {
        #[derive(Deserialize)]
        struct Candles {
            candles: Vec<HistoricalCandle>,
        }
        let token = query.token.to_string();
        let path = ["instruments", "historical", token.as_str(), query.interval];
        if query.from > query.to {
            let problem = format!("it begins at {}, after its end {}", query.from, query.to);
            return Err(RestError::Invalid { call: call_name(&Method::GET, &path), problem });
        }
        let flag = |set: bool| if set { "1" } else { "0" };
        let parameters = [
            ("from", wall_clock(query.from)),
            ("to", wall_clock(query.to)),
            ("continuous", flag(query.continuous).to_owned()),
            ("oi", flag(query.open_interest).to_owned()),
        ];
        let mut call = self.call(Method::GET, &path, Some(key)).timeout(CALL_TIMEOUT);
        call.request = call.request.query(&parameters);
        call.json::<Candles>().await.map(|answer| answer.candles)
    }
}

/// `2026-11-20 09:15:00`: India's time without an offset.
fn wall_clock(at: Timestamp) -> String {
    let ist = at.ist();
    let (hour, minute, second) = ist.hms();
    format!("{} {hour:02}:{minute:02}:{second:02}", ist.date_text())
}

impl<'de> Deserialize<'de> for HistoricalCandle {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Row;
        impl<'de> Visitor<'de> for Row {
            type Value = HistoricalCandle;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a time, four prices, a volume and perhaps open interest")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut row: A) -> Result<HistoricalCandle, A::Error> {
                let short = || A::Error::custom("a candle of too few values");
                let time: String = row.next_element()?.ok_or_else(short)?;
                let timestamp =
                    Timestamp::from_text(&time).ok_or_else(|| A::Error::custom("a candle's time"))?;
                let mut numbers = [0.0_f64; 4];
                for number in &mut numbers {
                    *number = row.next_element()?.ok_or_else(short)?;
                }
                let volume: Option<f64> = row.next_element()?.ok_or_else(short)?;
                let open_interest: Option<Option<f64>> = row.next_element()?;
                while row.next_element::<serde::de::IgnoredAny>()?.is_some() {}
                let [open, high, low, close] = numbers;
                // counts, sometimes written as 10.0
                let count = |number: Option<f64>| number.unwrap_or(0.0).max(0.0) as u64;
                let open_interest = count(open_interest.flatten());
                Ok(HistoricalCandle {
                    timestamp,
                    open,
                    high,
                    low,
                    close,
                    volume: count(volume),
                    open_interest,
                })
            }
        }
        deserializer.deserialize_seq(Row)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn candles_of_kites_documentation() {
        // as in the answers of Kite's own test data, 2017-12-15 and 2019-12-04
        let text = r#"[["2017-12-15T09:15:00+0530",1704.5,1705,1699.25,1702.8,2499],
                       ["2019-12-04T09:15:00+0530",12009.9,12019.35,12001.25,12001.5,163275,13667775]]"#;
        let candles: Vec<HistoricalCandle> = serde_json::from_str(text).unwrap();
        assert_eq!(candles[0].timestamp.to_string(), "2017-12-15T09:15:00.000+05:30");
        assert_eq!((candles[0].close, candles[0].volume, candles[0].open_interest), (1702.8, 2499, 0));
        assert_eq!(
            (candles[1].high, candles[1].volume, candles[1].open_interest),
            (12019.35, 163_275, 13_667_775)
        );
        assert_eq!(wall_clock(candles[1].timestamp), "2019-12-04 09:15:00");
        for bad in ["[[1,1,1,1,1,1]]", "[[\"2017-12-15\",1,1,1]]", "[[\"soon\",1,1,1,1,1]]", "[{}]"] {
            assert!(serde_json::from_str::<Vec<HistoricalCandle>>(bad).is_err(), "{bad}");
        }
    }
}
