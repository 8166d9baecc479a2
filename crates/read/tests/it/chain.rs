//! Option chains against brute force: every tick of two days in memory, the last one at or before the instant by a plain search.

mod market;

use market::{Dice, EXPIRY, SIDES, STRIKES, date, forward_at, gaps, option_token, recorded, strike_of, time};
use std::collections::HashMap;
use std::time::Duration;
use tickhouse_model::Timestamp;
use tickhouse_options::{Black76, Side};
use tickhouse_read::{
    Answer, Basis, ChainOptions, Expiry, Format, ForwardSource, Leg, NoVolatilityBecause, OptionChain,
    ReadError, Reader, Stale,
};
use tickhouse_store::Tick;

fn is_tick(tick: &Tick<'_>) -> bool {
    ["ltp", "quote", "full", "index_quote", "index_full"].contains(&tick.packet_type)
}

/// The join: of one token the last tick of the day at or before the instant.
fn last<'a>(ticks: &'a [Tick<'static>], token: u32, at: Timestamp) -> Option<&'a Tick<'static>> {
    let of_day = |tick: &&Tick<'_>| tick.timestamp.ist().days_since_epoch == at.ist().days_since_epoch;
    ticks
        .iter()
        .filter(|tick| tick.token.0 == token && tick.timestamp <= at && is_tick(tick))
        .filter(of_day)
        .max_by_key(|tick| {
            (
                tick.timestamp,
                tick.identity.frame.session,
                tick.identity.frame.sequence,
                tick.identity.packet_index,
            )
        })
}

/// Friday's session is in one piece up to 15:40, so trading time is time since.
fn stale(tick: &Tick<'_>, at: Timestamp) -> Option<Stale> {
    if tick.snapshot {
        return Some(Stale::Snapshot);
    }
    let is_missed = gaps().iter().any(|(from, to, tokens)| {
        let mine = tokens.is_empty() || tokens.contains(&tick.token.0);
        let since = to.map_or(*from >= tick.timestamp, |to| to > tick.timestamp);
        *from < at.min(time("2026-11-20 15:40")) && mine && since && tick.identity.stream.is_empty()
    });
    if is_missed {
        return Some(Stale::Gap);
    }
    (at.since(tick.timestamp) > Duration::from_mins(1)).then_some(Stale::Old)
}

/// What the tick carries of the day: volume, open interest.
fn carried(tick: &Tick<'_>) -> (Option<u64>, Option<u64>) {
    let same_day = tick.exchange_timestamp != tick.timestamp
        && tick.exchange_timestamp.ist().days_since_epoch == tick.timestamp.ist().days_since_epoch;
    if tick.snapshot && !same_day {
        return (None, None);
    }
    if tick.identity.stream.is_empty() {
        let volume = (tick.packet_type != "ltp").then_some(tick.volume);
        return (volume, (tick.packet_type == "full").then_some(tick.open_interest));
    }
    (Some(tick.volume).filter(|volume| *volume > 0), Some(tick.open_interest).filter(|open| *open > 0))
}

fn positive(price: f64) -> Option<f64> {
    (price > 0.0).then_some(price)
}

