//! `manifest.json`: what the files of a folder hold, so that anybody can tell whether they are whole.
//!
//! What stands in it was read back from the file. It is replaced at once (written beside, synced, renamed), so a reader sees
//! the old or the new one.

use crate::{ArchiveError, RowDigest};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::Path;

/// Name of the file in its folder.
pub const MANIFEST_FILE: &str = "manifest.json";

/// The version of the format that this program writes, and the highest that it reads.
pub const MANIFEST_VERSION: u32 = 1;

/// What a folder of files is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// For other programs; retention moves rows into such a folder too.
    Export,
    /// For `tickhouse restore`.
    Backup,
}

/// What the files were made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// The database.
    pub database: String,
    /// Number of its last migration.
    pub schema: u32,
}

/// A file and what it holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// From the manifest's folder, with `/` between names.
    pub path: String,
    /// The table whose rows they are.
    pub table: String,
    /// Of an export `date=2026-11-20` or `date=2026-11-20/symbol=NIFTY`, of a backup the server's id of the partition; empty: the whole
    /// table.
    pub partition: String,
    /// The format by ClickHouse's name: `Parquet`, `Arrow`, `CSVWithNames`, `Native`.
    pub format: String,
    /// Its rows.
    pub rows: u64,
    /// Its size.
    pub bytes: u64,
    /// SHA-256 of its bytes, hexadecimal.
    pub sha256: String,
    /// [`RowDigest::hashes`] of its rows, as read back from the file or counted in the table and proven equal.
    pub digest: String,
    /// Of an export of a day that was not over: up to which instant it goes, RFC 3339. `None`: whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// Of an export of some symbols: which, with commas. `None`: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub only: Option<String>,
    /// When retention removed the rows from the table, RFC 3339: the file is all there is of them. `None`: they are in the table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moved_at: Option<String>,
}

impl FileEntry {
    /// Rows and digest; `None` when the digest is no digest.
    pub fn row_digest(&self) -> Option<RowDigest> {
        RowDigest::from_parts(self.rows, &self.digest)
    }
}

/// What the files of a folder hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`MANIFEST_VERSION`].
    pub version: u32,
    /// What the folder is for.
    pub kind: Kind,
    /// When the manifest was begun, RFC 3339.
    pub made_at: String,
    /// Program and version.
    pub program: String,
    /// What the files were made of.
    pub source: Source,
    /// By path.
    #[serde(serialize_with = "as_list", deserialize_with = "from_list")]
    pub files: BTreeMap<String, FileEntry>,
}

impl Manifest {
    /// One without files.
    pub fn new(kind: Kind, made_at: tickhouse_model::Timestamp, source: Source) -> Self {
        Self {
            version: MANIFEST_VERSION,
            kind,
            made_at: made_at.to_string(),
            program: concat!("tickhouse ", env!("CARGO_PKG_VERSION")).to_owned(),
            source,
            files: BTreeMap::new(),
        }
    }

    /// Adds a file, or replaces what stands there under its path.
    pub fn put(&mut self, entry: FileEntry) {
        self.files.insert(entry.path.clone(), entry);
    }

