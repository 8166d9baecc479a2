//! REST under `/v1`: questions and their answers as JSON.
//!
//! What enters: parameters in the address. What leaves: bounded answers. What never happens here: a write, a text of a browser in a
//! statement.

pub(crate) mod chain;
pub(crate) mod instruments;
pub(crate) mod named;
pub(crate) mod prices;
pub(crate) mod records;

use crate::fault::Fault;
use crate::state::Web;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tickhouse_read::{Format, Statement};

/// What a route gives.
pub(crate) type Answer = Result<Response, Fault>;

/// What can be asked, for machines. Kept by hand: a test holds it against the routes, another against their answers.
pub(crate) const DESCRIPTION: &str = include_str!("openapi.json");

/// `GET /v1/openapi.json`
pub(crate) async fn description() -> Answer {
    Ok(of_text(DESCRIPTION.as_bytes().to_vec()))
}

/// A value as JSON that nobody keeps.
fn json(value: &impl Serialize) -> Answer {
    let text = serde_json::to_vec(value).map_err(|error| {
        tracing::error!(%error, "an answer can't be written");
        Fault::new(axum::http::StatusCode::SERVICE_UNAVAILABLE, "no_answer", "the answer can't be written")
    })?;
    Ok(of_text(text))
}

fn of_text(text: Vec<u8>) -> Response {
    let mut response = text.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

impl Web {
    /// The rows of a statement as `{"<name>":[…]}`, as the server writes them.
    async fn rows(&self, name: &str, statement: &Statement) -> Result<Response, Fault> {
        let most = self.limits.answer_bytes;
        let mut stream = self.reader.stream(statement, Format::Ndjson).await?;
        let mut text = format!("{{\"{name}\":[").into_bytes();
        while let Some(chunk) = stream.next().await? {
            if text.len() + chunk.len() > most {
                return Err(Fault::too_large(most));
            }
            text.extend(chunk.iter().map(|byte| if *byte == b'\n' { b',' } else { *byte }));
        }
        if text.ends_with(b",") {
            text.pop();
        }
        text.extend_from_slice(b"]}");
        Ok(of_text(text))
    }
}
