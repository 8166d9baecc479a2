//! The oracle: every rule's definition, applied to every instrument, without ladders, maps or memory.

use crate::{TODAY, derivative, instrument, no_file, rules, table};
use proptest::prelude::*;
use std::collections::BTreeSet;
use tickhouse_model::{Instrument, InstrumentKind, Token};
use tickhouse_universe::Universe;

const NAMES: [&str; 3] = ["ALPHA", "BETA", "GAMMA"];

/// What the test makes: shares of `NAMES`, futures and options on them.
#[derive(Clone, Debug)]
struct Market {
    instruments: Vec<Instrument>,
    prices: [Option<f64>; 3],
}

fn share(name: usize) -> u32 {
    (name as u32 + 1) << 8 | 1
}

fn market() -> impl Strategy<Value = Market> {
    let contract = (0..3_usize, -2..25_i32, 1..40_u32, 0..3_u8);
    let prices = prop::array::uniform3(prop::option::weighted(0.9, 5.0_f64..420.0));
    (prop::collection::btree_set(contract, 0..160), prices).prop_map(|(contracts, prices)| {
        let mut instruments: Vec<Instrument> = (0..3)
            .map(|name| instrument(share(name), "NSE", "NSE", NAMES[name], InstrumentKind::Equity))
            .collect();
        let mut futures = BTreeSet::new();
        for (number, (name, days, strike, kind)) in contracts.into_iter().enumerate() {
            let kind = [InstrumentKind::Future, InstrumentKind::Call, InstrumentKind::Put][usize::from(kind)];
            // weeks, so that expiries have several strikes
            let days = days / 7 * 7;
            if kind == InstrumentKind::Future && !futures.insert((name, days)) {
                continue;
            }
            let strike = if kind == InstrumentKind::Future { 0.0 } else { f64::from(strike) * 10.0 };
            let token = (number as u32 + 100) << 8 | 2;
            instruments.push(derivative(token, "NFO", NAMES[name], kind, TODAY + days, strike));
        }
        Market { instruments, prices }
    })
}

/// The rules of the test: (priority, definition).
#[derive(Clone, Debug)]
enum Definition {
    Options { names: Vec<usize>, strikes: usize, expiries: usize },
    Futures { names: Vec<usize>, expiries: usize },
    Share(usize),
}

fn definitions() -> impl Strategy<Value = Vec<(u16, Definition)>> {
    let names = prop::sample::subsequence(vec![0_usize, 1, 2], 1..=3);
    let one =
        prop_oneof![
            (names.clone(), 0..6_usize, 1..4_usize)
                .prop_map(|(names, strikes, expiries)| Definition::Options { names, strikes, expiries }),
            (names, 1..4_usize).prop_map(|(names, expiries)| Definition::Futures { names, expiries }),
            (0..3_usize).prop_map(Definition::Share),
        ];
    prop::collection::vec((1..4_u16, one), 1..5)
}

fn configuration(definitions: &[(u16, Definition)]) -> String {
    let quoted = |names: &[usize]| {
        names.iter().map(|name| format!("'{}'", NAMES[*name])).collect::<Vec<_>>().join(", ")
    };
    let tables: Vec<String> = definitions
        .iter()
        .map(|(priority, definition)| {
            let body = match definition {
                Definition::Options { names, strikes, expiries } => {
                    format!("options = [{}]\nstrikes = {strikes}\nexpiries = {expiries}", quoted(names))
                }
                Definition::Futures { names, expiries } => {
                    format!("futures = [{}]\nexpiries = {expiries}", quoted(names))
                }
                Definition::Share(name) => format!("subscribe = ['NSE:{}']", NAMES[*name]),
            };
            format!("[[universe]]\npriority = {priority}\n{body}\n")
        })
        .collect();
    tables.concat()
}

/// Expiries of the same kind of contract on the same name that are earlier and not over.
fn earlier(market: &Market, contract: &Instrument, is_like: impl Fn(&Instrument) -> bool) -> usize {
    let expiries: BTreeSet<i32> = market
        .instruments
        .iter()
        .filter(|other| other.underlying == contract.underlying && is_like(other))
        .filter_map(|other| other.expiry)
        .filter(|expiry| (TODAY..contract.expiry.unwrap()).contains(expiry))
        .collect();
    expiries.len()
}

fn is_option(instrument: &Instrument) -> bool {
    matches!(instrument.instrument_type, InstrumentKind::Call | InstrumentKind::Put)
}

