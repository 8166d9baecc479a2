//! Published values, and laws that hold whatever the arguments are.

use super::*;
use crate::{Greeks, NoVolatility};
use proptest::prelude::*;

fn option(forward: f64, strike: f64, years: f64, rate: f64) -> Black76 {
    Black76::new(forward, strike, years, rate).unwrap()
}

#[track_caller]
fn close(ours: f64, published: f64, digits: i32) {
    let half = 0.5 * 10_f64.powi(-digits) * 1.000_001;
    assert!((ours - published).abs() <= half, "{ours}, published {published}");
}

#[test]
fn prices_as_in_the_books() {
    // E. G. Haug, The Complete Guide to Option Pricing Formulas, 2nd ed. (2007), 1.1.3: Black-76, Brent Blend futures
    let brent = option(19.0, 19.0, 0.75, 0.10);
    close(brent.price(Side::Call, 0.28).unwrap(), 1.7011, 4);
    close(brent.price(Side::Put, 0.28).unwrap(), 1.7011, 4);
    // J. C. Hull, Options, Futures, and Other Derivatives, 9th ed., example 18.6: a put on crude oil futures
    close(option(20.0, 20.0, 4.0 / 12.0, 0.09).price(Side::Put, 0.25).unwrap(), 1.12, 2);
    // Hull, example 15.6: S = 42, K = 40, r = 10 %, σ = 20 %, half a year
    let stock = option(42.0 * 0.05_f64.exp(), 40.0, 0.5, 0.1);
    close(stock.price(Side::Call, 0.2).unwrap(), 4.76, 2);
    close(stock.price(Side::Put, 0.2).unwrap(), 0.81, 2);
}

#[test]
fn implied_volatility_as_in_the_book() {
    // Hull, 15.11: S = 21, K = 20, r = 10 %, three months, c = 1.875: 23.5 % a year
    let stock = option(21.0 * 0.025_f64.exp(), 20.0, 0.25, 0.1);
    close(stock.implied_volatility(Side::Call, 1.875).unwrap(), 0.235, 3);
}

#[test]
fn greeks_as_in_the_books() {
    // Haug, 2.1.1: a futures option, F = 105, X = 100, half a year, r = 10 %, σ = 36 %
    let futures = option(105.0, 100.0, 0.5, 0.1);
    close(futures.greeks(Side::Call, 0.36).unwrap().delta, 0.5946, 4);
    close(futures.greeks(Side::Put, 0.36).unwrap().delta, -0.3566, 4);
    // Haug, 2.2.1 and 2.3.1: a stock option, S = 55, X = 60, nine months, r = b = 10 %, σ = 30 %. Per 1 of the spot and
    // for a whole unit of volatility there
    let carry = (0.1_f64 * 0.75).exp();
    let stock = option(55.0 * carry, 60.0, 0.75, 0.1).greeks(Side::Call, 0.3).unwrap();
    close(stock.gamma * carry * carry, 0.0278, 4);
    close(stock.vega * 100.0, 18.9358, 4);
    // Hull, 19.4 to 19.8: S = 49, K = 50, r = 5 %, σ = 20 %, 20 weeks
    let carry = (0.05_f64 * 0.3846).exp();
    let hull = option(49.0 * carry, 50.0, 0.3846, 0.05);
    let greeks = hull.greeks(Side::Call, 0.2).unwrap();
    close(greeks.delta * carry, 0.522, 3);
    close(greeks.gamma * carry * carry, 0.066, 3);
    close(greeks.vega * 100.0, 12.1, 1);
    // his theta lets the spot stay, so the forward's carry comes on top: -4.31 a year, rho 8.91 likewise
    let forward = 49.0 * carry;
    close(greeks.theta * 365.0 - 0.05 * forward * greeks.delta, -4.31, 2);
    close(greeks.rho * 100.0 + 0.3846 * forward * greeks.delta, 8.91, 2);
}

