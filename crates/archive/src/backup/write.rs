//! A frozen copy into its place.
//!
//! What enters: the copy, the backup to stand on. What leaves: files, and the record that says what they hold, written last.

use super::digests::{columns, digests};
use super::record::{BackupRecord, Method, PartitionRecord, RECORD_FILE, TableRecord};
use super::server::Links;
use super::snapshot::{FrozenTable, Parts, Snapshot};
use super::{BackupError, BackupPlaces, BackupProgress, Place, folder, native, server};
use crate::statements::rows;
use std::collections::BTreeMap;
use tickhouse_store::Store;
use tokio::sync::watch;

/// Writes the copy and makes the backup whole.
pub(super) async fn write(
    store: &Store,
    at: &BackupPlaces,
    snapshot: &Snapshot,
    base: Option<&BackupRecord>,
    record: &mut BackupRecord,
    progress: &watch::Sender<BackupProgress>,
) -> Result<(), BackupError> {
    describe(store, snapshot, record).await?;
    for table in &snapshot.tables {
        let partitions = hash(store, snapshot, table, base, progress).await?;
        let (name, definition) = (table.name.clone(), table.definition.clone());
        record.tables.push(TableRecord { name, definition, partitions });
    }
    let folder = match &at.place {
        Place::Folder(root) => {
            let folder = root.join(&record.id);
            folder::begin(&folder)?;
            Some(folder)
        }
        Place::S3(_) => None,
    };
    match record.method {
        Method::Native => write_native(store, &at.place, snapshot, base, record, progress).await?,
        Method::Server => write_by_server(store, at, snapshot, base, record, progress).await?,
    }
    progress.send_replace(BackupProgress { stage: "hashing the files", done: 0, total: 0 });
    match (&at.place, folder) {
        (Place::S3(s3), _) => {
            record.bytes = server::bytes_below(store, s3, &record.id).await?;
            server::write_text(store, s3, &format!("{}/{RECORD_FILE}", record.id), &record.text()).await
        }
        (_, Some(folder)) => {
            let hashed = folder.clone();
            // thousands of files are read back
            let listed = tokio::task::spawn_blocking(move || folder::list_of_files(&hashed));
            let (list, bytes) = listed.await.expect("hashing files does not panic")?;
            record.bytes = bytes;
            folder::finish(&folder, &list, record)?;
            Ok(())
        }
        (_, None) => Ok(()),
    }
}

/// What the record says beside the rows.
async fn describe(store: &Store, snapshot: &Snapshot, record: &mut BackupRecord) -> Result<(), BackupError> {
    let sql =
        format!("SELECT max(number) FROM {}", crate::statements::name(&snapshot.database, "migrations"));
    record.schema = rows(store, "read the number of the schema", &sql).await?.pop().unwrap_or_default();
    record.views.clone_from(&snapshot.views);
    record.left_out.clone_from(&snapshot.left_out);
    record.marks.clone_from(&snapshot.marks);
    record.batches_under_way = snapshot.batches_under_way;
    Ok(())
}

/// Digests of a table's partitions; of those whose parts are the base's, the base's.
async fn hash(
    store: &Store,
    snapshot: &Snapshot,
    table: &FrozenTable,
    base: Option<&BackupRecord>,
    progress: &watch::Sender<BackupProgress>,
) -> Result<BTreeMap<String, PartitionRecord>, BackupError> {
    let known = |id: &str, parts: &Parts| {
        let old = base.and_then(|base| base.partition_of(&table.name, &table.definition, id));
        old.filter(|old| old.parts == parts.hash)
    };
    let changed: Vec<&str> = table
        .partitions
        .iter()
        .filter(|(id, parts)| known(id, parts).is_none())
        .map(|(id, _)| id.as_str())
        .collect();
    progress.send_modify(|progress| progress.stage = "hashing the rows");
    let found = digests(store, &snapshot.database, &table.name, Some(&changed)).await?;
    let record = |(id, parts): (&String, &Parts)| {
        let partition = known(id, parts).cloned().unwrap_or_else(|| PartitionRecord {
            digest: found.get(id).copied().unwrap_or_default(),
            bytes: parts.bytes,
            parts: parts.hash.clone(),
            held_by: None,
            file: None,
        });
        (id.clone(), partition)
    };
    Ok(table.partitions.iter().map(record).collect())
}

async fn write_by_server(
    store: &Store,
    at: &BackupPlaces,
    snapshot: &Snapshot,
    base: Option<&BackupRecord>,
    record: &BackupRecord,
    progress: &watch::Sender<BackupProgress>,
) -> Result<(), BackupError> {
    let mut links = Links::default();
    if let (Place::Folder(root), Some(engine)) = (&at.place, &at.engine_folder) {
        links.add(engine, root, &record.id)?;
        let mut next = base.cloned();
        while let Some(base) = next {
            links.add(engine, root, &base.id)?;
            next = match &base.base {
                Some(id) => BackupRecord::read(&root.join(id))?,
                None => None,
            };
        }
    }
    progress.send_replace(BackupProgress { stage: "ClickHouse writes", done: 0, total: 0 });
    let ids = (record.id.as_str(), base.map(|base| base.id.as_str()));
    server::backup(store, (&snapshot.database, &record.database), &at.place, ids).await
}

async fn write_native(
    store: &Store,
    place: &Place,
    snapshot: &Snapshot,
    base: Option<&BackupRecord>,
    record: &mut BackupRecord,
    progress: &watch::Sender<BackupProgress>,
) -> Result<(), BackupError> {
    let id = record.id.clone();
    let total = record.partitions().map(|(_, _, partition)| partition.bytes).sum();
    progress.send_replace(BackupProgress { stage: "writing", done: 0, total });
    for table in &mut record.tables {
        let columns = columns(store, &snapshot.database, &table.name).await?;
        for (partition_id, partition) in &mut table.partitions {
            // the same rows, although their parts may have merged
            let old = base.and_then(|base| base.partition_of(&table.name, &table.definition, partition_id));
            if let Some(old) = old.filter(|old| old.digest == partition.digest) {
                (partition.held_by, partition.file) = (old.held_by.clone(), old.file.clone());
            } else {
                let (file, from) = (native::file_of(&table.name, partition_id), table.name.as_str());
                let from = (snapshot.database.as_str(), from, partition_id.as_str());
                match place {
                    Place::Folder(root) => {
                        native::write(store, from, &columns, &root.join(&id).join(&file)).await?;
                    }
                    Place::S3(s3) => {
                        native::write_s3(store, from, &columns, (s3, &format!("{id}/{file}"))).await?;
                    }
                }
                (partition.held_by, partition.file) = (Some(id.clone()), Some(file));
            }
            progress.send_modify(|progress| progress.done += partition.bytes);
        }
    }
    Ok(())
}
