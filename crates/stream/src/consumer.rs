//! The loader's reader: a consumer group that never forgets an entry whose answer was lost.
//!
//! What enters: the entries of Redis. What leaves: each entry once, in order per stream. What never happens here:
//! acknowledging.
//!
//! An answer of `XREADGROUP` can be lost after Redis has put its entries on this consumer's list of pending ones; reading
//! on would skip them for ever. So [`Consumer::read`] notes *before* each read that its outcome is not known and, unless
//! the answer came, reads the pending entries after the last one it handed out before it asks for new ones. Ids rise in
//! the order of delivery, so nothing is handed out twice in the life of a `Consumer`, except after
//! [`Consumer::ensure_group`] or [`Consumer::seek`] put the group back, or when Redis came back without its latest seconds: it
//! then delivers again what it forgot having delivered. A caller that drops ids at or below its last one is safe in all cases.
//!
//! One consumer of a group reads a stream at a time: see [`Lease`](crate::Lease). A name that stays the same across
//! restarts finds its pending entries again; those of another name are taken over with [`Consumer::take_over`].

use crate::connection::Link;
use crate::control::Control;
use crate::entry::{Entry, EntryId, Stream};
use crate::{RedisOptions, StreamError, reply};
use redis::{Value, cmd};
use std::collections::HashMap;
use std::time::Duration;

/// Bytes that an entry is taken to have before any was seen.
const FIRST_GUESS_BYTES: usize = 1_024;

/// How much a read may give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadLimits {
    /// Entries of one stream.
    pub max_entries: usize,
    /// Bytes of all streams together, as far as can be told beforehand: the count is lowered by the size of the largest
    /// entries of late, so one read of suddenly larger entries may exceed it.
    pub max_bytes: usize,
    /// How long to wait when there is nothing; zero: not at all.
    pub block: Duration,
}

impl Default for ReadLimits {
    fn default() -> Self {
        Self { max_entries: 4_096, max_bytes: 8 << 20, block: Duration::from_millis(100) }
    }
}

/// What a read gave of one stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamEntries {
    /// Name of the stream.
    pub stream: String,
    /// Whether they were delivered before, to a read whose answer was lost or to an earlier process.
    pub pending: bool,
    /// At least one, ids rising.
    pub entries: Vec<Entry>,
}

/// What [`Consumer::ensure_group`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupState {
    /// It was missing and now delivers what follows the given id: what the caller holds of later ids comes again.
    Created,
    /// It was there and goes on where it was.
    Existed,
    /// There is no such stream (yet): leave it out of reads and try again.
    NoStream,
}

/// Reads streams as one consumer of the loaders' group.
#[derive(Debug)]
pub struct Consumer {
    /// A connection of its own: a blocking read holds up whatever shares its connection.
    reads: Link,
    control: Control,
    name: String,
    cursors: HashMap<String, Cursor>,
    /// Bytes of the largest entries of late.
    entry_bytes: usize,
}

/// Where reading stands in one stream.
#[derive(Clone, Copy, Debug)]
struct Cursor {
    /// The last entry handed out.
    handed_out: EntryId,
    /// Whether entries after it may be pending.
    doubtful: bool,
}

impl Default for Cursor {
    fn default() -> Self {
        Self { handed_out: EntryId::ZERO, doubtful: true }
    }
}

impl Consumer {
    /// Connects as consumer `name`. Use the same name after a restart.
    ///
    /// # Errors
    /// When Redis does not answer.
    pub async fn connect(options: RedisOptions, name: &str) -> Result<Self, StreamError> {
        let control = Control::new(options)?;
        control.ping().await?;
        Ok(Self {
            reads: Link::new(control.options())?,
            control,
            name: name.to_owned(),
            cursors: HashMap::new(),
            entry_bytes: FIRST_GUESS_BYTES,
        })
    }

