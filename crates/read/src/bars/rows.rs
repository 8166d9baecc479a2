//! Bars as rows, for people, files and Python.

use super::series::NamedBar;
use crate::ComputedRows;
use serde::Serialize;
use tickhouse_bars::{Difference, Source};
use tickhouse_model::Timestamp;

const COLUMNS: &[(&str, &str)] = &[
    ("start", "DateTime64(3, 'Asia/Kolkata')"),
    ("end", "DateTime64(3, 'Asia/Kolkata')"),
    ("tradingsymbol", "LowCardinality(String)"),
    ("session", "LowCardinality(String)"),
    ("open", "Float64"),
    ("high", "Float64"),
    ("low", "Float64"),
    ("close", "Float64"),
    ("volume", "UInt64"),
    ("open_interest", "UInt64"),
    ("vwap", "Nullable(Float64)"),
    ("tick_count", "UInt64"),
    ("complete", "Bool"),
    ("gap_seconds", "UInt32"),
    ("source", "LowCardinality(String)"),
];

#[derive(Serialize)]
struct Row<'a> {
    start: String,
    end: String,
    tradingsymbol: &'a str,
    session: &'static str,
    open: f64,
    high: f64,
    low: f64,
    close: f64,
    volume: u64,
    open_interest: u64,
    vwap: Option<f64>,
    tick_count: u64,
    complete: bool,
    gap_seconds: u32,
    source: Source,
}

impl NamedBar {
    /// Bars as rows.
    ///
    /// # Errors
    /// When a row can't be written as JSON.
    pub fn rows(bars: &[Self]) -> Result<ComputedRows, serde_json::Error> {
        ComputedRows::new(COLUMNS, bars.iter().map(Row::of))
    }
}

impl<'a> Row<'a> {
    fn of(named: &'a NamedBar) -> Self {
        let bar = &named.bar;
        Self {
            start: clock_text(bar.start),
            end: clock_text(bar.end),
            tradingsymbol: &named.tradingsymbol,
            session: bar.session.name(),
            open: bar.open,
            high: bar.high,
            low: bar.low,
            close: bar.close,
            volume: bar.volume,
            open_interest: bar.open_interest,
            // a hundredth of a paisa: more decimals would say something that nobody knows
            vwap: bar.vwap.map(|vwap| (vwap * 1e4).round() / 1e4),
            tick_count: bar.tick_count,
            complete: bar.complete,
            gap_seconds: bar.gap_seconds,
            source: bar.source,
        }
    }
}

const DIFFERENCES: &[(&str, &str)] = &[
    ("start", "DateTime64(3, 'Asia/Kolkata')"),
    ("field", "LowCardinality(String)"),
    ("ours", "Nullable(Float64)"),
    ("theirs", "Nullable(Float64)"),
    ("difference", "Float64"),
    ("reason", "LowCardinality(String)"),
];

/// Differences as rows.
///
/// # Errors
/// When a row can't be written as JSON.
pub fn difference_rows(differences: &[Difference]) -> Result<ComputedRows, serde_json::Error> {
    #[derive(Serialize)]
    struct Told<'a> {
        start: String,
        #[serde(flatten)]
        difference: &'a Difference,
    }
    let told = differences.iter().map(|difference| Told { start: clock_text(difference.start), difference });
    ComputedRows::new(DIFFERENCES, told)
}

/// `2026-11-20 09:15:00.123`: India's clock.
fn clock_text(at: Timestamp) -> String {
    let text = at.to_string();
    format!("{} {}", &text[..10], &text[11..23])
}
