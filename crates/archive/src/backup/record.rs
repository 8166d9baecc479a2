//! `backup.json`: what a backup holds. It is written last, so a folder that has one is whole.

use super::error::BackupError;
use crate::{ArchiveError, RowDigest};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::Path;

/// Name of the file in a backup's folder.
pub const RECORD_FILE: &str = "backup.json";

/// The version of the format that this program writes, and the highest that it reads.
const RECORD_VERSION: u32 = 1;

/// How the rows were written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// By the server's own BACKUP: its parts as they are.
    Server,
    /// A file per partition in ClickHouse's format Native, compressed with zstd: any server takes it.
    Native,
}

impl Method {
    /// Its word on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Native => "native",
        }
    }
}

/// What a backup holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupRecord {
    /// Of the format.
    pub version: u32,
    /// Its name, which begins with its time in UTC, so names sort by time.
    pub id: String,
    /// When the cut was made, RFC 3339.
    pub made_at: String,
    /// Program and version.
    pub program: String,
    /// Version of the server.
    pub server: String,
    /// The database that was backed up.
    pub database: String,
    /// Number of its last migration.
    pub schema: u32,
    /// How the rows were written.
    pub method: Method,
    /// The backup on which an incremental one stands.
    pub base: Option<String>,
    /// SHA-256 of `files.sha256`, the list of all files with their digests; none in S3.
    pub files_sha256: Option<String>,
    /// Bytes that this backup added.
    pub bytes: u64,
    /// Batches of the loader that were on their way and are not in the backup: they are loaded again.
    pub batches_under_way: u64,
    /// The highest stored entry of each stream, `<first>-<second>` of its id.
    pub marks: BTreeMap<String, String>,
    /// Tables with rows.
    pub tables: Vec<TableRecord>,
    /// Views and their definitions. Ours come back by migrations.
    pub views: BTreeMap<String, String>,
    /// Tables that hold their rows in no way that can be backed up.
    pub left_out: Vec<String>,
}

/// A table of a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableRecord {
    /// Its name.
    pub name: String,
    /// Everything behind `CREATE TABLE <name>`.
    pub definition: String,
    /// Its partitions, by the server's id.
    pub partitions: BTreeMap<String, PartitionRecord>,
}

/// A partition of a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionRecord {
    /// Number and digest of the rows; of tables whose rows merge, as they read merged.
    pub digest: RowDigest,
    /// Bytes in the server.
    pub bytes: u64,
    /// What the server's parts hash to: while it stays, the rows stay.
    pub parts: String,
    /// The backup whose folder has the file, of method native.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_by: Option<String>,
    /// The file there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
}

impl BackupRecord {
    /// One that holds nothing yet.
    pub(crate) fn new(id: String, database: &str, method: Method) -> Self {
        Self {
            version: RECORD_VERSION,
            id,
            made_at: String::new(),
            program: concat!("tickhouse ", env!("CARGO_PKG_VERSION")).to_owned(),
            server: String::new(),
            database: database.to_owned(),
            schema: 0,
            method,
            base: None,
            files_sha256: None,
            bytes: 0,
            batches_under_way: 0,
            marks: BTreeMap::new(),
            tables: Vec::new(),
            views: BTreeMap::new(),
            left_out: Vec::new(),
        }
    }

    /// Rows of all tables.
    pub fn rows(&self) -> u64 {
        self.partitions().map(|(_, _, partition)| partition.digest.rows).sum()
    }

    /// Table, id and record of each partition.
    pub fn partitions(&self) -> impl Iterator<Item = (&TableRecord, &str, &PartitionRecord)> {
        self.tables.iter().flat_map(|table| {
            table.partitions.iter().map(move |(id, partition)| (table, id.as_str(), partition))
        })
    }

    /// A partition of a table.
    pub fn partition(&self, table: &str, id: &str) -> Option<&PartitionRecord> {
        self.tables.iter().find(|found| found.name == table)?.partitions.get(id)
    }

    /// A partition of a table that was made as this one is: a column more changes the digest of rows, and no part.
    pub(crate) fn partition_of(&self, table: &str, definition: &str, id: &str) -> Option<&PartitionRecord> {
        let table = self.tables.iter().find(|found| found.name == table)?;
        table.partitions.get(id).filter(|_| table.definition == definition)
    }

    /// A record's text.
    pub(crate) fn parse(text: &[u8]) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Version {
            version: u32,
        }
        let Version { version } = serde_json::from_slice(text).map_err(|error| error.to_string())?;
        if version > RECORD_VERSION {
            return Err(format!(
                "its version is {version}, this program knows {RECORD_VERSION}: use a newer tickhouse"
            ));
        }
        let record: Self = serde_json::from_slice(text).map_err(|error| error.to_string())?;
        let names = record.partitions().flat_map(|(_, _, partition)| [&partition.held_by, &partition.file]);
        let outside = |name: &str| name.split('/').any(|part| matches!(part, "" | "." | ".."));
        if names.flatten().chain([&record.id]).chain(&record.base).any(|name| outside(name)) {
            return Err("it names a file outside of its folder".to_owned());
        }
        Ok(record)
    }

    /// Its text.
    pub(crate) fn text(&self) -> Vec<u8> {
        let mut text = serde_json::to_vec_pretty(self).expect("a record is numbers and text");
        text.push(b'\n');
        text
    }

    /// The record of a backup's folder; `None` where there is none, so the backup is not whole.
    pub(crate) fn read(folder: &Path) -> Result<Option<Self>, BackupError> {
        let path = folder.join(RECORD_FILE);
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(ArchiveError::File { path, source }.into()),
        };
        let record = Self::parse(&text).map_err(|problem| ArchiveError::Manifest { path, problem })?;
        Ok(Some(record))
    }

    /// Writes it, all or nothing, and returns when it is on disk.
    pub(crate) fn write(&self, folder: &Path) -> Result<(), BackupError> {
        write_durably(folder, RECORD_FILE, &self.text())
    }
}

/// Writes a file, all or nothing, and returns when it is on disk.
pub(crate) fn write_durably(folder: &Path, name: &str, text: &[u8]) -> Result<(), BackupError> {
    let (path, partial) = (folder.join(name), folder.join(format!("{name}.partial")));
    let file = OpenOptions::new().write(true).create(true).truncate(true).open(&partial);
    let mut file = file.map_err(ArchiveError::file(&partial))?;
    file.write_all(text).and_then(|()| file.sync_all()).map_err(ArchiveError::file(&partial))?;
    std::fs::rename(&partial, &path).map_err(ArchiveError::file(&path))?;
    Ok(File::open(folder).and_then(|folder| folder.sync_all()).map_err(ArchiveError::file(folder))?)
}
