//! `tickhouse backfill`: Kite's historical candles.

use crate::arguments::Common;
use crate::commands::migrate;
use crate::shutdown::Shutdown;
use crate::universe::Quoted;
use crate::{endpoints, instruments, output, setup};
use anyhow::{Context as _, bail};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use std::collections::BTreeSet;
use std::time::Duration;
use tickhouse_config::{Config, Selection};
use tickhouse_history::{
    Backfill, BackfillReport, Days, Gap, Interval, MirrorRange, Pace, Pass, Request, Task, TickMirror,
    Wanted, concerned, covered, current, gaps, instruments_by_token, least_time, plan,
};
use tickhouse_model::{InstrumentKind, Timestamp, Token};
use tickhouse_source::rest::Rest;
use tickhouse_source::{AccessToken, Key, Secret};
use tickhouse_store::Store;

/// How often the token's file is looked at.
const TOKEN_LOOK: Duration = Duration::from_secs(5);
/// Failures that are shown.
const SHOWN: usize = 10;

/// Kite's historical candles into `candles`, with open interest, at Kite's three requests a second over all processes of this
/// data directory. What was answered before is not asked again: after a kill, run it again.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag")]
pub(crate) struct BackfillCommand {
    /// Whose candles: all, EXCHANGE:*, EXCHANGE:SYMBOL or a token; several with commas [default: what the rules of the
    /// configuration mean now, as `universe show` tells]
    #[arg(
        long,
        visible_aliases = ["symbols", "tokens"],
        value_name = "LIST",
        value_delimiter = ',',
        conflicts_with = "all"
    )]
    universe: Vec<Selection>,
    /// Every instrument of the master
    #[arg(long)]
    all: bool,
    /// minute, 3minute, 5minute, 10minute, 15minute, 30minute, 60minute, day
    #[arg(long, value_name = "INTERVAL", default_value = "minute")]
    interval: Interval,
    /// First day, e.g. 2026-08-01
    #[arg(long, value_name = "DATE", value_parser = date)]
    from: u16,
    /// Last day [default: today]
    #[arg(long, value_name = "DATE", value_parser = date)]
    to: Option<u16>,
    /// The series through expired contracts, stored as `continuous_day`: futures and --interval day only
    #[arg(long, conflicts_with = "fill_gaps")]
    continuous: bool,
    /// Ask only for the gaps of the feed between these days, and mark what was filled
    #[arg(long)]
    fill_gaps: bool,
    /// Write them among the ticks too, as candle packets
    #[arg(long, conflicts_with = "continuous")]
    ticks: bool,
    /// Only say what would be asked
    #[arg(long)]
    dry_run: bool,
    /// Which of `kite.api_keys`, from 1
    #[arg(long, value_name = "N", default_value_t = 1)]
    key: usize,
    /// REST of the exchange [default: Kite's]
    #[arg(long, value_name = "HTTP_URL")]
    api_url: Option<String>,
    /// One JSON object
    #[arg(long)]
    json: bool,
}

fn date(text: &str) -> Result<u16, String> {
    let day = Timestamp::from_text(text).filter(|_| text.len() == 10).map(|at| at.ist().days_since_epoch);
    let day = day.and_then(|day| u16::try_from(day).ok());
    day.ok_or_else(|| format!("`{text}` is no day: write 2026-11-20"))
}

pub(crate) fn run(common: &Common, command: &BackfillCommand) -> anyhow::Result<()> {
    let sources = setup::sources(common)?.with_flag("kite.api_url", "--api-url", command.api_url.as_ref());
    let config = Config::read(&sources)?;
    setup::logs(&config, None)?;
    setup::runtime(2)?.block_on(backfill(&config, common.until_stdin_closes, command))
}

/// What there is to do.
struct Work {
    wanted: Wanted,
    tasks: Vec<Task>,
    gaps: Vec<Gap>,
    times: (u32, u32),
}

async fn backfill(
    config: &Config,
    until_stdin_closes: bool,
    command: &BackfillCommand,
) -> anyhow::Result<()> {
    let store = migrate::store(config)?;
    let work = work(config, &store, command).await?;
    if command.dry_run {
        return say_plan(command, &work);
    }
    let pass = Pass::default();
    let mut shutdown = Shutdown::listen(until_stdin_closes)?;
    let stop = pass.clone();
    tokio::spawn(async move {
        shutdown.requested().await;
        stop.stop();
    });
    let report = ask(config, &store, command, work.tasks, &work.gaps, &pass).await?;
    let mut ticks_written = None;
    if command.ticks {
        let range = MirrorRange {
            interval: command.interval,
            instruments: instruments_by_token(&work.wanted.instruments),
            times: work.times,
        };
        let mirror = TickMirror {
            store,
            clock: config.clock.clone(),
            calendar: endpoints::calendar(config)?,
            rules: instruments::rules(config)?.into(),
            batch_rows: 100_000,
            lock: endpoints::run_dir(&config.data_dir).join("candles.lock"),
        };
        ticks_written = Some(mirror.run(&range, &pass, |_| {}).await?.written);
    }
    tell(command, &report, ticks_written)?;
    if report.failed > 0 {
        bail!("{} requests failed: run this again, it asks for those only", report.failed);
    }
    Ok(())
}

