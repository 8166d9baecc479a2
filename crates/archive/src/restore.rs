//! A backup back into a database, proven before anything is in its place.
//!
//! What enters: a backup and those it stands on. What leaves: a database with the schema of this program, whose every row was compared
//! with what was saved. What never happens here: a change to a database that holds something; an insert through a view; a
//! database that a loader could take for whole before it is.

use crate::ArchiveError;
use crate::backup::{
    BackupError, BackupPlaces, BackupProgress, BackupRecord, Links, Listed, Lock, Method, Place, TableRecord,
    check, columns, digests, end_all, list, read_native, read_native_s3, remove_database, restore_by_server,
};
use crate::digest::quoted;
use crate::statements::{literal, name, rows, run};
use std::collections::BTreeMap;
use tickhouse_store::{Partitioning, SchemaOptions, Store, StoreOptions, migrate, migrate_up_to};
use tokio::sync::watch;

/// The table without which no loader begins.
const SEALS: &str = "loader_seals";
/// What stands in its place while a restore goes on.
const GATE: &str =
    "a tickhouse restore into this database is not finished: wait for its end, or run it again";

/// A backup and those it stands on, itself first.
#[derive(Clone, Debug)]
pub struct Chain(Vec<BackupRecord>);

impl Chain {
    /// That of one of the backups of a place.
    pub(crate) fn of(listed: Vec<Listed>, id: &str, root: &Place) -> Result<Self, BackupError> {
        let whole: BTreeMap<String, BackupRecord> =
            listed.into_iter().filter_map(|Listed { id, record }| Some((id, record?))).collect();
        let mut next = Some(id.to_owned());
        let mut chain: Vec<BackupRecord> = Vec::new();
        while let Some(id) = next.take() {
            let Some(record) = whole.get(&id).filter(|_| chain.len() < whole.len()) else {
                let needs = chain.last().map(|record| record.id.clone()).unwrap_or_default();
                return Err(BackupError::BaseMissing { id: needs, base: id, place: root.shown() });
            };
            next.clone_from(&record.base);
            chain.push(record.clone());
        }
        Ok(Self(chain))
    }

    /// The backup.
    pub fn record(&self) -> &BackupRecord {
        &self.0[0]
    }

    /// It and those it stands on, the full one last.
    pub fn records(&self) -> &[BackupRecord] {
        &self.0
    }
}

/// Finds a backup: the one that the place itself is, or the newest whole one of the place. Gives the folder of backups and the chain.
///
/// # Errors
/// When there is none, or one that it stands on is gone.
pub async fn find(store: &Store, place: &Place) -> Result<(Place, Chain), BackupError> {
    let mut found = (place.clone(), list(store, place).await?);
    let mut named = None;
    if found.1.iter().all(|listed| listed.record.is_none())
        && let Some((parent, name)) = place.split()
    {
        found = (parent.clone(), list(store, &parent).await?);
        named = Some(name);
    }
    let (root, listed) = found;
    let whole = |id: &String| listed.iter().any(|one| one.id == *id && one.record.is_some());
    let newest = || listed.iter().filter(|one| one.record.is_some()).map(|one| one.id.clone()).max();
    let none = || BackupError::NoBackup { place: place.shown() };
    let id = named.or_else(newest).filter(whole).ok_or_else(none)?;
    let chain = Chain::of(listed, &id, &root)?;
    Ok((root, chain))
}

/// Restores a backup into a database beside the others, compares every row, and removes it.
///
/// # Errors
/// [`BackupError::Damaged`], [`BackupError::Differs`], or what kept it from comparing.
pub async fn verify(
    store: &Store,
    at: &BackupPlaces,
    chain: &Chain,
    progress: &watch::Sender<BackupProgress>,
) -> Result<(), BackupError> {
    let _lock = Lock::take(&at.lock)?;
    let staging = staging_of(&store.options().database);
    let proven = stage(store, at, chain, &staging, progress).await;
    remove_database(store, &staging).await?;
    proven
}

