//! `/v1/live`: live data over one WebSocket.
//!
//! What enters: what a browser wants to see. What leaves: at its pace, the newest state of what it watches, and the ticks of what it
//! looks at closely. What never happens here: a queue of messages; two messages of quotes within [`Limits::pace`]; memory that grows
//! with what a client does not take.
//!
//! A client that does not read makes its task wait in one write, with one message; meanwhile states change in the market, and the
//! next message holds the newest ones. After [`Limits::stall`] it is closed.

mod client;
mod request;
mod viewers;
mod write;

pub(crate) use viewers::Viewers;

use crate::fault::Fault;
use crate::limits::Limits;
use crate::state::Web;
use axum::extract::State;
use axum::extract::ws::WebSocketUpgrade;
use axum::http::StatusCode;
use axum::response::Response;
use std::sync::Arc;

pub use request::{Request, RequestError, read_request};

/// The version of the messages.
pub(crate) const PROTOCOL: u32 = 1;

/// The upgrade.
pub(crate) async fn live(
    State(web): State<Arc<Web>>,
    upgrade: Result<WebSocketUpgrade, axum::extract::ws::rejection::WebSocketUpgradeRejection>,
) -> Result<Response, Fault> {
    let upgrade = upgrade.map_err(|rejection| {
        Fault::bad("no_websocket", format!("this is a WebSocket: {}", rejection.body_text()))
    })?;
    let Some(place) = web.viewers.enter() else {
        let message = format!("{} pages look on already: close one", web.limits.viewers);
        return Err(Fault::new(StatusCode::SERVICE_UNAVAILABLE, "too_many_clients", message));
    };
    let Limits { message_bytes, .. } = web.limits;
    let upgrade = upgrade.max_message_size(message_bytes).max_frame_size(message_bytes).write_buffer_size(0);
    Ok(upgrade.on_upgrade(move |socket| client::serve(web, socket, place)))
}
