//! Keys that are looked at in turn, whether or not the source told that they changed: those that are known, and those that came while nobody
//! listened.

use crate::error::ImportError;
use crate::plan::PlannedKey;
use crate::positions::Positions;
use crate::source::SourceDb;

/// Keys of a round.
const SLICE: usize = 2_000;

/// How far both are.
#[derive(Debug, Default)]
pub(crate) struct Sweep {
    /// The last known key of the round before; `None` at the beginning.
    last: Option<PlannedKey>,
    /// The database that is scanned, of all, and its cursor.
    scan: (usize, Option<String>),
}

impl Sweep {
    pub(crate) const fn known_at_start(&self) -> bool {
        self.last.is_none()
    }

    pub(crate) const fn scan_at_start(&self) -> bool {
        self.scan.0 == 0 && self.scan.1.is_none()
    }

    /// The next keys that are known.
    pub(crate) fn known(&mut self, positions: &mut Positions) -> Result<Vec<PlannedKey>, ImportError> {
        if self.last.is_none() {
            positions.flush()?;
        }
        let keys = positions.after(self.last.as_ref(), SLICE)?;
        self.last = if keys.len() < SLICE { None } else { keys.last().cloned() };
        Ok(keys)
    }

    /// The next keys of the source that are not known.
    pub(crate) async fn unknown(
        &mut self,
        dbs: &mut [(u32, SourceDb)],
        positions: &Positions,
    ) -> Result<Vec<PlannedKey>, ImportError> {
        let (at, cursor) = std::mem::take(&mut self.scan);
        let count = dbs.len();
        let Some((db, source)) = dbs.get_mut(at) else { return Ok(Vec::new()) };
        let scanned = source.scan(cursor.as_deref().unwrap_or("0"), SLICE as u64).await?;
        self.scan = match scanned.next {
            _ if scanned.lost => (at, None),
            Some(next) => (at, Some(next)),
            None if at + 1 < count => (at + 1, None),
            None => (0, None),
        };
        let db = *db;
        let mut keys = Vec::new();
        for key in scanned.keys {
            if positions.get(db, &key)?.is_none() {
                keys.push((db, key));
            }
        }
        Ok(keys)
    }
}
