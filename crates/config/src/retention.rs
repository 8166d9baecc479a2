//! Section `[retention]`.

use crate::reader::Reader;
use std::path::PathBuf;

/// The tables that can be told how long to keep what.
pub const RETENTION_TABLES: [&str; 5] = ["tick_data", "tick_data_1min", "indices_data", "candles", "frames"];

/// Section `[retention]`: what `tickhouse retention` goes by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Tables, as in [`RETENTION_TABLES`], with the days that they keep, today not counted; 0 keeps all.
    pub keep_days: Vec<(&'static str, u32)>,
    /// Rows go into Parquet files below this folder before they are removed; `None`: they are just removed.
    pub export_to: Option<PathBuf>,
}

impl Retention {
    pub(crate) fn read(reader: &mut Reader<'_>) -> Self {
        let days = |table: &'static str| {
            let days = reader.number(&format!("retention.{table}_days"), 0, 0..=36_500);
            (table, u32::try_from(days).unwrap_or(0))
        };
        let keep_days = RETENTION_TABLES.into_iter().map(days).collect();
        Self { keep_days, export_to: reader.path("retention.export_to", "") }
    }
}
