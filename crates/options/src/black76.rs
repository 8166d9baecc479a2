//! Prices of European options on a forward: F. Black, "The pricing of commodity contracts" (1976).

use crate::normalised::Point;
use std::fmt;

/// What an option gives the right to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// To buy at the strike: `CE`.
    Call,
    /// To sell at the strike: `PE`.
    Put,
}

impl Side {
    /// Kite's word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Call => "CE",
            Self::Put => "PE",
        }
    }

    /// +1 for a call, -1 for a put.
    pub(crate) const fn sign(self) -> f64 {
        match self {
            Self::Call => 1.0,
            Self::Put => -1.0,
        }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// An argument that no option has.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum BadInput {
    /// Forward or strike is not a positive number between 1e-100 and 1e100.
    #[error("{name} is {value}: a positive price is needed")]
    Price {
        /// `forward` or `strike`.
        name: &'static str,
        /// As it came.
        value: f64,
    },
    /// The time is negative, not finite, or above 1,000 years.
    #[error("{0} years to expiry: 0 to 1000 are possible")]
    Years(f64),
    /// The rate is not finite, or beyond ±1 (±100 % a year) or what the time allows.
    #[error("a rate of {0} a year: -1 to 1 are possible, 0.065 is 6.5 %")]
    Rate(f64),
    /// The volatility is negative, not finite, or above 1,000 (100,000 % a year).
    #[error("a volatility of {0} a year: 0 to 1000 are possible, 0.12 is 12 %")]
    Volatility(f64),
}

const PRICES: std::ops::RangeInclusive<f64> = 1e-100..=1e100;

/// A strike on a forward at some time before expiry: all that call and put have in common but volatility.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Black76 {
    pub(crate) forward: f64,
    pub(crate) strike: f64,
    pub(crate) years: f64,
    pub(crate) rate: f64,
    pub(crate) discount: f64,
    /// ln(forward / strike).
    pub(crate) moneyness: f64,
}

impl Black76 {
    /// `forward`: of the expiry, and `strike`, in one unit. `years` to expiry ([`years_to`](crate::years_to)), 0 when it
    /// has come. `rate`: yearly, continuously compounded, as a fraction; it discounts what is paid at expiry.
    ///
    /// # Errors
    /// [`BadInput`] for what is not finite or out of range.
    pub fn new(forward: f64, strike: f64, years: f64, rate: f64) -> Result<Self, BadInput> {
        for (name, value) in [("forward", forward), ("strike", strike)] {
            if !PRICES.contains(&value) {
                return Err(BadInput::Price { name, value });
            }
        }
        if !(0.0..=1_000.0).contains(&years) {
            return Err(BadInput::Years(years));
        }
        // 100 keeps the discount factor between 1e-44 and 1e44
        if !(-1.0..=1.0).contains(&rate) || (rate * years).abs() > 100.0 {
            return Err(BadInput::Rate(rate));
        }
        let discount = (-rate * years).exp();
        Ok(Self { forward, strike, years, rate, discount, moneyness: log_ratio(forward, strike) })
    }

    /// The discount factor, exp(-rate × years).
    pub const fn discount(&self) -> f64 {
        self.discount
    }

    /// What exercise at the forward is worth today: the price at volatility 0, and the least that a price can be.
    pub fn intrinsic(&self, side: Side) -> f64 {
        self.discount * self.exercise(side)
    }

    /// More than any volatility makes a price: the discounted forward of a call, the discounted strike of a put.
    pub fn most(&self, side: Side) -> f64 {
        self.discount
            * match side {
                Side::Call => self.forward,
                Side::Put => self.strike,
            }
    }

    /// The price at a yearly volatility (0.12 is 12 %), in the unit of forward and strike.
    ///
    /// # Errors
    /// [`BadInput::Volatility`].
    pub fn price(&self, side: Side, volatility: f64) -> Result<f64, BadInput> {
        let deviation = self.deviation(volatility)?;
        if deviation == 0.0 {
            return Ok(self.intrinsic(side));
        }
        let value = Point::new(-self.moneyness.abs(), deviation).value() * self.unit();
        Ok(self.discount * (self.exercise(side) + value))
    }

    /// Volatility × √time.
    pub(crate) fn deviation(&self, volatility: f64) -> Result<f64, BadInput> {
        if !(0.0..=1_000.0).contains(&volatility) {
            return Err(BadInput::Volatility(volatility));
        }
        Ok(volatility * self.years.sqrt())
    }

    /// What exercise at the forward pays, not discounted.
    pub(crate) fn exercise(&self, side: Side) -> f64 {
        (side.sign() * (self.forward - self.strike)).max(0.0)
    }

    /// √(FK), in which normalised values are counted.
    pub(crate) fn unit(&self) -> f64 {
        self.forward.sqrt() * self.strike.sqrt()
    }
}

/// ln(a/b), also of two that are nearly the same.
fn log_ratio(a: f64, b: f64) -> f64 {
    let ratio = a / b;
    if (0.5..2.0).contains(&ratio) { ((a - b) / b).ln_1p() } else { a.ln() - b.ln() }
}

#[cfg(test)]
mod tests;
