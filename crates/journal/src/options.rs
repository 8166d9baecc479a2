//! What can be set about a journal.

use std::time::Duration;

/// When appended bytes are forced to the disk itself. A crash of the process alone loses nothing that was written,
/// whatever the policy: this is about power and the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fsync {
    /// When the kernel likes (about 30 s on Linux).
    Never,
    /// This often, by a thread of its own, so that no append waits for it. What it bounds is the loss at a power cut.
    Every(Duration),
    /// Before a batch counts as written. Costs a disk's flush for each batch.
    EachBatch,
}

/// What can be set about the journals of a recorder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalOptions {
    /// A segment is closed when it has this many bytes. Reading one needs as much memory after damage only.
    pub segment_bytes: u64,
    /// A segment is closed by the first record after this much time.
    pub segment_age: Duration,
    /// When bytes are forced to the disk.
    pub fsync: Fsync,
    /// Records that a socket's queue holds; when it is full the socket waits, and TCP pushes back.
    pub queue_len: usize,
    /// zstd level for closed segments, none to leave them as they are.
    pub compression: Option<i32>,
    /// Bytes of all closed segments of the recorder beyond which stored ones go, oldest first.
    pub keep_bytes: u64,
    /// Age of a segment's last record beyond which it goes once it is stored.
    pub keep_for: Duration,
}

impl Default for JournalOptions {
    fn default() -> Self {
        Self {
            segment_bytes: 32 << 20,
            segment_age: Duration::from_mins(10),
            fsync: Fsync::Every(Duration::from_millis(100)),
            queue_len: 1_024,
            compression: Some(3),
            keep_bytes: 20 << 30,
            keep_for: Duration::from_hours(7 * 24),
        }
    }
}
