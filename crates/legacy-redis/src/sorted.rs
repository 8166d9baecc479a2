//! The spool by hour: one file each, in the order of the spool.

use crate::error::ImportError;
use crate::files::{failed, read_json, remove_folder, write_json};
use crate::spool::spool_path;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};

/// Bytes that are held in memory before they go to their files.
const HELD: usize = 64 << 20;

/// The hours and their lines.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Sorted {
    /// Lines by hour.
    pub(crate) hours: BTreeMap<u32, u64>,
}

/// As sorted before, if it was done to the end.
pub(crate) fn found(folder: &Path) -> Result<Option<Sorted>, ImportError> {
    read_json(&folder.join("sorted.json"))
}

/// Sorts the first `bytes` of the spool. Killed on the way, it is done anew.
pub(crate) fn sort(folder: &Path, bytes: u64, mut progress: impl FnMut(u64)) -> Result<Sorted, ImportError> {
    let (path, into) = (spool_path(folder), folder.join("sorted"));
    remove_folder(&into)?;
    std::fs::create_dir_all(&into).map_err(failed(&into))?;
    let mut spool = BufReader::with_capacity(1 << 20, File::open(&path).map_err(failed(&path))?);
    let mut sorted = Sorted::default();
    let mut held: BTreeMap<u32, Vec<u8>> = BTreeMap::new();
    let (mut read, mut size) = (0_u64, 0);
    let mut line = Vec::new();
    while read < bytes {
        line.clear();
        read += spool.read_until(b'\n', &mut line).map_err(failed(&path))? as u64;
        let Some((hour, record)) = split(&line) else {
            let what = format!("a line before byte {read} is none");
            return Err(ImportError::Damaged { path, what, folder: folder.to_owned() });
        };
        *sorted.hours.entry(hour).or_default() += 1;
        let lines = held.entry(hour).or_default();
        let before = lines.capacity();
        lines.extend_from_slice(record);
        size += lines.capacity() - before;
        if size >= HELD {
            write_held(&into, &mut held)?;
            size = 0;
            progress(read);
        }
    }
    write_held(&into, &mut held)?;
    for hour in sorted.hours.keys() {
        let path = path_of(folder, *hour);
        File::open(&path).and_then(|file| file.sync_all()).map_err(failed(&path))?;
    }
    File::open(&into).and_then(|folder| folder.sync_all()).map_err(failed(&into))?;
    write_json(&folder.join("sorted.json"), &sorted)?;
    Ok(sorted)
}

/// The file of an hour: a JSON list per line.
pub(crate) fn path_of(folder: &Path, hour: u32) -> PathBuf {
    folder.join("sorted").join(hour.to_string())
}

fn write_held(into: &Path, held: &mut BTreeMap<u32, Vec<u8>>) -> Result<(), ImportError> {
    for (hour, lines) in std::mem::take(held) {
        let path = into.join(hour.to_string());
        let opened = OpenOptions::new().create(true).append(true).open(&path);
        opened.and_then(|mut file| file.write_all(&lines)).map_err(failed(&path))?;
    }
    Ok(())
}

fn split(line: &[u8]) -> Option<(u32, &[u8])> {
    let blank = line.iter().position(|byte| *byte == b' ')?;
    let hour = std::str::from_utf8(&line[..blank]).ok()?.parse().ok()?;
    line.ends_with(b"\n").then_some((hour, &line[blank + 1..]))
}
