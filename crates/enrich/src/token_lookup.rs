//! `token_lookup_enriched.json`: an object that maps tokens, as strings, to objects of metadata.
//!
//! Such files are made by scripts, so fields come and go, numbers stand in strings and strings in numbers. One entry at a
//! time is in memory, whatever the file's size.

use crate::kite_csv::{MAX_FILE, days, maybe_gzipped};
use crate::python_json::PythonJson;
use crate::read::{ReadError, ReadReport};
use crate::{MAX_TEXT_LEN, TableFull};
use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use std::fmt;
use std::io::{BufReader, Read};
use tickhouse_model::{Instrument, InstrumentKind, Token};

/// Reads a token look-up entry by entry; `add` says whether an instrument of the same token was there before.
///
/// Fields read: `symbol`, `tradingsymbol` (else what follows the colon of `key`, as in `NSE:INFY`; else `symbol`; else
/// `name`), `name`, `exchange` (else the token's segment), `segment`, `instrument_type`, `sector`, `asset_class`, `expiry`,
/// `strike` or `strike_price`, `tick_size`, `lot_size`. Others are passed over, and a value of an unexpected type counts
/// as absent, `NaN` included, which Python writes though it is no JSON.
///
/// # Errors
/// When the reader fails, the text is not a JSON object or is cut off, or `add` refuses. An entry whose key is no token or
/// whose value is no object is no error: it is skipped and stands in the report by its number.
pub fn read_token_lookup(
    reader: impl Read,
    add: impl FnMut(Instrument) -> Result<bool, TableFull>,
) -> Result<ReadReport, ReadError> {
    let reader = maybe_gzipped(reader).map_err(|source| ReadError::Io { line: 0, source })?;
    let mut report = ReadReport::default();
    let mut full = None;
    let reader = BufReader::new(PythonJson::new(reader.take(MAX_FILE)));
    let mut json = serde_json::Deserializer::from_reader(reader);
    let read = Entries { report: &mut report, add, full: &mut full }
        .deserialize(&mut json)
        .and_then(|()| json.end());
    match (read, full) {
        (_, Some(full)) => Err(full.into()),
        (Err(source), None) => Err(ReadError::Json { entries: report.rows, source }),
        (Ok(()), None) => Ok(report),
    }
}

/// Visits the outer object.
struct Entries<'a, F> {
    report: &'a mut ReadReport,
    add: F,
    full: &'a mut Option<TableFull>,
}

impl<'de, F: FnMut(Instrument) -> Result<bool, TableFull>> DeserializeSeed<'de> for Entries<'_, F> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, F: FnMut(Instrument) -> Result<bool, TableFull>> Visitor<'de> for Entries<'_, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object that maps tokens to objects")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            let entry = map.next_value::<Entry>()?;
            self.report.rows += 1;
            let entry_number = self.report.rows;
            match entry.instrument(&key) {
                Ok(instrument) => match (self.add)(instrument) {
                    Ok(replaced) => self.report.count(replaced),
                    Err(full) => {
                        *self.full = Some(full);
                        return Err(A::Error::custom(full));
                    }
                },
                Err(reason) => self.report.skip(entry_number, reason),
            }
        }
        Ok(())
    }
}

/// One value of the outer object.
#[derive(Default)]
struct Entry {
    /// Whether it was an object at all.
    object: bool,
    texts: [String; TEXTS.len()],
    numbers: [f64; NUMBERS.len()],
}

const TEXTS: [&str; 10] = [
    "symbol",
    "tradingsymbol",
    "key",
    "name",
    "exchange",
    "segment",
    "instrument_type",
    "sector",
    "asset_class",
    "expiry",
];
const NUMBERS: [&str; 4] = ["strike", "strike_price", "tick_size", "lot_size"];

