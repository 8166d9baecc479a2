//! Rules against small masters: by hand, and against an oracle that goes through every instrument for every rule.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod oracle;

use std::collections::BTreeMap;
use std::path::Path;
use tickhouse_config::{Config, Rule, Sources};
use tickhouse_enrich::{InstrumentTable, InstrumentTableBuilder};
use tickhouse_model::{Instrument, InstrumentKind, Mode, Token};
use tickhouse_universe::{Resolution, Universe, UniverseError, Wanted};

/// A Friday: 2026-11-20.
pub(crate) const TODAY: i32 = 20_777;

/// The rules of a configuration file.
pub(crate) fn rules(text: &str) -> Vec<Rule> {
    let sources = Sources::new().with_text(Path::new("tickhouse.toml"), text).unwrap();
    Config::read(&sources).unwrap().universe
}

pub(crate) fn instrument(
    token: u32,
    exchange: &str,
    segment: &str,
    symbol: &str,
    kind: InstrumentKind,
) -> Instrument {
    Instrument {
        token: Token(token),
        symbol: String::new(),
        tradingsymbol: symbol.to_owned(),
        underlying: symbol.to_owned(),
        exchange: exchange.to_owned(),
        segment: segment.to_owned(),
        instrument_type: kind,
        sector: String::new(),
        asset_class: String::new(),
        expiry: None,
        strike: 0.0,
        tick_size: 0.05,
        lot_size: 1,
    }
}

pub(crate) fn derivative(
    token: u32,
    exchange: &str,
    underlying: &str,
    kind: InstrumentKind,
    expiry: i32,
    strike: f64,
) -> Instrument {
    let segment = format!("{exchange}-{}", if kind == InstrumentKind::Future { "FUT" } else { "OPT" });
    let symbol = format!("{underlying}{expiry}{strike}{}", kind.name());
    Instrument {
        underlying: underlying.to_owned(),
        expiry: Some(expiry),
        strike,
        ..instrument(token, exchange, &segment, &symbol, kind)
    }
}

pub(crate) fn table(instruments: impl IntoIterator<Item = Instrument>) -> InstrumentTable {
    let mut builder = InstrumentTableBuilder::new();
    builder.add_all(instruments).unwrap();
    builder.finish()
}

pub(crate) fn no_file(path: &Path) -> std::io::Result<String> {
    Err(std::io::Error::new(std::io::ErrorKind::NotFound, path.display().to_string()))
}

const NIFTY: u32 = 256_265;

/// NIFTY with two live expiries and one of yesterday, RELIANCE with one, gold with futures only, two shares.
fn small() -> InstrumentTable {
    let mut all = vec![
        instrument(NIFTY, "NSE", "INDICES", "NIFTY 50", InstrumentKind::Index),
        instrument(738_561, "NSE", "NSE", "RELIANCE", InstrumentKind::Equity),
        instrument(408_065, "NSE", "NSE", "INFY", InstrumentKind::Equity),
        instrument(500_004, "BSE", "BSE", "INFY", InstrumentKind::Equity),
        derivative(7, "MCX", "GOLD", InstrumentKind::Future, TODAY + 10, 0.0),
        derivative(263, "MCX", "GOLD", InstrumentKind::Future, TODAY + 40, 0.0),
        derivative(519, "MCX", "GOLD", InstrumentKind::Call, TODAY + 10, 120_000.0),
    ];
    let mut token = 1_000_002;
    for (underlying, expiry, step) in [
        ("NIFTY", TODAY - 1, 50),
        ("NIFTY", TODAY, 50),
        ("NIFTY", TODAY + 7, 100),
        ("RELIANCE", TODAY + 5, 20),
    ] {
        let middle = if underlying == "NIFTY" { 24_000 } else { 1_400 };
        for place in -10..=10 {
            for kind in [InstrumentKind::Call, InstrumentKind::Put] {
                all.push(derivative(
                    token,
                    "NFO",
                    underlying,
                    kind,
                    expiry,
                    f64::from(middle + place * step),
                ));
                token += 256;
            }
        }
        all.push(derivative(token, "NFO", underlying, InstrumentKind::Future, expiry, 0.0));
        token += 256;
    }
    table(all)
}

fn bound(text: &str) -> Universe {
    Universe::bind(&rules(text), &small(), TODAY, no_file).unwrap()
}

fn at(universe: &mut Universe, prices: &[(u32, f64)]) -> Resolution {
    let prices: BTreeMap<Token, f64> = prices.iter().map(|(token, price)| (Token(*token), *price)).collect();
    universe.resolve(|token| prices.get(&token).copied(), 9_000)
}

