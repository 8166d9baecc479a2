use super::*;
use jiff::civil::date;
use std::collections::HashSet;

fn universe(count: usize) -> Universe {
    Universe::generate(7, count, date(2026, 11, 20))
}

#[test]
fn any_size_has_nifty_and_exactly_that_many() {
    for count in [1, 2, 3, 10, 500, 9_000, MOST_INSTRUMENTS] {
        let universe = universe(count);
        assert_eq!(universe.listings().len(), count);
        assert_eq!(universe.index_of(Token(256_265)), Some(0));
    }
}

#[test]
fn a_demo_of_500_has_every_segment() {
    let universe = universe(500);
    let names: HashSet<_> = universe.listings().iter().map(|listing| listing.segment).collect();
    for segment in [
        "INDICES", "NSE", "BSE", "NFO-FUT", "NFO-OPT", "BFO-FUT", "BFO-OPT", "CDS-FUT", "CDS-OPT", "BCD-FUT",
        "MCX-FUT", "MCX-OPT", "NCO-FUT", "NCO-OPT",
    ] {
        assert!(names.contains(segment), "{segment} is missing from {names:?}");
    }
    for known in ["NSE:INFY", "NSE:RELIANCE", "NSE:NIFTY BANK", "BSE:SENSEX", "738561", "NFO:NIFTY26NOVFUT"] {
        assert!(universe.find(known).is_some(), "{known}");
    }
    assert_eq!(universe.find("NSE:NOBODY"), None);
}

#[test]
fn tokens_and_keys_are_unique_and_in_their_segment() {
    for count in [500, MOST_INSTRUMENTS] {
        let universe = universe(count);
        assert_eq!(universe.by_token.len(), count);
        assert_eq!(universe.by_key.len(), count);
        for listing in universe.listings() {
            let expected = if listing.segment == "INDICES" { "INDICES" } else { listing.exchange };
            assert_eq!(listing.token.segment().name(), expected, "{listing:?}");
            assert!(listing.base > 0 && listing.base % listing.tick == 0, "{listing:?}");
            let walk = matches!(listing.pricing, Pricing::Walk);
            assert!(!walk || f64::from(listing.base) * 1.25 < f64::from(i32::MAX), "{listing:?}");
        }
    }
}

#[test]
fn contracts_are_alive_and_priced_from_earlier_listings() {
    let universe = universe(5_000);
    for (place, listing) in universe.listings().iter().enumerate() {
        assert!(listing.expiry.is_none_or(|expiry| expiry >= date(2026, 11, 20)), "{listing:?}");
        match listing.pricing {
            Pricing::Walk => {}
            Pricing::Future { underlying, .. } | Pricing::Option { underlying, .. } => {
                assert!((underlying as usize) < place, "{listing:?}");
                let below = &universe.listings()[underlying as usize];
                assert_eq!(below.divisor(), listing.divisor(), "{listing:?}");
            }
        }
    }
}

#[test]
fn the_same_seed_lists_the_same() {
    assert_eq!(universe(800).listings(), universe(800).listings());
    let other = Universe::generate(8, 3_000, date(2026, 11, 20));
    assert_ne!(universe(3_000).listings(), other.listings());
}
