//! `tickhouse instruments`: the master of instruments, what it means, and what ticks lack of it.

mod show;

use crate::arguments::Common;
use crate::shutdown::Shutdown;
use crate::{commands, instruments, output, setup};
use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use jiff::civil::Date;
use serde_json::json;
use std::path::{Path, PathBuf};
use tickhouse_config::Config;
use tickhouse_enrich::{InstrumentTable, MasterFormat, ReadReport};
use tickhouse_store::{InstrumentSearch, Master, Store};

/// Bad rows of a file that are shown.
const PROBLEMS_SHOWN: usize = 5;

/// The master of instruments: fetch it, load it from a file, look into it, mend ticks that came before it.
#[derive(Debug, Args)]
pub(crate) struct InstrumentsCommand {
    /// ClickHouse's HTTP interface [default: the configured or running one]
    #[arg(long, value_name = "URL", global = true)]
    clickhouse_url: Option<String>,
    /// JSON instead of text
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    which: Which,
}

#[derive(Debug, Subcommand)]
enum Which {
    /// Fetch the exchange's master and store it as today's; what it lacks is gone
    Sync {
        /// REST of the exchange [default: Kite's]
        #[arg(long, value_name = "HTTP_URL")]
        api_url: Option<String>,
        #[command(flatten)]
        how: How,
    },
    /// Load a file: Kite's CSV (a whole master of its exchanges), or a `token_lookup_enriched.json` (which only adds); gzipped or plain
    Load {
        /// The file
        file: PathBuf,
        #[command(flatten)]
        how: How,
    },
    /// What a token or symbol means, and meant before
    Show {
        /// Token, symbol, trading symbol, or EXCHANGE:SYMBOL
        instrument: String,
        /// Only what it meant on this day
        #[arg(long, value_name = "YYYY-MM-DD", value_parser = day)]
        at: Option<u16>,
    },
    /// Find instruments by words: `search nifty 24000 ce`
    Search {
        /// Words, all of which must occur: in names, exchange, type, strike, or expiry (26NOV2026)
        #[arg(required = true)]
        words: Vec<String>,
        /// Only of this exchange
        #[arg(long)]
        exchange: Option<String>,
        /// Only of this type: EQ, FUT, CE, PE, INDEX
        #[arg(long = "type", value_name = "TYPE")]
        instrument_type: Option<String>,
        /// Only with this expiry: 2026-11-26, 2026-11 or 2026
        #[arg(long)]
        expiry: Option<String>,
        /// At most so many
        #[arg(long, default_value_t = 20)]
        limit: u32,
    },
    /// What was added, expired, removed, reused or changed: by the last master, or between two days
    Diff {
        /// The earlier day [default: that of the last master but one]
        #[arg(value_name = "FROM", value_parser = day)]
        from: Option<u16>,
        /// The later day [default: that of the last master]
        #[arg(value_name = "TO", value_parser = day)]
        to: Option<u16>,
        /// Show at most so many; all are counted
        #[arg(long, default_value_t = 100)]
        limit: u32,
    },
    /// Tokens whose ticks are stored raw, because nobody knew them then
    Missing {
        /// Only ticks since this day
        #[arg(long, value_name = "YYYY-MM-DD", value_parser = day)]
        since: Option<u16>,
    },
    /// Join raw ticks to instruments that are known now; they become 'corrected'. May be run again and beside a loader
    Mend {
        /// Only say what would be mended
        #[arg(long)]
        dry_run: bool,
    },
}

/// How a master is stored.
#[derive(Debug, Args)]
struct How {
    /// The day that the master is of [default: today in India]
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = day)]
    date: Option<u16>,
    /// Only say what would change
    #[arg(long)]
    dry_run: bool,
    /// Accept a master with less than half of an exchange's instruments
    #[arg(long)]
    allow_shrink: bool,
}