    /// The manifest of a folder, `None` where there is none.
    ///
    /// # Errors
    /// When it can't be read, or is none, or of a newer version.
    pub fn read(folder: &Path) -> Result<Option<Self>, ArchiveError> {
        let path = folder.join(MANIFEST_FILE);
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(ArchiveError::File { path, source }),
        };
        Self::parse(&text).map(Some).map_err(|problem| ArchiveError::Manifest { path, problem })
    }

    /// A manifest's text.
    ///
    /// # Errors
    /// In words, when it is none, or of a newer version, or names a path that leads out of its folder.
    pub fn parse(text: &[u8]) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Version {
            version: u32,
        }
        // first the version alone: a newer one may have other fields
        let Version { version } = serde_json::from_slice(text).map_err(|error| error.to_string())?;
        if version > MANIFEST_VERSION {
            return Err(format!(
                "its version is {version}, this program knows {MANIFEST_VERSION}: use a newer tickhouse"
            ));
        }
        let manifest: Self = serde_json::from_slice(text).map_err(|error| error.to_string())?;
        match manifest.files.keys().find(|path| !stays_inside(path)) {
            Some(path) => Err(format!("the path {path:?} leads out of its folder")),
            None => Ok(manifest),
        }
    }

    /// Its text.
    pub fn text(&self) -> Vec<u8> {
        let mut text = serde_json::to_vec_pretty(self).expect("a manifest is numbers and text");
        text.push(b'\n');
        text
    }

    /// Writes it into its folder, all or nothing, and returns when it is on disk.
    ///
    /// # Errors
    /// When it can't be written; the old one is there then.
    pub fn write(&self, folder: &Path) -> Result<(), ArchiveError> {
        let path = folder.join(MANIFEST_FILE);
        let partial = folder.join(format!("{MANIFEST_FILE}.partial"));
        let file = OpenOptions::new().write(true).create(true).truncate(true).open(&partial);
        let mut file = file.map_err(ArchiveError::file(&partial))?;
        file.write_all(&self.text()).and_then(|()| file.sync_all()).map_err(ArchiveError::file(&partial))?;
        std::fs::rename(&partial, &path).map_err(ArchiveError::file(&path))?;
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(ArchiveError::file(folder))
    }
}

/// Whether a path of a manifest names something below its folder.
fn stays_inside(path: &str) -> bool {
    !path.is_empty()
        && !path.contains(['\\', '\0'])
        && path.split('/').all(|part| !matches!(part, "" | "." | ".."))
}

fn as_list<S: Serializer>(files: &BTreeMap<String, FileEntry>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(files.values())
}

fn from_list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, FileEntry>, D::Error> {
    let entries = Vec::<FileEntry>::deserialize(deserializer)?;
    Ok(entries.into_iter().map(|entry| (entry.path.clone(), entry)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tickhouse_model::Timestamp;

    fn manifest() -> Manifest {
        let source = Source { database: "trading".to_owned(), schema: 6 };
        let mut manifest = Manifest::new(Kind::Export, Timestamp::from_millis(1_763_663_400_000), source);
        manifest.put(FileEntry {
            path: "tick_data/date=2026-11-20/part-0.parquet".to_owned(),
            table: "tick_data".to_owned(),
            partition: "date=2026-11-20".to_owned(),
            format: "Parquet".to_owned(),
            rows: 3,
            bytes: 100,
            sha256: "00".repeat(32),
            digest: RowDigest { rows: 3, sum: 5, xor: 6 }.hashes(),
            until: None,
            only: None,
            moved_at: None,
        });
        manifest
    }

    #[test]
    fn it_is_read_as_it_was_written_and_replaced_at_once() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Manifest::read(folder.path()).unwrap(), None);
        let mut manifest = manifest();
        manifest.write(folder.path()).unwrap();
        manifest.files.clear();
        manifest.write(folder.path()).unwrap();
        assert_eq!(Manifest::read(folder.path()).unwrap(), Some(manifest));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn newer_and_hostile_ones_are_refused() {
        let text = |change: fn(&mut Manifest)| {
            let mut manifest = manifest();
            change(&mut manifest);
            manifest.text()
        };
        let path = |path: &'static str| {
            let mut manifest = manifest();
            let mut entry = manifest.files.pop_first().unwrap().1;
            entry.path = path.to_owned();
            manifest.put(entry);
            Manifest::parse(&manifest.text())
        };
        assert!(Manifest::parse(&text(|_| {})).is_ok());
        let error = Manifest::parse(&text(|manifest| manifest.version = 2)).unwrap_err();
        assert!(error.contains("newer tickhouse"), "{error}");
        for wrong in ["../x", "/etc/passwd", "a/../../b", "a//b", "", "a\\..\\b", "."] {
            assert!(path(wrong).unwrap_err().contains("out of its folder"), "{wrong}");
        }
        assert!(Manifest::parse(b"{").is_err());
    }
}
