//! `tickhouse retention`: what is old goes, into files first if so wished.

use crate::arguments::Common;
use crate::commands::{backup, export, migrate};
use crate::shutdown::Shutdown;
use crate::{endpoints, output, setup};
use anyhow::bail;
use clap::{Args, Subcommand};
use serde_json::json;
use std::collections::BTreeMap;
use tickhouse_archive::{Action, Retention, RetentionReport, RetentionRules, Stop, Stretch, retained};
use tickhouse_config::Config;

/// What is old goes, by section `[retention]`: into Parquet files first if `export_to` is set, and only once they were read back and
/// compared. Nothing goes by itself: let a timer run `tickhouse retention apply` once a day.
#[derive(Debug, Args)]
pub(crate) struct RetentionCommand {
    #[command(subcommand)]
    command: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Which partitions would go, and why not
    Plan(Flags),
    /// Do it
    Apply(Flags),
}

#[derive(Debug, Args)]
struct Flags {
    /// Only say what would be done: the same as plan
    #[arg(long)]
    dry_run: bool,
    /// One JSON object
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(common: &Common, command: &RetentionCommand) -> anyhow::Result<()> {
    let mut config = setup::config(common)?;
    config.data_dir = endpoints::of_what_runs(&config);
    setup::logs(&config, None)?;
    setup::runtime(2)?.block_on(async {
        let mut shutdown = Shutdown::listen(common.until_stdin_closes)?;
        let retention = Retention::new(&migrate::store(&config)?, rules(&config), config.clock.now());
        match &command.command {
            What::Apply(flags) if !flags.dry_run => {
                let stop = Stop::default();
                let asked = stop.clone();
                tokio::spawn(async move {
                    shutdown.requested().await;
                    asked.stop();
                });
                let bar = export::bar();
                let report = retention
                    .apply(&stop, |stretch, progress| {
                        export::show(&bar, progress);
                        bar.set_message(format!("{} {}", stretch.table, progress.at));
                    })
                    .await;
                bar.finish_and_clear();
                tell(&report?, flags.json)
            }
            What::Plan(flags) | What::Apply(flags) => {
                let plan = retention.plan().await?;
                if flags.json { output::json(&json!({ "dry_run": true, "plan": plan })) } else { show(&plan) }
            }
        }
    })
}

fn rules(config: &Config) -> RetentionRules {
    let settings = &config.retention;
    let days =
        |name: &str| settings.keep_days.iter().find(|(table, _)| *table == name).map_or(0, |(_, days)| *days);
    RetentionRules {
        keep_days: retained().into_iter().map(|one| (one, days(one.table.name))).collect(),
        export_to: settings.export_to.clone(),
        lock: backup::lock(config),
    }
}

fn line(stretch: &Stretch) -> anyhow::Result<()> {
    let days = if stretch.first_day == stretch.last_day {
        stretch.first_day.to_string()
    } else {
        format!("{} to {}", stretch.first_day, stretch.last_day)
    };
    Ok(output::line(&format!(
        "{:<14}  {days:<24}  {:>10}  {:>15}  {:>10}  {:>8}  {:<7}  {}",
        stretch.table,
        stretch.partitions.len(),
        output::grouped(stretch.rows),
        output::bytes(stretch.bytes),
        format!("{} d", stretch.age_days),
        stretch.action,
        stretch.why
    ))?)
}

fn head() -> anyhow::Result<()> {
    Ok(output::line(&format!(
        "{:<14}  {:<24}  {:>10}  {:>15}  {:>10}  {:>8}  {:<7}",
        "table", "days", "partitions", "rows", "size", "age", "action"
    ))?)
}

/// What is kept as one line a table, the rest each by itself.
fn show(plan: &[Stretch]) -> anyhow::Result<()> {
    let (kept, due): (Vec<&Stretch>, Vec<&Stretch>) =
        plan.iter().partition(|stretch| stretch.action == Action::Keep);
    if !due.is_empty() {
        head()?;
        due.into_iter().try_for_each(line)?;
    }
    let mut tables: BTreeMap<&str, (usize, u64, u64)> = BTreeMap::new();
    for stretch in kept {
        let sum = tables.entry(stretch.table).or_default();
        *sum = (sum.0 + stretch.partitions.len(), sum.1 + stretch.rows, sum.2 + stretch.bytes);
    }
    for (table, (partitions, rows, bytes)) in tables {
        let (rows, size) = (output::grouped(rows), output::bytes(bytes));
        output::line(&format!("{table}: {partitions} partitions are kept, {rows} rows, {size}"))?;
    }
    Ok(())
}

fn tell(report: &RetentionReport, as_json: bool) -> anyhow::Result<()> {
    if as_json {
        output::json(report)?;
    } else {
        if !report.outcomes.is_empty() {
            head()?;
        }
        report.outcomes.iter().try_for_each(|outcome| line(&outcome.stretch))?;
        if report.put_back + report.finished > 0 {
            output::line(&format!(
                "of a run that was interrupted: {} partitions put back, {} dropped",
                report.put_back, report.finished
            ))?;
        }
        output::line(&format!(
            "{} rows removed, {} files written",
            output::grouped(report.removed_rows),
            output::grouped(report.files)
        ))?;
    }
    if report.stopped {
        bail!("interrupted: run it again for the rest");
    }
    Ok(())
}
