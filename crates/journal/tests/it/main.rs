//! The journal's promises, on a real file system and with real processes.

#![allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

mod crash;
mod damage;
mod life;

use bytes::Bytes;
use std::path::Path;
use std::time::{Duration, Instant};
use tickhouse_journal::{
    Fsync, Journal, JournalEntry, JournalError, JournalOptions, JournalReader, SocketJournal,
};
use tickhouse_model::{Observed, Record, RecordKind, SnapshotMarks, Timestamp};
use tickhouse_telemetry::Clock;

pub(crate) const RECORDER: &str = "kite-1";

pub(crate) fn options() -> JournalOptions {
    JournalOptions { fsync: Fsync::Never, compression: None, ..JournalOptions::default() }
}

/// Opens a journal. Another test of this program that starts a child process just then holds the lock of a journal that was
/// dropped for as long as the child takes from fork to exec: that is waited for.
pub(crate) fn open(dir: &Path, options: JournalOptions) -> Journal {
    let deadline = Instant::now() + Duration::from_secs(5);
    while Instant::now() < deadline {
        match Journal::open(dir, RECORDER, options.clone(), Clock::system()) {
            Err(JournalError::Locked { .. }) => std::thread::sleep(Duration::from_millis(1)),
            opened => return opened.unwrap(),
        }
    }
    Journal::open(dir, RECORDER, options, Clock::system()).unwrap()
}

/// An observation whose payload tells its number.
pub(crate) fn observed(number: u64, len: usize) -> Observed {
    let mut payload = number.to_le_bytes().to_vec();
    payload.resize(8 + len, number as u8);
    Observed {
        received_at: Timestamp::from_millis(1_763_700_000_000 + number as i64),
        kind: RecordKind::Frame,
        snapshots: SnapshotMarks::None,
        payload: payload.into(),
    }
}

pub(crate) fn number_of(entry: &JournalEntry) -> u64 {
    let record = Record::decode(&entry.bytes).unwrap();
    assert_eq!((record.id, record.received_at, record.kind), (entry.id, entry.received_at, entry.kind));
    assert_eq!(Record::checksum_of(&entry.bytes), entry.checksum);
    u64::from_le_bytes(record.payload[..8].try_into().unwrap())
}

/// What a record says of the one before it.
pub(crate) fn previous_of(entry: &JournalEntry) -> Option<(u64, u64)> {
    Record::decode(&entry.bytes).unwrap().previous
}

pub(crate) fn read_from(dir: &Path, socket: u16, after: Option<(u64, u64)>) -> (Vec<JournalEntry>, u64) {
    let mut reader = JournalReader::open(dir, RECORDER, socket, after).unwrap();
    let mut entries = Vec::new();
    while reader.next_batch(10_000, &mut entries).unwrap() > 0 {}
    (entries, reader.damaged_bytes())
}

pub(crate) fn read_all(dir: &Path, socket: u16) -> Vec<JournalEntry> {
    read_from(dir, socket, None).0
}

pub(crate) fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < deadline, "{what} did not happen within 20 s");
        std::thread::sleep(Duration::from_millis(2));
    }
}

pub(crate) fn wait_written(socket: &SocketJournal, sequence: u64) {
    wait_for("the write", || socket.position.borrow().sequence >= sequence);
}

pub(crate) fn close(journal: Journal, sockets: Vec<SocketJournal>) {
    drop(sockets);
    let status = journal.close(Duration::from_secs(20));
    assert!(status.sockets.iter().all(|socket| socket.abandoned == 0), "{status:?}");
}

/// The files of a socket with this ending, rising.
pub(crate) fn files(dir: &Path, socket: u16, ending: &str) -> Vec<std::path::PathBuf> {
    let mut files: Vec<_> = std::fs::read_dir(dir.join(RECORDER).join(socket.to_string()))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_str().unwrap().ends_with(ending))
        .collect();
    files.sort();
    files
}

pub(crate) fn write(dir: &Path, options: JournalOptions, numbers: std::ops::Range<u64>, len: usize) -> u64 {
    let journal = open(dir, options);
    let session = journal.session();
    let socket = journal.start_socket(1).unwrap();
    for number in numbers {
        socket.sender.blocking_send(observed(number, len)).unwrap();
    }
    close(journal, vec![socket]);
    session
}

pub(crate) fn empty() -> Bytes {
    Bytes::new()
}
