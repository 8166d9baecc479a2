//! Backups of a database into which ticks flow, full and incremental, proven by digests of their rows.
//!
//! What enters: a database, a place. What leaves: a folder per backup (docs/backup.md), whole once its `backup.json` is there. What
//! never happens here: a change to the database; a batch of which only a part is saved; a secret in a file, a log or a URL.

mod digests;
mod error;
mod folder;
mod native;
mod place;
mod record;
mod server;
mod snapshot;
mod write;

pub use error::BackupError;
pub use place::{Place, S3Place};
pub use record::{BackupRecord, Method, PartitionRecord, RECORD_FILE, TableRecord};

pub(crate) use digests::{columns, digests};
pub(crate) use folder::{Lock, check};
pub(crate) use native::{read as read_native, read_s3 as read_native_s3};
pub(crate) use server::{Links, end_all, restore as restore_by_server};
pub(crate) use snapshot::remove as remove_database;

use crate::ArchiveError;
use crate::restore::Chain;
use crate::statements::rows;
use serde::Serialize;
use snapshot::Snapshot;
use std::path::PathBuf;
use tickhouse_model::Timestamp;
use tickhouse_store::Store;
use tokio::sync::watch;

/// Where backups and the server are.
#[derive(Clone, Debug)]
pub struct BackupPlaces {
    /// Where the backups are.
    pub place: Place,
    /// The folder into which an embedded engine's BACKUP writes; `None` for an external server, whose files are not on this machine.
    pub engine_folder: Option<PathBuf>,
    /// Held while a backup or restore runs: one at a time.
    pub lock: PathBuf,
}

/// How a backup is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BackupOptions {
    /// Only what changed since the newest backup of the same place, database and method.
    pub incremental: bool,
    /// By which method; `None` takes the server's own where it can write to the place, else native files.
    pub method: Option<Method>,
}

/// How far it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BackupProgress {
    /// What is going on.
    pub stage: &'static str,
    /// Bytes of the partitions that are through with it.
    pub done: u64,
    /// Bytes of all partitions that go through it; 0 when not known.
    pub total: u64,
}

/// What a backup would do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BackupPlan {
    /// By which method.
    pub method: Method,
    /// The backup that it would stand on.
    pub base: Option<String>,
    /// Partitions that would be written, and their bytes in the server.
    pub partitions: u64,
    /// See above.
    pub bytes: u64,
    /// Partitions that are as the base has them.
    pub unchanged: u64,
    /// Rows of all tables, about.
    pub rows: u64,
}

/// A backup of a place, as listed.
#[derive(Clone, Debug, Serialize)]
pub struct Listed {
    /// Its id.
    pub id: String,
    /// What it holds; `None` for one that is being made, or whose making was interrupted.
    pub record: Option<BackupRecord>,
}

/// The backups of a place, oldest first.
///
/// # Errors
/// When the place can't be read, or holds a record of a newer program.
pub async fn list(store: &Store, place: &Place) -> Result<Vec<Listed>, BackupError> {
    let found = match place {
        Place::Folder(root) => folder::list(root)?,
        Place::S3(s3) => {
            let mut found = Vec::new();
            for text in server::read_texts(store, s3, &format!("*/{RECORD_FILE}")).await? {
                let path = PathBuf::from(place.shown());
                let record = BackupRecord::parse(text.as_bytes());
                let record = record.map_err(|problem| ArchiveError::Manifest { path, problem })?;
                found.push((record.id.clone(), Some(record)));
            }
            found.sort_by(|(a, _), (b, _)| a.cmp(b));
            found
        }
    };
    Ok(found.into_iter().map(|(id, record)| Listed { id, record }).collect())
}

