//! Option chains as they stood at an instant.
//!
//! What enters: an underlying, an expiry, an instant. What leaves: every contract of the expiry with its last tick at or before
//! the instant, what that implies (volatility, Greeks), and what the chain says as a whole. What never happens here: a look into the
//! future of the instant, a price that may be stale in a figure of the whole chain.
//!
//! What counts as stale, and which figure uses what: `docs/options.md`.

mod as_of;
mod contracts;
mod evaluate;
mod leg;
mod rows;

pub use leg::{Basis, Leg, NoVolatilityBecause, Stale, Strike};

use crate::window::date_of;
use crate::{ReadError, Reader};
use contracts::Contracts;
use jiff::civil::Date;
use serde::{Serialize, Serializer};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;
use tickhouse_enrich::Calendar;
use tickhouse_model::Timestamp;

/// What discounts option prices unless told otherwise, a year: about the yield of 91-day treasury bills in 2026. The forward comes
/// from the options themselves, so this moves little: a week from expiry one point changes a volatility by 1/5,000 of itself.
const RATE: f64 = 0.055;
/// After so much trading time without a tick a leg counts as old.
const MOST_AGE: Duration = Duration::from_mins(1);

/// Which expiry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// The n-th of those that have not come yet: 1 is the current one, 2 the next.
    Nth(u16),
    /// The one of this day, which may be past its hour.
    On(Date),
}

/// A text that names no expiry.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an expiry: write current, next, 3 (the third from now), or its day as 2026-11-24")]
pub struct ExpiryError(String);

impl FromStr for Expiry {
    type Err = ExpiryError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        match text.to_lowercase().as_str() {
            "current" | "nearest" => return Ok(Self::Nth(1)),
            "next" => return Ok(Self::Nth(2)),
            _ => {}
        }
        if let Ok(number @ 1..) = text.parse() {
            return Ok(Self::Nth(number));
        }
        text.parse().map(Self::On).map_err(|_| ExpiryError(text.to_owned()))
    }
}

/// How a chain is made.
#[derive(Clone, Debug)]
pub struct ChainOptions {
    /// The hours of markets: when the expiry comes, which time counts as age.
    pub calendar: Arc<Calendar>,
    /// Yearly rate that discounts, continuously compounded: 0.055 is 5.5 %.
    pub rate: f64,
    /// After so much trading time without a tick a leg counts as old.
    pub most_age: Duration,
}

impl Default for ChainOptions {
    fn default() -> Self {
        Self { calendar: Calendar::builtin(), rate: RATE, most_age: MOST_AGE }
    }
}

/// The price of something beside the options.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Reference {
    /// Symbol, of an index the name people use: `NIFTY`.
    pub symbol: String,
    /// Its exchange.
    pub exchange: String,
    /// Expiry of a future.
    pub expiry: Option<Date>,
    /// Last price; an index's value.
    pub last_price: f64,
    /// Best bid, where there is one.
    pub bid_price: Option<f64>,
    /// Best offer, where there is one.
    pub ask_price: Option<f64>,
    /// When its last tick was received.
    #[serde(serialize_with = "as_text")]
    pub timestamp: Timestamp,
    /// Why its price may be stale.
    pub stale: Option<Stale>,
}

/// Where the forward comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ForwardSource {
    /// Calls and puts next to the money, by put-call parity.
    Parity,
    /// The future of the same expiry; of a commodity the first that expires with or after the options.
    Future,
    /// The spot and the rate: no dividends.
    Spot,
}

/// The price at which the underlying trades for the expiry.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Forward {
    /// In the unit of the strikes.
    pub price: f64,
    /// Where it comes from.
    pub source: ForwardSource,
    /// How many strikes said so, for parity.
    pub strikes: Option<usize>,
}

/// Sums over one side of a chain, and what follows from both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Totals {
    /// Open interest of all calls whose total counts.
    pub call_open_interest: u64,
    /// Open interest of all puts whose total counts.
    pub put_open_interest: u64,
    /// The day's volume of all calls whose total counts.
    pub call_volume: u64,
    /// The day's volume of all puts whose total counts.
    pub put_volume: u64,
    /// Put/call ratio by open interest; none without calls.
    pub pcr_open_interest: Option<f64>,
    /// Put/call ratio by the day's volume; none without calls.
    pub pcr_volume: Option<f64>,
    /// The strike at which writers pay least; none without open interest.
    pub max_pain: Option<f64>,
    /// Legs whose totals do not count: no tick, a gap since, or a snapshot of another day.
    pub left_out: usize,
}

