//! Inserting a block, and counting what is there.
//!
//! One insert is one block of one partition, with a token derived from its batch: a repeat is refused by the server as
//! long as it remembers the token. That is only the first line: after anything but a clean answer the rows are counted
//! (docs/delivery.md).

use crate::native::NativeBlock;
use crate::ticks::Partition;
use crate::{Store, StoreError};
use clickhouse::Row;
use serde::Deserialize;
use std::collections::HashMap;
use std::time::Duration;
use uuid::Uuid;

/// How long the server may take to answer an insert before it counts as ambiguous.
const INSERT_TIMEOUT: Duration = Duration::from_mins(1);

/// Where a retention moves the partitions of `tick_data` that it is about to drop.
const TICKS_ASIDE: &str = "tick_data_retired";

/// Whether the server may refuse a block whose token it has seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deduplicate {
    /// Yes: the usual way.
    ByToken,
    /// No: the rows were counted and are not there although the server knows the token (it was killed between
    /// recording the token and publishing the part).
    Never,
}

/// What makes an insert itself: the batch, and which of its blocks.
#[derive(Clone, Copy, Debug)]
pub struct InsertId<'a> {
    /// The batch.
    pub batch_id: Uuid,
    /// Table, and partition where the table has several per batch.
    pub part: &'a str,
}

/// A row's identity: recorder, stream, session, socket, sequence, packet index.
pub type RowIdentity = (String, String, u64, u16, u64, u16);

impl Store {
    /// Inserts one block. When this returns `Ok`, the server has answered that rows and views are written.
    ///
    /// Not cancel safe: a dropped future leaves an ambiguous insert behind.
    ///
    /// # Errors
    /// Any failure is ambiguous: the rows may be there. Count them.
    pub async fn insert_block(
        &self,
        table: &str,
        block: &NativeBlock,
        id: InsertId<'_>,
        deduplicate: Deduplicate,
    ) -> Result<(), StoreError> {
        let failed = |source| StoreError::Insert { table: table.to_owned(), batch_id: id.batch_id, source };
        let sql = format!("INSERT INTO {table} ({}) FORMAT Native", block.column_names());
        let mut insert = self
            .insert_client()
            .insert_formatted_with(sql)
            .with_setting("query_id", format!("{}/{}/{}", id.batch_id, id.part, Uuid::new_v4().simple()))
            .with_timeouts(Some(INSERT_TIMEOUT), Some(INSERT_TIMEOUT));
        insert = match deduplicate {
            Deduplicate::ByToken => insert
                .with_setting("insert_deduplicate", "1")
                .with_setting("insert_deduplication_token", format!("{}/{}", id.batch_id, id.part)),
            Deduplicate::Never => insert.with_setting("deduplicate_insert", "disable"),
        };
        for chunk in block.chunks() {
            insert.send(chunk.clone()).await.map_err(failed)?;
        }
        insert.end().await.map_err(failed)
    }

    /// Rows of a batch in `tick_data`, per partition, of those partitions only; each partition with the rows it should have. Where one
    /// has fewer, those that a retention has moved aside for the moment count too.
    ///
    /// # Errors
    /// When a query fails.
    pub async fn count_ticks(
        &self,
        batch_id: Uuid,
        partitions: &[(Partition, u32)],
    ) -> Result<HashMap<Partition, u64>, StoreError> {
        if partitions.is_empty() {
            return Ok(HashMap::new());
        }
        let mut found = self.count_ticks_in("tick_data", batch_id, partitions).await?;
        let lacks = |(at, rows): &(Partition, u32)| found.get(at).copied().unwrap_or(0) < u64::from(*rows);
        if !partitions.iter().any(lacks) || !self.has_ticks_aside().await? {
            return Ok(found);
        }
        loop {
            let aside = self.count_ticks_in(TICKS_ASIDE, batch_id, partitions).await?;
            let again = self.count_ticks_in("tick_data", batch_id, partitions).await?;
            // the same before and after: nothing was moved while the other table was counted
            if again == found {
                aside.into_iter().for_each(|(at, rows)| *found.entry(at).or_default() += rows);
                return Ok(found);
            }
            found = again;
        }
    }

