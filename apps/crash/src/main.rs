//! `tickhouse-crash`: see the library. `cargo xtask crash-test` builds and runs it.

use anyhow::{Context as _, bail};
use clap::Parser;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use tickhouse_crash::{Options, Report, Schedule, run};

/// Kills, stops, cuts and fills what a seed says, then looks whether every tick is stored once.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask crash-test")]
struct Arguments {
    /// How long things go wrong for each seed
    #[arg(long, value_name = "M", default_value_t = 1.0)]
    minutes: f64,
    /// The first seed
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// So many seeds, one after the other
    #[arg(long, value_name = "N", default_value_t = 1)]
    seeds: u64,
    /// Packets per second of the market
    #[arg(long, value_name = "PACKETS_PER_S", default_value_t = 6_000.0)]
    rate: f64,
    /// A JSON object a seed instead of text
    #[arg(long)]
    json: bool,
    /// Only say what would go wrong
    #[arg(long)]
    dry_run: bool,
    /// The built `tickhouse`
    #[arg(long, env = "TICKHOUSE_BIN", value_name = "FILE")]
    program: PathBuf,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run_all(&arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(3),
        Err(error) => {
            eprintln!("crash-test: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether every seed ended well.
fn run_all(arguments: &Arguments) -> anyhow::Result<bool> {
    let span = Duration::try_from_secs_f64(arguments.minutes * 60.0).context("use a positive --minutes")?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let mut all = Vec::new();
    for seed in arguments.seed..arguments.seed.saturating_add(arguments.seeds) {
        if arguments.dry_run {
            println!("{}", serde_json::to_string(&Schedule::of(seed, span))?);
            continue;
        }
        let report = runtime.block_on(async {
            tokio::select! {
                report = one(arguments, seed, span) => report,
                _ = tokio::signal::ctrl_c() => bail!("ended by Ctrl-C in seed {seed}"),
            }
        })?;
        if arguments.json {
            println!("{}", serde_json::to_string(&report)?);
        } else {
            println!("{report}");
        }
        if !report.ok {
            eprintln!(
                "crash-test: seed {seed} failed. Again: cargo xtask crash-test --minutes {} --seed {seed}",
                arguments.minutes
            );
        }
        all.push(report);
    }
    if all.len() > 1 && !arguments.json {
        println!("{}", sum(&all));
    }
    Ok(all.iter().all(|report| report.ok))
}

async fn one(arguments: &Arguments, seed: u64, span: Duration) -> anyhow::Result<Report> {
    let folder = tempfile::Builder::new().prefix("tickhouse-crash-").tempdir()?;
    let program = arguments.program.canonicalize().context("the built tickhouse is not there")?;
    let here = folder.path().canonicalize()?;
    let options = Options { seed, span, rate: arguments.rate, program, folder: here, spoil: Vec::new() };
    match run(&options).await {
        Ok(report) if report.ok => Ok(report),
        Ok(mut report) => {
            report.kept = Some(folder.keep());
            Ok(report)
        }
        Err(error) => {
            let kept = folder.keep();
            Err(error.context(format!("seed {seed} could not be run; data and logs: {}", kept.display())))
        }
    }
}

fn sum(reports: &[Report]) -> String {
    let total = |of: fn(&Report) -> u64| reports.iter().map(of).sum::<u64>();
    format!(
        "{} seeds, {} good: {} kills, {} network faults, {} faults in all; packets {} sent, {} stored, {} in gaps, {} missing, \
         {} double, {} altered; {} bars, {} wrong",
        reports.len(),
        reports.iter().filter(|report| report.ok).count(),
        total(|report| report.done.kills),
        total(|report| report.done.network_faults),
        total(|report| report.done.faults),
        total(|report| report.totals.sent),
        total(|report| report.totals.stored),
        total(|report| report.totals.in_gaps),
        total(|report| report.totals.missing),
        total(|report| report.totals.duplicates),
        total(|report| report.totals.altered),
        total(|report| report.totals.bars),
        total(|report| report.totals.bars_wrong),
    )
}
