//! Files that a crash leaves old or new, never half.

use crate::error::ImportError;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;

/// An error of this file.
pub(crate) fn failed(path: &Path) -> impl FnOnce(io::Error) -> ImportError {
    let path = path.to_owned();
    move |source| ImportError::File { path, source }
}

/// Writes a value as JSON: synced beside the old one, then put in its place.
pub(crate) fn write_json(path: &Path, value: &impl Serialize) -> Result<(), ImportError> {
    let partial = path.with_extension("partial");
    let written = || {
        let mut file = File::create(&partial)?;
        file.write_all(&serde_json::to_vec(value)?)?;
        file.sync_all()?;
        std::fs::rename(&partial, path)?;
        sync_folder_of(path)
    };
    written().map_err(failed(path))
}

/// The value of a file, `None` when there is none.
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, ImportError> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(path)(error)),
    };
    serde_json::from_slice(&bytes).map(Some).map_err(|error| ImportError::Damaged {
        path: path.to_owned(),
        what: error.to_string(),
        folder: path.parent().unwrap_or(path).to_owned(),
    })
}

/// Makes names in the folder of this file durable.
pub(crate) fn sync_folder_of(path: &Path) -> io::Result<()> {
    File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
}

/// Removes a folder, if there is one.
pub(crate) fn remove_folder(path: &Path) -> Result<(), ImportError> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(path)(error)),
        _ => Ok(()),
    }
}
