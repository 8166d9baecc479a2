//! What every process of Tickhouse shares: its clock, its logs, its counters and latency histograms.
//!
//! What enters: settings. What leaves: instants, log lines, numbers. What never happens here: a log line or a lock per
//! tick.

mod clock;
mod latency;
mod logs;
mod rotate;

pub use clock::{Clock, ClockError};
pub use latency::{Latency, LatencyHistogram, LatencySummary};
pub use logs::{LogError, LogSettings, init_logs};
