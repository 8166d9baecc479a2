//! A file of candles into ClickHouse.
//!
//! What enters: a [`Survey`] of the file. What leaves: its candles in `candles` and, unless switched off, in `tick_data`. What
//! never happens here: anything of a file with a fault, unless the rest is asked for; a candle without an instrument; a
//! second row, however often it is run or killed.
//!
//! ```text
//! file ─ walk (a thread) ─ instruments ─▶ bounded queue of batches ─▶ candles ─▶ tick_data
//! ```

use crate::file::{FileCandle, Name, Pass, Sink, Stop, Survey, Walk, open};
use crate::instruments::{Resolved, Unknown, by_token, resolve};
use crate::json::Fault;
use crate::ticks::{MirrorRange, TickMirror};
use crate::write::{Candle, CandleWriter, Tally, word};
use crate::{Counts, HistoryError, Interval};
use rustc_hash::FxHashMap;
use serde::Serialize;
use std::sync::Arc;
use tickhouse_enrich::InstrumentTable;
use tickhouse_store::{Store, StoredCandle};
use tickhouse_telemetry::Clock;
use tokio::sync::mpsc;

/// Batches between the thread that reads and the task that writes.
const QUEUE: usize = 2;
/// Skipped instruments that a report names.
const SKIPPED_NAMED: usize = 20;

/// How to import.
#[derive(Debug)]
pub struct ImportOptions<'a> {
    /// Where to.
    pub store: Store,
    /// Gives `processed_at`.
    pub clock: Clock,
    /// Candles of one batch, at least 1.
    pub batch_rows: usize,
    /// Whether the rest of a file with faults is imported.
    pub keep_going: bool,
    /// Whether nothing is written.
    pub dry_run: bool,
    /// Writes `tick_data`; `None` leaves it alone.
    pub ticks: Option<TickMirror>,
    /// Instruments that are known where ClickHouse knows none.
    pub fallback: Option<&'a InstrumentTable>,
}

/// How far an import is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImportStep {
    /// Candles that were dealt with, of all.
    Candles(u64, u64),
    /// Candles whose ticks were dealt with, of all.
    Ticks(u64, u64),
}

/// What was done, or with `dry_run` would be. `candles` = `written` + `unchanged` + `repeated` + `skipped`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ImportReport {
    /// What is in the file.
    #[serde(flatten)]
    pub counts: Counts,
    /// Instruments that the file names.
    pub instruments: u64,
    /// Intervals of its candles.
    pub intervals: Vec<Interval>,
    /// Rows written into `candles`: new ones, and such whose values have changed.
    pub written: u64,
    /// Stored before with the same values.
    pub unchanged: u64,
    /// Given again in the same batch; the later one counts.
    pub repeated: u64,
    /// Left out because no instrument could be joined.
    pub skipped: u64,
    /// The instruments with most skipped candles.
    pub most_skipped: Vec<Skipped>,
    /// Rows written into `tick_data`.
    pub ticks_written: u64,
    /// Candles that had their row in `tick_data`.
    pub ticks_present: u64,
}

/// An instrument of which candles were left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Skipped {
    /// What the file calls it.
    pub name: String,
    /// Candles left out.
    pub candles: u64,
    /// Why.
    pub reason: &'static str,
}

/// Imports the file that was surveyed. `progress` is told after each batch; `pass` can end it.
///
/// Not cancel safe, but running it again goes on.
///
/// # Errors
/// [`HistoryError::Faults`] before anything is written; ClickHouse or the file failed later: what is stored stays.
pub async fn import(
    survey: &Survey,
    options: ImportOptions<'_>,
    pass: &Pass,
    progress: impl Fn(ImportStep),
) -> Result<ImportReport, HistoryError> {
    if let Some(first) = survey.counts.first_faults.first().filter(|_| !options.keep_going) {
        let (path, count) = (survey.options.path.clone(), survey.counts.faults);
        return Err(HistoryError::Faults { path, count, first: first.clone() });
    }
    let resolved = Arc::new(resolve(&options.store, &survey.names, options.fallback).await?);
    let mut report = ImportReport {
        counts: survey.counts.clone(),
        instruments: survey.names.len() as u64,
        intervals: survey.intervals.clone(),
        ..ImportReport::default()
    };
    candles(survey, &options, &resolved, pass, &progress, &mut report).await?;
    let instruments = Arc::new(by_token(&resolved));
    if let (Some(ticks), false) = (&options.ticks, options.dry_run) {
        let all = report.counts.candles - report.skipped;
        let done = std::cell::Cell::new(0);
        for interval in &survey.intervals {
            let range = MirrorRange {
                interval: *interval,
                instruments: Arc::clone(&instruments),
                times: survey.times,
            };
            let told = |candles| {
                done.set(done.get() + candles);
                progress(ImportStep::Ticks(done.get(), all.max(done.get())));
            };
            let mirrored = ticks.run(&range, pass, told).await?;
            report.ticks_written += mirrored.written;
            report.ticks_present += mirrored.present;
        }
    }
    Ok(report)
}

