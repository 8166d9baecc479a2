//! The cut: every table as it is at one moment, in a database of its own that nobody writes to.
//!
//! What enters: a database into which ticks flow. What leaves: a database beside it whose parts are hard links of the same files,
//! without the batches that were under way, and with every seal stored. What never happens here: a change to the database itself.
//!
//! Why the cut is one. A seal is recorded before the rows of its batch, and as stored after all of them. The seals are looked at
//! twice: before the first table is cloned and after the last one. A batch that was stored at the first look has all of its rows in
//! the clones. A batch that has any row in a clone has its seal in the second look. So the batches of the second look that were not stored
//! at the first are those of which rows may be missing: their rows and seals are taken out of the clones, and what is left is
//! whole batches, all of them stored. Their marks say what is to be loaded again: everything after them, which is in the journals and
//! in Redis as long as these keep it.

use super::digests::columns;
use super::error::BackupError;
use crate::digest::quoted;
use crate::statements::{list, literal, name, rows, run};
use std::collections::{BTreeMap, BTreeSet};
use tickhouse_store::{BarSlice, Store, StoreOptions, bar_states};

/// Where the first look at the seals is kept.
const EARLIER_SEALS: &str = "loader_seals_at_the_first_look";
const SEALS: &str = "loader_seals";
/// Tables whose rows say that rows of other tables are whole: cloned before those.
const SAY_WHOLE: [&str; 3] = ["backfill_progress", "gap_fills", "instrument_masters"];
/// A tick counts in a minute at most this far from its receive time.
const REACH_SECONDS: u32 = 600;

/// A frozen copy of a database. [`Snapshot::remove`] it.
#[derive(Debug)]
pub(crate) struct Snapshot {
    pub(crate) database: String,
    pub(crate) tables: Vec<FrozenTable>,
    pub(crate) views: BTreeMap<String, String>,
    pub(crate) left_out: Vec<String>,
    pub(crate) batches_under_way: u64,
    pub(crate) marks: BTreeMap<String, String>,
}

/// A table of the copy.
#[derive(Clone, Debug)]
pub(crate) struct FrozenTable {
    pub(crate) name: String,
    pub(crate) definition: String,
    pub(crate) partitions: BTreeMap<String, Parts>,
}

/// The parts of a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Parts {
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
    /// What they hash to, whatever their order.
    pub(crate) hash: String,
}

/// The tables of a database by what they are.
#[derive(Debug, Default)]
pub(crate) struct Inventory {
    pub(crate) tables: Vec<String>,
    pub(crate) views: BTreeMap<String, String>,
    pub(crate) left_out: Vec<String>,
}

/// The name of the copy.
pub(crate) fn database_of(database: &str) -> String {
    format!("{database}_tickhouse_backup")
}

/// What a database holds.
pub(crate) async fn inventory(store: &Store, database: &str) -> Result<Inventory, BackupError> {
    let sql = format!(
        "SELECT name, engine, create_table_query FROM system.tables WHERE database = {} AND NOT is_temporary ORDER BY name",
        literal(database)
    );
    let found: Vec<(String, String, String)> = rows(store, "list the tables", &sql).await?;
    let mut inventory = Inventory::default();
    let retired: BTreeSet<String> = crate::retention::retired_names().collect();
    refuse_moved_aside(store, database, &retired).await?;
    for (name, engine, definition) in found {
        if name.starts_with('.') || retired.contains(&name) {
            // a view's own rows: `kept_by_views`; an empty table of a retention
        } else if engine.ends_with("View") {
            inventory.views.insert(name, definition);
        } else if engine.ends_with("MergeTree") {
            inventory.tables.push(name);
        } else {
            inventory.left_out.push(format!("{name} ({engine})"));
        }
    }
    let first = |name: &String| (!SAY_WHOLE.contains(&name.as_str()), name == SEALS, name.clone());
    inventory.tables.sort_by_key(first);
    inventory.left_out.extend(kept_by_views(store, database).await?);
    Ok(inventory)
}

/// Rows that a retention left aside are in no table that a restore would look for them in.
async fn refuse_moved_aside(
    store: &Store,
    database: &str,
    retired: &BTreeSet<String>,
) -> Result<(), BackupError> {
    let sql = format!(
        "SELECT DISTINCT table FROM system.parts WHERE active AND rows > 0 AND database = {} AND table IN {} ORDER BY table",
        literal(database),
        list(retired.iter().map(String::as_str))
    );
    let aside: Vec<String> = rows(store, "look for rows that a retention left aside", &sql).await?;
    if aside.is_empty() { Ok(()) } else { Err(BackupError::MovedAside { tables: aside.join(", ") }) }
}

