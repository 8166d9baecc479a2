//! The routes: WebSocket and REST on one port.

use crate::access::Refusal;
use crate::connection::Connection;
use crate::listener::{Linger, Listener};
use crate::rest::{self, KiteError};
use crate::shared::Shared;
use axum::Router;
use axum::extract::ws::{WebSocketUpgrade, rejection::WebSocketUpgradeRejection};
use axum::extract::{ConnectInfo, Query, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use rustc_hash::FxHashMap;
use std::sync::Arc;
use tokio::net::TcpListener;

/// Serves until the future is dropped.
pub(crate) async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let router = Router::new()
        .route("/", get(upgrade))
        .route("/ws", get(upgrade))
        .with_state(Arc::clone(&shared))
        .merge(rest::router(shared));
    let service = router.into_make_service_with_connect_info::<Linger>();
    if let Err(error) = axum::serve(Listener(listener), service).await {
        tracing::error!(%error, "the simulator's server ended");
    }
}

/// Kite's handshake: key and token stand in the query; 403 for a bad token, 429 for too many connections.
async fn upgrade(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(linger): ConnectInfo<Linger>,
    Query(query): Query<FxHashMap<String, String>>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    let Ok(upgrade) = upgrade else {
        return KiteError::input("This is a WebSocket endpoint.").into_response();
    };
    let given = |name: &str| query.get(name).map_or("", String::as_str);
    match shared.access.take_seat(given("api_key"), given("access_token")) {
        Ok(seat) => upgrade.on_upgrade(move |socket| Connection::run(shared, seat, linger, socket)),
        Err(refusal) => {
            shared.tally.handshakes_refused.add(1);
            match refusal {
                Refusal::Token => KiteError::token(),
                Refusal::Limit => KiteError::too_many(),
            }
            .into_response()
        }
    }
}
