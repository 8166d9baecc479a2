//! What is followed, on disk before it is published: records, and after each batch a line that says up to where the source was
//! read. What stands behind the last such line is cut off, so a record and the place it came from are kept together or not at all.

use crate::error::ImportError;
use crate::files::{failed, sync_folder_of};
use crate::recognise::Recognised;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};

/// Ids of followed records begin with a number above that of any hour.
pub(crate) const LIVE: u64 = 1 << 40;
/// Bytes at which a new file is begun; the last one is read with each batch.
const FILE_BYTES: u64 = 4 << 20;

/// Up to where each stream of the source was read: `<db>/<key>` → entry id.
pub(crate) type Positions = BTreeMap<String, String>;

#[derive(Debug, Serialize, Deserialize)]
struct Note {
    positions: Positions,
}

/// The files of followed records, open at the end of the last one.
#[derive(Debug)]
pub(crate) struct LiveLog {
    folder: PathBuf,
    number: u64,
    file: File,
    bytes: u64,
    pub(crate) positions: Positions,
}

impl LiveLog {
    /// Opens the log, or begins one with these positions.
    pub(crate) fn open(folder: &Path, first: impl FnOnce() -> Positions) -> Result<Self, ImportError> {
        let folder = folder.join("live");
        std::fs::create_dir_all(&folder).map_err(failed(&folder))?;
        let Some(number) = numbers(&folder)?.last().copied() else { return Self::begin(&folder, 1, first()) };
        let path = folder.join(number.to_string());
        let mut reader = BufReader::new(File::open(&path).map_err(failed(&path))?);
        let (mut positions, mut end, mut at) = (Positions::new(), 0, 0);
        let mut line = Vec::new();
        loop {
            line.clear();
            at += reader.read_until(b'\n', &mut line).map_err(failed(&path))? as u64;
            if !line.ends_with(b"\n") {
                break;
            }
            let note = line.strip_prefix(b"#").and_then(|note| serde_json::from_slice::<Note>(note).ok());
            if let Some(note) = note {
                positions.extend(note.positions);
                end = at;
            }
        }
        if end == 0 {
            // killed while it was begun: what the file before it says counts
            std::fs::remove_file(&path).map_err(failed(&path))?;
            return Self::open(folder.parent().unwrap_or(&folder), first);
        }
        let file = OpenOptions::new().append(true).open(&path).map_err(failed(&path))?;
        file.set_len(end).map_err(failed(&path))?;
        Ok(Self { folder, number, file, bytes: end, positions })
    }

    fn begin(folder: &Path, number: u64, positions: Positions) -> Result<Self, ImportError> {
        let path = folder.join(number.to_string());
        let file = OpenOptions::new().create(true).append(true).open(&path).map_err(failed(&path))?;
        let mut log = Self { folder: folder.to_owned(), number, file, bytes: 0, positions: Positions::new() };
        log.append(&[], positions)?;
        sync_folder_of(&path).map_err(failed(&path))?;
        Ok(log)
    }

    /// Keeps records and the positions that were reached with them.
    pub(crate) fn append(&mut self, records: &[Recognised], positions: Positions) -> Result<(), ImportError> {
        let path = self.folder.join(self.number.to_string());
        let mut lines = Vec::new();
        let written = records.iter().try_for_each(|record| {
            serde_json::to_writer(&mut lines, &record.fields)?;
            lines.write_all(b"\n")
        });
        let note = Note { positions };
        let written = written.and_then(|()| {
            lines.write_all(b"#")?;
            serde_json::to_writer(&mut lines, &note)?;
            lines.write_all(b"\n")?;
            self.file.write_all(&lines)?;
            self.file.sync_data()
        });
        written.map_err(failed(&path))?;
        self.positions.extend(note.positions);
        self.bytes += lines.len() as u64;
        if self.bytes >= FILE_BYTES {
            *self = Self::begin(&self.folder, self.number + 1, std::mem::take(&mut self.positions))?;
        }
        Ok(())
    }

    /// Files after this id, with how many of each one's records are at or before it.
    pub(crate) fn files_after(&self, id: (u64, u64)) -> Result<Vec<(u64, PathBuf, u64)>, ImportError> {
        let done = |number: u64| match (LIVE + number).cmp(&id.0) {
            std::cmp::Ordering::Less => None,
            std::cmp::Ordering::Equal => Some(id.1),
            std::cmp::Ordering::Greater => Some(0),
        };
        let files = numbers(&self.folder)?.into_iter();
        Ok(files
            .filter_map(|number| Some((LIVE + number, self.folder.join(number.to_string()), done(number)?)))
            .collect())
    }

    /// Removes files before the one that this id is of: everything in them is stored.
    pub(crate) fn forget_before(&self, id: (u64, u64)) -> Result<(), ImportError> {
        for number in numbers(&self.folder)? {
            if LIVE + number < id.0 && number < self.number {
                let path = self.folder.join(number.to_string());
                std::fs::remove_file(&path).map_err(failed(&path))?;
            }
        }
        Ok(())
    }
}

fn numbers(folder: &Path) -> Result<Vec<u64>, ImportError> {
    let entries = std::fs::read_dir(folder).map_err(failed(folder))?;
    let mut numbers: Vec<u64> =
        entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect();
    numbers.sort_unstable();
    Ok(numbers)
}
