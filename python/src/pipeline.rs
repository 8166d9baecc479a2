//! `Pipeline`: ticks of a program that holds Kite's sockets itself, into the journal and from there to Redis.
//!
//! What enters: tick dictionaries, from any thread. What leaves: records of kind `pushed` in the journal of `<recorder>-push`;
//! counters. What never happens here: a tick that is neither journaled nor counted as refused or turned away, waiting with
//! the interpreter's lock held.

mod lifecycle;
mod stats;
mod wait;

pub(crate) use lifecycle::register;

use crate::errors::{CLOSED, CONFIG_ERROR, FLUSH_TIMEOUT, FULL, JOURNAL_ERROR, TICK_ERROR, raise, whole};
use crate::settings::{self, Keyword};
use crate::tick::{self, Fault};
use lifecycle::Line;
use pyo3::exceptions::{PyResourceWarning, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tickhouse_journal::{JournalError, JournalOptions};
use tickhouse_push::{
    Dialect, NoPlace, PushError, Pusher, PusherOptions, QueueOptions, Refusal, Source, TickQueue, to_packet,
};
use tickhouse_stream::PublisherOptions;
use wait::{seconds, until};

/// Records that wait for the journal's writer. Small: the queue of ticks before it is the one that is bounded and counted.
const JOURNAL_QUEUE: usize = 8;
/// Ticks that a queue may be asked to hold: 200 MB.
const MOST_QUEUED: usize = 1_000_000;
/// Faults that one exception lists.
const MOST_FAULTS: usize = 100;

/// Set once `KiteTicker` was given our decoder: its prices are right then, whatever its version.
static PATCHED: AtomicBool = AtomicBool::new(false);

/// Takes ticks, journals them, and publishes them to Redis, from where `tickhouse load` carries them into ClickHouse.
#[pyclass(module = "tickhouse", name = "Pipeline", subclass, frozen, weakref)]
pub(crate) struct Pipeline {
    line: Arc<Line>,
    dialect: Dialect,
    /// What ticks are made of once `KiteTicker` is patched, where the program was not named.
    patched: Option<Dialect>,
    waits: bool,
    patience: Duration,
}

/// What became of one tick.
enum Outcome {
    Taken,
    Refused(Fault),
    Full,
    Closed,
}

#[pymethods]
impl Pipeline {
    #[new]
    #[pyo3(signature = (*, config = None, data_dir = None, redis_url = None, recorder = None, source = None,
                        queue = 100_000, when_full = "block", patience = 5.0))]
    #[expect(clippy::too_many_arguments, reason = "keywords of Python")]
    fn new(
        py: Python<'_>,
        config: Option<PathBuf>,
        data_dir: Option<PathBuf>,
        redis_url: Option<String>,
        recorder: Option<String>,
        source: Option<String>,
        queue: usize,
        when_full: &str,
        patience: f64,
    ) -> PyResult<Self> {
        let waits = match when_full {
            "block" => true,
            "raise" => false,
            other => return Err(PyValueError::new_err(format!("when_full is `{other}`: block or raise"))),
        };
        if !(1..=MOST_QUEUED).contains(&queue) {
            return Err(PyValueError::new_err(format!("queue is {queue}: 1 to {MOST_QUEUED} ticks")));
        }
        let patience = seconds("patience", patience)?;
        let of = |text: &str| -> PyResult<Dialect> {
            let source = text.parse::<Source>();
            let source = source.map_err(|error| raise(py, &CONFIG_ERROR, (error.to_string(),)))?;
            Ok(Dialect { source, ..Dialect::default() })
        };
        let (dialect, patched) = match (source, installed_client(py)?) {
            (Some(named), _) => (of(&named)?, None),
            (None, Some(client)) => (of(&client)?, Some(of("rupees")?)),
            (None, None) => (Dialect::default(), None),
        };
        let external = redis_url.as_ref().map(|_| "external".to_owned());
        let keywords = [
            Keyword::new("data_dir", "data_dir", data_dir.map(|path| path.display().to_string())),
            Keyword::new("redis.mode", "redis_url", external),
            Keyword::new("redis.url", "redis_url", redis_url),
            Keyword::new("recorder", "recorder", recorder),
        ];
        let config = settings::read(py, config, &keywords)?;
        let redis = tickhouse_endpoints::redis_options(&config)
            .map_err(|error| raise(py, &CONFIG_ERROR, (whole(&error),)))?;
        let options = PusherOptions {
            journal_dir: tickhouse_endpoints::journal_dir(&config.data_dir),
            name: tickhouse_endpoints::pusher_name(&config.recorder),
            journal: JournalOptions {
                queue_len: JOURNAL_QUEUE,
                ..tickhouse_endpoints::journal_options(&config)
            },
            redis,
            publisher: PublisherOptions::default(),
            clock: config.clock.clone(),
            dialect: Dialect::default(),
        };
        let queue = QueueOptions { capacity: queue, ..QueueOptions::default() };
        let opened = py.detach(|| TickQueue::new(Pusher::open(options)?, queue));
        let queue = opened.map_err(|error| raise(py, &JOURNAL_ERROR, (not_opened(&error),)))?;
        Ok(Self { line: Line::open(queue), dialect, patched, waits, patience })
    }

    /// Takes one tick.
    fn push_tick_data(&self, py: Python<'_>, tick: &Bound<'_, PyAny>) -> PyResult<()> {
        match self.take(py, tick)? {
            Outcome::Taken => Ok(()),
            Outcome::Refused(Fault { path, reason }) => {
                let text = if path.is_empty() { reason.clone() } else { format!("{path}: {reason}") };
                Err(raise(py, &TICK_ERROR, (text, vec![(0_usize, path, reason)], 0_usize)))
            }
            Outcome::Full => {
                self.line.turned_away.fetch_add(1, Ordering::Relaxed);
                Err(self.full(py, 0, 0))
            }
            Outcome::Closed => Err(self.closed_error(py)),
        }
    }

    /// Takes the ticks of a list, and gives how many.
    fn push(&self, py: Python<'_>, ticks: &Bound<'_, PyAny>) -> PyResult<usize> {
        if ticks.is_instance_of::<PyDict>() || ticks.is_instance_of::<PyString>() {
            return Err(PyTypeError::new_err("push takes a list of ticks; push_tick_data takes one tick"));
        }
        let ticks = ticks.try_iter()?.collect::<PyResult<Vec<_>>>()?;
        let (mut accepted, mut faults) = (0_usize, Vec::new());
        for (index, tick) in ticks.iter().enumerate() {
            let outcome = self.take(py, tick).inspect_err(|_| self.turn_away(ticks.len() - index))?;
            match outcome {
                Outcome::Taken => accepted += 1,
                Outcome::Refused(fault) => faults.push((index, fault)),
                Outcome::Full => {
                    self.turn_away(ticks.len() - index);
                    let error = self.full(py, accepted, index);
                    if !faults.is_empty() {
                        error.set_cause(py, Some(refused(py, faults, accepted)));
                    }
                    return Err(error);
                }
                Outcome::Closed => {
                    self.turn_away(ticks.len() - index);
                    return Err(self.closed_error(py));
                }
            }
        }
        if faults.is_empty() { Ok(accepted) } else { Err(refused(py, faults, accepted)) }
    }

    /// Waits until everything that was taken before is journaled.
    #[pyo3(signature = (timeout = None))]
    fn flush(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<()> {
        let queue = self.line.queue().ok_or_else(|| self.closed_error(py))?;
        let wanted = queue.accepted();
        let patience = timeout.map(|timeout| seconds("timeout", timeout)).transpose()?;
        let mut failed = None;
        let done = until(py, patience, |slice| match queue.wait_journaled(wanted, slice) {
            Ok(done) => done,
            Err(error) => {
                failed = Some(error);
                true
            }
        })?;
        if let Some(error) = failed {
            return Err(raise(py, &JOURNAL_ERROR, (whole(&error),)));
        }
        if done {
            return Ok(());
        }
        let waiting = queue.counters().waiting;
        let why = queue.pusher().fault().map_or_else(String::new, |fault| format!(": {fault}"));
        Err(raise(py, &FLUSH_TIMEOUT, (format!("{waiting} ticks are not journaled yet{why}"),)))
    }

    /// Takes no more ticks, journals those that were taken, and publishes them as far as the time allows.
    #[pyo3(signature = (timeout = 5.0))]
    fn close(&self, py: Python<'_>, timeout: f64) -> PyResult<()> {
        self.line.close(py, seconds("timeout", timeout)?)
    }

    /// Counters.
    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        stats::stats(py, &self.line)
    }

    /// Whether it takes no more ticks.
    #[getter]
    fn closed(&self) -> bool {
        self.line.queue().is_none()
    }

    fn __enter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, py: Python<'_>, _exception: &Bound<'_, PyTuple>) -> PyResult<()> {
        self.line.close(py, lifecycle::PATIENCE)
    }
}

