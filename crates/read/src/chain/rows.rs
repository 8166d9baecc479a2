//! A chain as flat rows, one per contract: what frames and files hold.

use super::{Leg, OptionChain};
use crate::ComputedRows;
use serde::Serialize;
use tickhouse_model::Timestamp;
use tickhouse_options::Side;

const TIME: &str = "DateTime64(3, 'Asia/Kolkata')";
const MAYBE_TIME: &str = "Nullable(DateTime64(3, 'Asia/Kolkata'))";
const PRICE: &str = "Nullable(Float64)";
const TEXT: &str = "Nullable(String)";

const COLUMNS: &[(&str, &str)] = &[
    ("at", TIME),
    ("underlying", "String"),
    ("exchange", "String"),
    ("expiry", "Date32"),
    ("strike", "Float64"),
    ("instrument_type", "String"),
    ("instrument_token", "UInt32"),
    ("tradingsymbol", "String"),
    ("timestamp", MAYBE_TIME),
    ("age_seconds", PRICE),
    ("stale", TEXT),
    ("last_price", PRICE),
    ("bid_price", PRICE),
    ("bid_quantity", "Nullable(UInt32)"),
    ("ask_price", PRICE),
    ("ask_quantity", "Nullable(UInt32)"),
    ("volume", "Nullable(UInt64)"),
    ("open_interest", "Nullable(UInt64)"),
    ("open_interest_change", "Nullable(Int64)"),
    ("basis", TEXT),
    ("implied_volatility", PRICE),
    ("no_volatility_because", TEXT),
    ("delta", PRICE),
    ("gamma", PRICE),
    ("vega", PRICE),
    ("theta", PRICE),
    ("rho", PRICE),
    ("forward", PRICE),
    ("spot", PRICE),
    ("days_to_expiry", "Float64"),
    ("at_the_money", "Bool"),
];

#[derive(Serialize)]
struct Row<'a> {
    at: String,
    underlying: &'a str,
    exchange: &'a str,
    expiry: jiff::civil::Date,
    strike: f64,
    instrument_type: &'static str,
    instrument_token: u32,
    tradingsymbol: &'a str,
    timestamp: Option<String>,
    age_seconds: Option<f64>,
    stale: Option<&'static str>,
    last_price: Option<f64>,
    bid_price: Option<f64>,
    bid_quantity: Option<u32>,
    ask_price: Option<f64>,
    ask_quantity: Option<u32>,
    volume: Option<u64>,
    open_interest: Option<u64>,
    open_interest_change: Option<i64>,
    basis: Option<&'static str>,
    implied_volatility: Option<f64>,
    no_volatility_because: Option<&'static str>,
    delta: Option<f64>,
    gamma: Option<f64>,
    vega: Option<f64>,
    theta: Option<f64>,
    rho: Option<f64>,
    forward: Option<f64>,
    spot: Option<f64>,
    days_to_expiry: f64,
    at_the_money: bool,
}

impl OptionChain {
    /// One row per contract, by strike, call before put; what is of the whole chain stands in each.
    ///
    /// # Errors
    /// When a row can't be written as JSON.
    pub fn rows(&self) -> Result<ComputedRows, serde_json::Error> {
        let rows = self.strikes.iter().flat_map(|strike| {
            let sides = [(Side::Call, &strike.call), (Side::Put, &strike.put)];
            sides.into_iter().filter_map(|(side, leg)| Some(self.row(strike.strike, side, leg.as_ref()?)))
        });
        ComputedRows::new(COLUMNS, rows)
    }

    fn row<'a>(&'a self, strike: f64, side: Side, leg: &'a Leg) -> Row<'a> {
        Row {
            at: text(self.at),
            underlying: &self.underlying,
            exchange: &self.exchange,
            expiry: self.expiry,
            strike,
            instrument_type: side.name(),
            instrument_token: leg.instrument_token,
            tradingsymbol: &leg.tradingsymbol,
            timestamp: leg.timestamp.map(text),
            age_seconds: leg.age_seconds,
            stale: leg.stale.map(super::Stale::name),
            last_price: leg.last_price,
            bid_price: leg.bid_price,
            bid_quantity: leg.bid_quantity,
            ask_price: leg.ask_price,
            ask_quantity: leg.ask_quantity,
            volume: leg.volume,
            open_interest: leg.open_interest,
            open_interest_change: leg.open_interest_change,
            basis: leg.basis.map(super::Basis::name),
            implied_volatility: leg.implied_volatility,
            no_volatility_because: leg.no_volatility_because.map(super::NoVolatilityBecause::name),
            delta: leg.greeks.map(|greeks| greeks.delta),
            gamma: leg.greeks.map(|greeks| greeks.gamma),
            vega: leg.greeks.map(|greeks| greeks.vega),
            theta: leg.greeks.map(|greeks| greeks.theta),
            rho: leg.greeks.map(|greeks| greeks.rho),
            forward: self.forward.map(|forward| forward.price),
            spot: self.spot.as_ref().map(|spot| spot.last_price),
            days_to_expiry: self.days_to_expiry,
            at_the_money: self.at_the_money == Some(strike),
        }
    }
}

/// India's clock, as the server reads it into a column of that zone.
fn text(at: Timestamp) -> String {
    let ist = at.ist();
    let (hour, minute, second) = ist.hms();
    format!("{} {hour:02}:{minute:02}:{second:02}.{:03}", ist.date_text(), at.as_millis().rem_euclid(1_000))
}
