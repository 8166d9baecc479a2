//! The normal distribution in the forms that options need: density, cumulative, and their ratio without cancellation.

use std::f64::consts::{FRAC_1_SQRT_2, PI};

/// 1/√(2π).
pub(crate) const INV_SQRT_2PI: f64 = 0.398_942_280_401_432_7;
/// √(π/2).
const SQRT_HALF_PI: f64 = 1.253_314_137_315_500_3;

/// From here on `erfcx` goes by its continued fraction.
const FRACTION_FROM: f64 = 5.0;
/// Depth of the continued fraction: at 5 it is exact to the last bit with 24 levels, and needs fewer beyond.
const FRACTION_DEPTH: u32 = 30;

/// Density of the standard normal distribution.
pub(crate) fn density(z: f64) -> f64 {
    INV_SQRT_2PI * (-0.5 * z * z).exp()
}

/// The standard normal distribution up to `z`, with full relative precision in both tails.
pub(crate) fn cumulative(z: f64) -> f64 {
    0.5 * libm::erfc(-z * FRAC_1_SQRT_2)
}

/// Cumulative over density, Φ(z)/φ(z): Mills' ratio from the left. Overflows from about z = 38 on.
pub(crate) fn mills(z: f64) -> f64 {
    SQRT_HALF_PI * erfcx(-z * FRAC_1_SQRT_2)
}

/// exp(x²)·erfc(x), the scaled complementary error function.
fn erfcx(x: f64) -> f64 {
    if x < FRACTION_FROM {
        return exp_of_square(x) * libm::erfc(x);
    }
    // Abramowitz and Stegun 7.1.14, from its end
    let mut fraction = x;
    for level in (1..=FRACTION_DEPTH).rev() {
        fraction = x + 0.5 * f64::from(level) / fraction;
    }
    1.0 / (fraction * PI.sqrt())
}

/// exp(x²) with the rounding of the square made good.
fn exp_of_square(x: f64) -> f64 {
    let square = x * x;
    let lost = x.mul_add(x, -square);
    square.exp() * (1.0 + lost)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scaled_error_function_is_as_published() {
        // computed with 50 digits (mpmath: exp(x*x)*erfc(x))
        for (x, expected) in [
            (-5.0, 144_009_798_674.661_04),
            (-1.0, 5.008_980_080_762_283),
            (0.0, 1.0),
            (0.5, 0.615_690_344_192_925_9),
            (1.0, 0.427_583_576_155_807),
            (3.0, 0.179_001_151_181_389_9),
            (4.999_999, 0.110_704_659_065_862_43),
            (5.0, 0.110_704_637_733_068_6),
            (10.0, 0.056_140_992_743_822_59),
            (30.0, 0.018_795_888_861_416_75),
            (1e10, 5.641_895_835_477_563e-11),
        ] {
            let error = (erfcx(x) / expected - 1.0).abs();
            assert!(error < 1.5e-15, "{x}: {} {error}", erfcx(x));
        }
    }

    #[test]
    fn tails_keep_their_digits() {
        // mpmath: ncdf(z)
        for (z, expected) in [
            (-37.0, 5.725_571_222_524_577e-300),
            (-10.0, 7.619_853_024_160_527e-24),
            (-1.0, 0.158_655_253_931_457_05),
            (0.0, 0.5),
            (3.0, 0.998_650_101_968_369_9),
        ] {
            assert!((cumulative(z) / expected - 1.0).abs() < 1e-13, "{z}: {}", cumulative(z));
        }
    }
}
