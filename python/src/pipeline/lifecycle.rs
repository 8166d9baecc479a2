//! The life of a pipeline beyond that of its object: the end of the interpreter, a fork, a forgotten `close()`.
//!
//! What enters: every queue that is opened. What leaves: queues that were closed in order. What never happens here: a child
//! process that touches the threads and files of its parent.

use super::{PATCHED, Pipeline, wait::until};
use crate::errors::{JOURNAL_ERROR, raise};
use pyo3::prelude::*;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};
use tickhouse_push::TickQueue;
use tickhouse_stream::EntryId;

/// How long the end takes at most where nobody said otherwise: then Redis was away, and the journal keeps the rest.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
/// What is left to do once everything is journaled, or never will be.
const LAST: Duration = Duration::from_millis(200);
const LOOK: Duration = Duration::from_millis(10);

/// A queue with what is counted before it.
pub(super) struct Line {
    queue: TickQueue,
    pub(super) refused: AtomicU64,
    pub(super) turned_away: AtomicU64,
    closed: AtomicBool,
    /// This process is a child of the one that opened it.
    forked: AtomicBool,
}

/// All that are open. Locked only while attached to the interpreter, so never by another thread at a fork.
static OPEN: Mutex<Vec<Weak<Line>>> = Mutex::new(Vec::new());

impl Line {
    pub(super) fn open(queue: TickQueue) -> Arc<Self> {
        let line = Arc::new(Self {
            queue,
            refused: AtomicU64::new(0),
            turned_away: AtomicU64::new(0),
            closed: AtomicBool::new(false),
            forked: AtomicBool::new(false),
        });
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|line| line.strong_count() > 0);
        open.push(Arc::downgrade(&line));
        line
    }

    /// The queue, while it takes ticks.
    pub(super) fn queue(&self) -> Option<&TickQueue> {
        let ended = self.closed.load(Ordering::Acquire) || self.forked.load(Ordering::Acquire);
        (!ended).then_some(&self.queue)
    }

    /// The queue, to be asked for counters; a child has none.
    pub(super) fn counted(&self) -> Option<&TickQueue> {
        (!self.forked.load(Ordering::Acquire)).then_some(&self.queue)
    }

    pub(super) fn why_closed(&self) -> &'static str {
        if self.forked.load(Ordering::Acquire) {
            "this Pipeline belongs to the parent process: open one here with a recorder of its own, or open it after the fork"
        } else {
            "the Pipeline is closed"
        }
    }

    /// Ends it: journals what was taken, and publishes it as far as there is time. Ctrl-C shortens that.
    pub(super) fn close(&self, py: Python<'_>, patience: Duration) -> PyResult<()> {
        if self.forked.load(Ordering::Acquire) || self.closed.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        let deadline = Instant::now() + patience;
        let accepted = self.queue.accepted();
        let journaled = |slice| self.queue.wait_journaled(accepted, slice).unwrap_or(true);
        let waited = until(py, Some(patience), journaled).and_then(|_| {
            let left = deadline.saturating_duration_since(Instant::now());
            until(py, Some(left), |slice| {
                let done = self.is_published();
                if !done {
                    std::thread::sleep(slice.min(LOOK));
                }
                done
            })
        });
        let drained = py.detach(|| self.queue.close(LAST));
        waited?;
        match drained {
            Some(drained) if drained.lost > 0 => {
                let text = format!("{} ticks were taken and could not be journaled", drained.lost);
                Err(raise(py, &JOURNAL_ERROR, (text,)))
            }
            _ => Ok(()),
        }
    }

    fn is_published(&self) -> bool {
        let status = self.queue.pusher().status();
        let records = status.journal.map_or(0, |journal| journal.records);
        records == 0 || status.publisher.last_published >= EntryId { ms: status.session, seq: records }
    }
}

fn open_lines() -> Vec<Arc<Line>> {
    let open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
    open.iter().filter_map(Weak::upgrade).collect()
}

/// Runs at the end of the interpreter, before its threads are stopped.
#[pyfunction]
fn close_all(py: Python<'_>) -> PyResult<()> {
    let deadline = Instant::now() + PATIENCE;
    let mut result = Ok(());
    for line in open_lines() {
        let closed = line.close(py, deadline.saturating_duration_since(Instant::now()));
        result = result.and(closed);
    }
    result
}

/// Runs in a child after `os.fork()`: there are no threads here that would take ticks, and the files are the parent's.
#[pyfunction]
fn forked() {
    for line in open_lines() {
        line.forked.store(true, Ordering::Release);
        // never dropped here: that would wait for threads that do not exist
        std::mem::forget(line);
    }
}

#[pyfunction]
fn _note_patched() {
    PATCHED.store(true, Ordering::Relaxed);
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    module.add_class::<Pipeline>()?;
    module.add_function(wrap_pyfunction!(_note_patched, module)?)?;
    py.import("atexit")?.call_method1("register", (wrap_pyfunction!(close_all, module)?,))?;
    let at_fork = pyo3::types::PyDict::new(py);
    at_fork.set_item("after_in_child", wrap_pyfunction!(forked, module)?)?;
    py.import("os")?.call_method("register_at_fork", (), Some(&at_fork))?;
    Ok(())
}
