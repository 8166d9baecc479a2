//! JSON lines into a stream.
//!
//! Lines are read and checked on a thread of their own, because standard input may take its time, and handed over in
//! batches through a queue of two: full, the thread waits. Redis sees a batch at a time, and none while its stream is long.

use crate::error::NewsError;
use crate::line::{Item, LineError, Published, read_line};
use sha2::{Digest as _, Sha256};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek as _};
use std::time::Duration;
use tickhouse_stream::{Control, NewEntry};
use tickhouse_telemetry::Clock;
use tokio::sync::mpsc;

/// Bytes of a line; a longer one is bad.
const LINE_BYTES: usize = 1 << 20;
/// Items that go to Redis together.
const BATCH: usize = 500;
/// Bytes of their fields.
const BATCH_BYTES: usize = 4 << 20;
/// Between two looks at a stream that is too long.
const PAUSE: Duration = Duration::from_millis(200);
/// Bad lines that a report names; the others are counted.
const NAMED: usize = 20;

/// How to publish lines.
#[derive(Clone, Debug)]
pub struct LinesOptions {
    /// What the lines hold.
    pub kind: Published,
    /// The stream.
    pub stream: String,
    /// Reads and checks, writes nothing.
    pub dry_run: bool,
    /// Digest of the file, see [`digest_of`]: what it was published of before is passed over. `None` for input that can't
    /// be read twice. News items are known by themselves and need none.
    pub digest: Option<String>,
    /// Wait while the stream is longer than this.
    pub longest_stream: u64,
}

/// A line that was not published.
#[derive(Debug, serde::Serialize)]
pub struct BadLine {
    /// From 1.
    pub line: u64,
    /// Why.
    pub reason: String,
}

/// What was done with the lines.
#[derive(Debug, Default, serde::Serialize)]
pub struct LinesReport {
    /// Lines read, empty ones included.
    pub lines: u64,
    /// Entries added, or with `dry_run` that would be looked at.
    pub published: u64,
    /// Items that were published before.
    pub repeats: u64,
    /// Lines that are no items.
    pub bad: u64,
    /// The first of them.
    pub bad_lines: Vec<BadLine>,
}

/// A part of the lines.
#[derive(Debug, Default)]
struct Batch {
    items: Vec<Item>,
    bytes: usize,
    bad: Vec<BadLine>,
    /// Number of the last line.
    last: u64,
}

/// The SHA-256 of everything that a reader gives.
///
/// # Errors
/// When it can't be read.
pub fn digest_of(mut reader: impl Read) -> io::Result<String> {
    let mut digest = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match reader.read(&mut buffer)? {
            0 => return Ok(hex::encode(digest.finalize())),
            read => digest.update(&buffer[..read]),
        }
    }
}

/// Publishes every line that is an item; `progress` is told after each batch. Run again after an error or a kill it goes on
/// where it was: nothing is published twice, except index values without a digest.
///
/// # Errors
/// When Redis fails for good or the lines can't be read. A bad line is no error: the report has it.
///
/// # Cancel safety
/// Safe: what was published is remembered in Redis.
pub async fn publish_lines(
    control: &Control,
    clock: &Clock,
    reader: impl BufRead + Send + 'static,
    options: &LinesOptions,
    mut progress: impl FnMut(&LinesReport),
) -> Result<LinesReport, NewsError> {
    let done = match (&options.digest, options.dry_run) {
        (Some(digest), false) => control.position(&options.stream, digest).await?,
        _ => 0,
    };
    let (sender, mut batches) = mpsc::channel(2);
    let kind = options.kind;
    std::thread::spawn(move || read_batches(reader, kind, done, &sender));
    let mut report = LinesReport::default();
    while let Some(batch) = batches.recv().await {
        let batch = batch?;
        report.lines = batch.last;
        report.bad += batch.bad.len() as u64;
        let room = NAMED.saturating_sub(report.bad_lines.len());
        report.bad_lines.extend(batch.bad.into_iter().take(room));
        let count = batch.items.len() as u64;
        let added = if options.dry_run {
            count
        } else {
            wait_for_room(control, options).await?;
            send(control, clock, options, batch.items, batch.last).await?
        };
        report.published += added;
        report.repeats += count - added;
        progress(&report);
    }
    Ok(report)
}

