//! Counters of a pipeline.
//!
//! What enters: what queue, journal and publisher know. What leaves: a dictionary. What never happens here: waiting.

use super::lifecycle::Line;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::sync::atomic::Ordering;

/// The dictionary `PipelineStats` of `_core.pyi`.
pub(super) fn stats<'py>(py: Python<'py>, line: &Line) -> PyResult<Bound<'py, PyDict>> {
    let counts = PyDict::new(py);
    counts.set_item("refused", line.refused.load(Ordering::Relaxed))?;
    counts.set_item("turned_away", line.turned_away.load(Ordering::Relaxed))?;
    let Some(queue) = line.counted() else { return Ok(counts) };
    let counters = queue.counters();
    counts.set_item("accepted", counters.accepted)?;
    counts.set_item("journaled", counters.journaled)?;
    counts.set_item("waiting", counters.waiting)?;
    let status = queue.pusher().status();
    counts.set_item("recorder", status.recorder)?;
    counts.set_item("session", status.session)?;
    counts.set_item("records", status.counters.pushes)?;
    counts.set_item("published", status.publisher.published + status.publisher.already_there)?;
    counts.set_item("connected", status.publisher.connected)?;
    let fault = status.journal.and_then(|journal| journal.fault);
    counts.set_item("journal_fault", fault)?;
    counts.set_item("redis_fault", status.publisher.waiting_for)?;
    counts.set_item("closed", line.queue().is_none())?;
    Ok(counts)
}
