//! Ticks as they come, as an iterator of dictionaries.
//!
//! What enters: batches of a [`Follower`]. What leaves: a dictionary per tick with the columns' names, or a list of them. What never
//! happens here: waiting with the interpreter's lock held, more ticks in memory than the follower's queue and a batch.

use super::{SLICE, check_process, failed, runtime};
use crate::errors::{CLOSED, READ_ERROR, raise};
use pyo3::exceptions::PyStopIteration;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyList, PyString, PyTuple};
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tickhouse_follow::{FollowError, FollowedTick, Follower, Phase};
use tickhouse_model::Timestamp;
use tokio::time::timeout;

/// Ticks, history first. Iterating waits for what has not come yet.
#[pyclass(module = "tickhouse._core", frozen)]
pub(crate) struct TickStream {
    state: Mutex<State>,
    process: u32,
}

struct State {
    follower: Option<Follower>,
    waiting: VecDeque<FollowedTick>,
}

impl TickStream {
    pub(super) fn new(follower: Follower) -> Self {
        let state = State { follower: Some(follower), waiting: VecDeque::new() };
        Self { state: Mutex::new(state), process: std::process::id() }
    }

    /// To be called without the interpreter's lock: another thread may hold this one while it waits.
    fn locked(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for ticks, and for signals; gives up to `limit` of them. Empty: none in time, or the stream has ended, which the other
    /// value says. The lock is held only while the interpreter's is not, and never for long: others may close the stream.
    fn next_ticks(
        &self,
        py: Python<'_>,
        limit: usize,
        patience: Option<Duration>,
    ) -> PyResult<(Vec<FollowedTick>, bool)> {
        check_process(py, self.process)?;
        let runtime = runtime(py);
        let deadline = patience.map(|patience| Instant::now() + patience);
        loop {
            let left = deadline.map_or(SLICE, |at| at.saturating_duration_since(Instant::now()));
            let (open, ticks) = py
                .detach(|| {
                    let mut state = self.locked();
                    let open = runtime.block_on(state.fill(left.min(SLICE)))?;
                    let count = limit.min(state.waiting.len());
                    Ok((open, state.waiting.drain(..count).collect::<Vec<_>>()))
                })
                .map_err(|error: Broken| match error.0 {
                    Some(error) => failed(py, &error),
                    None => {
                        raise(py, &READ_ERROR, ("following ended by a fault of its own: please report it",))
                    }
                })?;
            if !ticks.is_empty() || !open || (deadline.is_some() && left.is_zero()) {
                return Ok((ticks, open));
            }
            py.check_signals()?;
        }
    }
}

impl Drop for TickStream {
    fn drop(&mut self) {
        if self.process != std::process::id() {
            // the parent's: ending it would wake threads that are not here
            let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
            std::mem::forget(state.follower.take());
        }
    }
}

/// Why a stream ended that nobody closed; nothing when its task did not say.
struct Broken(Option<FollowError>);

impl State {
    /// Waits for ticks until some are there, or the time is over. False: the stream has ended.
    async fn fill(&mut self, patience: Duration) -> Result<bool, Broken> {
        if !self.waiting.is_empty() {
            return Ok(true);
        }
        let Some(follower) = &mut self.follower else { return Ok(false) };
        match timeout(patience, follower.next()).await {
            Err(_) => return Ok(true),
            Ok(Some(Ok(ticks))) => self.waiting = ticks.into(),
            Ok(Some(Err(error))) => {
                self.follower = None;
                return Err(Broken(Some(error)));
            }
            Ok(None) => {
                self.follower = None;
                return Err(Broken(None));
            }
        }
        Ok(self.follower.is_some())
    }
}

#[pymethods]
impl TickStream {
    fn __iter__(this: Py<Self>) -> Py<Self> {
        this
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        match self.next_ticks(py, 1, None)?.0.first() {
            Some(tick) => dictionary(py, tick),
            None => Err(PyStopIteration::new_err(())),
        }
    }

