//! 90 days of minute candles from a file into `candles` and `tick_data`, beside the brief's Python in batches of 1,000.
//!
//! The Python program inserts a part of the same file: its rate does not change with the length. Checked: every candle is in
//! both tables once, with the sum of its closes, and a second run writes nothing.

use crate::services::{ClickHouse, ask, run as statement};
use anyhow::{Context as _, ensure};
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;
use tickhouse_enrich::{Calendar, Rules};
use tickhouse_history::{
    ImportOptions, ImportReport, Interval, Pass, SurveyOptions, TickMirror, import, survey,
};
use tickhouse_store::Store;
use tickhouse_telemetry::Clock;

/// Weekdays of 90 days.
const DAYS: usize = 63;
const MINUTES: usize = 375;
/// Candles that Python inserts.
const PYTHON_CANDLES: usize = 20_000;
/// 2026-08-17, a Monday, 09:15 in India.
const FIRST: i64 = 1_786_938_300;

pub(crate) async fn run(tickhouse: &Path, python: Option<&Path>, candles: usize) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("candles.json");
    let instruments = candles.div_ceil(DAYS * MINUTES);
    let (rows, closes) = write(&path, instruments)?;
    let bytes = path.metadata()?.len();
    println!("{rows} candles of {instruments} instruments over {DAYS} days, {} MB", bytes / 1_000_000);
    let clickhouse = ClickHouse::start(tickhouse).await?;
    let store = clickhouse.database("candles").await?;
    metadata(&store, instruments).await?;
    for round in ["first run", "second run"] {
        let started = Instant::now();
        let report = bring_in(&store, &path, folder.path()).await?;
        let seconds = started.elapsed().as_secs_f64();
        println!(
            "{round}: {seconds:.1} s, {:.0} candles/s; {} into candles, {} into tick_data",
            rows as f64 / seconds,
            report.written,
            report.ticks_written
        );
        for (table, close) in [("candles", "close"), ("tick_data", "last_price")] {
            let sql = format!(
                "SELECT count(), uniqExact(instrument_token, timestamp), toInt64(sum({close})) FROM {table}"
            );
            let found = ask(&store, &sql).await?;
            ensure!(
                found == format!("{rows}\t{rows}\t{closes}"),
                "{table} holds {found}, not {rows} and {closes}"
            );
        }
    }
    println!("peak memory of this process: {} MB", peak_memory()?);
    let Some(python) = python else { return Ok(()) };
    let other = clickhouse.database("brief").await?;
    metadata(&other, instruments).await?;
    let port = clickhouse.engine.url().rsplit(':').next().context("a port")?.to_owned();
    let output = Command::new(python)
        .args([
            "benches/python/brief_ohlc.py",
            &path.display().to_string(),
            &port,
            "brief",
            &PYTHON_CANDLES.to_string(),
        ])
        .output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    let seconds = said["insert_seconds"].as_f64().context("seconds")?;
    ensure!(
        ask(&other, "SELECT count() FROM tick_data").await? == PYTHON_CANDLES.to_string(),
        "Python's rows"
    );
    println!(
        "the brief's Python, batches of 1,000: {:.0} candles/s ({PYTHON_CANDLES} of them), after {:.1} s of loading the file",
        PYTHON_CANDLES as f64 / seconds,
        said["load_seconds"].as_f64().unwrap_or_default()
    );
    Ok(())
}

/// A file of Kite's arrays by token; gives its candles and the sum of their closes in whole rupees.
fn write(path: &Path, instruments: usize) -> anyhow::Result<(u64, i64)> {
    let mut file = BufWriter::new(File::create(path)?);
    let (mut rows, mut closes) = (0, 0);
    for token in 1..=instruments {
        write!(file, "{}\"{token}\": [", if token == 1 { "{" } else { "],\n" })?;
        for day in 0..DAYS {
            let start = FIRST + (day / 5 * 7 + day % 5) as i64 * 86_400;
            for minute in 0..MINUTES {
                let at =
                    tickhouse_model::Timestamp::from_millis((start + minute as i64 * 60) * 1_000).to_string();
                let close = 100 + (token * 7 + minute * 13 + day) % 900;
                let comma = if day + minute == 0 { "" } else { ", " };
                write!(
                    file,
                    "{comma}[\"{}+0530\", {close}.05, {close}.95, {}.15, {close}, {}, {}]",
                    &at[..19],
                    close - 1,
                    minute * 25,
                    day * 1_000
                )?;
                rows += 1;
                closes += close as i64;
            }
        }
    }
    file.write_all(b"]}\n")?;
    file.flush()?;
    Ok((rows, closes))
}

async fn metadata(store: &Store, instruments: usize) -> anyhow::Result<()> {
    let sql = format!(
        "INSERT INTO token_metadata (instrument_token, symbol, tradingsymbol, exchange, segment, instrument_type) \
         SELECT number + 1, 'S' || toString(number + 1), 'S' || toString(number + 1), 'NSE', 'NSE', 'EQ' FROM numbers({instruments})"
    );
    statement(store, &sql).await
}

async fn bring_in(store: &Store, path: &Path, folder: &Path) -> anyhow::Result<ImportReport> {
    let options = SurveyOptions { path: path.to_owned(), interval: Some(Interval::Minute), instrument: None };
    let started = Instant::now();
    let surveyed = tokio::task::spawn_blocking(move || survey(options, &Pass::default())).await??;
    println!("  checking the file: {:.2} s", started.elapsed().as_secs_f64());
    let ticks = TickMirror {
        store: store.clone(),
        clock: Clock::system(),
        calendar: Arc::new(Calendar::clone(&Calendar::builtin())),
        rules: Arc::new(Rules::builtin().clone()),
        batch_rows: 100_000,
        lock: folder.join("candles.lock"),
    };
    let options = ImportOptions {
        store: store.clone(),
        clock: Clock::system(),
        batch_rows: 100_000,
        keep_going: false,
        dry_run: false,
        ticks: Some(ticks),
        fallback: None,
    };
    Ok(import(&surveyed, options, &Pass::default(), |_| {}).await?)
}

/// The highest resident memory of this process, MB.
fn peak_memory() -> anyhow::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("VmHWM")?;
    let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kilobytes / 1_000)
}
