//! `tickhouse export`: tables into files that other programs read.

use crate::arguments::Common;
use crate::commands::migrate;
use crate::shutdown::Shutdown;
use crate::{endpoints, output, setup};
use anyhow::{Context as _, bail};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use jiff::civil::Date;
use serde_json::json;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tickhouse_archive::{
    DayPreview, Export, ExportProgress, ExportReport, ExportRequest, FileFormat, ROWS_PER_FILE, Stop, Table,
};
use tickhouse_model::Timestamp;

/// Tables into files that `DuckDB`, polars, pandas and others read, a folder per day, with a manifest of rows and digests. Each file is
/// read back and compared with the table. After a kill, run it again: what is whole and unchanged is not asked for again.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tickhouse export --from 2026-11-02 --to 2026-11-20 --out archive
  tickhouse export --from yesterday --symbols NIFTY,BANKNIFTY --partition date,symbol --out archive
  tickhouse export --from 2026-11-20 --table candles --format csv --out candles
  duckdb -c \"SELECT symbol, count(*) FROM read_parquet('archive/tick_data/**/*.parquet') GROUP BY 1\"

docs/export.md says what is in the files and how to read them.")]
pub(crate) struct ExportCommand {
    /// First day: 2026-11-20, today or yesterday
    #[arg(long, value_name = "DAY")]
    from: String,
    /// Last day, included [default: today, up to the last minute]
    #[arg(long, value_name = "DAY", default_value = "today")]
    to: String,
    /// `tick_data`, `tick_data_1min`, candles, `indices_data`, `news_data`, frames, `feed_gaps` or quarantine
    #[arg(long, value_name = "TABLE", default_value = "tick_data")]
    table: Table,
    /// Only these: NIFTY, NSE:INFY or a token; several with commas
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    symbols: Vec<String>,
    /// parquet, csv or arrow
    #[arg(long, value_name = "FORMAT", default_value = "parquet")]
    format: FileFormat,
    /// date, or date,symbol: a folder for each symbol of a day
    #[arg(long, value_name = "KEYS", default_value = "date", value_parser = ["date", "date,symbol"])]
    partition: String,
    /// The folder, made where it is missing
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Only say which days there are, and what the folder has of them
    #[arg(long)]
    dry_run: bool,
    /// One JSON object
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(common: &Common, command: &ExportCommand) -> anyhow::Result<()> {
    let mut config = setup::config(common)?;
    config.data_dir = endpoints::of_what_runs(&config);
    setup::logs(&config, None)?;
    let now = config.clock.now();
    let request = ExportRequest {
        table: command.table,
        from: day(&command.from, now).context("--from")?,
        to: day(&command.to, now).context("--to")?,
        symbols: command.symbols.clone(),
        format: command.format,
        by_symbol: command.partition == "date,symbol",
        folder: command.out.clone(),
        rows_per_file: ROWS_PER_FILE,
    };
    setup::runtime(2)?.block_on(async {
        let mut shutdown = Shutdown::listen(common.until_stdin_closes)?;
        let export = Export::new(&migrate::store(&config)?, request, now).await?;
        if command.dry_run {
            return show_days(&export.preview().await?, command.json);
        }
        let stop = Stop::default();
        let asked = stop.clone();
        tokio::spawn(async move {
            shutdown.requested().await;
            asked.stop();
        });
        let began = Instant::now();
        let bar = bar();
        let report = export.run(&stop, |progress| show(&bar, progress)).await;
        bar.finish_and_clear();
        tell(command, &report?, began.elapsed())
    })
}

/// A day as typed.
fn day(text: &str, now: Timestamp) -> anyhow::Result<Date> {
    let day = |at: Timestamp| at.ist().date_text().parse::<Date>().context("no day");
    match text {
        "today" => day(now),
        "yesterday" => day(now.minus(Duration::from_hours(24))),
        text => text
            .parse()
            .ok()
            .with_context(|| format!("{text:?} is no day: write 2026-11-20, today or yesterday")),
    }
}

/// A bar for rows.
pub(crate) fn bar() -> ProgressBar {
    let style = "{wide_bar} {human_pos} of {human_len} rows, {per_sec}, {eta} left: {msg}";
    let style = ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = ProgressBar::new(0).with_style(style);
    bar.enable_steady_tick(Duration::from_millis(500));
    bar
}

/// Moves it.
pub(crate) fn show(bar: &ProgressBar, progress: &ExportProgress) {
    bar.set_length(progress.of_rows);
    bar.set_position(progress.rows);
    bar.set_message(progress.at.clone());
}

fn show_days(days: &[DayPreview], as_json: bool) -> anyhow::Result<()> {
    if as_json {
        return output::json(&json!({ "dry_run": true, "days": days }));
    }
    let grouped = output::grouped;
    output::line(&format!("{:<10}  {:>14}  {:>14}  {:>14}", "day", "rows", "exported", "only there"))?;
    for day in days {
        let (rows, there, moved) = (grouped(day.rows), grouped(day.exported_rows), grouped(day.moved_rows));
        output::line(&format!("{:<10}  {rows:>14}  {there:>14}  {moved:>14}", day.day.to_string()))?;
    }
    let rows = days.iter().map(|day| day.rows).sum();
    Ok(output::line(&format!("{} rows of {} days; nothing was written", grouped(rows), days.len()))?)
}

fn tell(command: &ExportCommand, report: &ExportReport, took: Duration) -> anyhow::Result<()> {
    if command.json {
        output::json(report)?;
    } else {
        let grouped = output::grouped;
        for note in &report.notes {
            output::line(&format!("note: {note}"))?;
        }
        let rate = report.rows as f64 / took.as_secs_f64().max(0.001);
        output::line(&format!(
            "{} rows in {} files ({}) written and read back in {:.1} s ({} rows/s); {} files with {} rows were there",
            grouped(report.rows),
            grouped(report.files),
            output::bytes(report.bytes),
            took.as_secs_f64(),
            grouped(rate as u64),
            grouped(report.kept_files),
            grouped(report.kept_rows)
        ))?;
        if let Some(until) = &report.until {
            output::line(&format!("today goes up to {until}; run it again for the rest"))?;
        }
    }
    if report.stopped {
        bail!("interrupted: what was written stays; run it again for the rest");
    }
    Ok(())
}
