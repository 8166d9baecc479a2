//! Reading a journal from any position, while it grows, rolls and is compressed.
//!
//! What enters: segment files. What leaves: whole records that fit their checksums, in order. What never happens here:
//! waiting at the end, changing a file.

use crate::segment::{self, Found, HEADER_LEN, Head, Header, PREFIX_LEN, Segment, SegmentFile};
use crate::{JournalError, paths};
use bytes::{Buf, Bytes, BytesMut};
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tickhouse_model::{FrameId, RecordKind, SocketId, Timestamp};

/// Bytes asked of a file at once when following its end, and when catching up: asking for much more than there is costs a
/// fresh, zeroed buffer for each batch of live records.
const LEAST_READ_BYTES: usize = 16 << 10;
const MOST_READ_BYTES: usize = 256 << 10;
/// How often a reader at the end looks for segments whose number does not follow, after pruning underneath it.
const LIST_EVERY: Duration = Duration::from_secs(1);

/// How far back a machine's clock may be put without a record being passed over that a time asks for.
const CLOCK_JUMP: Duration = Duration::from_hours(1);

/// A record as it stands in the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalEntry {
    /// Its identity.
    pub id: FrameId,
    /// When it was received.
    pub received_at: Timestamp,
    /// What it is.
    pub kind: RecordKind,
    /// The encoded [`Record`](tickhouse_model::Record).
    pub bytes: Bytes,
    /// CRC-32C of `bytes`, checked.
    pub checksum: u32,
}

/// Reads the journal of a socket, also that of another process. Any number of readers may read at once.
#[derive(Debug)]
pub struct JournalReader {
    dir: PathBuf,
    socket: SocketId,
    /// Segments are passed over that ended before this time.
    since: Option<Timestamp>,
    /// Records up to this one are passed over.
    after: Option<(u64, u64)>,
    current: Option<Open>,
    /// Read and not yet handed out.
    buffer: BytesMut,
    /// Bytes to ask for next: twice what the last read gave.
    ask: usize,
    listed_at: Option<Instant>,
    damaged_bytes: u64,
}

#[derive(Debug)]
struct Open {
    number: u64,
    path: PathBuf,
    file: SegmentFile,
    /// Offset in the segment of the buffer's first byte.
    offset: u64,
    header_read: bool,
}

impl JournalReader {
    /// A reader of what follows `after` (session, sequence), or of everything that is there. The journal need not exist
    /// yet. Finds its place by the headers of segments, newest first.
    ///
    /// # Errors
    /// When the name is none or the directory can't be read.
    pub fn open(
        dir: &Path,
        recorder: &str,
        socket: SocketId,
        after: Option<(u64, u64)>,
    ) -> Result<Self, JournalError> {
        Self::begin(dir, recorder, socket, after, None)
    }

    /// A reader of everything that was received at `since` or later, and of some records before it: it begins with the last segment
    /// that was made an hour or more before.
    ///
    /// # Errors
    /// When the name is none or the directory can't be read.
    pub fn open_since(
        dir: &Path,
        recorder: &str,
        socket: SocketId,
        since: Timestamp,
    ) -> Result<Self, JournalError> {
        Self::begin(dir, recorder, socket, None, Some(since.minus(CLOCK_JUMP)))
    }

    fn begin(
        dir: &Path,
        recorder: &str,
        socket: SocketId,
        after: Option<(u64, u64)>,
        since: Option<Timestamp>,
    ) -> Result<Self, JournalError> {
        let mut reader = Self {
            dir: paths::socket_dir(dir, recorder, socket)?,
            socket,
            after,
            since,
            current: None,
            buffer: BytesMut::new(),
            ask: MOST_READ_BYTES,
            listed_at: None,
            damaged_bytes: 0,
        };
        reader.find_place()?;
        Ok(reader)
    }

    /// The last record handed out, or where the reader was opened.
    pub const fn position(&self) -> Option<(u64, u64)> {
        self.after
    }

    /// Bytes that belonged to no record and were passed over. The sequences that they held are missing.
    pub const fn damaged_bytes(&self) -> u64 {
        self.damaged_bytes
    }

