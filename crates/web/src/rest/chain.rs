//! Options.

use super::{Answer, json};
use crate::fault::Fault;
use crate::parameters::Parameters;
use crate::state::Web;
use axum::extract::State;
use serde::Deserialize;
use std::sync::Arc;
use tickhouse_read::{ChainOptions, Expiry, ReadError, instant};

/// `GET /v1/underlyings`
pub(crate) async fn underlyings(State(web): State<Arc<Web>>) -> Answer {
    let found = web.gate.run(async { Ok(web.reader.underlyings(web.today()).await?) }).await?;
    json(&serde_json::json!({ "underlyings": found }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Chain {
    underlying: String,
    expiry: Option<String>,
    at: Option<String>,
}

/// `GET /v1/chain`
pub(crate) async fn chain(State(web): State<Arc<Web>>, Parameters(asked): Parameters<Chain>) -> Answer {
    let expiry: Expiry = asked
        .expiry
        .as_deref()
        .unwrap_or("current")
        .parse()
        .map_err(|error| Fault::bad("bad_expiry", format!("{error}")))?;
    let at = instant(asked.at.as_deref().unwrap_or("now"), web.now()).map_err(ReadError::Window)?;
    let options = ChainOptions { calendar: Arc::clone(&web.calendar), ..ChainOptions::default() };
    let work = async { Ok(web.reader.chain(&asked.underlying, expiry, at, &options).await?) };
    json(&web.gate.run(work).await?)
}
