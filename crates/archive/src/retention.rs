//! What is old goes: into files first, if so wished, and only once nothing is lost by it.
//!
//! What enters: how many days each table keeps, and perhaps a folder. What leaves: partitions that are gone, and before that files
//! of their rows. What never happens here: rows that are removed while a batch that concerns them is under way, or
//! before their file was read back and found equal to exactly the rows that go; a partition of today.
//!
//! Whole partitions go, by `ALTER TABLE`, not by a TTL of the server, which asks nobody: docs/retention.md.

mod apply;
mod retired;

use crate::export::{day_of, reader};
use crate::tables::Table;
use crate::{ArchiveError, Manifest};
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;
use tickhouse_model::Timestamp;
use tickhouse_read::{Reader, Statement};
use tickhouse_store::Store;

pub use apply::{Outcome, RetentionReport};

/// A partition that was loaded into more recently is left alone: what is being caught up with comes in many batches.
pub const QUIET: Duration = Duration::from_hours(1);

/// A table whose old partitions may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retained {
    /// What is exported, and the name in the settings.
    pub table: Table,
    /// Where the rows are.
    pub(crate) stored_in: &'static str,
}

impl Retained {
    /// Whether the rows that go are not those of the file, but what these were made of.
    fn is_view(&self) -> bool {
        self.table.name != self.stored_in
    }

    /// ` FINAL`, where rows are merged by and by: a digest must not change by that.
    fn merged(&self) -> &'static str {
        if self.table.merges || self.is_view() { " FINAL" } else { "" }
    }
}

/// The tables that a retention can be set for.
pub fn retained() -> Vec<Retained> {
    let stored_in = [
        ("tick_data", "tick_data"),
        ("tick_data_1min", "tick_data_1min_state"),
        ("indices_data", "indices_data"),
        ("candles", "candles"),
        ("frames", "frames"),
    ];
    let retained = |(name, stored_in): (&str, &'static str)| {
        let table = name.parse().expect("every table with a retention can be exported");
        Retained { table, stored_in }
    };
    stored_in.into_iter().map(retained).collect()
}

/// The tables into which partitions are moved before they go.
pub(crate) fn retired_names() -> impl Iterator<Item = String> {
    retained().into_iter().map(retired::name)
}

/// How long what is kept, and what becomes of it then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetentionRules {
    /// Tables with the days that they keep, today not counted: 1 keeps yesterday.
    pub keep_days: Vec<(Retained, u32)>,
    /// Parquet files are written here before rows go; `None`: they just go.
    pub export_to: Option<PathBuf>,
    /// Held while rows go: [`crate::BackupPlaces::lock`], so that no backup is made of tables of which rows are aside.
    pub lock: PathBuf,
}

/// What is to be done with partitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Nothing: they are not old enough.
    Keep,
    /// Into files, then removed.
    Export,
    /// Removed: they are in files already, or no folder is set.
    Drop,
    /// Nothing for now, though they are old enough; `why` tells.
    Refuse,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Keep => "keep",
            Self::Export => "export",
            Self::Drop => "drop",
            Self::Refuse => "refused",
        })
    }
}

/// Partitions of a table that share their days: the hours of a day, or a month.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Stretch {
    /// The table.
    pub table: &'static str,
    /// Its first day with rows.
    pub first_day: Date,
    /// Its last.
    pub last_day: Date,
    /// The server's ids of the partitions.
    pub partitions: Vec<String>,
    /// Their rows.
    pub rows: u64,
    /// Their size on the server's disk.
    pub bytes: u64,
    /// Days since the last day.
    pub age_days: u32,
    /// What is to be done.
    pub action: Action,
    /// Why.
    pub why: String,
}

/// A retention that can be planned and applied.
#[derive(Clone, Debug)]
pub struct Retention {
    store: Store,
    reader: Reader,
    rules: RetentionRules,
    now: Timestamp,
}

#[derive(Deserialize)]
struct Group {
    partitions: Vec<String>,
    first_day: Date,
    last_day: Date,
    rows: u64,
    bytes: u64,
}

impl Retention {
    /// By these rules, at this time.
    pub fn new(store: &Store, rules: RetentionRules, now: Timestamp) -> Self {
        Self { store: store.clone(), reader: reader(store), rules, now }
    }

    /// What would be done, table by table, oldest first. Reads lists of parts and the manifest, not rows, and writes nothing.
    ///
    /// # Errors
    /// When a query fails, or the manifest can't be read.
    pub async fn plan(&self) -> Result<Vec<Stretch>, ArchiveError> {
        self.find_folder()?;
        let manifest = match &self.rules.export_to {
            Some(folder) => Manifest::read(folder)?,
            None => None,
        };
        let mut plan = Vec::new();
        for (retained, days) in &self.rules.keep_days {
            for mut stretch in self.stretches(*retained).await? {
                (stretch.action, stretch.why) = self.judge(&stretch, *days, manifest.as_ref()).await?;
                plan.push(stretch);
            }
        }
        Ok(plan)
    }