impl Entry {
    fn instrument(self, key: &str) -> Result<Instrument, String> {
        let shown = &key[..key.floor_char_boundary(40)];
        let token: u32 = key.trim().parse().map_err(|_| format!("the key `{shown}` is no token"))?;
        let token = Token(token);
        if !self.object {
            return Err(format!("the value of {token} is no object"));
        }
        if let Some(at) = self.texts.iter().position(|text| text.len() > MAX_TEXT_LEN) {
            return Err(format!("{} of {token} has {} bytes", TEXTS[at], self.texts[at].len()));
        }
        let [
            symbol,
            tradingsymbol,
            key,
            name,
            exchange,
            segment,
            instrument_type,
            sector,
            asset_class,
            expiry,
        ] = self.texts;
        let after_colon = key.split_once(':').map_or("", |(_, after)| after).to_owned();
        let tradingsymbol = [tradingsymbol, after_colon, symbol.clone(), name.clone()]
            .into_iter()
            .find(|text| !text.is_empty())
            .ok_or_else(|| format!("{token} has neither symbol, tradingsymbol, key nor name"))?;
        let [strike, strike_price, tick_size, lot_size] = self.numbers;
        let kind = InstrumentKind::of(&instrument_type, &segment);
        Ok(Instrument {
            token,
            symbol,
            tradingsymbol,
            underlying: name,
            exchange: if exchange.is_empty() { token.segment().name().to_owned() } else { exchange },
            segment,
            instrument_type: if token.segment().is_index() { InstrumentKind::Index } else { kind },
            sector,
            asset_class,
            expiry: days(&expiry).unwrap_or_default(),
            strike: if strike == 0.0 { strike_price } else { strike },
            tick_size,
            lot_size: lot_size as u32,
        })
    }
}

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(EntryVisitor)
    }
}

/// Takes an object; anything else gives an entry that is none.
struct EntryVisitor;

impl<'de> Visitor<'de> for EntryVisitor {
    type Value = Entry;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of metadata")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entry, A::Error> {
        let mut entry = Entry { object: true, ..Entry::default() };
        while let Some(key) = map.next_key::<String>()? {
            if let Some(at) = TEXTS.iter().position(|name| *name == key) {
                entry.texts[at] = map.next_value::<Scalar>()?.text();
            } else if let Some(at) = NUMBERS.iter().position(|name| *name == key) {
                entry.numbers[at] = map.next_value::<Scalar>()?.number();
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(entry)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Entry, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Entry::default())
    }

    fn visit_str<E>(self, _: &str) -> Result<Entry, E> {
        Ok(Entry::default())
    }

    fn visit_f64<E>(self, _: f64) -> Result<Entry, E> {
        Ok(Entry::default())
    }

    fn visit_i64<E>(self, _: i64) -> Result<Entry, E> {
        Ok(Entry::default())
    }

    fn visit_u64<E>(self, _: u64) -> Result<Entry, E> {
        Ok(Entry::default())
    }

    fn visit_bool<E>(self, _: bool) -> Result<Entry, E> {
        Ok(Entry::default())
    }

    fn visit_unit<E>(self) -> Result<Entry, E> {
        Ok(Entry::default())
    }
}

/// A text, a number, or anything else, which counts as absent, `NaN` included, which Python writes though it is no JSON.
enum Scalar {
    Text(String),
    Number(f64),
    Absent,
}

impl Scalar {
    /// As text; `nan` and `None`, which scripts write for absent values, are empty.
    fn text(self) -> String {
        match self {
            Self::Text(text) => match text.trim() {
                "nan" | "NaN" | "None" | "null" => String::new(),
                trimmed => trimmed.to_owned(),
            },
            Self::Number(number) => number.to_string(),
            Self::Absent => String::new(),
        }
    }

    fn number(self) -> f64 {
        let number = match self {
            Self::Text(text) => text.trim().parse().unwrap_or(0.0),
            Self::Number(number) => number,
            Self::Absent => 0.0,
        };
        if number.is_finite() && number >= 0.0 { number } else { 0.0 }
    }
}

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ScalarVisitor)
    }
}

struct ScalarVisitor;

impl<'de> Visitor<'de> for ScalarVisitor {
    type Value = Scalar;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text or a number")
    }

    fn visit_str<E>(self, text: &str) -> Result<Scalar, E> {
        Ok(Scalar::Text(text.to_owned()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Scalar, E> {
        Ok(Scalar::Number(number))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Scalar, E> {
        Ok(Scalar::Number(number as f64))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Scalar, E> {
        Ok(Scalar::Number(number as f64))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Scalar, E> {
        Ok(Scalar::Absent)
    }

    fn visit_unit<E>(self) -> Result<Scalar, E> {
        Ok(Scalar::Absent)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Scalar, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Scalar::Absent)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Scalar, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Scalar::Absent)
    }
}
