//! What is shown to somebody: rows of a statement, or rows that were computed here.

use crate::Statement;
use serde::Serialize;

/// What is shown to somebody.
#[derive(Clone, Debug)]
pub enum Answer {
    /// The rows of a statement.
    Query(Statement),
    /// Rows that were computed here.
    Rows(ComputedRows),
}

/// Rows that were computed here, in a form that the server can turn into any of its formats.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ComputedRows {
    /// Names and types of the columns, in order: `("start", "DateTime64(3, 'Asia/Kolkata')")`. The program's own, never a user's.
    pub columns: Vec<(&'static str, &'static str)>,
    /// One JSON object per row and line, with the columns' names as keys; times as text of India's clock, or as numbers of
    /// seconds since 1970-01-01 UTC.
    pub ndjson: Vec<u8>,
}

impl ComputedRows {
    /// Rows whose fields have the columns' names.
    ///
    /// # Errors
    /// When a row can't be written as JSON.
    pub fn new(
        columns: &[(&'static str, &'static str)],
        rows: impl IntoIterator<Item = impl Serialize>,
    ) -> Result<Self, serde_json::Error> {
        let mut ndjson = Vec::new();
        for row in rows {
            serde_json::to_writer(&mut ndjson, &row)?;
            ndjson.push(b'\n');
        }
        Ok(Self { columns: columns.to_vec(), ndjson })
    }

    /// The columns as the server's table structure.
    pub(crate) fn structure(&self) -> String {
        let columns: Vec<String> =
            self.columns.iter().map(|(name, kind)| format!("`{name}` {kind}")).collect();
        columns.join(", ")
    }
}
