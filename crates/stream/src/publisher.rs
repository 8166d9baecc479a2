//! The task that carries one socket's journal to its Redis stream.
//!
//! What enters: journal records, from the files. What leaves: entries with the ids `<session>-<sequence>`, in order, each
//! once. What never happens here: holding records in memory while Redis is away, `MAXLEN`, trimming.
//!
//! # How it goes on after anything
//! After each connection it asks Redis for the stream's last id and for the mark, and reads the journal from the higher of
//! the two. So a lost answer is not sent twice, a Redis restored older is brought up to date, and one that lost everything
//! gets what is not confirmed in ClickHouse. The mark is remembered beside the journal too, for when FLUSHALL took it.
//!
//! A batch is one `MULTI … EXEC`: Redis takes all of it or nothing. Without that, an `XADD` refused for lack of memory could
//! be followed by one that is taken, and the ids between could never be added again.
//! Only the first `XADD` after the stream was found missing may make it. All others carry `NOMKSTREAM`: an empty answer
//! says that the stream vanished, and the work begins again from the mark.
//! An id "equal or smaller" than the last one is there already.
//!
//! A loader that misses entries writes a wish into `ticks:resend`. The publisher, alone, deletes the stream (so the group
//! goes too, and the loader notices) and publishes again from there.

mod status;

pub use status::{PublisherHandle, PublisherStatus};

use crate::connection::Link;
use crate::control::Control;
use crate::entry::{EntryId, RECORD_FIELD, Stream};
use crate::{RedisOptions, StreamError, reply};
use redis::{Pipeline, Value, cmd, pipe};
use status::{Added, Backoff, Counters, lock};
use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tickhouse_journal::{JournalEntry, JournalPosition, JournalReader};
use tickhouse_model::SocketId;
use tickhouse_telemetry::Clock;
use tokio::sync::watch;

/// How a publisher works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublisherOptions {
    /// Entries of one round trip.
    pub batch_entries: usize,
    /// Bytes of one round trip; one entry may be larger.
    pub batch_bytes: usize,
    /// How often marks, wishes for a resend and the memory of Redis are looked at.
    pub check_every: Duration,
    /// Publishing waits while Redis uses more bytes than this, none for no limit but its own `maxmemory`.
    pub high_water_bytes: Option<u64>,
}

impl Default for PublisherOptions {
    fn default() -> Self {
        Self {
            batch_entries: 256,
            batch_bytes: 1 << 20,
            check_every: Duration::from_secs(1),
            high_water_bytes: None,
        }
    }
}

/// Carries one socket's journal to its stream.
#[derive(Debug)]
pub struct Publisher {
    control: Control,
    options: PublisherOptions,
    stream: Stream,
    journal_dir: PathBuf,
    recorder: String,
    socket: SocketId,
    position: watch::Receiver<JournalPosition>,
    clock: Clock,
    counters: Arc<Mutex<Counters>>,
    mark: watch::Sender<EntryId>,
}

/// Why a run with one connection ended.
#[derive(Debug)]
enum End {
    /// The journal is closed and everything is published.
    Drained,
    /// The stream is gone.
    Vanished,
    /// A loader wished for it.
    Resent(EntryId),
}

/// One run: from finding the place to the first doubt.
struct Run {
    reader: JournalReader,
    /// Whether the next entry may make the stream.
    make: bool,
    entries: Vec<JournalEntry>,
    /// Entries of `entries` that are in Redis.
    done: usize,
    checked: Instant,
}

impl Publisher {
    /// A publisher of the journal that `position` tells about; nothing happens before [`Publisher::run`].
    ///
    /// `journal_dir` is the directory that was given to [`Journal::open`](tickhouse_journal::Journal::open).
    ///
    /// # Errors
    /// When the URL is none.
    pub fn new(
        redis: RedisOptions,
        options: PublisherOptions,
        journal_dir: &Path,
        recorder: &str,
        socket: SocketId,
        position: watch::Receiver<JournalPosition>,
        clock: Clock,
    ) -> Result<(Self, PublisherHandle), StreamError> {
        let stream = redis.frame_stream(recorder, socket);
        let mut counters = Counters::default();
        stream.name().clone_into(&mut counters.status.stream);
        let counters = Arc::new(Mutex::new(counters));
        let mut publisher = Self {
            control: Control::new(redis)?,
            options,
            stream,
            journal_dir: journal_dir.to_owned(),
            recorder: recorder.to_owned(),
            socket,
            position,
            clock,
            counters: Arc::clone(&counters),
            mark: watch::Sender::new(EntryId::ZERO),
        };
        let remembered = publisher.remembered_mark();
        publisher.mark.send_replace(remembered);
        let handle = PublisherHandle { counters, mark: publisher.mark.subscribe() };
        publisher.position.mark_unchanged();
        Ok((publisher, handle))
    }

