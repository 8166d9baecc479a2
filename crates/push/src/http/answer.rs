//! What a request is told when it is not accepted, and how often that happened.

use crate::{PushError, ReadError};
use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Seconds after which a request that found no place may come again.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("1");
const BEARER: HeaderValue = HeaderValue::from_static("Bearer");

/// Why a request was not accepted, as it is told.
#[derive(Debug, Serialize)]
pub(super) struct Failure {
    #[serde(skip)]
    pub(super) status: StatusCode,
    error: &'static str,
    message: String,
    /// Which tick of the request, from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    index: Option<usize>,
    /// Where, as in `[3].depth.buy[2].price`.
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    column: Option<usize>,
}

impl Failure {
    fn new(status: StatusCode, error: &'static str, message: impl Into<String>) -> Self {
        Self { status, error, message: message.into(), index: None, path: None, line: None, column: None }
    }

    pub(super) fn unauthorised() -> Self {
        let message = "send Authorization: Bearer and the token of the file push-token in the data directory";
        Self::new(StatusCode::UNAUTHORIZED, "unauthorised", message)
    }

    pub(super) fn unsupported(message: &str) -> Self {
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported", message)
    }

    pub(super) fn bad_query(message: String) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_query", message)
    }

    pub(super) fn malformed(message: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "malformed", message)
    }

    pub(super) fn too_large(limit: usize) -> Self {
        let message =
            format!("a body has at most {limit} bytes, unpacked: send the ticks in several requests");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", message)
    }

    pub(super) fn too_slow(limit: Duration) -> Self {
        Self::new(
            StatusCode::REQUEST_TIMEOUT,
            "too_slow",
            format!("the body did not arrive within {limit:?}"),
        )
    }

    pub(super) fn busy() -> Self {
        let message = "too many requests at once: push again in a moment";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", message)
    }

    pub(super) fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "the server failed: its log says how")
    }
}

impl From<ReadError> for Failure {
    fn from(error: ReadError) -> Self {
        let (line, column) = (Some(error.line), Some(error.column));
        let path = Some(error.path).filter(|path| !path.is_empty());
        Self { path, line, column, ..Self::malformed(&error.reason) }
    }
}

impl From<PushError> for Failure {
    fn from(error: PushError) -> Self {
        let message = error.to_string();
        let (status, code) = match error {
            PushError::Refused(refusal) => {
                let path = format!("[{}].{}", refusal.index, refusal.field);
                let failure = Self::new(StatusCode::BAD_REQUEST, "refused", refusal.reason);
                return Self { index: Some(refusal.index), path: Some(path), ..failure };
            }
            PushError::Count { .. } => (StatusCode::BAD_REQUEST, "malformed"),
            PushError::QueueFull => (StatusCode::SERVICE_UNAVAILABLE, "queue_full"),
            PushError::JournalFault(_) => (StatusCode::SERVICE_UNAVAILABLE, "journal_fault"),
            PushError::Closed => (StatusCode::SERVICE_UNAVAILABLE, "closed"),
            PushError::NotJournaled { .. } => (StatusCode::GATEWAY_TIMEOUT, "not_journaled"),
            PushError::Journal(_) | PushError::Stream(_) | PushError::Thread(_) => return Self::internal(),
        };
        Self::new(status, code, message)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let status = self.status;
        let mut response = (status, Json(self)).into_response();
        let headers = response.headers_mut();
        match status {
            StatusCode::UNAUTHORIZED => drop(headers.insert(header::WWW_AUTHENTICATE, BEARER)),
            StatusCode::SERVICE_UNAVAILABLE => drop(headers.insert(header::RETRY_AFTER, RETRY_AFTER)),
            _ => {}
        }
        response
    }
}

/// Counts requests by what became of them.
#[derive(Debug, Default)]
pub struct HttpCounters {
    accepted: AtomicU64,
    ticks: AtomicU64,
    refused: AtomicU64,
    unauthorised: AtomicU64,
    turned_away: AtomicU64,
    not_journaled: AtomicU64,
}

/// Requests since the process began, by what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct HttpCounts {
    /// Acknowledged.
    pub accepted: u64,
    /// Ticks of those.
    pub ticks: u64,
    /// Refused for what they are (400, 408, 413, 415).
    pub refused: u64,
    /// Without the token.
    pub unauthorised: u64,
    /// Turned away for lack of a place (503).
    pub turned_away: u64,
    /// Handed to the journal and not acknowledged (504).
    pub not_journaled: u64,
}

impl HttpCounters {
    pub(super) fn note_accepted(&self, ticks: usize) {
        self.accepted.fetch_add(1, Ordering::Relaxed);
        self.ticks.fetch_add(ticks as u64, Ordering::Relaxed);
    }

    pub(super) fn note(&self, status: StatusCode) {
        let counter = match status {
            StatusCode::UNAUTHORIZED => &self.unauthorised,
            StatusCode::SERVICE_UNAVAILABLE => &self.turned_away,
            StatusCode::GATEWAY_TIMEOUT => &self.not_journaled,
            _ => &self.refused,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// The counts so far.
    pub fn read(&self) -> HttpCounts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        HttpCounts {
            accepted: read(&self.accepted),
            ticks: read(&self.ticks),
            refused: read(&self.refused),
            unauthorised: read(&self.unauthorised),
            turned_away: read(&self.turned_away),
            not_journaled: read(&self.not_journaled),
        }
    }
}