/// What was chosen, in words: underlying, days to the expiry, strike, kind.
fn words(resolution: &Resolution) -> Vec<String> {
    let table = small();
    let word = |wanted: &Wanted| {
        let found = table.get(wanted.token).unwrap();
        let days = i32::from(found.expiry_days) - TODAY;
        let kind = found.kind.name();
        format!("{} {days} {} {kind}", table.text(found.underlying), found.strike)
    };
    let mut words: Vec<String> = resolution
        .wanted
        .iter()
        .filter(|wanted| small().get(wanted.token).unwrap().expiry_days > 0)
        .map(word)
        .collect();
    words.sort();
    words
}

#[test]
fn options_around_the_money_of_this_expiry_and_the_next() {
    let mut universe = bound("[[universe]]\nname = 'near'\noptions = 'NIFTY'\nstrikes = 1\nexpiries = 2\n");
    assert_eq!(universe.spots(), [Token(NIFTY)]);
    let waiting = at(&mut universe, &[]);
    assert_eq!(waiting.wanted, [Wanted { token: Token(NIFTY), mode: Mode::Ltp }]);
    assert_eq!(waiting.rules[0].waiting, ["NIFTY"]);

    let resolution = at(&mut universe, &[(NIFTY, 24_060.0)]);
    let expected: Vec<String> =
        [(0, 24_000), (0, 24_050), (0, 24_100), (7, 24_000), (7, 24_100), (7, 24_200)]
            .iter()
            .flat_map(|(days, strike)| ["CE", "PE"].map(|kind| format!("NIFTY {days} {strike} {kind}")))
            .collect();
    assert_eq!(words(&resolution), expected);
    let money = &resolution.rules[0].at_the_money[0];
    assert_eq!((money.price, &money.strikes[..]), (Some(24_060.0), &[24_050.0, 24_100.0][..]));
    assert!(resolution.rules[0].waiting.is_empty());
    assert_eq!(resolution.wanted[0].token, Token(NIFTY), "the price that everything hangs on comes first");
    assert!(universe.most() >= resolution.wanted.len());

    // a price that is none changes nothing; one that is gone neither
    for price in [f64::NAN, 0.0, -5.0] {
        assert_eq!(at(&mut universe, &[(NIFTY, price)]).wanted, resolution.wanted);
    }
    assert_eq!(at(&mut universe, &[]).wanted, resolution.wanted);
    // beyond the middle by less than the inertia: only the near expiry's money moves
    let near = at(&mut universe, &[(NIFTY, 24_090.0)]);
    assert_eq!(near.rules[0].at_the_money[0].strikes, [24_100.0, 24_100.0]);
    let back = at(&mut universe, &[(NIFTY, 24_070.0)]);
    assert_eq!(back.wanted, near.wanted, "24070 is within the inertia of 24100");
}

#[test]
fn another_master_of_the_same_contracts_moves_nothing() {
    let text = "[[universe]]\noptions = 'NIFTY'\nstrikes = 2\n";
    let mut universe = bound(text);
    at(&mut universe, &[(NIFTY, 24_100.0)]);
    let before = at(&mut universe, &[(NIFTY, 24_066.0)]);
    let mut fresh = bound(text);
    assert_ne!(at(&mut fresh, &[(NIFTY, 24_066.0)]).wanted, before.wanted);
    let mut heir = bound(text);
    heir.inherit(&universe);
    assert_eq!(at(&mut heir, &[(NIFTY, 24_066.0)]).wanted, before.wanted);
    assert_eq!(at(&mut heir, &[]).rules[0].waiting, Vec::<String>::new());
}