fn compare_leg(leg: &Leg, ticks: &[Tick<'static>], before: &HashMap<u32, u64>, at: Timestamp) {
    let token = leg.instrument_token;
    let Some(expected) = last(ticks, token, at) else {
        assert_eq!(
            (leg.timestamp, leg.last_price, leg.volume, leg.stale),
            (None, None, None, None),
            "{token}"
        );
        return;
    };
    let (volume, open_interest) = carried(expected);
    assert_eq!(leg.timestamp, Some(expected.timestamp), "{token} at {at}");
    assert_eq!(leg.last_price, positive(expected.last_price));
    assert_eq!(leg.bid_price, positive(expected.bids[0].price));
    assert_eq!(leg.ask_price, positive(expected.asks[0].price));
    assert_eq!((leg.volume, leg.open_interest), (volume, open_interest), "{token} at {at}: {expected:?}");
    assert_eq!(leg.stale, stale(expected, at), "{token} at {at}: {expected:?}");
    let change = open_interest.zip(before.get(&token)).map(|(now, before)| now as i64 - *before as i64);
    assert_eq!(leg.open_interest_change, change, "{token} at {at}");
}

/// Sums by hand: over legs with a total and without a gap since.
fn compare_sums(chain: &OptionChain, ticks: &[Tick<'static>], at: Timestamp) {
    let mut open = [[0_u64; 2]; STRIKES as usize];
    let (mut volumes, mut left_out) = ([0_u64; 2], 0);
    for number in 0..STRIKES {
        for (side, (kind, _)) in SIDES.into_iter().enumerate() {
            let found = last(ticks, option_token(number, kind), at);
            let usable = found.filter(|tick| stale(tick, at) != Some(Stale::Gap)).map(carried);
            match usable {
                None | Some((None, None)) => left_out += 1,
                Some((volume, interest)) => {
                    volumes[side] += volume.unwrap_or(0);
                    open[number as usize][side] = interest.unwrap_or(0);
                }
            }
        }
    }
    let sum = |side: usize| open.iter().map(|strike| strike[side]).sum::<u64>();
    let totals = &chain.totals;
    assert_eq!((totals.call_open_interest, totals.put_open_interest), (sum(0), sum(1)), "{at}");
    assert_eq!((totals.call_volume, totals.put_volume), (volumes[0], volumes[1]), "{at}");
    assert_eq!(totals.left_out, left_out, "{at}");
    assert_eq!(totals.pcr_open_interest, (sum(0) > 0).then(|| sum(1) as f64 / sum(0) as f64));
    let paid = |at: u64| -> u64 {
        let of = |number: usize, open: &[u64; 2]| {
            let strike = strike_of(number as u32) as u64;
            open[0] * at.saturating_sub(strike) + open[1] * strike.saturating_sub(at)
        };
        open.iter().enumerate().map(|(number, open)| of(number, open)).sum()
    };
    let strikes = (0..STRIKES).map(|number| strike_of(number) as u64);
    let least = strikes.min_by_key(|strike| (paid(*strike), *strike)).map(|strike| strike as f64);
    assert_eq!(totals.max_pain, least.filter(|_| sum(0) + sum(1) > 0), "{at}");
}

/// What was implied makes the price again, and only of legs that are fresh.
fn compare_volatilities(chain: &OptionChain, ticks: &[Tick<'static>], at: Timestamp) -> usize {
    let mut implied = 0;
    let forward = chain.forward.map(|forward| forward.price);
    for strike in &chain.strikes {
        for (leg, side) in [(&strike.call, Side::Call), (&strike.put, Side::Put)] {
            let leg = leg.as_ref().unwrap();
            let Some(volatility) = leg.implied_volatility else {
                assert!(
                    leg.greeks.is_none() && (leg.timestamp.is_none() || leg.no_volatility_because.is_some())
                );
                if leg.stale.is_some() {
                    assert_eq!(leg.no_volatility_because, Some(NoVolatilityBecause::Stale));
                }
                continue;
            };
            implied += 1;
            assert_eq!((leg.stale, leg.no_volatility_because), (None, None));
            let tick = last(ticks, leg.instrument_token, at).unwrap();
            let (bid, ask) = (tick.bids[0].price, tick.asks[0].price);
            let price = if leg.basis == Some(Basis::Middle) { 0.5 * (bid + ask) } else { tick.last_price };
            let years = chain.days_to_expiry / 365.0;
            let again = Black76::new(forward.unwrap(), strike.strike, years, 0.055).unwrap();
            assert!((again.price(side, volatility).unwrap() - price).abs() < 1e-6, "{leg:?}");
            assert!(leg.greeks.is_some());
        }
    }
    implied
}

fn compare_whole(chain: &OptionChain, at: Timestamp) {
    let spot = chain.spot.as_ref().unwrap();
    assert_eq!((spot.symbol.as_str(), spot.exchange.as_str()), ("NIFTY", "NSE"));
    assert_eq!(chain.future.as_ref().unwrap().expiry, Some(date("2026-12-29")));
    let Some(forward) = chain.forward else { return };
    if forward.source == ForwardSource::Parity {
        // quotes are up to a minute old, in which the market of the test moves by ten points at most
        assert!((forward.price - forward_at(at)).abs() < 10.0, "{forward:?} {}", forward_at(at));
    } else {
        assert_eq!(forward.source, ForwardSource::Spot, "there is no future of this expiry");
    }
    let money = chain.at_the_money.unwrap();
    let nearest =
        (0..STRIKES).map(strike_of).map(|strike| (strike - forward.price).abs()).fold(f64::MAX, f64::min);
    assert!(((money - forward.price).abs() - nearest).abs() < 1e-9);
    let strike = chain.strikes.iter().find(|strike| (strike.strike - money).abs() < 1e-9).unwrap();
    let (call, put) = (strike.call.as_ref().unwrap(), strike.put.as_ref().unwrap());
    let fresh =
        call.stale.is_none() && put.stale.is_none() && call.timestamp.is_some() && put.timestamp.is_some();
    assert_eq!(chain.straddle, fresh.then(|| call.price().unwrap() + put.price().unwrap()));
}

#[tokio::test]
async fn a_chain_at_any_instant_is_a_join_by_brute_force() {
    let (_store, reader, ticks) = recorded("read_chain").await;
    let thursday = time("2026-11-19 23:00");
    let tokens = (0..STRIKES).flat_map(|number| SIDES.map(|(kind, _)| option_token(number, kind)));
    let before: HashMap<u32, u64> = tokens
        .filter_map(|token| last(&ticks, token, thursday).map(|tick| (token, tick.open_interest)))
        .collect();
    let options = ChainOptions::default();
    let mut dice = Dice(12);
    let (mut implied, mut marked) = (0, [0; 3]);
    let edges = [
        "09:15:03",
        "09:50:00",
        "09:52:29.999",
        "10:00",
        "10:20:30",
        "11:05:20",
        "11:20:00",
        "11:21:30",
        "17:00",
    ];
    let mut instants: Vec<Timestamp> =
        edges.iter().map(|clock| time(&format!("2026-11-20 {clock}"))).collect();
    instants.extend(
        (0..60).map(|_| time("2026-11-20 09:15").plus(Duration::from_millis(dice.roll(126 * 60_000)))),
    );
    for at in instants {
        let found = reader.chain("NIFTY", Expiry::On(date(EXPIRY)), at, &options).await;
        let chain = found.unwrap_or_else(|error| panic!("{at}: {error}"));
        assert_eq!(
            (chain.expiry, chain.strikes.len(), chain.legs),
            (date(EXPIRY), STRIKES as usize, 2 * STRIKES as usize)
        );
        assert_eq!(chain.expires_at, time("2026-12-01 15:40"));
        assert_eq!(chain.previous_session, Some(date("2026-11-19")));
        for (number, strike) in chain.strikes.iter().enumerate() {
            assert!((strike.strike - strike_of(number as u32)).abs() < 1e-9);
            for leg in [&strike.call, &strike.put] {
                let leg = leg.as_ref().unwrap();
                compare_leg(leg, &ticks, &before, at);
                if let Some(stale) = leg.stale {
                    marked[stale as usize] += 1;
                }
            }
        }
        compare_sums(&chain, &ticks, at);
        compare_whole(&chain, at);
        implied += compare_volatilities(&chain, &ticks, at);
    }
    assert!(implied > 1_000 && marked.iter().all(|count| *count > 20), "{implied} {marked:?}");
}

#[tokio::test]
async fn instruments_are_those_of_the_day_and_errors_say_what_there_is() {
    let (store, reader, _) = recorded("read_chain_days").await;
    let options = ChainOptions::default();
    let ask =
        async |name: &str, expiry: Expiry, at: &str| reader.chain(name, expiry, time(at), &options).await;
    // on Thursday the tokens of one strike meant contracts that expired that day; then they were used again
    let thursday = ask("nifty 50", Expiry::On(date(EXPIRY)), "2026-11-19 15:39").await.unwrap();
    assert_eq!((thursday.underlying.as_str(), thursday.strikes.len()), ("NIFTY", STRIKES as usize - 1));
    assert_eq!(thursday.previous_session, None, "Wednesday was not recorded");
    let current = ask("NSE:NIFTY", Expiry::Nth(1), "2026-11-19 15:39").await.unwrap();
    assert_eq!((current.expiry, current.strikes.len()), (date("2026-11-19"), 1));
    // what expires today is over with the close
    let error = ask("NIFTY", Expiry::Nth(1), "2026-11-20 10:00").await.unwrap_err();
    assert!(
        matches!(&error, ReadError::NoTicks { expiry, of_day: None, .. } if *expiry == date("2026-11-20")),
        "{error}"
    );
    let after = ask("NIFTY", Expiry::Nth(1), "2026-11-20 15:40").await.unwrap();
    assert_eq!(after.expiry, date(EXPIRY));

    let error = ask("NIFTY", Expiry::Nth(2), "2026-11-20 09:14").await.unwrap_err().to_string();
    assert!(error.contains(": the first of that day came at 2026-11-20T09:15:0"), "{error}");
    let error = ask("NIFTY", Expiry::On(date(EXPIRY)), "2026-11-21 11:00").await.unwrap_err().to_string();
    assert!(error.contains("there are ticks of 2026-11-20"), "{error}");
    let error = ask("NIFTI", Expiry::Nth(1), "2026-11-20 10:00").await.unwrap_err().to_string();
    assert_eq!(error, "there are no options on \"NIFTI\" on 2026-11-20: did you mean NIFTY?");
    for wrong in [Expiry::On(date("2026-12-08")), Expiry::Nth(4)] {
        let error = ask("NIFTY", wrong, "2026-11-20 10:00").await.unwrap_err().to_string();
        assert_eq!(
            error,
            "NIFTY has no such expiry on 2026-11-20: there are 2026-11-20, 2026-12-01, 2026-12-29"
        );
    }
    rows_are_flat(&reader).await;
    drop(store);
}

/// The rows for files, as the server reads and writes them.
async fn rows_are_flat(reader: &Reader) {
    let at = time("2026-11-20 10:15");
    let mut chain = reader.chain("NIFTY", Expiry::Nth(2), at, &ChainOptions::default()).await.unwrap();
    chain.keep_around_the_money(2);
    assert_eq!(chain.strikes.len(), 5);
    assert!((chain.strikes[2].strike - chain.at_the_money.unwrap()).abs() < 1e-9);
    for format in [Format::Csv, Format::Parquet, Format::ArrowStream] {
        let rows = Answer::Rows(chain.rows().unwrap());
        let bytes = reader.present(rows, format).await.unwrap().collect().await.unwrap();
        if format == Format::Csv {
            let text = String::from_utf8(bytes.clone()).unwrap();
            assert_eq!(text.lines().count(), 11);
            assert!(
                text.lines()
                    .nth(1)
                    .unwrap()
                    .starts_with("\"2026-11-20 10:15:00.000\",\"NIFTY\",\"NFO\",\"2026-12-01\","),
                "{text}"
            );
        } else {
            assert!(bytes.len() > 500);
        }
    }
    let json = serde_json::to_value(&chain).unwrap();
    assert_eq!(json["at"], "2026-11-20T10:15:00.000+05:30");
    assert!(json["strikes"][2]["put"]["delta"].is_number(), "{}", json["strikes"][2]);
}