/// Publishes a file as [`publish_lines`] does its lines. Index values have no identity, so those that were published of a file
/// that is then mended would be published again: of a file of them with a bad line nothing is published.
///
/// # Errors
/// As [`publish_lines`]; also when the file can't be read several times, as a pipe can't.
///
/// # Cancel safety
/// As [`publish_lines`].
pub async fn publish_file(
    control: &Control,
    clock: &Clock,
    mut file: File,
    options: &LinesOptions,
    mut progress: impl FnMut(&LinesReport),
) -> Result<LinesReport, NewsError> {
    if options.kind == Published::News || options.dry_run {
        return publish_lines(control, clock, BufReader::new(file), options, progress).await;
    }
    let unread = |source| NewsError::Read { line: 0, source };
    let checked = file.try_clone().map_err(unread)?;
    let digested = tokio::task::spawn_blocking(move || {
        let digest = digest_of(&mut file)?;
        file.rewind()?;
        io::Result::Ok((file, digest))
    });
    let digested = digested.await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
    let (mut file, digest) = digested.map_err(unread)?;
    let check = LinesOptions { dry_run: true, ..options.clone() };
    let report = publish_lines(control, clock, BufReader::new(checked), &check, &mut progress).await?;
    if report.bad > 0 {
        return Ok(LinesReport { published: 0, ..report });
    }
    file.rewind().map_err(unread)?;
    let options = LinesOptions { digest: Some(digest), ..options.clone() };
    publish_lines(control, clock, BufReader::new(file), &options, progress).await
}

async fn wait_for_room(control: &Control, options: &LinesOptions) -> Result<(), NewsError> {
    while control.length(&options.stream).await? > options.longest_stream {
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}

/// How many were added.
async fn send(
    control: &Control,
    clock: &Clock,
    options: &LinesOptions,
    items: Vec<Item>,
    last: u64,
) -> Result<u64, NewsError> {
    if options.kind == Published::News {
        let entries: Vec<_> =
            items.into_iter().map(|Item { identity, fields }| NewEntry { identity, fields }).collect();
        let added = control.add_new(&options.stream, clock.now().as_millis(), &entries).await?;
        return Ok(added.into_iter().filter(|added| *added).count() as u64);
    }
    let count = items.len() as u64;
    let entries: Vec<_> = items.into_iter().map(|item| item.fields).collect();
    let digest = options.digest.as_deref().unwrap_or("-");
    control.add_up_to(&options.stream, &entries, digest, last).await?;
    Ok(count)
}

/// Reads lines after the first `done` into batches until they end or nobody wants them.
fn read_batches(
    mut reader: impl BufRead,
    kind: Published,
    done: u64,
    batches: &mpsc::Sender<Result<Batch, NewsError>>,
) {
    let mut batch = Batch::default();
    let mut line = 0;
    loop {
        let text = match next_line(&mut reader) {
            Ok(Some(text)) => text,
            Ok(None) => break,
            Err(source) => {
                drop(batches.blocking_send(Err(NewsError::Read { line, source })));
                return;
            }
        };
        line += 1;
        batch.last = line;
        if line <= done {
            continue;
        }
        let item = text.and_then(|bytes| {
            let text = std::str::from_utf8(&bytes).map_err(|_| LineError::NoText)?.trim();
            if text.is_empty() { Ok(None) } else { read_line(text, kind).map(Some) }
        });
        match item {
            Ok(Some(item)) => {
                batch.bytes += item.fields.iter().map(|(_, value)| value.len()).sum::<usize>();
                batch.items.push(item);
            }
            Ok(None) => {}
            Err(error) => batch.bad.push(BadLine { line, reason: error.to_string() }),
        }
        let full = batch.items.len() + batch.bad.len() >= BATCH || batch.bytes >= BATCH_BYTES;
        if full && batches.blocking_send(Ok(std::mem::take(&mut batch))).is_err() {
            return;
        }
    }
    if batch.last > 0 {
        drop(batches.blocking_send(Ok(batch)));
    }
}

/// The next line without its end; a line that is too long is read to its end and given as an error.
fn next_line(reader: &mut impl BufRead) -> io::Result<Option<Result<Vec<u8>, LineError>>> {
    let mut line = Vec::new();
    let read = reader.by_ref().take(LINE_BYTES as u64 + 1).read_until(b'\n', &mut line)?;
    if read == 0 {
        return Ok(None);
    }
    if line.ends_with(b"\n") || read <= LINE_BYTES {
        return Ok(Some(Ok(line)));
    }
    loop {
        line.clear();
        let more = reader.by_ref().take(LINE_BYTES as u64).read_until(b'\n', &mut line)?;
        if more == 0 || line.ends_with(b"\n") {
            return Ok(Some(Err(LineError::TooLong { limit: LINE_BYTES })));
        }
    }
}