    /// Publishes until `stop` is ready, or the journal is closed and all of it is published. Trouble with Redis never ends
    /// it: it waits, with pauses of 50 ms to 2 s, and the status says why.
    ///
    /// # Cancel safety
    /// Safe: the next publisher goes on where Redis says that this one ended.
    pub async fn run(mut self, stop: impl Future<Output = ()>) {
        let mut stop = pin!(stop);
        let mut backoff = Backoff::new();
        let mut resend = None;
        loop {
            let before = lock(&self.counters).status.batches;
            let end = tokio::select! {
                () = &mut stop => return,
                end = self.publish(resend.take()) => end,
            };
            if lock(&self.counters).status.batches > before {
                backoff = Backoff::new();
            }
            match end {
                Ok(End::Drained) => return,
                Ok(End::Vanished) => {
                    lock(&self.counters).status.vanished += 1;
                    tracing::warn!(stream = %self.stream, "stream is gone, published again from the mark");
                }
                Ok(End::Resent(after)) => {
                    lock(&self.counters).status.resends += 1;
                    resend = Some(after);
                    tracing::warn!(stream = %self.stream, %after, "published again for a loader");
                }
                Err(error) => {
                    self.note_error(&error);
                    tokio::select! {
                        () = &mut stop => return,
                        () = tokio::time::sleep(backoff.next()) => {}
                    }
                }
            }
            lock(&self.counters).status.restarts += 1;
        }
    }

    fn note_error(&self, error: &StreamError) {
        let cause = std::error::Error::source(error).map(|cause| format!(": {cause}")).unwrap_or_default();
        let mut counters = lock(&self.counters);
        if counters.status.waiting_for.is_none() {
            tracing::warn!(stream = %self.stream, "{error}{cause}; the journal holds what comes");
        }
        counters.status.errors += 1;
        let connected = !matches!(error, StreamError::Unreachable { .. });
        counters.note_wait(format!("{error}{cause}"), connected);
    }

    /// Finds the place and publishes until something happens.
    async fn publish(&mut self, resend: Option<EntryId>) -> Result<End, StreamError> {
        // a wish may be the only way on: an entry that somebody else wrote can be ahead of all that the journal will have
        if resend.is_none()
            && let Some(end) = self.check().await?
        {
            return Ok(end);
        }
        let mut run = self.find_place(resend).await?;
        loop {
            if run.checked.elapsed() >= self.options.check_every {
                if let Some(end) = self.check().await? {
                    return Ok(end);
                }
                run.checked = Instant::now();
            }
            if run.done == run.entries.len() {
                run.entries.clear();
                run.done = 0;
                // seen first, so that what is written from now on counts as a change
                let closed = self.position.has_changed().is_err();
                let reached = *self.position.borrow_and_update();
                let end = (reached.sequence > 0).then_some((reached.session, reached.sequence));
                run.reader.next_batch_up_to(end, self.options.batch_bytes, &mut run.entries)?;
                if run.entries.is_empty() {
                    if closed {
                        return Ok(End::Drained);
                    }
                    let rest = self.options.check_every.saturating_sub(run.checked.elapsed());
                    // an error means closed: the next round sees it
                    let _changed = tokio::time::timeout(rest, self.position.changed()).await;
                    continue;
                }
            }
            if !self.send(&mut run).await? {
                return Ok(End::Vanished);
            }
            lock(&self.counters).status.damaged_bytes = run.reader.damaged_bytes();
        }
    }

