//! The sorted records into the stream.
//!
//! Where to go on is not noted here: the stream's last id says what was published, the loader's mark what was stored. After
//! Redis lost the stream the larger of what is left counts, and the loader drops what it has.

use crate::error::ImportError;
use crate::files::{failed, read_json, write_json};
use crate::live::{LIVE, LiveLog};
use crate::sorted::{Sorted, path_of};
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tickhouse_stream::{Control, Disposition, EntryId, Stream, StreamError, StreamInfo};

/// Entries and bytes that go to Redis together.
const BATCH: usize = 1_000;
const BATCH_BYTES: usize = 1 << 20;
/// Between two looks at the stream's length and the loader's mark.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Wait for a loader after which it is said that one is waited for.
const PATIENCE: Duration = Duration::from_secs(10);
/// Pauses while Redis is away, doubling.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

/// Publishes to the stream of one import.
#[derive(Debug)]
pub(crate) struct Publisher<'a> {
    control: &'a Control,
    stream: Stream,
    folder: &'a Path,
    longest: u64,
    /// What the loader stored, as far as anybody said; kept on disk, because Redis may lose it.
    mark: EntryId,
    looked: Option<Instant>,
    /// Entries that the stream had room for when it was looked at, less those added since.
    room: u64,
}

/// How a run ended.
enum End {
    Done,
    /// The stream is gone.
    Vanished,
}

impl<'a> Publisher<'a> {
    pub(crate) fn new(
        control: &'a Control,
        name: &str,
        folder: &'a Path,
        longest: u64,
    ) -> Result<Self, ImportError> {
        let stream = control.options().import_stream(name);
        let mark: Option<String> = read_json(&mark_path(folder))?;
        let mark = mark.and_then(|text| text.parse().ok()).unwrap_or(EntryId::ZERO);
        Ok(Self { control, stream, folder, longest, mark, looked: None, room: 0 })
    }

    /// Whether the stream was ever written.
    pub(crate) async fn is_there(&self) -> Result<bool, ImportError> {
        let there = self.control.info(self.stream.name()).await?.is_some();
        Ok(there || self.control.mark(&self.stream.origin()).await?.is_some())
    }

    pub(crate) fn stream(&self) -> &Stream {
        &self.stream
    }

    /// Publishes everything, however often Redis goes away on the way. `progress` is told how many entries are published.
    pub(crate) async fn publish(
        &mut self,
        sorted: &Sorted,
        mut progress: impl FnMut(u64),
    ) -> Result<(), ImportError> {
        let mut pause = PAUSES.0;
        loop {
            match self.run(sorted, &mut progress).await {
                Ok(End::Done) => return Ok(()),
                Ok(End::Vanished) => {
                    tracing::warn!(stream = %self.stream, "the stream is gone, published again from the mark");
                }
                Err(ImportError::Stream(error)) if error.disposition() == Disposition::Retry => {
                    tracing::warn!(error = chain(&error), "not published, trying again");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(PAUSES.1);
                    continue;
                }
                Err(error) => return Err(error),
            }
            pause = PAUSES.0;
        }
    }

