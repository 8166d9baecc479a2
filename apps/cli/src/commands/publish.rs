//! `tickhouse publish`: news and index values into their streams.

use crate::arguments::Common;
use crate::output::{self, grouped};
use crate::setup;
use crate::shutdown::Shutdown;
use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use tickhouse_config::Config;
use tickhouse_news::{
    FeedReport, LinesOptions, LinesReport, Poller, PollerOptions, Published, publish_file, publish_lines,
};
use tickhouse_stream::{Control, RedisOptions};

/// Entries of a stream beyond which a file waits for the loader.
const LONGEST_STREAM: u64 = 200_000;

/// News and index values from JSON lines or feeds into their streams.
#[derive(Debug, Args)]
pub(crate) struct Publish {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// News items: title, and id, source, content, link, symbols, sentiment, … as in `docs/publish.md`
    News(News),
    /// Index values: symbol, `last_price`, and timestamp, open, high, low, close, … as in `docs/publish.md`
    Indices(Indices),
}

#[derive(Debug, Args)]
struct News {
    /// One JSON object per line; - for standard input
    #[arg(value_name = "FILE", required_unless_present = "poll")]
    file: Option<PathBuf>,
    #[command(flatten)]
    how: How,
    /// Follow the configured feeds (news.feeds) until ended
    #[arg(long, conflicts_with_all = ["file", "dry_run"])]
    poll: bool,
    /// Look once at every feed, then end
    #[arg(long, requires = "poll")]
    once: bool,
}

#[derive(Debug, Args)]
struct Indices {
    /// One JSON object per line; - for standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    how: How,
}

#[derive(Debug, Args)]
struct How {
    /// Check every line, publish none
    #[arg(long)]
    dry_run: bool,
    /// One JSON object at the end (with --poll: one per look)
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(common: &Common, command: &Publish) -> anyhow::Result<()> {
    let config = setup::config(common)?;
    setup::logs(&config, None)?;
    let runtime = setup::runtime(0)?;
    match &command.what {
        What::News(News { file: Some(file), how, .. }) => {
            runtime.block_on(publish(common, &config, file, how, Published::News))
        }
        What::News(news) => runtime.block_on(poll(common, &config, news)),
        What::Indices(Indices { file, how }) => {
            runtime.block_on(publish(common, &config, file, how, Published::Indices))
        }
    }
}

fn stream_of(config: &Config, kind: Published) -> anyhow::Result<String> {
    let (key, streams) = match kind {
        Published::News => ("redis.news_streams", &config.redis.news_streams),
        Published::Indices => ("redis.indices_streams", &config.redis.indices_streams),
    };
    streams.first().cloned().with_context(|| format!("{key} names no stream to publish to"))
}

async fn publish(
    common: &Common,
    config: &Config,
    file: &Path,
    how: &How,
    kind: Published,
) -> anyhow::Result<()> {
    let mut shutdown = Shutdown::listen(common.until_stdin_closes)?;
    let from_stdin = file == Path::new("-");
    let options = LinesOptions {
        kind,
        stream: stream_of(config, kind)?,
        dry_run: how.dry_run,
        digest: None,
        longest_stream: LONGEST_STREAM,
    };
    let control = Control::new(tickhouse_endpoints::redis_options(config)?)?;
    let bar = spinner();
    let told = |report: &LinesReport| bar.set_message(format!("{} lines", grouped(report.lines)));
    let publishing = async {
        if from_stdin {
            let input = BufReader::new(std::io::stdin());
            return anyhow::Ok(publish_lines(&control, &config.clock, input, &options, told).await?);
        }
        let unread = || format!("{} can't be published", file.display());
        let lines = File::open(file).with_context(unread)?;
        publish_file(&control, &config.clock, lines, &options, told).await.with_context(unread)
    };
    let report = tokio::select! {
        report = publishing => report?,
        () = shutdown.requested() => {
            bail!("ended on the way: what was published stays, and publishing the same file again goes on");
        }
    };
    bar.finish_and_clear();
    tell(&report, how, kind, from_stdin)
}

fn tell(report: &LinesReport, how: &How, kind: Published, from_stdin: bool) -> anyhow::Result<()> {
    for bad in &report.bad_lines {
        eprintln!("line {}: {}", bad.line, bad.reason);
    }
    if how.json {
        output::json(report)?;
    } else {
        let (done, again) = (grouped(report.published), grouped(report.repeats));
        let verb = if how.dry_run { "good" } else { "published" };
        output::line(&format!(
            "{} lines: {done} {verb}, {again} published before, {} bad",
            grouped(report.lines),
            grouped(report.bad)
        ))?;
    }
    if report.bad > 0 {
        let mend = match kind {
            _ if how.dry_run => "mend them",
            Published::News => "mend them and publish the file again",
            Published::Indices if from_stdin => "mend them and publish them alone: the others are published",
            Published::Indices => "so none of the file is published; mend them and publish it again",
        };
        bail!("{} lines are no items: {mend}", grouped(report.bad));
    }
    Ok(())
}

/// A spinner on standard error, nothing where that is no terminal.
fn spinner() -> ProgressBar {
    let style = ProgressStyle::with_template("{spinner} {msg} {elapsed}");
    let bar =
        ProgressBar::new_spinner().with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
    bar.enable_steady_tick(std::time::Duration::from_millis(200));
    bar
}

/// What looks at the feeds of this configuration.
pub(crate) fn poller(config: &Config, redis: RedisOptions) -> anyhow::Result<Poller> {
    let options = PollerOptions::new(
        config.news.feeds.clone(),
        config.news.poll_every,
        stream_of(config, Published::News)?,
        config.data_dir.join("news"),
    );
    Ok(Poller::new(options, Control::new(redis)?, config.clock.clone())?)
}

async fn poll(common: &Common, config: &Config, news: &News) -> anyhow::Result<()> {
    let mut shutdown = Shutdown::listen(common.until_stdin_closes)?;
    if config.news.feeds.is_empty() {
        bail!("no feeds are configured: set news.feeds = [\"https://…\"]");
    }
    let mut poller = poller(config, tickhouse_endpoints::redis_options(config)?)?;
    let json = news.how.json;
    if news.once {
        let reports = tokio::select! {
            reports = poller.poll_all() => reports?,
            () = shutdown.requested() => return Ok(()),
        };
        for report in &reports {
            tell_look(report, json)?;
        }
        if reports.iter().all(|report| report.error.is_some()) {
            bail!("no feed could be read");
        }
        return Ok(());
    }
    let mut closed = None;
    let told = |report: &FeedReport| {
        if report.published > 0 || report.error.is_some() {
            closed = closed.take().or(tell_look(report, json).err());
        }
    };
    tokio::select! {
        ended = poller.run(told) => ended?,
        () = shutdown.requested() => {}
    }
    closed.map_or(Ok(()), Err)
}

fn tell_look(report: &FeedReport, json: bool) -> anyhow::Result<()> {
    if json {
        return output::json(report);
    }
    let text = match &report.error {
        Some(error) => format!("{}: {error}", report.feed),
        None if report.unchanged => format!("{}: unchanged", report.feed),
        None => format!(
            "{}: {} new, {} known, {} without a title",
            report.feed, report.published, report.repeats, report.left_out
        ),
    };
    Ok(output::line(&text)?)
}