/// What [`create`] would do now.
///
/// # Errors
/// As [`create`].
pub async fn plan(
    store: &Store,
    at: &BackupPlaces,
    options: BackupOptions,
) -> Result<BackupPlan, BackupError> {
    let (method, base) = decide(store, at, options).await?;
    let database = &store.options().database;
    let inventory = snapshot::inventory(store, database).await?;
    if inventory.tables.is_empty() {
        return Err(BackupError::NoSchema { database: database.clone() });
    }
    let parts = snapshot::parts(store, database).await?;
    let mut plan = BackupPlan {
        method,
        base: base.as_ref().map(|base| base.id.clone()),
        partitions: 0,
        bytes: 0,
        unchanged: 0,
        rows: 0,
    };
    for table in &inventory.tables {
        for (id, parts) in parts.get(table).into_iter().flatten() {
            plan.rows += parts.rows;
            if base
                .as_ref()
                .and_then(|base| base.partition(table, id))
                .is_some_and(|old| old.parts == parts.hash)
            {
                plan.unchanged += 1;
            } else {
                plan.partitions += 1;
                plan.bytes += parts.bytes;
            }
        }
    }
    Ok(plan)
}

/// Makes a backup.
///
/// Not cancel safe: a dropped future leaves the copy of the database and an unfinished folder behind, which [`abandon`] and the next
/// backup remove.
///
/// # Errors
/// When there is nothing to back up, no base, or a statement or file fails. No backup is there then.
pub async fn create(
    store: &Store,
    at: &BackupPlaces,
    options: BackupOptions,
    now: Timestamp,
    progress: &watch::Sender<BackupProgress>,
) -> Result<BackupRecord, BackupError> {
    let _lock = Lock::take(&at.lock)?;
    // the server goes on with what a killed process began
    end_all(store).await?;
    let _place_lock = match &at.place {
        Place::Folder(root) => {
            let lock = Lock::take(&root.join(".lock"))?;
            let left = folder::clear_unfinished(root)?;
            if left > 0 {
                tracing::warn!(left, "unfinished backups of an interrupted run were removed");
            }
            Some(lock)
        }
        Place::S3(_) => None,
    };
    let (method, base) = decide(store, at, options).await?;
    let newest = list(store, &at.place).await?.pop().map(|listed| listed.id);
    let id = new_id(now, newest.as_deref());
    let mut record = BackupRecord::new(id, &store.options().database, method);
    record.made_at = now.to_string();
    record.base = base.as_ref().map(|base| base.id.clone());
    record.server =
        rows(store, "ask the server's version", "SELECT version()").await?.pop().unwrap_or_default();
    progress.send_modify(|progress| progress.stage = "freezing the tables");
    let snapshot = Snapshot::take(store).await?;
    let written = write::write(store, at, &snapshot, base.as_ref(), &mut record, progress).await;
    let removed = snapshot.remove(store).await;
    if let (Err(_), Place::Folder(root)) = (&written, &at.place) {
        // not whole, and said to be so; the next backup removes it where this does not
        std::fs::remove_dir_all(root.join(&record.id)).ok();
    }
    written?;
    removed?;
    Ok(record)
}

/// Removes what an interrupted [`create`] or restore left in the server and the place.
///
/// # Errors
/// When a statement fails.
pub async fn abandon(store: &Store, at: &BackupPlaces) -> Result<(), BackupError> {
    let _lock = Lock::take(&at.lock)?;
    end_all(store).await?;
    remove_database(store, &snapshot::database_of(&store.options().database)).await?;
    if let Place::Folder(root) = &at.place
        && root.is_dir()
    {
        let _place_lock = Lock::take(&root.join(".lock"))?;
        folder::clear_unfinished(root)?;
    }
    Ok(())
}

/// A name that sorts behind the newest one, by time as a rule, and that no other place has: `20261120T044500.123Z-1f3a5c`.
fn new_id(now: Timestamp, newest: Option<&str>) -> String {
    let at = jiff::Timestamp::from_nanosecond(now.as_nanos().into()).unwrap_or_default();
    let time = at.strftime("%Y%m%dT%H%M%S%.3fZ").to_string();
    let random = uuid::Uuid::new_v4().simple().to_string();
    let id = format!("{time}-{}", &random[..6]);
    match newest {
        // two in a millisecond, or a clock that was set back
        Some(newest) if newest >= id.as_str() => format!("{newest}.1"),
        _ => id,
    }
}

