//! What the rows of partitions hash to.

use super::error::BackupError;
use crate::digest::quoted;
use crate::statements::{list, literal, name, rows};
use crate::{ArchiveError, RowDigest};
use std::collections::BTreeMap;
use tickhouse_store::Store;

/// Whether the rows of a table are only final when its parts have merged.
pub(crate) fn merges_rows(engine: &str) -> bool {
    // ReplicatedMergeTree and SharedMergeTree too
    !["MergeTree", "ReplicatedMergeTree", "SharedMergeTree"].contains(&engine)
}

/// Columns that a table stores, in its order, with their types.
pub(crate) async fn columns(
    store: &Store,
    database: &str,
    table: &str,
) -> Result<Vec<(String, String)>, ArchiveError> {
    let sql = format!(
        "SELECT name, type FROM system.columns WHERE database = {} AND table = {} \
         AND default_kind IN ('', 'DEFAULT') ORDER BY position",
        literal(database),
        literal(table)
    );
    rows(store, "read the columns of a table", &sql).await
}

/// ` FINAL` for a table whose rows merge: as they will read once that is done.
pub(crate) async fn merged(store: &Store, database: &str, table: &str) -> Result<&'static str, ArchiveError> {
    let engine = format!(
        "SELECT engine FROM system.tables WHERE database = {} AND name = {}",
        literal(database),
        literal(table)
    );
    let engine: Vec<String> = rows(store, "read a table's engine", &engine).await?;
    Ok(if engine.iter().any(|engine| merges_rows(engine)) { " FINAL" } else { "" })
}

/// The digests of a table's partitions: of these only, where some are named. Rows that merge are read as merged, so a digest stays
/// as it is when parts merge.
pub(crate) async fn digests(
    store: &Store,
    database: &str,
    table: &str,
    only: Option<&[&str]>,
) -> Result<BTreeMap<String, RowDigest>, BackupError> {
    if only.is_some_and(<[_]>::is_empty) {
        return Ok(BTreeMap::new());
    }
    let is_final = merged(store, database, table).await?;
    let hashed: Vec<String> = columns(store, database, table)
        .await?
        .into_iter()
        .map(|(column, kind)| {
            // a state has no hash of its own, its value has
            let is_state = kind.starts_with("AggregateFunction");
            if is_state { format!("finalizeAggregation({})", quoted(&column)) } else { quoted(&column) }
        })
        .collect();
    let hash = format!("cityHash64({})", hashed.join(", "));
    let only = only.map(|ids| format!(" WHERE _partition_id IN {}", list(ids.iter().copied())));
    let sql = format!(
        "SELECT _partition_id, count(), sum({hash}), groupBitXor({hash}) FROM {}{is_final}{} GROUP BY _partition_id \
         SETTINGS do_not_merge_across_partitions_select_final = 1",
        name(database, table),
        only.unwrap_or_default()
    );
    let doing = format!("count and hash the rows of {table}");
    let found: Vec<(String, u64, u64, u64)> = rows(store, &doing, &sql).await?;
    Ok(found.into_iter().map(|(id, rows, sum, xor)| (id, RowDigest { rows, sum, xor })).collect())
}
