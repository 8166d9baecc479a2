//! What reading a file of instruments reports: counts, the first problems, or the error that ended it.

use std::fmt;

/// How many problems a report keeps in words; further ones are only counted.
pub(crate) const PROBLEMS_KEPT: usize = 100;

/// A row that was skipped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Line of a CSV, counted from 1 with the header; number of the entry in a JSON object, counted from 1.
    pub line: u64,
    /// Why, with the offending value.
    pub reason: String,
}

/// What came out of reading a file of instruments: `rows = added + replaced + bad`.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct ReadReport {
    /// Rows or entries seen, without the header and empty lines.
    pub rows: u64,
    /// Rows that gave a new instrument.
    pub added: u64,
    /// Rows whose token was already there; the later row won.
    pub replaced: u64,
    /// Rows that were skipped.
    pub bad: u64,
    /// The first hundred of the bad rows.
    pub problems: Vec<Problem>,
}

impl ReadReport {
    pub(crate) fn skip(&mut self, line: u64, reason: impl Into<String>) {
        self.bad += 1;
        if self.problems.len() < PROBLEMS_KEPT {
            self.problems.push(Problem { line, reason: reason.into() });
        }
    }

    pub(crate) fn count(&mut self, replaced: bool) {
        if replaced {
            self.replaced += 1;
        } else {
            self.added += 1;
        }
    }
}

impl fmt::Display for ReadReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rows, added, replaced, bad, problems } = self;
        write!(f, "{rows} rows: {added} instruments, {replaced} replaced by a later row, {bad} bad")?;
        match problems.first() {
            Some(Problem { line, reason }) => write!(f, " (first: line {line}, {reason})"),
            None => Ok(()),
        }
    }
}

/// Why a file of instruments could not be read to its end. What came before is in the builder.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The reader failed, or the gzip stream is damaged.
    #[error("reading instruments failed after line {line}")]
    Io {
        /// Lines read before.
        line: u64,
        /// What the reader said.
        #[source]
        source: std::io::Error,
    },
    /// The first line lacks columns without which a row means nothing.
    #[error("this is no Kite instruments CSV: the first line lacks the columns {missing}")]
    Header {
        /// The missing names, with commas.
        missing: String,
    },
    /// Not JSON, or cut off.
    #[error("the token look-up is broken after {entries} entries: {source}")]
    Json {
        /// Entries read before.
        entries: u64,
        /// What is wrong, with line and column.
        #[source]
        source: serde_json::Error,
    },
    /// More than a table takes.
    #[error(transparent)]
    Full(#[from] crate::TableFull),
    /// Larger than any file of instruments, after decompression.
    #[error("the file holds more than {limit} bytes: is it a file of instruments?")]
    TooLarge {
        /// The limit in bytes.
        limit: u64,
    },
}
