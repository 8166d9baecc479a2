//! In which form the server writes its rows.

/// In which form the server writes its rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// Comma-separated, with a line of column names.
    Csv,
    /// One JSON object per line.
    Ndjson,
    /// An array of column names, one of column types, then one array per row, each on a line.
    JsonRows,
    /// A Parquet file.
    Parquet,
    /// An Arrow file, which wants a reader that can seek.
    Arrow,
    /// A stream of Arrow record batches.
    ArrowStream,
}

impl Format {
    /// `ClickHouse`'s name of it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Csv => "CSVWithNames",
            Self::Ndjson => "JSONEachRow",
            Self::JsonRows => "JSONCompactEachRowWithNamesAndTypes",
            Self::Parquet => "Parquet",
            Self::Arrow => "Arrow",
            Self::ArrowStream => "ArrowStream",
        }
    }

    /// Whether it is text that a terminal can show.
    pub const fn is_text(self) -> bool {
        matches!(self, Self::Csv | Self::Ndjson | Self::JsonRows)
    }
}
