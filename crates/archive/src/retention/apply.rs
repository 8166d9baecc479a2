//! Doing what the plan says, partition by partition, each so that a kill at any point leaves it to the next run.
//!
//! With a folder, in this order: export (which reads every file back), move the partitions aside at once, compare what was moved
//! with the files, enter in the manifest that the files are the only copy, drop. Rows that arrive meanwhile go into a new partition of the
//! table and stay. What a killed run left aside goes back, or is dropped when the manifest says that it was compared.

use super::{Action, Retained, Retention, Stretch, is_of};
use crate::backup::{BackupError, Lock};
use crate::export::{Export, ExportProgress, ExportRequest, ROWS_PER_FILE};
use crate::folder::Folder;
use crate::{ArchiveError, FileFormat, RowDigest, Stop};
use serde::Serialize;
use std::collections::BTreeSet;
use std::path::Path;

/// What became of a stretch that was due.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// The stretch; its `action` is what was done, `why` what there is to say.
    #[serde(flatten)]
    pub stretch: Stretch,
    /// Whether its rows are gone from the table.
    pub removed: bool,
}

/// What a retention did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RetentionReport {
    /// What was due, in the order in which it was done.
    pub outcomes: Vec<Outcome>,
    /// Rows that are gone from tables.
    pub removed_rows: u64,
    /// Files written now.
    pub files: u64,
    /// Partitions that a killed run had moved aside, and that were put back.
    pub put_back: u64,
    /// Partitions that a killed run had moved aside and compared, and that were dropped now.
    pub finished: u64,
    /// Whether it was ended before it was done.
    pub stopped: bool,
}

impl Retention {
    /// Does what is due. A stretch that can't go is told of in the report and left; others go on.
    ///
    /// # Cancel safety
    /// A dropped future leaves each stretch before or after its step, which the next run takes up.
    ///
    /// # Errors
    /// When ClickHouse or the disk fails; what was done stays done, and running it again does the rest.
    pub async fn apply(
        &self,
        stop: &Stop,
        mut tell: impl FnMut(&Stretch, &ExportProgress),
    ) -> Result<RetentionReport, ArchiveError> {
        let lock = &self.rules.lock;
        let _lock = Lock::take(lock).map_err(|error| match error {
            BackupError::Archive(error) => error,
            _ => ArchiveError::Locked { path: lock.clone() },
        })?;
        self.find_folder()?;
        let mut report = RetentionReport::default();
        let today = crate::export::day_of(self.now);
        for (retained, days) in &self.rules.keep_days {
            self.tidy(*retained, &mut report).await?;
            if *days == 0 {
                continue;
            }
            for stretch in self.stretches(*retained).await? {
                if stretch.age_days <= *days || stretch.last_day >= today {
                    continue;
                }
                if stop.is_wished() {
                    report.stopped = true;
                    return Ok(report);
                }
                let outcome = self.retire(*retained, stretch, stop, &mut report, &mut tell).await?;
                report.removed_rows += if outcome.removed { outcome.stretch.rows } else { 0 };
                report.outcomes.push(outcome);
            }
        }
        report.stopped = stop.is_wished();
        Ok(report)
    }

    async fn retire(
        &self,
        retained: Retained,
        mut stretch: Stretch,
        stop: &Stop,
        report: &mut RetentionReport,
        tell: &mut impl FnMut(&Stretch, &ExportProgress),
    ) -> Result<Outcome, ArchiveError> {
        let refusal = match self.under_way(&stretch).await? {
            Some(why) => Some(why),
            None => match &self.rules.export_to {
                None => {
                    self.drop_partitions(retained.stored_in, &stretch.partitions).await?;
                    None
                }
                Some(folder) => self.file_away(folder, retained, &stretch, stop, report, tell).await?,
            },
        };
        let removed = refusal.is_none();
        stretch.action = match (&refusal, &self.rules.export_to) {
            (Some(_), _) => Action::Refuse,
            (None, Some(_)) => Action::Export,
            (None, None) => Action::Drop,
        };
        stretch.why = refusal.unwrap_or_default();
        Ok(Outcome { stretch, removed })
    }

    /// Exports a stretch and removes it; a refusal in words, upon which everything is as it was.
    async fn file_away(
        &self,
        folder: &Path,
        retained: Retained,
        stretch: &Stretch,
        stop: &Stop,
        report: &mut RetentionReport,
        tell: &mut impl FnMut(&Stretch, &ExportProgress),
    ) -> Result<Option<String>, ArchiveError> {
        let request = ExportRequest {
            table: retained.table,
            from: stretch.first_day,
            to: stretch.last_day,
            symbols: Vec::new(),
            format: FileFormat::Parquet,
            by_symbol: false,
            folder: folder.to_owned(),
            rows_per_file: ROWS_PER_FILE,
        };
        let export = Export::new(&self.store, request, self.now).await?;
        let mut folder = export.open()?;
        // what a view shows can't be compared with what it is made of, so this has to stay as it is from here on
        let before = if retained.is_view() {
            Some(self.digest(retained, retained.stored_in, stretch).await?)
        } else {
            None
        };
        let exported = export.run_in(&mut folder, stop, |progress| tell(stretch, progress)).await?;
        report.files += exported.files;
        if exported.stopped {
            return Ok(Some("it was stopped".to_owned()));
        }
        if let Some(note) = exported.notes.into_iter().next() {
            return Ok(Some(note));
        }
        let paths = waiting(&folder, stretch);
        let in_files: RowDigest =
            paths.iter().filter_map(|path| folder.manifest.files[path].row_digest()).sum();
        // the export took its time, and a loader counts rows of what is under way in the table
        if let Some(why) = self.under_way(stretch).await? {
            return Ok(Some(why));
        }
        let settled = async {
            self.move_aside(retained, stretch).await?;
            let refusal = self.compare(retained, stretch, before.unwrap_or(in_files)).await?;
            if refusal.is_none() {
                folder.mark_moved(&paths, self.now)?;
            }
            Ok(refusal)
        };
        let settled = settled.await;
        if !matches!(settled, Ok(None)) {
            // also after an error: what is aside is not seen by anybody
            let back = self.put_back(retained).await;
            return match (settled, back) {
                (Err(first), Err(then)) => {
                    tracing::error!(
                        table = retained.stored_in,
                        error = %then,
                        "rows are aside, and the next retention brings them back"
                    );
                    Err(first)
                }
                (settled, back) => back.and(settled),
            };
        }
        self.drop_aside(retained, &stretch.partitions).await?;
        Ok(None)
    }

    /// Whether what was moved aside is what the files hold, and no batch that concerns it began meanwhile.
    async fn compare(
        &self,
        retained: Retained,
        stretch: &Stretch,
        expected: RowDigest,
    ) -> Result<Option<String>, ArchiveError> {
        let aside = self.digest(retained, &super::retired::name(retained), stretch).await?;
        if aside != expected {
            return Ok(Some(format!(
                "its rows changed while they were exported ({} then, {} now): run it again",
                expected.rows, aside.rows
            )));
        }
        self.under_way(stretch).await
    }
}

/// The files of a stretch whose rows are in the table too.
fn waiting(folder: &Folder, stretch: &Stretch) -> BTreeSet<String> {
    let files = folder.manifest.files.iter();
    let waiting = files.filter(|(_, entry)| {
        entry.table == stretch.table
            && entry.format == FileFormat::Parquet.format().name()
            && entry.moved_at.is_none()
            && is_of(&entry.partition, stretch)
    });
    waiting.map(|(path, _)| path.clone()).collect()
}
