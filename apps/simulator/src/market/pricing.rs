//! What a derivative is worth, given its underlying.

use crate::universe::{Pricing, on_grid};

/// The fair price on the tick grid; `None` for what walks by itself. Options by Bachelier's formula, with the normal
/// distribution's integral replaced by a logistic curve: close enough to look right, and cheap.
pub(super) fn fair(pricing: Pricing, tick: i32, underlying: i32) -> Option<i32> {
    let spot = f64::from(underlying);
    let raw = match pricing {
        Pricing::Walk => return None,
        Pricing::Future { carry, .. } => spot * carry,
        Pricing::Option { strike, deviation, call, .. } => {
            let spread = (spot * deviation).max(1.0);
            let distance = (spot - strike) / spread;
            let below = 1.0 / (1.0 + (-1.702 * distance).exp());
            let density = 0.398_942_3 * (-0.5 * distance * distance).exp();
            let worth = ((spot - strike) * below + spread * density).max(spot - strike).max(0.0);
            if call { worth } else { worth - (spot - strike) }
        }
    };
    Some(on_grid(raw, tick))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn option(call: bool, strike: f64) -> Pricing {
        Pricing::Option { underlying: 0, strike, deviation: 0.03, call }
    }

    #[test]
    fn at_the_money_is_two_fifths_of_the_deviation() {
        let price = fair(option(true, 2_400_000.0), 5, 2_400_000).unwrap();
        assert!((price - 28_720).abs() < 50, "{price}");
    }

    proptest! {
        #[test]
        fn options_are_on_the_grid_and_worth_their_exercise(strike in 1_000_000_i32..4_000_000, call: bool) {
            let spot = 2_400_000;
            let price = fair(option(call, f64::from(strike)), 5, spot).unwrap();
            let exercise = if call { spot - strike } else { strike - spot };
            prop_assert!(price >= 5 && price % 5 == 0 && price + 5 >= exercise, "{} {}", price, exercise);
        }
    }
}