/// The second pass: from the file to `candles`.
async fn candles(
    survey: &Survey,
    options: &ImportOptions<'_>,
    resolved: &Arc<Resolved>,
    pass: &Pass,
    progress: &impl Fn(ImportStep),
    report: &mut ImportReport,
) -> Result<(), HistoryError> {
    let (sender, mut batches) = mpsc::channel(QUEUE);
    let (file, _) = open(&survey.options.path, pass)?;
    survey.check_unchanged()?;
    let walk = survey.walk_options();
    let mut sink = Batches {
        numbers: survey.names.iter().cloned().zip(0..).collect(),
        resolved: Arc::clone(resolved),
        sender,
        batch: Vec::new(),
        batch_rows: options.batch_rows.max(1),
        skipped: FxHashMap::default(),
        pass: pass.clone(),
    };
    let reading = tokio::task::spawn_blocking(move || {
        let (ended, _) = Walk::new(file, &mut sink, walk).run();
        sink.send();
        (ended, sink.skipped)
    });
    let mut writer = CandleWriter::new(options.store.clone(), options.clock.clone(), options.dry_run);
    let mut done = 0;
    while let Some(batch) = batches.recv().await {
        let Tally { written, unchanged, repeated } = writer.write(&batch).await?;
        report.written += written;
        report.unchanged += unchanged;
        report.repeated += repeated;
        done += batch.len() as u64;
        progress(ImportStep::Candles(done, report.counts.candles));
    }
    let (ended, skipped) =
        reading.await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
    match ended {
        // the fault is in the report of the first pass
        Ok(()) | Err(Stop::Lost(_)) => {}
        Err(Stop::Asked) => return Err(HistoryError::Stopped),
        Err(Stop::Io(source)) => return Err(survey.options.io(source)),
    }
    survey.check_unchanged()?;
    report.skipped = skipped.values().sum();
    report.most_skipped = most_skipped(survey, resolved, &skipped);
    Ok(())
}

fn most_skipped(survey: &Survey, resolved: &Resolved, skipped: &FxHashMap<u32, u64>) -> Vec<Skipped> {
    let mut numbers: Vec<(u32, u64)> = skipped.iter().map(|(name, candles)| (*name, *candles)).collect();
    numbers.sort_unstable_by_key(|(name, candles)| (std::cmp::Reverse(*candles), *name));
    numbers.truncate(SKIPPED_NAMED);
    let describe = |(name, candles): (u32, u64)| Skipped {
        name: survey.names[name as usize].to_string(),
        candles,
        reason: match resolved[name as usize] {
            Err(Unknown::NoMetadata) => "no metadata",
            Err(Unknown::SeveralExchanges) => "on several exchanges: say EXCHANGE:SYMBOL",
            Ok(_) => "expired before the candle's day",
        },
    };
    numbers.into_iter().map(describe).collect()
}

/// Joins instruments and hands batches over.
struct Batches {
    numbers: FxHashMap<Name, u32>,
    resolved: Arc<Resolved>,
    sender: mpsc::Sender<Vec<Candle>>,
    batch: Vec<Candle>,
    batch_rows: usize,
    /// Candles left out, by name.
    skipped: FxHashMap<u32, u64>,
    pass: Pass,
}

impl Batches {
    /// False when nobody takes batches any more.
    fn send(&mut self) -> bool {
        let batch = std::mem::take(&mut self.batch);
        batch.is_empty() || self.sender.blocking_send(batch).is_ok()
    }
}

impl Sink for Batches {
    fn name(&mut self, name: &Name) -> u32 {
        // a name of the second pass that the first did not see: the file was changed, which is noticed at the end
        self.numbers.get(name).copied().unwrap_or(u32::MAX)
    }

    fn candle(&mut self, candle: FileCandle) -> bool {
        if self.pass.is_stopped() {
            return false;
        }
        let day = candle.timestamp.ist().days_since_epoch.clamp(0, i32::from(u16::MAX)) as u16;
        let candidates = self.resolved.get(candle.name as usize).and_then(|found| found.as_ref().ok());
        let Some(known) = candidates.and_then(|candidates| candidates.on(day)) else {
            *self.skipped.entry(candle.name).or_default() += 1;
            return true;
        };
        let numbers = StoredCandle {
            instrument_token: known.instrument.token.0,
            at: candle.timestamp.as_seconds() as u32,
            open: candle.open,
            high: candle.high,
            low: candle.low,
            close: candle.close,
            volume: candle.volume,
            open_interest: candle.open_interest,
        };
        self.batch.push(Candle { interval: word(candle.interval, false), numbers, known: Arc::clone(known) });
        self.batch.len() < self.batch_rows || self.send()
    }

    fn empty(&mut self) {}

    fn fault(&mut self, _: Fault) -> bool {
        !self.pass.is_stopped()
    }
}
