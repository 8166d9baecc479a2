//! Rows as files in ClickHouse's format Native, a partition each, compressed with zstd: what any server takes.
//!
//! What enters: a partition, as the server streams it. What leaves: its file; and back. Memory: a few blocks, whatever the partition.

use super::error::BackupError;
use crate::ArchiveError;
use crate::digest::quoted;
use crate::statements::{literal, name, outside};
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

/// Writes a partition's rows to a file, and gives its compressed size.
pub(crate) async fn write(
    store: &Store,
    (database, table, partition): (&str, &str, &str),
    columns: &[(String, String)],
    path: &Path,
) -> Result<u64, BackupError> {
    let columns: Vec<String> = columns.iter().map(|(name, _)| quoted(name)).collect();
    let sql = format!(
        "SELECT {} FROM {} WHERE _partition_id = {} SETTINGS max_threads = 2, max_block_size = 65409",
        columns.join(", "),
        name(database, table),
        literal(partition)
    );
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
    let file = file.finish().map_err(ArchiveError::file(path))?;
    Ok(file.metadata().map_err(ArchiveError::file(path))?.len())
}

/// Inserts a file's rows into a table that no view reads from.
pub(crate) async fn read(
    store: &Store,
    (database, table): (&str, &str),
    columns: &[(String, String)],
    path: &Path,
) -> Result<(), BackupError> {
    let columns: Vec<String> = columns.iter().map(|(name, _)| quoted(name)).collect();
    let sql = format!("INSERT INTO {} ({}) FORMAT Native", name(database, table), columns.join(", "));
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