#[test]
fn the_bounds_are_named() {
    let option = option(24_010.0, 24_000.0, 4.0 / 365.0, 0.055);
    assert_eq!(option.implied_volatility(Side::Call, f64::NAN), Err(NoVolatility::NotANumber));
    let intrinsic = option.intrinsic(Side::Call);
    for price in [-1.0, 0.0, 9.0, intrinsic] {
        let expected = NoVolatility::AtMostIntrinsic { price, intrinsic };
        assert_eq!(option.implied_volatility(Side::Call, price), Err(expected));
    }
    assert_eq!(
        option.implied_volatility(Side::Put, 0.0),
        Err(NoVolatility::AtMostIntrinsic { price: 0.0, intrinsic: 0.0 })
    );
    let bound = option.most(Side::Put);
    assert_eq!(
        option.implied_volatility(Side::Put, 24_000.0),
        Err(NoVolatility::AtLeastBound { price: 24_000.0, bound })
    );
    let expired = Black76 { years: 0.0, ..option };
    assert_eq!(expired.implied_volatility(Side::Call, 100.0), Err(NoVolatility::Expired));
    assert_eq!(expired.greeks(Side::Call, 0.1), None);
    assert_eq!(option.greeks(Side::Call, 0.0), None);
    assert_eq!(
        option.price(Side::Put, f64::NAN).unwrap_err().to_string().split(':').next().unwrap().len(),
        26
    );
}

/// Any double: NaN, infinities and subnormals too.
fn any() -> impl Strategy<Value = f64> {
    prop_oneof![
        prop::num::f64::ANY,
        Just(0.0),
        Just(f64::NAN),
        Just(f64::INFINITY),
        Just(f64::MIN_POSITIVE),
        -2.0..2.0_f64,
        1e-3..1e6_f64
    ]
}

fn side() -> impl Strategy<Value = Side> {
    prop_oneof![Just(Side::Call), Just(Side::Put)]
}

/// Forward, log-moneyness, total deviation, years, rate: from options that cost 1e-300 of their forward to ones that
/// cost nearly all of it.
fn wide() -> impl Strategy<Value = (Black76, f64)> {
    (0.01_f64..1e6, -4.0_f64..4.0, -7.0_f64..2.0, 1e-6_f64..5.0, -0.05_f64..0.3).prop_map(
        |(forward, log_strike, log_deviation, years, rate)| {
            let option = option(forward, forward * log_strike.exp(), years, rate);
            (option, log_deviation.exp() / years.sqrt())
        },
    )
}

