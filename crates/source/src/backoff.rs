//! How long to wait before the next attempt. Pure but for the random number, which comes from outside.

use std::time::Duration;

/// Doubling delays with jitter: the n-th delay lies between half and the whole of min(`most`, `least`·2ⁿ), n from 1,
/// and always within `least ..= most`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    least: Duration,
    most: Duration,
    attempts: u32,
}

impl Backoff {
    /// Delays within `least ..= most`; `most` is raised to `least` when it is less.
    pub fn new(least: Duration, most: Duration) -> Self {
        Self { least, most: most.max(least), attempts: 0 }
    }

    /// The next delay. `random` is uniform in 0..1; what lies outside is clamped.
    pub fn next(&mut self, random: f64) -> Duration {
        self.attempts = self.attempts.saturating_add(1);
        let factor = 2_u32.saturating_pow(self.attempts.min(31));
        let nominal = self.least.saturating_mul(factor).min(self.most);
        let share = if random.is_finite() { random.clamp(0.0, 1.0) } else { 0.5 };
        (nominal / 2 + (nominal / 2).mul_f64(share)).clamp(self.least, self.most)
    }

    /// Begins anew, after a session that earned it.
    pub fn reset(&mut self) {
        self.attempts = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn doubles_from_one_to_sixty_seconds() {
        let mut backoff = Backoff::new(SECOND, 60 * SECOND);
        let longest: Vec<u64> = (0..8).map(|_| backoff.next(1.0).as_secs()).collect();
        assert_eq!(longest, [2, 4, 8, 16, 32, 60, 60, 60]);
        backoff.reset();
        let shortest: Vec<u64> = (0..8).map(|_| backoff.next(0.0).as_secs()).collect();
        assert_eq!(shortest, [1, 2, 4, 8, 16, 30, 30, 30]);
    }

    proptest! {
        #[test]
        fn stays_within_its_bounds(
            least in 0_u64..100_000, most in 0_u64..100_000, draws in prop::collection::vec(any::<f64>(), 1..200),
        ) {
            let (least, most) = (Duration::from_millis(least), Duration::from_millis(most));
            let mut backoff = Backoff::new(least, most);
            for draw in draws {
                let delay = backoff.next(draw);
                prop_assert!(delay >= least && delay <= most.max(least), "{delay:?}");
            }
        }

        #[test]
        fn never_shrinks_at_equal_luck(random in 0.0..1.0, attempts in 1_usize..5_000) {
            let mut backoff = Backoff::new(SECOND, 60 * SECOND);
            let delays: Vec<_> = (0..attempts).map(|_| backoff.next(random)).collect();
            prop_assert!(delays.is_sorted());
        }

        #[test]
        fn luck_spreads_a_herd(attempts in 1_usize..20) {
            let (mut early, mut late) = (Backoff::new(SECOND, 60 * SECOND), Backoff::new(SECOND, 60 * SECOND));
            for _ in 0..attempts {
                let (early, late) = (early.next(0.0), late.next(1.0));
                prop_assert!(late >= early * 2 || late == 60 * SECOND, "{early:?} {late:?}");
            }
        }
    }
}
