//! Benchmarks: what Tickhouse costs, beside what others cost, in one run. `cargo xtask bench` builds and runs this;
//! benches/README.md has the results.
//!
//! What enters: the simulator's market, a real Redis, a real ClickHouse. What leaves: lines of figures, and an error when
//! a benchmark computed something wrong. What never happens here: judging a figure.

mod bytes;
mod candles;
mod catch_up;
mod chain;
mod day;
mod format;
mod instruments;
mod live;
mod market;
mod queries;
mod row_binary;
mod rows;
mod services;
mod token_lookup;
mod usage;
mod web;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use std::path::PathBuf;

/// Benchmarks of Tickhouse.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    which: Which,
    /// The tickhouse program, whose process becomes the ClickHouse engine [default: the one beside this program]
    #[arg(long, env = "TICKHOUSE_BIN", global = true)]
    tickhouse: Option<PathBuf>,
    /// Python with the packages of tests/python/requirements.txt, for the comparisons with Python programs
    #[arg(long, env = "PYTHON", global = true)]
    python: Option<PathBuf>,
    /// How much: ticks, packets or seconds, by the benchmark [default: as on the page of results]
    #[arg(long, global = true)]
    amount: Option<usize>,
}

#[derive(Clone, Debug, Subcommand)]
enum Which {
    /// Rows per second into ClickHouse by insert format
    Format,
    /// A stream of millions of ticks into ClickHouse, beside a bare insert and the brief's consumer
    CatchUp {
        /// Rows of a batch
        #[arg(long, default_value_t = tickhouse_load::LoaderOptions::default().batch_rows)]
        batch_rows: usize,
    },
    /// 20,000 packets a second for a while: processor, memory, latencies
    Live,
    /// The page: 50 browsers at 20,000 packets a second, and how long a tick takes to one
    Web,
    /// 90 days of candles from a file, beside the brief's Python
    Candles,
    /// Bytes per stored tick, beside the brief's table
    Bytes,
    /// 400,000 instruments into ClickHouse and memory, beside the brief's way
    Instruments,
    /// The brief's queries over a day of ticks: its statements on its tables beside the named queries on ours
    Queries {
        /// Keep the day in this folder: the next run loads nothing
        #[arg(long, value_name = "FOLDER")]
        keep: Option<PathBuf>,
        /// This query alone
        #[arg(long, value_name = "NAME")]
        only: Option<String>,
    },
    /// A whole option chain as of instants of a day of ticks
    Chain,
    /// Write a file like the brief's `token_lookup_enriched.json`
    TokenLookup {
        /// Where
        out: PathBuf,
    },
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let Arguments { which, tickhouse, python, amount } = arguments;
    let python = python.as_deref();
    let tickhouse = match tickhouse {
        Some(path) => std::path::absolute(path),
        None => std::env::current_exe().map(|own| own.with_file_name("tickhouse")),
    };
    let tickhouse = tickhouse.context("the tickhouse program has no path")?;
    match which {
        Which::Format => runtime.block_on(format::run(&tickhouse, amount.unwrap_or(500_000))),
        Which::CatchUp { batch_rows } => {
            runtime.block_on(catch_up::run(&tickhouse, python, amount.unwrap_or(5_000_000), batch_rows))
        }
        Which::Live => live::run(&tickhouse, amount.unwrap_or(60)),
        Which::Web => runtime.block_on(web::run(&tickhouse, amount.unwrap_or(60))),
        Which::Instruments => {
            runtime.block_on(instruments::run(&tickhouse, python, amount.unwrap_or(400_000)))
        }
        Which::Queries { keep, only } => {
            let ticks = amount.unwrap_or(20_000_000);
            runtime.block_on(queries::run(&tickhouse, ticks, keep.as_deref(), only.as_deref()))
        }
        Which::Chain => runtime.block_on(chain::run(&tickhouse, amount.unwrap_or(20_000_000))),
        Which::TokenLookup { out } => instruments::generate(&out, amount.unwrap_or(400_000)),
        Which::Candles => runtime.block_on(candles::run(&tickhouse, python, amount.unwrap_or(2_100_000))),
        Which::Bytes => runtime.block_on(bytes::run(&tickhouse, amount.unwrap_or(5_000_000))),
    }
}
