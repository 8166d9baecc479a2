//! What is put right when a recorder starts: the tail that a crash tore, and what compression left half done.

use crate::segment::{self, HEADER_LEN, Header, PACKED, Segment};
use crate::{JournalError, paths};
use std::fs;
use std::path::{Path, PathBuf};
use tickhouse_model::{FrameId, SocketId, Timestamp};

/// Segments looked through at the end of each socket's journal: the one that was written, and the one before it, which may
/// not have been on the disk itself when the power went.
const LOOKED_THROUGH: usize = 2;

/// What was found and done at start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Bytes after the last good record of a segment, cut off and kept beside it as `NNNNNNNN.cut`.
    pub cut_bytes: u64,
    /// Bytes that belong to no record although good ones follow. The segment stays, a second name `….damaged` keeps it from
    /// being pruned, and readers pass over them; the sequences that stood there are missing.
    pub damaged_bytes: u64,
    /// Which segments were cut or are damaged.
    pub segments: Vec<PathBuf>,
}

/// The last thing that a socket's journal knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastRecord {
    /// Identity of the last record.
    pub id: FrameId,
    /// When it was received.
    pub received_at: Timestamp,
    /// When the last frame that is more than a heartbeat was received, [`Timestamp::NONE`] without one.
    pub last_data_at: Timestamp,
}

/// The last record of a socket, none when there is no journal. A recorder asks it before its first record, to tell how
/// long it was down. Looks through segments from the newest, until one has a data frame.
///
/// # Errors
/// When a file can't be read.
pub fn last_record(dir: &Path, recorder: &str, socket: SocketId) -> Result<Option<LastRecord>, JournalError> {
    let mut found: Option<LastRecord> = None;
    for segment in segment::list(&paths::socket_dir(dir, recorder, socket)?)?.iter().rev() {
        let scan = segment::scan(&segment.read()?, socket);
        let Some(last) = scan.last else { continue };
        let last_data_at = scan.last_data_at.unwrap_or(Timestamp::NONE);
        let result =
            found.get_or_insert(LastRecord { id: last.id, received_at: last.received_at, last_data_at });
        result.last_data_at = last_data_at;
        if last_data_at.is_some() {
            break;
        }
    }
    Ok(found)
}

/// Session and sequence of the last record in a socket's directory, zeros when there is none.
pub(crate) fn last_id(dir: &Path, socket: SocketId) -> Result<(u64, u64), JournalError> {
    for segment in segment::list(dir)?.iter().rev() {
        if let Some(last) = segment::scan(&segment.read()?, socket).last {
            return Ok((last.id.session, last.id.sequence));
        }
    }
    Ok((0, 0))
}

/// Puts a socket's directory right. Only the owner of the lock may.
pub(crate) fn recover(dir: &Path, socket: SocketId, report: &mut Recovery) -> Result<(), JournalError> {
    for entry in fs::read_dir(dir).map_err(JournalError::io("listing", dir))? {
        let path = entry.map_err(JournalError::io("listing", dir))?.path();
        if path.extension().is_some_and(|extension| extension == "tmp") {
            fs::remove_file(&path).map_err(JournalError::io("removing", &path))?;
        }
    }
    let segments = segment::list(dir)?;
    for segment in segments.iter().filter(|segment| !segment.packed) {
        let packed = dir.join(format!("{:08}{PACKED}", segment.number));
        if packed.exists() {
            // compression ended between its last two steps; the original is still the truth
            fs::remove_file(&packed).map_err(JournalError::io("removing", &packed))?;
        }
    }
    for segment in segments.iter().rev().take(LOOKED_THROUGH).filter(|segment| !segment.packed) {
        repair(segment, socket, report)?;
    }
    segment::sync_dir(dir)
}

fn repair(segment: &Segment, socket: SocketId, report: &mut Recovery) -> Result<(), JournalError> {
    let path = &segment.path;
    let bytes = segment.read()?;
    if bytes.len() < HEADER_LEN {
        // records are written after the header: none was ever in here
        report.cut_bytes += bytes.len() as u64;
        return fs::remove_file(path).map_err(JournalError::io("removing", path));
    }
    let scan = segment::scan(&bytes, socket);
    let bad_header = Header::decode(&bytes).is_err();
    if scan.damaged_bytes > 0 || bad_header {
        let damaged = scan.damaged_bytes + if bad_header { HEADER_LEN as u64 } else { 0 };
        report.damaged_bytes += damaged;
        report.segments.push(path.clone());
        tracing::error!(path = %path.display(), bytes = damaged, "journal is damaged between good records");
        let kept = path.with_extension("journal.damaged");
        if !kept.exists() {
            fs::hard_link(path, &kept).map_err(JournalError::io("linking", &kept))?;
        }
    }
    let tail = &bytes[scan.good_end..];
    if !tail.is_empty() {
        report.cut_bytes += tail.len() as u64;
        report.segments.push(path.clone());
        tracing::warn!(path = %path.display(), bytes = tail.len(), "torn end of the journal cut off");
        let kept = path.with_extension("cut");
        fs::write(&kept, tail).map_err(JournalError::io("writing", &kept))?;
        fs::OpenOptions::new()
            .write(true)
            .open(path)
            .and_then(|file| file.set_len(scan.good_end as u64).and_then(|()| file.sync_all()))
            .map_err(JournalError::io("cutting", path))?;
    }
    Ok(())
}