    /// Publishes what a log of followed records has and the stream has not, however often Redis goes away on the way.
    pub(crate) async fn publish_live(&mut self, log: &LiveLog, sorted: &Sorted) -> Result<(), ImportError> {
        let mut pause = PAUSES.0;
        loop {
            match self.run_live(log, sorted).await {
                Ok(End::Done) => return Ok(()),
                Ok(End::Vanished) => {
                    tracing::warn!(stream = %self.stream, "the stream is gone, published again from the mark");
                }
                Err(ImportError::Stream(error)) if error.disposition() == Disposition::Retry => {
                    tracing::warn!(error = chain(&error), "not published, trying again");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(PAUSES.1);
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn run_live(&mut self, log: &LiveLog, sorted: &Sorted) -> Result<End, ImportError> {
        self.look_at_mark().await?;
        log.forget_before((self.mark.ms, self.mark.seq))?;
        let mut info = self.control.info(self.stream.name()).await?;
        let last = |info: &Option<StreamInfo>, mark: EntryId| {
            info.as_ref().map_or(EntryId::ZERO, |info| info.last_generated_id).max(mark)
        };
        if last(&info, self.mark).ms < LIVE {
            // ids only rise: what a lost stream had of the import itself comes first
            if let End::Vanished = self.run(sorted, &mut |_| {}).await? {
                return Ok(End::Vanished);
            }
            info = self.control.info(self.stream.name()).await?;
        }
        let (mut make, after) = (info.is_none(), last(&info, self.mark));
        for (ms, path, done) in log.files_after((after.ms, after.seq))? {
            let mut records = HourReader::of(path, self.folder, ms, done)?;
            loop {
                let batch = records.batch()?;
                if batch.is_empty() {
                    break;
                }
                self.wait_for_room(batch.len() as u64).await?;
                if self.control.add_at(&self.stream, &batch, make).await?.is_none() {
                    return Ok(End::Vanished);
                }
                make = false;
            }
        }
        Ok(End::Done)
    }

    /// Entries that are stored, as far as Redis says now.
    pub(crate) async fn stored(&mut self, sorted: &Sorted) -> Result<u64, ImportError> {
        self.look_at_mark().await?;
        Ok(count_up_to(sorted, self.mark))
    }

    async fn run(&mut self, sorted: &Sorted, progress: &mut impl FnMut(u64)) -> Result<End, ImportError> {
        self.look_at_mark().await?;
        let info = self.control.info(self.stream.name()).await?;
        let mut make = info.is_none();
        let after = info.map_or(EntryId::ZERO, |info| info.last_generated_id).max(self.mark);
        let mut published = count_up_to(sorted, after);
        progress(published);
        for (hour, lines) in sorted.hours.iter().filter(|(hour, _)| u64::from(**hour) >= after.ms) {
            let done = if u64::from(*hour) == after.ms { after.seq } else { 0 };
            if done >= *lines {
                continue;
            }
            let mut hour = HourReader::open(self.folder, *hour, done)?;
            loop {
                let batch = hour.batch()?;
                if batch.is_empty() {
                    break;
                }
                self.wait_for_room(batch.len() as u64).await?;
                if self.control.add_at(&self.stream, &batch, make).await?.is_none() {
                    return Ok(End::Vanished);
                }
                make = false;
                published += batch.len() as u64;
                progress(published);
            }
        }
        Ok(End::Done)
    }

    /// Waits while the stream is long; what is stored is removed from it, since nobody else reads this stream.
    async fn wait_for_room(&mut self, entries: u64) -> Result<(), ImportError> {
        if self.looked.is_some_and(|at| at.elapsed() < LOOK_EVERY) && self.room >= entries {
            self.room -= entries;
            return Ok(());
        }
        let mut since = Instant::now();
        loop {
            self.look_at_mark().await?;
            self.looked = Some(Instant::now());
            let mut length = self.control.length(self.stream.name()).await?;
            if length > self.longest {
                self.control.trim(self.stream.name(), self.mark).await?;
                length = self.control.length(self.stream.name()).await?;
            }
            if length <= self.longest {
                self.room = (self.longest - length).saturating_sub(entries);
                return Ok(());
            }
            if since.elapsed() >= PATIENCE {
                tracing::warn!(stream = %self.stream, mark = %self.mark, "waiting for a loader: the stream is long");
                since = Instant::now();
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    async fn look_at_mark(&mut self) -> Result<(), ImportError> {
        let mark = self.control.mark(&self.stream.origin()).await?.unwrap_or(EntryId::ZERO);
        if mark > self.mark {
            self.mark = mark;
            write_json(&mark_path(self.folder), &mark.to_string())?;
        }
        Ok(())
    }
}

fn mark_path(folder: &Path) -> PathBuf {
    folder.join("mark.json")
}

/// Entries at or before an id.
fn count_up_to(sorted: &Sorted, id: EntryId) -> u64 {
    let lines = |(hour, lines): (&u32, &u64)| match u64::from(*hour).cmp(&id.ms) {
        std::cmp::Ordering::Less => *lines,
        std::cmp::Ordering::Equal => id.seq.min(*lines),
        std::cmp::Ordering::Greater => 0,
    };
    sorted.hours.iter().map(lines).sum()
}

/// An error and its causes in one line.
fn chain(error: &StreamError) -> String {
    let cause = std::error::Error::source(error).map(|cause| format!(": {cause}")).unwrap_or_default();
    format!("{error}{cause}")
}

/// The lines of an hour as entries.
struct HourReader {
    path: PathBuf,
    folder: PathBuf,
    file: BufReader<File>,
    hour: u64,
    line: u64,
}

impl HourReader {
    fn open(folder: &Path, hour: u32, skip: u64) -> Result<Self, ImportError> {
        Self::of(path_of(folder, hour), folder, hour.into(), skip)
    }

    /// Records of a file as entries `hour-1`, `hour-2`, …, those after `skip`.
    fn of(path: PathBuf, folder: &Path, hour: u64, skip: u64) -> Result<Self, ImportError> {
        let file = BufReader::with_capacity(1 << 18, File::open(&path).map_err(failed(&path))?);
        let mut reader = Self { path, folder: folder.to_owned(), file, hour, line: 0 };
        while reader.line < skip && reader.next()?.is_some() {}
        Ok(reader)
    }

    fn batch(&mut self) -> Result<Vec<(EntryId, Vec<String>)>, ImportError> {
        let (mut batch, mut bytes) = (Vec::new(), 0);
        while batch.len() < BATCH && bytes < BATCH_BYTES {
            let Some(line) = self.next()? else { break };
            bytes += line.len();
            let fields = serde_json::from_slice(&line).map_err(|error| ImportError::Damaged {
                path: self.path.clone(),
                what: format!("line {}: {error}", self.line),
                folder: self.folder.clone(),
            })?;
            batch.push((EntryId::new(self.hour, self.line), fields));
        }
        Ok(batch)
    }

    fn next(&mut self) -> Result<Option<Vec<u8>>, ImportError> {
        let mut line = Vec::new();
        loop {
            line.clear();
            if self.file.read_until(b'\n', &mut line).map_err(failed(&self.path))? == 0 {
                return Ok(None);
            }
            // not a note in a log of followed records
            if !line.starts_with(b"#") {
                self.line += 1;
                return Ok(Some(line));
            }
        }
    }
}
