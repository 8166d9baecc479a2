//! The recorder's log on local disk: every record of a socket, before anything else sees it.
//!
//! What enters: [`Observed`](tickhouse_model::Observed) from a socket. What leaves: the same as
//! [`Record`](tickhouse_model::Record)s with their identity, in order, from any position, to any number of readers. What
//! never happens here: overwriting, removing what is not stored, a system call or allocation per record beyond its copy.
//!
//! # What it promises
//! - What [`JournalPosition`] covers survives the death of the process at any instant, and the death of the machine up to
//!   the [`Fsync`] policy (100 ms by default; the session and the names of segments are always synced).
//! - Sequences of a session and socket are 1, 2, 3, … as they stand in the file; a session is never used twice, and its first
//!   record names the last one that the socket's journal held before, so that the end of a session is visible to a reader.
//! - Nothing that was accepted is dropped. A full disk makes the socket wait; see [`SocketStatus::fault`]. A record with
//!   cause `DiskFull` is therefore never written here: there is nothing missing on our side.
//! - One recorder of a name at a time: a second one gets [`JournalError::Locked`].
//!
//! # On disk
//!
//! ```text
//! <dir>/<recorder>/lock                          locked while a recorder runs
//! <dir>/<recorder>/session                       the highest session, as text
//! <dir>/<recorder>/<socket>/00000001.journal.zst closed and compressed
//! <dir>/<recorder>/<socket>/00000002.journal     closed or being written; a session begins a new one
//! <dir>/<recorder>/<socket>/00000001.cut         bytes that recovery cut off
//! <dir>/<recorder>/<socket>/00000001.journal.damaged  a second name of a segment with damage in its middle
//!
//! segment  header, then records up to the end of the file; integers little-endian
//! header   0 magic "TICKJRNL" · 8 u16 version · 10 u16 socket · 12 u32 header length (112) · 16 i64 created at (ns)
//!          24 u64 session and 32 u64 sequence of the first record · 40 recorder's name, 64 bytes, zero-padded
//!          104 u32 zero · 108 u32 CRC-32C of bytes 0..108
//! record   u32 length · u32 CRC-32C of the record's bytes · the record's bytes (tickhouse_model::Record)
//! ```
//!
//! Files are made with `create_new` and only ever appended to. The header carries the first record's identity, so a
//! position is found by reading headers, newest first, and at most one segment.
//!
//! # Recovery
//! At start, with the lock held, the last two segments of each socket are read through, if they are not compressed yet
//! (what is compressed was synced). Bytes after the last good record are a torn tail: they are cut off, kept in a `.cut` file
//! and counted. Bytes that fit no record while good records follow are damage, not a tail: nothing is cut, the segment gets a
//! second name that survives pruning, the damage is counted and logged, and readers go on at the next good record, which they
//! find by its checksum. A half-compressed file is removed, its original is still there. Then a new session begins in a new
//! segment, so whatever the tail lost, no id is ever given twice.
//!
//! # Threads
//! One writer per socket, one that syncs, one that compresses. A write that fails is tried again from the byte where it
//! stopped, so a reader never sees bytes change.

mod compress;
mod error;
mod journal;
mod options;
mod paths;
mod prune;
mod reader;
mod recover;
mod segment;
mod state;
mod writer;

pub use error::JournalError;
pub use journal::{Journal, JournalPosition, SocketJournal};
pub use options::{Fsync, JournalOptions};
pub use paths::recorders;
pub use prune::Pruned;
pub use reader::{JournalEntry, JournalReader};
pub use recover::{LastRecord, Recovery, last_record};
pub use state::{JournalStatus, SocketStatus};
