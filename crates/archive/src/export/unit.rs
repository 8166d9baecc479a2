//! Units: what lies in one folder, a day or a symbol's day, and how it is cut into files.

use super::{Export, ExportProgress, ExportReport};
use crate::folder::Folder;
use crate::names::escaped;
use crate::{ArchiveError, FileEntry, RowDigest, Stop};
use jiff::civil::Date;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use tickhouse_read::Statement;

/// A file has at most about this many rows (an instrument of a day is in one file, however many it has): of ticks some 60 MB, which a
/// server reads back with 300 MB of memory.
pub const ROWS_PER_FILE: u64 = 2_000_000;

/// A folder's rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unit {
    pub(crate) day: Date,
    /// Whose, where a folder is one symbol's.
    pub(crate) symbol: Option<String>,
    pub(crate) pieces: Vec<Piece>,
}

/// A file's rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Piece {
    /// Of these instruments, ascending; none where the table has none.
    pub(crate) tokens: Vec<u32>,
    pub(crate) digest: RowDigest,
}

/// Rows of a day that have an instrument and a symbol in common.
#[derive(Debug, Deserialize)]
struct Group {
    token: u32,
    name: String,
    rows: u64,
    hash_sum: u64,
    hash_xor: u64,
}

#[derive(Deserialize)]
struct Named {
    token: u32,
    name: String,
}

impl Unit {
    /// Its folder below the table's, which the manifest calls the partition.
    pub(crate) fn partition(&self) -> String {
        match &self.symbol {
            None => format!("date={}", self.day),
            Some(symbol) => format!("date={}/symbol={}", self.day, escaped(symbol)),
        }
    }

    pub(crate) fn digest(&self) -> RowDigest {
        self.pieces.iter().map(|piece| piece.digest).sum()
    }
}

/// Cuts instruments in ascending order into files.
fn pieces(groups: &BTreeMap<u32, RowDigest>, most: u64) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = Vec::new();
    for (token, digest) in groups {
        match pieces.last_mut() {
            Some(last) if last.digest.rows + digest.rows <= most => {
                last.tokens.push(*token);
                last.digest += *digest;
            }
            _ => pieces.push(Piece { tokens: vec![*token], digest: *digest }),
        }
    }
    pieces
}

impl Export {
    /// What a day consists of, from the table as it is now.
    pub(crate) async fn units(&self, day: Date) -> Result<Vec<Unit>, ArchiveError> {
        let table = self.request.table;
        let token = if table.has_token { "instrument_token" } else { "toUInt32(0)" };
        let name = if table.has_symbol && self.request.by_symbol { "toString(symbol)" } else { "''" };
        let sql = format!(
            "SELECT {token} AS token, {name} AS name, {} FROM {} WHERE {} GROUP BY token, name ORDER BY token, name \
             SETTINGS prefer_column_name_to_alias = 1",
            self.columns.digest(),
            self.from(),
            self.wanted()
        );
        let groups = self.reader.rows::<Group>(&self.bound(sql, day, day)).await;
        let groups = groups.map_err(ArchiveError::read(format!("hash the rows of {day}")))?;
        let names = if self.request.by_symbol && !table.has_symbol {
            self.names(day, &groups).await?
        } else {
            HashMap::new()
        };
        let mut symbols: BTreeMap<String, BTreeMap<u32, RowDigest>> = BTreeMap::new();
        for Group { token, name, rows, hash_sum: sum, hash_xor: xor } in groups {
            let name = names.get(&token).cloned().unwrap_or(name);
            *symbols.entry(name).or_default().entry(token).or_default() += RowDigest { rows, sum, xor };
        }
        let unit = |(name, groups)| Unit {
            day,
            symbol: self.request.by_symbol.then_some(name),
            pieces: pieces(&groups, self.request.rows_per_file),
        };
        Ok(symbols.into_iter().map(unit).collect())
    }

    /// The symbols of a table that has only tokens.
    async fn names(&self, day: Date, groups: &[Group]) -> Result<HashMap<u32, String>, ArchiveError> {
        let tokens: Vec<u32> = groups.iter().map(|group| group.token).collect();
        let sql = "SELECT instrument_token AS token, any(symbol) AS name FROM instruments FINAL \
                   WHERE {day:Date} BETWEEN valid_from AND valid_to AND instrument_token IN {tokens:Array(UInt32)} \
                   GROUP BY token";
        let statement = Statement::new(sql).with("day", day).with("tokens", &tokens[..]);
        let named = self.reader.rows::<Named>(&statement).await;
        let named = named.map_err(ArchiveError::read("look symbols up"))?;
        Ok(named.into_iter().map(|Named { token, name }| (token, name)).collect())
    }

    /// Before a whole day is written: whether its files may be touched, which they may not when they have more rows than the table.
    /// Takes away the files of symbols that have no rows any more, as after a mend.
    pub(crate) fn make_way(
        &self,
        folder: &mut Folder,
        day: Date,
        units: &[Unit],
        report: &mut ExportReport,
    ) -> Result<bool, ArchiveError> {
        let date = format!("date={day}");
        if !self.may_join(folder, &date, units, report)? {
            return Ok(false);
        }
        if !self.request.symbols.is_empty() {
            return Ok(true);
        }
        let present = folder.files_of_day(self.request.table.name, &date, self.request.format);
        let (there, rows) =
            (rows_of(present.iter().copied()), units.iter().map(|unit| unit.digest().rows).sum());
        if there > rows {
            report.notes.push(larger(&date, there, rows));
            return Ok(false);
        }
        let partitions: BTreeSet<String> = units.iter().map(Unit::partition).collect();
        let gone: Vec<String> = present
            .iter()
            .filter(|entry| !partitions.contains(&entry.partition))
            .map(|entry| entry.path.clone())
            .collect();
        report.replaced_files += gone.len() as u64;
        folder.remove(&gone)?;
        Ok(true)
    }

