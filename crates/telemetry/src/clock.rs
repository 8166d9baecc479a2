//! The one clock of a process. Everything that stores or compares a time asks it, so a simulated day can start at any
//! instant and run at any speed.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tickhouse_model::Timestamp;

/// Where a process takes the present from. Cloning is cheap; clones agree.
///
/// As text (`TICKHOUSE_CLOCK`, `--clock`): `system`, or `START@ANCHOR` or `START@ANCHOR*SPEED`, where `START` is an
/// RFC 3339 instant, `ANCHOR` the real Unix milliseconds at which it was `START`, and `SPEED` a positive factor.
/// Processes that are given the same text agree on the present.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    System,
    Simulated { start: Timestamp, anchor: Timestamp, speed: f64 },
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// The machine's own clock.
    pub const fn system() -> Self {
        Self(Source::System)
    }

    /// A clock that shows `start` now and runs `speed` times as fast as the machine's.
    pub fn simulated(start: Timestamp, speed: f64) -> Self {
        Self(Source::Simulated { start, anchor: real_now(), speed })
    }

    /// A clock that stands still until [`Clock::set`] moves it; for tests.
    pub fn manual(start: Timestamp) -> Self {
        Self(Source::Manual(Arc::new(AtomicI64::new(start.as_nanos()))))
    }

    /// The present.
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Source::System => real_now(),
            Source::Simulated { start, anchor, speed } => {
                start.plus(real_now().since(*anchor).mul_f64(*speed))
            }
            Source::Manual(nanos) => Timestamp::from_nanos(nanos.load(Ordering::Acquire)),
        }
    }

    /// Moves a manual clock; any other kind stays as it is.
    pub fn set(&self, now: Timestamp) {
        if let Source::Manual(nanos) = &self.0 {
            nanos.store(now.as_nanos(), Ordering::Release);
        }
    }

    /// How long `span` of this clock's time takes in real time. A manual clock counts as running at normal speed.
    pub fn real_time(&self, span: Duration) -> Duration {
        match &self.0 {
            Source::Simulated { speed, .. } => span.div_f64(*speed),
            Source::System | Source::Manual(_) => span,
        }
    }
}

/// The machine's clock: the only place that reads it.
fn real_now() -> Timestamp {
    #[expect(clippy::disallowed_methods, reason = "this is the door through which everything else goes")]
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_nanos(i64::try_from(since_epoch.as_nanos()).unwrap_or(i64::MAX))
}

impl fmt::Display for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Source::System => f.write_str("system"),
            Source::Simulated { start, anchor, speed } => {
                write!(f, "{start}@{}*{speed}", anchor.as_millis())
            }
            Source::Manual(_) => write!(f, "{}@{}*1", self.now(), real_now().as_millis()),
        }
    }
}

/// Why a text is no clock.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no clock: use `system`, or START@ANCHOR or START@ANCHOR*SPEED as in 2026-11-20T09:15:00+05:30@1795145400000*10"
)]
pub struct ClockError(String);

impl FromStr for Clock {
    type Err = ClockError;

    fn from_str(text: &str) -> Result<Self, ClockError> {
        let error = || ClockError(text.to_owned());
        if text == "system" {
            return Ok(Self::system());
        }
        let (start, rest) = text.split_once('@').ok_or_else(error)?;
        let (anchor, speed) = rest.split_once('*').unwrap_or((rest, "1"));
        let start: jiff::Timestamp = start.parse().map_err(|_| error())?;
        let speed: f64 = speed.parse().map_err(|_| error())?;
        if !speed.is_finite() || speed <= 0.0 {
            return Err(error());
        }
        Ok(Self(Source::Simulated {
            start: Timestamp::from_millis(start.as_millisecond()),
            anchor: Timestamp::from_millis(anchor.parse().map_err(|_| error())?),
            speed,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_reads_its_own_text() {
        let clock = Clock::simulated(Timestamp::from_millis(1_763_607_600_000), 60.0);
        let twin: Clock = clock.to_string().parse().unwrap();
        let apart = twin.now().as_millis() - clock.now().as_millis();
        assert!(apart.abs() < 1_000, "{apart} ms apart");
        assert_eq!(clock.real_time(Duration::from_mins(1)), Duration::from_secs(1));
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["", "noon", "2026-11-20T09:15:00+05:30", "2026-11-20T09:15:00+05:30@0*-1", "x@1*1"] {
            assert!(text.parse::<Clock>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_manual_clock_moves_only_when_told() {
        let clock = Clock::manual(Timestamp::from_millis(5));
        let other = clock.clone();
        clock.set(Timestamp::from_millis(9));
        assert_eq!(other.now(), Timestamp::from_millis(9));
    }
}