    /// Appends records to `out` until they have `max_bytes` (at least one record goes out) or the end is reached; gives
    /// how many. Zero means the end for now: wait for the [`JournalPosition`](crate::JournalPosition), or a little.
    ///
    /// # Errors
    /// When a file can't be read. The reader stays where it is: call again.
    pub fn next_batch(
        &mut self,
        max_bytes: usize,
        out: &mut Vec<JournalEntry>,
    ) -> Result<usize, JournalError> {
        self.next_batch_up_to(None, max_bytes, out)
    }

    /// [`next_batch`](Self::next_batch) for a reader that knows how far the journal reaches (session, sequence): at that
    /// record it stops without asking the file system whether there is more, which would cost three system calls for each
    /// batch of live records.
    ///
    /// # Errors
    /// As for [`next_batch`](Self::next_batch).
    pub fn next_batch_up_to(
        &mut self,
        end: Option<(u64, u64)>,
        max_bytes: usize,
        out: &mut Vec<JournalEntry>,
    ) -> Result<usize, JournalError> {
        let before = out.len();
        let mut bytes = 0;
        // sessions and sequences begin at 1, so what was not begun is before any end
        while bytes < max_bytes && end.is_none_or(|end| self.after.unwrap_or_default() < end) {
            if self.current.is_none() && !self.advance()? {
                break;
            }
            match self.take_record() {
                Step::Record(entry) => {
                    bytes += entry.bytes.len();
                    out.push(entry);
                }
                Step::Skipped => {}
                Step::NeedMore(needed) => {
                    if !self.read_more(needed)? && !self.end_of_segment()? {
                        break;
                    }
                }
                Step::Bad => {
                    if !self.pass_over_damage()? {
                        break;
                    }
                }
            }
        }
        Ok(out.len() - before)
    }

    /// Opens the last segment that begins at or before the wanted record or time, or the first of all.
    fn find_place(&mut self) -> Result<(), JournalError> {
        loop {
            let segments = segment::list(&self.dir)?;
            // a damaged header says nothing, and one that vanished was compressed or pruned
            let before = |segment: &&Segment| segment.header().is_ok_and(|header| self.is_after(&header));
            let wanted = self.after.is_some() || self.since.is_some();
            let chosen = wanted.then(|| segments.iter().rev().find(before)).flatten();
            let Some(chosen) = chosen.or(segments.first()) else { return Ok(()) };
            if self.open_segment(chosen)? {
                return Ok(());
            }
        }
    }

    /// Whether the segment of this header begins at or before the wanted record or time.
    fn is_after(&self, header: &Header) -> bool {
        self.after.is_none_or(|after| (header.first.session, header.first.sequence) <= after)
            && self.since.is_none_or(|since| header.created_at <= since)
    }

