//! Options on a forward, and what a chain of them says as a whole.
//!
//! What enters: prices, strikes, times. What leaves: Black-76 prices, implied volatilities, [`Greeks`], the forward that
//! calls and puts imply, the strike at the money, put/call ratios, max pain. What never happens here: I/O, a clock, a
//! calendar, NaN: whatever the arguments are, a result is a finite number, `None` or an error that says why.
//!
//! Formulas, units and conventions with their sources: `docs/options.md`.
//!
//! ```
//! use tickhouse_options::{Black76, Side};
//!
//! // NIFTY at 24,010 on the forward, strike 24,000, four days, 5.5 % a year
//! let option = Black76::new(24_010.0, 24_000.0, 4.0 / 365.0, 0.055)?;
//! let volatility = option.implied_volatility(Side::Call, 132.4)?;
//! assert!((volatility - 0.1271).abs() < 1e-4);
//! let greeks = option.greeks(Side::Call, volatility).expect("there is time left");
//! assert!(greeks.theta < -15.0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod black76;
mod greeks;
mod implied;
mod normal;
mod normalised;
mod parity;
mod positioning;

pub use black76::{BadInput, Black76, Side};
pub use greeks::Greeks;
pub use implied::NoVolatility;
pub use parity::{ImpliedForward, Pair, implied_forward};
pub use positioning::{StrikeTotals, max_pain, nearest_strike, ratio};

use tickhouse_model::Timestamp;

/// Seconds of the year by which times to expiry are counted: 365 days (ACT/365 fixed).
pub const SECONDS_PER_YEAR: f64 = 365.0 * 86_400.0;

/// Years from `at` to `expiry`, ACT/365 fixed, to the nanosecond; 0 once it has come.
pub fn years_to(at: Timestamp, expiry: Timestamp) -> f64 {
    expiry.since(at).as_secs_f64() / SECONDS_PER_YEAR
}
