//! What the threads of a journal share, and its counters.

use crate::{Fsync, JournalOptions};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fs::File;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tickhouse_model::SocketId;
use tickhouse_telemetry::{Clock, Latency};

/// What all threads of a recorder's journals share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) recorder: String,
    pub(crate) recorder_dir: PathBuf,
    pub(crate) session: u64,
    pub(crate) options: JournalOptions,
    pub(crate) clock: Clock,
    pub(crate) sockets: Mutex<BTreeMap<SocketId, Arc<SocketState>>>,
    pub(crate) compress: Bell,
    pub(crate) sync: Bell,
    /// Give up a batch that can't be written.
    pub(crate) abandon: AtomicBool,
    pub(crate) compressed_segments: AtomicU64,
    pub(crate) compression_errors: AtomicU64,
    pub(crate) warned_of_cap: AtomicBool,
    /// Highest id of closed segments that were looked through, by socket and number.
    pub(crate) last_ids: Mutex<BTreeMap<(SocketId, u64), crate::prune::Last>>,
}

impl Shared {
    pub(crate) fn sockets(&self) -> Vec<Arc<SocketState>> {
        lock(&self.sockets).values().cloned().collect()
    }

    /// The number of the segment that a socket writes, or would write first; lower ones are closed.
    pub(crate) fn first_open(&self, socket: SocketId) -> u64 {
        lock(&self.sockets).get(&socket).map_or(u64::MAX, |state| state.open_number.load(Ordering::Acquire))
    }
}

/// Wakes a thread, also to stop.
#[derive(Debug, Default)]
pub(crate) struct Bell {
    state: Mutex<(bool, bool)>,
    condition: Condvar,
}

impl Bell {
    pub(crate) fn ring(&self) {
        lock(&self.state).0 = true;
        self.condition.notify_all();
    }

    pub(crate) fn stop(&self) {
        lock(&self.state).1 = true;
        self.condition.notify_all();
    }

    pub(crate) fn is_stopped(&self) -> bool {
        lock(&self.state).1
    }

    /// Waits for a ring or the timeout; false to stop.
    pub(crate) fn wait(&self, timeout: Duration) -> bool {
        let guard = lock(&self.state);
        let (mut guard, _) = self
            .condition
            .wait_timeout_while(guard, timeout, |(rung, stopped)| !*rung && !*stopped)
            .unwrap_or_else(PoisonError::into_inner);
        guard.0 = false;
        !guard.1
    }
}

/// Locks; a panic of another holder leaves values that are whole.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What the threads know of one socket.
#[derive(Debug)]
pub(crate) struct SocketState {
    pub(crate) socket: SocketId,
    pub(crate) dir: PathBuf,
    pub(crate) open_number: AtomicU64,
    /// Files with bytes that are not on the disk itself, and the last sequence in them.
    pub(crate) dirty: Mutex<Vec<(Arc<File>, u64)>>,
    pub(crate) fault: Mutex<Option<String>>,
    pub(crate) records: AtomicU64,
    pub(crate) frames: AtomicU64,
    pub(crate) bytes: AtomicU64,
    pub(crate) batches: AtomicU64,
    pub(crate) segments: AtomicU64,
    pub(crate) write_errors: AtomicU64,
    pub(crate) abandoned: AtomicU64,
    pub(crate) sync_errors: AtomicU64,
    pub(crate) durable: AtomicU64,
    /// From the socket to the file.
    pub(crate) latency: Mutex<Latency>,
}

impl SocketState {
    pub(crate) fn new(socket: SocketId, dir: PathBuf, open_number: u64) -> Self {
        Self {
            socket,
            dir,
            open_number: AtomicU64::new(open_number),
            dirty: Mutex::default(),
            fault: Mutex::default(),
            records: AtomicU64::new(0),
            frames: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            batches: AtomicU64::new(0),
            segments: AtomicU64::new(0),
            write_errors: AtomicU64::new(0),
            abandoned: AtomicU64::new(0),
            sync_errors: AtomicU64::new(0),
            durable: AtomicU64::new(0),
            latency: Mutex::default(),
        }
    }

    /// Notes that `file` has bytes up to `sequence` that are not on the disk.
    pub(crate) fn note_dirty(&self, file: &Arc<File>, sequence: u64) {
        let mut dirty = lock(&self.dirty);
        match dirty.last_mut() {
            Some((last, up_to)) if Arc::ptr_eq(last, file) => *up_to = sequence,
            _ => dirty.push((Arc::clone(file), sequence)),
        }
    }

    /// Forces what is dirty to the disk.
    pub(crate) fn sync(&self) {
        let mut dirty = std::mem::take(&mut *lock(&self.dirty)).into_iter();
        while let Some((file, sequence)) = dirty.next() {
            match file.sync_data() {
                Ok(()) => {
                    self.durable.fetch_max(sequence, Ordering::AcqRel);
                }
                Err(error) => {
                    if self.sync_errors.fetch_add(1, Ordering::Relaxed) == 0 {
                        tracing::error!(socket = self.socket, %error, "journal can't be synced");
                    }
                    let mut kept = lock(&self.dirty);
                    let newer = std::mem::take(&mut *kept);
                    kept.push((file, sequence));
                    kept.extend(dirty);
                    kept.extend(newer);
                    return;
                }
            }
        }
    }

    pub(crate) fn status(&self) -> SocketStatus {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        SocketStatus {
            socket: self.socket,
            records: read(&self.records),
            frames: read(&self.frames),
            bytes: read(&self.bytes),
            batches: read(&self.batches),
            segments: read(&self.segments),
            write_errors: read(&self.write_errors),
            abandoned: read(&self.abandoned),
            sync_errors: read(&self.sync_errors),
            durable_sequence: read(&self.durable),
            fault: lock(&self.fault).clone(),
        }
    }
}

/// Counters of one socket's journal since the process began. `records` must equal what the socket handed over.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SocketStatus {
    /// Which socket.
    pub socket: SocketId,
    /// Records written: also the last sequence of this session.
    pub records: u64,
    /// Those of them that are binary messages, heartbeats included.
    pub frames: u64,
    /// Bytes written, headers included.
    pub bytes: u64,
    /// Writes to the file.
    pub batches: u64,
    /// Segments begun.
    pub segments: u64,
    /// Writes that failed and were tried again.
    pub write_errors: u64,
    /// Records given up at the end of the process because the disk stayed full.
    pub abandoned: u64,
    /// Failures to force bytes to the disk.
    pub sync_errors: u64,
    /// The last sequence of this session that is on the disk itself; 0 with [`Fsync::Never`].
    pub durable_sequence: u64,
    /// Why nothing can be written at the moment, e.g. a full disk. The socket waits meanwhile, nothing is dropped.
    pub fault: Option<String>,
}

/// Counters of a recorder's journals since the process began.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct JournalStatus {
    /// By socket, rising.
    pub sockets: Vec<SocketStatus>,
    /// Closed segments compressed.
    pub compressed_segments: u64,
    /// Segments that could not be compressed and stay as they are.
    pub compression_errors: u64,
}

/// Forces dirty files to the disk at the pace of the policy, until the bell stops it.
pub(crate) fn run_syncer(shared: &Shared) {
    let Fsync::Every(pace) = shared.options.fsync else { return };
    while shared.sync.wait(pace) {
        shared.sockets().iter().for_each(|socket| socket.sync());
    }
    shared.sockets().iter().for_each(|socket| socket.sync());
}
