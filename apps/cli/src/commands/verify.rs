//! `tickhouse verify`: the proof, by identity and content.

use crate::arguments::Common;
use crate::output::{self, Exit, grouped};
use crate::shutdown::Shutdown;
use crate::window::When;
use crate::{endpoints, setup};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tickhouse_config::Config;
use tickhouse_read::{Reader, Window};
use tickhouse_verify::{Fault, PATIENCE_SECONDS, Report, Stop, VerifyOptions, verify};

/// What scripts get when something is not accounted for; 1 is a failure to look.
const UNPROVEN: u8 = 3;
/// Wrong rows that people are shown.
const SHOWN: usize = 20;

/// Proves that what the journals have is in ClickHouse, each row once and unaltered, and that the ledger balances. Ends with 3 when
/// anything is missing, double, altered or unaccounted for.
#[derive(Debug, Args)]
pub(crate) struct Verify {
    #[command(flatten)]
    when: When,
    /// One JSON object, with every wrong row up to 1,000
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(common: &Common, command: &Verify) -> anyhow::Result<()> {
    let mut config = setup::config(common)?;
    config.data_dir = endpoints::of_what_runs(&config);
    setup::logs(&config, None)?;
    let window = command.when.window(config.clock.now())?;
    setup::runtime(2)?.block_on(async {
        let mut shutdown = Shutdown::listen(common.until_stdin_closes)?;
        let started = Instant::now();
        let options = options(&config, window)?;
        let report = shown(&options, &mut shutdown).await?;
        let seconds = started.elapsed().as_secs_f64();
        if command.json {
            output::json(&as_json(&report, window, seconds)?)?;
        } else {
            show(&report, window, seconds)?;
        }
        if report.is_proven() {
            return Ok(());
        }
        Err(Exit::with(
            UNPROVEN,
            "not everything is accounted for: docs/verify.md says what to do".to_owned(),
        ))
    })
}

/// A proof over this window with this configuration's journals and ClickHouse.
pub(crate) fn options(config: &Config, window: Window) -> anyhow::Result<VerifyOptions> {
    Ok(VerifyOptions {
        reader: Reader::new(tickhouse_endpoints::reader(config)?),
        journals: endpoints::journal_dir(&config.data_dir),
        window,
        now: config.clock.now(),
        bytes_read: Arc::default(),
        stop: Stop::default(),
    })
}

/// Runs it beside a line that says how far it is.
async fn shown(options: &VerifyOptions, shutdown: &mut Shutdown) -> anyhow::Result<Report> {
    let bar = ProgressBar::new(size_of(&options.journals));
    bar.set_style(ProgressStyle::with_template(
        "journals {bar:30} {bytes:>10} read {bytes_per_sec:>12} {elapsed}",
    )?);
    let (bytes, stop) = (Arc::clone(&options.bytes_read), options.stop.clone());
    let ticking = async {
        loop {
            show_bytes(&bar, &bytes);
            tokio::time::sleep(Duration::from_millis(120)).await;
        }
    };
    let result = tokio::select! {
        result = verify(options) => result,
        () = shutdown.requested() => {
            stop.now();
            Err(tickhouse_verify::VerifyError::Stopped)
        }
        () = ticking => unreachable!("it ticks for ever"),
    };
    bar.finish_and_clear();
    Ok(result?)
}

/// Segments are compressed, records are not: the bar has no true end until it is there.
fn show_bytes(bar: &ProgressBar, bytes: &AtomicU64) {
    let read = bytes.load(Ordering::Relaxed);
    bar.set_length(bar.length().unwrap_or(0).max(read));
    bar.set_position(read);
}

/// Bytes of all files below a directory; 0 for what can't be read.
fn size_of(directory: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(directory) else { return 0 };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => size_of(&entry.path()),
            Ok(metadata) => metadata.len(),
            Err(_) => 0,
        })
        .sum()
}

