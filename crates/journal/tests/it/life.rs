//! Writing, rolling, compressing, reading, pruning.

use crate::{
    close, empty, files, number_of, observed, open, options, previous_of, read_all, read_from, wait_for,
    wait_written, write,
};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::time::Duration;
use tickhouse_journal::{Journal, JournalError, JournalOptions, JournalReader, last_record};
use tickhouse_model::{RecordKind, Timestamp};
use tickhouse_telemetry::Clock;

fn small_segments() -> JournalOptions {
    JournalOptions { segment_bytes: 2_000, compression: Some(1), ..options() }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    /// The model is a list.
    #[test]
    fn what_was_appended_is_read_from_any_position(
        sessions in prop::collection::vec(prop::collection::vec(0_usize..400, 0..60), 1..5),
        start in any::<prop::sample::Index>(),
        batch in 1_usize..5_000,
    ) {
        let dir = tempfile::tempdir().unwrap();
        let mut model: Vec<((u64, u64), u64)> = Vec::new();
        for sizes in &sessions {
            let journal = open(dir.path(), small_segments());
            prop_assert!(model.last().is_none_or(|last| last.0.0 < journal.session()));
            let socket = journal.start_socket(1).unwrap();
            for (index, size) in sizes.iter().enumerate() {
                let number = model.len() as u64;
                socket.sender.blocking_send(observed(number, *size)).unwrap();
                if index % 7 == 0 {
                    wait_written(&socket, index as u64 + 1);
                }
                model.push(((journal.session(), index as u64 + 1), number));
            }
            close(journal, vec![socket]);
        }
        let from = start.index(model.len() + 1);
        let after = from.checked_sub(1).map(|index| model[index].0);
        let mut reader = JournalReader::open(dir.path(), crate::RECORDER, 1, after).unwrap();
        let mut entries = Vec::new();
        while reader.next_batch(batch, &mut entries).unwrap() > 0 {}
        let read: Vec<_> =
            entries.iter().map(|entry| ((entry.id.session, entry.id.sequence), number_of(entry))).collect();
        prop_assert_eq!(&read[..], &model[from..]);
        prop_assert_eq!(reader.damaged_bytes(), 0);
        // the first record of a session, and no other, names the one before it
        for (index, entry) in (from..).zip(&entries) {
            let before = index.checked_sub(1).map_or((0, 0), |before| model[before].0);
            prop_assert_eq!(previous_of(entry), (entry.id.sequence == 1).then_some(before));
        }
        let mut bounded = JournalReader::open(dir.path(), crate::RECORDER, 1, None).unwrap();
        let mut up_to = Vec::new();
        while bounded.next_batch_up_to(after.or(Some((0, 0))), batch, &mut up_to).unwrap() > 0 {}
        prop_assert!(up_to.len() == from, "{} of {from} records up to a known position", up_to.len());
    }
}

#[test]
fn a_second_recorder_of_the_name_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let first = open(dir.path(), options());
    let second = Journal::open(dir.path(), crate::RECORDER, options(), Clock::system());
    assert!(matches!(second, Err(JournalError::Locked { ref path }) if path.ends_with("kite-1/lock")));
    assert!(Journal::open(dir.path(), "other", options(), Clock::system()).is_ok());
    assert!(matches!(
        first.start_socket(1).and_then(|_| first.start_socket(1)),
        Err(JournalError::Started(1))
    ));
    drop(first);
    open(dir.path(), options());
    for name in ["", "..", "a/b", "a:b", ".x"] {
        assert!(matches!(
            Journal::open(dir.path(), name, options(), Clock::system()),
            Err(JournalError::Name(_))
        ));
    }
}

#[test]
fn a_session_rises_though_the_clock_goes_back() {
    let dir = tempfile::tempdir().unwrap();
    let at = |millis| {
        let clock = Clock::manual(Timestamp::from_millis(millis));
        Journal::open(dir.path(), crate::RECORDER, options(), clock).unwrap().session()
    };
    assert_eq!((at(1_000), at(1_000), at(5), at(2_000)), (1_000, 1_001, 1_002, 2_000));
    std::fs::remove_file(dir.path().join("kite-1/session")).unwrap();
    let session = write(dir.path(), options(), 0..1, 0);
    std::fs::remove_file(dir.path().join("kite-1/session")).unwrap();
    assert_eq!(at(7), session + 1, "the segments remember it too");
}