/// Restores a backup into the database of `store`, which must be empty or not there.
///
/// The rows are first brought into a database beside it and compared with what was saved; then they are attached to tables that the
/// migrations of their time made, and later migrations are applied. A loader that runs meanwhile begins when all of it is there.
///
/// # Errors
/// [`BackupError::NotEmpty`], and as [`verify`]. Nothing is in the database then, or what a second run replaces.
pub async fn restore(
    store: &Store,
    at: &BackupPlaces,
    chain: &Chain,
    progress: &watch::Sender<BackupProgress>,
) -> Result<(), BackupError> {
    let _lock = Lock::take(&at.lock)?;
    refuse_occupied(store).await?;
    let database = store.options().database.clone();
    let staging = staging_of(&database);
    let restored = async {
        stage(store, at, chain, &staging, progress).await?;
        progress.send_replace(BackupProgress { stage: "putting the tables in place", done: 0, total: 0 });
        put_in_place(store, chain.record(), &staging).await
    };
    let restored = restored.await;
    if restored.is_err() && matches!(occupants(store).await, Ok(true)) {
        // the first error is the one to tell
        empty(store).await.ok();
    }
    let removed = remove_database(store, &staging).await;
    restored?;
    removed
}

/// Says whether [`restore`] would be refused, without doing anything.
///
/// # Errors
/// [`BackupError::NotEmpty`].
pub async fn check_target(store: &Store) -> Result<(), BackupError> {
    occupants(store).await.map(drop)
}

