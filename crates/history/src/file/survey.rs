//! The first pass over a file: is it all right, how much is in it, and of which instruments.

use super::walk::{Context, Sink, Stop, Walk, WalkOptions};
use super::{FileCandle, Name};
use crate::json::Fault;
use crate::{HistoryError, Interval};
use rustc_hash::{FxHashMap, FxHashSet};
use serde::Serialize;
use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::SystemTime;

/// Faults that are kept in words; further ones are only counted.
const FAULTS_KEPT: usize = 100;

/// What the user says of a file.
#[derive(Clone, Debug, Default)]
pub struct SurveyOptions {
    /// The file.
    pub path: PathBuf,
    /// Of candles of which the file does not say it.
    pub interval: Option<Interval>,
    /// Of candles of which the file does not say it.
    pub instrument: Option<Name>,
}

/// How far a pass is, and its end when it is wanted before the end of the file.
#[derive(Clone, Debug, Default)]
pub struct Pass {
    bytes: Arc<AtomicU64>,
    stopped: Arc<AtomicBool>,
}

impl Pass {
    /// Bytes of the file read.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Ends the pass soon.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// Whether its end is wanted.
    pub fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }
}

/// What is in a file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Candles that can be imported.
    pub candles: u64,
    /// Candles without any price: minutes without a trade. Left out.
    pub empty: u64,
    /// Faults: each is a candle, or several, that can't be read.
    pub faults: u64,
    /// The first hundred of them.
    pub first_faults: Vec<Fault>,
    /// Bytes at the end that can't be read, because of the last fault.
    pub unread_bytes: u64,
}

/// A file that was read once.
#[derive(Debug)]
pub struct Survey {
    /// What was asked.
    pub options: SurveyOptions,
    /// What is in it.
    pub counts: Counts,
    /// What it calls its instruments, in the order of their first candle.
    pub names: Vec<Name>,
    /// First and last begin of a candle, seconds since 1970-01-01 UTC.
    pub times: (u32, u32),
    /// Intervals of its candles.
    pub intervals: Vec<Interval>,
    /// Size of the file.
    pub bytes: u64,
    modified: Option<SystemTime>,
    late: FxHashMap<u64, Context>,
}

impl Survey {
    /// The context of the whole file and what was learned, for the next pass.
    pub(crate) fn walk_options(&self) -> WalkOptions {
        WalkOptions { context: root(&self.options), late: self.late.clone(), learn: false }
    }

    /// Fails when the file is not the one that was read.
    pub(crate) fn check_unchanged(&self) -> Result<(), HistoryError> {
        let now = std::fs::metadata(&self.options.path).map_err(|source| self.options.io(source))?;
        let same = now.len() == self.bytes && now.modified().ok() == self.modified;
        if same { Ok(()) } else { Err(HistoryError::FileChanged { path: self.options.path.clone() }) }
    }
}

impl SurveyOptions {
    pub(crate) fn io(&self, source: io::Error) -> HistoryError {
        HistoryError::File { path: self.path.clone(), source }
    }
}

fn root(options: &SurveyOptions) -> Context {
    match &options.instrument {
        Some(name) => Context::of(name, options.interval),
        None => Context::of_interval(options.interval),
    }
}

/// Opens a file of candles; its size and progress go to `pass`.
pub(crate) fn open(path: &Path, pass: &Pass) -> Result<(impl Read + use<>, Metadata), HistoryError> {
    let failed = |source| HistoryError::File { path: path.to_owned(), source };
    let file = File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if !metadata.is_file() {
        return Err(HistoryError::NoRegularFile { path: path.to_owned() });
    }
    pass.bytes.store(0, Ordering::Relaxed);
    Ok((Counted { file, pass: pass.clone() }, metadata))
}

struct Counted {
    file: File,
    pass: Pass,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.pass.bytes.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

/// Reads the whole file once. Blocks: run it on a thread for that.
///
/// # Errors
/// When the file can't be read or is no regular file, when there is neither a candle nor a fault in it, or the pass was
/// stopped. Faults are no error: see [`Counts::faults`].
pub fn survey(options: SurveyOptions, pass: &Pass) -> Result<Survey, HistoryError> {
    let (found, modified, bytes, learned) = pass_over(
        &options,
        pass,
        WalkOptions { context: root(&options), late: FxHashMap::default(), learn: true },
    )?;
    let (found, learned) = if learned.late.is_empty() {
        (found, learned)
    } else {
        // some objects tell behind their candles whose they are: now it is known
        let (found, .., learned) = pass_over(&options, pass, WalkOptions { learn: false, ..learned })?;
        (found, learned)
    };
    if found.counts == Counts::default() {
        return Err(HistoryError::NoCandles { path: options.path });
    }
    let Found { counts, names, times, intervals, .. } = found;
    let mut intervals: Vec<_> = intervals.into_iter().collect();
    intervals.sort_unstable();
    Ok(Survey {
        options,
        counts,
        names,
        times: times.unwrap_or_default(),
        intervals,
        bytes,
        modified,
        late: learned.late,
    })
}

type Passed = (Found, Option<SystemTime>, u64, WalkOptions);

fn pass_over(options: &SurveyOptions, pass: &Pass, walk: WalkOptions) -> Result<Passed, HistoryError> {
    let (file, metadata) = open(&options.path, pass)?;
    let mut found = Found { pass: pass.clone(), ..Found::default() };
    let (ended, learned) = Walk::new(file, &mut found, walk).run();
    match ended {
        Ok(()) => {}
        Err(Stop::Lost(byte)) => found.counts.unread_bytes = metadata.len().saturating_sub(byte),
        Err(Stop::Asked) => return Err(HistoryError::Stopped),
        Err(Stop::Io(source)) => return Err(options.io(source)),
    }
    Ok((found, metadata.modified().ok(), metadata.len(), learned))
}

#[derive(Default)]
struct Found {
    pass: Pass,
    counts: Counts,
    names: Vec<Name>,
    numbers: FxHashMap<Name, u32>,
    times: Option<(u32, u32)>,
    intervals: FxHashSet<Interval>,
}

impl Sink for Found {
    fn name(&mut self, name: &Name) -> u32 {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        let number = self.names.len() as u32;
        self.names.push(name.clone());
        self.numbers.insert(name.clone(), number);
        number
    }

    fn candle(&mut self, candle: FileCandle) -> bool {
        self.counts.candles += 1;
        let at = candle.timestamp.as_seconds() as u32;
        let (first, last) = self.times.unwrap_or((at, at));
        self.times = Some((first.min(at), last.max(at)));
        self.intervals.insert(candle.interval);
        !self.pass.is_stopped()
    }

    fn empty(&mut self) {
        self.counts.empty += 1;
    }

    fn fault(&mut self, fault: Fault) -> bool {
        self.counts.faults += 1;
        if self.counts.first_faults.len() < FAULTS_KEPT {
            self.counts.first_faults.push(fault);
        }
        !self.pass.is_stopped()
    }
}
