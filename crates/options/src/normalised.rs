//! Black's formula without units: the value of a call out of the money, by log-moneyness and total deviation.
//!
//! With x = ln(F/K) ≤ 0, s = σ√T and the value in units of √(FK), of a call that is out of the money
//!
//! ```text
//! b(x, s) = exp(x/2)·Φ(x/s + s/2) − exp(−x/2)·Φ(x/s − s/2),   0 < b < exp(x/2)
//! ```
//!
//! as in P. Jäckel, "Let's be rational" (2015), whose choice of where to use which form of `b` is followed. Every other
//! option is one of these and its intrinsic value.

use crate::normal::{INV_SQRT_2PI, cumulative, mills};

/// Below this half deviation the difference of two ratios is taken by its series.
const SERIES_BELOW: f64 = 0.1;
/// Above this h + t the two terms of the formula do not cancel.
const DIRECT_ABOVE: f64 = 0.85;

/// One point of the formula. `x` ≤ 0 and `s` > 0, both finite.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Point {
    x: f64,
    /// x/s
    h: f64,
    /// s/2
    t: f64,
}

impl Point {
    pub(crate) fn new(x: f64, s: f64) -> Self {
        Self { x, h: x / s, t: 0.5 * s }
    }

    /// The value. May underflow to 0.
    pub(crate) fn value(self) -> f64 {
        let Self { x, h, t } = self;
        if h + t > DIRECT_ABOVE {
            return (0.5 * x).exp() * cumulative(h + t) - self.slope() * mills(h - t);
        }
        let slope = self.slope();
        // where it underflows, what stands beside it may be infinite
        if slope > 0.0 { slope * self.per_slope() } else { 0.0 }
    }

    /// The derivative of the value by `s`: normalised vega.
    pub(crate) fn slope(self) -> f64 {
        self.log_slope().exp() * INV_SQRT_2PI
    }

    /// Logarithm of the value, also where the value itself underflows. For h + t ≤ 0, where the curve bends upwards.
    pub(crate) fn log_value(self) -> f64 {
        self.log_slope() + INV_SQRT_2PI.ln() + self.per_slope().ln()
    }

    /// Logarithm of what is missing to the upper bound, exp(x/2) − b. For h + t ≥ 0.
    pub(crate) fn log_rest(self) -> f64 {
        self.log_slope() + INV_SQRT_2PI.ln() + self.rest_per_slope().ln()
    }

    /// Value over slope: Y(h+t) − Y(h−t) with Mills' ratio Y.
    pub(crate) fn per_slope(self) -> f64 {
        let Self { h, t, .. } = self;
        if t < SERIES_BELOW { series(h, t) } else { mills(h + t) - mills(h - t) }
    }

    /// What is missing to the upper bound over slope.
    pub(crate) fn rest_per_slope(self) -> f64 {
        mills(-self.h - self.t) + mills(self.h - self.t)
    }

    fn log_slope(self) -> f64 {
        -0.5 * (self.h * self.h + self.t * self.t)
    }
}

/// Y(h+t) − Y(h−t) for small t by the odd terms of Taylor's series; the derivatives follow from Y′ = 1 + h·Y.
fn series(h: f64, t: f64) -> f64 {
    let (mut before, mut derivative) = (mills(h), 1.0 + h * mills(h));
    // t^n / n!
    let mut power = t;
    let mut sum = 0.0;
    for order in 1..=9_u32 {
        if order % 2 == 1 {
            sum += power * derivative;
        }
        (before, derivative) = (derivative, f64::from(order) * before + h * derivative);
        power *= t / f64::from(order + 1);
    }
    2.0 * sum
}
