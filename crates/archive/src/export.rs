//! Tables into files, day by day.
//!
//! What enters: days, a table, perhaps symbols. What leaves: files below `<folder>/<table>/date=2026-11-20/`, each sorted, whole and read
//! back, and a manifest. What never happens here: a file under its name before it was read back and found equal to the
//! table; a file that is replaced by one with fewer rows; the only copy of rows that is touched.
//!
//! A day is a set of rows with a digest. The digests of its instruments are asked first and tell how it is cut into files, so each
//! file is known before it is written: one that is there already is left alone, and one whose rows were changed since
//! (mended, loaded late) is written again. A file is written as `.partial`, synced, sent back to the server, which has to
//! count the same, and renamed.

mod days;
mod unit;
mod write;

use crate::folder::Folder;
use crate::manifest::{MANIFEST_FILE, Source};
use crate::tables::{Columns, FileFormat, Table};
use crate::{ArchiveError, Stop};
use jiff::civil::Date;
use serde::Serialize;
use std::path::PathBuf;
use std::time::Duration;
use tickhouse_model::Timestamp;
use tickhouse_read::{Reader, ReaderOptions, Statement};
use tickhouse_store::{MIGRATIONS, Store};

pub use days::DayPreview;
pub use unit::ROWS_PER_FILE;

/// Rows of today are exported up to this long ago, and to a whole minute: later ones may still be on their way.
const SETTLING: Duration = Duration::from_secs(10);

/// What to export.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportRequest {
    /// Of which table.
    pub table: Table,
    /// First day, by India's calendar.
    pub from: Date,
    /// Last day, included. Days after today are left out; today goes up to the last minute.
    pub to: Date,
    /// Symbols, `EXCHANGE:SYMBOL` or tokens; none: everything.
    pub symbols: Vec<String>,
    /// In which form.
    pub format: FileFormat,
    /// A folder for each symbol of a day.
    pub by_symbol: bool,
    /// Where to.
    pub folder: PathBuf,
    /// A file has at most about this many rows: [`ROWS_PER_FILE`].
    pub rows_per_file: u64,
}

/// How far an export is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExportProgress {
    /// Rows that are in files, found there or written.
    pub rows: u64,
    /// Rows that there are.
    pub of_rows: u64,
    /// Rows of the file that is being written.
    pub writing: u64,
    /// What it is at.
    pub at: String,
}

/// What an export did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ExportReport {
    /// Files written now.
    pub files: u64,
    /// Their rows.
    pub rows: u64,
    /// Their size.
    pub bytes: u64,
    /// Files that were there, whole and equal to the table.
    pub kept_files: u64,
    /// Their rows.
    pub kept_rows: u64,
    /// Files that were taken away because their rows had changed; they are among those that were written.
    pub replaced_files: u64,
    /// Where today's rows end; none when today was not asked for.
    pub until: Option<String>,
    /// Whether it was ended before it was done.
    pub stopped: bool,
    /// What should be known.
    pub notes: Vec<String>,
}

/// An export that can be run.
#[derive(Clone, Debug)]
pub struct Export {
    pub(crate) store: Store,
    pub(crate) reader: Reader,
    pub(crate) request: ExportRequest,
    pub(crate) columns: Columns,
    /// The end of what is asked for, when that is within today.
    pub(crate) cut: Option<Timestamp>,
    pub(crate) now: Timestamp,
    source: Source,
}

impl Export {
    /// Looks at the table.
    ///
    /// # Errors
    /// When the request makes no sense, or there is no such table.
    pub async fn new(
        store: &Store,
        mut request: ExportRequest,
        now: Timestamp,
    ) -> Result<Self, ArchiveError> {
        let today = day_of(now);
        if request.from > request.to {
            return Err(ArchiveError::Request("the first day is after the last".to_owned()));
        }
        if request.from > today {
            return Err(ArchiveError::Request(format!("{} is in the future", request.from)));
        }
        if !request.table.has_token && (request.by_symbol || !request.symbols.is_empty()) {
            return Err(ArchiveError::Request(format!("{} has no symbols", request.table)));
        }
        request.to = request.to.min(today);
        request.symbols.sort_unstable();
        request.symbols.dedup();
        let cut = (request.to == today).then(|| {
            let settled = now.minus(SETTLING).as_seconds();
            Timestamp::from_millis((settled - settled.rem_euclid(60)) * 1_000)
        });
        let reader = reader(store);
        let columns = Columns::of(&reader, request.table.name).await?;
        let source = source(store, &reader).await?;
        Ok(Self { store: store.clone(), reader, request, columns, cut, now, source })
    }

    /// Writes what is missing, and tells now and then how far it is.
    ///
    /// # Cancel safety
    /// A dropped future leaves whole files, at most one `.partial`, and a manifest that may lack the last files; running it again
    /// does the rest. A [`Stop`] leaves nothing half done.
    ///
    /// # Errors
    /// When ClickHouse or the disk fails; what was written stays, and running it again does the rest.
    pub async fn run(
        &self,
        stop: &Stop,
        tell: impl FnMut(&ExportProgress),
    ) -> Result<ExportReport, ArchiveError> {
        let mut folder = self.open()?;
        self.run_in(&mut folder, stop, tell).await
    }