    async fn find_place(&self, resend: Option<EntryId>) -> Result<Run, StreamError> {
        const DOING: &str = "finding the place in a stream";
        let options = self.control.options();
        let mut pipeline = pipe();
        pipeline.cmd("HGET").arg(options.marks_key()).arg(self.stream.origin());
        pipeline.cmd("SADD").arg(options.streams_key()).arg(self.stream.name());
        let info = self.control.info(self.stream.name()).await?;
        let answers = self.link().pipeline(DOING, &pipeline).await?;
        let last = info.as_ref().map_or(EntryId::ZERO, |info| info.last_generated_id);
        self.refuse_ahead(last)?;
        let mark = self.take_mark(answers.into_iter().next().unwrap_or(Value::Nil))?;
        // a resend goes back before the mark, unless entries were added since
        let after = resend.map_or_else(|| last.max(mark), |resend| last.max(resend));
        let start = (after > EntryId::ZERO).then_some((after.ms, after.seq));
        let reader = JournalReader::open(&self.journal_dir, &self.recorder, self.socket, start)?;
        let mut counters = lock(&self.counters);
        counters.status.connected = true;
        counters.status.waiting_for = None;
        counters.status.last_published = last;
        tracing::info!(stream = %self.stream, %after, "publishing");
        let checked = Instant::now();
        Ok(Run { reader, make: info.is_none(), entries: Vec::new(), done: 0, checked })
    }

    /// An id of a later session than this one is another recorder's of the same name, or of a journal that was deleted.
    /// Going on after it would publish nothing and, as a mark, let records be pruned that nobody has.
    fn refuse_ahead(&self, found: EntryId) -> Result<(), StreamError> {
        if found.ms > self.position.borrow().session {
            return Err(StreamError::AheadOfJournal { stream: self.stream.name().to_owned(), found });
        }
        Ok(())
    }

    /// Sends one batch; false when the stream is gone.
    async fn send(&self, run: &mut Run) -> Result<bool, StreamError> {
        const DOING: &str = "publishing";
        let batch = self.batch(&run.entries[run.done..]);
        let pipeline = self.transaction(batch, run.make);
        let mut answers = self.link().pipeline(DOING, &pipeline).await?;
        let now = self.clock.now();
        let result = answers.pop().unwrap_or(Value::Nil);
        if let Value::ServerError(_) = result {
            // EXEC was refused because a command was: the first refusal says why
            let refused = answers.into_iter().find(|value| matches!(value, Value::ServerError(_)));
            self.control.checked(DOING, refused.unwrap_or(result))?;
            return Err(reply::unexpected(DOING, &Value::Nil));
        }
        let Value::Array(results) = result else { return Err(reply::unexpected(DOING, &result)) };
        let mut added = Added::default();
        for (result, entry) in results.into_iter().zip(batch) {
            match result {
                Value::Nil => return Ok(false),
                Value::ServerError(error)
                    if error.details().is_some_and(|text| text.contains("equal or smaller")) =>
                {
                    added.already_there += 1;
                }
                other => {
                    self.control.checked(DOING, other)?;
                    added.published += 1;
                    added.bytes += entry.bytes.len() as u64;
                }
            }
        }
        let received = batch.iter().map(|entry| (entry.id, entry.received_at));
        lock(&self.counters).note_batch(added, received, now);
        run.done += batch.len();
        run.make = false;
        Ok(true)
    }

