//! Parameters of a request.

use crate::fault::Fault;
use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

/// Parameters in the address; what is unknown, missing or of another type is a fault.
#[derive(Debug)]
pub(crate) struct Parameters<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Sync> FromRequestParts<S> for Parameters<T> {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Fault> {
        match Query::try_from_uri(&parts.uri) {
            Ok(Query(parameters)) => Ok(Self(parameters)),
            Err(error) => {
                let text =
                    std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
                Err(Fault::bad("bad_parameter", format!("{text}: /v1/openapi.json lists what can be asked")))
            }
        }
    }
}

/// A number of rows: the usual one, or what was asked for up to the most.
pub(crate) fn limit(asked: Option<u64>, usual: u64, most: u64) -> Result<u64, Fault> {
    match asked.unwrap_or(usual) {
        0 => Err(Fault::bad("bad_parameter", "limit must be at least 1")),
        limit if limit > most => {
            Err(Fault::bad("bad_parameter", format!("limit is {limit}: at most {most} are given at once")))
        }
        limit => Ok(limit),
    }
}

/// Tokens between commas.
pub(crate) fn tokens(text: &str, most: usize) -> Result<Vec<u32>, Fault> {
    let mut tokens = Vec::new();
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        if tokens.len() == most {
            return Err(Fault::bad("too_many_instruments", format!("at most {most} instruments at once")));
        }
        let token = part.parse().map_err(|_| {
            let shown: String = part.chars().take(40).collect();
            Fault::bad("bad_parameter", format!("{shown:?} is no instrument_token: /v1/instruments finds it"))
        })?;
        tokens.push(token);
    }
    Ok(tokens)
}
