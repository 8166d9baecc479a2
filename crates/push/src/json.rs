//! JSON and NDJSON into ticks.
//!
//! What enters: the bytes of a request. What leaves: ticks, or the place and reason of the first fault. What never happens
//! here: more memory than a few times the bytes, a panic on any bytes.
//!
//! Duplicate and unknown keys, NaN, wrong types and nesting beyond 128 levels are faults.

use crate::tick::read::Object;
use crate::{MOST_TICKS, PushedTick};
use serde::Deserialize;
use serde::de::{Deserializer, Error as _, SeqAccess, Visitor, value::MapAccessDeserializer};
use std::fmt;

/// How ticks are laid out in text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One object, or one array of objects.
    Json,
    /// Each line an object, or an array of objects; empty lines are passed over.
    Lines,
}

/// Where and why a text holds no ticks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadError {
    /// Line of the text, from 1.
    pub line: usize,
    /// Column of the line in bytes, from 1; 0 where the text ends too early or as a whole is wrong.
    pub column: usize,
    /// Path of the faulty value as in `[3].depth.buy[2].price`; empty for the text itself. The number counts the ticks of the
    /// whole text.
    pub path: String,
    /// What is wrong.
    pub reason: String,
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { line, column, path, reason } = self;
        let colon = if path.is_empty() { "" } else { ": " };
        write!(f, "{path}{colon}{reason} (line {line}, column {column})")
    }
}

impl std::error::Error for ReadError {}

/// Reads the ticks of a text, at most [`MOST_TICKS`].
///
/// # Errors
/// With the first fault.
pub fn read(text: &[u8], format: Format) -> Result<Vec<PushedTick>, ReadError> {
    let mut ticks = Vec::new();
    match format {
        Format::Json => read_value(text, 0, &mut ticks)?,
        Format::Lines => {
            for (number, line) in text.split(|byte| *byte == b'\n').enumerate() {
                if !line.trim_ascii().is_empty() {
                    read_value(line, number, &mut ticks)?;
                }
            }
        }
    }
    Ok(ticks)
}

fn read_value(text: &[u8], lines_before: usize, ticks: &mut Vec<PushedTick>) -> Result<(), ReadError> {
    let before = ticks.len();
    match serde_json::from_slice::<Ticks>(text) {
        Ok(found) if before + found.ticks.len() <= MOST_TICKS => {
            ticks.extend(found.ticks);
            Ok(())
        }
        Ok(_) => {
            Err(ReadError { line: lines_before + 1, column: 0, path: String::new(), reason: too_many() })
        }
        Err(error) => Err(explain(text, lines_before, before, &error)),
    }
}

/// Reads again, slower, for the path.
fn explain(text: &[u8], lines_before: usize, ticks_before: usize, error: &serde_json::Error) -> ReadError {
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let path = match serde_path_to_error::deserialize::<_, Ticks>(&mut deserializer) {
        Ok(_) => String::new(),
        Err(found) => shifted(found.path(), ticks_before),
    };
    let message = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    let reason = message.strip_suffix(&place).unwrap_or(&message);
    ReadError {
        line: lines_before + error.line().max(1),
        column: error.column(),
        path,
        // a stranger's text may be as long as the request
        reason: shortened(reason),
    }
}

/// The path with the tick's number in the whole text; an object by itself has a number as well.
fn shifted(path: &serde_path_to_error::Path, ticks_before: usize) -> String {
    use serde_path_to_error::Segment;

    let text = path.to_string();
    if text == "." {
        return String::new();
    }
    match path.iter().next() {
        Some(Segment::Seq { index }) => {
            let own = format!("[{index}]");
            let rest = text.strip_prefix(&own).unwrap_or(&text);
            shortened(&format!("[{}]{rest}", ticks_before + index))
        }
        _ => shortened(&format!("[{ticks_before}].{text}")),
    }
}

fn shortened(text: &str) -> String {
    const MOST: usize = 300;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

fn too_many() -> String {
    format!("a push has at most {MOST_TICKS} ticks: send the rest in another")
}

/// One tick or a list of them.
struct Ticks {
    ticks: Vec<PushedTick>,
}

impl<'de> Deserialize<'de> for Ticks {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TicksVisitor)
    }
}

struct TicksVisitor;

impl<'de> Visitor<'de> for TicksVisitor {
    type Value = Ticks;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a tick (an object) or a list of ticks")
    }

    fn visit_map<A: serde::de::MapAccess<'de>>(self, map: A) -> Result<Ticks, A::Error> {
        PushedTick::deserialize(MapAccessDeserializer::new(map)).map(|tick| Ticks { ticks: vec![tick] })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Ticks, A::Error> {
        let mut ticks = Vec::new();
        while let Some(Object(tick)) = list.next_element()? {
            if ticks.len() == MOST_TICKS {
                return Err(A::Error::custom(too_many()));
            }
            ticks.push(tick);
        }
        Ok(Ticks { ticks })
    }
}

#[cfg(test)]
mod tests;
