//! Text messages of the server, read leniently: an unknown type or a missing `data` is no error.

use serde_json::Value;

/// What a server's text message says.
#[derive(Clone, Debug, PartialEq)]
pub enum TextMessage {
    /// `order`: an order postback, of orders placed anywhere by that user. The whole object.
    Order(Value),
    /// `error`: e.g. `Can't subscribe to more than 3000 instruments.`
    Error(String),
    /// `message`: an alert of the broker.
    Message(String),
    /// `instruments_meta`: sent on connect; changes with the daily instruments master.
    InstrumentsMeta {
        /// Instruments in the master.
        count: Option<u64>,
        /// Entity tag of the master.
        etag: Option<String>,
    },
    /// `app_code`: sent on connect, has a top-level `timestamp` and no `data`.
    AppCode {
        /// RFC 3339.
        timestamp: Option<String>,
    },
    /// Anything else, whole.
    Other(Value),
    /// No JSON at all.
    NotJson,
}

impl TextMessage {
    /// Reads a message; never fails.
    pub fn parse(text: &str) -> Self {
        let Ok(mut message) = serde_json::from_str::<Value>(text) else { return Self::NotJson };
        let kind = message.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
        let data = message.get_mut("data").map(Value::take);
        match (kind.as_str(), data) {
            ("order", Some(data)) => Self::Order(data),
            ("error", Some(data)) => Self::Error(plain(&data)),
            ("message", Some(data)) => Self::Message(plain(&data)),
            ("instruments_meta", data) => {
                let data = data.unwrap_or_default();
                Self::InstrumentsMeta {
                    count: data.get("count").and_then(Value::as_u64),
                    etag: data.get("etag").and_then(Value::as_str).map(str::to_owned),
                }
            }
            ("app_code", _) => Self::AppCode {
                timestamp: message.get("timestamp").and_then(Value::as_str).map(str::to_owned),
            },
            (_, data) => {
                if let (Some(data), Some(object)) = (data, message.as_object_mut()) {
                    object.insert("data".to_owned(), data);
                }
                Self::Other(message)
            }
        }
    }

    /// The word of the `type` field, or `other` or `not_json`: a small closed set, fit for a counter.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Order(_) => "order",
            Self::Error(_) => "error",
            Self::Message(_) => "message",
            Self::InstrumentsMeta { .. } => "instruments_meta",
            Self::AppCode { .. } => "app_code",
            Self::Other(_) => "other",
            Self::NotJson => "not_json",
        }
    }

    /// Whether this is the refusal of tokens beyond a socket's limit. The socket and its other tokens go on.
    pub fn is_over_limit(&self) -> bool {
        matches!(self, Self::Error(text) if text.contains("more than") && text.contains("instruments"))
    }
}

fn plain(data: &Value) -> String {
    data.as_str().map_or_else(|| data.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_two_messages_of_a_new_connection() {
        let meta = r#"{"type":"instruments_meta","data":{"count":86481,"etag":"W/\"68907d60-55bf\""}}"#;
        assert_eq!(
            TextMessage::parse(meta),
            TextMessage::InstrumentsMeta {
                count: Some(86_481),
                etag: Some("W/\"68907d60-55bf\"".to_owned())
            }
        );
        let code = r#"{"type":"app_code","timestamp":"2025-08-04T13:50:28+05:30"}"#;
        assert_eq!(
            TextMessage::parse(code),
            TextMessage::AppCode { timestamp: Some("2025-08-04T13:50:28+05:30".to_owned()) }
        );
    }

    #[test]
    fn the_limit_is_told_from_other_errors() {
        let limit = r#"{"type":"error","data":"Can't subscribe to more than 3000 instruments."}"#;
        assert!(TextMessage::parse(limit).is_over_limit());
        assert!(!TextMessage::parse(r#"{"type":"error","data":"Invalid token"}"#).is_over_limit());
    }

    #[test]
    fn what_is_not_known_is_kept_whole() {
        let odd = r#"{"type":"surprise","data":[1]}"#;
        let TextMessage::Other(value) = TextMessage::parse(odd) else { panic!("not other") };
        assert_eq!(value.to_string(), r#"{"data":[1],"type":"surprise"}"#);
        for (text, kind) in
            [("{}", "other"), ("7", "other"), ("{\"type\":\"order\"}", "other"), ("{", "not_json")]
        {
            assert_eq!(TextMessage::parse(text).kind(), kind, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_never_panics(text in ".{0,200}") {
            TextMessage::parse(&text).is_over_limit();
        }
    }
}
