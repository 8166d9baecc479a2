//! Latency histograms with bounded memory and percentiles.

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Upper bounds of a [`LatencyHistogram`]'s buckets, seconds: from what a thread's wake-up takes to a long outage.
const BOUNDS: [f64; 20] = [
    0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 1.5, 2.5, 5.0, 10.0, 30.0, 60.0,
    300.0, 900.0, 3_600.0,
];

/// Longest latency told apart; longer ones count as this.
const LONGEST_MICROS: u64 = 3_600_000_000;

/// A histogram of durations, 1 µs to 1 h, to two significant digits, in about 30 kB.
#[derive(Clone, Debug)]
pub struct Latency(Histogram<u64>);

impl Default for Latency {
    fn default() -> Self {
        let histogram = Histogram::new_with_bounds(1, LONGEST_MICROS, 2);
        Self(histogram.expect("constant bounds are valid"))
    }
}

impl Latency {
    /// Counts one duration.
    pub fn record(&mut self, duration: Duration) {
        self.record_n(duration, 1);
    }

    /// Counts `count` equal durations.
    pub fn record_n(&mut self, duration: Duration, count: u64) {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        self.0.saturating_record_n(micros.clamp(1, LONGEST_MICROS), count);
    }

    /// Adds another histogram's counts.
    pub fn add(&mut self, other: &Self) {
        self.0.add(&other.0).expect("all latencies share their bounds");
    }

    /// The percentiles so far.
    pub fn summary(&self) -> LatencySummary {
        let millis = |quantile| self.0.value_at_quantile(quantile) as f64 / 1_000.0;
        if self.0.is_empty() {
            return LatencySummary::default();
        }
        LatencySummary {
            count: self.0.len(),
            p50_ms: millis(0.5),
            p99_ms: millis(0.99),
            max_ms: self.0.max() as f64 / 1_000.0,
        }
    }

    /// The counts so far in cumulative buckets, for Prometheus. Counts near a bound fall on the side that two significant digits
    /// put them.
    pub fn histogram(&self) -> LatencyHistogram {
        let (mut buckets, mut bounds) = (Vec::with_capacity(BOUNDS.len()), BOUNDS.iter().peekable());
        let (mut count, mut sum_micros) = (0_u64, 0.0);
        for step in self.0.iter_recorded() {
            let micros = step.value_iterated_to().min(LONGEST_MICROS);
            while let Some(bound) = bounds.next_if(|bound| micros as f64 > **bound * 1e6) {
                buckets.push((*bound, count));
            }
            count += step.count_at_value();
            sum_micros += step.count_at_value() as f64 * self.0.median_equivalent(micros) as f64;
        }
        buckets.extend(bounds.map(|bound| (*bound, count)));
        LatencyHistogram { count, sum_seconds: sum_micros / 1e6, buckets }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}

/// A [`Latency`] in buckets.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct LatencyHistogram {
    /// Durations counted.
    pub count: u64,
    /// Their sum, seconds, to two significant digits each.
    pub sum_seconds: f64,
    /// Upper bound, seconds, and how many durations are not longer; both rise.
    pub buckets: Vec<(f64, u64)>,
}

/// Percentiles of a [`Latency`], in milliseconds. All zero when nothing was counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LatencySummary {
    /// Durations counted.
    pub count: u64,
    /// Median.
    pub p50_ms: f64,
    /// 99th percentile.
    pub p99_ms: f64,
    /// Largest.
    pub max_ms: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_of_known_durations() {
        let mut latency = Latency::default();
        assert_eq!(latency.summary(), LatencySummary::default());
        (1..=1_000).for_each(|millis| latency.record(Duration::from_millis(millis)));
        latency.record(Duration::MAX);
        let summary = latency.summary();
        assert_eq!(summary.count, 1_001);
        let histogram = latency.histogram();
        assert_eq!((histogram.count, histogram.buckets.len()), (1_001, BOUNDS.len()));
        let within = |bound| histogram.buckets.iter().find(|(upper, _)| *upper >= bound).unwrap().1;
        // two digits: a bucket of 100 ms may hold what is a hundredth longer
        assert!((99..=101).contains(&within(0.1)) && (498..=503).contains(&within(0.5)), "{histogram:?}");
        assert_eq!((within(0.000_5), within(1.5), within(3_600.0)), (0, 1_000, 1_001));
        assert!(histogram.buckets.is_sorted());
        assert!((histogram.sum_seconds - 500.5 - 3_600.0).abs() < 40.0, "{}", histogram.sum_seconds);
        assert_eq!(Latency::default().histogram().buckets.last(), Some(&(3_600.0, 0)));
        assert!(
            (summary.p50_ms - 501.0).abs() < 10.0 && (summary.p99_ms - 991.0).abs() < 15.0,
            "{summary:?}"
        );
    }
}