/// Removes what an interrupted [`restore`] or [`verify`] left.
///
/// # Errors
/// When a statement fails.
pub async fn abandon_restore(store: &Store, at: &BackupPlaces) -> Result<(), BackupError> {
    let _lock = Lock::take(&at.lock)?;
    end_all(store).await?;
    let database = &store.options().database;
    remove_database(store, &staging_of(database)).await?;
    match occupants(store).await {
        Ok(true) => empty(store).await,
        // it holds what somebody else put there, or nothing
        Ok(false) | Err(BackupError::NotEmpty { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

fn staging_of(database: &str) -> String {
    format!("{database}_tickhouse_restore")
}

/// Refuses a database that holds something, but for what a killed restore left, which goes.
async fn refuse_occupied(store: &Store) -> Result<(), BackupError> {
    if occupants(store).await? { empty(store).await } else { Ok(()) }
}

/// Removes what an unfinished restore put into the database, which stays: a user whose database is missing can't log in.
async fn empty(store: &Store) -> Result<(), BackupError> {
    let database = &store.options().database;
    remove_database(store, database).await?;
    Ok(run(store, "make the database", &format!("CREATE DATABASE {}", quoted(database))).await?)
}

/// Whether an unfinished restore is there; an error when anything else is.
async fn occupants(store: &Store) -> Result<bool, BackupError> {
    let database = &store.options().database;
    let sql = format!(
        "SELECT name, name = '{SEALS}' AND engine = 'View' AND position(create_table_query, {}) > 0 FROM system.tables \
         WHERE database = {} AND NOT is_temporary ORDER BY name",
        literal(GATE),
        literal(database)
    );
    let found: Vec<(String, bool)> = rows(store, "look into the database", &sql).await?;
    if found.iter().any(|(_, gate)| *gate) {
        return Ok(true);
    }
    if found.is_empty() {
        return Ok(false);
    }
    let names: Vec<&str> = found.iter().take(4).map(|(name, _)| name.as_str()).collect();
    let more = if found.len() > 4 { format!(" and {} more", found.len() - 4) } else { String::new() };
    Err(BackupError::NotEmpty { database: database.clone(), found: format!("{}{more}", names.join(", ")) })
}

/// Brings the rows of a backup into a database of its own, without views, and compares them.
async fn stage(
    store: &Store,
    at: &BackupPlaces,
    chain: &Chain,
    staging: &str,
    progress: &watch::Sender<BackupProgress>,
) -> Result<(), BackupError> {
    if let Place::Folder(root) = &at.place {
        progress.send_replace(BackupProgress { stage: "checking the files", done: 0, total: 0 });
        for record in &chain.0 {
            let (folder, record) = (root.join(&record.id), record.clone());
            let checked = tokio::task::spawn_blocking(move || check(&folder, &record));
            checked.await.expect("hashing files does not panic")?;
        }
    }
    end_all(store).await?;
    remove_database(store, staging).await?;
    match chain.record().method {
        Method::Native => stage_native(store, chain.record(), &at.place, staging, progress).await?,
        Method::Server => stage_by_server(store, at, chain, staging, progress).await?,
    }
    progress.send_replace(BackupProgress { stage: "comparing the rows", done: 0, total: 0 });
    compare(store, chain.record(), staging).await
}

async fn stage_by_server(
    store: &Store,
    at: &BackupPlaces,
    chain: &Chain,
    staging: &str,
    progress: &watch::Sender<BackupProgress>,
) -> Result<(), BackupError> {
    let record = chain.record();
    let mut links = Links::default();
    if let Place::Folder(root) = &at.place {
        let Some(engine) = &at.engine_folder else {
            let problem = format!(
                "backup {} was written by the embedded engine's BACKUP, and an external server reads only folders of its own machine: \
                 make one with --method native, or to s3://BUCKET/FOLDER, which any server takes",
                record.id
            );
            return Err(BackupError::Method { problem });
        };
        for record in &chain.0 {
            links.add(engine, root, &record.id)?;
        }
    }
    progress.send_replace(BackupProgress { stage: "ClickHouse reads", done: 0, total: 0 });
    let ids = (record.id.as_str(), record.base.as_deref());
    restore_by_server(store, (&record.database, staging), &at.place, ids).await
}

async fn stage_native(
    store: &Store,
    record: &BackupRecord,
    place: &Place,
    staging: &str,
    progress: &watch::Sender<BackupProgress>,
) -> Result<(), BackupError> {
    let sql = format!("CREATE DATABASE {}", quoted(staging));
    run(store, "make the database to compare in", &sql).await?;
    let total = record.partitions().map(|(_, _, partition)| partition.bytes).sum();
    progress.send_replace(BackupProgress { stage: "inserting", done: 0, total });
    for table in &record.tables {
        let sql = format!("CREATE TABLE {} {}", name(staging, &table.name), table.definition);
        run(store, &format!("make table {}", table.name), &sql).await?;
        // what a TTL says is decided in its place, not here
        let sql = format!("SYSTEM STOP TTL MERGES {}", name(staging, &table.name));
        run(store, "keep old rows while they are compared", &sql).await?;
        let columns = columns(store, staging, &table.name).await?;
        for partition in table.partitions.values() {
            if let (Some(id), Some(file)) = (&partition.held_by, &partition.file) {
                let into = (staging, table.name.as_str());
                match place {
                    Place::Folder(root) => {
                        read_native(store, into, &columns, &root.join(id).join(file)).await?;
                    }
                    Place::S3(s3) => {
                        read_native_s3(store, into, &columns, (s3, &format!("{id}/{file}"))).await?;
                    }
                }
            }
            progress.send_modify(|progress| progress.done += partition.bytes);
        }
    }
    Ok(())
}

/// Compares rows and digests of every partition.
async fn compare(store: &Store, record: &BackupRecord, staging: &str) -> Result<(), BackupError> {
    let mut differences = Vec::new();
    for table in &record.tables {
        let found = digests(store, staging, &table.name, None).await?;
        for (id, partition) in &table.partitions {
            let digest = found.get(id).copied().unwrap_or_default();
            if digest != partition.digest {
                differences
                    .push(format!("{} {id}: {} was saved, {digest} came back", table.name, partition.digest));
            }
        }
        for id in found.keys().filter(|id| !table.partitions.contains_key(*id)) {
            differences.push(format!("{} {id}: was not saved", table.name));
        }
    }
    if differences.is_empty() { Ok(()) } else { Err(BackupError::Differs { differences }) }
}

/// Makes the schema of the backup's time, attaches the rows, opens the gate, and brings the schema up to date.
async fn put_in_place(store: &Store, record: &BackupRecord, staging: &str) -> Result<(), BackupError> {
    let database = store.options().database.clone();
    let sql = format!("CREATE DATABASE IF NOT EXISTS {}", quoted(&database));
    run(store, "make the database", &sql).await?;
    // a loader reads the seals before anything else: until they are here it waits, and says why
    let gate = name(&database, SEALS);
    let sql = format!("CREATE VIEW {gate} AS SELECT toUInt64(throwIf(1, {})) AS fence", literal(GATE));
    run(store, "keep loaders out until all is there", &sql).await?;
    migrate_up_to(store, partitioning(record), record.schema).await?;
    for table in &record.tables {
        if table.name != SEALS && table.name != "migrations" {
            attach(store, table, staging, &database).await?;
        }
    }
    let sql = format!("EXCHANGE TABLES {gate} AND {}", name(staging, SEALS));
    run(store, "put the seals in place", &sql).await?;
    migrate(store, SchemaOptions { partitioning: partitioning(record) }, false).await?;
    views(store, record, &database).await
}

/// Moves the rows of a table: parts change their place, no view sees them.
async fn attach(
    store: &Store,
    table: &TableRecord,
    staging: &str,
    database: &str,
) -> Result<(), BackupError> {
    let (from, to) = (name(staging, &table.name), name(database, &table.name));
    let sql = format!("CREATE TABLE IF NOT EXISTS {to} AS {from}");
    run(store, &format!("make table {}", table.name), &sql).await?;
    let sql = format!("ALTER TABLE {to} ATTACH PARTITION ALL FROM {from}");
    Ok(run(store, &format!("put the rows of {} in place", table.name), &sql).await?)
}

/// How the ticks of a backup were cut into partitions.
fn partitioning(record: &BackupRecord) -> Partitioning {
    let ticks = record.tables.iter().find(|table| table.name == "tick_data");
    match ticks {
        Some(table) if table.definition.contains("PARTITION BY date ") => Partitioning::Day,
        _ => Partitioning::Hour,
    }
}

/// Brings back views that are not ours, and lets refreshed ones begin.
async fn views(store: &Store, record: &BackupRecord, database: &str) -> Result<(), BackupError> {
    let sql = format!("SELECT name FROM system.tables WHERE database = {}", literal(database));
    let there: Vec<String> = rows(store, "list the tables", &sql).await?;
    for (view, definition) in &record.views {
        if there.contains(view) {
            continue;
        }
        // a definition names its database: elsewhere it would read from the old one
        if record.database != database {
            tracing::warn!(view, "a view of your own was not made: its definition names another database");
        } else if let Err(error) = run(store, &format!("make view {view}"), definition).await {
            tracing::warn!(view, error = chain(&error), "a view of your own was not made");
        }
    }
    let refreshed = format!("SELECT view FROM system.view_refreshes WHERE database = {}", literal(database));
    let refreshed: Vec<String> = rows(store, "list the refreshed views", &refreshed).await?;
    for view in refreshed {
        let sql = format!("SYSTEM REFRESH VIEW {}", name(database, &view));
        run(store, &format!("refresh {view}"), &sql).await?;
    }
    Ok(())
}

fn chain(error: &ArchiveError) -> String {
    let source = std::error::Error::source(error).map(|source| format!(": {source}")).unwrap_or_default();
    format!("{error}{source}")
}

/// The same server, another database.
pub fn in_database(store: &Store, database: &str) -> Store {
    Store::new(StoreOptions { database: database.to_owned(), ..store.options().clone() })
}

#[cfg(test)]
mod tests {
    use tickhouse_store::MIGRATIONS;

    /// While a restore makes the schema, a view stands in the place of the seals: `CREATE TABLE IF NOT EXISTS` leaves it alone, an
    /// ALTER would fail. A migration that changes the seals needs a restore that opens the gate for it.
    #[test]
    fn no_migration_alters_the_seals() {
        for migration in &MIGRATIONS[2..] {
            assert!(!migration.sql.contains("TABLE loader_seals"), "{}", migration.name);
        }
    }
}
