//! Making and upgrading the schema.
//!
//! What enters: the numbered files of `migrations/`, a choice of partitions. What leaves: the tables, and a row
//! in `migrations` for each file applied. What never happens here: a change to a file that was applied somewhere (its
//! checksum is compared), or a step back.
//!
//! Every statement can run twice (IF NOT EXISTS, or the same state again) and is run by itself: an interrupted or concurrent run
//! is mended by the next one. What fills from `tick_data` runs date by date, so that memory and time of a statement are a day's.

use crate::{Store, StoreError};
use clickhouse::Row;
use serde::{Deserialize, Serialize};

/// A file of `migrations/`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Migration {
    /// 1, 2, 3, …
    pub number: u32,
    /// The rest of the file's name.
    pub name: &'static str,
    /// Its text, with `{partition}` for the partition key of the tick tables.
    pub sql: &'static str,
}

/// All of them, in order. A file that was released is never edited: what changes gets a new number.
pub const MIGRATIONS: &[Migration] = &[
    Migration { number: 1, name: "tick_data", sql: include_str!("../migrations/0001_tick_data.sql") },
    Migration { number: 2, name: "ledger", sql: include_str!("../migrations/0002_ledger.sql") },
    Migration { number: 3, name: "bars", sql: include_str!("../migrations/0003_bars.sql") },
    Migration {
        number: 4,
        name: "indices_and_news",
        sql: include_str!("../migrations/0004_indices_and_news.sql"),
    },
    Migration { number: 5, name: "instruments", sql: include_str!("../migrations/0005_instruments.sql") },
    Migration { number: 6, name: "candles", sql: include_str!("../migrations/0006_candles.sql") },
    Migration { number: 7, name: "bar_extremes", sql: include_str!("../migrations/0007_bar_extremes.sql") },
    Migration { number: 8, name: "latest_prices", sql: include_str!("../migrations/0008_latest_prices.sql") },
    Migration { number: 9, name: "count_anew", sql: include_str!("../migrations/0009_count_anew.sql") },
];

/// Stands in a statement that is run once for each date of `tick_data`.
const EACH_DATE: &str = "{each_date}";

/// The tables that earlier versions gave a TTL. `tickhouse retention` removes what is old instead: a TTL asks nobody.
const HAD_TTL: &[&str] = &["tick_data", "tick_data_1min_state", "indices_data", "news_data"];

/// How the tick tables are cut into partitions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Partitioning {
    /// `(date, hour)`: the brief's.
    #[default]
    Hour,
    /// `date`: fewer parts, for small feeds.
    Day,
}

impl Partitioning {
    const fn key(self) -> &'static str {
        match self {
            Self::Hour => "(date, hour)",
            Self::Day => "date",
        }
    }
}

/// Choices that are the user's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SchemaOptions {
    /// Applies when the tables are made; a later change is reported and ignored.
    pub partitioning: Partitioning,
}

/// What a migration did, or with `dry_run` would do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Numbers and names of migrations applied now.
    pub applied: Vec<String>,
    /// Migrations that were there.
    pub present: u32,
    /// TTLs of earlier versions that were taken off.
    pub retention: Vec<String>,
    /// What could not be followed.
    pub notes: Vec<String>,
}

#[derive(Row, Deserialize)]
struct Applied {
    number: u32,
    name: String,
    checksum: u64,
}

impl Migration {
    /// The statements, comments left out.
    pub fn statements(&self, partitioning: Partitioning) -> Vec<String> {
        statements(self.sql).map(|sql| sql.replace("{partition}", partitioning.key())).collect()
    }

    /// FNV-1a of the text: stable over versions.
    fn checksum(&self) -> u64 {
        self.sql
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
    }
}

/// Statements of a file: each ends with a semicolon at the end of a line; lines that begin with `--` are comments.
fn statements(sql: &str) -> impl Iterator<Item = String> {
    let lines = sql.lines().filter(|line| !line.trim_start().starts_with("--"));
    let text = lines.collect::<Vec<_>>().join("\n");
    let pieces: Vec<String> =
        text.split(";\n").map(|piece| piece.trim().trim_end_matches(';').trim_end().to_owned()).collect();
    pieces.into_iter().filter(|piece| !piece.is_empty())
}

/// The text between `-- begin of <name>` and `-- end of <name>` in a migration: a view's SELECT that is also run by itself.
pub(crate) fn section(name: &str) -> &'static str {
    MIGRATIONS
        .iter()
        .rev()
        .find_map(|migration| {
            let start = migration.sql.find(&format!("-- begin of {name}"))?;
            let start = start + migration.sql[start..].find('\n')?;
            let end = start + migration.sql[start..].find(&format!("-- end of {name}"))?;
            Some(&migration.sql[start..end])
        })
        .expect("the sections that the code names stand in the migrations")
}