    /// The folder has to be there: made by us, it would be on the wrong disk where one is not mounted.
    fn find_folder(&self) -> Result<(), ArchiveError> {
        match &self.rules.export_to {
            Some(folder) if !folder.is_dir() => Err(ArchiveError::Request(format!(
                "{} (retention.export_to) is not there: mount its disk, or make the folder if it is a new one",
                folder.display()
            ))),
            _ => Ok(()),
        }
    }

    /// The partitions of a table, oldest first.
    async fn stretches(&self, retained: Retained) -> Result<Vec<Stretch>, ArchiveError> {
        let sql = "SELECT groupArray(partition_id) AS partitions, first_day, last_day, sum(rows_) AS rows, sum(bytes_) AS bytes FROM \
                   (SELECT partition_id, min(min_date) AS first_day, max(max_date) AS last_day, sum(rows) AS rows_, \
                    sum(bytes_on_disk) AS bytes_ FROM system.parts WHERE database = currentDatabase() AND table = {table:String} \
                    AND active AND rows > 0 GROUP BY partition_id ORDER BY partition_id) \
                   GROUP BY first_day, last_day ORDER BY first_day, last_day";
        let groups = self.reader.rows::<Group>(&Statement::new(sql).with("table", retained.stored_in)).await;
        let groups = groups.map_err(ArchiveError::read("list the partitions"))?;
        let today = day_of(self.now);
        let stretch = |Group { partitions, first_day, last_day, rows, bytes }| Stretch {
            table: retained.table.name,
            first_day,
            last_day,
            partitions,
            rows,
            bytes,
            age_days: u32::try_from((today - last_day).get_days()).unwrap_or(0),
            action: Action::Keep,
            why: String::new(),
        };
        Ok(groups.into_iter().map(stretch).collect())
    }

    async fn judge(
        &self,
        stretch: &Stretch,
        days: u32,
        manifest: Option<&Manifest>,
    ) -> Result<(Action, String), ArchiveError> {
        if days == 0 {
            return Ok((Action::Keep, "kept for ever".to_owned()));
        }
        if stretch.age_days <= days {
            return Ok((Action::Keep, format!("for {} more days", days + 1 - stretch.age_days)));
        }
        if let Some(why) = self.under_way(stretch).await? {
            return Ok((Action::Refuse, why));
        }
        let Some(folder) = &self.rules.export_to else {
            return Ok((Action::Drop, format!("older than {days} days")));
        };
        let exported: u64 = manifest.map_or(0, |manifest| {
            let of_days = manifest.files.values().filter(|entry| {
                entry.table == stretch.table && entry.moved_at.is_none() && is_of(&entry.partition, stretch)
            });
            of_days.map(|entry| entry.rows).sum()
        });
        Ok(match exported {
            0 => (Action::Export, format!("into {}", folder.display())),
            rows if rows == stretch.rows => (Action::Drop, format!("it is in {}", folder.display())),
            rows => (Action::Export, format!("{} has {rows} rows of it", folder.display())),
        })
    }

    /// Why a stretch can't go now: a batch that concerns it is sealed and not stored, or was loaded lately.
    async fn under_way(&self, stretch: &Stretch) -> Result<Option<String>, ArchiveError> {
        #[derive(Deserialize)]
        struct Seals {
            open: u64,
            recent: u64,
        }
        // which days a seal without ticks concerns is not said: it may be of any. A batch is stored when any row says so: that of a
        // seal of which nothing was inserted names no days
        let sql = "SELECT countIf(is_open) AS open, countIf(named AND NOT is_open AND last > {since:DateTime64(3)}) AS recent FROM \
                   (SELECT batch_id, max(named_) AS named, max(written_at) AS last, \
                    batch_id NOT IN (SELECT batch_id FROM loader_seals WHERE state = 'stored') AS is_open FROM \
                    (SELECT batch_id, written_at, \
                     arrayExists(partition -> partition.1 BETWEEN {first:Date} AND {last:Date}, partitions) AS named_ FROM loader_seals \
                     WHERE named_ OR (state = 'sealed' AND {any:UInt8} AND empty(partitions))) GROUP BY batch_id)";
        let of_ticks = matches!(stretch.table, "tick_data" | "tick_data_1min");
        let statement = Statement::new(sql)
            .with("any", u8::from(!of_ticks))
            .with("since", self.now.minus(QUIET))
            .with("first", stretch.first_day)
            .with("last", stretch.last_day);
        let seals = self.reader.rows::<Seals>(&statement).await;
        let seals = seals.map_err(ArchiveError::read("look for batches that are under way"))?;
        Ok(seals.first().and_then(|seals| match (seals.open, seals.recent) {
            (0, 0) => None,
            (0, _) => Some("rows were loaded into it within the last hour".to_owned()),
            (open, _) => Some(format!(
                "{open} batches of it are sealed and not yet known to be stored: let the loader run"
            )),
        }))
    }
}

/// Whether an exported partition (`date=2026-11-20/…`) lies within a stretch.
fn is_of(partition: &str, stretch: &Stretch) -> bool {
    let day = partition.strip_prefix("date=").and_then(|rest| rest.split('/').next()?.parse::<Date>().ok());
    day.is_some_and(|day| (stretch.first_day..=stretch.last_day).contains(&day))
}
