//! What open interest and volume say of a chain as a whole.

/// A strike with what is open on either side, in one unit (lots or units).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StrikeTotals {
    /// Strike.
    pub strike: f64,
    /// Of the call; 0 where unknown.
    pub call: u64,
    /// Of the put; 0 where unknown.
    pub put: u64,
}

/// Puts over calls; `None` when there is nothing on the calls' side.
pub fn ratio(puts: u64, calls: u64) -> Option<f64> {
    (calls > 0).then(|| puts as f64 / calls as f64)
}

/// The strike at which, were it the settlement, the writers of all open options would pay least; the lower of two. `None`
/// when nothing is open.
pub fn max_pain(strikes: &[StrikeTotals]) -> Option<f64> {
    let open = |one: &StrikeTotals| one.strike.is_finite() && (one.call > 0 || one.put > 0);
    if !strikes.iter().any(open) {
        return None;
    }
    let payout = |at: f64| -> f64 {
        strikes
            .iter()
            .filter(|one| open(one))
            .map(|one| {
                (at - one.strike).max(0.0) * one.call as f64 + (one.strike - at).max(0.0) * one.put as f64
            })
            .sum()
    };
    let mut candidates: Vec<f64> =
        strikes.iter().map(|one| one.strike).filter(|strike| strike.is_finite()).collect();
    candidates.sort_by(f64::total_cmp);
    // the first of equals: the lower
    let paid = candidates.into_iter().map(|strike| (strike, payout(strike)));
    paid.reduce(|best, next| if next.1 < best.1 { next } else { best }).map(|(strike, _)| strike)
}

/// The strike next to a price, the lower of two; `None` without strikes.
pub fn nearest_strike(strikes: impl IntoIterator<Item = f64>, price: f64) -> Option<f64> {
    let distance = |strike: f64| (strike - price).abs();
    strikes.into_iter().filter(|strike| strike.is_finite()).reduce(|best, next| {
        let nearer = distance(next) < distance(best) || (distance(next) <= distance(best) && next < best);
        if nearer { next } else { best }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_chain_of_three() {
        let strikes = [(90.0, 10, 40), (100.0, 30, 30), (110.0, 60, 5)]
            .map(|(strike, call, put)| StrikeTotals { strike, call, put });
        // paid at 90: 10·30 + 20·5 = 400; at 100: 10·10 + 10·5 = 150; at 110: 20·10 + 10·30 = 500
        assert_eq!(max_pain(&strikes), Some(100.0));
        assert_eq!(ratio(75, 100), Some(0.75));
        assert_eq!(ratio(75, 0), None);
        assert_eq!(max_pain(&[StrikeTotals { strike: 90.0, call: 0, put: 0 }]), None);
    }

    #[test]
    fn of_two_at_one_distance_the_lower() {
        assert_eq!(nearest_strike([110.0, 100.0, 90.0], 105.0), Some(100.0));
        assert_eq!(nearest_strike([100.0, 110.0], 105.1), Some(110.0));
        assert_eq!(nearest_strike([f64::NAN], 105.1), None);
    }

    proptest! {
        #[test]
        fn no_strike_pays_less(open in prop::collection::vec((1_u64..200, 0_u64..50, 0_u64..50), 1..40)) {
            let strikes: Vec<StrikeTotals> =
                open.iter().map(|(k, call, put)| StrikeTotals { strike: (k * 50) as f64, call: *call, put: *put }).collect();
            // whole numbers, apart from the code's doubles
            let paid = |at: u64| -> u64 {
                open.iter().map(|(k, call, put)| at.saturating_sub(*k) * call + k.saturating_sub(at) * put).sum()
            };
            let found = max_pain(&strikes);
            if open.iter().all(|(_, call, put)| call + put == 0) {
                prop_assert_eq!(found, None);
            } else {
                let best = open.iter().map(|(k, ..)| (paid(*k), *k)).min().unwrap();
                prop_assert_eq!(found, Some((best.1 * 50) as f64));
            }
        }
    }
}
