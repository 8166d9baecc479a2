//! What the source answered, as kinds, texts and fields.

use crate::source::{Element, Kind};
use redis::Value;
use tickhouse_stream::EntryId;

/// The kind that `TYPE` names.
pub(crate) fn kind_of(name: &[u8]) -> Kind {
    match name {
        b"string" => Kind::Text,
        b"hash" => Kind::Hash,
        b"list" => Kind::List,
        b"zset" => Kind::SortedSet,
        b"stream" => Kind::Stream,
        b"none" => Kind::Gone,
        _ => Kind::Other,
    }
}

pub(crate) fn elements(value: Value, kind: Kind) -> Vec<Element> {
    match kind {
        Kind::Text if value == Value::Nil => Vec::new(),
        Kind::Text => vec![Element::Text { bytes: bytes(value), score: None }],
        Kind::Hash => {
            let mut fields = pairs(value);
            fields.sort_unstable();
            if fields.is_empty() { Vec::new() } else { vec![Element::Fields { fields, at: None, id: None }] }
        }
        Kind::List => {
            list(value).into_iter().map(|item| Element::Text { bytes: bytes(item), score: None }).collect()
        }
        Kind::SortedSet => pairs(value)
            .into_iter()
            .map(|(member, score)| Element::Text { bytes: member, score: number(&score) })
            .collect(),
        Kind::Stream => list(value)
            .into_iter()
            .map(|entry| {
                let mut parts = list(entry).into_iter();
                let id = parts.next().map(bytes).unwrap_or_default();
                let id = String::from_utf8_lossy(&id).into_owned();
                let at = id.split('-').next().map(str::to_owned);
                Element::Fields { fields: parts.next().map(pairs).unwrap_or_default(), at, id: Some(id) }
            })
            .collect(),
        Kind::Gone | Kind::Other => Vec::new(),
    }
}

/// A score that may be a Unix time, without an exponent.
pub(crate) fn time_of_score(score: f64) -> Option<String> {
    (1e8..1e19)
        .contains(&score)
        .then(|| if score.fract() == 0.0 { format!("{score:.0}") } else { format!("{score:.6}") })
}

fn number(text: &[u8]) -> Option<f64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// Members of a sorted set with their scores.
pub(crate) fn members(value: Value) -> Vec<(Vec<u8>, f64)> {
    pairs(value).into_iter().filter_map(|(member, score)| Some((member, number(&score)?))).collect()
}

/// Bytes of texts.
pub(crate) fn size_of(elements: &[Element]) -> u64 {
    let size = |element: &Element| match element {
        Element::Text { bytes, .. } => bytes.len(),
        Element::Fields { fields, .. } => fields.iter().map(|(field, value)| field.len() + value.len()).sum(),
        Element::Refused(_) => 0,
    };
    elements.iter().map(|element| size(element) as u64).sum()
}

/// The id from which a stream is read on after another, empty at the beginning; `None` where no id is left. `(` before the other
/// would say the same, but only to servers of 6.2 and later.
pub(crate) fn start_after(id: &str) -> Option<String> {
    match id.parse::<EntryId>() {
        _ if id.is_empty() => Some("-".to_owned()),
        Ok(EntryId::MAX) => None,
        Ok(id) => Some(id.next().to_string()),
        // the server says that it is none
        Err(_) => Some(id.to_owned()),
    }
}

pub(crate) fn last_id(value: &Value) -> Option<String> {
    let Value::Array(entries) = value else { return None };
    let Some(Value::Array(entry)) = entries.last() else { return None };
    Some(String::from_utf8_lossy(&bytes(entry.first()?.clone())).into_owned())
}

pub(crate) fn bytes(value: Value) -> Vec<u8> {
    match value {
        Value::BulkString(bytes) => bytes,
        Value::SimpleString(text) => text.into_bytes(),
        Value::Int(number) => number.to_string().into_bytes(),
        _ => Vec::new(),
    }
}

pub(crate) fn list(value: Value) -> Vec<Value> {
    match value {
        Value::Array(values) => values,
        _ => Vec::new(),
    }
}

pub(crate) fn pairs(value: Value) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut values = list(value).into_iter();
    let mut pairs = Vec::with_capacity(values.len() / 2);
    while let (Some(first), Some(second)) = (values.next(), values.next()) {
        pairs.push((bytes(first), bytes(second)));
    }
    pairs
}

pub(crate) fn integer(value: Option<&Value>) -> u64 {
    match value {
        Some(Value::Int(number)) => u64::try_from(*number).unwrap_or(0),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_read_on_in_words_of_old_servers() {
        for (id, start) in [
            ("", Some("-")),
            ("5-3", Some("5-4")),
            ("5-18446744073709551615", Some("6-0")),
            ("18446744073709551615-18446744073709551615", None),
            ("nonsense", Some("nonsense")),
        ] {
            assert_eq!(start_after(id).as_deref(), start, "{id}");
        }
    }
}