/// Materialized views that keep rows of their own, which nothing makes again: a refreshed view does it by itself.
async fn kept_by_views(store: &Store, database: &str) -> Result<Vec<String>, BackupError> {
    let sql = format!(
        "SELECT name FROM system.tables WHERE database = {0} AND engine = 'MaterializedView' \
         AND name NOT IN (SELECT view FROM system.view_refreshes WHERE database = {0}) \
         AND (concat('.inner.', name) IN (SELECT name FROM system.tables WHERE database = {0}) \
         OR concat('.inner_id.', toString(uuid)) IN (SELECT name FROM system.tables WHERE database = {0})) ORDER BY name",
        literal(database)
    );
    let views: Vec<String> = rows(store, "look for rows that views keep", &sql).await?;
    Ok(views.into_iter().map(|view| format!("{view} (rows that a MaterializedView keeps itself)")).collect())
}

/// The parts of each partition of a database's tables.
pub(crate) async fn parts(
    store: &Store,
    database: &str,
) -> Result<BTreeMap<String, BTreeMap<String, Parts>>, BackupError> {
    let sql = format!(
        "SELECT table, partition_id, sum(rows), sum(bytes_on_disk), \
         hex(sipHash128(arraySort(groupArray(hash_of_all_files)))) \
         FROM system.parts WHERE active AND database = {} GROUP BY table, partition_id",
        literal(database)
    );
    let found: Vec<(String, String, u64, u64, String)> = rows(store, "list the parts", &sql).await?;
    let mut parts: BTreeMap<String, BTreeMap<String, Parts>> = BTreeMap::new();
    for (table, partition, rows, bytes, hash) in found {
        parts.entry(table).or_default().insert(partition, Parts { rows, bytes, hash });
    }
    Ok(parts)
}

impl Snapshot {
    /// Makes the copy. It costs no space but what merges and retention would have freed meanwhile.
    ///
    /// The caller holds the lock: a copy that is there is of a killed backup, and goes.
    pub(crate) async fn take(store: &Store) -> Result<Self, BackupError> {
        let source = store.options().database.clone();
        let inventory = inventory(store, &source).await?;
        if !inventory.tables.iter().any(|table| table == SEALS) {
            return Err(BackupError::NoSchema { database: source });
        }
        let database = database_of(&source);
        remove(store, &database).await?;
        let sql = format!("CREATE DATABASE {} COMMENT 'of a running tickhouse backup'", quoted(&database));
        run(store, "make the database of the backup", &sql).await?;
        let mut snapshot = Self {
            database,
            tables: Vec::new(),
            views: inventory.views,
            left_out: inventory.left_out,
            batches_under_way: 0,
            marks: BTreeMap::new(),
        };
        let filled = snapshot.fill(store, &source, &inventory.tables).await;
        if let Err(error) = filled {
            snapshot.remove(store).await.ok();
            return Err(error);
        }
        Ok(snapshot)
    }

    async fn fill(&mut self, store: &Store, source: &str, tables: &[String]) -> Result<(), BackupError> {
        let clone = async |from: &str, to: &str| {
            let sql = format!("CREATE TABLE {} CLONE AS {}", name(&self.database, to), name(source, from));
            run(store, &format!("clone table {from}"), &sql).await
        };
        clone(SEALS, EARLIER_SEALS).await?;
        for table in tables {
            clone(table, table).await?;
        }
        let late = self.late(store).await?;
        self.batches_under_way = late.batches.len() as u64;
        for table in tables {
            self.take_out(store, table, &late).await?;
        }
        self.recount_bars(store, &late, tables).await?;
        let sql = format!("DROP TABLE {} SYNC", name(&self.database, EARLIER_SEALS));
        run(store, "remove the first look at the seals", &sql).await?;
        // from here on the parts stay as they are
        for table in tables {
            let table = name(&self.database, table);
            run(store, "keep the copy as it is", &format!("SYSTEM STOP MERGES {table}")).await?;
        }
        let frozen = Store::new(StoreOptions { database: self.database.clone(), ..store.options().clone() });
        let marks = frozen.marks().await?.into_iter();
        self.marks =
            marks.map(|(origin, mark)| (origin, format!("{}-{}", mark.last.0, mark.last.1))).collect();
        self.describe(store, tables).await
    }

    /// The batches that were not stored when the first table was cloned.
    async fn late(&self, store: &Store) -> Result<Late, BackupError> {
        let sql = format!(
            "SELECT DISTINCT toString(batch_id), empty(partitions), toString(at.1), at.2 FROM {} LEFT ARRAY JOIN partitions AS at \
             WHERE batch_id NOT IN (SELECT batch_id FROM {} WHERE state = 'stored')",
            name(&self.database, SEALS),
            name(&self.database, EARLIER_SEALS)
        );
        let found: Vec<(String, bool, String, u8)> = rows(store, "find the batches under way", &sql).await?;
        let mut late = Late::default();
        for (batch, no_ticks, day, hour) in found {
            late.batches.insert(batch);
            late.hours.extend((!no_ticks).then_some((day, hour)));
        }
        Ok(late)
    }

