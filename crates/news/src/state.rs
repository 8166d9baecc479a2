//! What a poller remembers of a feed, on disk: it outlives Redis.

use crate::error::NewsError;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::collections::{HashSet, VecDeque};
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// Items that are remembered: several times what a document may hold.
const REMEMBERED: usize = 5_000;

/// What is remembered of one feed.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct FeedState {
    /// `ETag` of the document that was read last.
    pub(crate) etag: Option<String>,
    /// Its `Last-Modified`.
    pub(crate) last_modified: Option<String>,
    /// Identities of published items, the oldest first.
    seen: VecDeque<String>,
    #[serde(skip)]
    known: HashSet<String>,
}

impl FeedState {
    /// As remembered; empty when nothing is, or nothing readable: Redis still knows what was published lately.
    pub(crate) fn read(path: &Path) -> Self {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let mut state: Self = serde_json::from_str(&text).unwrap_or_default();
        state.known = state.seen.iter().cloned().collect();
        state
    }

    pub(crate) fn knows(&self, identity: &str) -> bool {
        self.known.contains(identity)
    }

    pub(crate) fn remember(&mut self, identity: String) {
        if self.known.insert(identity.clone()) {
            self.seen.push_back(identity);
        }
        while self.seen.len() > REMEMBERED {
            if let Some(oldest) = self.seen.pop_front() {
                self.known.remove(&oldest);
            }
        }
    }

    /// Writes it so that a crash leaves the old or the new one.
    pub(crate) fn write(&self, path: &Path) -> Result<(), NewsError> {
        let failed = |source| NewsError::State { path: path.to_owned(), source };
        let partial = path.with_extension("partial");
        let text = serde_json::to_string(self).map_err(|error| failed(error.into()))?;
        let written = || {
            if let Some(folder) = path.parent() {
                std::fs::create_dir_all(folder)?;
            }
            let mut file = File::create(&partial)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            std::fs::rename(&partial, path)
        };
        written().map_err(failed)
    }
}

/// The file of a feed.
pub(crate) fn path_of(folder: &Path, address: &str) -> PathBuf {
    folder.join(format!("{}.json", hex::encode(&Sha256::digest(address.as_bytes())[..12])))
}
