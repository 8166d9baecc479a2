//! What is read back: Arrow's bytes as the server writes them, and ticks as they come.
//!
//! What enters: symbols, instants as nanoseconds, names of columns. What leaves: file-like objects of Arrow's stream format for
//! `pyarrow` and polars (`tickhouse/_read.py` makes frames of them); dictionaries of ticks. What never happens here: a whole
//! answer in memory besides the frame that is made of it.

mod arrow;
mod computed;
mod follow;

use crate::errors::{CONFIG_ERROR, READ_ERROR, raise, whole};
use crate::settings::{self, Keyword};
use arrow::ArrowStream;
use follow::TickStream;
use jiff::civil::Date;
use pyo3::prelude::*;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tickhouse_config::Config;
use tickhouse_follow::{FollowOptions, Follower};
use tickhouse_model::Timestamp;
use tickhouse_read::ticks::{Instruments, TickOrder, Ticks, depth, gaps};
use tickhouse_read::{Answer, Format, ReadError, Reader as Tables, Selection, Statement, Window, instant};
use tokio::runtime::Runtime;

/// The one runtime of this process: two threads, since they wait more than they work. A fork has none of its parent's threads and
/// makes its own; the parent's is left as it is. Whoever forks holds the interpreter's lock, so `_py` keeps the lock here whole.
fn runtime(_py: Python<'_>) -> &'static Runtime {
    static RUNTIME: Mutex<Option<(u32, &'static Runtime)>> = Mutex::new(None);
    let mut of_process = RUNTIME.lock().unwrap_or_else(PoisonError::into_inner);
    let process = std::process::id();
    if let Some((of, runtime)) = *of_process
        && of == process
    {
        return runtime;
    }
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let made = builder.worker_threads(2).thread_name("tickhouse-read").enable_all().build();
    let runtime: &'static Runtime = Box::leak(Box::new(made.expect("threads can be made")));
    *of_process = Some((process, runtime));
    runtime
}

/// Fails in a fork of the process that made something: the threads that serve it are not there.
fn check_process(py: Python<'_>, made_in: u32) -> PyResult<()> {
    if made_in == std::process::id() {
        return Ok(());
    }
    let words = "this process is a fork of the one that made the connection: make it here";
    Err(raise(py, &READ_ERROR, (words,)))
}

/// Adds `Reader`, `ArrowStream` and `TickStream`.
pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Reader>()?;
    module.add_class::<ArrowStream>()?;
    module.add_class::<TickStream>()
}

/// A connection that can only ask.
#[pyclass(module = "tickhouse._core", frozen)]
struct Reader {
    tables: Tables,
    config: Config,
    process: u32,
}

fn failed(py: Python<'_>, error: &(dyn std::error::Error + Send)) -> PyErr {
    raise(py, &READ_ERROR, (whole(error),))
}

#[pymethods]
impl Reader {
    #[new]
    #[pyo3(signature = (*, config=None, data_dir=None, url=None, user=None, password_file=None, database=None, redis_url=None, clock=None))]
    #[expect(clippy::too_many_arguments, reason = "keywords of Python")]
    fn new(
        py: Python<'_>,
        config: Option<PathBuf>,
        data_dir: Option<PathBuf>,
        url: Option<String>,
        user: Option<String>,
        password_file: Option<PathBuf>,
        database: Option<String>,
        redis_url: Option<String>,
        clock: Option<String>,
    ) -> PyResult<Self> {
        let text = |path: Option<PathBuf>| path.map(|path| path.to_string_lossy().into_owned());
        let external = |given: bool| given.then(|| "external".to_owned());
        let keywords = [
            Keyword::new("clickhouse.mode", "url", external(url.is_some())),
            Keyword::new("clickhouse.url", "url", url),
            Keyword::new("clickhouse.user", "user", user),
            Keyword::new("clickhouse.password_file", "password_file", text(password_file)),
            Keyword::new("clickhouse.database", "database", database),
            Keyword::new("redis.mode", "redis_url", external(redis_url.is_some())),
            Keyword::new("redis.url", "redis_url", redis_url),
            Keyword::new("data_dir", "data_dir", text(data_dir)),
            Keyword::new("clock", "clock", clock),
        ];
        let mut config = settings::read(py, config, &keywords)?;
        config.data_dir = tickhouse_endpoints::of_what_runs(&config);
        let options = tickhouse_endpoints::reader(&config)
            .map_err(|error| raise(py, &CONFIG_ERROR, (error.to_string(),)))?;
        Ok(Self { tables: Tables::new(options), config, process: std::process::id() })
    }

    /// Nanoseconds since 1970 of the present, by the configured clock.
    fn now(&self) -> i64 {
        self.config.clock.now().as_nanos()
    }

    /// Nanoseconds since 1970 of a time as people type it.
    fn instant(&self, py: Python<'_>, text: &str) -> PyResult<i64> {
        let found = instant(text, self.config.clock.now());
        found.map(Timestamp::as_nanos).map_err(|error| failed(py, &error))
    }

    fn ticks(
        &self,
        py: Python<'_>,
        symbols: Option<Vec<String>>,
        window: (i64, i64),
        columns: Vec<String>,
        order: &str,
    ) -> PyResult<ArrowStream> {
        let order = if order == "instrument" { TickOrder::Instrument } else { TickOrder::Time };
        self.selected(py, symbols, window, |selection, window| {
            Ticks { selection, window, columns, order }.statement()
        })
    }

    fn depth(
        &self,
        py: Python<'_>,
        symbols: Option<Vec<String>>,
        window: (i64, i64),
        levels: u8,
    ) -> PyResult<ArrowStream> {
        self.selected(py, symbols, window, |selection, window| Ok(depth(&selection, &window, levels)))
    }

    fn gaps(
        &self,
        py: Python<'_>,
        symbols: Option<Vec<String>>,
        window: (i64, i64),
    ) -> PyResult<ArrowStream> {
        self.selected(py, symbols, window, |selection, window| Ok(gaps(&selection, &window)))
    }

    fn instruments(
        &self,
        py: Python<'_>,
        day: &str,
        names: Vec<String>,
        exchange: String,
        instrument_type: String,
        underlying: String,
    ) -> PyResult<ArrowStream> {
        let day: Date = day.parse().map_err(|error: jiff::Error| failed(py, &error))?;
        let statement = Instruments { exchange, instrument_type, underlying, names }.statement(day);
        self.run(py, async move |tables| present(&tables, Answer::Query(statement)).await)
    }

    fn bars(
        &self,
        py: Python<'_>,
        names: Vec<String>,
        interval: &str,
        window: (i64, i64),
        sources: &str,
        continuous: bool,
    ) -> PyResult<ArrowStream> {
        computed::bars(py, self, names, interval, window, (sources, continuous))
    }

    fn chain(&self, py: Python<'_>, underlying: &str, expiry: &str, at: i64) -> PyResult<ArrowStream> {
        computed::chain(py, self, underlying, expiry, at)
    }

    fn stream(
        &self,
        py: Python<'_>,
        symbols: Option<Vec<String>>,
        since: Option<i64>,
        queue_ticks: usize,
    ) -> PyResult<TickStream> {
        let redis = tickhouse_endpoints::redis_options(&self.config)
            .map_err(|error| raise(py, &CONFIG_ERROR, (error.to_string(),)))?;
        let now = self.config.clock.now();
        let from = since.map(Timestamp::from_nanos);
        let window = Window::new(from.unwrap_or(now).min(now), now).map_err(|error| failed(py, &error))?;
        let selection =
            self.run(py, async move |tables| select(&tables, symbols, &window).await)?.open_ended();
        let reader = self.tables.clone();
        let options = FollowOptions { redis, reader, selection, from, queue_ticks };
        let _entered = runtime(py).enter();
        let follower = Follower::start(options).map_err(|error| failed(py, &error))?;
        Ok(TickStream::new(follower))
    }
}

impl Reader {
    /// The rows of a statement about symbols in a window.
    fn selected(
        &self,
        py: Python<'_>,
        symbols: Option<Vec<String>>,
        (from, to): (i64, i64),
        statement: impl FnOnce(Selection, Window) -> Result<Statement, ReadError> + Send,
    ) -> PyResult<ArrowStream> {
        let window = Window::new(Timestamp::from_nanos(from), Timestamp::from_nanos(to));
        let window = window.map_err(|error| failed(py, &error))?;
        self.run(py, async move |tables| {
            let selection = select(&tables, symbols, &window).await?;
            present(&tables, Answer::Query(statement(selection, window)?)).await
        })
    }

    /// Waits for an answer with other threads of Python running. Ctrl-C ends it, and with it the query.
    pub(super) fn run<T: Send, F: Future<Output = Result<T, ReadError>> + Send>(
        &self,
        py: Python<'_>,
        ask: impl FnOnce(Tables) -> F + Send,
    ) -> PyResult<T> {
        check_process(py, self.process)?;
        let tables = self.tables.clone();
        wait(py, ask(tables))?.map_err(|error| failed(py, &error))
    }
}

/// Between two looks for signals.
const SLICE: Duration = Duration::from_millis(100);

/// Waits for a future, with other threads of Python running, and for signals.
fn wait<T: Send>(py: Python<'_>, future: impl Future<Output = T> + Send) -> PyResult<T> {
    let runtime = runtime(py);
    let mut future = std::pin::pin!(future);
    loop {
        let slice = async { tokio::time::timeout(SLICE, future.as_mut()).await };
        if let Ok(done) = py.detach(|| runtime.block_on(slice)) {
            return Ok(done);
        }
        py.check_signals()?;
    }
}

async fn select(
    tables: &Tables,
    symbols: Option<Vec<String>>,
    window: &Window,
) -> Result<Selection, ReadError> {
    match symbols {
        None => Ok(Selection::all()),
        Some(symbols) => tables.select(&symbols, window).await,
    }
}

async fn present(tables: &Tables, answer: Answer) -> Result<ArrowStream, ReadError> {
    Ok(ArrowStream::new(tables.present(answer, Format::ArrowStream).await?))
}