/// Brings the schema up to date.
///
/// # Errors
/// [`StoreError::MigrationChanged`], [`StoreError::SchemaNewer`], or a statement that failed; what was applied stays.
pub async fn migrate(store: &Store, options: SchemaOptions, dry_run: bool) -> Result<Report, StoreError> {
    let mut report = Report::default();
    if !dry_run {
        prepare(store).await?;
    }
    let applied = applied(store).await?;
    report.present = applied.len() as u32;
    check(&applied)?;
    for migration in
        MIGRATIONS.iter().filter(|migration| applied.iter().all(|done| done.number != migration.number))
    {
        if !dry_run {
            apply(store, migration, options.partitioning).await?;
        }
        report.applied.push(format!("{:04}_{}", migration.number, migration.name));
    }
    take_ttl_off(store, dry_run, &mut report).await?;
    if !dry_run {
        make_time_function(store, &mut report).await?;
    }
    note_partitioning(store, options.partitioning, &mut report).await?;
    Ok(report)
}

/// Makes the schema as it was when migration `number` was the last one, without any retention: what rows of that time fit into.
///
/// # Errors
/// As [`migrate`].
pub async fn migrate_up_to(store: &Store, partitioning: Partitioning, number: u32) -> Result<(), StoreError> {
    let known = MIGRATIONS.len() as u32;
    if number > known {
        return Err(StoreError::SchemaNewer { number, name: "a later one".to_owned(), known });
    }
    prepare(store).await?;
    let applied = applied(store).await?;
    check(&applied)?;
    let missing = |migration: &&Migration| applied.iter().all(|done| done.number != migration.number);
    for migration in MIGRATIONS.iter().take_while(|migration| migration.number <= number).filter(missing) {
        apply(store, migration, partitioning).await?;
    }
    Ok(())
}

async fn prepare(store: &Store) -> Result<(), StoreError> {
    let database = &store.options().database;
    let sql = format!("CREATE DATABASE IF NOT EXISTS `{}`", database.replace('`', ""));
    // the database of the connection has to exist, so this one is made from another
    let outside = store.client().clone().with_database("system");
    outside
        .query_raw(&sql)
        .execute()
        .await
        .map_err(|source| StoreError::query("make the database", source))?;
    let sql = "CREATE TABLE IF NOT EXISTS migrations (number UInt32, name String, checksum UInt64, \
               applied_at DateTime64(3, 'UTC') DEFAULT now64(3)) ENGINE = ReplacingMergeTree(applied_at) ORDER BY number";
    let table = store.client().query_raw(sql).execute().await;
    table.map_err(|source| StoreError::query("make the table of migrations", source))
}

async fn applied(store: &Store) -> Result<Vec<Applied>, StoreError> {
    let failed = |source| StoreError::query("read the applied migrations", source);
    let outside = store.client().clone().with_database("system");
    let tables = outside
        .query("SELECT count() FROM system.tables WHERE database = ? AND name = 'migrations'")
        .bind(&store.options().database)
        .fetch_one::<u64>()
        .await
        .map_err(failed)?;
    if tables == 0 {
        return Ok(Vec::new());
    }
    let sql = "SELECT number, argMax(name, applied_at) AS name, argMax(checksum, applied_at) AS checksum \
               FROM migrations GROUP BY number ORDER BY number";
    store.client().query(sql).fetch_all::<Applied>().await.map_err(failed)
}

fn check(applied: &[Applied]) -> Result<(), StoreError> {
    for done in applied {
        match MIGRATIONS.iter().find(|migration| migration.number == done.number) {
            None => {
                return Err(StoreError::SchemaNewer {
                    number: done.number,
                    name: done.name.clone(),
                    known: MIGRATIONS.len() as u32,
                });
            }
            Some(migration) if migration.checksum() != done.checksum => {
                return Err(StoreError::MigrationChanged { number: done.number, name: done.name.clone() });
            }
            Some(_) => {}
        }
    }
    Ok(())
}

async fn apply(store: &Store, migration: &Migration, partitioning: Partitioning) -> Result<(), StoreError> {
    for sql in migration.statements(partitioning) {
        let dates = if sql.contains(EACH_DATE) { dates(store).await? } else { vec![String::new()] };
        for date in dates {
            let sql = sql.replace(EACH_DATE, &date);
            store.client().query_raw(&sql).execute().await.map_err(|source| StoreError::Migration {
                number: migration.number,
                statement: sql.lines().next().unwrap_or_default().to_owned(),
                source,
            })?;
        }
    }
    let sql = format!(
        "INSERT INTO migrations (number, name, checksum) SETTINGS async_insert = 0 VALUES ({}, '{}', {})",
        migration.number,
        migration.name,
        migration.checksum()
    );
    let recorded = store.client().query_raw(&sql).execute().await;
    recorded.map_err(|source| StoreError::query("record a migration", source))?;
    tracing::info!(number = migration.number, name = migration.name, "migration applied");
    Ok(())
}

/// The dates of `tick_data`, rising.
async fn dates(store: &Store) -> Result<Vec<String>, StoreError> {
    let sql = "SELECT toString(date) FROM tick_data GROUP BY date ORDER BY date";
    let dates = store.client().query(sql).fetch_all::<String>().await;
    dates.map_err(|source| StoreError::query("read the dates of tick_data", source))
}