pub(crate) fn run(common: &Common, command: &InstrumentsCommand) -> anyhow::Result<()> {
    let api_url = match &command.which {
        Which::Sync { api_url, .. } => api_url.as_ref(),
        _ => None,
    };
    let external = command.clickhouse_url.as_ref().map(|_| "external");
    let sources = setup::sources(common)?
        .with_flag("kite.api_url", "--api-url", api_url)
        .with_flag("clickhouse.mode", "--clickhouse-url", external)
        .with_flag("clickhouse.url", "--clickhouse-url", command.clickhouse_url.as_ref());
    let config = Config::read(&sources)?;
    setup::logs(&config, None)?;
    setup::runtime(1)?.block_on(dispatch(&config, command))
}

async fn dispatch(config: &Config, command: &InstrumentsCommand) -> anyhow::Result<()> {
    let store = commands::migrate::store(config)?;
    let json = command.json;
    match &command.which {
        Which::Sync { how, .. } => sync(config, &store, how, json).await,
        Which::Load { file, how } => load(config, &store, file, how, json).await,
        Which::Show { instrument, at } => {
            let found = match instrument.parse() {
                Ok(token) => store.instruments_of_token(token, *at).await?,
                Err(_) => store.instruments_of_symbol(instrument, *at).await?,
            };
            if found.is_empty() {
                bail!("{instrument} is no instrument that is stored: try `tickhouse instruments search`");
            }
            show::details(&found, json)
        }
        Which::Search { words, exchange, instrument_type, expiry, limit } => {
            let search = InstrumentSearch {
                text: words.join(" "),
                exchange: exchange.clone(),
                instrument_type: instrument_type.clone(),
                expiry: expiry.clone(),
                today: instruments::today(config),
                limit: *limit,
            };
            show::lines(&store.search_instruments(&search).await?, json)
        }
        Which::Diff { from, to, limit } => diff(&store, (*from, *to), *limit, json).await,
        Which::Missing { since } => show::missing(&store.missing_tokens(since.unwrap_or(0)).await?, json),
        Which::Mend { dry_run } => mend(config, &store, *dry_run, json).await,
    }
}

async fn sync(config: &Config, store: &Store, how: &How, json: bool) -> anyhow::Result<()> {
    let url = &config.kite.api_url;
    let fetched = instruments::fetch_with(url, instruments::rules(config)?).await;
    let (table, read) = fetched.with_context(|| format!("the master of {url} was not fetched"))?;
    let master = instruments::master(&table, 0, true, url);
    apply(config, store, &table, &read, how, master, json).await
}

async fn load(config: &Config, store: &Store, file: &Path, how: &How, json: bool) -> anyhow::Result<()> {
    let bytes = std::fs::metadata(file).map_or(0, |file| file.len());
    let bar = ProgressBar::new(bytes).with_style(style("{msg} {bytes}/{total_bytes} {bytes_per_sec} {eta}")?);
    bar.set_message("reading");
    let rules = instruments::rules(config)?;
    let (table, format, read) = instruments::read_file(file, rules, |file| bar.wrap_read(file))?;
    bar.finish_and_clear();
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let master = instruments::master(&table, 0, format == MasterFormat::KiteCsv, &name);
    apply(config, store, &table, &read, how, master, json).await
}

async fn apply(
    config: &Config,
    store: &Store,
    table: &InstrumentTable,
    read: &ReadReport,
    how: &How,
    master: Master<'_>,
    json: bool,
) -> anyhow::Result<()> {
    for problem in read.problems.iter().take(PROBLEMS_SHOWN) {
        eprintln!("tickhouse: left out: line {}: {}", problem.line, problem.reason);
    }
    let day = how.date.unwrap_or_else(|| instruments::today(config));
    let master = Master { day, may_shrink: how.allow_shrink, dry_run: how.dry_run, ..master };
    let bar = ProgressBar::new(table.len() as u64);
    bar.set_style(style("storing {human_pos}/{human_len} {per_sec} {eta}")?);
    let report = instruments::store(config, store, table, &master, |done| bar.set_position(done)).await?;
    bar.finish_and_clear();
    if json {
        let read = json!({ "rows": read.rows, "repeated": read.replaced, "left_out": read.bad });
        let peak = json!({ "day": date_text(day), "whole": master.whole, "dry_run": how.dry_run });
        return output::json(&json!({ "master": peak, "read": read, "stored": report }));
    }
    show::stored(&master, read, &report)
}

