//! The volatility that a price implies.
//!
//! Newton's method in coordinates in which the curve is nearly a line, between brackets that only shrink. Which coordinates
//! follows P. Jäckel, "By implication" (2006): below the point of inflection, s = √(2|x|), the reciprocal of the value's
//! logarithm over the variance s²; above it the value itself; in the upper half the logarithm of what is missing to the
//! bound.

use crate::black76::{Black76, Side};
use crate::normalised::Point;

/// Why a price has no implied volatility.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum NoVolatility {
    /// The price is no number, or infinite.
    #[error("the price is not a number")]
    NotANumber,
    /// The expiry has come: there is no time for any volatility.
    #[error("the option has expired")]
    Expired,
    /// The price is at most what exercise is worth: no volatility above 0 makes it. What a stale or one-sided price of an
    /// option deep in the money often shows.
    #[error("{price} is not above the exercise value of {intrinsic}")]
    AtMostIntrinsic {
        /// As it came.
        price: f64,
        /// Discounted exercise value.
        intrinsic: f64,
    },
    /// The price is at least the forward (of a call) or the strike (of a put), discounted: no volatility makes it.
    #[error("{price} is not below the bound of {bound}")]
    AtLeastBound {
        /// As it came.
        price: f64,
        /// What any volatility stays below.
        bound: f64,
    },
    /// The price is so near to a bound that the volatility lies beyond 0.00001 % or 100,000 % a year.
    #[error("{price} is so near to a bound that no volatility can be told")]
    OutOfRange {
        /// As it came.
        price: f64,
    },
}

/// Steps at most: seen are 9; brackets alone need about 60.
const STEPS: u32 = 100;

impl Black76 {
    /// The yearly volatility (0.12 is 12 %) at which [`Black76::price`] gives this price.
    ///
    /// Of an option deep in the money the little above its exercise value carries the answer, so digits that the
    /// subtraction takes are missing in it.
    ///
    /// # Errors
    /// [`NoVolatility`] says why there is none.
    pub fn implied_volatility(&self, side: Side, price: f64) -> Result<f64, NoVolatility> {
        if !price.is_finite() {
            return Err(NoVolatility::NotANumber);
        }
        if self.years <= 0.0 {
            return Err(NoVolatility::Expired);
        }
        let undiscounted = price / self.discount;
        let time_value = undiscounted - self.exercise(side);
        if time_value <= 0.0 {
            return Err(NoVolatility::AtMostIntrinsic { price, intrinsic: self.intrinsic(side) });
        }
        // what the option's mirror out of the money stays below: the lesser of forward and strike
        let rest = self.forward.min(self.strike) - time_value;
        if rest <= 0.0 {
            return Err(NoVolatility::AtLeastBound { price, bound: self.most(side) });
        }
        let x = -self.moneyness.abs();
        let deviation = deviation(x, time_value / self.unit(), rest / self.unit());
        let volatility = deviation / self.years.sqrt();
        if (1e-7..=1_000.0).contains(&volatility) {
            Ok(volatility)
        } else {
            Err(NoVolatility::OutOfRange { price })
        }
    }
}

/// The s with b(x, s) = `value`, for 0 < value < exp(x/2); `rest` = exp(x/2) − value.
fn deviation(x: f64, value: f64, rest: f64) -> f64 {
    let inflection = (2.0 * x.abs()).sqrt();
    let value_there = if inflection > 0.0 { Point::new(x, inflection).value() } else { 0.0 };
    if value < value_there {
        let target = 1.0 / value.ln();
        let variance = search(inflection * inflection, 0.0, inflection * inflection, |variance| {
            let s = variance.sqrt();
            let point = Point::new(x, s);
            let logarithm = point.log_value();
            // by the variance: d(1/ln b) = −(b′/b) / ln² b / 2s
            let slope = -1.0 / (point.per_slope() * logarithm * logarithm * 2.0 * s);
            (1.0 / logarithm - target, slope)
        });
        return variance.sqrt();
    }
    // beyond it the rest is below any that is left over
    let highest = 2.0 * inflection + 100.0;
    let start = if inflection > 0.0 { inflection } else { value };
    if value <= rest {
        search(start, inflection, highest, |s| {
            let point = Point::new(x, s);
            (point.value() - value, point.slope())
        })
    } else {
        let target = rest.ln();
        search(start, inflection, highest, |s| {
            let point = Point::new(x, s);
            (point.log_rest() - target, -1.0 / point.rest_per_slope())
        })
    }
}

/// The root of a monotone function between `low` and `high`, by Newton's steps from `start`; where a step leaves the
/// brackets, or says nothing, the middle.
fn search(start: f64, mut low: f64, mut high: f64, function: impl Fn(f64) -> (f64, f64)) -> f64 {
    let mut at = start;
    for _ in 0..STEPS {
        let (value, slope) = function(at);
        if value == 0.0 {
            return at;
        }
        // rising: the root is above where the value is negative
        if (value < 0.0) == (slope > 0.0) {
            low = low.max(at);
        } else {
            high = high.min(at);
        }
        let step = at - value / slope;
        // NaN and infinities are between nothing
        let next = if step > low && step < high { step } else { 0.5 * (low + high) };
        if (next - at).abs() <= f64::EPSILON * at.abs() || high - low <= f64::EPSILON * high {
            return next;
        }
        at = next;
    }
    at
}
