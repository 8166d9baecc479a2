//! Answers of Redis, RESP2 and RESP3, as values.

use crate::entry::{Entry, EntryId, EntryValue, RECORD_FIELD};
use crate::{StreamEntries, StreamError};
use bytes::Bytes;
use redis::Value;

/// The error for an answer of the wrong shape; shows its beginning only, as it may hold data.
pub(crate) fn unexpected(doing: &'static str, value: &Value) -> StreamError {
    let mut reply = format!("{value:?}");
    if let Some((end, _)) = reply.char_indices().nth(120) {
        reply.truncate(end);
    }
    StreamError::Unexpected { doing, reply }
}

fn shape(doing: &'static str) -> StreamError {
    StreamError::Unexpected { doing, reply: "a value of another shape".to_owned() }
}

pub(crate) fn text(value: &Value) -> Option<&str> {
    match value {
        Value::BulkString(bytes) => std::str::from_utf8(bytes).ok(),
        Value::SimpleString(text) => Some(text),
        _ => None,
    }
}

pub(crate) fn id(value: &Value) -> Option<EntryId> {
    text(value)?.parse().ok()
}

pub(crate) fn integer(value: &Value) -> Option<u64> {
    match value {
        Value::Int(number) => u64::try_from(*number).ok(),
        other => text(other)?.parse().ok(),
    }
}

/// The value of a field in an answer that is a list of fields and values, or a map.
pub(crate) fn field<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    value.as_map_iter()?.find(|(key, _)| text(key) == Some(name)).map(|(_, value)| value)
}

/// The entries of an `XRANGE`.
pub(crate) fn entries(doing: &'static str, value: Value) -> Result<Vec<Entry>, StreamError> {
    match value {
        Value::Nil => Ok(Vec::new()),
        Value::Array(entries) => entries.into_iter().map(|value| entry(doing, value)).collect(),
        other => Err(unexpected(doing, &other)),
    }
}

/// The entries of an `XREADGROUP`, by stream.
pub(crate) fn streams(
    doing: &'static str,
    value: Value,
    pending: bool,
) -> Result<Vec<StreamEntries>, StreamError> {
    let pairs: Vec<(Value, Value)> = match value {
        Value::Nil => Vec::new(),
        Value::Map(pairs) => pairs,
        Value::Array(items) => items
            .into_iter()
            .map(|item| match item {
                Value::Array(pair) => {
                    <[Value; 2]>::try_from(pair).map(|[a, b]| (a, b)).map_err(|_| shape(doing))
                }
                other => Err(unexpected(doing, &other)),
            })
            .collect::<Result<_, _>>()?,
        other => return Err(unexpected(doing, &other)),
    };
    pairs
        .into_iter()
        .map(|(name, value)| {
            let stream = text(&name).ok_or_else(|| shape(doing))?.to_owned();
            Ok(StreamEntries { stream, pending, entries: entries(doing, value)? })
        })
        .collect()
}

fn entry(doing: &'static str, value: Value) -> Result<Entry, StreamError> {
    let Value::Array(pair) = value else { return Err(unexpected(doing, &value)) };
    let [head, fields] = <[Value; 2]>::try_from(pair).map_err(|_| shape(doing))?;
    let id = id(&head).ok_or_else(|| shape(doing))?;
    let value = match fields {
        Value::Nil => EntryValue::Gone,
        fields => entry_value(doing, fields)?,
    };
    Ok(Entry { id, value })
}

fn entry_value(doing: &'static str, fields: Value) -> Result<EntryValue, StreamError> {
    let fields = fields.into_map_iter().map_err(|_| shape(doing))?;
    let mut fields = fields
        .map(|pair| match pair {
            (Value::BulkString(field), Value::BulkString(value)) => {
                Ok((Bytes::from(field), Bytes::from(value)))
            }
            _ => Err(shape(doing)),
        })
        .collect::<Result<Vec<_>, _>>()?;
    if fields.len() == 1 && fields[0].0 == RECORD_FIELD.as_bytes() {
        return Ok(EntryValue::Record(fields.swap_remove(0).1));
    }
    Ok(EntryValue::Flat(fields))
}
