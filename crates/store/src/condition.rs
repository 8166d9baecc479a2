//! How ClickHouse is: parts, bytes, free space.

use crate::{Store, StoreError};
use clickhouse::Row;
use serde::{Deserialize, Serialize};

/// How the store is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct StoreCondition {
    /// By name.
    pub tables: Vec<TableCondition>,
    /// Bytes left on the fullest of its disks.
    pub free_bytes: u64,
}

/// How a table of our database is.
#[derive(Clone, Debug, PartialEq, Eq, Row, Serialize, Deserialize)]
pub struct TableCondition {
    /// Its name.
    pub table: String,
    /// Active parts.
    pub parts: u64,
    /// Active parts in the fullest of its partitions: what ClickHouse delays and refuses inserts by.
    pub most_parts: u64,
    /// Compressed, on disk.
    pub bytes: u64,
}

impl Store {
    /// How ClickHouse is. Reads system tables only.
    ///
    /// # Errors
    /// When a query fails.
    pub async fn condition(&self) -> Result<StoreCondition, StoreError> {
        // names of their own within: an alias that shadows a column would be aggregated twice
        const TABLES: &str = "SELECT table, sum(partition_parts) AS parts, max(partition_parts) AS most_parts, \
             sum(partition_bytes) AS bytes FROM (SELECT table, partition_id, count() AS partition_parts, \
             sum(bytes_on_disk) AS partition_bytes FROM system.parts \
             WHERE active AND database = currentDatabase() AND NOT startsWith(table, '.') GROUP BY table, partition_id) GROUP BY table ORDER BY table";
        let failed = |source| StoreError::query("look at parts and disks", source);
        let tables = self.client().query(TABLES).fetch_all::<TableCondition>().await.map_err(failed)?;
        let free = "SELECT toUInt64(min(free_space)) FROM system.disks";
        let free_bytes = self.client().query(free).fetch_one::<u64>().await.map_err(failed)?;
        Ok(StoreCondition { tables, free_bytes })
    }
}
