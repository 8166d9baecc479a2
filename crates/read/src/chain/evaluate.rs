//! From last ticks to a chain: what is stale, the forward, volatilities, sums. Pure.

use super::as_of::{FeedGap, LastTick, PreviousInterest};
use super::contracts::{Contract, Contracts};
use super::leg::{Basis, Leg, NoVolatilityBecause, Stale, Strike};
use super::{ChainOptions, Forward, ForwardSource, OptionChain, Reference, Totals};
use std::collections::HashMap;
use std::time::Duration;
use tickhouse_enrich::Market;
use tickhouse_model::{SessionType, Timestamp};
use tickhouse_options::{
    Black76, NoVolatility, Pair, Side, StrikeTotals, implied_forward, max_pain, nearest_strike, ratio,
    years_to,
};

/// Bid and offer are near each other when their distance is at most this share of their middle, or so many ticks.
const NEAR_SHARE: f64 = 0.5;
const NEAR_TICKS: f64 = 4.0;
/// The step of prices where the master has none.
const USUAL_TICK: f64 = 0.05;

/// What a chain is made of.
pub(crate) struct Evaluation<'a> {
    pub(crate) contracts: &'a Contracts,
    pub(crate) ticks: HashMap<u32, LastTick>,
    pub(crate) gaps: Vec<FeedGap>,
    pub(crate) interest: PreviousInterest,
    pub(crate) at: Timestamp,
    pub(crate) options: &'a ChainOptions,
}

