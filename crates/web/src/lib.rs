//! The web page: its files, REST, and live data over one WebSocket; docs/web-api.md is its interface.
//!
//! What enters: requests of browsers and programs; the newest states of [`tickhouse_live`]; the tables, as a user who can only
//! read. What leaves: answers, bounded in rows, bytes and time. What never happens here: a write to Redis or `ClickHouse`; a text of a
//! browser in a statement; an answer to a page of another origin; anything that a slow or hostile client could hold up for others.

mod access;
mod assets;
mod fault;
mod gate;
mod limits;
mod live;
mod parameters;
mod rest;
mod session;
mod state;

pub use access::Access;
pub use limits::Limits;
pub use live::{Request, RequestError, read_request};
pub use state::{HealthText, Web, WebCounts, WebOptions};

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};
use std::sync::Arc;

/// Bytes of a body: no request has one.
const BODY_BYTES: usize = 4_096;

/// The paths and who answers them, so that a test can hold the description against them.
macro_rules! routes {
    ($($path:literal => $answers:expr;)*) => {
        /// Every path under `/v1`.
        #[cfg(test)]
        const PATHS: &[&str] = &[$($path),*];

        fn routes() -> Router<Arc<Web>> {
            Router::new()$(.route($path, $answers))*
        }
    };
}

routes! {
    "/v1/instruments" => get(rest::instruments::find);
    "/v1/instruments/{token}" => get(rest::instruments::one);
    "/v1/bars" => get(rest::prices::bars);
    "/v1/ticks" => get(rest::prices::ticks);
    "/v1/sparklines" => get(rest::prices::sparklines);
    "/v1/underlyings" => get(rest::chain::underlyings);
    "/v1/chain" => get(rest::chain::chain);
    "/v1/gaps" => get(rest::records::gaps);
    "/v1/coverage" => get(rest::records::coverage);
    "/v1/queries" => get(rest::named::list);
    "/v1/queries/{name}" => get(rest::named::ask);
    "/v1/health" => get(rest::records::health);
    "/v1/session" => post(session::open).delete(session::close);
    "/v1/live" => get(live::live);
    "/v1/openapi.json" => get(rest::description);
}

/// Every route, guarded; `beside` are those of the process itself (`/status`, `/healthz`, `/metrics`).
pub fn router(web: &Arc<Web>, beside: Router) -> Router {
    assets::prepare();
    routes()
        .method_not_allowed_fallback(assets::wrong_method)
        .fallback(assets::serve)
        .layer(DefaultBodyLimit::max(BODY_BYTES))
        .with_state(Arc::clone(web))
        .merge(beside)
        .layer(axum::middleware::from_fn_with_state(Arc::clone(&web.guard), access::guard))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    /// The parameters that a route names when it is asked for one that there is not.
    async fn known(web: &Arc<Web>, path: &str) -> Vec<String> {
        use tower_service::Service as _;

        let path = path.replace("{token}", "1").replace("{name}", "ohlc");
        let request =
            axum::extract::Request::builder().uri(format!("{path}?nothing=1")).header("host", "localhost");
        let request = request.body(axum::body::Body::empty()).unwrap();
        let answer = router(web, Router::new()).call(request).await.unwrap();
        let body = axum::body::to_bytes(answer.into_body(), 1 << 20).await.unwrap();
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        let message = body["error"]["message"].as_str().unwrap_or_default();
        let Some((_, expected)) = message.split_once("expected ") else { return Vec::new() };
        expected.split('`').skip(1).step_by(2).map(str::to_owned).collect()
    }

    #[tokio::test]
    async fn the_description_is_that_of_the_routes() {
        let described: Value = serde_json::from_str(rest::DESCRIPTION).unwrap();
        let paths = described["paths"].as_object().unwrap();
        let mut names: Vec<&str> = paths.keys().map(String::as_str).collect();
        let mut routes = PATHS.to_vec();
        names.sort_unstable();
        routes.sort_unstable();
        assert_eq!(names, routes);
        let web = state::tests::web();
        for (path, told) in paths {
            let told = told["get"]["parameters"].as_array().cloned().unwrap_or_default();
            let told = told.iter().filter(|one| one["in"] == "query");
            let mut told: Vec<String> = told.map(|one| one["name"].as_str().unwrap().to_owned()).collect();
            let mut known = known(&web, path).await;
            told.sort_unstable();
            known.sort_unstable();
            assert_eq!(told, known, "{path}");
        }
    }
}
