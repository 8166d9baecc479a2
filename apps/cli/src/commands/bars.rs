//! `tickhouse bars`: open, high, low, close and volume of an instrument, with what is missing.

use crate::answer::{self, How, OutputFormat};
use crate::arguments::Common;
use crate::output::Exit;
use crate::window::When;
use crate::{endpoints, setup};
use anyhow::bail;
use clap::{Args, ValueEnum};
use serde_json::json;
use std::collections::BTreeMap;
use tickhouse_bars::{Interval, IntervalError, Reason, StreamRule, Tolerance};
use tickhouse_read::{
    Answer, BarOptions, BarSources, NamedBar, Reader, Reconciliation, Window, difference_rows,
};

/// Exit code where `--reconcile` found differences.
const DIFFERENT: u8 = 3;

/// Bars of an instrument.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tickhouse bars NIFTY --interval 5m
  tickhouse bars NSE:INFY --interval 1h --from 2026-11-16 --to 2026-11-20
  tickhouse bars NIFTY --continuous --interval 1d --last 90d --output nifty.parquet
  tickhouse bars INFY --ticks 500 --date 2026-11-20
  tickhouse bars INFY --interval 1m --date 2026-11-20 --reconcile

Times are bars' begins; a bar is given whole when it begins in the window. `complete` says that nothing is known to be missing
from it, `gap_seconds` how much of it the feed was cut off, `source` where its numbers come from. Every rule: docs/bars.md.
Exit code 3: --reconcile found differences.")]
pub(crate) struct Bars {
    /// A symbol (NIFTY, INFY, NIFTY26NOV24000CE), with its exchange where that matters (BSE:INFY), or a token
    symbol: String,
    /// How long: 1s, 30s, 1m, 5m, 15m, 1h, 1d, 1w, 1mo
    #[arg(short, long, value_name = "LENGTH", default_value = "1m", value_parser = interval, conflicts_with_all = ["ticks", "volume", "range"])]
    interval: Interval,
    /// Bars of so many ticks
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..), conflicts_with_all = ["volume", "range", "reconcile"])]
    ticks: Option<u64>,
    /// Bars of so much traded volume
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..), conflicts_with_all = ["range", "reconcile"])]
    volume: Option<u64>,
    /// Bars of such a difference between high and low, in rupees
    #[arg(long, value_name = "RUPEES", value_parser = rupees, conflicts_with = "reconcile")]
    range: Option<f64>,
    #[command(flatten)]
    when: When,
    /// Futures one after the other, each until its expiry; prices are not adjusted at a roll
    #[arg(long)]
    continuous: bool,
    /// What they are made of
    #[arg(long, value_enum, value_name = "WHAT", default_value = "both", conflicts_with = "reconcile")]
    source: MadeOf,
    /// Hold bars of ticks against the broker's candles (`tickhouse backfill`), and tell each difference
    #[arg(long)]
    reconcile: bool,
    /// Difference of a price that is none, in rupees
    #[arg(long, value_name = "RUPEES", default_value_t = 0.0, value_parser = amount, requires = "reconcile")]
    price_tolerance: f64,
    /// Difference of volume and open interest that is none, in percent
    #[arg(long, value_name = "PERCENT", default_value_t = 0.0, value_parser = amount, requires = "reconcile")]
    volume_tolerance: f64,
    #[command(flatten)]
    how: How,
}

/// What bars are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum MadeOf {
    /// Ticks, and the broker's candles where minutes are missing
    Both,
    /// Recorded ticks only
    Ticks,
    /// The broker's candles only
    Candles,
}

fn interval(text: &str) -> Result<Interval, IntervalError> {
    text.parse()
}

fn amount(text: &str) -> Result<f64, String> {
    let amount: f64 = text.parse().map_err(|_| "use a number".to_owned())?;
    if amount.is_finite() && amount >= 0.0 { Ok(amount) } else { Err("use 0 or more".to_owned()) }
}

fn rupees(text: &str) -> Result<f64, String> {
    amount(text).and_then(|rupees| if rupees > 0.0 { Ok(rupees) } else { Err("use more than 0".to_owned()) })
}