/// The definition of a table, empty where there is none.
async fn definition(store: &Store, table: &str) -> Result<String, StoreError> {
    let sql = "SELECT engine_full FROM system.tables WHERE database = ? AND name = ?";
    // at a dry run the database may not be there
    let outside = store.client().clone().with_database("system");
    let query = outside.query(sql).bind(&store.options().database).bind(table);
    let engine = query.fetch_optional::<String>().await;
    Ok(engine.map_err(|source| StoreError::query("read a table's definition", source))?.unwrap_or_default())
}

async fn take_ttl_off(store: &Store, dry_run: bool, report: &mut Report) -> Result<(), StoreError> {
    for table in HAD_TTL {
        if !definition(store, table).await?.contains(" TTL ") {
            continue;
        }
        let statement = format!("ALTER TABLE {table} REMOVE TTL");
        if !dry_run {
            let altered = store.client().query_raw(&statement).execute().await;
            altered.map_err(|source| StoreError::query("take a TTL off", source))?;
        }
        report.retention.push(statement);
    }
    Ok(())
}

/// `$__time(x)` is `x`: the brief's Grafana query calls it, and Grafana's ClickHouse data source, which has no such macro, passes it
/// on as it stands. Functions belong to the whole server, so a user of one database may not be allowed to make it; nothing of ours
/// needs it.
async fn make_time_function(store: &Store, report: &mut Report) -> Result<(), StoreError> {
    let known = store
        .client()
        .query("SELECT count() FROM system.functions WHERE name = '$__time'")
        .fetch_one::<u64>();
    if known.await.map_err(|source| StoreError::query("read the functions", source))? > 0 {
        return Ok(());
    }
    let sql = "CREATE FUNCTION IF NOT EXISTS `$__time` AS (moment) -> moment";
    if let Err(error) = store.client().query_raw(sql).execute().await {
        tracing::debug!(%error, "no function was made");
        report.notes.push(
            "this user may not make the function $__time, which the brief's Grafana query calls: use `timestamp AS time` there"
                .to_owned(),
        );
    }
    Ok(())
}

async fn note_partitioning(
    store: &Store,
    wanted: Partitioning,
    report: &mut Report,
) -> Result<(), StoreError> {
    let engine = definition(store, "tick_data").await?;
    if !engine.is_empty() && !engine.contains(&format!("PARTITION BY {} ORDER BY", wanted.key())) {
        report.notes.push(
            "tick_data keeps the partitions it was made with: export, drop and import it to change them"
                .to_owned(),
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn migrations_are_numbered_without_a_hole_and_can_run_twice() {
        for (index, migration) in MIGRATIONS.iter().enumerate() {
            assert_eq!(migration.number as usize, index + 1);
            for sql in migration.statements(Partitioning::Hour) {
                let repeatable = ["IF NOT EXISTS", " MODIFY QUERY", "CREATE OR REPLACE VIEW", EACH_DATE];
                assert!(repeatable.iter().any(|words| sql.contains(words)), "{sql}");
                assert!(!sql.replace(EACH_DATE, "").contains('{'), "{sql}");
            }
        }
    }

    #[test]
    fn statements_end_at_semicolons_and_comments_are_left_out() {
        let found: Vec<String> =
            statements("-- a; b;\nSELECT 1,\n  -- c\n  ';x';\n\nSELECT 2\n-- end\n;\n").collect();
        assert_eq!(found, ["SELECT 1,\n  ';x'", "SELECT 2"]);
    }

    #[test]
    fn the_sections_that_are_run_by_themselves_are_there() {
        assert!(section("bar states").contains("FROM tick_data\n"));
        assert!(section("index values").contains("FROM tick_data\n"));
        assert!(section("latest prices").contains("FROM tick_data\n"));
    }

    #[test]
    fn the_latest_prices_of_old_ticks_are_those_of_new_ones() {
        let words = |sql: &str| sql.split_whitespace().collect::<Vec<_>>().join(" ");
        let feed = words(section("latest prices").trim());
        let fill = MIGRATIONS[7].statements(Partitioning::Hour).pop().unwrap();
        let fill = words(&fill.replace("date = '{each_date}'", "").replace("WHERE\n    AND", "WHERE"));
        assert_eq!(fill.replace("WHERE AND", "WHERE"), format!("INSERT INTO latest_prices {feed}"));
    }

    #[test]
    fn a_changed_or_unknown_migration_is_refused() {
        let first = &MIGRATIONS[0];
        let row = |number, checksum| Applied { number, name: "x".to_owned(), checksum };
        check(&[row(1, first.checksum())]).unwrap();
        assert!(matches!(check(&[row(1, 0)]), Err(StoreError::MigrationChanged { number: 1, .. })));
        assert!(matches!(check(&[row(99, 0)]), Err(StoreError::SchemaNewer { number: 99, .. })));
    }
}
