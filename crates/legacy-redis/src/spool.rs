//! Records on disk, with a checkpoint that says how many keys they are of.
//!
//! A line is the hour, a blank, and a JSON list of fields and values. What stands behind the checkpoint is cut off when the spool
//! is opened, so the records of a key are in it wholly or not at all.

use crate::error::ImportError;
use crate::files::{failed, read_json, write_json};
use crate::recognise::Recognised;
use crate::report::ImportReport;
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

/// How far reading has come.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Checkpoint {
    /// Keys of the plan whose records are spooled.
    pub(crate) keys: u64,
    /// Bytes of the spool.
    pub(crate) bytes: u64,
    /// Whether the plan is done.
    pub(crate) complete: bool,
    pub(crate) report: ImportReport,
}

/// The spool, open at its end.
#[derive(Debug)]
pub(crate) struct Spool {
    path: PathBuf,
    checkpoint_path: PathBuf,
    file: BufWriter<File>,
    bytes: u64,
}

pub(crate) fn spool_path(folder: &Path) -> PathBuf {
    folder.join("spool")
}

pub(crate) fn checkpoint_of(folder: &Path) -> Result<Checkpoint, ImportError> {
    Ok(read_json(&folder.join("checkpoint.json"))?.unwrap_or_default())
}

impl Spool {
    pub(crate) fn open(folder: &Path) -> Result<(Self, Checkpoint), ImportError> {
        let path = spool_path(folder);
        let checkpoint = checkpoint_of(folder)?;
        let opened = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        let mut file = opened.map_err(failed(&path))?;
        let length = file.metadata().map_err(failed(&path))?.len();
        if length < checkpoint.bytes {
            let what = format!("{length} bytes, and {} were written", checkpoint.bytes);
            return Err(ImportError::Damaged { path, what, folder: folder.to_owned() });
        }
        file.set_len(checkpoint.bytes).map_err(failed(&path))?;
        std::io::Seek::seek(&mut file, std::io::SeekFrom::End(0)).map_err(failed(&path))?;
        let (file, bytes) = (BufWriter::with_capacity(1 << 18, file), checkpoint.bytes);
        let checkpoint_path = folder.join("checkpoint.json");
        Ok((Self { path, checkpoint_path, file, bytes }, checkpoint))
    }

    /// Bytes, those that are only in memory included.
    pub(crate) const fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(crate) fn push(&mut self, record: &Recognised) -> Result<(), ImportError> {
        let mut line = record.hour.to_string().into_bytes();
        line.push(b' ');
        let written = serde_json::to_writer(&mut line, &record.fields).map_err(std::io::Error::from);
        line.push(b'\n');
        self.bytes += line.len() as u64;
        written.and_then(|()| self.file.write_all(&line)).map_err(failed(&self.path))
    }

    /// Makes everything so far durable: first the records, then the note of them.
    pub(crate) fn checkpoint(&mut self, checkpoint: &mut Checkpoint) -> Result<(), ImportError> {
        let synced = self.file.flush().and_then(|()| self.file.get_ref().sync_data());
        synced.map_err(failed(&self.path))?;
        checkpoint.bytes = self.bytes;
        write_json(&self.checkpoint_path, checkpoint)
    }
}
