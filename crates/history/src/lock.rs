//! One process at a time, by the system's lock on a file: it ends with its holder, however that ends.

use crate::HistoryError;
use std::fs::{File, OpenOptions};
use std::path::Path;

/// A lock that is held. Dropping it lets the next one in.
#[derive(Debug)]
pub(crate) struct Lock(File);

impl Lock {
    /// The file, for its holder.
    pub(crate) const fn file(&self) -> &File {
        &self.0
    }

    /// Waits for the lock. The folder and the file are made where they are missing.
    pub(crate) async fn take(path: &Path) -> Result<Self, HistoryError> {
        let path = path.to_owned();
        let taken = tokio::task::spawn_blocking(move || {
            let failed = |source| HistoryError::File { path: path.clone(), source };
            if let Some(folder) = path.parent() {
                std::fs::create_dir_all(folder).map_err(failed)?;
            }
            let file = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(&path);
            let file = file.map_err(failed)?;
            file.lock().map_err(failed)?;
            Ok(Self(file))
        });
        taken.await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
    }
}
