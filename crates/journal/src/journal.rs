//! The journals of one recorder: lock, session, sockets, threads.

use crate::prune::{self, Pruned};
use crate::recover::{self, Recovery};
use crate::state::{Bell, JournalStatus, Shared, SocketState, lock, run_syncer};
use crate::writer::Writer;
use crate::{JournalError, JournalOptions, compress, paths, segment};
use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tickhouse_model::{Observed, SocketId, Timestamp};
use tickhouse_telemetry::{Clock, Latency};
use tokio::sync::{mpsc, watch};

/// How far a socket's journal reaches. Everything up to here can be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JournalPosition {
    /// The session of this process.
    pub session: u64,
    /// The last sequence written, 0 before the first.
    pub sequence: u64,
    /// When that record was received.
    pub received_at: Timestamp,
}

/// The recorder's end of one socket's journal.
#[derive(Debug)]
pub struct SocketJournal {
    /// Which socket.
    pub socket: SocketId,
    /// Takes what happened. Bounded: when it is full, wait (`send().await`); nothing is dropped. Drop every clone to end.
    pub sender: mpsc::Sender<Observed>,
    /// How far the journal reaches; changes once per batch.
    pub position: watch::Receiver<JournalPosition>,
}

/// The journals of one recorder, whose only writer this is as long as it lives.
#[derive(Debug)]
pub struct Journal {
    shared: Arc<Shared>,
    recovery: Recovery,
    writers: Mutex<Vec<JoinHandle<()>>>,
    keepers: Vec<JoinHandle<()>>,
    /// Held, and thereby locked, until the end.
    _lock: File,
}

impl Journal {
    /// Locks the recorder's directory, puts right what a crash left, and begins a session: the present in Unix
    /// milliseconds, or one more than the highest session ever seen here, durably, before anything can be appended.
    ///
    /// # Errors
    /// [`JournalError::Locked`] when another process has this recorder's journals open, otherwise when the name is none or
    /// the file system refuses.
    pub fn open(
        dir: &Path,
        recorder: &str,
        options: JournalOptions,
        clock: Clock,
    ) -> Result<Self, JournalError> {
        let recorder_dir = paths::recorder_dir(dir, recorder)?;
        fs::create_dir_all(&recorder_dir).map_err(JournalError::io("creating", &recorder_dir))?;
        let lock = take_lock(&recorder_dir)?;
        let mut recovery = Recovery::default();
        for socket in paths::sockets(&recorder_dir)? {
            recover::recover(&recorder_dir.join(socket.to_string()), socket, &mut recovery)?;
        }
        let session = begin_session(&recorder_dir, &clock)?;
        let shared = Arc::new(Shared {
            recorder: recorder.to_owned(),
            recorder_dir,
            session,
            options,
            clock,
            sockets: Mutex::default(),
            compress: Bell::default(),
            sync: Bell::default(),
            abandon: AtomicBool::new(false),
            compressed_segments: AtomicU64::new(0),
            compression_errors: AtomicU64::new(0),
            warned_of_cap: AtomicBool::new(false),
            last_ids: Mutex::default(),
        });
        let mut keepers = Vec::new();
        for (name, run) in
            [("journal-sync", run_syncer as fn(&Shared)), ("journal-zstd", compress::run_compressor)]
        {
            let shared = Arc::clone(&shared);
            keepers.push(spawn(name.to_owned(), &recorder_dir_of(&shared), move || run(&shared))?);
        }
        Ok(Self { shared, recovery, writers: Mutex::default(), keepers, _lock: lock })
    }

    /// The session of this process.
    pub fn session(&self) -> u64 {
        self.shared.session
    }

    /// The recorder's name.
    pub fn recorder(&self) -> &str {
        &self.shared.recorder
    }

    /// The directory of the recorder's journals.
    pub fn directory(&self) -> &Path {
        &self.shared.recorder_dir
    }

    /// What was put right at start.
    pub const fn recovery(&self) -> &Recovery {
        &self.recovery
    }

