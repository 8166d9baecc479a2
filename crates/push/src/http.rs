//! `POST /v1/ticks`: pushes over HTTP.
//!
//! What enters: requests with a bearer token, whose body is ticks. What leaves: `200` with a [`Receipt`](crate::Receipt) once they
//! are journaled, or a precise refusal. What never happens here: a body that is read before its token was seen, more than
//! [`HttpOptions::in_flight`] bodies in memory, a panic on any bytes, an answer to another origin's script (no CORS).
//!
//! | status | `error` | the ticks |
//! |---|---|---|
//! | 200 | | are journaled, all of them |
//! | 400 | `malformed`, `refused`, `bad_query` | are not stored: `message` says what is wrong, `path` where |
//! | 401 | `unauthorised` | are not read |
//! | 408, 413, 415 | `too_slow`, `too_large`, `unsupported` | are not stored |
//! | 503 | `busy`, `queue_full`, `journal_fault`, `closed` | are not stored: push them again after `Retry-After` |
//! | 504 | `not_journaled` | are in the queue of a journal that stands still: they may be stored |

mod answer;
mod body;

pub use answer::{HttpCounters, HttpCounts};

use crate::{Dialect, Format, PushError, Pusher, Source, Token, encode, read, zone};
use answer::Failure;
use axum::Router;
use axum::extract::{DefaultBodyLimit, Query, Request, State};
use axum::http::{HeaderMap, Uri, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use body::Encoding;
use serde::Deserialize;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What can be set about the HTTP interface.
#[derive(Clone, Debug)]
pub struct HttpOptions {
    /// What pushes must carry.
    pub token: Token,
    /// Requests whose body is in memory at once; another is turned away with 503.
    pub in_flight: usize,
    /// Bytes of a body, as sent and unpacked.
    pub body_bytes: usize,
    /// How long a body may take to arrive.
    pub body_time: Duration,
    /// How long the journal may take.
    pub journal_time: Duration,
}

impl HttpOptions {
    /// The defaults: 32 requests of 4 MiB, 10 s each to arrive and to be journaled.
    pub const fn with_token(token: Token) -> Self {
        Self {
            token,
            in_flight: 32,
            body_bytes: 4 << 20,
            body_time: Duration::from_secs(10),
            journal_time: Duration::from_secs(10),
        }
    }
}

struct Endpoint {
    pusher: Arc<Pusher>,
    options: HttpOptions,
    places: Arc<Semaphore>,
    counters: Arc<HttpCounters>,
}

/// The route, and its counters.
pub fn router(pusher: Arc<Pusher>, options: HttpOptions) -> (Router, Arc<HttpCounters>) {
    let counters = Arc::new(HttpCounters::default());
    let places = Arc::new(Semaphore::new(options.in_flight));
    let endpoint = Endpoint { pusher, options, places, counters: Arc::clone(&counters) };
    let router = Router::new()
        .route("/v1/ticks", post(push))
        // the body is read here, with a limit of its own
        .layer(DefaultBodyLimit::disable())
        .with_state(Arc::new(endpoint));
    (router, counters)
}

async fn push(State(endpoint): State<Arc<Endpoint>>, request: Request) -> Response {
    match endpoint.take(request).await {
        Ok(receipt) => {
            endpoint.counters.note_accepted(receipt.accepted);
            axum::Json(receipt).into_response()
        }
        Err(failure) => {
            endpoint.counters.note(failure.status);
            failure.into_response()
        }
    }
}

impl Endpoint {
    async fn take(&self, request: Request) -> Result<crate::Receipt, Failure> {
        self.authorise(request.headers())?;
        let form = Form::of(request.headers(), request.uri())?;
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| Failure::busy())?;
        if let Some(fault) = self.pusher.fault() {
            return Err(PushError::JournalFault(fault).into());
        }
        let (limit, time) = (self.options.body_bytes, self.options.body_time);
        let packed = body::receive(request, limit, time).await?;
        let work = move || message(packed, &form, limit, place);
        let (message, place) = tokio::task::spawn_blocking(work).await.map_err(|_| Failure::internal())??;
        let receipt = self.pusher.submit_message(message)?;
        let waited = self.options.journal_time;
        let journaled = tokio::time::timeout(waited, self.pusher.journaled(&receipt)).await;
        drop(place);
        journaled.map_err(|_| PushError::NotJournaled { waited })??;
        Ok(receipt)
    }

    fn authorise(&self, headers: &HeaderMap) -> Result<(), Failure> {
        let mut given = headers.get_all(header::AUTHORIZATION).iter();
        let bearer = given.next().and_then(|value| {
            let (scheme, token) = value.as_bytes().split_at_checked("Bearer ".len())?;
            scheme.eq_ignore_ascii_case(b"Bearer ").then_some(token)
        });
        match bearer {
            Some(token) if given.next().is_none() && self.options.token.is(token) => Ok(()),
            _ => Err(Failure::unauthorised()),
        }
    }
}

/// What a request says about its body.
struct Form {
    format: Format,
    encoding: Encoding,
    dialect: Dialect,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    source: Option<String>,
    zone: Option<String>,
}

impl Form {
    fn of(headers: &HeaderMap, uri: &Uri) -> Result<Self, Failure> {
        let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or("?").to_ascii_lowercase());
        let content_type = text(header::CONTENT_TYPE).unwrap_or_default();
        let format = match content_type.split(';').next().unwrap_or_default().trim() {
            "application/json" => Format::Json,
            "application/x-ndjson" | "application/ndjson" | "application/jsonl" => Format::Lines,
            _ => {
                return Err(Failure::unsupported(
                    "send Content-Type: application/json or application/x-ndjson",
                ));
            }
        };
        let encoding = match text(header::CONTENT_ENCODING).as_deref() {
            None | Some("identity") => Encoding::Plain,
            Some("gzip") => Encoding::Gzip,
            Some(_) => return Err(Failure::unsupported("send Content-Encoding: gzip, or none")),
        };
        let Query(parameters) = Query::<Parameters>::try_from_uri(uri)
            .map_err(|_| Failure::bad_query("the parameters are source and zone, each once".to_owned()))?;
        let bad = |error: crate::SourceError| Failure::bad_query(error.to_string());
        let mut dialect = Dialect::default();
        if let Some(source) = parameters.source {
            dialect.source = source.parse::<Source>().map_err(bad)?;
        }
        if let Some(name) = parameters.zone {
            dialect.zone = zone(&name).map_err(bad)?;
        }
        Ok(Self { format, encoding, dialect })
    }
}

/// From bytes to packets, on a thread that may be busy. The place goes with it: a client that hangs up frees it only when its
/// body is gone.
fn message(
    packed: Vec<u8>,
    form: &Form,
    limit: usize,
    place: OwnedSemaphorePermit,
) -> Result<(crate::PushedMessage, OwnedSemaphorePermit), Failure> {
    let text = body::unpack(packed, form.encoding, limit)?;
    let ticks = read(&text, form.format)?;
    drop(text);
    Ok((encode(&ticks, &form.dialect)?, place))
}