/// The method, and the backup to stand on.
async fn decide(
    store: &Store,
    at: &BackupPlaces,
    options: BackupOptions,
) -> Result<(Method, Option<BackupRecord>), BackupError> {
    let method = match (options.method, &at.place, &at.engine_folder) {
        (Some(Method::Server), Place::Folder(_), None) => {
            let problem = "an external server's BACKUP writes to folders of its own machine, which can't be proven from here: \
                           use --method native for a folder of this machine, or s3://BUCKET/FOLDER";
            return Err(BackupError::Method { problem: problem.to_owned() });
        }
        (Some(Method::Server), Place::S3(_), Some(_)) => {
            let problem = "the embedded engine's BACKUP can't write to S3 (it has no threads for that): leave --method out, and it \
                           writes native files there";
            return Err(BackupError::Method { problem: problem.to_owned() });
        }
        (Some(method), _, _) => method,
        (None, Place::Folder(_), None) | (None, Place::S3(_), Some(_)) => Method::Native,
        (None, _, _) if !knows_backup(store).await? => Method::Native,
        (None, _, _) => Method::Server,
    };
    if method == Method::Server && !knows_backup(store).await? {
        let problem = "this ClickHouse has no BACKUP: use --method native";
        return Err(BackupError::Method { problem: problem.to_owned() });
    }
    if !options.incremental {
        return Ok((method, None));
    }
    let database = store.options().database.clone();
    let mut whole = list(store, &at.place).await?.into_iter().filter_map(|listed| listed.record);
    let base = whole.rfind(|record| record.method == method && record.database == database);
    let missing =
        || BackupError::NoBase { place: at.place.shown(), database: database.clone(), method: method.name() };
    let base = base.ok_or_else(missing)?;
    stands(store, &at.place, &base).await?;
    Ok((method, Some(base)))
}

/// Whether all that a backup stands on is there: one that is made on top of it could not be restored else.
async fn stands(store: &Store, place: &Place, backup: &BackupRecord) -> Result<(), BackupError> {
    let broken = |missing: String| BackupError::BrokenChain { base: backup.id.clone(), missing };
    let chain = Chain::of(list(store, place).await?, &backup.id, place).map_err(|error| match error {
        BackupError::BaseMissing { base, .. } => broken(format!("backup {base}")),
        error => error,
    })?;
    let Place::Folder(root) = place else { return Ok(()) };
    let records = chain.records().iter();
    let lists = records.map(|record| root.join(&record.id).join(folder::LIST_FILE));
    let partitions = backup.partitions().filter_map(|(_, _, partition)| {
        Some(root.join(partition.held_by.as_ref()?).join(partition.file.as_ref()?))
    });
    match lists.chain(partitions).find(|file| !file.is_file()) {
        Some(file) => Err(broken(file.display().to_string())),
        None => Ok(()),
    }
}

/// Whether the server has BACKUP at all.
async fn knows_backup(store: &Store) -> Result<bool, BackupError> {
    let sql = "SELECT count() FROM system.tables WHERE database = 'system' AND name = 'backups'";
    let found: Vec<u64> = rows(store, "ask whether the server has BACKUP", sql).await?;
    Ok(found.first().is_some_and(|tables| *tables > 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_rise_with_time_and_without() {
        let now = Timestamp::from_millis(1_763_663_400_123);
        let first = new_id(now, None);
        assert!(first.starts_with("20251120T183000.123Z-") && first.len() == 27, "{first}");
        let mut newest = first;
        for now in
            [now, now, Timestamp::from_millis(1_763_663_400_122), Timestamp::from_millis(1_763_663_400_124)]
        {
            let id = new_id(now, Some(&newest));
            assert!(id > newest, "{id} after {newest}");
            newest = id;
        }
    }
}
