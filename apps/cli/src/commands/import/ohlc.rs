//! `tickhouse import ohlc`: historical candles from a JSON file.

use crate::arguments::Common;
use crate::commands::migrate;
use crate::shutdown::Shutdown;
use crate::{endpoints, instruments, output, setup};
use anyhow::Context as _;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use std::fs::File;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tickhouse_config::Config;
use tickhouse_enrich::{InstrumentTable, InstrumentTableBuilder};
use tickhouse_history::{
    HistoryError, ImportOptions, ImportReport, ImportStep, Interval, Name, Pass, Survey, SurveyOptions,
    TickMirror, import, survey,
};

/// How often the bar follows the reading.
const BAR_EVERY: Duration = Duration::from_millis(100);
/// Faults and skipped instruments that are shown.
const SHOWN: usize = 10;

/// Historical candles from a JSON file into `candles` and `tick_data`. The file is checked whole before anything is written;
/// running it again writes nothing twice. docs/candles.md shows the forms that are read.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag")]
pub(crate) struct Ohlc {
    /// JSON file
    #[arg(long, value_name = "FILE")]
    file: PathBuf,
    /// Check and look up everything, write nothing
    #[arg(long)]
    dry_run: bool,
    /// Candles of one insert
    #[arg(long, value_name = "N", default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    batch: u32,
    /// Import the rest of a file that has faults
    #[arg(long)]
    keep_going: bool,
    /// Write `candles` only, not `tick_data`
    #[arg(long)]
    no_ticks: bool,
    /// Interval of candles of which the file does not say it: minute, 3minute, 5minute, 10minute, 15minute, 30minute,
    /// 60minute, day
    #[arg(long, value_name = "INTERVAL")]
    interval: Option<Interval>,
    /// Instrument of candles of which the file does not say it: a token, EXCHANGE:SYMBOL or a symbol
    #[arg(long, value_name = "INSTRUMENT")]
    instrument: Option<String>,
    /// One JSON object
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(common: &Common, command: &Ohlc) -> anyhow::Result<()> {
    let config = setup::config(common)?;
    setup::logs(&config, None)?;
    setup::runtime(2)?.block_on(run_import(&config, common.until_stdin_closes, command))
}

async fn run_import(config: &Config, until_stdin_closes: bool, command: &Ohlc) -> anyhow::Result<()> {
    let pass = Pass::default();
    let mut shutdown = Shutdown::listen(until_stdin_closes)?;
    let stop = pass.clone();
    tokio::spawn(async move {
        shutdown.requested().await;
        stop.stop();
    });
    let started = Instant::now();
    let surveyed = look_over(command, &pass).await?;
    if !command.json {
        show_faults(&surveyed)?;
    }
    let fallback = fallback(config)?;
    let store = migrate::store(config)?;
    let ticks = TickMirror {
        store: store.clone(),
        clock: config.clock.clone(),
        calendar: endpoints::calendar(config)?,
        rules: instruments::rules(config)?.into(),
        batch_rows: command.batch as usize,
        lock: endpoints::run_dir(&config.data_dir).join("candles.lock"),
    };
    let options = ImportOptions {
        store,
        clock: config.clock.clone(),
        batch_rows: command.batch as usize,
        keep_going: command.keep_going,
        dry_run: command.dry_run,
        ticks: (!command.no_ticks).then_some(ticks),
        fallback: fallback.as_ref(),
    };
    let bar = bar("{msg:>8} {wide_bar} {human_pos} of {human_len} candles, {per_sec}, {eta} left");
    let report = import(&surveyed, options, &pass, |step| follow(&bar, step)).await;
    bar.finish_and_clear();
    let report = match report {
        Err(error @ HistoryError::Faults { .. }) if command.json => {
            output::json(&json!({ "imported": false, "counts": surveyed.counts }))?;
            return Err(error.into());
        }
        report => report?,
    };
    let seconds = started.elapsed().as_secs_f64();
    if command.json {
        let mut object = serde_json::to_value(&report)?;
        object["imported"] = (!command.dry_run).into();
        object["seconds"] = seconds.into();
        return output::json(&object);
    }
    show(&report, command, seconds)
}

/// The first pass, on a thread for that.
async fn look_over(command: &Ohlc, pass: &Pass) -> anyhow::Result<Survey> {
    let options = SurveyOptions {
        path: command.file.clone(),
        interval: command.interval,
        instrument: command.instrument.as_deref().map(Name::of_text),
    };
    let bytes = std::fs::metadata(&command.file).map_or(0, |file| file.len());
    let bar = bar("checking {wide_bar} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left");
    bar.set_length(bytes);
    let reading = pass.clone();
    let mut surveying = tokio::task::spawn_blocking(move || survey(options, &reading));
    let surveyed = loop {
        tokio::select! {
            surveyed = &mut surveying => break surveyed,
            () = tokio::time::sleep(BAR_EVERY) => bar.set_position(pass.bytes()),
        }
    };
    bar.finish_and_clear();
    Ok(surveyed.context("the thread that reads the file ended")??)
}

fn bar(template: &str) -> ProgressBar {
    let style = ProgressStyle::with_template(template);
    ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

fn follow(bar: &ProgressBar, step: ImportStep) {
    let (phase, done, all) = match step {
        ImportStep::Candles(done, all) => ("candles", done, all),
        ImportStep::Ticks(done, all) => ("ticks", done, all),
    };
    if bar.message() != phase {
        bar.reset();
        bar.set_message(phase);
    }
    bar.set_length(all);
    bar.set_position(done);
}

/// The configured file of instruments: known where ClickHouse knows none.
fn fallback(config: &Config) -> anyhow::Result<Option<InstrumentTable>> {
    let Some(path) = &config.instruments.file else { return Ok(None) };
    let file =
        File::open(path).with_context(|| format!("instruments.file {} can't be read", path.display()))?;
    let mut builder = InstrumentTableBuilder::new();
    let is_json = path.extension().is_some_and(|extension| extension == "json");
    if is_json {
        builder.read_token_lookup(file)?
    } else {
        builder.read_kite_csv(file)?
    };
    Ok(Some(builder.finish()))
}

fn show_faults(surveyed: &Survey) -> anyhow::Result<()> {
    let counts = &surveyed.counts;
    for fault in counts.first_faults.iter().take(SHOWN) {
        output::line(&format!("fault at {fault}"))?;
    }
    if counts.faults > SHOWN as u64 {
        output::line(&format!("… and {} more faults", output::grouped(counts.faults - SHOWN as u64)))?;
    }
    if counts.unread_bytes > 0 {
        let share = format!("{} of {}", output::bytes(counts.unread_bytes), output::bytes(surveyed.bytes));
        output::line(&format!("behind the last of them {share} can't be read"))?;
    }
    Ok(())
}

fn show(report: &ImportReport, command: &Ohlc, seconds: f64) -> anyhow::Result<()> {
    let grouped = output::grouped;
    let counts = &report.counts;
    let would = if command.dry_run { "would be written" } else { "written" };
    let intervals: Vec<_> = report.intervals.iter().map(|interval| interval.name()).collect();
    output::line(&format!(
        "{} candles of {} instruments ({}), {} without a trade, {} faults",
        grouped(counts.candles),
        grouped(report.instruments),
        intervals.join(", "),
        grouped(counts.empty),
        grouped(counts.faults)
    ))?;
    output::line(&format!(
        "candles    {} {would}, {} were there, {} repeated, {} skipped",
        grouped(report.written),
        grouped(report.unchanged),
        grouped(report.repeated),
        grouped(report.skipped)
    ))?;
    for skipped in report.most_skipped.iter().take(SHOWN) {
        output::line(&format!(
            "  skipped {}: {}, {} candles",
            skipped.name,
            skipped.reason,
            grouped(skipped.candles)
        ))?;
    }
    if !command.no_ticks && !command.dry_run {
        let (written, present) = (grouped(report.ticks_written), grouped(report.ticks_present));
        output::line(&format!("tick_data  {written} written, {present} were there"))?;
    }
    let rate = (counts.candles as f64 / seconds.max(0.001)) as u64;
    Ok(output::line(&format!("{seconds:.1} s, {} candles/s", grouped(rate)))?)
}