#[test]
fn a_reader_follows_writing_rolling_and_compression() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path(), small_segments());
    let socket = journal.start_socket(1).unwrap();
    let mut reader = JournalReader::open(dir.path(), crate::RECORDER, 1, None).unwrap();
    let total = 20_000_u64;
    let sender = socket.sender.clone();
    let writing = std::thread::spawn(move || {
        for number in 0..total {
            sender.blocking_send(observed(number, (number % 50) as usize)).unwrap();
        }
    });
    let mut entries = Vec::new();
    wait_for("reading everything", || {
        reader.next_batch(5_000, &mut entries).unwrap();
        entries.len() as u64 == total
    });
    writing.join().unwrap();
    assert!(entries.iter().map(number_of).eq(0..total));
    assert!(entries.iter().map(|entry| entry.id.sequence).eq(1..=total));
    assert_eq!(reader.damaged_bytes(), 0);
    // the batches decide where segments end, so there are fewer than 2,000-byte ones
    wait_for("compression", || files(dir.path(), 1, ".journal").len() <= 1);
    let packed = files(dir.path(), 1, ".zst").len();
    assert!(packed > 3, "{packed} compressed");
    assert!(read_all(dir.path(), 1).iter().map(number_of).eq(0..total));
    let status = journal.status();
    assert_eq!((status.sockets[0].records, status.sockets[0].frames), (total, total));
    close(journal, vec![socket]);
}

#[test]
fn pruning_never_removes_what_is_not_stored() {
    let dir = tempfile::tempdir().unwrap();
    let mut sessions = Vec::new();
    for start in 0..5 {
        sessions.push(write(dir.path(), options(), start * 10..start * 10 + 10, 50));
    }
    let journal = open(dir.path(), JournalOptions { keep_bytes: 0, ..options() });
    let marks = |session, sequence| BTreeMap::from([(1, (session, sequence))]);
    let none = journal.prune(&BTreeMap::new()).unwrap();
    assert_eq!((none.segments, none.unstored_bytes), (0, none.kept_bytes));
    assert_eq!(journal.prune(&marks(sessions[0], 9)).unwrap().segments, 0, "record 10 of it is not stored");
    assert_eq!(journal.prune(&marks(sessions[0], 10)).unwrap().segments, 1);
    assert_eq!(journal.prune(&marks(sessions[2], 3)).unwrap().segments, 1);
    let left: Vec<u64> = read_all(dir.path(), 1).iter().map(number_of).collect();
    assert!(left.iter().copied().eq(20..50), "{left:?}");
    // everything is stored: the newest segment stays all the same
    assert_eq!(journal.prune(&marks(u64::MAX, 0)).unwrap().segments, 2);
    assert!(read_all(dir.path(), 1).iter().map(number_of).eq(40..50));
}

#[test]
fn pruning_keeps_what_is_within_the_caps() {
    let dir = tempfile::tempdir().unwrap();
    for start in 0..4 {
        write(dir.path(), options(), start * 10..start * 10 + 10, 50);
    }
    let all = BTreeMap::from([(1, (u64::MAX, 0))]);
    let clock = Clock::manual(Timestamp::from_millis(1_763_700_000_000).plus(Duration::from_hours(1)));
    let keep = JournalOptions { keep_for: Duration::from_secs(3_601), ..options() };
    let journal = Journal::open(dir.path(), crate::RECORDER, keep, clock.clone()).unwrap();
    assert_eq!(journal.prune(&all).unwrap().segments, 0);
    clock.set(Timestamp::from_millis(i64::MAX / 2_000_000));
    assert_eq!(journal.prune(&all).unwrap().segments, 3, "all but the newest are too old");
}

#[test]
fn the_last_record_tells_when_data_last_came() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(last_record(dir.path(), crate::RECORDER, 1).unwrap(), None);
    write(dir.path(), options(), 0..5, 10);
    let journal = open(dir.path(), options());
    let socket = journal.start_socket(1).unwrap();
    let mut heartbeat = observed(9, 0);
    heartbeat.payload = vec![0].into();
    let mut text = observed(10, 0);
    (text.kind, text.payload) = (RecordKind::Text, empty());
    socket.sender.blocking_send(heartbeat).unwrap();
    socket.sender.blocking_send(text.clone()).unwrap();
    let session = journal.session();
    close(journal, vec![socket]);
    let last = last_record(dir.path(), crate::RECORDER, 1).unwrap().unwrap();
    assert_eq!((last.id.session, last.id.sequence, last.received_at), (session, 2, text.received_at));
    assert_eq!(last.last_data_at, observed(4, 0).received_at);
}

#[test]
fn sockets_have_journals_of_their_own() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path(), options());
    let sockets: Vec<_> = (1..=3).map(|socket| journal.start_socket(socket).unwrap()).collect();
    for number in 0..300 {
        let socket = &sockets[number as usize % 3];
        socket.sender.blocking_send(observed(number, 5)).unwrap();
    }
    close(journal, sockets);
    for socket in 1..=3_u16 {
        let (entries, _) = read_from(dir.path(), socket, None);
        let expected = (0..100).map(|index| index * 3 + u64::from(socket) - 1);
        assert!(entries.iter().map(number_of).eq(expected));
        assert!(entries.iter().map(|entry| entry.id.sequence).eq(1..=100));
    }
}
