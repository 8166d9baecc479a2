//! `tickhouse chain`: the options of one expiry, as they stood at an instant.

mod table;

use crate::answer::{self, How, OutputFormat};
use crate::arguments::Common;
use crate::{endpoints, setup};
use anyhow::bail;
use clap::Args;
use std::time::Duration;
use tickhouse_read::{Answer, ChainOptions, Expiry, OptionChain, Reader, WindowError, duration, instant};

/// Strikes on either side of the money in a table, unless told otherwise: it fits a screen.
const SHOWN: usize = 12;

/// The options of one expiry, as they stood at an instant.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tickhouse chain NIFTY
  tickhouse chain NIFTY --expiry next --at '2026-11-20 10:15'
  tickhouse chain MCX:CRUDEOIL --expiry 2026-12-16 --strikes 5 --max-age 5m
  tickhouse chain BANKNIFTY --json | jq '.totals.pcr_open_interest'
  tickhouse chain NIFTY --at 15:20 --output chain.parquet")]
pub(crate) struct ChainCommand {
    /// Kite's name of the underlying, or an index or share as it is called; with its exchange where it has options on several:
    /// NIFTY, 'NIFTY 50', RELIANCE, NCO:GOLD
    underlying: String,
    /// current, next, 3 (the third from now), or its day as 2026-11-24
    #[arg(short, long, value_name = "EXPIRY", default_value = "current")]
    expiry: Expiry,
    /// As of then: '2026-11-20 10:15', 10:15 (today), 15m (ago) [default: now]
    #[arg(long, value_name = "TIME", default_value = "now", hide_default_value = true)]
    at: String,
    /// Strikes on either side of the money [default: 12 in a table, else all]
    #[arg(long, value_name = "N")]
    strikes: Option<usize>,
    /// Yearly rate that discounts, in percent [default: 5.5]
    #[arg(long, value_name = "PERCENT", value_parser = percent)]
    rate: Option<f64>,
    /// After so much trading time without a tick a leg counts as old, and its price is not used [default: 60s]
    #[arg(long, value_name = "DURATION", value_parser = age)]
    max_age: Option<Duration>,
    #[command(flatten)]
    how: How,
}

fn percent(text: &str) -> Result<f64, String> {
    let rate: f64 =
        text.trim_end_matches('%').parse().map_err(|_| "use percent a year, as 5.5".to_owned())?;
    if (-100.0..=100.0).contains(&rate) { Ok(rate / 100.0) } else { Err("use -100 to 100".to_owned()) }
}

fn age(text: &str) -> Result<Duration, WindowError> {
    duration(text)
}

pub(crate) fn run(common: &Common, command: &ChainCommand) -> anyhow::Result<()> {
    let config = setup::config(common)?;
    let at = instant(&command.at, config.clock.now())?;
    let usual = ChainOptions { calendar: endpoints::calendar(&config)?, ..ChainOptions::default() };
    let options = ChainOptions {
        rate: command.rate.unwrap_or(usual.rate),
        most_age: command.max_age.unwrap_or(usual.most_age),
        ..usual
    };
    let reader = Reader::new(endpoints::reader(&config)?);
    setup::runtime(1)?.block_on(async {
        let chain = reader.chain(&command.underlying, command.expiry, at, &options).await?;
        show(&reader, chain, command).await
    })
}

async fn show(reader: &Reader, mut chain: OptionChain, command: &ChainCommand) -> anyhow::Result<()> {
    let format = command.how.format();
    let listed = chain.strikes.len();
    let default = (format == OutputFormat::Table).then_some(SHOWN);
    if let Some(strikes) = command.strikes.or(default) {
        chain.keep_around_the_money(strikes);
    }
    if chain.strikes.is_empty() {
        bail!("there are no strikes to show");
    }
    match format {
        OutputFormat::Table => answer::show_text(&table::render(&chain, listed), &command.how),
        OutputFormat::Json => answer::show_text(&serde_json::to_string_pretty(&chain)?, &command.how),
        _ => answer::show(reader, Answer::Rows(chain.rows()?), &command.how).await.map(drop),
    }
}
