//! Partitions that are moved aside: into `<table>_retired`, a table of the same make, within the server and at once.

use super::apply::RetentionReport;
use super::{Retained, Retention, Stretch};
use crate::folder::Folder;
use crate::tables::Columns;
use crate::{ArchiveError, FileFormat, Manifest, RowDigest};
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

#[derive(Deserialize)]
struct Named {
    #[expect(dead_code, reason = "only whether there is one matters")]
    name: String,
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
    pub(super) async fn move_aside(&self, retained: Retained, stretch: &Stretch) -> Result<(), ArchiveError> {
        let (table, aside) = (retained.stored_in, name(retained));
        self.alter(&format!("CREATE TABLE IF NOT EXISTS {aside} AS {table}")).await?;
        for partition in &stretch.partitions {
            self.alter(&format!("ALTER TABLE {table} MOVE PARTITION ID '{partition}' TO TABLE {aside}"))
                .await?;
        }
        Ok(())
    }

    /// Puts everything back that is aside, however far moving it came.
    pub(super) async fn put_back(&self, retained: Retained) -> Result<(), ArchiveError> {
        let partitions = self.aside(retained).await?;
        self.move_back(retained, &partitions).await
    }

    /// The partitions that are aside, also where the table is not there.
    async fn aside(&self, retained: Retained) -> Result<Vec<String>, ArchiveError> {
        let sql = "SELECT partition_id AS partition, [] AS days FROM system.parts WHERE database = currentDatabase() \
                   AND table = {table:String} AND active GROUP BY partition_id ORDER BY partition_id";
        let statement = Statement::new(sql).with("table", name(retained));
        let aside = self.reader.rows::<Aside>(&statement).await;
        let aside = aside.map_err(ArchiveError::read("look for what was moved aside"))?;
        Ok(aside.into_iter().map(|one| one.partition).collect())
    }

    /// Drops the table for what is aside, which the server refuses while it has rows.
    async fn drop_empty(&self, retained: Retained) -> Result<(), ArchiveError> {
        self.alter(&format!("DROP TABLE IF EXISTS IF EMPTY {} SYNC", name(retained))).await
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
        self.drop_empty(retained).await
    }

    /// Drops what is aside: it was compared, and the manifest says so.
    pub(super) async fn drop_aside(
        &self,
        retained: Retained,
        partitions: &[String],
    ) -> Result<(), ArchiveError> {
        let aside = name(retained);
        self.drop_partitions(&aside, partitions).await?;
        self.drop_empty(retained).await
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
        let sql =
            "SELECT name FROM system.tables WHERE database = currentDatabase() AND name = {table:String}";
        let there = self.reader.rows::<Named>(&Statement::new(sql).with("table", aside.as_str())).await;
        if there.map_err(ArchiveError::read("look for a table of what was moved aside"))?.is_empty() {
            return Ok(());
        }
        // before the rows are looked at: whoever else moves them, from wherever, writes the folder and holds its lock
        let held = self.hold()?;
        if self.aside(retained).await?.is_empty() {
            return self.drop_empty(retained).await;
        }
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
            entry.table == retained.table.name
                && entry.format == FileFormat::Parquet.format().name()
                && entry.partition.split('/').next() == Some(&*date)
        })
        .peekable();
    of_day.peek().is_some() && of_day.all(|entry| entry.moved_at.is_some())
}
