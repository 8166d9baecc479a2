//! An index value: the brief's columns of `indices_data`.

use super::FlatError;
use super::value::Value;
use tickhouse_model::Timestamp;

/// The value of an index as an entry of `indices:stream` has it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FlatIndex {
    /// Kite's number, 0 when the entry has none. One of token and symbol must be there.
    pub instrument_token: u32,
    /// `NIFTY`, `BANKNIFTY`, …
    pub symbol: String,
    /// [`Timestamp::NONE`] when the entry has none: take the entry id's time.
    pub timestamp: Timestamp,
    /// The value. Must be there.
    pub last_price: f64,
    /// Since the previous close; worked out from that when the entry has none.
    pub net_change: f64,
    /// The same in percent of the previous close.
    pub percent_change: f64,
    /// The day's; the fields of the four may also be called as in `tick_data`, `open_price` and so on.
    pub open: f64,
    /// The day's so far.
    pub high: f64,
    /// The day's so far.
    pub low: f64,
    /// The previous session's.
    pub close: f64,
    /// An index has none: 0.
    pub volume: u64,
}

impl FlatIndex {
    /// Reads an entry's fields. Of a field that comes twice the last one counts; fields that no column takes are passed over.
    ///
    /// # Errors
    /// When there is neither token nor symbol, or no value, or something does not fit its column; the first such field is
    /// named.
    pub fn from_fields<F: AsRef<[u8]>, V: AsRef<[u8]>>(
        fields: impl IntoIterator<Item = (F, V)>,
    ) -> Result<Self, FlatError> {
        let mut index = Self::default();
        let (mut last_price, mut net_change, mut percent_change) = (None, None, None);
        let number = |value: Value<'_>| {
            if value.is_nothing() { Ok(None) } else { value.float().map(Some) }
        };
        for (field, value) in fields {
            let (field, value) = (field.as_ref(), Value { field: field.as_ref(), bytes: value.as_ref() });
            match field {
                b"instrument_token" => index.instrument_token = value.integer()?,
                b"symbol" => index.symbol = value.text()?,
                b"timestamp" => index.timestamp = value.time()?,
                b"last_price" => last_price = number(value)?,
                b"net_change" => net_change = number(value)?,
                b"percent_change" => percent_change = number(value)?,
                b"open" | b"open_price" => index.open = value.float()?,
                b"high" | b"high_price" => index.high = value.float()?,
                b"low" | b"low_price" => index.low = value.float()?,
                b"close" | b"close_price" => index.close = value.float()?,
                b"volume" => index.volume = value.integer()?,
                _ => {}
            }
        }
        if index.instrument_token == 0 && index.symbol.trim().is_empty() {
            return Err(FlatError::Missing { fields: "symbol or instrument_token" });
        }
        index.last_price = last_price.ok_or(FlatError::Missing { fields: "last_price" })?;
        let since_close = if index.close == 0.0 { 0.0 } else { index.last_price - index.close };
        index.net_change = net_change.unwrap_or(since_close);
        let percent = if index.close == 0.0 { 0.0 } else { index.net_change / index.close * 100.0 };
        index.percent_change = percent_change.unwrap_or(percent);
        Ok(index)
    }

    /// The fields of an entry that reads back as this value.
    pub fn to_fields(&self) -> Vec<(&'static str, String)> {
        vec![
            ("instrument_token", self.instrument_token.to_string()),
            ("symbol", self.symbol.clone()),
            ("timestamp", super::write::time_text(self.timestamp)),
            ("last_price", self.last_price.to_string()),
            ("net_change", self.net_change.to_string()),
            ("percent_change", self.percent_change.to_string()),
            ("open", self.open.to_string()),
            ("high", self.high.to_string()),
            ("low", self.low.to_string()),
            ("close", self.close.to_string()),
            ("volume", self.volume.to_string()),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(fields: &[(&str, &str)]) -> Result<FlatIndex, FlatError> {
        FlatIndex::from_fields(fields.iter().copied())
    }

    #[test]
    fn changes_are_worked_out_where_they_are_not_given() {
        let fields = [("symbol", "NIFTY"), ("last_price", "24000"), ("close", "25000")];
        let index = read(&fields).unwrap();
        assert_eq!((index.net_change, index.percent_change), (-1_000.0, -4.0));
        let given = [&fields[..], &[("net_change", "0"), ("percent_change", "7")]].concat();
        let index = read(&given).unwrap();
        assert_eq!((index.net_change, index.percent_change), (0.0, 7.0));
        let alone = read(&[("instrument_token", "256265"), ("last_price", "1")]).unwrap();
        assert_eq!((alone.net_change, alone.percent_change), (0.0, 0.0));
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let text = |fields: &[(&str, &str)]| read(fields).unwrap_err().to_string();
        assert_eq!(text(&[("last_price", "1")]), "the entry has no symbol or instrument_token");
        assert_eq!(text(&[("symbol", "NIFTY"), ("last_price", "nan")]), "the entry has no last_price");
        assert!(text(&[("symbol", "NIFTY"), ("last_price", "inf")]).contains("finite"));
        assert!(text(&[("symbol", "NIFTY"), ("last_price", "1"), ("volume", "-1")]).contains("volume"));
    }

    proptest! {
        #[test]
        fn a_value_reads_back_as_it_was(
            instrument_token in 1..u32::MAX, last_price in -1e9..1e9_f64, net_change in -1e9..1e9_f64, close in 0.0..1e9_f64,
            volume in any::<u64>(), at in 1_000_000_000_i64..4_000_000_000,
        ) {
            let index = FlatIndex {
                instrument_token, last_price, net_change, close, volume, symbol: "NIFTY".to_owned(), percent_change: 1.5,
                timestamp: Timestamp::from_nanos(at * 1_000_000_000), ..FlatIndex::default()
            };
            prop_assert_eq!(FlatIndex::from_fields(index.to_fields()), Ok(index));
        }
    }
}