async fn diff(store: &Store, days: (Option<u16>, Option<u16>), limit: u32, json: bool) -> anyhow::Result<()> {
    let masters = store.master_days().await?;
    let (from, to) = match days {
        (Some(from), Some(to)) => (from, to),
        (Some(from), None) => (from, *masters.first().context("no master is stored yet")?),
        (None, _) => match masters[..] {
            [last, before, ..] => (before, last),
            [only] => bail!("only the master of {} is stored: there is nothing to compare", date_text(only)),
            [] => bail!("no master is stored yet: `tickhouse instruments sync`"),
        },
    };
    let counts = store.count_instrument_changes(from, to).await?;
    let changes = store.instrument_changes(from, to, limit).await?;
    show::diff((from, to), &counts, &changes, json)
}

async fn mend(config: &Config, store: &Store, dry_run: bool, json: bool) -> anyhow::Result<()> {
    let _lock = if dry_run { None } else { Some(instruments::alone(&config.data_dir, "mend").await?) };
    let mut shutdown = Shutdown::listen(false)?;
    let plan = store.mend_plan().await?;
    let rows: u64 = plan.partitions.iter().map(|at| at.rows).sum();
    let mut mended = 0;
    if !dry_run {
        let bar = ProgressBar::new(rows);
        bar.set_style(style("mending {wide_bar} {human_pos}/{human_len} ticks {eta}")?);
        for at in &plan.partitions {
            tokio::select! {
                done = store.mend_partition(at) => done?,
                () = shutdown.requested() => bail!(
                    "stopped after {mended} of {rows} ticks: the server ends the hour under way; run it again for the rest"
                ),
            }
            mended += at.rows;
            bar.set_position(mended);
        }
        if plan.index_rows > 0 {
            store.mend_indices().await?;
        }
        bar.finish_and_clear();
    }
    let tokens: std::collections::BTreeSet<u32> =
        plan.partitions.iter().flat_map(|at| at.tokens.iter().copied()).collect();
    if json {
        return output::json(&json!({
            "dry_run": dry_run, "ticks": rows, "tokens": tokens.len(), "partitions": plan.partitions.len(),
            "index_values": plan.index_rows, "still_unknown_ticks": plan.unknown_rows,
        }));
    }
    let verb = if dry_run { "would be mended" } else { "mended" };
    output::line(&format!(
        "{} ticks of {} tokens in {} partitions and {} index values {verb}; {} ticks stay raw",
        output::grouped(rows),
        tokens.len(),
        plan.partitions.len(),
        output::grouped(plan.index_rows),
        output::grouped(plan.unknown_rows)
    ))?;
    if plan.unknown_rows > 0 {
        output::line("`tickhouse instruments missing` lists the tokens that no master of their day names")?;
    }
    Ok(())
}

fn style(template: &str) -> anyhow::Result<ProgressStyle> {
    Ok(ProgressStyle::with_template(template)?)
}

/// Days since 1970-01-01 of `2026-11-20`.
fn day(text: &str) -> Result<u16, String> {
    let wrong = || format!("`{text}` is no day between 1970-01-02 and 2149-06-05: write it as 2026-11-20");
    let date: Date = text.parse().map_err(|_| wrong())?;
    let days = date.since(Date::constant(1970, 1, 1)).map_err(|_| wrong())?.get_days();
    u16::try_from(days).ok().filter(|days| (1..u16::MAX).contains(days)).ok_or_else(wrong)
}

/// `2026-11-20` of days since 1970-01-01.
fn date_text(days: u16) -> String {
    tickhouse_model::IstDateTime { days_since_epoch: i32::from(days), second_of_day: 0 }.date_text()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_as_people_write_them() {
        assert_eq!(day("2026-11-20"), Ok(20_777));
        assert_eq!(date_text(20_777), "2026-11-20");
        for text in ["", "1970-01-01", "2150-01-01", "2026-02-30", "yesterday"] {
            assert!(day(text).is_err(), "{text}");
        }
    }
}