    /// The handle for everything but reading: acknowledge, trim, marks, … Clone it freely.
    pub const fn control(&self) -> &Control {
        &self.control
    }

    /// The streams there are, see [`Control::discover`].
    ///
    /// # Errors
    /// When Redis fails.
    pub async fn discover(&self) -> Result<Vec<Stream>, StreamError> {
        self.control.discover().await
    }

    /// Makes the group of a stream unless it is there. A new group delivers what follows `start_after`: the mark, or
    /// what the caller holds already. A frame stream is never made here (its publisher tells a vanished stream by its
    /// absence); a stream of flat entries is.
    ///
    /// # Errors
    /// When Redis fails or the key is no stream.
    pub async fn ensure_group(
        &mut self,
        stream: &Stream,
        start_after: EntryId,
    ) -> Result<GroupState, StreamError> {
        const DOING: &str = "making the consumer group";
        let mut command = cmd("XGROUP");
        command.arg("CREATE").arg(stream.name()).arg(&self.control.options().group);
        command.arg(start_after.to_string());
        if !stream.is_frames() {
            command.arg("MKSTREAM");
        }
        match self.control.link().send(DOING, &command).await {
            Ok(_) => {
                let cursor = Cursor { handed_out: start_after, doubtful: false };
                self.cursors.insert(stream.name().to_owned(), cursor);
                Ok(GroupState::Created)
            }
            Err(StreamError::Refused { source, .. }) if source.code() == Some("BUSYGROUP") => {
                Ok(GroupState::Existed)
            }
            Err(StreamError::Refused { source, .. })
                if source.detail().is_some_and(|text| text.contains("requires the key to exist")) =>
            {
                Ok(GroupState::NoStream)
            }
            Err(error) => Err(error),
        }
    }

    /// Makes an existing group deliver again what follows `after`, acknowledged or not; for a store that was restored
    /// older. Entries that are pending come twice: drop what is at or below what you hold.
    ///
    /// # Errors
    /// When Redis fails, or [`StreamError::NoGroup`].
    pub async fn seek(&mut self, stream: &str, after: EntryId) -> Result<(), StreamError> {
        let mut command = cmd("XGROUP");
        command.arg("SETID").arg(stream).arg(&self.control.options().group).arg(after.to_string());
        self.control.link().send("moving the consumer group", &command).await?;
        self.cursors.insert(stream.to_owned(), Cursor { handed_out: after, doubtful: false });
        Ok(())
    }

    /// Takes over what other consumers of the group left pending for at least `min_idle`; gives how many entries. They
    /// are handed out by the next reads, so call it before the first read.
    ///
    /// # Errors
    /// When Redis fails, or [`StreamError::NoGroup`].
    pub async fn take_over(&mut self, stream: &str, min_idle: Duration) -> Result<u64, StreamError> {
        const DOING: &str = "taking over pending entries";
        let mut start = EntryId::ZERO.to_string();
        let mut taken = 0;
        loop {
            let mut command = cmd("XAUTOCLAIM");
            command.arg(stream).arg(&self.control.options().group).arg(&self.name);
            command.arg(min_idle.as_millis() as u64).arg(&start).arg("COUNT").arg(1_000).arg("JUSTID");
            let value = self.control.link().send(DOING, &command).await?;
            let parts = value.as_sequence().unwrap_or_default();
            let (Some(next), Some(ids)) =
                (parts.first().and_then(reply::text), parts.get(1).and_then(Value::as_sequence))
            else {
                return Err(reply::unexpected(DOING, &value));
            };
            taken += ids.len() as u64;
            if next == "0-0" {
                break;
            }
            next.clone_into(&mut start);
        }
        self.cursors.insert(stream.to_owned(), Cursor::default());
        Ok(taken)
    }

