//! Partitions that are moved aside: into `<table>_retired`, a table of the same make, within the server and at once.

use super::apply::RetentionReport;
use super::{Retained, Retention, Stretch};
use crate::folder::Folder;
use crate::tables::Columns;
use crate::{ArchiveError, Manifest, RowDigest};
use jiff::civil::Date;
use serde::Deserialize;
use tickhouse_read::Statement;

/// The table beside a table.
pub(super) fn name(retained: Retained) -> String {
    format!("{}_retired", retained.stored_in)
}

#[derive(Deserialize)]
struct Aside {
    partition: String,
    days: Vec<Date>,
}

impl Retention {
    /// The digest of the rows of a stretch, as they would be once everything is merged.
    pub(super) async fn digest(
        &self,
        retained: Retained,
        table: &str,
        stretch: &Stretch,
    ) -> Result<RowDigest, ArchiveError> {
        #[derive(Deserialize)]
        struct Digest {
            rows: u64,
            hash_sum: u64,
            hash_xor: u64,
        }
        let columns = Columns::of(&self.reader, table).await?;
        let sql = format!(
            "SELECT {} FROM {table}{} WHERE date BETWEEN {{first:Date}} AND {{last:Date}} \
             AND _partition_id IN {{partitions:Array(String)}}",
            columns.digest(),
            retained.merged(),
        );
        let statement = Statement::new(sql)
            .with("first", stretch.first_day)
            .with("last", stretch.last_day)
            .with("partitions", &stretch.partitions[..]);
        let found = self.reader.rows::<Digest>(&statement).await;
        let found = found.map_err(ArchiveError::read(format!("hash the rows of {table}")))?;
        let digest = |row: &Digest| RowDigest { rows: row.rows, sum: row.hash_sum, xor: row.hash_xor };
        Ok(found.first().map(digest).unwrap_or_default())
    }

    /// Moves the partitions of a stretch aside; those that were moved.
    pub(super) async fn move_aside(
        &self,
        retained: Retained,
        stretch: &Stretch,
    ) -> Result<Vec<String>, ArchiveError> {
        let (table, aside) = (retained.stored_in, name(retained));
        self.alter(&format!("CREATE TABLE IF NOT EXISTS {aside} AS {table}")).await?;
        for partition in &stretch.partitions {
            self.alter(&format!("ALTER TABLE {table} MOVE PARTITION ID '{partition}' TO TABLE {aside}"))
                .await?;
        }
        Ok(stretch.partitions.clone())
    }

    /// Puts partitions back, beside whatever arrived in them meanwhile.
    pub(super) async fn move_back(
        &self,
        retained: Retained,
        partitions: &[String],
    ) -> Result<(), ArchiveError> {
        let (table, aside) = (retained.stored_in, name(retained));
        for partition in partitions {
            self.alter(&format!("ALTER TABLE {aside} MOVE PARTITION ID '{partition}' TO TABLE {table}"))
                .await?;
        }
        self.alter(&format!("DROP TABLE IF EXISTS {aside} SYNC")).await
    }

    /// Drops what is aside: it was compared, and the manifest says so.
    pub(super) async fn drop_aside(
        &self,
        retained: Retained,
        partitions: &[String],
    ) -> Result<(), ArchiveError> {
        let aside = name(retained);
        self.drop_partitions(&aside, partitions).await?;
        self.alter(&format!("DROP TABLE IF EXISTS {aside} SYNC")).await
    }

    pub(super) async fn drop_partitions(
        &self,
        table: &str,
        partitions: &[String],
    ) -> Result<(), ArchiveError> {
        for partition in partitions {
            self.alter(&format!("ALTER TABLE {table} DROP PARTITION ID '{partition}'")).await?;
        }
        Ok(())
    }

    /// What a killed run left aside: dropped where the manifest says that it was compared, else put back.
    pub(super) async fn tidy(
        &self,
        retained: Retained,
        report: &mut RetentionReport,
    ) -> Result<(), ArchiveError> {
        let aside = name(retained);
        let sql = "SELECT partition_id AS partition, [] AS days FROM system.parts WHERE database = currentDatabase() \
                   AND table = {table:String} AND active GROUP BY partition_id ORDER BY partition_id";
        let left = self.reader.rows::<Aside>(&Statement::new(sql).with("table", aside.as_str())).await;
        if left.map_err(ArchiveError::read("look for what was moved aside"))?.is_empty() {
            return self.alter(&format!("DROP TABLE IF EXISTS {aside} SYNC")).await;
        }
        // nobody else is at it: whoever writes the folder holds its lock
        let held = self.hold()?;
        let sql = format!(
            "SELECT _partition_id AS partition, groupUniqArray(date) AS days FROM {aside} GROUP BY partition ORDER BY partition"
        );
        let left = self.reader.rows::<Aside>(&Statement::new(sql)).await;
        let left = left.map_err(ArchiveError::read("look at what was moved aside"))?;
        let compared = |one: &&Aside| {
            let manifest = held.as_ref().map(|folder| &folder.manifest);
            manifest.is_some_and(|manifest| one.days.iter().all(|day| is_moved(manifest, retained, *day)))
        };
        let (done, open): (Vec<&Aside>, Vec<&Aside>) = left.iter().partition(compared);
        let ids = |some: &[&Aside]| some.iter().map(|one| one.partition.clone()).collect::<Vec<_>>();
        (report.finished, report.put_back) =
            (report.finished + done.len() as u64, report.put_back + open.len() as u64);
        self.drop_partitions(&aside, &ids(&done)).await?;
        self.move_back(retained, &ids(&open)).await
    }

    /// The folder, if one is set and is there.
    fn hold(&self) -> Result<Option<Folder>, ArchiveError> {
        match &self.rules.export_to {
            Some(folder) => Folder::reopen(folder, self.now),
            None => Ok(None),
        }
    }

    async fn alter(&self, sql: &str) -> Result<(), ArchiveError> {
        let done = self.store.client().query_raw(sql).execute().await;
        done.map_err(ArchiveError::clickhouse(format!("run `{sql}`")))
    }
}

/// Whether all that the manifest has of a day is the only copy: set for all files of a day at once, after they were compared.
fn is_moved(manifest: &Manifest, retained: Retained, day: Date) -> bool {
    let date = format!("date={day}");
    let mut of_day = manifest
        .files
        .values()
        .filter(|entry| {
            entry.table == retained.table.name && entry.partition.split('/').next() == Some(&*date)
        })
        .peekable();
    of_day.peek().is_some() && of_day.all(|entry| entry.moved_at.is_some())
}
