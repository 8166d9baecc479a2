//! The ledger against the other tables: what `frames` says there was, whether or not a journal still has it.
//!
//! What enters: sums by chunk. What leaves: the chunks that do not balance. What never happens here: I/O.

use crate::chunk::Chunk;
use crate::stored::Ledger;
use serde::Serialize;
use std::collections::BTreeMap;

/// A chunk of `frames` that does not balance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Imbalance {
    /// Whose.
    pub recorder: String,
    /// Session and socket.
    pub session: u64,
    /// Session and socket.
    pub socket: u16,
    /// The sequences that the chunk has rows of.
    pub sequences: (u64, u64),
    /// What is wrong.
    pub fault: Fault,
}

/// What does not balance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Fault {
    /// Rows of records are missing between the first and the last, or double.
    Records {
        /// Rows there must be.
        expected: u64,
        /// Rows there are.
        found: u64,
    },
    /// Packets are missing or double, or in one table for another's.
    Packets {
        /// Ticks and quarantined packets that `frames` tells of.
        expected: u64,
        /// Rows there are.
        found: u64,
    },
    /// Rows of `tick_data` or `quarantine` without any row in `frames`.
    WithoutRecord {
        /// Rows there are.
        found: u64,
    },
}

impl Imbalance {
    /// Whether it is a hole that the loader passed and recorded. `lost`: session, socket and sequence of the records after such holes.
    pub(crate) fn is_named(&self, lost: &[(u64, u16, u64)]) -> bool {
        let fewer = matches!(self.fault, Fault::Records { expected, found } if found < expected);
        let sequences = self.sequences.0..=self.sequences.1;
        let here = |(session, socket, sequence): &(u64, u16, u64)| {
            (*session, *socket) == (self.session, self.socket) && sequences.contains(sequence)
        };
        fewer && lost.iter().any(here)
    }
}

/// The chunks that do not balance.
pub(crate) fn imbalances(recorder: &str, ledger: &BTreeMap<Chunk, Ledger>) -> Vec<Imbalance> {
    let mut found = Vec::new();
    let mut before: Option<(&Chunk, &Ledger)> = None;
    for (chunk, of) in ledger {
        let follows =
            before.filter(|(other, _)| (other.socket, other.session) == (chunk.socket, chunk.session));
        // what lies between two chunks belongs to the later one
        let begin = follows.filter(|_| of.records > 0).map_or(of.first, |(_, other)| other.last + 1);
        let faults = [records(of, begin), packets(of)].into_iter().flatten();
        found.extend(faults.map(|fault| Imbalance {
            recorder: recorder.to_owned(),
            session: chunk.session,
            socket: chunk.socket,
            sequences: (of.first, of.last),
            fault,
        }));
        if of.records > 0 {
            before = Some((chunk, of));
        }
    }
    found
}

fn records(of: &Ledger, begin: u64) -> Option<Fault> {
    if of.records == 0 {
        let found = of.ticks.rows + of.quarantined.rows;
        return (found > 0).then_some(Fault::WithoutRecord { found });
    }
    let expected = (of.last + 1).saturating_sub(begin);
    let whole = of.records == expected && of.sequences == series(begin, of.last);
    (!whole).then_some(Fault::Records { expected, found: of.records })
}

fn packets(of: &Ledger) -> Option<Fault> {
    let expected = of.said_ticks + of.said_quarantined;
    let found = of.ticks.rows + of.quarantined.rows;
    let places = of.ticks.digest.wrapping_add(of.quarantined.digest);
    let balances = of.ticks.rows == of.said_ticks
        && of.quarantined.rows == of.said_quarantined
        && places == of.said_places;
    (of.records > 0 && !balances).then_some(Fault::Packets { expected, found })
}

/// The sum of these numbers and of their squares, as 64 bits wrap. A number that is missing while another is double changes one of them,
/// whatever it is.
fn series(first: u64, last: u64) -> (u64, u64) {
    let up_to = |last: u128| (last * (last + 1) / 2, last * (last + 1) * (2 * last + 1) / 6);
    let (high, low) = (up_to(last.into()), up_to(u128::from(first.saturating_sub(1))));
    ((high.0 - low.0) as u64, (high.1 - low.1) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chunk::Sum;
    use proptest::prelude::*;

    fn ledger(sequences: &[u64]) -> Ledger {
        let sums = sequences.iter().fold((0_u64, 0_u64), |sums, sequence| {
            (sums.0.wrapping_add(*sequence), sums.1.wrapping_add(sequence.wrapping_mul(*sequence)))
        });
        Ledger {
            records: sequences.len() as u64,
            first: sequences.iter().copied().min().unwrap_or(0),
            last: sequences.iter().copied().max().unwrap_or(0),
            sequences: sums,
            ..Ledger::default()
        }
    }

    fn found(chunks: &[(u64, Ledger)]) -> Vec<Fault> {
        let chunk = |number| Chunk { socket: 0, session: 7, number };
        let all = chunks.iter().map(|(number, of)| (chunk(*number), *of)).collect();
        imbalances("main", &all).into_iter().map(|imbalance| imbalance.fault).collect()
    }

    #[test]
    fn chunks_that_follow_each_other_balance() {
        assert_eq!(found(&[(0, ledger(&[1, 2, 3])), (1, ledger(&[4, 5])), (2, ledger(&[6]))]), []);
        assert_eq!(
            found(&[(0, ledger(&[1, 2, 3])), (1, ledger(&[5]))]),
            [Fault::Records { expected: 2, found: 1 }],
            "the end of a chunk is missing"
        );
        let ticks = Ledger { ticks: Sum { rows: 3, digest: 9 }, ..Ledger::default() };
        assert_eq!(found(&[(0, ticks)]), [Fault::WithoutRecord { found: 3 }]);
    }

    #[test]
    fn a_packet_that_is_missing_is_not_hidden_by_one_that_is_double() {
        let said = Ledger { said_ticks: 5, said_places: 100, ..ledger(&[1]) };
        let whole = Ledger { ticks: Sum { rows: 5, digest: 100 }, ..said };
        assert_eq!(found(&[(0, whole)]), []);
        let swapped = Ledger { ticks: Sum { rows: 5, digest: 101 }, ..said };
        assert_eq!(found(&[(0, swapped)]), [Fault::Packets { expected: 5, found: 5 }]);
        let quarantined = Ledger {
            ticks: Sum { rows: 4, digest: 60 },
            quarantined: Sum { rows: 1, digest: 40 },
            said_ticks: 4,
            said_quarantined: 1,
            ..said
        };
        assert_eq!(found(&[(0, quarantined)]), []);
    }

    proptest! {
        #[test]
        fn one_sequence_for_another_is_seen(
            first in 1_u64..1 << 40, len in 3_u64..200, lost in 0_u64..1 << 20, twice in 0_u64..1 << 20,
        ) {
            let mut sequences: Vec<u64> = (first..first + len).collect();
            prop_assert_eq!(found(&[(0, ledger(&sequences))]), []);
            // inner ones, so that neither end tells it
            let (lost, twice) = (1 + lost % (len - 2), 1 + twice % (len - 2));
            sequences[lost as usize] = sequences[twice as usize];
            prop_assert_eq!(found(&[(0, ledger(&sequences))]).is_empty(), lost == twice);
        }
    }
}