    /// Whether a day's rows may be filed beside files that retention made the only copy. They may when they came late. When an older backup
    /// was restored they are those of the files: these are then a copy like any other again. Where both may be so, nothing is written:
    /// rows would be there twice.
    fn may_join(
        &self,
        folder: &mut Folder,
        date: &str,
        units: &[Unit],
        report: &mut ExportReport,
    ) -> Result<bool, ArchiveError> {
        let table = self.request.table.name;
        let moved = folder.moved_of_day(table, date, self.request.format);
        let rows: RowDigest = units.iter().map(Unit::digest).sum();
        if moved.is_empty() || rows.rows == 0 {
            return Ok(true);
        }
        let present = folder.files_of_day(table, date, self.request.format);
        let files: Option<Vec<RowDigest>> =
            moved.iter().chain(&present).map(|entry| entry.row_digest()).collect();
        if self.request.symbols.is_empty() && files.map(|files| files.into_iter().sum()) == Some(rows) {
            let paths: BTreeSet<String> = moved.iter().map(|entry| entry.path.clone()).collect();
            folder.mark_present(&paths)?;
            return Ok(true);
        }
        let gone = rows_of(moved.iter().copied());
        if self.request.symbols.is_empty() && rows.rows < gone {
            return Ok(true);
        }
        report.notes.push(format!(
            "{date} is left as it is: retention moved {gone} rows of it into files, and {} were asked for now, which may be the same and \
             more (a restored backup); export into another folder and compare",
            rows.rows
        ));
        Ok(false)
    }

    /// Brings a unit's folder in line with the table. Of some symbols only, a folder with more rows is left as it is.
    pub(crate) async fn unit_into(
        &self,
        folder: &mut Folder,
        unit: &Unit,
        stop: &Stop,
        report: &mut ExportReport,
        progress: &mut ExportProgress,
        tell: &mut impl FnMut(&ExportProgress),
    ) -> Result<(), ArchiveError> {
        let (table, format) = (self.request.table.name, self.request.format);
        let partition = unit.partition();
        let (moved, present): (Vec<FileEntry>, Vec<FileEntry>) = folder
            .files_of(table, &partition, format)
            .into_iter()
            .cloned()
            .partition(|entry| entry.moved_at.is_some());
        let (there, rows) = (rows_of(&present), unit.digest().rows);
        if !self.request.symbols.is_empty() && there > rows {
            report.notes.push(larger(&partition, there, rows));
            progress.rows += rows;
            return Ok(());
        }
        let place = format!("{table}/{partition}");
        let first = moved.iter().filter_map(|entry| number_of(&entry.path)).max().map_or(0, |last| last + 1);
        let path = |index: usize| format!("{place}/part-{}.{}", first + index as u64, format.extension());
        let fits = |entry: &FileEntry| {
            let index =
                number_of(&entry.path).and_then(|number| usize::try_from(number.checked_sub(first)?).ok());
            let planned = index.and_then(|index| unit.pieces.get(index));
            planned.is_some_and(|piece| Some(piece.digest) == entry.row_digest()) && folder.is_whole(entry)
        };
        let stale: Vec<String> =
            present.iter().filter(|entry| !fits(entry)).map(|entry| entry.path.clone()).collect();
        folder.remove(&stale)?;
        folder.sweep(&place, format)?;
        report.replaced_files += stale.len() as u64;
        for (index, piece) in unit.pieces.iter().enumerate() {
            let path = path(index);
            if folder.manifest.files.contains_key(&path) {
                report.kept_files += 1;
                report.kept_rows += piece.digest.rows;
            } else {
                progress.at.clone_from(&path);
                let Some(entry) = self.piece_into(folder, unit, piece, &path, stop, progress, tell).await?
                else {
                    return Ok(());
                };
                report.files += 1;
                report.rows += entry.rows;
                report.bytes += entry.bytes;
                folder.put(entry)?;
            }
            progress.rows += piece.digest.rows;
            progress.writing = 0;
            tell(progress);
        }
        Ok(())
    }
}

/// Why a folder is left as it is.
pub(super) fn larger(partition: &str, there: u64, rows: u64) -> String {
    format!(
        "{partition} is left as it is: its files have {there} rows, and {rows} were asked for now (fewer symbols, or rows \
         that are gone from the table); export into another folder"
    )
}

/// Rows of files.
pub(super) fn rows_of<'a>(entries: impl IntoIterator<Item = &'a FileEntry>) -> u64 {
    entries.into_iter().map(|entry| entry.rows).sum()
}

/// `N` of `…/part-N.parquet`.
fn number_of(path: &str) -> Option<u64> {
    path.rsplit('/').next()?.strip_prefix("part-")?.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_cut_between_instruments() {
        let rows = |rows| RowDigest { rows, sum: rows, xor: rows };
        let groups = [(1, rows(3)), (2, rows(3)), (5, rows(20)), (9, rows(1)), (10, rows(9))].into();
        let cut: Vec<(Vec<u32>, u64)> =
            pieces(&groups, 10).into_iter().map(|piece| (piece.tokens, piece.digest.rows)).collect();
        assert_eq!(cut, [(vec![1, 2], 6), (vec![5], 20), (vec![9, 10], 10)]);
        assert_eq!(pieces(&BTreeMap::new(), 10), []);
        assert_eq!(number_of("tick_data/date=2026-11-20/symbol=A.part-7/part-12.csv"), Some(12));
    }
}
