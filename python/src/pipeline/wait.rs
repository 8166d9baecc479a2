//! Waiting as Python's users expect it: other threads run, Ctrl-C ends it.
//!
//! What enters: what is waited for. What leaves: whether it came in time. What never happens here: more than a tenth of a second
//! without looking for signals.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use std::time::{Duration, Instant};

const SLICE: Duration = Duration::from_millis(100);
/// Longer than anybody waits, and no sum of times overflows.
const LONGEST: f64 = 1e9;

/// A number of seconds of Python.
pub(super) fn seconds(name: &str, value: f64) -> PyResult<Duration> {
    if (0.0..=LONGEST).contains(&value) {
        return Ok(Duration::from_secs_f64(value));
    }
    Err(PyValueError::new_err(format!("{name} is {value}: seconds, not negative")))
}

/// Asks again and again, detached from the interpreter; `step` waits for as long as it is given. No patience: without end.
pub(super) fn until(
    py: Python<'_>,
    patience: Option<Duration>,
    mut step: impl FnMut(Duration) -> bool + Send,
) -> PyResult<bool> {
    let deadline = patience.map(|patience| Instant::now() + patience);
    loop {
        let left = deadline.map_or(SLICE, |deadline| deadline.saturating_duration_since(Instant::now()));
        let slice = left.min(SLICE);
        if py.detach(|| step(slice)) {
            return Ok(true);
        }
        py.check_signals()?;
        if left <= slice && deadline.is_some() {
            return Ok(false);
        }
    }
}
