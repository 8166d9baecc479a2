//! Kite's REST, as far as market data and login go, and the simulator's own controls under `/sim`.
//!
//! What enters: requests in Kite's form. What leaves: answers in Kite's envelope, errors with Kite's `error_type`.
//!
//! | call | answer |
//! |---|---|
//! | `POST /session/token`, `DELETE /session/token` | login, logout |
//! | `GET /connect/login?api_key=…[&redirect=URL]` | a request token, by redirect or as text |
//! | `GET /user/profile` | the user |
//! | `GET /instruments`, `/instruments/{exchange}` | the master, gzipped CSV, public |
//! | `GET /instruments/historical/{token}/{interval}` | candles |
//! | `GET /quote`, `/quote/ohlc`, `/quote/ltp` | last values |
//! | `POST /sim/pause`, `/sim/resume`, `GET /sim/counters` | the market's tap; pause returns after the last data frame |
//! | `POST /sim/order`, `/sim/message` | an order postback (JSON merged into a complete one) or a broker's text to all |

mod control;
mod history;
mod limits;
mod master;
mod quotes;
mod session;

use crate::shared::Shared;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use limits::Limits;
use serde::Serialize;
use serde_json::json;
use std::sync::Arc;

/// An error in Kite's form.
#[derive(Clone, Debug)]
pub(crate) struct KiteError {
    status: StatusCode,
    error_type: &'static str,
    message: String,
}

impl KiteError {
    fn new(status: StatusCode, error_type: &'static str, message: impl Into<String>) -> Self {
        Self { status, error_type, message: message.into() }
    }

    /// 400: the request makes no sense.
    pub(crate) fn input(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "InputException", message)
    }

    /// 403: bad or expired credentials.
    pub(crate) fn token() -> Self {
        Self::new(StatusCode::FORBIDDEN, "TokenException", "Incorrect `api_key` or `access_token`.")
    }

    /// 429.
    pub(crate) fn too_many() -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, "NetworkException", "Too many requests")
    }

    /// 503: the market's thread does not answer.
    fn closed() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "NetworkException", "The exchange has closed.")
    }
}

impl IntoResponse for KiteError {
    fn into_response(self) -> Response {
        let body =
            json!({"status": "error", "message": self.message, "data": null, "error_type": self.error_type});
        (self.status, Json(body)).into_response()
    }
}

/// An answer in Kite's envelope.
type Answer = Result<Response, KiteError>;

fn success(data: impl Serialize) -> Response {
    Json(json!({"status": "success", "data": data})).into_response()
}

/// All routes of REST.
pub(crate) fn router(shared: Arc<Shared>) -> Router {
    let limits = Arc::new(Limits::default());
    let private = Router::new()
        .route("/user/profile", get(session::profile))
        .route("/instruments/historical/{token}/{interval}", get(history::candles))
        .route("/quote", get(quotes::full))
        .route("/quote/ohlc", get(quotes::ohlc))
        .route("/quote/ltp", get(quotes::ltp))
        .layer(middleware::from_fn_with_state((Arc::clone(&shared), limits), admit));
    Router::new()
        .route("/connect/login", get(session::login_page))
        .route("/session/token", post(session::log_in).delete(session::log_out))
        .route("/instruments", get(master::all))
        .route("/instruments/{exchange}", get(master::of_exchange))
        .merge(private)
        .route("/sim/pause", post(control::pause))
        .route("/sim/resume", post(control::resume))
        .route("/sim/counters", get(control::counters))
        .route("/sim/order", post(control::order))
        .route("/sim/message", post(control::message))
        .fallback(|| async { KiteError::new(StatusCode::NOT_FOUND, "GeneralException", "Route not found") })
        .method_not_allowed_fallback(|| async {
            KiteError::new(StatusCode::METHOD_NOT_ALLOWED, "GeneralException", "Method not allowed")
        })
        .layer(middleware::from_fn_with_state(Arc::clone(&shared), count))
        .with_state(shared)
}

async fn count(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    shared.tally.rest_requests.add(1);
    next.run(request).await
}

/// `Authorization: token api_key:access_token`, and the request rates where they are enforced.
async fn admit(
    State((shared, limits)): State<(Arc<Shared>, Arc<Limits>)>,
    request: Request,
    next: Next,
) -> Result<Response, KiteError> {
    let (api_key, access_token) = authorization(request.headers()).ok_or_else(KiteError::token)?;
    shared.access.check(api_key, access_token).map_err(|_| KiteError::token())?;
    if shared.rate_limits && !limits.admit(api_key, request.uri().path()) {
        return Err(KiteError::too_many());
    }
    Ok(next.run(request).await)
}

fn authorization(headers: &HeaderMap) -> Option<(&str, &str)> {
    headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("token ")?.split_once(':')
}
