//! One contract of a chain.

use super::{as_text_or_null, contracts::Contract};
use serde::{Serialize, Serializer};
use tickhouse_model::Timestamp;
use tickhouse_options::Greeks;

/// Why a price may no longer be the market's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stale {
    /// The market traded longer than the limit since its last tick.
    Old,
    /// The feed had a gap since its last tick, in which others may have been missed.
    Gap,
    /// Its last tick is a cached value that was sent after a subscribe.
    Snapshot,
}

impl Stale {
    /// The word in JSON and on the screen.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Old => "old",
            Self::Gap => "gap",
            Self::Snapshot => "snapshot",
        }
    }
}

/// Which price a volatility was implied from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// The middle of best bid and offer.
    Middle,
    /// The last trade: there were not both a bid and an offer near each other.
    LastPrice,
}

impl Basis {
    /// The word in JSON and on the screen.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Middle => "middle",
            Self::LastPrice => "last_price",
        }
    }
}

/// Why a leg with a tick has no implied volatility.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum NoVolatilityBecause {
    /// Its price may be stale.
    Stale,
    /// It has neither two sides near each other nor a last price.
    NoPrice,
    /// It has no two sides near each other, and its last trade is older than the limit.
    OldTrade,
    /// Nothing fresh tells the forward.
    NoForward,
    /// The expiry has come.
    Expired,
    /// The price is at most what exercise is worth.
    AtMostIntrinsic,
    /// The price is above what any volatility makes.
    AboveBound,
}

impl NoVolatilityBecause {
    /// The word in JSON and on the screen.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Stale => "stale",
            Self::NoPrice => "no_price",
            Self::OldTrade => "old_trade",
            Self::NoForward => "no_forward",
            Self::Expired => "expired",
            Self::AtMostIntrinsic => "at_most_intrinsic",
            Self::AboveBound => "above_bound",
        }
    }
}

/// A strike with its call and put.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Strike {
    /// In rupees.
    pub strike: f64,
    /// The call, where one is listed.
    pub call: Option<Leg>,
    /// The put, where one is listed.
    pub put: Option<Leg>,
}

/// A contract with its last tick. Without one everything behind `tradingsymbol` is none.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Leg {
    /// Kite's number.
    pub instrument_token: u32,
    /// Kite's trading symbol.
    pub tradingsymbol: String,
    /// When its last tick was received.
    #[serde(serialize_with = "as_text_or_null")]
    pub timestamp: Option<Timestamp>,
    /// Seconds since then.
    pub age_seconds: Option<f64>,
    /// Why its price may be stale.
    pub stale: Option<Stale>,
    /// Of the last trade.
    pub last_price: Option<f64>,
    /// Best bid.
    pub bid_price: Option<f64>,
    /// Quantity of the best bid.
    pub bid_quantity: Option<u32>,
    /// Best offer.
    pub ask_price: Option<f64>,
    /// Quantity of the best offer.
    pub ask_quantity: Option<u32>,
    /// The day's running total.
    pub volume: Option<u64>,
    /// Open interest.
    pub open_interest: Option<u64>,
    /// Open interest less the last of the previous session.
    pub open_interest_change: Option<i64>,
    /// Which price the volatility goes by.
    pub basis: Option<Basis>,
    /// A year's, as a fraction: 0.127 is 12.7 %.
    pub implied_volatility: Option<f64>,
    /// Why there is none.
    pub no_volatility_because: Option<NoVolatilityBecause>,
    /// Sensitivities; see `docs/options.md` for their units.
    #[serde(flatten, serialize_with = "greeks")]
    pub greeks: Option<Greeks>,
}

impl Leg {
    /// A contract of which nothing is known.
    pub(crate) fn without_tick(contract: &Contract) -> Self {
        Self {
            instrument_token: contract.token,
            tradingsymbol: contract.tradingsymbol.clone(),
            timestamp: None,
            age_seconds: None,
            stale: None,
            last_price: None,
            bid_price: None,
            bid_quantity: None,
            ask_price: None,
            ask_quantity: None,
            volume: None,
            open_interest: None,
            open_interest_change: None,
            basis: None,
            implied_volatility: None,
            no_volatility_because: None,
            greeks: None,
        }
    }

    /// The price that counts: of [`Leg::basis`].
    pub fn price(&self) -> Option<f64> {
        match self.basis? {
            Basis::Middle => Some(0.5 * (self.bid_price? + self.ask_price?)),
            Basis::LastPrice => self.last_price,
        }
    }
}

#[expect(clippy::ref_option, reason = "as serde calls it")]
fn greeks<S: Serializer>(greeks: &Option<Greeks>, serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Flat {
        delta: Option<f64>,
        gamma: Option<f64>,
        vega: Option<f64>,
        theta: Option<f64>,
        rho: Option<f64>,
    }
    Flat {
        delta: greeks.map(|greeks| greeks.delta),
        gamma: greeks.map(|greeks| greeks.gamma),
        vega: greeks.map(|greeks| greeks.vega),
        theta: greeks.map(|greeks| greeks.theta),
        rho: greeks.map(|greeks| greeks.rho),
    }
    .serialize(serializer)
}
