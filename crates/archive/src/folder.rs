//! A folder of exported files and its manifest, held by one process at a time.

use crate::manifest::{FileEntry, Kind, MANIFEST_FILE, Manifest, Source};
use crate::{ArchiveError, FileFormat};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeSet;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tickhouse_model::Timestamp;

/// Its lock ends with its holder, however that ends.
const LOCK_FILE: &str = ".tickhouse.lock";

/// The manifest is written after a file unless that would take more than this part of the time.
const WRITE_SHARE: u32 = 20;

/// A folder that this process alone writes.
#[derive(Debug)]
pub(crate) struct Folder {
    root: PathBuf,
    pub(crate) manifest: Manifest,
    dirty: bool,
    written: Option<Instant>,
    took: Duration,
    _lock: File,
}

impl Folder {
    /// Opens it, or makes it.
    pub(crate) fn open(root: &Path, source: Source, now: Timestamp) -> Result<Self, ArchiveError> {
        std::fs::create_dir_all(root).map_err(ArchiveError::file(root))?;
        let path = root.join(LOCK_FILE);
        let lock = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        let lock = lock.map_err(ArchiveError::file(&path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(ArchiveError::Busy { folder: root.to_owned() }),
            Err(TryLockError::Error(source)) => return Err(ArchiveError::File { path, source }),
        }
        let manifest = match Manifest::read(root)? {
            Some(manifest) => checked(manifest, root, source)?,
            None => Manifest::new(Kind::Export, now, source),
        };
        Ok(Self {
            root: root.to_owned(),
            manifest,
            dirty: false,
            written: None,
            took: Duration::ZERO,
            _lock: lock,
        })
    }

    /// Opens one that is an export already; `None` where there is none.
    pub(crate) fn reopen(root: &Path, now: Timestamp) -> Result<Option<Self>, ArchiveError> {
        match Manifest::read(root)? {
            Some(manifest) => Self::open(root, manifest.source, now).map(Some),
            None => Ok(None),
        }
    }

    /// Writes the manifest, so that what is found beside it later is known to be ours.
    pub(crate) fn begin(&mut self) -> Result<(), ArchiveError> {
        self.dirty = true;
        self.write()
    }

    /// Where a path of the manifest is.
    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        self.root.join(relative)
    }

    /// The files of a part of a table in a format.
    pub(crate) fn files_of(&self, table: &str, partition: &str, format: FileFormat) -> Vec<&FileEntry> {
        let first = format!("{table}/{partition}/");
        let files =
            self.manifest.files.range(first.clone()..).take_while(|(path, _)| path.starts_with(&first));
        let name = format.format().name();
        let is_meant = |entry: &&FileEntry| entry.partition == partition && entry.format == name;
        files.map(|(_, entry)| entry).filter(is_meant).collect()
    }

    /// The files of a day, all its symbols, whose rows are in the table too.
    pub(crate) fn files_of_day(&self, table: &str, date: &str, format: FileFormat) -> Vec<&FileEntry> {
        let first = format!("{table}/{date}/");
        let files =
            self.manifest.files.range(first.clone()..).take_while(|(path, _)| path.starts_with(&first));
        let name = format.format().name();
        files
            .map(|(_, entry)| entry)
            .filter(|entry| entry.format == name && entry.moved_at.is_none())
            .collect()
    }

    /// The files of a day, all its symbols, that are the only copy of their rows.
    pub(crate) fn moved_of_day(&self, table: &str, date: &str, format: FileFormat) -> Vec<&FileEntry> {
        let first = format!("{table}/{date}/");
        let files =
            self.manifest.files.range(first.clone()..).take_while(|(path, _)| path.starts_with(&first));
        let name = format.format().name();
        files
            .map(|(_, entry)| entry)
            .filter(|entry| entry.format == name && entry.moved_at.is_some())
            .collect()
    }

    /// Whether a file is there and is what the manifest says.
    pub(crate) fn is_whole(&self, entry: &FileEntry) -> bool {
        let path = self.path(&entry.path);
        let size = std::fs::metadata(&path).map(|file| file.len());
        size.is_ok_and(|size| size == entry.bytes) && sha256(&path).is_ok_and(|hash| hash == entry.sha256)
    }