impl Pipeline {
    /// Carries one tick to the queue; an error is an interrupt while waiting for a place.
    fn take(&self, py: Python<'_>, tick: &Bound<'_, PyAny>) -> PyResult<Outcome> {
        let Some(queue) = self.line.queue() else { return Ok(Outcome::Closed) };
        let dialect = match &self.patched {
            Some(patched) if PATCHED.load(Ordering::Relaxed) => patched,
            _ => &self.dialect,
        };
        let packet = tick::read(tick).and_then(|tick| {
            to_packet(&tick, dialect).map_err(|Refusal { field, reason, .. }| Fault { path: field, reason })
        });
        let packet = match packet {
            Ok(packet) => packet,
            Err(fault) => {
                self.line.refused.fetch_add(1, Ordering::Relaxed);
                return Ok(Outcome::Refused(fault));
            }
        };
        let mut deadline = None;
        loop {
            match queue.offer(&packet) {
                Ok(()) => return Ok(Outcome::Taken),
                Err(NoPlace::Closed) => return Ok(Outcome::Closed),
                Err(NoPlace::Full) if !self.waits => return Ok(Outcome::Full),
                Err(NoPlace::Full) => {}
            }
            let deadline = *deadline.get_or_insert_with(|| Instant::now() + self.patience);
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || !until(py, Some(left), |slice| queue.wait_for_place(slice))? {
                return Ok(Outcome::Full);
            }
        }
    }