    /// Takes the rows of batches that were under way out of a table.
    async fn take_out(&self, store: &Store, table: &str, late: &Late) -> Result<(), BackupError> {
        let has_batches = columns(store, &self.database, table).await?;
        let has_batches = has_batches.iter().any(|(name, kind)| name == "batch_id" && kind == "UUID");
        if late.batches.is_empty() || !has_batches {
            return Ok(());
        }
        let batches = list(late.batches.iter().map(String::as_str));
        // of ticks only the days that the seals name are looked through
        let days = late.hours.iter().map(|(day, _)| day.as_str());
        let days = match table {
            "tick_data" if late.hours.is_empty() => return Ok(()),
            "tick_data" => format!(" AND date IN {}", list(days)),
            _ => String::new(),
        };
        let table = name(&self.database, table);
        let sql = format!("SELECT DISTINCT _partition_id FROM {table} WHERE batch_id IN {batches}{days}");
        let partitions: Vec<String> = rows(store, "find rows of batches under way", &sql).await?;
        for partition in partitions {
            let sql = format!(
                "ALTER TABLE {table} DELETE IN PARTITION ID {} WHERE batch_id IN {batches} SETTINGS mutations_sync = 2",
                literal(&partition)
            );
            run(store, "take batches under way out of the copy", &sql).await?;
        }
        Ok(())
    }

    /// Brings the tick counts of the bars in line with the ticks, in the hours of the batches under way: their view wrote to a table of
    /// its own, at another moment. All else of a bar is a highest or lowest value: the ticks that come again leave it as it is.
    async fn recount_bars(&self, store: &Store, late: &Late, tables: &[String]) -> Result<(), BackupError> {
        if !tables.iter().any(|table| table == "tick_data_1min_state") {
            return Ok(());
        }
        let (ticks, bars) = (name(&self.database, "tick_data"), name(&self.database, "tick_data_1min_state"));
        for (day, hour) in &late.hours {
            let begin = format!("toDateTime64('{day} {hour:02}:00:00', 3, 'Asia/Kolkata')");
            let end = format!("({begin} + INTERVAL 1 HOUR)");
            let around = |column: &str, seconds: u32| {
                format!("{column} >= {begin} - {seconds} AND {column} < {end} + {seconds}")
            };
            let near = around("timestamp", 2 * REACH_SECONDS + 60);
            let counted = bar_states(
                &format!(
                    "(SELECT * FROM {ticks} WHERE date BETWEEN toDate('{day}') - 1 AND toDate('{day}') + 1 AND {near})"
                ),
                BarSlice::Minute,
            );
            let sql = format!(
                "INSERT INTO {bars} (instrument_token, date, minute, first, last, high, low, total_high, total_low, \
                 last_open_interest, ticks, gap) \
                 SELECT instrument_token, date, minute, bitNot(toUInt256(0)), toUInt256(0), -inf, inf, 0, \
                 18446744073709551615, toUInt256(0), sum(difference) AS ticks, 0 FROM \
                 (SELECT instrument_token, date, minute, ticks AS difference FROM ({counted}) \
                 UNION ALL SELECT instrument_token, date, minute, -ticks AS difference FROM {bars} \
                 WHERE date BETWEEN toDate('{day}') - 1 AND toDate('{day}') + 1) \
                 WHERE {} GROUP BY instrument_token, date, minute HAVING sum(difference) != 0",
                around("minute", REACH_SECONDS)
            );
            run(store, "count the ticks of the copy's bars", &sql).await?;
        }
        Ok(())
    }

    async fn describe(&mut self, store: &Store, tables: &[String]) -> Result<(), BackupError> {
        let mut parts = parts(store, &self.database).await?;
        let sql = format!(
            "SELECT name, create_table_query FROM system.tables WHERE database = {}",
            literal(&self.database)
        );
        let definitions: Vec<(String, String)> = rows(store, "read the definitions", &sql).await?;
        let mut definitions: BTreeMap<_, _> = definitions.into_iter().collect();
        for table in tables {
            let definition = definitions.remove(table).unwrap_or_default();
            // `CREATE TABLE database.table (columns) ENGINE = …`
            let begin = definition.find(" (").map_or(0, |at| at + 1);
            self.tables.push(FrozenTable {
                name: table.clone(),
                definition: definition[begin..].to_owned(),
                partitions: parts.remove(table).unwrap_or_default(),
            });
        }
        Ok(())
    }

    /// Removes the copy.
    pub(crate) async fn remove(&self, store: &Store) -> Result<(), BackupError> {
        remove(store, &self.database).await
    }
}

/// Removes a database of ours.
pub(crate) async fn remove(store: &Store, database: &str) -> Result<(), BackupError> {
    let sql = format!("DROP DATABASE IF EXISTS {} SYNC", quoted(database));
    Ok(run(store, &format!("remove database {database}"), &sql).await?)
}

/// Batches that were under way, and the hours of their ticks.
#[derive(Debug, Default)]
struct Late {
    batches: BTreeSet<String>,
    hours: BTreeSet<(String, u8)>,
}