/// Asks Kite, showing how far it is.
async fn ask(
    config: &Config,
    store: &Store,
    command: &BackfillCommand,
    tasks: Vec<Task>,
    gaps: &[Gap],
    pass: &Pass,
) -> anyhow::Result<BackfillReport> {
    let key = key(config, command.key)?;
    let run_dir = endpoints::run_dir(&config.data_dir);
    let backfill = Backfill {
        rest: Rest::new(&config.kite.api_url)?,
        pace: Pace::new(&run_dir, key.api_key()),
        key,
        store: store.clone(),
        clock: config.clock.clone(),
    };
    let requests = tasks.len();
    let style = ProgressStyle::with_template("{wide_bar} {pos} of {len} requests, {msg} candles, {eta} left");
    let bar =
        ProgressBar::new(requests as u64).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    let candles = std::cell::Cell::new(0);
    let report = backfill
        .run(tasks, gaps, pass, |count| {
            candles.set(candles.get() + count);
            bar.set_message(output::grouped(candles.get()));
            bar.inc(1);
        })
        .await;
    bar.finish_and_clear();
    Ok(report?)
}

fn tell(
    command: &BackfillCommand,
    report: &BackfillReport,
    ticks_written: Option<u64>,
) -> anyhow::Result<()> {
    if command.json {
        let mut object = serde_json::to_value(report)?;
        object["ticks_written"] = json!(ticks_written);
        return output::json(&object);
    }
    let grouped = output::grouped;
    output::line(&format!(
        "{} requests, {} repeated, {} failed: {} candles, {} written, {} were there",
        grouped(report.requests),
        grouped(report.retries),
        grouped(report.failed),
        grouped(report.candles),
        grouped(report.written),
        grouped(report.unchanged)
    ))?;
    if let Some(rows) = ticks_written {
        output::line(&format!("{} rows written to tick_data", grouped(rows)))?;
    }
    report.failures.iter().take(SHOWN).try_for_each(|failure| output::line(&format!("failed: {failure}")))?;
    Ok(())
}

async fn work(config: &Config, store: &Store, command: &BackfillCommand) -> anyhow::Result<Work> {
    let now = config.clock.now();
    let today = u16::try_from(now.ist().days_since_epoch).unwrap_or(u16::MAX);
    let days: Days = (command.from, command.to.unwrap_or(today).min(today));
    if days.0 > days.1 {
        bail!("--from is after --to, or not yet");
    }
    if command.continuous && command.interval != Interval::Day {
        bail!("--continuous goes with --interval day only");
    }
    let ruled = if command.all || !command.universe.is_empty() { None } else { Some(ruled(config).await?) };
    let mut instruments = current(store, |token, exchange, symbol| match &ruled {
        Some(tokens) => tokens.contains(&token),
        None => command.all || command.universe.iter().any(|one| one.matches(token, exchange, symbol)),
    })
    .await?;
    if command.continuous {
        instruments.retain(|known| known.instrument.instrument_type == InstrumentKind::Future);
    }
    if instruments.is_empty() {
        bail!("none of these instruments is in token_metadata: see `tickhouse instruments search`");
    }
    let wanted = Wanted { instruments, interval: command.interval, continuous: command.continuous };
    let midnight = |day: u16| Timestamp::from_millis((i64::from(day) * 86_400 - 19_800) * 1_000);
    let (from, to) = (midnight(days.0), midnight(days.1.saturating_add(1)).minus(Duration::from_secs(1)));
    let times = (from.as_seconds().max(0) as u32, to.as_seconds().max(0) as u32);
    let (gaps, tasks) = if command.fill_gaps {
        gaps(store, &wanted, (from, to), now).await?
    } else {
        let covered = covered(store, wanted.interval, wanted.continuous).await?;
        let task = |request: Request| Task { request, fills: Vec::new() };
        (Vec::new(), plan(&wanted, days, &covered).into_iter().map(task).collect())
    };
    Ok(Work { wanted, tasks, gaps, times })
}

/// What the rules of `[[universe]]` and `kite.subscribe` mean now, whether or not sockets carry all of it.
async fn ruled(config: &Config) -> anyhow::Result<BTreeSet<Token>> {
    let Quoted { mut universe, prices, notices, .. } =
        Quoted::ask(config, &crate::universe::keys(config)).await?;
    for notice in notices {
        tracing::warn!(notice, "a rule of the universe");
    }
    let resolution = universe.resolve(|token| prices.get(token), usize::MAX);
    Ok(resolution.wanted.iter().map(|one| one.token).collect())
}

fn say_plan(command: &BackfillCommand, work: &Work) -> anyhow::Result<()> {
    let (requests, instruments) = (work.tasks.len(), work.wanted.instruments.len());
    let windows = concerned(&work.gaps, &work.tasks);
    let least = least_time(requests);
    if command.json {
        return output::json(&json!({
            "dry_run": true, "instruments": instruments, "requests": requests, "gaps": windows,
            "least_seconds": least.as_secs_f64(),
        }));
    }
    let what = if command.fill_gaps { format!(" for {windows} gaps") } else { String::new() };
    let time = crate::view::clock_text(least);
    Ok(output::line(&format!("{requests} requests{what}, {instruments} instruments, at least {time}"))?)
}

/// The key to ask with; a simulator on this machine takes any.
fn key(config: &Config, number: usize) -> anyhow::Result<Key> {
    let settings = &config.kite;
    if settings.api_keys.is_empty() {
        if ["http://127.0.0.1", "http://localhost"].iter().any(|start| settings.api_url.starts_with(start)) {
            return Ok(Key::new("tickhouse", AccessToken::fixed(Secret::new("tickhouse"))));
        }
        bail!("no API key is set: set kite.api_keys and kite.access_token_files, then `tickhouse login`");
    }
    let index = number.checked_sub(1).filter(|index| *index < settings.api_keys.len());
    let index = index.with_context(|| format!("there is no key {number}"))?;
    let token = AccessToken::file(settings.access_token_files[index].clone(), TOKEN_LOOK);
    Ok(Key::new(settings.api_keys[index].expose(), token))
}