fn as_json(report: &Report, window: Window, seconds: f64) -> anyhow::Result<serde_json::Value> {
    let mut value = json!({
        "proven": report.is_proven(),
        "from": window.from.to_string(),
        "to": window.to.to_string(),
        "seconds": (seconds * 1_000.0).round() / 1_000.0,
    });
    if let (Some(all), serde_json::Value::Object(report)) =
        (value.as_object_mut(), serde_json::to_value(report)?)
    {
        all.extend(report);
    }
    Ok(value)
}

fn show(report: &Report, window: Window, seconds: f64) -> anyhow::Result<()> {
    let totals = &report.totals;
    let lines = [
        format!("{} to {}, looked at in {seconds:.1} s", window.from, window.to),
        format!(
            "journals    {} records, {} frames ({} heartbeats), {} packets, {} undecodable",
            grouped(totals.records),
            grouped(totals.frames),
            grouped(totals.heartbeats),
            grouped(totals.packets),
            grouped(totals.undecodable)
        ),
        format!(
            "ClickHouse  {} ticks, {} quarantined; {} records whose journal is gone",
            grouped(totals.ticks_stored),
            grouped(totals.quarantined),
            grouped(totals.without_journal)
        ),
        format!(
            "found       {} missing, {} duplicate, {} altered, {} unknown",
            grouped(totals.missing),
            grouped(totals.duplicates),
            grouped(totals.altered),
            grouped(totals.unknown)
        ),
    ];
    lines.iter().try_for_each(|line| output::line(line))?;
    if totals.waiting > 0 {
        let late = if totals.waiting_seconds > PATIENCE_SECONDS { ": too long" } else { "" };
        let (records, seconds) = (grouped(totals.waiting), totals.waiting_seconds);
        output::line(&format!(
            "waiting     {records} records are not stored yet, the oldest for {seconds} s{late}"
        ))?;
    }
    for gap in &report.gaps {
        output::line(&format!("gap         {} × {}, {:.1} s in all", gap.gaps, gap.cause, gap.seconds))?;
    }
    for stream in report.flat_streams.iter().filter(|stream| stream.duplicates > 0) {
        output::line(&format!(
            "duplicate   {} entries of {} are stored twice",
            stream.duplicates, stream.stream
        ))?;
    }
    show_wrong(report)?;
    output::line(if report.is_proven() { "proven: everything is accounted for" } else { "NOT PROVEN" })?;
    Ok(())
}

fn show_wrong(report: &Report) -> std::io::Result<()> {
    for row in report.wrong.iter().take(SHOWN) {
        let verdict = format!("{:?}", row.verdict).to_lowercase();
        let instrument = row.instrument_token.map_or(String::new(), |token| format!(", instrument {token}"));
        let rows = if row.rows > 1 { format!(" ({} rows)", row.rows) } else { String::new() };
        output::line(&format!(
            "{verdict:<11} {} {}/{} packet {}{instrument}{rows}",
            row.table.name(),
            row.recorder,
            row.id,
            row.packet_index
        ))?;
    }
    if report.wrong.len() > SHOWN {
        output::line(&format!("            and more: --json lists {}", report.wrong.len()))?;
    }
    for imbalance in report.imbalances.iter().take(SHOWN) {
        let words = match imbalance.fault {
            Fault::Records { expected, found } => {
                format!("{found} records in frames where {expected} must be")
            }
            Fault::Packets { expected, found } => {
                format!(
                    "{found} rows of packets where frames tells of {expected}, or others than it tells of"
                )
            }
            Fault::WithoutRecord { found } => format!("{found} rows of packets without a record in frames"),
        };
        output::line(&format!(
            "imbalance   {}/{}/{} sequences {} to {}: {words}",
            imbalance.recorder,
            imbalance.session,
            imbalance.socket,
            imbalance.sequences.0,
            imbalance.sequences.1
        ))?;
    }
    Ok(())
}
