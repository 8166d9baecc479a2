//! A journal against the tables: chunks first, then the rows of those that differ.
//!
//! What enters: sums by chunk; rows of a chunk. What leaves: which rows are missing, double, altered or nobody's. What never happens here:
//! I/O.

use crate::chunk::{Chunk, Held};
use crate::stored::Table;
use rustc_hash::FxHashMap;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// What is wrong with a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The journal has it, the table does not.
    Missing,
    /// The table has it more than once.
    Duplicate,
    /// The table has another content under its identity.
    Altered,
    /// The table has it, the journal does not.
    Unknown,
}

/// The chunks of a table in which the journal and the table differ.
pub(crate) fn differing(
    journal: &BTreeMap<Chunk, Held>,
    stored: &BTreeMap<Chunk, Held>,
) -> BTreeSet<(Table, Chunk)> {
    let mut found = BTreeSet::new();
    for chunk in journal.keys().chain(stored.keys()) {
        let of = |side: &BTreeMap<Chunk, Held>| side.get(chunk).copied().unwrap_or_default();
        let (here, there) = (of(journal), of(stored));
        if here.frames != there.frames {
            found.insert((Table::Frames, *chunk));
        }
        if here.ticks != there.ticks || here.places != there.places {
            found.insert((Table::Ticks, *chunk));
        }
        if here.quarantined != there.quarantined {
            found.insert((Table::Quarantine, *chunk));
        }
    }
    found
}

/// A row that is wrong: sequence, packet index, how often.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Wrong {
    pub(crate) sequence: u64,
    pub(crate) packet_index: u16,
    pub(crate) verdict: Verdict,
    pub(crate) rows: u64,
}

/// Compares the rows of a chunk: sequence, packet index, digest.
pub(crate) fn rows(
    expected: impl IntoIterator<Item = (u64, u16, u64)>,
    found: impl IntoIterator<Item = (u64, u16, u64)>,
) -> Vec<Wrong> {
    // identity → wanted digest, rows with it, rows with another
    let mut seen: FxHashMap<(u64, u16), (Option<u64>, u64, u64)> = FxHashMap::default();
    for (sequence, index, digest) in expected {
        seen.entry((sequence, index)).or_default().0 = Some(digest);
    }
    for (sequence, index, digest) in found {
        let row = seen.entry((sequence, index)).or_default();
        let right = row.0 == Some(digest);
        row.1 += u64::from(right);
        row.2 += u64::from(!right);
    }
    let mut wrong = Vec::new();
    for ((sequence, packet_index), (wanted, right, other)) in seen {
        let mut say = |verdict, rows| {
            if rows > 0 {
                wrong.push(Wrong { sequence, packet_index, verdict, rows });
            }
        };
        match (wanted, right) {
            (None, _) => say(Verdict::Unknown, other),
            (Some(_), 0) => {
                say(Verdict::Missing, u64::from(other == 0));
                say(Verdict::Altered, u64::from(other > 0));
                say(Verdict::Duplicate, other.saturating_sub(1));
            }
            (Some(_), _) => say(Verdict::Duplicate, right + other - 1),
        }
    }
    wrong.sort_unstable();
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chunk::Sum;

    #[test]
    fn each_fault_has_its_word() {
        let journal = [(1, 0, 10), (1, 1, 11), (2, 0, 20), (3, 0, 30)];
        let words = |table: &[(u64, u16, u64)]| -> Vec<(u64, u16, Verdict, u64)> {
            let wrong = rows(journal, table.iter().copied());
            wrong.into_iter().map(|row| (row.sequence, row.packet_index, row.verdict, row.rows)).collect()
        };
        assert_eq!(words(&journal), []);
        assert_eq!(words(&journal[1..]), [(1, 0, Verdict::Missing, 1)]);
        assert_eq!(
            words(&[(1, 0, 10), (1, 1, 99), (2, 0, 20), (2, 0, 20), (2, 0, 20), (3, 0, 30), (9, 0, 1)]),
            [(1, 1, Verdict::Altered, 1), (2, 0, Verdict::Duplicate, 2), (9, 0, Verdict::Unknown, 1)]
        );
        assert_eq!(
            words(&[(1, 0, 10), (1, 1, 11), (2, 0, 20), (3, 0, 7), (3, 0, 8)]),
            [(3, 0, Verdict::Duplicate, 1), (3, 0, Verdict::Altered, 1)]
        );
    }

    #[test]
    fn chunks_differ_by_table() {
        let chunk = |number| Chunk { socket: 0, session: 1, number };
        let sum = |rows, digest| Sum { rows, digest };
        let held =
            Held { frames: sum(3, 1), ticks: sum(9, 2), places: sum(9, 3), quarantined: Sum::default() };
        let journal = BTreeMap::from([(chunk(0), held), (chunk(1), held)]);
        assert!(differing(&journal, &journal).is_empty());
        let mut stored = journal.clone();
        stored.insert(chunk(1), Held { ticks: sum(9, 4), ..held });
        stored.insert(chunk(2), Held { quarantined: sum(1, 1), ..Held::default() });
        let expected = BTreeSet::from([(Table::Ticks, chunk(1)), (Table::Quarantine, chunk(2))]);
        assert_eq!(differing(&journal, &stored), expected);
    }
}
