//! The forward that calls and puts of one strike imply: C − P = D·(F − K).

/// How many strikes next to the money are asked.
const STRIKES: usize = 10;
/// The least that the two spreads of a strike count as, as a fraction of the strike: a tick or two. A locked market is not
/// infinitely sure.
const LEAST_SPREAD: f64 = 2e-6;
/// So many spreads may a strike's forward be from the middle one.
const SPREADS_APART: f64 = 3.0;

/// Best bid and ask of call and put of one strike, at one time, in the unit of the strike.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pair {
    /// Strike.
    pub strike: f64,
    /// Best bid and ask of the call.
    pub call: (f64, f64),
    /// Best bid and ask of the put.
    pub put: (f64, f64),
}

/// What put-call parity says of the forward.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ImpliedForward {
    /// The forward, in the unit of the strikes.
    pub forward: f64,
    /// Over how many strikes it was taken.
    pub strikes: usize,
}

/// One strike's word.
#[derive(Clone, Copy, Debug)]
struct Estimate {
    forward: f64,
    weight: f64,
    spread: f64,
}

/// The forward implied by call and put quotes of one expiry, `discount` being the discount factor to it.
///
/// Of the ten strikes at which call and put cost most nearly the same, each says K + (C − P)/D by its middle
/// prices, as sure as its two spreads are narrow (the weight is one over the sum of
/// their squares). Strikes that are more than three spreads off the
/// weighted median are left out; the weighted mean of the others is the forward. Strikes without two-sided, uncrossed quotes
/// do not count; `None` when none is left.
pub fn implied_forward(pairs: &[Pair], discount: f64) -> Option<ImpliedForward> {
    if !(discount.is_finite() && discount > 0.0) {
        return None;
    }
    let mut usable: Vec<&Pair> = pairs.iter().filter(|pair| pair.is_usable()).collect();
    usable.sort_by(|a, b| a.difference().abs().total_cmp(&b.difference().abs()));
    usable.truncate(STRIKES);
    let mut estimates: Vec<Estimate> = usable.into_iter().map(|pair| pair.estimate(discount)).collect();
    let middle = weighted_median(&mut estimates)?;
    let near = |one: &&Estimate| (one.forward - middle).abs() <= SPREADS_APART * one.spread;
    let (mut sum, mut weights, mut strikes) = (0.0, 0.0, 0);
    for one in estimates.iter().filter(near) {
        sum += one.weight * (one.forward - middle);
        weights += one.weight;
        strikes += 1;
    }
    let forward = middle + sum / weights;
    (forward.is_finite() && forward > 0.0).then_some(ImpliedForward { forward, strikes })
}

impl Pair {
    fn is_usable(&self) -> bool {
        let two_sided = |(bid, ask): (f64, f64)| bid > 0.0 && bid <= ask && ask.is_finite();
        self.strike.is_finite() && self.strike > 0.0 && two_sided(self.call) && two_sided(self.put)
    }

    /// Middle of the call less middle of the put.
    fn difference(&self) -> f64 {
        0.5 * (self.call.0 + self.call.1) - 0.5 * (self.put.0 + self.put.1)
    }

    fn estimate(&self, discount: f64) -> Estimate {
        let spread = (self.call.1 - self.call.0).hypot(self.put.1 - self.put.0) / discount;
        let spread = spread.max(LEAST_SPREAD * self.strike);
        Estimate {
            forward: self.strike + self.difference() / discount,
            weight: 1.0 / (spread * spread),
            spread,
        }
    }
}

fn weighted_median(estimates: &mut [Estimate]) -> Option<f64> {
    estimates.sort_by(|a, b| a.forward.total_cmp(&b.forward));
    let half = 0.5 * estimates.iter().map(|one| one.weight).sum::<f64>();
    let mut sum = 0.0;
    let found = estimates.iter().find(|one| {
        sum += one.weight;
        sum >= half
    });
    // rounding may keep the sum below its half
    found.or(estimates.last()).map(|one| one.forward)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Black76, Side};
    use proptest::prelude::*;

    fn pair(forward: f64, strike: f64, years: f64, volatility: f64, spread: f64) -> Pair {
        let option = Black76::new(forward, strike, years, 0.05).unwrap();
        let quote = |side| {
            let middle = option.price(side, volatility).unwrap().max(spread);
            (middle - 0.5 * spread, middle + 0.5 * spread)
        };
        Pair { strike, call: quote(Side::Call), put: quote(Side::Put) }
    }

    #[test]
    fn one_strike_is_enough_and_none_is_none() {
        let one = Pair { strike: 100.0, call: (4.9, 5.1), put: (2.9, 3.1) };
        let found = implied_forward(&[one], 0.5).unwrap();
        assert!((found.forward - 104.0).abs() < 1e-12 && found.strikes == 1);
        assert_eq!(implied_forward(&[], 1.0), None);
        let crossed = Pair { call: (5.1, 4.9), ..one };
        let one_sided = Pair { put: (0.0, 3.1), ..one };
        let broken = Pair { strike: f64::NAN, ..one };
        assert_eq!(implied_forward(&[crossed, one_sided, broken], 1.0), None);
        assert_eq!(implied_forward(&[one], f64::NAN), None);
    }

    #[test]
    fn a_strike_that_is_wide_says_little() {
        let narrow = Pair { strike: 100.0, call: (4.99, 5.01), put: (4.99, 5.01) };
        let wide = Pair { strike: 110.0, call: (1.0, 5.0), put: (9.0, 14.5) };
        let found = implied_forward(&[narrow, wide], 1.0).unwrap();
        assert!((found.forward - 100.0).abs() < 0.001 && found.strikes == 2, "{found:?}");
    }

    proptest! {
        #[test]
        fn the_forward_comes_back_whatever_one_strike_says(
            forward in 23_500.0_f64..24_500.0, years in 0.02_f64..0.3, volatility in 0.08_f64..0.4,
            off in 50.0_f64..500.0, is_call: bool, which in 0_usize..10,
        ) {
            let discount = (-0.05 * years).exp();
            let mut pairs: Vec<Pair> =
                (0..40).map(|i| pair(forward, 23_000.0 + 50.0 * f64::from(i), years, volatility, 1.0)).collect();
            let exact = implied_forward(&pairs, discount).unwrap();
            prop_assert!((exact.forward - forward).abs() < 1e-6, "{}", exact.forward);
            prop_assert_eq!(exact.strikes, STRIKES);
            // the quotes of one strike near the money stood still while the market went on
            pairs.sort_by(|a, b| a.difference().abs().total_cmp(&b.difference().abs()));
            let quote = if is_call { &mut pairs[which].call } else { &mut pairs[which].put };
            *quote = (quote.0 + off, quote.1 + off);
            let found = implied_forward(&pairs, discount).unwrap();
            prop_assert!((found.forward - forward).abs() < 1e-6, "{}", found.forward);
        }
    }
}