impl Evaluation<'_> {
    pub(crate) fn chain(&self) -> OptionChain {
        let contracts = self.contracts;
        let years = years_to(self.at, contracts.expires_at);
        let mut strikes = self.strikes();
        let spot = contracts.spot.as_ref().and_then(|one| self.reference(one));
        let future = contracts.nearest_future.as_ref().and_then(|one| self.reference(one));
        let forward = self.forward(&strikes, spot.as_ref(), years);
        for strike in &mut strikes {
            for (side, leg) in [(Side::Call, &mut strike.call), (Side::Put, &mut strike.put)] {
                if let Some(leg) = leg {
                    self.imply(leg, side, strike.strike, forward, years);
                }
            }
        }
        let at_the_money = forward
            .and_then(|forward| nearest_strike(strikes.iter().map(|strike| strike.strike), forward.price));
        let legs = || strikes.iter().flat_map(|strike| [&strike.call, &strike.put]).flatten();
        OptionChain {
            underlying: contracts.underlying.clone(),
            exchange: contracts.exchange.clone(),
            expiry: contracts.expiry,
            expires_at: contracts.expires_at,
            at: self.at,
            days_to_expiry: years * 365.0,
            lot_size: contracts.options.first().map_or(0, |contract| contract.lot_size),
            rate: self.options.rate,
            spot,
            future,
            forward,
            at_the_money,
            straddle: at_the_money.and_then(|money| straddle(&strikes, money)),
            totals: totals(&strikes),
            previous_session: self.interest.session,
            legs: legs().count(),
            without_tick: legs().filter(|leg| leg.timestamp.is_none()).count(),
            stale: legs().filter(|leg| leg.stale.is_some()).count(),
            strikes,
        }
    }

    /// The contracts by strike, with what their ticks say of themselves.
    fn strikes(&self) -> Vec<Strike> {
        let mut strikes: Vec<Strike> = Vec::new();
        for contract in self.contracts.legs() {
            let price = contract.strike;
            // sorted by strike, so one that is not above the last is the last
            if strikes.last().is_none_or(|last| last.strike < price) {
                strikes.push(Strike { strike: price, call: None, put: None });
            }
            let leg = self.leg(contract);
            if let Some(strike) = strikes.last_mut() {
                match contract.side() {
                    Side::Call => strike.call = Some(leg),
                    Side::Put => strike.put = Some(leg),
                }
            }
        }
        strikes
    }

    fn leg(&self, contract: &Contract) -> Leg {
        let leg = Leg::without_tick(contract);
        let Some(tick) = self.ticks.get(&contract.token) else { return leg };
        let (bid, ask) = (positive(tick.bid_price), positive(tick.ask_price));
        let open_interest = tick.open_interest();
        let before = self.interest.by_token.get(&contract.token).copied();
        let change = open_interest
            .zip(before)
            .and_then(|(now, before)| i64::try_from(now).ok()?.checked_sub(i64::try_from(before).ok()?));
        Leg {
            timestamp: Some(tick.at()),
            age_seconds: Some(self.at.since(tick.at()).as_secs_f64()),
            stale: self.stale(contract, tick),
            last_price: positive(tick.last_price),
            bid_price: bid,
            bid_quantity: bid.map(|_| tick.bid_quantity),
            ask_price: ask,
            ask_quantity: ask.map(|_| tick.ask_quantity),
            volume: tick.volume(),
            open_interest,
            open_interest_change: change,
            basis: basis(contract, tick),
            ..leg
        }
    }

    fn stale(&self, contract: &Contract, tick: &LastTick) -> Option<Stale> {
        if tick.is_snapshot() {
            return Some(Stale::Snapshot);
        }
        let missed = self.gaps.iter().filter_map(|gap| gap.missed(tick, self.at));
        // while the market is closed nothing can be missed
        if missed
            .into_iter()
            .any(|(from, until)| self.trades_longer(contract.market, Duration::ZERO, from, until))
        {
            return Some(Stale::Gap);
        }
        self.is_old(contract, tick.at()).then_some(Stale::Old)
    }

    /// Whether the contract's market traded for longer than the limit since then.
    fn is_old(&self, contract: &Contract, since: Timestamp) -> bool {
        self.trades_longer(contract.market, self.options.most_age, since, self.at)
    }

    /// Whether a market has more than so much regular trading between two instants.
    fn trades_longer(&self, market: Market, limit: Duration, mut from: Timestamp, until: Timestamp) -> bool {
        let mut traded = Duration::ZERO;
        while from < until {
            let span = self.options.calendar.span(market, from);
            let end = span.until.min(until);
            if span.phase == SessionType::Regular {
                traded += end.since(from);
            }
            if traded > limit || end <= from {
                break;
            }
            from = end;
        }
        traded > limit
    }

    fn reference(&self, contract: &Contract) -> Option<Reference> {
        let tick = self.ticks.get(&contract.token)?;
        Some(Reference {
            symbol: contract.symbol.clone(),
            exchange: contract.exchange.clone(),
            expiry: contract.expiry,
            last_price: positive(tick.last_price)?,
            bid_price: positive(tick.bid_price),
            ask_price: positive(tick.ask_price),
            timestamp: tick.at(),
            stale: self.stale(contract, tick),
        })
    }

    fn forward(&self, strikes: &[Strike], spot: Option<&Reference>, years: f64) -> Option<Forward> {
        let discount = (-self.options.rate * years).exp();
        let pairs: Vec<Pair> = strikes.iter().filter_map(pair).collect();
        if let Some(found) = implied_forward(&pairs, discount) {
            let strikes = Some(found.strikes);
            return Some(Forward { price: found.forward, source: ForwardSource::Parity, strikes });
        }
        if let Some(price) = self.contracts.matching_future.as_ref().and_then(|one| self.fresh_price(one)) {
            return Some(Forward { price, source: ForwardSource::Future, strikes: None });
        }
        let spot = spot.filter(|spot| spot.stale.is_none())?;
        let price = spot.last_price / discount;
        price.is_finite().then_some(Forward { price, source: ForwardSource::Spot, strikes: None })
    }

    /// The price of something that is not stale.
    fn fresh_price(&self, contract: &Contract) -> Option<f64> {
        let tick = self.ticks.get(&contract.token)?;
        if self.stale(contract, tick).is_some() {
            return None;
        }
        match basis(contract, tick)? {
            Basis::Middle => Some(0.5 * (tick.bid_price + tick.ask_price)),
            Basis::LastPrice => positive(tick.last_price),
        }
    }

    /// Fills in volatility and Greeks of a leg with a tick, or why there are none.
    fn imply(&self, leg: &mut Leg, side: Side, strike: f64, forward: Option<Forward>, years: f64) {
        if leg.timestamp.is_none() {
            return;
        }
        match self.implied(leg, side, strike, forward, years) {
            Ok((option, volatility)) => {
                leg.implied_volatility = Some(volatility);
                leg.greeks = option.greeks(side, volatility);
            }
            Err(why) => leg.no_volatility_because = Some(why),
        }
    }

    fn implied(
        &self,
        leg: &Leg,
        side: Side,
        strike: f64,
        forward: Option<Forward>,
        years: f64,
    ) -> Result<(Black76, f64), NoVolatilityBecause> {
        if leg.stale.is_some() {
            return Err(NoVolatilityBecause::Stale);
        }
        if years <= 0.0 {
            return Err(NoVolatilityBecause::Expired);
        }
        let price = leg.price().ok_or(NoVolatilityBecause::NoPrice)?;
        if leg.basis == Some(Basis::LastPrice) && self.is_old_trade(leg) {
            return Err(NoVolatilityBecause::OldTrade);
        }
        let forward = forward.ok_or(NoVolatilityBecause::NoForward)?;
        let option = Black76::new(forward.price, strike, years, self.options.rate)
            .map_err(|_| NoVolatilityBecause::NoForward)?;
        match option.implied_volatility(side, price) {
            Ok(volatility) => Ok((option, volatility)),
            Err(NoVolatility::Expired) => Err(NoVolatilityBecause::Expired),
            Err(NoVolatility::AtLeastBound { .. }) => Err(NoVolatilityBecause::AboveBound),
            Err(NoVolatility::AtMostIntrinsic { .. } | NoVolatility::OutOfRange { .. }) => {
                Err(NoVolatilityBecause::AtMostIntrinsic)
            }
            Err(NoVolatility::NotANumber) => Err(NoVolatilityBecause::NoPrice),
        }
    }

    /// Whether the last trade is older than the limit.
    fn is_old_trade(&self, leg: &Leg) -> bool {
        let Some(tick) = self.ticks.get(&leg.instrument_token) else { return true };
        let contract = self.contracts.legs().find(|one| one.token == leg.instrument_token);
        contract.is_none_or(|contract| self.is_old(contract, tick.traded_at()))
    }
}

