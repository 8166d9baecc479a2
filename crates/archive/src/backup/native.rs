//! Rows as files in ClickHouse's format Native, a partition each, compressed with zstd: what any server takes.
//!
//! What enters: a partition, as the server streams it. What leaves: its file; and back. Memory: a few blocks, whatever the partition.

use super::digests::merged;
use super::error::BackupError;
use super::place::S3Place;
use crate::ArchiveError;
use crate::digest::quoted;
use crate::statements::{literal, name, outside, run};
use bytes::Bytes;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::Path;
use tickhouse_store::Store;

/// Level of zstd: the usual one.
const LEVEL: i32 = 3;
/// Bytes that go to the server at once.
const CHUNK: usize = 1 << 20;

/// The name of a partition's file in its backup: names of tables may hold anything.
pub(crate) fn file_of(table: &str, partition: &str) -> String {
    let safe = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    let escaped = |text: &str| -> String {
        text.bytes()
            .map(|byte| if safe(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
            .collect()
    };
    format!("native/{}/{}.native.zst", escaped(table), escaped(partition))
}

/// What bounds the server's memory.
const BOUNDS: &str =
    "max_threads = 2, max_block_size = 65409, do_not_merge_across_partitions_select_final = 1";

fn names(columns: &[(String, String)]) -> String {
    let columns: Vec<String> = columns.iter().map(|(name, _)| quoted(name)).collect();
    columns.join(", ")
}

/// The rows of a partition. Of rows that replace each other the one that stays: threads read them in any order, in which the restored
/// table would choose among them.
async fn select(
    store: &Store,
    (database, table, partition): (&str, &str, &str),
    columns: &[(String, String)],
) -> Result<String, ArchiveError> {
    let (columns, from, partition) = (names(columns), name(database, table), literal(partition));
    let merged = merged(store, database, table).await?;
    Ok(format!("SELECT {columns} FROM {from}{merged} WHERE _partition_id = {partition}"))
}

/// As [`write`], by the server into S3, which compresses by the name of the file.
pub(crate) async fn write_s3(
    store: &Store,
    from: (&str, &str, &str),
    columns: &[(String, String)],
    (place, below): (&S3Place, &str),
) -> Result<(), BackupError> {
    let sql = format!(
        "INSERT INTO FUNCTION s3({}, 'Native') {} SETTINGS {BOUNDS}, s3_truncate_on_insert = 1",
        place.arguments(below),
        select(store, from, columns).await?
    );
    Ok(run(store, &format!("write partition {} of {} to S3", from.2, from.1), &sql).await?)
}

/// As [`read`], by the server from S3.
pub(crate) async fn read_s3(
    store: &Store,
    (database, table): (&str, &str),
    columns: &[(String, String)],
    (place, below): (&S3Place, &str),
) -> Result<(), BackupError> {
    let sql = format!(
        "INSERT INTO {} ({names}) SELECT {names} FROM s3({}, 'Native') \
         SETTINGS async_insert = 0, insert_deduplicate = 0, max_partitions_per_insert_block = 0, {BOUNDS}",
        name(database, table),
        place.arguments(below),
        names = names(columns)
    );
    Ok(run(store, &format!("insert {below} of S3 into {table}"), &sql).await?)
}

/// Writes a partition's rows to a file.
pub(crate) async fn write(
    store: &Store,
    (database, table, partition): (&str, &str, &str),
    columns: &[(String, String)],
    path: &Path,
) -> Result<(), BackupError> {
    let sql = format!("{} SETTINGS {BOUNDS}", select(store, (database, table, partition), columns).await?);
    let failed = || ArchiveError::clickhouse(format!("read partition {partition} of {table}"));
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(ArchiveError::file(folder))?;
    }
    let file = File::create(path).map_err(ArchiveError::file(path))?;
    let mut file = zstd::stream::write::Encoder::new(file, LEVEL).map_err(ArchiveError::file(path))?;
    let mut bytes = outside(store).query_raw(&sql).fetch_bytes("Native").map_err(failed())?;
    while let Some(chunk) = bytes.next().await.map_err(failed())? {
        file.write_all(&chunk).map_err(ArchiveError::file(path))?;
    }
    file.finish().map_err(ArchiveError::file(path))?;
    Ok(())
}

/// Inserts a file's rows into a table that no view reads from.
pub(crate) async fn read(
    store: &Store,
    (database, table): (&str, &str),
    columns: &[(String, String)],
    path: &Path,
) -> Result<(), BackupError> {
    let sql = format!("INSERT INTO {} ({}) FORMAT Native", name(database, table), names(columns));
    let failed = || ArchiveError::clickhouse(format!("insert {}", path.display()));
    let file = File::open(path).map_err(ArchiveError::file(path))?;
    let mut file = zstd::stream::read::Decoder::new(file).map_err(ArchiveError::file(path))?;
    let mut insert = outside(store)
        .insert_formatted_with(sql)
        .with_setting("async_insert", "0")
        // equal blocks are two blocks
        .with_setting("insert_deduplicate", "0")
        .with_setting("max_partitions_per_insert_block", "0");
    loop {
        let mut chunk = Vec::with_capacity(CHUNK);
        let read = file.by_ref().take(CHUNK as u64).read_to_end(&mut chunk);
        if read.map_err(ArchiveError::file(path))? == 0 {
            return Ok(insert.end().await.map_err(failed())?);
        }
        insert.send(Bytes::from(chunk)).await.map_err(failed())?;
    }
}