    /// The ticks that are there, at most `limit`, waiting up to `timeout` seconds for the first one (`None`: for as long as it
    /// takes). An empty list: none came in time.
    #[pyo3(signature = (limit=1_000, timeout=None))]
    fn take<'py>(&self, py: Python<'py>, limit: usize, timeout: Option<f64>) -> PyResult<Bound<'py, PyList>> {
        let patience = timeout.map(|seconds| Duration::from_secs_f64(seconds.clamp(0.0, 1e9)));
        let (ticks, open) = self.next_ticks(py, limit.max(1), patience)?;
        if !open && ticks.is_empty() {
            return Err(raise(py, &CLOSED, ("the stream is closed",)));
        }
        let ticks: Vec<_> = ticks.iter().map(|tick| dictionary(py, tick)).collect::<PyResult<_>>()?;
        PyList::new(py, ticks)
    }

    /// How far it is.
    fn status<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyDict>>> {
        check_process(py, self.process)?;
        let status = py.detach(|| self.locked().follower.as_ref().map(Follower::status));
        let Some(status) = status else { return Ok(None) };
        let found = PyDict::new(py);
        found.set_item("phase", if status.phase == Phase::Live { "live" } else { "history" })?;
        found.set_item("from_history", status.from_history)?;
        found.set_item("from_streams", status.from_streams)?;
        found.set_item("caught_up", status.caught_up)?;
        found.set_item("unverified", status.unverified)?;
        found.set_item("waiting", status.waiting)?;
        found.set_item("error", status.error)?;
        Ok(Some(found))
    }

    /// Ends it. Who iterates meanwhile gets the ticks that have come.
    fn close(&self, py: Python<'_>) {
        if self.process == std::process::id() {
            py.detach(|| {
                let mut state = self.locked();
                state.follower = None;
                state.waiting.clear();
            });
        }
    }

    fn __enter__(this: Py<Self>) -> Py<Self> {
        this
    }

    #[pyo3(signature = (*_error))]
    fn __exit__(&self, py: Python<'_>, _error: &Bound<'_, PyTuple>) {
        self.close(py);
    }
}

/// Kite's flat names of depth, as columns.
fn level_names() -> [[String; 3]; 10] {
    std::array::from_fn(|at| {
        let (side, level) = if at < 5 { ("bid", at + 1) } else { ("ask", at - 4) };
        ["price", "quantity", "orders"].map(|what| format!("{side}_{level}_{what}"))
    })
}

/// A tick as a dictionary with the columns' names.
fn dictionary<'py>(py: Python<'py>, tick: &FollowedTick) -> PyResult<Bound<'py, PyDict>> {
    static LEVELS: PyOnceLock<Vec<[Py<PyString>; 3]>> = PyOnceLock::new();
    let found = PyDict::new(py);
    macro_rules! set {
        ($($field:ident),*) => {
            $(found.set_item(pyo3::intern!(py, stringify!($field)), &tick.$field)?;)*
        };
    }
    macro_rules! times {
        ($($field:ident),*) => {
            $(found.set_item(pyo3::intern!(py, stringify!($field)), time(py, tick.$field)?)?;)*
        };
    }
    times!(timestamp, exchange_timestamp);
    set!(
        instrument_token,
        symbol,
        tradingsymbol,
        exchange,
        last_price,
        open_price,
        high_price,
        low_price,
        close_price
    );
    set!(
        average_traded_price,
        net_change,
        volume,
        last_traded_quantity,
        total_buy_quantity,
        total_sell_quantity
    );
    set!(open_interest, oi_day_high, oi_day_low);
    let names = LEVELS.get_or_init(py, || {
        level_names().map(|names| names.map(|name| PyString::intern(py, &name).unbind())).into()
    });
    for (names, level) in names.iter().zip(tick.bids.iter().chain(&tick.asks)) {
        found.set_item(&names[0], level.price)?;
        found.set_item(&names[1], level.quantity)?;
        found.set_item(&names[2], level.orders)?;
    }
    set!(packet_type, snapshot);
    times!(last_trade_time);
    set!(recorder, session, socket, sequence, packet_index, stream, epoch);
    Ok(found)
}

/// India's time as a `datetime` with its zone; `None` for none.
fn time(py: Python<'_>, at: Timestamp) -> PyResult<Option<Bound<'_, PyAny>>> {
    static MAKE: PyOnceLock<(Py<PyAny>, Py<PyAny>)> = PyOnceLock::new();
    if !at.is_some() {
        return Ok(None);
    }
    let (make, zone) = MAKE.get_or_try_init(py, || -> PyResult<_> {
        let zone = py.import("tickhouse._time")?.getattr("IST")?;
        Ok((py.import("datetime")?.getattr("datetime")?.unbind(), zone.unbind()))
    })?;
    let ist = at.ist();
    let ((year, month, day), (hour, minute, second)) = (ist.date(), ist.hms());
    let micros = at.as_nanos().rem_euclid(1_000_000_000) / 1_000;
    make.bind(py).call1((year, month, day, hour, minute, second, micros, zone)).map(Some)
}