fn is_future(instrument: &Instrument) -> bool {
    instrument.instrument_type == InstrumentKind::Future
}

/// How many strikes of its expiry lie between an option and the one next to the price; the lower of two that are as near.
fn distance(market: &Market, option: &Instrument, price: f64) -> usize {
    let mut strikes: Vec<f64> = market
        .instruments
        .iter()
        .filter(|other| {
            is_option(other) && other.underlying == option.underlying && other.expiry == option.expiry
        })
        .map(|other| other.strike)
        .collect();
    strikes.sort_by(f64::total_cmp);
    strikes.dedup();
    let gap = |place: &usize| (strikes[*place] - price).abs();
    let nearest = (0..strikes.len()).min_by(|a, b| gap(a).total_cmp(&gap(b))).unwrap();
    strikes.iter().position(|strike| strike.to_bits() == option.strike.to_bits()).unwrap().abs_diff(nearest)
}

/// Everything that the rules mean, the most worthy first, each once.
fn ranking(market: &Market, definitions: &[(u16, Definition)]) -> Vec<Token> {
    let mut found = Vec::new();
    for wanted in 1..4 {
        for (_, definition) in definitions.iter().filter(|(priority, _)| *priority == wanted) {
            match definition {
                Definition::Share(name) => found.push(Token(share(*name))),
                Definition::Futures { names, expiries } => {
                    let mut here: Vec<&Instrument> = market
                        .instruments
                        .iter()
                        .filter(|one| is_future(one) && one.expiry.unwrap() >= TODAY)
                        .filter(|one| names.iter().any(|name| NAMES[*name] == one.underlying))
                        .filter(|one| earlier(market, one, is_future) < *expiries)
                        .collect();
                    here.sort_by_key(|one| (one.underlying.clone(), one.expiry));
                    found.extend(here.iter().map(|one| one.token));
                }
                Definition::Options { names, strikes, expiries } => {
                    let live = |one: &&Instrument| is_option(one) && one.expiry.unwrap() >= TODAY;
                    for name in names {
                        let any = market.instruments.iter().filter(live);
                        if any.into_iter().any(|one| one.underlying == NAMES[*name]) {
                            found.push(Token(share(*name)));
                        }
                    }
                    for name in names {
                        let Some(price) = market.prices[*name] else { continue };
                        let mut here: Vec<(usize, usize, u64, Token)> = market
                            .instruments
                            .iter()
                            .filter(live)
                            .filter(|one| one.underlying == NAMES[*name])
                            .map(|one| {
                                let place = distance(market, one, price);
                                (place, earlier(market, one, is_option), one.strike.to_bits(), one.token)
                            })
                            .filter(|(place, expiry, ..)| place <= strikes && expiry < expiries)
                            .collect();
                        here.sort_unstable();
                        found.extend(here.iter().map(|one| one.3));
                    }
                }
            }
        }
    }
    let mut seen = BTreeSet::new();
    found.retain(|token| seen.insert(*token));
    found
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn the_resolver_agrees_with_brute_force(
        market in market(),
        definitions in definitions(),
        capacity in prop_oneof![Just(9_000_usize), 0..60_usize],
    ) {
        let rules = rules(&configuration(&definitions));
        let table = table(market.instruments.clone());
        let mut universe = Universe::bind(&rules, &table, TODAY, no_file).unwrap();
        let price = |token: Token| (0..3).find(|name| share(*name) == token.0).and_then(|name| market.prices[name]);
        let resolution = universe.resolve(price, capacity);
        let expected = ranking(&market, &definitions);
        let wanted: Vec<Token> = resolution.wanted.iter().map(|one| one.token).collect();
        prop_assert_eq!(&wanted, &expected[..capacity.min(expected.len())]);
        prop_assert_eq!(resolution.left_out, expected.len() - wanted.len());
        let rest = &expected[wanted.len()..];
        prop_assert_eq!(&resolution.first_left_out[..], &rest[..rest.len().min(5)]);
        prop_assert!(universe.most() >= expected.len());
        for rule in &resolution.rules {
            prop_assert_eq!(rule.selected, rule.fits + rule.repeated + rule.left_out);
        }
        prop_assert_eq!(resolution.rules.iter().map(|rule| rule.fits).sum::<usize>(), wanted.len());
        // the same prices again change nothing
        prop_assert_eq!(universe.resolve(price, capacity), resolution);
    }
}
