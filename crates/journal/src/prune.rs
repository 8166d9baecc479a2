//! What may be removed: closed segments whose every record is stored, beyond the caps on size or age.

use crate::segment::{self, Segment, sync_dir};
use crate::state::{Shared, lock};
use crate::{JournalError, paths};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fs;
use std::sync::atomic::Ordering;
use tickhouse_model::{SocketId, Timestamp};

/// What pruning did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Pruned {
    /// Segments removed.
    pub segments: u64,
    /// Bytes removed.
    pub bytes: u64,
    /// Bytes of closed segments left.
    pub kept_bytes: u64,
    /// Those of them beyond a cap that stay because their records are not stored yet.
    pub unstored_bytes: u64,
}

/// The end of a closed segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Last {
    id: (u64, u64),
    received_at: Timestamp,
    /// Whether some of its bytes are no records: evidence that is kept until the caps say otherwise.
    records: u64,
}

struct Candidate {
    socket: SocketId,
    segment: Segment,
    bytes: u64,
}

/// Removes what `marks` allow, oldest first. Nothing is removed of a socket without a mark, or of its newest segment.
pub(crate) fn prune(shared: &Shared, marks: &BTreeMap<SocketId, (u64, u64)>) -> Result<Pruned, JournalError> {
    let mut candidates = closed(shared)?;
    let mut result = Pruned { kept_bytes: candidates.iter().map(|one| one.bytes).sum(), ..Pruned::default() };
    let now = shared.clock.now();
    let mut ends = Vec::with_capacity(candidates.len());
    candidates.sort_by_key(|one| one.segment.number);
    for candidate in candidates {
        // what is within the caps need not be opened at all
        let too_big = result.kept_bytes > shared.options.keep_bytes;
        let created_at = candidate.segment.header().map_or(now, |header| header.created_at);
        if too_big || now.since(created_at) > shared.options.keep_for {
            ends.push((last_of(shared, &candidate)?, candidate));
        }
    }
    ends.sort_by_key(|(last, _)| last.map_or(now, |last| last.received_at));
    for (last, candidate) in ends {
        let too_big = result.kept_bytes > shared.options.keep_bytes;
        let too_old = last.is_some_and(|last| now.since(last.received_at) > shared.options.keep_for);
        if !too_big && !too_old {
            continue;
        }
        let stored = match (last, marks.get(&candidate.socket)) {
            (Some(last), Some(mark)) => last.id <= *mark,
            _ => false,
        };
        if stored {
            remove(shared, &candidate)?;
            result.segments += 1;
            result.bytes += candidate.bytes;
            result.kept_bytes -= candidate.bytes;
        } else {
            result.unstored_bytes += candidate.bytes;
        }
    }
    warn_once(shared, &result);
    Ok(result)
}

fn warn_once(shared: &Shared, result: &Pruned) {
    if result.unstored_bytes == 0 {
        shared.warned_of_cap.store(false, Ordering::Relaxed);
    } else if !shared.warned_of_cap.swap(true, Ordering::Relaxed) {
        let bytes = result.unstored_bytes;
        tracing::warn!(
            bytes,
            "journal is beyond its caps but not stored yet, so it stays: is the loader running?"
        );
    }
}

fn closed(shared: &Shared) -> Result<Vec<Candidate>, JournalError> {
    let mut candidates = Vec::new();
    for socket in paths::sockets(&shared.recorder_dir)? {
        let mut segments = segment::list(&shared.recorder_dir.join(socket.to_string()))?;
        // the newest stays, whatever its age: it says how long the recorder was down
        segments.pop();
        let first_open = shared.first_open(socket);
        candidates.extend(segments.into_iter().filter(|segment| segment.number < first_open).map(
            |segment| {
                let bytes = segment.disk_bytes();
                Candidate { socket, segment, bytes }
            },
        ));
    }
    Ok(candidates)
}

/// The last record of a segment; each is looked through once in the life of the process.
fn last_of(shared: &Shared, candidate: &Candidate) -> Result<Option<Last>, JournalError> {
    let key = (candidate.socket, candidate.segment.number);
    if let Some(last) = lock(&shared.last_ids).get(&key) {
        return Ok(Some(*last));
    }
    let bytes = match candidate.segment.read() {
        // compressed meanwhile: the next round sees it under its new name
        Err(JournalError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
            return Ok(None);
        }
        other => other?,
    };
    let scan = segment::scan(&bytes, candidate.socket);
    let last = scan.last.map(|last| Last {
        id: (last.id.session, last.id.sequence),
        received_at: last.received_at,
        records: scan.records,
    });
    if let Some(last) = last {
        lock(&shared.last_ids).insert(key, last);
    }
    Ok(last)
}

fn remove(shared: &Shared, candidate: &Candidate) -> Result<(), JournalError> {
    let path = &candidate.segment.path;
    match fs::remove_file(path) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(JournalError::io("removing", path)(error)),
    }
    let records = lock(&shared.last_ids).remove(&(candidate.socket, candidate.segment.number));
    let records = records.map_or(0, |last| last.records);
    tracing::info!(path = %path.display(), bytes = candidate.bytes, records, "stored segment removed");
    path.parent().map_or(Ok(()), sync_dir)
}
