//! Where a recorder's files are.

use crate::JournalError;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tickhouse_model::SocketId;

/// The directory of a recorder's journals.
pub(crate) fn recorder_dir(dir: &Path, recorder: &str) -> Result<PathBuf, JournalError> {
    let fits = (1..=64).contains(&recorder.len())
        && !recorder.starts_with('.')
        && recorder.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    if fits { Ok(dir.join(recorder)) } else { Err(JournalError::Name(recorder.to_owned())) }
}

/// The directory of a socket's journal.
pub(crate) fn socket_dir(dir: &Path, recorder: &str, socket: SocketId) -> Result<PathBuf, JournalError> {
    Ok(recorder_dir(dir, recorder)?.join(socket.to_string()))
}

/// The sockets that have a directory, rising.
pub(crate) fn sockets(recorder_dir: &Path) -> Result<Vec<SocketId>, JournalError> {
    let entries = match std::fs::read_dir(recorder_dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(JournalError::io("listing", recorder_dir)(error)),
    };
    let mut sockets = Vec::new();
    for entry in entries {
        let entry = entry.map_err(JournalError::io("listing", recorder_dir))?;
        if entry.path().is_dir()
            && let Some(socket) = entry.file_name().to_str().and_then(|name| name.parse().ok())
        {
            sockets.push(socket);
        }
    }
    sockets.sort_unstable();
    Ok(sockets)
}

/// The recorders that have journals in this directory, and their sockets. A directory that is not there has none.
///
/// # Errors
/// When a directory can't be listed.
pub fn recorders(dir: &Path) -> Result<BTreeMap<String, Vec<SocketId>>, JournalError> {
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(error) => return Err(JournalError::io("listing", dir)(error)),
    };
    let mut recorders = BTreeMap::new();
    for entry in entries {
        let entry = entry.map_err(JournalError::io("listing", dir))?;
        let sockets = if entry.path().is_dir() { sockets(&entry.path())? } else { Vec::new() };
        if let (Some(name), false) = (entry.file_name().to_str(), sockets.is_empty()) {
            recorders.insert(name.to_owned(), sockets);
        }
    }
    Ok(recorders)
}

/// Replaces a small text file so that a crash leaves the old or the new text.
pub(crate) fn write_durably(path: &Path, text: &str) -> Result<(), JournalError> {
    use std::io::Write as _;
    let partial = path.with_extension("tmp");
    let mut file = std::fs::File::create(&partial).map_err(JournalError::io("creating", &partial))?;
    file.write_all(text.as_bytes())
        .and_then(|()| file.sync_all())
        .map_err(JournalError::io("writing", &partial))?;
    std::fs::rename(&partial, path).map_err(JournalError::io("replacing", path))?;
    path.parent().map_or(Ok(()), crate::segment::sync_dir)
}
