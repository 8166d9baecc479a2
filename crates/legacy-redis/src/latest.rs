//! The last value of each key that is followed, as a hash: a value that is written once more is no new record.

use crate::recognise::Recognised;
use rustc_hash::FxHashMap;
use std::hash::{BuildHasher as _, RandomState};

/// Keys of a generation; two are kept, so what was seen lately stays known.
const GENERATION: usize = 500_000;

/// What keys held last.
#[derive(Debug, Default)]
pub(crate) struct Latest {
    hasher: RandomState,
    recent: FxHashMap<u64, u64>,
    older: FxHashMap<u64, u64>,
}

impl Latest {
    /// Whether a key holds other records than when it was last asked about. A key that was not seen for long is new.
    pub(crate) fn changes(&mut self, db: u32, key: &[u8], records: &[Recognised]) -> bool {
        let key = self.hasher.hash_one((db, key));
        let fields: Vec<&Vec<String>> = records.iter().map(|record| &record.fields).collect();
        let value = self.hasher.hash_one(fields);
        let last = self.recent.get(&key).or_else(|| self.older.get(&key)).copied();
        if self.recent.len() >= GENERATION && !self.recent.contains_key(&key) {
            self.older = std::mem::take(&mut self.recent);
        }
        self.recent.insert(key, value);
        last != Some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(price: &str) -> Recognised {
        Recognised { hour: 1, fields: vec!["last_price".to_owned(), price.to_owned()] }
    }

    #[test]
    fn a_value_is_new_once_and_again_after_another() {
        let mut latest = Latest::default();
        assert!(latest.changes(0, b"a", &[record("1")]));
        assert!(!latest.changes(0, b"a", &[record("1")]));
        assert!(latest.changes(0, b"b", &[record("1")]), "another key");
        assert!(latest.changes(1, b"a", &[record("1")]), "another database");
        assert!(latest.changes(0, b"a", &[record("2")]));
        assert!(latest.changes(0, b"a", &[record("1")]));
        assert!(latest.changes(0, b"a", &[record("1"), record("1")]));
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut latest = Latest::default();
        for key in 0..GENERATION + 10 {
            assert!(latest.changes(0, &key.to_le_bytes(), &[]));
        }
        assert!(latest.recent.len() + latest.older.len() <= 2 * GENERATION);
        assert!(!latest.changes(0, &5_usize.to_le_bytes(), &[]), "of the older ones");
    }
}
