//! The thread that writes one socket's journal.
//!
//! What enters: observations, from a bounded queue. What leaves: records on disk, and the position they reach. What never
//! happens here: dropping a record while the process lives, a write per record.
//!
//! When a write fails (no space, I/O error) the thread keeps its batch, raises a fault that the status shows, and goes on
//! where the write stopped after a pause of 10 ms to 1 s. The queue fills, the socket waits, TCP pushes back: nothing is
//! dropped, so no gap record is due. What Kite itself drops from its side shows as a disconnect.

use crate::segment::{HEADER_LEN, Header, PREFIX_LEN, Segment, sync_dir};
use crate::state::{Shared, SocketState, lock};
use crate::{Fsync, JournalPosition};
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tickhouse_model::{FrameId, Observed, Record, RecordKind, Timestamp};
use tokio::sync::{mpsc, watch};

/// Records in one write.
const BATCH_RECORDS: usize = 4_096;
/// Bytes after which a batch takes no further record.
const BATCH_BYTES: usize = 1 << 20;
/// Pause after a batch, in which the next one gathers. Bounds writes, and the wake-ups of everybody downstream, to about
/// 1,000 a second however small the frames are, for half a millisecond of latency. Shorter pauses made the tail longer: on a
/// busy machine what waits is the next turn on a core, and each wake-up is one more thing to wait for.
const GATHER: Duration = Duration::from_millis(1);

const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

pub(crate) struct Writer {
    shared: Arc<Shared>,
    state: Arc<SocketState>,
    queue: mpsc::Receiver<Observed>,
    position: watch::Sender<JournalPosition>,
    next_number: u64,
    sequence: u64,
    /// The last record of the sessions before: session and sequence, zeros when there is none.
    previous: (u64, u64),
    last_at: Timestamp,
    segment: Option<OpenSegment>,
    /// The batch, encoded.
    buffer: Vec<u8>,
    batch_frames: u64,
    /// When each record of the batch was received.
    batch_received: Vec<Timestamp>,
}

struct OpenSegment {
    file: Arc<File>,
    header: [u8; HEADER_LEN],
    /// Bytes of the header that are written.
    header_written: usize,
    bytes: u64,
    opened: Instant,
}

impl Writer {
    pub(crate) fn new(
        shared: Arc<Shared>,
        state: Arc<SocketState>,
        queue: mpsc::Receiver<Observed>,
        position: watch::Sender<JournalPosition>,
        previous: (u64, u64),
    ) -> Self {
        let next_number = state.open_number.load(Ordering::Acquire);
        Self {
            shared,
            state,
            queue,
            position,
            next_number,
            sequence: 0,
            previous,
            last_at: Timestamp::NONE,
            segment: None,
            buffer: Vec::with_capacity(64 << 10),
            batch_frames: 0,
            batch_received: Vec::new(),
        }
    }

    /// Writes until every sender is gone and the queue is empty.
    pub(crate) fn run(mut self) {
        while let Some(first) = self.queue.blocking_recv() {
            self.buffer.clear();
            self.batch_frames = 0;
            self.batch_received.clear();
            let first_sequence = self.sequence + 1;
            self.encode(first);
            while self.sequence - first_sequence < BATCH_RECORDS as u64 - 1 && self.buffer.len() < BATCH_BYTES
            {
                let Ok(observed) = self.queue.try_recv() else { break };
                self.encode(observed);
            }
            let count = self.sequence + 1 - first_sequence;
            if self.write_until_done(first_sequence) {
                self.publish(count);
            } else {
                self.abandon(count);
                return;
            }
            // a burst is larger than what one frame leaves in the buffer for ever
            self.buffer.shrink_to(4 * BATCH_BYTES);
            std::thread::sleep(GATHER);
        }
        self.close_segment();
    }

    fn encode(&mut self, observed: Observed) {
        self.sequence += 1;
        let id = FrameId { session: self.shared.session, socket: self.state.socket, sequence: self.sequence };
        self.batch_frames += u64::from(observed.kind == RecordKind::Frame);
        self.last_at = observed.received_at;
        self.batch_received.push(observed.received_at);
        let mut record = observed.with_id(id);
        record.previous = (self.sequence == 1).then_some(self.previous);
        let start = self.buffer.len();
        self.buffer.extend_from_slice(&[0; PREFIX_LEN]);
        record.encode(&mut self.buffer);
        let bytes = &self.buffer[start + PREFIX_LEN..];
        let (len, checksum) = (bytes.len() as u32, Record::checksum_of(bytes));
        self.buffer[start..start + 4].copy_from_slice(&len.to_le_bytes());
        self.buffer[start + 4..start + PREFIX_LEN].copy_from_slice(&checksum.to_le_bytes());
    }