pub(crate) fn run(common: &Common, command: &Bars) -> anyhow::Result<()> {
    let config = setup::config(common)?;
    let now = config.clock.now();
    let window = command.when.window(now)?;
    let options = BarOptions {
        calendar: endpoints::calendar_of_ticks(&config)?,
        sources: match command.source {
            MadeOf::Both => BarSources::Both,
            MadeOf::Ticks => BarSources::Ticks,
            MadeOf::Candles => BarSources::Candles,
        },
        continuous: command.continuous,
        ..BarOptions::at(now)
    };
    let reader = Reader::new(endpoints::reader(&config)?);
    setup::runtime(1)?.block_on(async {
        if command.reconcile {
            return compare(&reader, command, &window, &options).await;
        }
        let bars = match command.rule() {
            Some(_) if options.sources == BarSources::Candles => {
                bail!("candles have no ticks: leave --source out")
            }
            Some(rule) => reader.stream_bars(&command.symbol, rule, &window, &options).await?,
            None => reader.bars(&command.symbol, command.interval, &window, &options).await?,
        };
        answer::show(&reader, Answer::Rows(NamedBar::rows(&bars)?), &command.how).await.map(drop)
    })
}

impl Bars {
    fn rule(&self) -> Option<StreamRule> {
        let volume = || self.volume.map(StreamRule::Volume);
        let range = || self.range.map(StreamRule::Range);
        self.ticks.map(StreamRule::Ticks).or_else(volume).or_else(range)
    }
}

async fn compare(
    reader: &Reader,
    command: &Bars,
    window: &Window,
    options: &BarOptions,
) -> anyhow::Result<()> {
    let tolerance = Tolerance { price: command.price_tolerance, volume_percent: command.volume_tolerance };
    let result = reader.reconcile_bars(&command.symbol, command.interval, window, options, tolerance).await?;
    if result.days_with_candles == 0 {
        bail!(
            "there are no candles of {} in that time to compare with: `tickhouse backfill` gets them",
            command.symbol
        );
    }
    let rows = difference_rows(&result.found.differences)?;
    if command.how.format() == OutputFormat::Json {
        let lines = rows.ndjson.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let differences: Vec<serde_json::Value> =
            lines.map(serde_json::from_slice).collect::<Result<_, _>>()?;
        let found = &result.found;
        let told = json!({
            "compared": found.compared,
            "equal": found.equal,
            "days_with_candles": result.days_with_candles,
            "differences": differences,
        });
        answer::show_text(&serde_json::to_string_pretty(&told)?, &command.how)?;
    } else {
        answer::show(reader, Answer::Rows(rows), &command.how).await?;
        eprintln!("{}", summary(&result));
    }
    match result.found.differences.len() {
        0 => Ok(()),
        number => {
            Err(Exit::with(DIFFERENT, format!("{number} differences between our bars and the broker's")))
        }
    }
}

/// `373 of 375 bars of 1 day equal; 3 differences: 2 gap, 1 boundary`.
fn summary(result: &Reconciliation) -> String {
    let found = &result.found;
    let mut reasons: BTreeMap<Reason, usize> = BTreeMap::new();
    found.differences.iter().for_each(|difference| *reasons.entry(difference.reason).or_default() += 1);
    let word =
        |reason: &Reason| serde_json::to_value(reason).ok().and_then(|word| word.as_str().map(str::to_owned));
    let reasons: Vec<String> = reasons
        .iter()
        .map(|(reason, count)| format!("{count} {}", word(reason).unwrap_or_default().replace('_', " ")))
        .collect();
    let days = match result.days_with_candles {
        1 => "1 day".to_owned(),
        days => format!("{days} days"),
    };
    let told = match found.differences.len() {
        0 => String::new(),
        1 => format!("; 1 difference: {}", reasons.join(", ")),
        number => format!("; {number} differences: {}", reasons.join(", ")),
    };
    format!("{} of {} bars of {days} equal{told}", found.equal, found.compared)
}
