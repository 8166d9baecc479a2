//! What is followed, on disk before it is published: records, and after each batch a line that says up to where the source was
//! read. What stands behind the last such line is cut off, so a record and the place it came from are kept together or not at all.

use crate::error::ImportError;
use crate::files::{failed, sync_folder_of};
use crate::positions::Positions;
use crate::recognise::Recognised;
use crate::seen::Change;
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};

/// Ids of followed records begin with a number above that of any hour.
pub(crate) const LIVE: u64 = 1 << 40;
/// Bytes at which a new file is begun; the last one is read with each batch.
const FILE_BYTES: u64 = 4 << 20;

/// How positions went on: database, key, change.
pub(crate) type Changes = Vec<(u32, Vec<u8>, Change)>;

/// A line behind the records that it is of. Keys are any bytes: each is a character.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Note {
    read: Vec<(u32, String, Change)>,
}

impl Note {
    fn of(changes: &Changes) -> Self {
        let text = |key: &[u8]| key.iter().copied().map(char::from).collect();
        let of = |(db, key, change): &(u32, Vec<u8>, Change)| (*db, text(key), change.clone());
        Self { read: changes.iter().map(of).collect() }
    }

    fn apply(self, positions: &mut Positions) -> Result<(), ImportError> {
        self.read.into_iter().try_for_each(|(db, key, change)| {
            let key: Vec<u8> = key.chars().filter_map(|byte| u8::try_from(byte).ok()).collect();
            positions.apply(db, &key, change)
        })
    }
}

/// The files of followed records, open at the end of the last one.
#[derive(Debug)]
pub(crate) struct LiveLog {
    folder: PathBuf,
    number: u64,
    file: File,
    bytes: u64,
}

impl LiveLog {
    /// Opens the log, or begins one; brings positions up to its end.
    pub(crate) fn open(folder: &Path, positions: &mut Positions) -> Result<Self, ImportError> {
        let folder = folder.join("live");
        std::fs::create_dir_all(&folder).map_err(failed(&folder))?;
        loop {
            let Some(number) = numbers(&folder)?.last().copied() else { return Self::begin(&folder, 1) };
            let path = folder.join(number.to_string());
            let mut reader = BufReader::new(File::open(&path).map_err(failed(&path))?);
            let (mut end, mut at) = (0, 0);
            let mut line = Vec::new();
            loop {
                line.clear();
                at += reader.read_until(b'\n', &mut line).map_err(failed(&path))? as u64;
                if !line.ends_with(b"\n") {
                    break;
                }
                let note = line.strip_prefix(b"#").and_then(|note| serde_json::from_slice::<Note>(note).ok());
                if let Some(note) = note {
                    note.apply(positions)?;
                    end = at;
                }
            }
            if end == 0 {
                // killed while it was begun: what the file before it says counts
                std::fs::remove_file(&path).map_err(failed(&path))?;
                continue;
            }
            let file = OpenOptions::new().append(true).open(&path).map_err(failed(&path))?;
            file.set_len(end).map_err(failed(&path))?;
            return Ok(Self { folder, number, file, bytes: end });
        }
    }

    fn begin(folder: &Path, number: u64) -> Result<Self, ImportError> {
        let path = folder.join(number.to_string());
        let file = OpenOptions::new().create(true).append(true).open(&path).map_err(failed(&path))?;
        let mut log = Self { folder: folder.to_owned(), number, file, bytes: 0 };
        log.write(&[], &Note::default())?;
        sync_folder_of(&path).map_err(failed(&path))?;
        Ok(log)
    }

    /// Keeps records and the positions that were reached with them.
    pub(crate) fn append(
        &mut self,
        records: &[Recognised],
        changes: &Changes,
        positions: &mut Positions,
    ) -> Result<(), ImportError> {
        let note = Note::of(changes);
        self.write(records, &note)?;
        note.apply(positions)?;
        if self.bytes >= FILE_BYTES {
            // only the last file is read again at a start
            positions.flush()?;
            *self = Self::begin(&self.folder, self.number + 1)?;
        }
        Ok(())
    }

    fn write(&mut self, records: &[Recognised], note: &Note) -> Result<(), ImportError> {
        let path = self.folder.join(self.number.to_string());
        let mut lines = Vec::new();
        let written = records.iter().try_for_each(|record| {
            serde_json::to_writer(&mut lines, &record.fields)?;
            lines.write_all(b"\n")
        });
        let written = written.and_then(|()| {
            lines.write_all(b"#")?;
            serde_json::to_writer(&mut lines, note)?;
            lines.write_all(b"\n")?;
            self.file.write_all(&lines)?;
            self.file.sync_data()
        });
        written.map_err(failed(&path))?;
        self.bytes += lines.len() as u64;
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