/// An option chain at an instant.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OptionChain {
    /// Kite's name of the underlying.
    pub underlying: String,
    /// Of the options: `NFO`, `BFO`, `MCX`, …
    pub exchange: String,
    /// Last day of trade.
    pub expiry: Date,
    /// The close of that day, by the calendar.
    #[serde(serialize_with = "as_text")]
    pub expires_at: Timestamp,
    /// The instant.
    #[serde(serialize_with = "as_text")]
    pub at: Timestamp,
    /// Days of 24 hours to the expiry; 0 once it has come.
    pub days_to_expiry: f64,
    /// Units of a lot.
    pub lot_size: u32,
    /// The rate that discounts.
    pub rate: f64,
    /// The index or share.
    pub spot: Option<Reference>,
    /// The nearest future.
    pub future: Option<Reference>,
    /// What volatilities go by; none when nothing fresh tells it.
    pub forward: Option<Forward>,
    /// The strike next to the forward.
    pub at_the_money: Option<f64>,
    /// What call and put at the money cost together; none while one of them is stale.
    pub straddle: Option<f64>,
    /// Sums and ratios.
    pub totals: Totals,
    /// The session whose last open interest is the base of `open_interest_change`; none when it was not recorded to its end.
    pub previous_session: Option<Date>,
    /// Contracts.
    pub legs: usize,
    /// Contracts without any tick of the day so far.
    pub without_tick: usize,
    /// Contracts whose prices count as stale, those without a tick left out.
    pub stale: usize,
    /// By strike, rising.
    pub strikes: Vec<Strike>,
}

impl OptionChain {
    /// Keeps the strikes within `count` of the one at the money (of the middle one, where there is none). Sums stay those of the
    /// whole chain.
    pub fn keep_around_the_money(&mut self, count: usize) {
        let at = match self.at_the_money {
            Some(money) => self.strikes.partition_point(|strike| strike.strike < money),
            None => self.strikes.len() / 2,
        };
        self.strikes.truncate(at.saturating_add(count).saturating_add(1));
        self.strikes.drain(..at.saturating_sub(count));
    }
}

impl Reader {
    /// The option chain of an underlying (`NIFTY`, `NIFTY 50`, `MCX:CRUDEOIL`) as it stood at an instant: the instruments of that day,
    /// and of each the last tick that had been received by then on that day.
    ///
    /// # Errors
    /// [`ReadError::UnknownUnderlying`], [`ReadError::NoExpiry`] and [`ReadError::NoTicks`] with what there is instead.
    pub async fn chain(
        &self,
        underlying: &str,
        expiry: Expiry,
        at: Timestamp,
        options: &ChainOptions,
    ) -> Result<OptionChain, ReadError> {
        // stored times are whole milliseconds
        let at = Timestamp::from_millis(at.as_millis());
        let contracts = Contracts::find(self, underlying, expiry, at, &options.calendar).await?;
        let tokens = contracts.tokens();
        let previous = contracts.previous_session(&options.calendar, date_of(at));
        let (ticks, gaps, interest) = tokio::try_join!(
            as_of::last_ticks(self, &tokens, at),
            as_of::gaps(self, &tokens, at),
            as_of::last_open_interest(self, &tokens, previous),
        )?;
        if !contracts.legs().any(|leg| ticks.contains_key(&leg.token)) {
            return Err(as_of::no_ticks(self, &contracts, at).await?);
        }
        Ok(evaluate::Evaluation { contracts: &contracts, ticks, gaps, interest, at, options }.chain())
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
pub(crate) fn as_text<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(at)
}

#[expect(clippy::ref_option, reason = "as serde calls it")]
pub(crate) fn as_text_or_null<S: Serializer>(
    at: &Option<Timestamp>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match at {
        Some(at) => serializer.collect_str(at),
        None => serializer.serialize_none(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expiries_as_people_name_them() {
        let of = |text: &str| text.parse::<Expiry>();
        assert_eq!(of("current"), Ok(Expiry::Nth(1)));
        assert_eq!(of("Next"), Ok(Expiry::Nth(2)));
        assert_eq!(of("3"), Ok(Expiry::Nth(3)));
        assert_eq!(of("2026-11-24"), Ok(Expiry::On(Date::constant(2026, 11, 24))));
        for wrong in ["0", "-1", "", "monthly", "2026-11-31", "70000"] {
            assert!(of(wrong).is_err(), "{wrong}");
        }
    }
}