    /// The next entries of the given streams: pending ones first wherever an answer may have been lost, then new ones.
    /// Empty when there was nothing within `limits.block`.
    ///
    /// # Errors
    /// [`StreamError::NoGroup`] when a group is gone: make it with [`Consumer::ensure_group`] and read again. Otherwise
    /// when Redis fails; nothing is lost by reading again later.
    ///
    /// # Cancel safety
    /// Safe: entries of an answer that nobody waited for are pending, and the next read gives them.
    pub async fn read(
        &mut self,
        streams: &[&str],
        limits: ReadLimits,
    ) -> Result<Vec<StreamEntries>, StreamError> {
        if streams.is_empty() {
            tokio::time::sleep(limits.block).await;
            return Ok(Vec::new());
        }
        let doubtful: Vec<&str> = streams.iter().copied().filter(|name| self.cursor(name).doubtful).collect();
        if !doubtful.is_empty() {
            let found = self.read_pending(&doubtful, limits).await?;
            if !found.is_empty() {
                return Ok(found);
            }
        }
        self.read_new(streams, limits).await
    }

    fn cursor(&self, stream: &str) -> Cursor {
        self.cursors.get(stream).copied().unwrap_or_default()
    }

    async fn read_pending(
        &mut self,
        streams: &[&str],
        limits: ReadLimits,
    ) -> Result<Vec<StreamEntries>, StreamError> {
        let from: Vec<String> = streams.iter().map(|name| self.cursor(name).handed_out.to_string()).collect();
        let command = self.command(streams, &from, limits, None);
        let value = self.reads.send("reading pending entries", &command).await?;
        let mut found = reply::streams("reading pending entries", value, true)?;
        found.retain(|one| !one.entries.is_empty());
        for name in streams {
            if !found.iter().any(|one| one.stream == *name) {
                self.cursors.entry((*name).to_owned()).or_default().doubtful = false;
            }
        }
        self.hand_out(&found);
        Ok(found)
    }

    async fn read_new(
        &mut self,
        streams: &[&str],
        limits: ReadLimits,
    ) -> Result<Vec<StreamEntries>, StreamError> {
        let from = vec![">".to_owned(); streams.len()];
        let block = (!limits.block.is_zero()).then_some(limits.block);
        let command = self.command(streams, &from, limits, block);
        for name in streams {
            self.cursors.entry((*name).to_owned()).or_default().doubtful = true;
        }
        let value = self.reads.send_blocking("reading entries", &command, limits.block).await?;
        let found = reply::streams("reading entries", value, false)?;
        for name in streams {
            self.cursors.entry((*name).to_owned()).or_default().doubtful = false;
        }
        self.hand_out(&found);
        Ok(found)
    }

    fn command(
        &self,
        streams: &[&str],
        from: &[String],
        limits: ReadLimits,
        block: Option<Duration>,
    ) -> redis::Cmd {
        let fit = limits.max_bytes / self.entry_bytes.max(1) / streams.len().max(1);
        let count = fit.clamp(1, limits.max_entries.max(1));
        let mut command = cmd("XREADGROUP");
        command.arg("GROUP").arg(&self.control.options().group).arg(&self.name).arg("COUNT").arg(count);
        if let Some(block) = block {
            // zero would be for ever
            command.arg("BLOCK").arg(u64::try_from(block.as_millis()).unwrap_or(u64::MAX).max(1));
        }
        command.arg("STREAMS").arg(streams).arg(from);
        command
    }

    fn hand_out(&mut self, found: &[StreamEntries]) {
        for one in found {
            if let Some(last) = one.entries.last() {
                let cursor = self.cursors.entry(one.stream.clone()).or_default();
                cursor.handed_out = cursor.handed_out.max(last.id);
            }
        }
        let largest = found.iter().flat_map(|one| &one.entries).map(|entry| entry.value.len()).max();
        if let Some(largest) = largest {
            // up at once, down slowly: the opening burst's frames are ten times those of noon
            self.entry_bytes = largest.max(self.entry_bytes - self.entry_bytes / 8).max(64);
        }
    }
}
