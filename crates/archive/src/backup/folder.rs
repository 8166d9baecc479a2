//! Backups in a folder of this machine: a folder each, whole once its `backup.json` is there.
//!
//! What enters: the files of a backup. What leaves: `files.sha256`, as sha256sum writes it, and the files that are not what it
//! says. What never happens here: a file removed of a whole backup.

use super::error::BackupError;
use super::record::{BackupRecord, write_durably};
use crate::ArchiveError;
use sha2::{Digest as _, Sha256};
use std::fs::{File, TryLockError};
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// Name of the list of files with their digests.
pub(crate) const LIST_FILE: &str = "files.sha256";
/// Says that a folder is a backup's that is being written, or whose writer was killed.
const BEGUN_FILE: &str = "BEGUN";

/// A lock on a file, held until it is dropped; the system gives it back when its process ends.
#[derive(Debug)]
pub(crate) struct Lock(#[expect(dead_code, reason = "held, not read")] File);

impl Lock {
    pub(crate) fn take(path: &Path) -> Result<Self, BackupError> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(ArchiveError::file(folder))?;
        }
        let file = File::options().create(true).append(true).open(path).map_err(ArchiveError::file(path))?;
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(TryLockError::WouldBlock) => Err(BackupError::Busy { path: path.to_owned() }),
            Err(TryLockError::Error(source)) => {
                Err(ArchiveError::File { path: path.to_owned(), source }.into())
            }
        }
    }
}

/// Makes the folder of a new backup.
pub(crate) fn begin(folder: &Path) -> Result<(), BackupError> {
    std::fs::create_dir_all(folder).map_err(ArchiveError::file(folder))?;
    write_durably(folder, BEGUN_FILE, b"this backup is not whole until backup.json is here\n")
}

/// The files of a backup with their digests, as its list holds them, and their bytes. Forces each to disk.
pub(crate) fn list_of_files(folder: &Path) -> Result<(String, u64), BackupError> {
    let (mut list, mut total) = (String::new(), 0);
    for path in files(folder)? {
        let name = name_in(folder, &path);
        if name == BEGUN_FILE {
            continue;
        }
        let (sha256, bytes) = digest(&path, true)?;
        total += bytes;
        list.extend([sha256.as_str(), "  ", &name, "\n"]);
    }
    Ok((list, total))
}

/// Makes a backup whole: writes the list of its files, then its record. Some syncs of small files: whoever interrupts a backup before
/// has none.
pub(crate) fn finish(folder: &Path, list: &str, record: &mut BackupRecord) -> Result<(), BackupError> {
    record.files_sha256 = Some(hex::encode(Sha256::digest(list.as_bytes())));
    write_durably(folder, LIST_FILE, list.as_bytes())?;
    record.write(folder)?;
    let begun = folder.join(BEGUN_FILE);
    std::fs::remove_file(&begun).map_err(ArchiveError::file(&begun))?;
    let parent = folder.parent().unwrap_or(folder);
    Ok(File::open(parent).and_then(|parent| parent.sync_all()).map_err(ArchiveError::file(parent))?)
}

/// Compares every file with what was written.
pub(crate) fn check(folder: &Path, record: &BackupRecord) -> Result<(), BackupError> {
    let damaged = |file: &str, problem: &str| BackupError::Damaged {
        file: folder.join(file).display().to_string(),
        id: record.id.clone(),
        problem: problem.to_owned(),
    };
    let path = folder.join(LIST_FILE);
    let list = match std::fs::read(&path) {
        Ok(list) => list,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(damaged(LIST_FILE, "is gone"));
        }
        Err(source) => return Err(ArchiveError::File { path, source }.into()),
    };
    if record.files_sha256 != Some(hex::encode(Sha256::digest(&list))) {
        return Err(damaged(LIST_FILE, "is not what was written"));
    }
    for line in String::from_utf8_lossy(&list).lines() {
        let Some((expected, name)) = line.split_once("  ") else {
            return Err(damaged(LIST_FILE, "is no list of files"));
        };
        match digest(&folder.join(name), false) {
            Ok((found, _)) if found == expected => {}
            Ok(_) => return Err(damaged(name, "is not what was written")),
            Err(ArchiveError::File { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
                return Err(damaged(name, "is gone"));
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// SHA-256 and size of a file; `sync` forces it to disk first.
fn digest(path: &Path, sync: bool) -> Result<(String, u64), ArchiveError> {
    let read = || -> std::io::Result<(String, u64)> {
        let mut file = File::open(path)?;
        if sync {
            file.sync_all()?;
        }
        let (mut hash, mut bytes, mut buffer) = (Sha256::new(), 0, vec![0; 1 << 18]);
        loop {
            let read = file.read(&mut buffer)?;
            if read == 0 {
                return Ok((hex::encode(hash.finalize()), bytes));
            }
            hash.update(&buffer[..read]);
            bytes += read as u64;
        }
    };
    read().map_err(ArchiveError::file(path))
}

/// All files below a folder, by name.
fn files(folder: &Path) -> Result<Vec<PathBuf>, BackupError> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).map_err(ArchiveError::file(&folder))? {
            let entry = entry.map_err(ArchiveError::file(&folder))?;
            let kind = entry.file_type().map_err(ArchiveError::file(entry.path()))?;
            if kind.is_dir() {
                folders.push(entry.path());
            } else {
                found.push(entry.path());
            }
        }
        // the names in it, which a power cut may take like bytes
        File::open(&folder).and_then(|open| open.sync_all()).map_err(ArchiveError::file(&folder))?;
    }
    found.sort();
    Ok(found)
}

fn name_in(folder: &Path, path: &Path) -> String {
    path.strip_prefix(folder).unwrap_or(path).to_string_lossy().into_owned()
}

/// The backups of a folder by id; `None` for one that is not whole.
pub(crate) fn list(root: &Path) -> Result<Vec<(String, Option<BackupRecord>)>, BackupError> {
    let entries = match std::fs::read_dir(root) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(ArchiveError::File { path: root.to_owned(), source }.into()),
    };
    let mut found = Vec::new();
    for entry in entries {
        let folder = entry.map_err(ArchiveError::file(root))?.path();
        let record = if folder.is_dir() { BackupRecord::read(&folder)? } else { None };
        let id = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if record.is_some() || folder.join(BEGUN_FILE).exists() {
            found.push((id, record));
        }
    }
    found.sort_by(|(a, _), (b, _)| a.cmp(b));
    Ok(found)
}

/// Removes what killed backups left, and says how many there were. The folder's lock must be held.
pub(crate) fn clear_unfinished(root: &Path) -> Result<usize, BackupError> {
    let unfinished: Vec<_> = list(root)?.into_iter().filter(|(_, record)| record.is_none()).collect();
    for (id, _) in &unfinished {
        let folder = root.join(id);
        std::fs::remove_dir_all(&folder).map_err(ArchiveError::file(&folder))?;
    }
    Ok(unfinished.len())
}
