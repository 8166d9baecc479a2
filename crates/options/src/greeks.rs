//! How a price moves: first and second derivatives of Black's formula.

use crate::black76::{Black76, Side};
use crate::normal::{cumulative, density};

/// Sensitivities of one option (one unit of the underlying, not one lot), the forward being what moves.
///
/// Each is per the unit that a trader quotes; the comments give the derivative behind it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Greeks {
    /// Change of the price per 1 of the forward: ∂V/∂F. 0 to 1 for a call, -1 to 0 for a put (times the discount factor).
    pub delta: f64,
    /// Change of delta per 1 of the forward: ∂²V/∂F².
    pub gamma: f64,
    /// Change of the price per volatility point, from 12 % to 13 %: ∂V/∂σ ÷ 100.
    pub vega: f64,
    /// Change of the price per calendar day that passes, forward and volatility staying: −∂V/∂T ÷ 365.
    pub theta: f64,
    /// Change of the price per point of the rate, from 5 % to 6 %, the forward staying: ∂V/∂r ÷ 100 = −T·V ÷ 100.
    pub rho: f64,
}

impl Black76 {
    /// The Greeks at a yearly volatility; `None` where they are not defined: no volatility, no time left, or arguments
    /// out of range.
    pub fn greeks(&self, side: Side, volatility: f64) -> Option<Greeks> {
        let deviation = self.deviation(volatility).ok()?;
        if deviation <= 0.0 {
            return None;
        }
        let value = self.price(side, volatility).ok()?;
        let sign = side.sign();
        let d1 = self.moneyness / deviation + 0.5 * deviation;
        let (discount, forward, root) = (self.discount, self.forward, self.years.sqrt());
        // ∂V/∂T at a constant discount factor, and what the discount factor itself changes
        let decay = discount * forward * density(d1) * volatility / (2.0 * root);
        let found = Greeks {
            delta: sign * discount * cumulative(sign * d1),
            gamma: discount * density(d1) / (forward * deviation),
            vega: discount * forward * density(d1) * root / 100.0,
            theta: (self.rate * value - decay) / 365.0,
            rho: -self.years * value / 100.0,
        };
        found.is_finite().then_some(found)
    }
}

impl Greeks {
    fn is_finite(&self) -> bool {
        [self.delta, self.gamma, self.vega, self.theta, self.rho].iter().all(|value| value.is_finite())
    }
}
