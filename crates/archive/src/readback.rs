//! Asking the server what a file holds: the file is sent to it, counted and hashed there as the table is, and kept nowhere.

use crate::tables::{Columns, FileFormat, literal};
use crate::{ArchiveError, RowDigest};
use bytes::BytesMut;
use clickhouse::Compression;
use clickhouse::error::Error;
use std::path::Path;
use tickhouse_store::Store;
use tokio::io::AsyncReadExt as _;

/// Bytes that are sent at once.
const CHUNK: usize = 1 << 20;

/// What the server says when it counted something else.
const DIFFERS: &str = "tickhouse: the file holds other rows";

/// Whether a file holds exactly the rows that a digest tells of. It is streamed; the server needs no access to the disk.
pub(crate) async fn holds(
    store: &Store,
    columns: &Columns,
    format: FileFormat,
    path: &Path,
    expected: RowDigest,
) -> Result<bool, ArchiveError> {
    let RowDigest { rows, sum, xor } = expected;
    let sql = format!(
        "INSERT INTO FUNCTION null('differs UInt8') \
         SELECT throwIf(rows != {rows} OR hash_sum != {sum} OR hash_xor != {xor}, {}) AS differs FROM \
         (SELECT {} FROM (SELECT {} FROM input({}))) FORMAT {}",
        literal(DIFFERS),
        columns.digest(),
        columns.restored(format),
        literal(&columns.structure(format)),
        format.format().name(),
    );
    match send(store, &sql, path).await? {
        Ok(()) => Ok(true),
        Err(Error::BadResponse(words)) if words.contains(DIFFERS) => Ok(false),
        Err(source) => Err(ArchiveError::clickhouse(format!("read {} back", path.display()))(source)),
    }
}

async fn send(store: &Store, sql: &str, path: &Path) -> Result<Result<(), Error>, ArchiveError> {
    let mut file = tokio::fs::File::open(path).await.map_err(ArchiveError::file(path))?;
    let client = store.insert_client().clone().with_compression(Compression::None);
    let mut insert = client.insert_formatted_with(sql);
    loop {
        let mut chunk = BytesMut::with_capacity(CHUNK);
        let read = file.read_buf(&mut chunk).await.map_err(ArchiveError::file(path))?;
        if read == 0 {
            return Ok(insert.end().await);
        }
        if let Err(error) = insert.send(chunk.freeze()).await {
            return Ok(Err(error));
        }
    }
}
