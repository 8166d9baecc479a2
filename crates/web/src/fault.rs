//! What goes wrong with a request, as its answer.
//!
//! What enters: errors of reading. What leaves: `{"error":{"code":…,"message":…}}` with a status. What never happens here: a server's
//! own words, which go to the log, in an answer.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use std::time::Duration;
use tickhouse_read::ReadError;

/// What is wrong with a request, and what to do.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    pub(crate) status: StatusCode,
    /// A word for programs.
    pub(crate) code: &'static str,
    /// For people.
    pub(crate) message: String,
    /// When to try again.
    retry_after: Option<Duration>,
}

impl Fault {
    pub(crate) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), retry_after: None }
    }

    pub(crate) fn bad(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }

    /// The same, and when to try again.
    pub(crate) fn retry_after(mut self, span: Duration) -> Self {
        self.retry_after = Some(span);
        self
    }

    pub(crate) fn busy() -> Self {
        let message = "too many questions at once: ask again in a moment";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", message).retry_after(Duration::from_secs(1))
    }

    pub(crate) fn too_slow(limit: Duration) -> Self {
        let message = format!("the answer took longer than {} s: ask for less", limit.as_secs());
        Self::new(StatusCode::GATEWAY_TIMEOUT, "too_slow", message)
    }

    pub(crate) fn too_large(most: usize) -> Self {
        let message = format!("the answer is larger than {} MiB: ask for less", most >> 20);
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", message)
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let body = json!({ "error": { "code": self.code, "message": self.message } });
        let mut response = (self.status, axum::Json(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(span) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(span.as_secs().max(1)));
        }
        response
    }
}

impl From<ReadError> for Fault {
    fn from(error: ReadError) -> Self {
        let (status, code) = match &error {
            ReadError::UnknownInstrument { .. } => (StatusCode::NOT_FOUND, "unknown_instrument"),
            ReadError::UnknownUnderlying { .. } => (StatusCode::NOT_FOUND, "unknown_underlying"),
            ReadError::NoExpiry { .. } => (StatusCode::NOT_FOUND, "no_expiry"),
            ReadError::NoTicks { .. } => (StatusCode::NOT_FOUND, "no_ticks"),
            ReadError::Ambiguous { .. } => (StatusCode::BAD_REQUEST, "ambiguous"),
            ReadError::Window(_) => (StatusCode::BAD_REQUEST, "bad_time"),
            ReadError::TooManyBars { .. } | ReadError::TooMany { .. } => {
                (StatusCode::PAYLOAD_TOO_LARGE, "too_much")
            }
            _ => return Self::of_server(&error),
        };
        Self::new(status, code, error.to_string())
    }
}

impl Fault {
    /// Nothing that the asker did.
    fn of_server(error: &ReadError) -> Self {
        tracing::warn!(error = format!("{error:#}"), "a question of the page failed");
        if matches!(error, ReadError::Refused { words } if words.contains("TIMEOUT_EXCEEDED")) {
            return Self::new(
                StatusCode::GATEWAY_TIMEOUT,
                "too_slow",
                "ClickHouse gave up after its time limit: ask for less",
            );
        }
        let message = match error {
            ReadError::Unreachable { .. } | ReadError::BrokenOff(_) => {
                "ClickHouse does not answer: it is asked again with the next request; `tickhouse status` says more"
            }
            _ => "ClickHouse could not answer: the log of `tickhouse serve` says why",
        };
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "no_answer", message).retry_after(Duration::from_secs(2))
    }
}
