//! What a client says.
//!
//! What enters: a text of anybody. What leaves: what it wants, or what is wrong with it. What never happens here: a panic, more than
//! the allowed number of instruments in memory.

use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::fmt;

/// What a client wants; each replaces the one before of its kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// The newest state of these, then what changes.
    Watch(Vec<u32>),
    /// Every tick of this one, or of none.
    Focus(Option<u32>),
    /// Health every second, or not.
    Health(bool),
}

/// What is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// Not what the documents say.
    #[error("{0}: docs/web-api.md lists what can be said")]
    Malformed(String),
    /// More than are allowed.
    #[error("at most {most} instruments can be watched")]
    TooManyInstruments {
        /// How many are.
        most: usize,
    },
}

impl RequestError {
    /// For programs.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "bad_message",
            Self::TooManyInstruments { .. } => "too_many_instruments",
        }
    }
}

#[derive(Deserialize)]
#[serde(tag = "op", rename_all = "lowercase", deny_unknown_fields)]
enum Said {
    Watch {
        instruments: Tokens,
    },
    // the field must be there: null is an answer, nothing is none
    Focus {
        #[serde(deserialize_with = "Option::deserialize")]
        instrument: Option<u32>,
    },
    Health {
        on: bool,
    },
}

/// As many tokens as there may be at the very most, and how many there were.
struct Tokens {
    first: Vec<u32>,
    count: usize,
}

/// More than anybody may watch.
const HELD: usize = 4_096;

impl<'de> Deserialize<'de> for Tokens {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Counting;

        impl<'de> Visitor<'de> for Counting {
            type Value = Tokens;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of instrument tokens")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut tokens: A) -> Result<Tokens, A::Error> {
                let mut found = Tokens { first: Vec::new(), count: 0 };
                while let Some(token) = tokens.next_element()? {
                    found.count += 1;
                    if found.first.len() < HELD {
                        found.first.push(token);
                    }
                }
                Ok(found)
            }
        }

        deserializer.deserialize_seq(Counting)
    }
}

/// What a text says, of which `most` instruments may be watched.
///
/// # Errors
/// When it is none of the documented messages, or names too many.
pub fn read_request(text: &str, most: usize) -> Result<Request, RequestError> {
    let said = serde_json::from_str(text).map_err(|error| RequestError::Malformed(error.to_string()))?;
    Ok(match said {
        Said::Watch { instruments } if instruments.count > most.min(HELD) => {
            return Err(RequestError::TooManyInstruments { most: most.min(HELD) });
        }
        Said::Watch { instruments } => Request::Watch(instruments.first),
        Said::Focus { instrument } => Request::Focus(instrument),
        Said::Health { on } => Request::Health(on),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_documents_say() {
        let read = |text| read_request(text, 1_000).unwrap();
        let watch = r#"{"op":"watch","instruments":[256265,408065]}"#;
        assert_eq!(read(watch), Request::Watch(vec![256_265, 408_065]));
        assert_eq!(read(r#"{"instrument":408065,"op":"focus"}"#), Request::Focus(Some(408_065)));
        assert_eq!(read(r#"{"op":"focus","instrument":null}"#), Request::Focus(None));
        assert_eq!(read(r#"{"op":"health","on":true}"#), Request::Health(true));
    }

    #[test]
    fn anything_else_is_refused_with_words() {
        let code = |text: &str| read_request(text, 1_000).map_err(|error| error.code());
        let bad = [
            "",
            "{",
            "[]",
            "null",
            r#"{"op":"watch"}"#,
            r#"{"op":"focus"}"#,
            r#"{"op":"health","on":1}"#,
            r#"{"op":"watch","instruments":[-1]}"#,
            r#"{"op":"watch","instruments":[4294967296]}"#,
            r#"{"op":"watch","instruments":[1.5]}"#,
            r#"{"op":"watch","instruments":{"0":1}}"#,
            r#"{"op":"drop","table":"tick_data"}"#,
            r#"{"op":"focus","instrument":1,"sql":"SELECT 1"}"#,
        ];
        for text in bad {
            assert_eq!(code(text), Err("bad_message"), "{text}");
        }
        let deep = format!("{}1{}", "[".repeat(200_000), "]".repeat(200_000));
        assert_eq!(code(&deep), Err("bad_message"));
        let many: Vec<String> = (0..100_000).map(|token: u32| token.to_string()).collect();
        let many = format!(r#"{{"op":"watch","instruments":[{}]}}"#, many.join(","));
        assert_eq!(code(&many), Err("too_many_instruments"));
    }
}
