//! Instruments: found by words, or by token.

use super::{Answer, json};
use crate::fault::Fault;
use crate::parameters::{self, Parameters};
use crate::state::Web;
use axum::extract::{Path, State};
use jiff::ToSpan as _;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use tickhouse_model::Instrument;
use tickhouse_read::InstrumentSearch;

const FOUND: (u64, u64) = (20, 100);
/// Tokens of one request.
pub(super) const MOST_TOKENS: usize = 200;

/// An instrument as the page sees it.
#[derive(Serialize)]
pub(crate) struct InstrumentAnswer {
    instrument_token: u32,
    symbol: String,
    tradingsymbol: String,
    exchange: String,
    name: String,
    instrument_type: &'static str,
    expiry: Option<Date>,
    strike: Option<f64>,
    lot_size: u32,
    tick_size: f64,
    segment: String,
}

impl From<Instrument> for InstrumentAnswer {
    fn from(found: Instrument) -> Self {
        Self {
            instrument_token: found.token.0,
            symbol: found.symbol,
            tradingsymbol: found.tradingsymbol,
            exchange: found.exchange,
            name: found.underlying,
            instrument_type: found.instrument_type.name(),
            expiry: found.expiry.and_then(|days| Date::constant(1970, 1, 1).checked_add(days.days()).ok()),
            strike: (found.strike != 0.0).then_some(found.strike),
            lot_size: found.lot_size,
            tick_size: found.tick_size,
            segment: found.segment,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Find {
    q: Option<String>,
    exchange: Option<String>,
    limit: Option<u64>,
    instruments: Option<String>,
}

/// `GET /v1/instruments`
pub(crate) async fn find(State(web): State<Arc<Web>>, Parameters(asked): Parameters<Find>) -> Answer {
    let found = if let Some(tokens) = asked.instruments {
        if asked.q.is_some() || asked.exchange.is_some() || asked.limit.is_some() {
            let message = "instruments are asked for by token, or by words: leave one out";
            return Err(Fault::bad("bad_parameter", message));
        }
        let tokens = parameters::tokens(&tokens, MOST_TOKENS)?;
        let work = async { Ok(web.reader.instruments_of(&tokens, web.today()).await?) };
        web.gate.run(work).await?
    } else {
        let search = InstrumentSearch {
            text: asked.q.unwrap_or_default(),
            exchange: asked.exchange.unwrap_or_default(),
            today: web.today(),
            limit: parameters::limit(asked.limit, FOUND.0, FOUND.1)? as u32,
        };
        web.gate.run(async { Ok(web.reader.search_instruments(&search).await?) }).await?
    };
    let found: Vec<InstrumentAnswer> = found.into_iter().map(InstrumentAnswer::from).collect();
    json(&serde_json::json!({ "instruments": found }))
}

/// `GET /v1/instruments/{token}`
pub(crate) async fn one(State(web): State<Arc<Web>>, Path(token): Path<String>) -> Answer {
    let token: u32 = token.parse().map_err(|_| {
        Fault::bad("bad_parameter", "that is no instrument_token: /v1/instruments?q= finds it")
    })?;
    let work = async { Ok(web.reader.instrument(&token.to_string(), web.today()).await?) };
    json(&InstrumentAnswer::from(web.gate.run(work).await?.instrument))
}