/// Totals only rise, and each packet carries them: one that is old is right still, for whatever changed it would have sent a
/// packet. After a gap that is not known.
fn totals(strikes: &[Strike]) -> Totals {
    let mut totals = Totals::default();
    let mut open = Vec::with_capacity(strikes.len());
    for strike in strikes {
        let mut at = StrikeTotals { strike: strike.strike, call: 0, put: 0 };
        for (side, leg) in [(Side::Call, &strike.call), (Side::Put, &strike.put)] {
            let Some(leg) = leg else { continue };
            if leg.stale == Some(Stale::Gap) || leg.open_interest.or(leg.volume).is_none() {
                totals.left_out += 1;
                continue;
            }
            let (interest, volume) = (leg.open_interest.unwrap_or(0), leg.volume.unwrap_or(0));
            match side {
                Side::Call => {
                    at.call = interest;
                    totals.call_volume = totals.call_volume.saturating_add(volume);
                }
                Side::Put => {
                    at.put = interest;
                    totals.put_volume = totals.put_volume.saturating_add(volume);
                }
            }
        }
        totals.call_open_interest = totals.call_open_interest.saturating_add(at.call);
        totals.put_open_interest = totals.put_open_interest.saturating_add(at.put);
        open.push(at);
    }
    totals.pcr_open_interest = ratio(totals.put_open_interest, totals.call_open_interest);
    totals.pcr_volume = ratio(totals.put_volume, totals.call_volume);
    totals.max_pain = max_pain(&open);
    totals
}

fn positive(price: f64) -> Option<f64> {
    (price.is_finite() && price > 0.0).then_some(price)
}

/// Which price of a tick counts: the middle of a book whose sides are near each other, else the last trade.
fn basis(contract: &Contract, tick: &LastTick) -> Option<Basis> {
    let step = positive(contract.tick_size).unwrap_or(USUAL_TICK);
    let near = |bid: f64, ask: f64| {
        // half a step for what doubles make of prices
        bid <= ask && ask - bid <= (NEAR_SHARE * 0.5 * (bid + ask)).max((NEAR_TICKS + 0.5) * step)
    };
    match positive(tick.bid_price).zip(positive(tick.ask_price)) {
        Some((bid, ask)) if near(bid, ask) => Some(Basis::Middle),
        _ => positive(tick.last_price).map(|_| Basis::LastPrice),
    }
}

/// Call and put of a strike, when both are fresh and have two sides.
fn pair(strike: &Strike) -> Option<Pair> {
    let quote = |leg: &Option<Leg>| {
        let leg = leg.as_ref().filter(|leg| leg.stale.is_none() && leg.basis == Some(Basis::Middle))?;
        leg.bid_price.zip(leg.ask_price)
    };
    Some(Pair { strike: strike.strike, call: quote(&strike.call)?, put: quote(&strike.put)? })
}

fn straddle(strikes: &[Strike], money: f64) -> Option<f64> {
    let strike = strikes.iter().find(|strike| strike.strike >= money)?;
    let price = |leg: &Option<Leg>| leg.as_ref().filter(|leg| leg.stale.is_none())?.price();
    Some(price(&strike.call)? + price(&strike.put)?)
}