    fn turn_away(&self, ticks: usize) {
        self.line.turned_away.fetch_add(ticks as u64, Ordering::Relaxed);
    }

    fn full(&self, py: Python<'_>, accepted: usize, index: usize) -> PyErr {
        let (waiting, fault) =
            self.line.queue().map_or((0, None), |queue| (queue.counters().waiting, queue.pusher().fault()));
        let why = fault.map_or_else(String::new, |fault| format!(": {fault}"));
        let text = format!("the queue is full, {waiting} ticks wait for the journal{why}");
        raise(py, &FULL, (text, accepted, index))
    }

    fn closed_error(&self, py: Python<'_>) -> PyErr {
        raise(py, &CLOSED, (self.line.why_closed(),))
    }
}

impl Drop for Pipeline {
    /// As with files: who forgets to close is told, and nothing is lost.
    fn drop(&mut self) {
        if self.line.queue().is_none() {
            return;
        }
        Python::try_attach(|py| {
            let text = c"a Pipeline was not closed: use `with`, or call close()";
            for done in [
                PyErr::warn(py, &py.get_type::<PyResourceWarning>(), text, 1),
                self.line.close(py, lifecycle::PATIENCE),
            ] {
                if let Err(error) = done {
                    error.write_unraisable(py, None);
                }
            }
        });
    }
}

/// `pykiteconnect/<version>`, where it is installed: who pushes ticks here mostly has them from there.
fn installed_client(py: Python<'_>) -> PyResult<Option<String>> {
    py.import("tickhouse._kite")?.call_method0("installed")?.extract()
}

fn refused(py: Python<'_>, faults: Vec<(usize, Fault)>, accepted: usize) -> PyErr {
    let count = faults.len();
    let first = faults.first().map_or_else(String::new, |(index, Fault { path, reason })| {
        let dot = if path.is_empty() { "" } else { "." };
        format!("[{index}]{dot}{path}: {reason}")
    });
    let rest = if count > 1 { format!(" (and {} more)", count - 1) } else { String::new() };
    let text = format!("{first}{rest}; {accepted} other ticks were taken");
    let faults: Vec<_> = faults
        .into_iter()
        .take(MOST_FAULTS)
        .map(|(index, Fault { path, reason })| (index, path, reason))
        .collect();
    raise(py, &TICK_ERROR, (text, faults, accepted))
}

/// Why there is no journal, and what to do where the command line's answer would not help.
fn not_opened(error: &PushError) -> String {
    let text = whole(error);
    match error {
        PushError::Journal(JournalError::Locked { .. }) => format!(
            "{text}. Every Pipeline and `tickhouse serve` of a recorder write the same journal: \
             Pipeline(recorder=\"another\") has its own"
        ),
        _ => text,
    }
}