#[test]
fn futures_members_patterns_and_entries() {
    let chosen = |text: &str| {
        let read = |path: &Path| {
            if path.ends_with("fifty.csv") {
                Ok("Company Name,Industry,Symbol,Series,ISIN Code\nx,y,INFY,EQ,z\nx,y,GONE,EQ,z\n".to_owned())
            } else {
                no_file(path)
            }
        };
        let mut universe = Universe::bind(&rules(text), &small(), TODAY, read).unwrap();
        let resolution = at(&mut universe, &[]);
        let tokens: Vec<u32> = resolution.wanted.iter().map(|wanted| wanted.token.0).collect();
        (tokens, universe.notices().to_vec())
    };
    let (nfo, _) = chosen("[[universe]]\nfutures = '*'\n");
    assert_eq!(nfo.len(), 3, "the future of yesterday is none");
    assert_eq!(chosen("[[universe]]\nfutures = ['NIFTY']\nexpiries = 1\n").0.len(), 1);
    assert_eq!(chosen("[[universe]]\nfutures = 'GOLD'\nexchanges = 'MCX'\n").0, [7, 263]);
    let (none, notices) = chosen("[[universe]]\nname = 'gold'\nfutures = 'GOLD'\n");
    assert!(none.is_empty());
    assert_eq!(notices[0], "gold: there are no futures of GOLD on this day");
    let (members, notices) = chosen("[[universe]]\nname = 'fifty'\nmembers = 'fifty.csv'\n");
    assert_eq!(
        (members, &notices[..]),
        (vec![408_065], &["fifty: 1 of 2 members are not listed: GONE".to_owned()][..])
    );
    assert_eq!(chosen("[[universe]]\nmembers = 'fifty.csv'\nexchanges = ['BSE']\n").0, [500_004]);
    assert_eq!(chosen("[[universe]]\npattern = '^INFY$'\n").0, [408_065, 500_004]);
    assert_eq!(chosen("[[universe]]\npattern = 'FUT$'\nexchanges = 'MCX-FUT'\n").0, [7, 263]);
    assert_eq!(chosen("[kite]\nsubscribe = ['INDICES:*', 'NSE:RELIANCE', 42]\n").0, [NIFTY, 738_561, 42]);
    let (_, notices) = chosen("[kite]\nsubscribe = ['NSE:NOBODY']\n");
    assert_eq!(notices[0], "NSE:NOBODY: NSE:NOBODY is not listed on this day");

    let mut universe = bound("[[universe]]\noptions = 'GOLD'\nexchanges = 'MCX'\n");
    assert_eq!(universe.spots(), [Token(7)], "the nearest future tells the price of what has no index");
    assert_eq!(at(&mut universe, &[(7, 1.0)]).wanted.len(), 2);
    let share = bound("[[universe]]\noptions = 'RELIANCE'\n");
    assert_eq!(share.spots(), [Token(738_561)]);
    let named = bound("[[universe]]\noptions = 'NIFTY'\nspot = 'BSE:INFY'\n");
    assert_eq!(named.spots(), [Token(500_004)]);
}

#[test]
fn rules_that_cannot_be_used_are_all_told() {
    let text = "[[universe]]\nname = 'a'\npattern = '('\n[[universe]]\nname = 'b'\nmembers = 'gone.csv'\n";
    let error: UniverseError = Universe::bind(&rules(text), &small(), TODAY, no_file).unwrap_err();
    assert_eq!(error.faults.len(), 2);
    assert!(
        error.to_string().contains("a: `(` is no pattern") && error.to_string().contains("b: gone.csv"),
        "{error}"
    );
}

#[test]
fn what_is_named_first_counts_and_what_is_worth_least_is_left_out() {
    let text = "[[universe]]\nname = 'all'\nsubscribe = 'all'\npriority = 900\n\
                [[universe]]\nname = 'near'\noptions = 'NIFTY'\nstrikes = 1\nexpiries = 1\npriority = 10\n\
                [[universe]]\nname = 'shares'\nsubscribe = ['NSE:INFY@ltp', 'NSE:NIFTY 50@quote']\npriority = 20\n";
    let mut universe = bound(text);
    let resolution = universe.resolve(|_| Some(24_000.0), 9);
    let report: Vec<_> = resolution
        .rules
        .iter()
        .map(|rule| (rule.name.as_str(), rule.selected, rule.fits, rule.repeated, rule.left_out))
        .collect();
    assert_eq!(report[..2], [("near", 7, 7, 0, 0), ("shares", 2, 1, 1, 0)]);
    let (name, selected, fits, repeated, left_out) = report[2];
    assert_eq!((name, selected, fits, repeated), ("all", small().len(), 1, 8));
    assert_eq!((left_out, resolution.left_out), (selected - 9, selected - 9));
    assert_eq!(resolution.first_left_out.len(), 5);
    let mode = |token: u32| resolution.wanted.iter().find(|wanted| wanted.token.0 == token).unwrap().mode;
    assert_eq!(mode(408_065), Mode::Ltp, "the first rule that names it says how much of it");
    assert_eq!(mode(NIFTY), Mode::Quote, "for its price alone ltp would do, but a rule names it");
    let text = resolution.to_string();
    assert!(
        text.starts_with(&format!("{} instruments, 9 fit: {left_out} too many", small().len())),
        "{text}"
    );
    assert!(text.contains("     900  all"), "{text}");
}
