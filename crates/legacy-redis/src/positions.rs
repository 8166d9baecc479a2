//! Up to where each key of the source was read that is followed, on disk: memory does not grow with their number.
//!
//! Kept by the order of the plan, so that reading the plan writes them one after the other.

use crate::error::ImportError;
use crate::files::failed;
use crate::plan::{PlannedKey, bucket_of};
use crate::seen::{Change, Seen};
use redb::{Database, ReadableDatabase as _, TableDefinition};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

const TABLE: TableDefinition<'static, &[u8], &[u8]> = TableDefinition::new("positions");
/// Bytes of pages in memory.
const CACHE: usize = 16 << 20;
/// Keys and bytes that are noted in memory only, at most.
const PENDING: usize = 10_000;
const PENDING_BYTES: usize = 16 << 20;

/// Where reading has come to.
#[derive(Debug)]
pub(crate) struct Positions {
    path: PathBuf,
    database: Database,
    /// Not on disk yet; `None` is none.
    pending: BTreeMap<Vec<u8>, Option<Seen>>,
    pending_bytes: usize,
}

impl Positions {
    pub(crate) fn open(folder: &Path) -> Result<Self, ImportError> {
        let path = folder.join("positions");
        let created = redb::Builder::new().set_cache_size(CACHE).create(&path);
        let database = created.map_err(|error| failed(&path)(io::Error::other(error)))?;
        let mut positions = Self { path, database, pending: BTreeMap::new(), pending_bytes: 0 };
        // there is a table to read from
        positions.write()?;
        Ok(positions)
    }

    pub(crate) fn get(&self, db: u32, key: &[u8]) -> Result<Option<Seen>, ImportError> {
        let name = name_of(db, key);
        if let Some(pending) = self.pending.get(&name) {
            return Ok(pending.clone());
        }
        let stored = || -> Result<Option<Vec<u8>>, redb::Error> {
            let table = self.database.begin_read()?.open_table(TABLE)?;
            Ok(table.get(name.as_slice())?.map(|found| found.value().to_vec()))
        };
        let Some(bytes) = stored().map_err(|error| self.failed(error))? else { return Ok(None) };
        Ok(Some(serde_json::from_slice(&bytes).map_err(|error| self.failed(error))?))
    }

    /// Notes a position, or that there is none.
    pub(crate) fn set(&mut self, db: u32, key: &[u8], seen: Option<Seen>) -> Result<(), ImportError> {
        self.pending_bytes += match &seen {
            Some(Seen::SortedSet(set)) => 32 * set.known.len(),
            _ => 512,
        };
        self.pending.insert(name_of(db, key), seen);
        if self.pending.len() >= PENDING || self.pending_bytes >= PENDING_BYTES {
            self.flush()?;
        }
        Ok(())
    }

    /// Notes how a position went on.
    pub(crate) fn apply(&mut self, db: u32, key: &[u8], change: Change) -> Result<(), ImportError> {
        let seen = match &change {
            Change::To(_) => None,
            Change::SortedSet(_) => self.get(db, key)?,
        };
        self.set(db, key, Some(change.apply(seen)))
    }

    /// Makes what is noted durable.
    pub(crate) fn flush(&mut self) -> Result<(), ImportError> {
        if self.pending.is_empty() { Ok(()) } else { self.write() }
    }

    fn write(&mut self) -> Result<(), ImportError> {
        let written = || -> Result<(), redb::Error> {
            let transaction = self.database.begin_write()?;
            {
                let mut table = transaction.open_table(TABLE)?;
                for (name, seen) in &self.pending {
                    match seen {
                        Some(seen) => {
                            let bytes = serde_json::to_vec(seen).map_err(io::Error::from)?;
                            table.insert(name.as_slice(), bytes.as_slice())?;
                        }
                        None => {
                            table.remove(name.as_slice())?;
                        }
                    }
                }
            }
            Ok(transaction.commit()?)
        };
        written().map_err(|error| self.failed(error))?;
        self.pending.clear();
        self.pending_bytes = 0;
        Ok(())
    }

    /// Keys after one, in an order of their own; those on disk only. Fewer than asked for at the end.
    pub(crate) fn after(
        &self,
        last: Option<&PlannedKey>,
        most: usize,
    ) -> Result<Vec<PlannedKey>, ImportError> {
        let from = last.map(|(db, key)| {
            let mut name = name_of(*db, key);
            name.push(0);
            name
        });
        let read = || -> Result<Vec<PlannedKey>, redb::Error> {
            let table = self.database.begin_read()?.open_table(TABLE)?;
            let names = table.range(from.as_deref().unwrap_or_default()..)?;
            names.take(most).map(|one| Ok(key_of(one?.0.value()))).collect()
        };
        read().map_err(|error| self.failed(error))
    }

    fn failed(&self, error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> ImportError {
        failed(&self.path)(io::Error::other(error))
    }
}

/// The bucket of the plan, the database, the key.
fn name_of(db: u32, key: &[u8]) -> Vec<u8> {
    let mut name = Vec::with_capacity(5 + key.len());
    name.push(bucket_of(key));
    name.extend(db.to_be_bytes());
    name.extend(key);
    name
}

fn key_of(name: &[u8]) -> PlannedKey {
    match name {
        [_, a, b, c, d, key @ ..] => (u32::from_be_bytes([*a, *b, *c, *d]), key.to_vec()),
        _ => (0, Vec::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(id: &str) -> Seen {
        Seen::Stream(id.to_owned())
    }

    #[test]
    fn positions_are_there_before_and_after_they_are_on_disk() {
        let folder = tempfile::tempdir().unwrap();
        let mut positions = Positions::open(folder.path()).unwrap();
        positions.set(0, b"a", Some(stream("1-1"))).unwrap();
        positions.set(7, b"\xff\0", Some(stream("2-2"))).unwrap();
        assert_eq!(positions.get(0, b"a").unwrap(), Some(stream("1-1")));
        positions.flush().unwrap();
        positions.set(0, b"a", Some(stream("1-2"))).unwrap();
        positions.set(1, b"lost", Some(stream("9-9"))).unwrap();
        assert_eq!(positions.get(0, b"a").unwrap(), Some(stream("1-2")));
        drop(positions);
        let mut positions = Positions::open(folder.path()).unwrap();
        assert_eq!(positions.get(0, b"a").unwrap(), Some(stream("1-1")));
        assert_eq!(positions.get(7, b"\xff\0").unwrap(), Some(stream("2-2")));
        assert_eq!(positions.get(1, b"lost").unwrap(), None);
        positions.set(0, b"a", None).unwrap();
        positions.flush().unwrap();
        assert_eq!(positions.get(0, b"a").unwrap(), None);
    }

    #[test]
    fn every_key_is_found_in_turn() {
        let folder = tempfile::tempdir().unwrap();
        let mut positions = Positions::open(folder.path()).unwrap();
        let mut keys: Vec<PlannedKey> = (0..100_u32).map(|n| (n % 3, n.to_string().into_bytes())).collect();
        for (db, key) in &keys {
            positions.set(*db, key, Some(stream("1-1"))).unwrap();
        }
        positions.flush().unwrap();
        let (mut found, mut last) = (Vec::new(), None);
        loop {
            let part = positions.after(last.as_ref(), 7).unwrap();
            let Some(end) = part.last() else { break };
            last = Some(end.clone());
            found.extend(part);
        }
        keys.sort();
        found.sort();
        assert_eq!(found, keys);
    }
}