    /// The entries that go out together.
    fn batch<'a>(&self, entries: &'a [JournalEntry]) -> &'a [JournalEntry] {
        let mut bytes = 0;
        let fit = entries
            .iter()
            .take(self.options.batch_entries.max(1))
            .take_while(|entry| {
                bytes += entry.bytes.len();
                bytes <= self.options.batch_bytes
            })
            .count();
        &entries[..fit.max(1)]
    }

    fn transaction(&self, batch: &[JournalEntry], make: bool) -> Pipeline {
        let mut pipeline = Pipeline::with_capacity(batch.len() + 2);
        pipeline.cmd("MULTI");
        for (index, entry) in batch.iter().enumerate() {
            let command = pipeline.cmd("XADD").arg(self.stream.name());
            if !(make && index == 0) {
                command.arg("NOMKSTREAM");
            }
            command.arg(EntryId::from(entry.id).to_string()).arg(RECORD_FIELD).arg(&entry.bytes[..]);
        }
        pipeline.cmd("EXEC");
        pipeline
    }

    /// What is looked at every second: the mark, a wish for a resend, the memory of Redis.
    async fn check(&self) -> Result<Option<End>, StreamError> {
        const DOING: &str = "looking at marks";
        let options = self.control.options();
        let mut pipeline = pipe();
        pipeline.cmd("HGET").arg(options.marks_key()).arg(self.stream.origin());
        pipeline.cmd("HGET").arg(options.resend_key()).arg(self.stream.name());
        let mut answers = self.link().pipeline(DOING, &pipeline).await?.into_iter();
        let mark = self.take_mark(answers.next().unwrap_or(Value::Nil))?;
        let wish = self.control.checked(DOING, answers.next().unwrap_or(Value::Nil))?;
        if let Some(after) = reply::id(&wish) {
            self.make_room_for_resend(after, mark).await?;
            return Ok(Some(End::Resent(after)));
        }
        self.wait_for_memory().await?;
        Ok(None)
    }

    /// Deletes the stream and the wish together. The mark is lowered with them, so that a crash right after begins no later
    /// than the wish says.
    async fn make_room_for_resend(&self, after: EntryId, mark: EntryId) -> Result<(), StreamError> {
        const DOING: &str = "making room for a resend";
        let options = self.control.options();
        let lowered = mark.min(after);
        self.remember_mark(lowered);
        let mut pipeline = pipe();
        pipeline.cmd("MULTI");
        pipeline.cmd("UNLINK").arg(self.stream.name());
        pipeline.cmd("HSET").arg(options.marks_key()).arg(self.stream.origin()).arg(lowered.to_string());
        pipeline.cmd("HDEL").arg(options.resend_key()).arg(self.stream.name());
        pipeline.cmd("EXEC");
        let answers = self.link().pipeline(DOING, &pipeline).await?;
        for answer in answers {
            self.control.checked(DOING, answer)?;
        }
        Ok(())
    }

    async fn wait_for_memory(&self) -> Result<(), StreamError> {
        let Some(limit) = self.options.high_water_bytes else { return Ok(()) };
        loop {
            let used = self.control.server().await?.used_memory;
            if used <= limit {
                return Ok(());
            }
            let why = format!("redis uses {used} bytes, more than the limit of {limit}");
            lock(&self.counters).note_wait(why, true);
            tokio::time::sleep(self.options.check_every).await;
            // the loader's progress is what frees memory: keep telling it to who prunes
            let mut command = cmd("HGET");
            command.arg(self.control.options().marks_key()).arg(self.stream.origin());
            let mark = self.link().send("looking at marks", &command).await?;
            self.take_mark(mark)?;
        }
    }

    /// The mark of an answer; the remembered one when Redis has none.
    fn take_mark(&self, answer: Value) -> Result<EntryId, StreamError> {
        let answer = self.control.checked("reading a mark", answer)?;
        let known = *self.mark.borrow();
        let mark = reply::id(&answer).unwrap_or(known);
        self.refuse_ahead(mark)?;
        if mark != known {
            self.remember_mark(mark);
            self.mark.send_replace(mark);
        }
        lock(&self.counters).status.mark = mark;
        Ok(mark)
    }

    fn mark_file(&self) -> PathBuf {
        self.journal_dir.join(&self.recorder).join(self.socket.to_string()).join("mark")
    }

    fn remembered_mark(&self) -> EntryId {
        let text = std::fs::read_to_string(self.mark_file()).unwrap_or_default();
        text.trim().parse().unwrap_or(EntryId::ZERO)
    }

    /// Not synced: an older mark after a power cut means publishing more again, which the loader drops.
    fn remember_mark(&self, mark: EntryId) {
        let path = self.mark_file();
        let partial = path.with_extension("partial");
        let written =
            std::fs::write(&partial, mark.to_string()).and_then(|()| std::fs::rename(&partial, &path));
        if let Err(error) = written {
            tracing::warn!(path = %path.display(), %error, "the mark can't be remembered");
        }
    }

    const fn link(&self) -> &Link {
        self.control.link()
    }
}
