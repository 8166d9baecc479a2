//! One JSON line to the fields of an entry.

use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tickhouse_stream::{FlatError, FlatIndex, FlatNews};

/// What lines hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Published {
    /// News items.
    News,
    /// Index values.
    Indices,
}

/// Why a line is no item.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LineError {
    /// No JSON.
    #[error("no JSON: {0}")]
    Json(String),
    /// JSON, but no object.
    #[error("a JSON object such as {{\"title\": …}} is expected")]
    NoObject,
    /// Fields that do not fit.
    #[error(transparent)]
    Field(#[from] FlatError),
    /// More bytes than a line may have.
    #[error("the line is longer than {limit} bytes")]
    TooLong {
        /// Bytes that a line may have.
        limit: usize,
    },
    /// Bytes that are no text.
    #[error("the line is no UTF-8")]
    NoText,
}

/// An item of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// What tells a news item from others; empty for index values.
    pub identity: String,
    /// Fields and values of its entry.
    pub fields: Vec<(&'static str, String)>,
}

/// Reads a line: an object whose fields are called as the table's columns. Lists may be JSON lists or text, numbers may be
/// text, times any of the forms of flat entries; other fields are passed over.
///
/// # Errors
/// When it is no such object; the first field that does not fit is named.
pub fn read_line(line: &str, kind: Published) -> Result<Item, LineError> {
    let value: Value = serde_json::from_str(line).map_err(|error| LineError::Json(error.to_string()))?;
    let Value::Object(object) = value else { return Err(LineError::NoObject) };
    let fields = object.into_iter().map(|(field, value)| (field, text_of(value)));
    match kind {
        Published::News => Ok(item_of(&FlatNews::from_fields(fields)?)),
        Published::Indices => {
            Ok(Item { identity: String::new(), fields: FlatIndex::from_fields(fields)?.to_fields() })
        }
    }
}

/// The entry of a news item.
pub(crate) fn item_of(news: &FlatNews) -> Item {
    let mut digest = Sha256::new();
    digest.update(news.source.as_bytes());
    digest.update([0]);
    digest.update(news.identity().as_bytes());
    Item { identity: hex::encode(&digest.finalize()[..16]), fields: news.to_fields() }
}

/// A value as the text of a field.
fn text_of(value: Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text,
        // a list stays JSON, so that an item may hold a comma
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn field(item: &Item, name: &str) -> String {
        item.fields.iter().find(|(field, _)| *field == name).map(|(_, value)| value.clone()).unwrap()
    }

    #[test]
    fn lists_numbers_and_nothing_come_in_many_forms() {
        let line = r#"{"id": 17, "title": "T", "symbols": ["INFY", "M&M"], "categories": "a, b", "sentiment": "-0.25",
            "sentiment_confidence": null, "published_at": 1795149900, "more": {"x": 1}}"#;
        let item = read_line(line, Published::News).unwrap();
        assert_eq!(field(&item, "id"), "17");
        assert_eq!(field(&item, "symbols"), r#"["INFY","M&M"]"#);
        assert_eq!(field(&item, "categories"), r#"["a","b"]"#);
        assert_eq!(
            (field(&item, "sentiment"), field(&item, "sentiment_confidence")),
            ("-0.25".into(), "0".into())
        );
        assert_eq!(field(&item, "published_at"), "2026-11-20T10:15:00.000000+05:30");
        let index = r#"{"symbol": "NIFTY", "last_price": 24000.05, "close": 24080, "volume": 0}"#;
        assert_eq!(field(&read_line(index, Published::Indices).unwrap(), "last_price"), "24000.05");
    }

    #[test]
    fn items_are_told_apart_by_source_and_id() {
        let identity = |line| read_line(line, Published::News).unwrap().identity;
        let one = identity(r#"{"source": "a", "id": "1", "title": "x"}"#);
        assert_eq!(one, identity(r#"{"id": "1", "source": "a", "title": "changed"}"#));
        assert_ne!(one, identity(r#"{"source": "b", "id": "1", "title": "x"}"#));
        assert_ne!(one, identity(r#"{"source": "a", "title": "x"}"#));
    }

    #[test]
    fn what_is_no_item_says_why() {
        let text = |line| read_line(line, Published::News).unwrap_err().to_string();
        assert!(text("{\"title\": ").starts_with("no JSON"));
        assert!(text("[]").contains("object"));
        assert_eq!(text("{}"), "the entry has no title");
        assert!(text(r#"{"title": "t", "sentiment": 3}"#).contains("sentiment"));
    }

    proptest! {
        #[test]
        fn any_line_is_an_item_or_an_error(line in any::<String>()) {
            drop(read_line(&line, Published::News));
            drop(read_line(&line, Published::Indices));
        }
    }
}