    pub(crate) async fn has_ticks_aside(&self) -> Result<bool, StoreError> {
        let sql = "SELECT count() FROM system.tables WHERE database = currentDatabase() AND name = ?";
        let found = self.client().query(sql).bind(TICKS_ASIDE).fetch_one::<u64>().await;
        Ok(found.map_err(|source| StoreError::query("look for rows that are aside", source))? > 0)
    }

    async fn count_ticks_in(
        &self,
        table: &str,
        batch_id: Uuid,
        partitions: &[(Partition, u32)],
    ) -> Result<HashMap<Partition, u64>, StoreError> {
        #[derive(Row, Deserialize)]
        struct Count {
            date: u16,
            hour: u8,
            rows: u64,
        }
        let dates: Vec<u16> = partitions.iter().map(|(at, _)| at.date).collect();
        let hours: Vec<u8> = partitions.iter().map(|(at, _)| at.hour).collect();
        let sql = format!(
            "SELECT date, hour, count() AS rows FROM {table} \
             WHERE date IN ? AND hour IN ? AND batch_id = ? GROUP BY date, hour"
        );
        let days = dates.iter().map(|days| epoch_date(*days)).collect::<Vec<_>>();
        let query = self.client().query(&sql).bind(days).bind(hours).bind(batch_id.to_string());
        let rows = query.fetch_all::<Count>().await;
        let rows = rows.map_err(|source| StoreError::query("count the rows of a batch", source))?;
        Ok(rows.into_iter().map(|row| (Partition { date: row.date, hour: row.hour }, row.rows)).collect())
    }

    /// Rows of a batch in one of the tables beside `tick_data`.
    ///
    /// # Errors
    /// When the query fails.
    pub async fn count_rows(&self, table: &str, batch_id: Uuid) -> Result<u64, StoreError> {
        let sql = format!("SELECT count() FROM {table} WHERE batch_id = ?");
        let query = self.client().query(&sql).bind(batch_id.to_string());
        query
            .fetch_one::<u64>()
            .await
            .map_err(|source| StoreError::query("count the rows of a batch", source))
    }

    /// Identities of the rows of a batch that are in a partition, or moved aside from it.
    ///
    /// # Errors
    /// When a query fails.
    pub async fn stored_identities(
        &self,
        batch_id: Uuid,
        partition: Partition,
    ) -> Result<Vec<RowIdentity>, StoreError> {
        #[derive(Row, Deserialize)]
        struct Identity {
            recorder: String,
            stream: String,
            session: u64,
            socket: u16,
            sequence: u64,
            packet_index: u16,
        }
        // rows on their way back are found in one of the two
        let tables: &[&str] = if self.has_ticks_aside().await? {
            &["tick_data", TICKS_ASIDE, "tick_data"]
        } else {
            &["tick_data"]
        };
        let mut found = Vec::new();
        for table in tables {
            let sql = format!(
                "SELECT toString(recorder) AS recorder, toString(stream) AS stream, session, socket, sequence, packet_index \
                 FROM {table} WHERE date = ? AND hour = ? AND batch_id = ?"
            );
            let date = epoch_date(partition.date);
            let query = self.client().query(&sql).bind(date).bind(partition.hour).bind(batch_id.to_string());
            let rows = query.fetch_all::<Identity>().await;
            found.extend(rows.map_err(|source| StoreError::query("read the rows of a batch", source))?);
        }
        let identity = |row: Identity| {
            (row.recorder, row.stream, row.session, row.socket, row.sequence, row.packet_index)
        };
        Ok(found.into_iter().map(identity).collect())
    }

    /// Ends inserts of a batch that are still running, and waits for their end.
    ///
    /// # Errors
    /// When the statement fails.
    pub async fn kill_inserts(&self, batch_id: Uuid) -> Result<(), StoreError> {
        let sql = "KILL QUERY WHERE startsWith(query_id, ?) SYNC FORMAT Null";
        let query = self.client().query(sql).bind(format!("{batch_id}/"));
        query.execute().await.map_err(|source| StoreError::query("end a running insert", source))
    }
}

/// `2026-11-20` of a `Date`'s number.
fn epoch_date(days: u16) -> String {
    tickhouse_model::IstDateTime { days_since_epoch: i32::from(days), second_of_day: 0 }.date_text()
}
