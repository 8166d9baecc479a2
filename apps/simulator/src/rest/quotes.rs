//! `GET /quote`, `/quote/ohlc` and `/quote/ltp`: last values, from the same state as the ticks.

use super::session::naive;
use super::{Answer, KiteError, success};
use crate::market::CIRCUIT;
use crate::shared::Shared;
use crate::universe::Listing;
use axum::extract::{RawQuery, State};
use serde_json::{Map, Value, json};
use std::sync::Arc;
use tickhouse_model::{DEPTH_LEVELS, Level, Packet, Timestamp};

/// Kite's most instruments in one call.
const MOST_FULL: usize = 500;
const MOST_SHORT: usize = 1_000;

pub(super) async fn full(State(shared): State<Arc<Shared>>, RawQuery(query): RawQuery) -> Answer {
    answer(&shared, query.as_deref(), MOST_FULL, |listing, packet| {
        let price = |raw| rupees(listing, raw);
        let depth = |levels: &[Level; DEPTH_LEVELS]| -> Vec<Value> {
            let level = |level: &Level| json!({"price": price(level.price), "quantity": level.quantity, "orders": level.orders});
            levels.iter().map(level).collect()
        };
        let limit = |factor: f64| price((f64::from(packet.close_price) * factor / f64::from(listing.tick)).round() as i32 * listing.tick);
        let time = |seconds| match Timestamp::from_kite_seconds(seconds) {
            Timestamp::NONE => Value::Null,
            at => json!(naive(at)),
        };
        json!({
            "instrument_token": listing.token,
            "timestamp": time(packet.exchange_timestamp),
            "last_trade_time": time(packet.last_trade_time),
            "last_price": price(packet.last_price),
            "last_quantity": packet.last_traded_quantity,
            "buy_quantity": packet.total_buy_quantity,
            "sell_quantity": packet.total_sell_quantity,
            "volume": packet.volume,
            "average_price": price(packet.average_traded_price),
            "oi": packet.open_interest,
            "oi_day_high": packet.oi_day_high,
            "oi_day_low": packet.oi_day_low,
            "net_change": price(packet.last_price - packet.close_price),
            "lower_circuit_limit": limit(1.0 - CIRCUIT),
            "upper_circuit_limit": limit(1.0 + CIRCUIT),
            "ohlc": ohlc_of(listing, packet),
            "depth": {"buy": depth(&packet.bids), "sell": depth(&packet.asks)},
        })
    })
    .await
}

pub(super) async fn ohlc(State(shared): State<Arc<Shared>>, RawQuery(query): RawQuery) -> Answer {
    answer(&shared, query.as_deref(), MOST_SHORT, |listing, packet| {
        json!({
            "instrument_token": listing.token,
            "last_price": rupees(listing, packet.last_price),
            "ohlc": ohlc_of(listing, packet),
        })
    })
    .await
}

pub(super) async fn ltp(State(shared): State<Arc<Shared>>, RawQuery(query): RawQuery) -> Answer {
    answer(&shared, query.as_deref(), MOST_SHORT, |listing, packet| {
        json!({"instrument_token": listing.token, "last_price": rupees(listing, packet.last_price)})
    })
    .await
}

/// Instruments that are not listed are missing from the answer, as with Kite.
async fn answer(
    shared: &Shared,
    query: Option<&str>,
    most: usize,
    describe: impl Fn(&Listing, &Packet) -> Value,
) -> Answer {
    let pairs: Vec<(String, String)> = form_pairs(query.unwrap_or_default());
    let names: Vec<String> = pairs.into_iter().filter(|(key, _)| key == "i").map(|(_, name)| name).collect();
    if names.is_empty() {
        return Err(KiteError::input(
            "Invalid or missing `i`: use i=EXCHANGE:SYMBOL, once for each instrument.",
        ));
    }
    if names.len() > most {
        return Err(KiteError::input(format!(
            "{} instruments in one request: at most {most} are allowed.",
            names.len()
        )));
    }
    let (names, indexes): (Vec<String>, Vec<u32>) =
        names.into_iter().filter_map(|name| shared.universe.find(&name).map(|index| (name, index))).unzip();
    let listings = shared.universe.listings();
    let (_, packets) = shared.quotes(indexes.clone()).await.ok_or_else(KiteError::closed)?;
    let described =
        indexes.iter().zip(&packets).map(|(index, packet)| describe(&listings[*index as usize], packet));
    Ok(success(names.into_iter().zip(described).collect::<Map<String, Value>>()))
}

fn form_pairs(query: &str) -> Vec<(String, String)> {
    let uri: Result<axum::http::Uri, _> = format!("/?{query}").parse();
    let parsed = uri.ok().and_then(|uri| axum::extract::Query::try_from_uri(&uri).ok());
    parsed.map(|axum::extract::Query(pairs)| pairs).unwrap_or_default()
}

fn ohlc_of(listing: &Listing, packet: &Packet) -> Value {
    json!({
        "open": rupees(listing, packet.open_price),
        "high": rupees(listing, packet.high_price),
        "low": rupees(listing, packet.low_price),
        "close": rupees(listing, packet.close_price),
    })
}

fn rupees(listing: &Listing, raw: i32) -> f64 {
    listing.token.segment().rupees(raw)
}
