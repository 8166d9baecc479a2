//! `/sim`: what a supervisor or a test asks of the simulator, not of Kite.

use super::{Answer, KiteError, success};
use crate::floor::Command;
use crate::shared::Shared;
use axum::body::Bytes;
use axum::extract::State;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// How long `POST /sim/pause` waits for clients that do not read.
const DRAIN: Duration = Duration::from_secs(30);

/// Stops the market; answers after the last data frame is handed to the sockets and the ledger is flushed.
pub(super) async fn pause(State(shared): State<Arc<Shared>>) -> Answer {
    match tokio::time::timeout(DRAIN, shared.pause()).await {
        Ok(()) => Ok(success(shared.tally.read())),
        Err(_) => {
            Err(KiteError::input("A client has not read its data for 30 s: the market is not drained."))
        }
    }
}

pub(super) async fn resume(State(shared): State<Arc<Shared>>) -> Answer {
    shared.resume().await;
    Ok(success(shared.tally.read()))
}

pub(super) async fn counters(State(shared): State<Arc<Shared>>) -> Answer {
    Ok(success(shared.tally.read()))
}

/// An order postback to every connection. The body's JSON object, if any, replaces fields of a complete one.
pub(super) async fn order(State(shared): State<Arc<Shared>>, body: Bytes) -> Answer {
    let mut order = postback(&shared);
    if !body.is_empty() {
        let fields: serde_json::Map<String, Value> = serde_json::from_slice(&body)
            .map_err(|error| KiteError::input(format!("no JSON object: {error}")))?;
        order.as_object_mut().expect("a postback is an object").extend(fields);
    }
    broadcast(&shared, &json!({"type": "order", "data": order})).await?;
    Ok(success(order))
}

/// A broker's text to every connection: the request's body.
pub(super) async fn message(State(shared): State<Arc<Shared>>, body: String) -> Answer {
    broadcast(&shared, &json!({"type": "message", "data": body})).await?;
    Ok(success(true))
}

async fn broadcast(shared: &Shared, text: &Value) -> Result<(), KiteError> {
    shared.floor.send(Command::Text(text.to_string().into())).await.map_err(|_| KiteError::closed())
}

/// Kite's postback of a complete market order; times are naive and of India.
fn postback(shared: &Shared) -> Value {
    let now = shared.clock.now();
    let text = now.to_string();
    let time = format!("{} {}", &text[..10], &text[11..19]);
    let order_id = format!("{}", now.as_millis());
    json!({
        "user_id": "SIM001", "unfilled_quantity": 0, "app_id": 1, "checksum": "", "placed_by": "SIM001",
        "order_id": order_id, "exchange_order_id": format!("10{order_id}"), "parent_order_id": null,
        "status": "COMPLETE", "status_message": null, "status_message_raw": null, "order_timestamp": time,
        "exchange_update_timestamp": time, "exchange_timestamp": time, "variety": "regular", "exchange": "NSE",
        "tradingsymbol": "SBIN", "instrument_token": 779_521, "order_type": "MARKET", "transaction_type": "BUY",
        "validity": "DAY", "product": "CNC", "quantity": 1, "disclosed_quantity": 0, "price": 0, "trigger_price": 0,
        "average_price": 972.85, "filled_quantity": 1, "pending_quantity": 0, "cancelled_quantity": 0,
        "market_protection": 0, "meta": {}, "tag": null, "guid": "sim"
    })
}
