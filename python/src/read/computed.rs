//! What is computed here instead of by the server: chains and bars, as Arrow's stream.

use super::{Reader, failed, present};
use crate::errors::{CONFIG_ERROR, raise, whole};
use crate::read::arrow::ArrowStream;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use std::sync::Arc;
use tickhouse_bars::{Interval, StreamRule};
use tickhouse_endpoints::EndpointError;
use tickhouse_enrich::Calendar;
use tickhouse_model::Timestamp;
use tickhouse_read::{Answer, BarOptions, BarSources, ChainOptions, Expiry, NamedBar, ReadError, Window};

/// A calendar that may be unreadable.
fn readable(py: Python<'_>, calendar: Result<Arc<Calendar>, EndpointError>) -> PyResult<Arc<Calendar>> {
    calendar.map_err(|error| raise(py, &CONFIG_ERROR, (whole(&error),)))
}

/// A chain as it stood at an instant.
pub(super) fn chain(
    py: Python<'_>,
    reader: &Reader,
    underlying: &str,
    expiry: &str,
    at: i64,
) -> PyResult<ArrowStream> {
    let expiry: Expiry = expiry.parse().map_err(|error| failed(py, &error))?;
    let options = ChainOptions {
        calendar: readable(py, tickhouse_endpoints::calendar(&reader.config))?,
        ..ChainOptions::default()
    };
    let at = Timestamp::from_nanos(at);
    reader.run(py, async move |tables| {
        let chain = tables.chain(underlying, expiry, at, &options).await?;
        let rows = chain.rows().map_err(|source| ReadError::Row { row: chain.underlying.clone(), source })?;
        present(&tables, Answer::Rows(rows)).await
    })
}

/// What ends a bar.
enum Rule {
    Interval(Interval),
    Stream(StreamRule),
}

/// `5m`; or `500 ticks`, `10000 volume`, `2.5 range`.
fn rule(py: Python<'_>, text: &str) -> PyResult<Rule> {
    let stream = text.trim().split_once(' ').and_then(|(number, what)| match what.trim() {
        "tick" | "ticks" => number.parse().ok().filter(|count| *count > 0).map(StreamRule::Ticks),
        "volume" => number.parse().ok().filter(|volume| *volume > 0).map(StreamRule::Volume),
        "range" => number.parse().ok().filter(|range| *range > 0.0).map(StreamRule::Range),
        _ => None,
    });
    match stream {
        Some(rule) => Ok(Rule::Stream(rule)),
        None => text.parse().map(Rule::Interval).map_err(|error| failed(py, &error)),
    }
}

/// Bars of some names, one name after the other.
pub(super) fn bars(
    py: Python<'_>,
    reader: &Reader,
    names: Vec<String>,
    interval: &str,
    (from, to): (i64, i64),
    (sources, continuous): (&str, bool),
) -> PyResult<ArrowStream> {
    let rule = rule(py, interval)?;
    let sources = match sources {
        "both" => BarSources::Both,
        "ticks" => BarSources::Ticks,
        "candles" => BarSources::Candles,
        other => {
            let words = format!("sources is {other:?}: 'both', 'ticks' or 'candles'");
            return Err(PyValueError::new_err(words));
        }
    };
    let window = Window::new(Timestamp::from_nanos(from), Timestamp::from_nanos(to));
    let window = window.map_err(|error| failed(py, &error))?;
    let options = BarOptions {
        calendar: readable(py, tickhouse_endpoints::calendar_of_ticks(&reader.config))?,
        now: reader.config.clock.now(),
        sources,
        continuous,
    };
    reader.run(py, async move |tables| {
        let mut bars = Vec::new();
        for name in &names {
            bars.extend(match rule {
                Rule::Interval(interval) => tables.bars(name, interval, &window, &options).await?,
                Rule::Stream(rule) => tables.stream_bars(name, rule, &window, &options).await?,
            });
        }
        let rows =
            NamedBar::rows(&bars).map_err(|source| ReadError::Row { row: names.join(", "), source })?;
        present(&tables, Answer::Rows(rows)).await
    })
}
