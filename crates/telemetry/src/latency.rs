//! Latency histograms with bounded memory and percentiles.

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use std::time::Duration;

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

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.0.clear();
    }
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
        assert!(
            (summary.p50_ms - 501.0).abs() < 10.0 && (summary.p99_ms - 991.0).abs() < 15.0,
            "{summary:?}"
        );
    }
}