    /// Writes the batch however long the disk refuses; false when told to give up.
    fn write_until_done(&mut self, first_sequence: u64) -> bool {
        let mut written = 0;
        let mut pause = FIRST_PAUSE;
        loop {
            match self.write(first_sequence, &mut written) {
                Ok(()) => {
                    if lock(&self.state.fault).take().is_some() {
                        tracing::info!(socket = self.state.socket, "journal can be written again");
                    }
                    return true;
                }
                Err(error) => self.raise(&error),
            }
            if self.shared.abandon.load(Ordering::Acquire) {
                return false;
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    fn raise(&self, error: &io::Error) {
        self.state.write_errors.fetch_add(1, Ordering::Relaxed);
        let mut fault = lock(&self.state.fault);
        if fault.is_none() {
            let dir = self.state.dir.display();
            tracing::error!(%dir, %error, "journal can't be written, the socket waits");
        }
        *fault = Some(error.to_string());
    }

    /// Goes on writing the batch at `written`.
    fn write(&mut self, first_sequence: u64, written: &mut usize) -> io::Result<()> {
        let is_old = |segment: &OpenSegment| {
            segment.bytes >= self.shared.options.segment_bytes
                || segment.opened.elapsed() >= self.shared.options.segment_age
        };
        if *written == 0 && self.segment.as_ref().is_some_and(is_old) {
            self.close_segment();
        }
        if self.segment.is_none() {
            self.segment = Some(self.open_segment(first_sequence)?);
        }
        let Some(segment) = &mut self.segment else { return Ok(()) };
        let mut file: &File = &segment.file;
        write_on(&mut file, &segment.header, &mut segment.header_written)?;
        write_on(&mut file, &self.buffer, written)?;
        match self.shared.options.fsync {
            Fsync::Never => {}
            Fsync::Every(_) => self.state.note_dirty(&segment.file, self.sequence),
            Fsync::EachBatch => {
                file.sync_data()?;
                self.state.durable.store(self.sequence, Ordering::Release);
            }
        }
        segment.bytes += self.buffer.len() as u64;
        Ok(())
    }

    fn open_segment(&mut self, first_sequence: u64) -> io::Result<OpenSegment> {
        let path = Segment::plain_path(&self.state.dir, self.next_number);
        let opened = OpenOptions::new().append(true).create_new(true).open(&path);
        if opened.as_ref().is_err_and(|error| error.kind() == ErrorKind::AlreadyExists) {
            // somebody copied a file here: never write into it
            self.next_number += 1;
        }
        let file = opened?;
        if self.shared.options.fsync != Fsync::Never {
            sync_dir(&self.state.dir).map_err(io::Error::other)?;
        }
        self.state.open_number.store(self.next_number, Ordering::Release);
        self.next_number += 1;
        self.state.segments.fetch_add(1, Ordering::Relaxed);
        let first =
            FrameId { session: self.shared.session, socket: self.state.socket, sequence: first_sequence };
        let created_at = self.shared.clock.now();
        let header = Header { recorder: self.shared.recorder.clone(), created_at, first };
        Ok(OpenSegment {
            file: Arc::new(file),
            header: header.encode(),
            header_written: 0,
            bytes: HEADER_LEN as u64,
            opened: Instant::now(),
        })
    }

    fn close_segment(&mut self) {
        if self.segment.take().is_some() {
            self.state.open_number.store(self.next_number, Ordering::Release);
            self.shared.compress.ring();
        }
    }

    fn publish(&self, count: u64) {
        let add = |counter: &AtomicU64, by| counter.fetch_add(by, Ordering::Relaxed);
        add(&self.state.records, count);
        add(&self.state.frames, self.batch_frames);
        add(&self.state.bytes, self.buffer.len() as u64);
        add(&self.state.batches, 1);
        let now = self.shared.clock.now();
        let mut latency = lock(&self.state.latency);
        self.batch_received.iter().for_each(|received_at| latency.record(now.since(*received_at)));
        drop(latency);
        self.position.send_replace(JournalPosition {
            session: self.shared.session,
            sequence: self.sequence,
            received_at: self.last_at,
        });
    }

    fn abandon(&mut self, count: u64) {
        let mut lost = count;
        while self.queue.try_recv().is_ok() {
            lost += 1;
        }
        self.state.abandoned.fetch_add(lost, Ordering::Relaxed);
        tracing::error!(socket = self.state.socket, records = lost, "records given up: the disk stayed full");
    }
}

/// Writes what is left of `bytes` after `written`.
fn write_on(file: &mut impl Write, bytes: &[u8], written: &mut usize) -> io::Result<()> {
    while *written < bytes.len() {
        match file.write(&bytes[*written..]) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(count) => *written += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
