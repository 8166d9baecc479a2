//! Whose folder it is: one import's, with one set of rules, and one process' at a time.

use crate::error::ImportError;
use crate::files::{failed, read_json, write_json};
use crate::rules::RulesFile;
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;

/// Written first: what a folder is an import of.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Identity {
    /// Host and port.
    pub(crate) endpoint: String,
    pub(crate) dbs: Vec<u32>,
    /// Rules beside the built-in ones: records that were recognised by some are not mixed with records by others.
    #[serde(default)]
    pub(crate) rules: Vec<RulesFile>,
}

impl Identity {
    /// Takes a folder, which is made where there is none. Nobody else has it until the lock is dropped, however that happens:
    /// two processes would give the same ids to different records.
    pub(crate) fn claim(&self, folder: &Path) -> Result<File, ImportError> {
        std::fs::create_dir_all(folder).map_err(failed(folder))?;
        let path = folder.join("lock");
        let opened = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        let lock = opened.map_err(failed(&path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(ImportError::Busy { folder: folder.to_owned() }),
            Err(TryLockError::Error(source)) => return Err(failed(&path)(source)),
        }
        let path = folder.join("import.json");
        match read_json::<Self>(&path)? {
            Some(found) if found == *self => {}
            Some(found) if (&found.endpoint, &found.dbs) == (&self.endpoint, &self.dbs) => {
                return Err(ImportError::OtherRules { folder: folder.to_owned() });
            }
            Some(found) => {
                return Err(ImportError::OtherSource {
                    folder: folder.to_owned(),
                    found: found.describe(),
                    wanted: self.describe(),
                });
            }
            None => write_json(&path, self)?,
        }
        Ok(lock)
    }

    fn describe(&self) -> String {
        let dbs: Vec<String> = self.dbs.iter().map(u32::to_string).collect();
        format!("{} (databases {})", self.endpoint, dbs.join(", "))
    }
}

/// Host and port of an address, without credentials.
pub(crate) fn endpoint_of(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let rest = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    rest.split(['/', '?']).next().unwrap_or_default().to_owned()
}