    /// Starts the writer of a socket. Its first record has sequence 1 and says which record was the last one before this
    /// session ([`Record::previous`](tickhouse_model::Record)). No file is made before that.
    ///
    /// # Errors
    /// When the socket has a writer already or its directory can't be made.
    pub fn start_socket(&self, socket: SocketId) -> Result<SocketJournal, JournalError> {
        let dir = self.shared.recorder_dir.join(socket.to_string());
        fs::create_dir_all(&dir).map_err(JournalError::io("creating", &dir))?;
        segment::sync_dir(&self.shared.recorder_dir)?;
        let next_number = segment::list(&dir)?.last().map_or(1, |last| last.number + 1);
        let previous = recover::last_id(&dir, socket)?;
        let state = Arc::new(SocketState::new(socket, dir, next_number));
        {
            let mut sockets = lock(&self.shared.sockets);
            if sockets.contains_key(&socket) {
                return Err(JournalError::Started(socket));
            }
            sockets.insert(socket, Arc::clone(&state));
        }
        let (sender, queue) = mpsc::channel(self.shared.options.queue_len.max(1));
        let start = JournalPosition { session: self.shared.session, ..JournalPosition::default() };
        let (publish, position) = watch::channel(start);
        let writer = Writer::new(Arc::clone(&self.shared), state, queue, publish, previous);
        let thread = spawn(format!("journal-{socket}"), &self.shared.recorder_dir, move || writer.run())?;
        lock(&self.writers).push(thread);
        Ok(SocketJournal { socket, sender, position })
    }

    /// Removes closed segments beyond the caps whose records are all at or below their socket's mark (session, sequence),
    /// oldest first. Blocks for as long as a segment takes to read: call it from a thread that may.
    ///
    /// # Errors
    /// When a file can't be read or removed.
    pub fn prune(&self, marks: &BTreeMap<SocketId, (u64, u64)>) -> Result<Pruned, JournalError> {
        prune::prune(&self.shared, marks)
    }

    /// Counters of every socket.
    pub fn status(&self) -> JournalStatus {
        JournalStatus {
            sockets: self.shared.sockets().iter().map(|socket| socket.status()).collect(),
            compressed_segments: self.shared.compressed_segments.load(Ordering::Relaxed),
            compression_errors: self.shared.compression_errors.load(Ordering::Relaxed),
        }
    }

    /// From the socket to the file, of all sockets since the process began.
    pub fn latency(&self) -> Latency {
        let mut latency = Latency::default();
        self.shared.sockets().iter().for_each(|socket| latency.add(&lock(&socket.latency)));
        latency
    }

    /// Waits until everything that was handed over is written, then ends. Drop all senders first. When the disk refuses for
    /// longer than `patience`, or a sender lives on, what is not written is given up, counted and logged.
    pub fn close(mut self, patience: Duration) -> JournalStatus {
        let deadline = Instant::now() + patience;
        let writers = std::mem::take(&mut *lock(&self.writers));
        while !writers.iter().all(JoinHandle::is_finished) {
            if Instant::now() >= deadline {
                self.shared.abandon.store(true, Ordering::Release);
                tracing::warn!("journal closed while a socket still writes");
                break;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        self.stop_keepers();
        self.status()
    }

    fn stop_keepers(&mut self) {
        self.shared.abandon.store(true, Ordering::Release);
        self.shared.compress.stop();
        self.shared.sync.stop();
        for thread in self.keepers.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a journal thread panicked");
            }
        }
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.stop_keepers();
    }
}

fn recorder_dir_of(shared: &Shared) -> std::path::PathBuf {
    shared.recorder_dir.clone()
}

fn spawn(
    name: String,
    dir: &Path,
    run: impl FnOnce() + Send + 'static,
) -> Result<JoinHandle<()>, JournalError> {
    std::thread::Builder::new().name(name).spawn(run).map_err(JournalError::io("starting a thread for", dir))
}

fn take_lock(recorder_dir: &Path) -> Result<File, JournalError> {
    let path = recorder_dir.join("lock");
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(JournalError::io("opening", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(JournalError::Locked { path }),
        Err(TryLockError::Error(error)) => Err(JournalError::io("locking", &path)(error)),
    }
}

/// The session of this start, written down durably.
fn begin_session(recorder_dir: &Path, clock: &Clock) -> Result<u64, JournalError> {
    let path = recorder_dir.join("session");
    let mut highest = match fs::read_to_string(&path) {
        Ok(text) => text.trim().parse().unwrap_or(0),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => 0,
        Err(error) => return Err(JournalError::io("reading", &path)(error)),
    };
    for socket in paths::sockets(recorder_dir)? {
        let segments = segment::list(&recorder_dir.join(socket.to_string()))?;
        let newest = segments.iter().rev().find_map(|segment| segment.header().ok());
        highest = highest.max(newest.map_or(0, |header| header.first.session));
    }
    let now = u64::try_from(clock.now().as_millis()).unwrap_or(0);
    let session = now.max(highest + 1);
    paths::write_durably(&path, &session.to_string())?;
    Ok(session)
}
