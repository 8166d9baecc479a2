//! Torn tails, flipped bits, cut headers.

use crate::{files, number_of, open, options, previous_of, read_from, write};
use proptest::prelude::*;
use std::fs;

const HEADER_LEN: usize = 112;

/// Where each record begins, by the format as documented, not by the code under test.
fn starts(bytes: &[u8]) -> Vec<usize> {
    let mut at = HEADER_LEN;
    let mut starts = Vec::new();
    while at < bytes.len() {
        starts.push(at);
        at += 8 + u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
    }
    assert_eq!(at, bytes.len());
    starts.push(at);
    starts
}

#[test]
fn a_tail_cut_at_every_byte_loses_only_what_was_cut() {
    let whole = tempfile::tempdir().unwrap();
    let first_session = write(whole.path(), options(), 0..4, 20);
    let source = files(whole.path(), 1, ".journal").remove(0);
    let bytes = fs::read(&source).unwrap();
    let starts = starts(&bytes);
    for cut in 0..bytes.len() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), options(), 0..1, 0);
        let target = files(dir.path(), 1, ".journal").remove(0);
        fs::write(&target, &bytes[..cut]).unwrap();
        let whole_records = starts.iter().filter(|start| **start <= cut).count().saturating_sub(1);
        let journal = open(dir.path(), options());
        let good_end = if cut < HEADER_LEN { 0 } else { starts[whole_records] };
        assert_eq!(journal.recovery().cut_bytes, (cut - good_end) as u64, "cut at {cut}");
        assert_eq!(journal.recovery().damaged_bytes, 0, "cut at {cut}");
        assert!(journal.session() > first_session);
        let socket = journal.start_socket(1).unwrap();
        socket.sender.blocking_send(crate::observed(99, 3)).unwrap();
        crate::close(journal, vec![socket]);
        let (entries, damaged) = read_from(dir.path(), 1, None);
        assert_eq!(damaged, 0, "cut at {cut}: the torn end is still there");
        let numbers: Vec<u64> = entries.iter().map(number_of).collect();
        let expected: Vec<u64> = (0..whole_records as u64).chain([99]).collect();
        assert_eq!(numbers, expected, "cut at {cut}");
        // what the repair left is what the next session calls its predecessor
        let left = if whole_records == 0 { (0, 0) } else { (first_session, whole_records as u64) };
        assert_eq!(previous_of(entries.last().unwrap()), Some(left), "cut at {cut}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn a_flipped_bit_costs_at_most_its_own_record(
        sizes in prop::collection::vec(0_usize..60, 3..12),
        place in any::<prop::sample::Index>(),
        bit in 0_u8..8,
        followed in any::<bool>(),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let journal = open(dir.path(), options());
        let socket = journal.start_socket(1).unwrap();
        for (number, len) in sizes.iter().enumerate() {
            socket.sender.blocking_send(crate::observed(number as u64, *len)).unwrap();
        }
        crate::close(journal, vec![socket]);
        let path = files(dir.path(), 1, ".journal").remove(0);
        let mut bytes = fs::read(&path).unwrap();
        let starts = starts(&bytes);
        let at = place.index(bytes.len());
        bytes[at] ^= 1 << bit;
        fs::write(&path, &bytes).unwrap();
        if followed {
            write(dir.path(), options(), 50..52, 5);
        }
        let hit = starts.iter().rposition(|start| *start <= at);
        let mut expected: Vec<u64> = (0..sizes.len() as u64).filter(|number| Some(*number as usize) != hit).collect();
        if followed {
            expected.extend([50, 51]);
        }
        let (entries, damaged) = read_from(dir.path(), 1, None);
        prop_assert_eq!(entries.iter().map(number_of).collect::<Vec<_>>(), expected);
        let is_last = hit == Some(sizes.len() - 1);
        // an unfollowed last record may still be on its way, and recovery cut it when another session followed
        prop_assert!(damaged > 0 || is_last, "damage at {} was not told", at);
    }
}

#[test]
fn damage_between_records_is_kept_and_told() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), options(), 0..10, 20);
    let path = files(dir.path(), 1, ".journal").remove(0);
    let mut bytes = fs::read(&path).unwrap();
    let starts = starts(&bytes);
    bytes[starts[4] + 30] ^= 1;
    fs::write(&path, &bytes).unwrap();
    let journal = open(dir.path(), options());
    assert_eq!(journal.recovery().damaged_bytes, (starts[5] - starts[4]) as u64);
    assert_eq!(journal.recovery().cut_bytes, 0);
    assert_eq!(fs::read(&path).unwrap(), bytes, "a damaged segment is not touched");
    assert_eq!(files(dir.path(), 1, ".damaged").len(), 1);
}
