//! Which days have rows, and the statements' common part: what is asked for.

use super::Export;
use crate::ArchiveError;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use tickhouse_model::Timestamp;
use tickhouse_read::Statement;

/// What a dry run tells of a day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DayPreview {
    /// The day.
    pub day: Date,
    /// Rows in the table.
    pub rows: u64,
    /// Rows in files of the folder that the table has too. Whether they are the same is known once they are hashed.
    pub exported_rows: u64,
    /// Rows in files of the folder that are in the table no more.
    pub moved_rows: u64,
}

/// A day that has rows.
#[derive(Debug, Deserialize)]
pub(super) struct Day {
    pub(super) day: Date,
    pub(super) rows: u64,
}

impl Export {
    /// What a run would find, without reading more than the days of the rows. Writes nothing.
    ///
    /// # Errors
    /// When a query fails, or the folder's manifest can't be read.
    pub async fn preview(&self) -> Result<Vec<DayPreview>, ArchiveError> {
        let manifest = crate::Manifest::read(&self.request.folder)?;
        let format = self.request.format.format().name();
        let exported = |day: Date, moved: bool| {
            let date = format!("date={day}");
            let files = manifest.iter().flat_map(|manifest| manifest.files.values());
            let of_day = files.filter(|entry| {
                entry.table == self.request.table.name
                    && entry.format == format
                    && entry.partition.split('/').next() == Some(&*date)
                    && entry.moved_at.is_some() == moved
            });
            of_day.map(|entry| entry.rows).sum()
        };
        let preview = |Day { day, rows }| DayPreview {
            day,
            rows,
            exported_rows: exported(day, false),
            moved_rows: exported(day, true),
        };
        Ok(self.days().await?.into_iter().map(preview).collect())
    }

    /// The days with rows, oldest first.
    pub(super) async fn days(&self) -> Result<Vec<Day>, ArchiveError> {
        let sql = format!(
            "SELECT date AS day, count() AS rows FROM {} WHERE {} GROUP BY day ORDER BY day",
            self.from(),
            self.wanted()
        );
        let statement = self.bound(sql, self.request.from, self.request.to);
        self.reader.rows(&statement).await.map_err(ArchiveError::read("count the rows of each day"))
    }

    /// The table, with what it still has to merge.
    pub(super) fn from(&self) -> String {
        let merged = if self.request.table.merges { " FINAL" } else { "" };
        format!("{}{merged}", self.request.table.name)
    }

    /// The condition of what is asked for; its parameters are those of [`Export::bound`].
    pub(super) fn wanted(&self) -> String {
        let table = self.request.table;
        let mut condition = "date BETWEEN {from:Date} AND {to:Date}".to_owned();
        if self.cut.is_some() {
            condition.extend([" AND `", table.time, "` < {cut:DateTime64(3)}"]);
        }
        if !self.request.symbols.is_empty() {
            let list = "{names:Array(String)}";
            let named = |has_exchange| {
                let symbol = format!("toString(symbol) IN {list}");
                if has_exchange {
                    format!("{symbol} OR concat(exchange, ':', symbol) IN {list}")
                } else {
                    symbol
                }
            };
            let by_name = if table.has_symbol {
                named(table.has_exchange)
            } else {
                format!(
                    "instrument_token IN (SELECT instrument_token FROM instruments FINAL WHERE ({}) \
                     AND valid_from <= {{to:Date}} AND valid_to >= {{from:Date}})",
                    named(true)
                )
            };
            condition.extend([" AND (instrument_token IN {tokens:Array(UInt32)} OR ", &by_name, ")"]);
        }
        condition
    }

    /// A statement with the parameters of [`Export::wanted`] between two days.
    pub(super) fn bound(&self, sql: String, from: Date, to: Date) -> Statement {
        let symbols = &self.request.symbols;
        let tokens: Vec<u32> = symbols.iter().filter_map(|symbol| symbol.parse().ok()).collect();
        Statement::new(sql)
            .with("from", from)
            .with("to", to)
            .with("cut", self.cut.unwrap_or(Timestamp::NONE))
            .with("names", &symbols[..])
            .with("tokens", &tokens[..])
    }
}
