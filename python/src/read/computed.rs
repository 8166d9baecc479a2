//! What is computed here instead of by the server: chains and bars, as Arrow's stream.

use super::{Reader, failed, present};
use crate::errors::{CONFIG_ERROR, raise};
use crate::read::arrow::ArrowStream;
use pyo3::prelude::*;
use std::sync::Arc;
use tickhouse_config::CalendarSource;
use tickhouse_enrich::Calendar;
use tickhouse_model::Timestamp;
use tickhouse_read::{Answer, ChainOptions, Expiry, ReadError};

/// The configured hours of markets.
fn calendar(py: Python<'_>, reader: &Reader) -> PyResult<Arc<Calendar>> {
    match &reader.config.instruments.calendar {
        CalendarSource::Builtin => Ok(Calendar::builtin()),
        CalendarSource::AlwaysOpen => Ok(Arc::new(Calendar::always_open())),
        CalendarSource::File(path) => {
            let fault = |why: String| {
                let words = format!("instruments.calendar {} can't be read: {why}", path.display());
                raise(py, &CONFIG_ERROR, (words,))
            };
            let text = std::fs::read_to_string(path).map_err(|error| fault(error.to_string()))?;
            let mut calendar = Calendar::clone(&Calendar::builtin());
            let merged = calendar.merge_toml(&path.display().to_string(), &text);
            merged.map_err(|error| fault(error.to_string()))?;
            Ok(Arc::new(calendar))
        }
    }
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
    let options = ChainOptions { calendar: calendar(py, reader)?, ..ChainOptions::default() };
    let at = Timestamp::from_nanos(at);
    reader.run(py, async move |tables| {
        let chain = tables.chain(underlying, expiry, at, &options).await?;
        let rows = chain.rows().map_err(|source| ReadError::Row { row: chain.underlying.clone(), source })?;
        present(&tables, Answer::Rows(rows)).await
    })
}
