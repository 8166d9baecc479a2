//! What can be exported: tables, their columns, and how a column is written in each format.

use crate::ArchiveError;
use crate::digest::{digest_columns, quoted};
use serde::Deserialize;
use std::fmt;
use std::str::FromStr;
use tickhouse_read::{Format, Reader, Statement};

/// A table, or a view, that can be exported by days.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each says what a table has")]
pub struct Table {
    /// Its name.
    pub name: &'static str,
    /// The column that its days and the cut of today follow.
    pub(crate) time: &'static str,
    /// How rows are sorted within a file.
    pub(crate) order: &'static str,
    /// Whether it has `instrument_token`, by which large days are cut into files.
    pub(crate) has_token: bool,
    /// Whether it has `symbol` itself; else symbols are those of `instruments` on the day.
    pub(crate) has_symbol: bool,
    /// Whether it has `exchange` itself.
    pub(crate) has_exchange: bool,
    /// Whether rows that replace each other are merged by and by, and have to be while reading.
    pub(crate) merges: bool,
}

const PLAIN: Table = Table {
    name: "",
    time: "received_at",
    order: "recorder, socket, session, sequence",
    has_token: false,
    has_symbol: false,
    has_exchange: false,
    merges: false,
};

/// All of them.
pub const TABLES: &[Table] = &[
    Table {
        name: "tick_data",
        time: "timestamp",
        order: "instrument_token, timestamp, exchange_timestamp",
        has_token: true,
        has_symbol: true,
        has_exchange: true,
        merges: false,
    },
    Table {
        name: "tick_data_1min",
        time: "timestamp",
        order: "instrument_token, timestamp",
        has_token: true,
        ..PLAIN
    },
    Table {
        name: "candles",
        time: "timestamp",
        order: "instrument_token, interval, timestamp",
        has_token: true,
        has_symbol: true,
        has_exchange: true,
        merges: true,
    },
    Table {
        name: "indices_data",
        time: "timestamp",
        order: "instrument_token, timestamp",
        has_token: true,
        has_symbol: true,
        ..PLAIN
    },
    Table { name: "news_data", time: "published_at", order: "published_at, source, id", ..PLAIN },
    Table { name: "frames", ..PLAIN },
    Table { name: "feed_gaps", time: "from", order: "recorder, stream, socket, `from`", ..PLAIN },
    Table { name: "quarantine", ..PLAIN },
];

impl FromStr for Table {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        TABLES.iter().find(|table| table.name == text).copied().ok_or_else(|| {
            let names: Vec<&str> = TABLES.iter().map(|table| table.name).collect();
            format!("{text:?} can't be exported: use one of {}", names.join(", "))
        })
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// In which form files are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileFormat {
    /// Columns, compressed with ZSTD, with statistics per 250,000 rows.
    Parquet,
    /// Comma-separated text with a line of names; times are India's.
    Csv,
    /// An Arrow IPC file (Feather version 2), compressed with ZSTD.
    Arrow,
}

impl FileFormat {
    /// The end of a file's name.
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Parquet => "parquet",
            Self::Csv => "csv",
            Self::Arrow => "arrow",
        }
    }

    pub(crate) const fn format(self) -> Format {
        match self {
            Self::Parquet => Format::Parquet,
            Self::Csv => Format::Csv,
            Self::Arrow => Format::Arrow,
        }
    }

    /// Settings of the statement that writes it. Row groups are small enough that a reader of one instrument skips most of a day.
    pub(crate) const fn settings(self) -> &'static str {
        match self {
            Self::Parquet => {
                "output_format_parquet_compression_method = 'zstd', output_format_parquet_row_group_size = 250000, \
                 prefer_column_name_to_alias = 1"
            }
            Self::Csv => "prefer_column_name_to_alias = 1",
            Self::Arrow => "output_format_arrow_compression_method = 'zstd', prefer_column_name_to_alias = 1",
        }
    }
}

impl FromStr for FileFormat {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "parquet" => Ok(Self::Parquet),
            "csv" => Ok(Self::Csv),
            "arrow" => Ok(Self::Arrow),
            other => Err(format!("{other:?} is no format: use parquet, csv or arrow")),
        }
    }
}

/// A column, by the server's own list.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Column {
    pub(crate) name: String,
    #[serde(rename = "type")]
    pub(crate) kind: String,
}

impl Column {
    /// The type in which a format holds it. Other programs read identifiers and words as text; in Arrow this server writes no
    /// instants of seconds, and dictionaries that grow, which polars does not read.
    fn written(&self, format: FileFormat) -> Option<String> {
        let is_text = self.kind.starts_with("Enum") || self.kind == "UUID";
        match format {
            FileFormat::Csv => None,
            _ if is_text => Some("String".to_owned()),
            FileFormat::Arrow if self.kind == "DateTime" => Some("DateTime64(3)".to_owned()),
            FileFormat::Arrow => match self.kind.strip_prefix("DateTime(") {
                Some(zone) => Some(format!("DateTime64(3, {zone}")),
                None => inner(&self.kind, "LowCardinality").map(str::to_owned),
            },
            FileFormat::Parquet => None,
        }
    }
}

/// The columns of a table, in its order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Columns(Vec<Column>);

impl Columns {
    /// Those of a table that are stored.
    pub(crate) async fn of(reader: &Reader, table: &str) -> Result<Self, ArchiveError> {
        let sql = "SELECT name, type FROM system.columns WHERE database = currentDatabase() AND table = {table:String} \
                   AND default_kind NOT IN ('ALIAS', 'EPHEMERAL') ORDER BY position";
        let columns = reader.rows::<Column>(&Statement::new(sql).with("table", table)).await;
        match columns.map_err(ArchiveError::read(format!("read the columns of {table}")))? {
            columns if columns.is_empty() => Err(ArchiveError::NoTable { table: table.to_owned() }),
            columns => Ok(Self(columns)),
        }
    }

    /// What a digest counts.
    pub(crate) fn digest(&self) -> String {
        digest_columns(self.0.iter().map(|column| column.name.as_str()))
    }

    /// What a file's statement selects.
    pub(crate) fn selected(&self, format: FileFormat) -> String {
        let selected = self.0.iter().map(|column| {
            let name = quoted(&column.name);
            match column.written(format) {
                Some(kind) => format!("CAST({name}, {}) AS {name}", literal(&kind)),
                None => name,
            }
        });
        selected.collect::<Vec<_>>().join(", ")
    }

    /// The structure in which a file is read.
    pub(crate) fn structure(&self, format: FileFormat) -> String {
        let columns = self.0.iter().map(|column| {
            let kind = column.written(format).unwrap_or_else(|| column.kind.clone());
            format!("{} {kind}", quoted(&column.name))
        });
        columns.collect::<Vec<_>>().join(", ")
    }

    /// What was written, as it was in the table.
    pub(crate) fn restored(&self, format: FileFormat) -> String {
        let columns = self.0.iter().map(|column| {
            let name = quoted(&column.name);
            match column.written(format) {
                Some(_) => format!("CAST({name}, {}) AS {name}", literal(&column.kind)),
                None => name,
            }
        });
        columns.collect::<Vec<_>>().join(", ")
    }
}

/// `String` of `LowCardinality(String)`.
fn inner<'a>(kind: &'a str, outer: &str) -> Option<&'a str> {
    kind.strip_prefix(outer)?.strip_prefix('(')?.strip_suffix(')')
}

/// A text in quotes.
pub(crate) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}