    /// Takes files away that are replaced: the files first, so that none is left that the manifest does not know.
    pub(crate) fn remove(&mut self, paths: &[String]) -> Result<(), ArchiveError> {
        for path in paths {
            let file = self.path(path);
            match std::fs::remove_file(&file) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(ArchiveError::file(file)(error));
                }
                _ => {}
            }
            self.manifest.files.remove(path);
            self.dirty = true;
        }
        if paths.is_empty() { Ok(()) } else { self.write() }
    }

    /// Takes away what a killed run left in a folder of ours: `part-N.EXTENSION` that the manifest does not know, and `.partial`.
    pub(crate) fn sweep(&self, folder: &str, format: FileFormat) -> Result<(), ArchiveError> {
        let place = self.path(folder);
        let entries = match std::fs::read_dir(&place) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(ArchiveError::file(place)(error)),
        };
        for entry in entries {
            let entry = entry.map_err(ArchiveError::file(&place))?;
            let Some(name) = entry.file_name().to_str().map(str::to_owned) else { continue };
            let whole = name.strip_suffix(".partial");
            let number = whole.unwrap_or(&name).strip_prefix("part-");
            let number = number.and_then(|rest| rest.strip_suffix(format.extension())?.strip_suffix('.'));
            let is_ours =
                number.is_some_and(|n| !n.is_empty() && n.bytes().all(|digit| digit.is_ascii_digit()));
            let is_known = whole.is_none() && self.manifest.files.contains_key(&format!("{folder}/{name}"));
            if is_ours && !is_known {
                std::fs::remove_file(entry.path()).map_err(ArchiveError::file(entry.path()))?;
            }
        }
        Ok(())
    }

    /// Enters a file. The manifest is written now or soon; a run that is killed before writes that file again.
    pub(crate) fn put(&mut self, entry: FileEntry) -> Result<(), ArchiveError> {
        self.manifest.put(entry);
        self.dirty = true;
        match self.written {
            Some(at) if at.elapsed() < self.took * WRITE_SHARE => Ok(()),
            _ => self.write(),
        }
    }

    /// Says that the rows of these files are in the table no more.
    pub(crate) fn mark_moved(&mut self, paths: &BTreeSet<String>, at: Timestamp) -> Result<(), ArchiveError> {
        for (_, entry) in self.manifest.files.iter_mut().filter(|(path, _)| paths.contains(*path)) {
            entry.moved_at = Some(at.to_string());
            self.dirty = true;
        }
        self.write()
    }

    /// Says that the rows of these files are in the table again.
    pub(crate) fn mark_present(&mut self, paths: &BTreeSet<String>) -> Result<(), ArchiveError> {
        for (_, entry) in self.manifest.files.iter_mut().filter(|(path, _)| paths.contains(*path)) {
            entry.moved_at = None;
            self.dirty = true;
        }
        self.write()
    }

    /// Writes the manifest if something changed.
    pub(crate) fn write(&mut self) -> Result<(), ArchiveError> {
        if self.dirty {
            let begin = Instant::now();
            self.manifest.write(&self.root)?;
            self.took = begin.elapsed();
            self.written = Some(Instant::now());
            self.dirty = false;
        }
        Ok(())
    }
}

fn checked(mut manifest: Manifest, root: &Path, source: Source) -> Result<Manifest, ArchiveError> {
    let wrong = |problem: String| ArchiveError::Manifest { path: root.join(MANIFEST_FILE), problem };
    if manifest.kind != Kind::Export {
        return Err(wrong("the folder holds a backup: export into another".to_owned()));
    }
    if manifest.source.database != source.database {
        let holds = &manifest.source.database;
        return Err(wrong(format!("the folder holds an export of the database {holds}: use another folder")));
    }
    manifest.source = source;
    Ok(manifest)
}

/// SHA-256 of a file, hexadecimal.
fn sha256(path: &Path) -> std::io::Result<String> {
    let mut file = File::open(path)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 18];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hex::encode(hash.finalize())),
            count => hash.update(&buffer[..count]),
        }
    }
}