    /// [`Export::run`] in a folder that is held already.
    pub(crate) async fn run_in(
        &self,
        folder: &mut Folder,
        stop: &Stop,
        mut tell: impl FnMut(&ExportProgress),
    ) -> Result<ExportReport, ArchiveError> {
        let mut report = ExportReport { until: self.cut.map(|at| at.to_string()), ..ExportReport::default() };
        let done = self.days_into(folder, stop, &mut report, &mut tell).await;
        // also after an error: what was written is known then
        folder.write()?;
        done.map(|()| report)
    }

    /// The folder, if it is one for this request.
    pub(crate) fn open(&self) -> Result<Folder, ArchiveError> {
        let folder = Folder::open(&self.request.folder, self.source.clone(), self.now)?;
        let format = self.request.format.format().name();
        let of_table =
            |entry: &&crate::FileEntry| entry.table == self.request.table.name && entry.format == format;
        let entries = || folder.manifest.files.values().filter(of_table);
        if entries().any(|entry| entry.partition.contains('/') != self.request.by_symbol) {
            let other = if self.request.by_symbol { "date" } else { "date,symbol" };
            return Err(ArchiveError::Request(format!(
                "{} has {} by {other}: use --partition {other}, or another folder, or rows would be there twice",
                self.request.folder.display(),
                self.request.table
            )));
        }
        let only = self.only();
        if !self.request.by_symbol && entries().any(|entry| entry.moved_at.is_none() && entry.only != only) {
            return Err(ArchiveError::Request(format!(
                "{} has {} of other symbols: use --partition date,symbol, or another folder",
                self.request.folder.display(),
                self.request.table
            )));
        }
        let place = self.request.folder.join(self.request.table.name);
        let is_strange = folder.manifest.files.is_empty()
            && !self.request.folder.join(MANIFEST_FILE).exists()
            && std::fs::read_dir(&place).is_ok_and(|mut entries| entries.next().is_some());
        if is_strange {
            return Err(ArchiveError::Request(format!(
                "{} has files and no manifest: use another folder",
                place.display()
            )));
        }
        Ok(folder)
    }

    /// Of which symbols, as the manifest says it.
    pub(crate) fn only(&self) -> Option<String> {
        (!self.request.symbols.is_empty()).then(|| self.request.symbols.join(","))
    }

    async fn days_into(
        &self,
        folder: &mut Folder,
        stop: &Stop,
        report: &mut ExportReport,
        tell: &mut impl FnMut(&ExportProgress),
    ) -> Result<(), ArchiveError> {
        // before the first file: what a killed run leaves is then known to be ours
        folder.begin()?;
        let days = self.days().await?;
        let mut progress =
            ExportProgress { of_rows: days.iter().map(|day| day.rows).sum(), ..ExportProgress::default() };
        for day in days {
            progress.at = day.day.to_string();
            tell(&progress);
            let units = tokio::select! {
                () = stop.wished() => break,
                units = self.units(day.day) => units?,
            };
            if !self.make_way(folder, day.day, &units, report)? {
                progress.rows += day.rows;
                continue;
            }
            for unit in units {
                self.unit_into(folder, &unit, stop, report, &mut progress, tell).await?;
                if stop.is_wished() {
                    break;
                }
            }
        }
        report.stopped = stop.is_wished();
        if progress.of_rows == 0 && !self.request.symbols.is_empty() {
            report
                .notes
                .push("no rows of these symbols: `tickhouse instruments search` finds names".to_owned());
        }
        Ok(())
    }
}

/// India's day.
pub(crate) fn day_of(at: Timestamp) -> Date {
    let (year, month, day) = at.ist().date();
    // within the years 1678 to 2262 that a timestamp can be
    Date::new(year as i16, month as i8, day as i8).unwrap_or(Date::ZERO)
}

/// A reader of the same server as the same user.
pub(crate) fn reader(store: &Store) -> Reader {
    let options = store.options();
    Reader::new(ReaderOptions {
        url: options.url.clone(),
        database: options.database.clone(),
        user: options.user.clone(),
        password: options.password.clone(),
    })
}

async fn source(store: &Store, reader: &Reader) -> Result<Source, ArchiveError> {
    #[derive(serde::Deserialize)]
    struct Applied {
        number: u32,
    }
    let sql = "SELECT max(number) AS number FROM migrations";
    let applied = reader.rows::<Applied>(&Statement::new(sql)).await;
    let applied = applied.map_err(ArchiveError::read("read the applied migrations"))?;
    let schema = applied.first().map_or(MIGRATIONS.len() as u32, |applied| applied.number);
    Ok(Source { database: store.options().database.clone(), schema })
}