    /// False when the file vanished meanwhile: it was compressed or pruned.
    fn open_segment(&mut self, segment: &Segment) -> Result<bool, JournalError> {
        match segment.open() {
            Ok(file) => {
                let (number, path) = (segment.number, segment.path.clone());
                self.buffer.clear();
                self.current = Some(Open { number, path, file, offset: 0, header_read: false });
                Ok(true)
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(JournalError::io("opening", &segment.path)(error)),
        }
    }

    /// Opens the first segment when there was none before.
    fn advance(&mut self) -> Result<bool, JournalError> {
        self.listed_at = Some(Instant::now());
        self.find_place()?;
        Ok(self.current.is_some())
    }

    fn take_record(&mut self) -> Step {
        let Some(open) = &mut self.current else { return Step::NeedMore(1) };
        if !open.header_read {
            if self.buffer.len() < HEADER_LEN {
                return Step::NeedMore(HEADER_LEN);
            }
            if Header::decode(&self.buffer).is_err() {
                return Step::Bad;
            }
            self.buffer.advance(HEADER_LEN);
            open.offset += HEADER_LEN as u64;
            open.header_read = true;
        }
        let (len, head, checksum) = match segment::look(&self.buffer, self.socket) {
            Found::Record(len, head, checksum) => (len, head, checksum),
            Found::More(needed) => return Step::NeedMore(needed),
            Found::Bad => return Step::Bad,
        };
        self.buffer.advance(PREFIX_LEN);
        open.offset += (PREFIX_LEN + len) as u64;
        let Head { id, received_at, kind, .. } = head;
        let at = (id.session, id.sequence);
        if self.after.is_some_and(|after| at <= after) {
            self.buffer.advance(len);
            return Step::Skipped;
        }
        let bytes = self.buffer.split_to(len).freeze();
        self.after = Some(at);
        Step::Record(JournalEntry { id, received_at, kind, bytes, checksum })
    }

    /// Reads until the buffer has `needed` bytes; false at the end of the file.
    fn read_more(&mut self, needed: usize) -> Result<bool, JournalError> {
        let Some(open) = &mut self.current else { return Ok(false) };
        while self.buffer.len() < needed {
            let filled = self.buffer.len();
            let ask = self.ask.max((needed - filled).min(MOST_READ_BYTES * 4));
            self.buffer.resize(filled + ask, 0);
            let read = open.file.read(&mut self.buffer[filled..]);
            self.buffer.truncate(filled + *read.as_ref().unwrap_or(&0));
            match read {
                Ok(0) => return Ok(false),
                Ok(count) => self.ask = (count * 2).clamp(LEAST_READ_BYTES, MOST_READ_BYTES),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(JournalError::io("reading", &open.path)(error)),
            }
        }
        Ok(true)
    }

    /// At the end of the file: whether there is more to do, in this segment or the next.
    fn end_of_segment(&mut self) -> Result<bool, JournalError> {
        let Some(next) = self.next_segment()? else {
            // a journal that ends in damage, or one that is being written: then only good records count
            return Ok(self.buffer.len() > PREFIX_LEN && self.find_in_buffer(1));
        };
        // the writer never goes back, so what was appended before the next segment appeared is there now
        if self.read_more(self.buffer.len() + 1)? {
            return Ok(true);
        }
        if !self.buffer.is_empty() && self.find_in_buffer(1) {
            return Ok(true);
        }
        self.note_damage(self.buffer.len(), "the end of the segment is no record");
        self.buffer.clear();
        self.open_segment(&next)?;
        Ok(true)
    }

    /// The segment after the current one.
    fn next_segment(&mut self) -> Result<Option<Segment>, JournalError> {
        let Some(open) = &self.current else { return Ok(None) };
        let number = open.number + 1;
        for (path, packed) in
            [(Segment::plain_path(&self.dir, number), false), (Segment::packed_path(&self.dir, number), true)]
        {
            if path.exists() {
                return Ok(Some(Segment { number, path, packed }));
            }
        }
        if self.listed_at.is_some_and(|at| at.elapsed() < LIST_EVERY) {
            return Ok(None);
        }
        self.listed_at = Some(Instant::now());
        let mut segments = segment::list(&self.dir)?.into_iter();
        Ok(segments.find(|segment| segment.number >= number))
    }

    /// Looks for the next good record in the rest of the segment; false when there is none (yet).
    fn pass_over_damage(&mut self) -> Result<bool, JournalError> {
        while self.read_more(self.buffer.len() + 1)? {}
        if let Some(open) = &mut self.current
            && !open.header_read
        {
            open.header_read = true;
            if self.find_in_buffer(0) {
                return Ok(true);
            }
        }
        Ok(self.find_in_buffer(1) || self.end_of_segment()?)
    }

    /// Drops what stands before the next good record in the buffer.
    fn find_in_buffer(&mut self, from: usize) -> bool {
        let Some(at) = segment::resync(&self.buffer, from, self.socket) else { return false };
        self.note_damage(at, "no record stands here");
        self.buffer.advance(at);
        if let Some(open) = &mut self.current {
            open.offset += at as u64;
        }
        true
    }

    fn note_damage(&mut self, bytes: usize, reason: &str) {
        if let Some(open) = &self.current
            && bytes > 0
        {
            self.damaged_bytes += bytes as u64;
            let path = open.path.display();
            tracing::error!(%path, offset = open.offset, bytes, reason, "journal is damaged");
        }
    }
}

enum Step {
    Record(JournalEntry),
    /// One at or before the wanted position.
    Skipped,
    NeedMore(usize),
    Bad,
}
