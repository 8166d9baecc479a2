//! What a client sends: JSON text with an action `a` and a value `v`.

use serde::Deserialize;
use serde_json::{Value, json};
use tickhouse_model::{Mode, Token};

/// A client's message. Kite acknowledges none of them; a snapshot packet per token is the only answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Adds tokens, in [`Mode::Quote`].
    Subscribe(Vec<Token>),
    /// Removes tokens.
    Unsubscribe(Vec<Token>),
    /// Sets the mode of tokens.
    Mode(Mode, Vec<Token>),
}

/// Why a text is no request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no request of Kite's: {0}")]
pub struct RequestError(String);

impl Request {
    /// The text on the wire. Tokens are numbers: Kite accepts strings silently and sends nothing for them.
    pub fn to_json(&self) -> String {
        match self {
            Self::Subscribe(tokens) => json!({"a": "subscribe", "v": tokens}),
            Self::Unsubscribe(tokens) => json!({"a": "unsubscribe", "v": tokens}),
            Self::Mode(mode, tokens) => json!({"a": "mode", "v": [mode, tokens]}),
        }
        .to_string()
    }

    /// Reads a client's message as Kite does: what is not a number that fits a token is passed over.
    ///
    /// # Errors
    /// When the text is not JSON of this form.
    pub fn parse(text: &str) -> Result<Self, RequestError> {
        #[derive(Deserialize)]
        struct Raw {
            a: String,
            v: Value,
        }
        let raw: Raw = serde_json::from_str(text).map_err(|error| RequestError(error.to_string()))?;
        match raw.a.as_str() {
            "subscribe" => Ok(Self::Subscribe(tokens_of(&raw.v)?)),
            "unsubscribe" => Ok(Self::Unsubscribe(tokens_of(&raw.v)?)),
            "mode" => {
                let mode = raw.v.get(0).and_then(Value::as_str).unwrap_or_default();
                let mode = mode.parse().map_err(RequestError)?;
                Ok(Self::Mode(mode, tokens_of(raw.v.get(1).unwrap_or(&Value::Null))?))
            }
            other => Err(RequestError(format!("action `{other}` is not known"))),
        }
    }
}

fn tokens_of(value: &Value) -> Result<Vec<Token>, RequestError> {
    let list = value.as_array().ok_or_else(|| RequestError("no list of tokens".to_owned()))?;
    let token = |value: &Value| value.as_u64().and_then(|number| u32::try_from(number).ok()).map(Token);
    Ok(list.iter().filter_map(token).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn texts_are_those_of_the_documents() {
        let tokens = || vec![Token(408_065), Token(884_737)];
        assert_eq!(Request::Subscribe(tokens()).to_json(), r#"{"a":"subscribe","v":[408065,884737]}"#);
        assert_eq!(
            Request::Mode(Mode::Full, tokens()).to_json(),
            r#"{"a":"mode","v":["full",[408065,884737]]}"#
        );
    }

    #[test]
    fn a_token_as_text_is_passed_over_as_kite_does() {
        let parsed = Request::parse(r#"{"a":"subscribe","v":["408065",-1,5633,1e99]}"#);
        assert_eq!(parsed, Ok(Request::Subscribe(vec![Token(5_633)])));
    }

    proptest! {
        #[test]
        fn parses_what_it_writes(tokens in prop::collection::vec(any::<u32>(), 0..20), kind in 0..5) {
            let tokens: Vec<_> = tokens.into_iter().map(Token).collect();
            let request = match kind {
                0 => Request::Subscribe(tokens),
                1 => Request::Unsubscribe(tokens),
                2 => Request::Mode(Mode::Ltp, tokens),
                3 => Request::Mode(Mode::Quote, tokens),
                _ => Request::Mode(Mode::Full, tokens),
            };
            prop_assert_eq!(Request::parse(&request.to_json()), Ok(request));
        }

        #[test]
        fn any_text_never_panics(text in ".{0,200}") {
            drop(Request::parse(&text));
        }
    }
}