/// What trades: strikes within 20 %, minutes to a year left, 3 % to 150 %.
fn usual() -> impl Strategy<Value = (Black76, f64)> {
    (10.0_f64..1e5, -0.2_f64..0.2, 1e-4_f64..1.0, 0.03_f64..1.5, 0.0_f64..0.1).prop_map(
        |(forward, log_strike, years, volatility, rate)| {
            (option(forward, forward * log_strike.exp(), years, rate), volatility)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { max_global_rejects: 20_000, ..ProptestConfig::with_cases(2_000) })]

    #[test]
    fn calls_less_puts_are_the_discounted_forward((option, volatility) in wide()) {
        let call = option.price(Side::Call, volatility).unwrap_or(0.0);
        let put = option.price(Side::Put, volatility).unwrap_or(0.0);
        let parity = option.discount * (option.forward - option.strike);
        let scale = option.discount * option.forward.max(option.strike);
        prop_assert!((call - put - parity).abs() <= 1e-15 * scale * 8.0, "{} {} {}", call, put, parity);
    }

    #[test]
    fn a_price_is_within_its_bounds_and_rises_with_volatility(
        (option, volatility) in wide(), side in side(), more in 1.0001_f64..2.0,
    ) {
        prop_assume!(volatility * more < 1_000.0);
        let low = option.price(side, volatility).unwrap();
        let high = option.price(side, volatility * more).unwrap();
        prop_assert!(option.intrinsic(side) <= low && high <= option.most(side) * (1.0 + 1e-15));
        prop_assert!(low <= high, "{} {}", low, high);
    }

    #[test]
    fn a_call_falls_and_a_put_rises_with_the_strike((option, volatility) in wide(), up in 1.0001_f64..1.5) {
        prop_assume!(volatility < 1_000.0);
        let higher = Black76::new(option.forward, option.strike * up, option.years, option.rate).unwrap();
        let rounding = 1e-15 * 8.0 * option.most(Side::Put).max(option.most(Side::Call));
        let by = |side| higher.price(side, volatility).unwrap() - option.price(side, volatility).unwrap();
        prop_assert!(by(Side::Call) <= rounding);
        prop_assert!(by(Side::Put) >= -rounding);
    }

    #[test]
    fn the_implied_volatility_makes_the_price((option, volatility) in wide(), side in side()) {
        prop_assume!((1e-6..900.0).contains(&volatility));
        let price = option.price(side, volatility).unwrap();
        let Ok(implied) = option.implied_volatility(side, price) else {
            // what carries the answer was lost in the price's rounding, at one of the bounds
            let exercise = option.intrinsic(side);
            let time_value = option.price(mirror(&option, side), volatility).unwrap();
            prop_assert!(
                time_value <= 4.0 * f64::EPSILON * exercise.max(f64::MIN_POSITIVE)
                    || option.most(side) - price <= 4.0 * f64::EPSILON * price,
                "{:?} {} {:?}", option, price, option.implied_volatility(side, price)
            );
            return Ok(());
        };
        let again = option.price(side, implied).unwrap();
        prop_assert!((again - price).abs() <= 1e-15 * 8.0 * price + 1e-12 * (price - option.intrinsic(side)),
            "{} {}", again, price);
    }

    #[test]
    fn out_of_the_money_the_volatility_comes_back_to_twelve_digits((option, volatility) in wide()) {
        prop_assume!((1e-6..900.0).contains(&volatility));
        let side = if option.forward <= option.strike { Side::Call } else { Side::Put };
        let price = option.price(side, volatility).unwrap();
        // neither below what doubles hold well, nor where the bound swallows the digits
        prop_assume!(price > 1e-290 && option.most(side) - price > 1e-3 * price);
        let implied = option.implied_volatility(side, price).unwrap();
        prop_assert!((implied / volatility - 1.0).abs() < 1e-12, "{} {}", implied, volatility);
    }

    #[test]
    fn greeks_are_the_derivatives((option, volatility) in usual(), side in side()) {
        let deviation = volatility * option.years.sqrt();
        // where there is a curve at all
        prop_assume!(deviation > 2e-3 && (option.moneyness / deviation).abs() < 6.0);
        let greeks = option.greeks(side, volatility).unwrap();
        let Black76 { forward, strike, years, rate, .. } = option;
        let price = |forward: f64, years: f64, rate: f64, volatility: f64| {
            Black76::new(forward, strike, years, rate).unwrap().price(side, volatility).unwrap()
        };
        let slope = |at: f64, step: f64, f: &dyn Fn(f64) -> f64| {
            // five points: the error goes with the fourth power of the step
            (f(at - 2.0 * step) - 8.0 * f(at - step) + 8.0 * f(at + step) - f(at + 2.0 * step)) / (12.0 * step)
        };
        let by_forward = slope(forward, forward * deviation * 1e-2, &|f| price(f, years, rate, volatility));
        let by_volatility = slope(volatility, volatility * 1e-2, &|v| price(forward, years, rate, v));
        let by_years = slope(years, years * 1e-2, &|t| price(forward, t, rate, volatility));
        let by_rate = slope(rate, 1e-3, &|r| price(forward, years, r, volatility));
        let by_delta = slope(forward, forward * deviation * 1e-2, &|f| {
            Black76::new(f, strike, years, rate).unwrap().greeks(side, volatility).unwrap().delta
        });
        let scale = option.discount * forward;
        for (name, ours, slope, unit) in [
            ("delta", greeks.delta, by_forward, 1.0),
            ("gamma", greeks.gamma, by_delta, 1.0 / (forward * deviation)),
            ("vega", greeks.vega * 100.0, by_volatility, scale * years.sqrt()),
            ("theta", greeks.theta * -365.0, by_years, scale * deviation / years),
            ("rho", greeks.rho * 100.0, by_rate, scale * years),
        ] {
            prop_assert!((ours - slope).abs() < 1e-6 * unit, "{}: {} {}", name, ours, slope);
        }
    }

    #[test]
    fn nothing_is_ever_no_number(
        forward in any(), strike in any(), years in any(), rate in any(), volatility in any(), price in any(), side in side(),
    ) {
        let Ok(option) = Black76::new(forward, strike, years, rate) else { return Ok(()) };
        if let Ok(price) = option.price(side, volatility) {
            prop_assert!(price.is_finite() && price >= 0.0);
        }
        if let Ok(implied) = option.implied_volatility(side, price) {
            prop_assert!(implied.is_finite() && implied > 0.0);
        }
        if let Some(Greeks { delta, gamma, vega, theta, rho }) = option.greeks(side, volatility) {
            for value in [delta, gamma, vega, theta, rho] {
                prop_assert!(value.is_finite());
            }
            prop_assert!(gamma >= 0.0 && vega >= 0.0);
        }
    }
}

/// The side whose price is all time value.
fn mirror(option: &Black76, side: Side) -> Side {
    match (option.forward > option.strike, side) {
        (true, Side::Call) => Side::Put,
        (false, Side::Put) => Side::Call,
        (_, side) => side,
    }
}
