//! `tickhouse import redis`: ticks and candles of an older Redis.

use crate::arguments::Common;
use crate::commands::migrate;
use crate::output::{self, grouped};
use crate::shutdown::Shutdown;
use crate::{endpoints, instruments, setup};
use anyhow::{Context as _, bail};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use std::path::PathBuf;
use std::time::Duration;
use tickhouse_config::{Config, Secret};
use tickhouse_legacy_redis::{
    FollowReport, Import, ImportOptions, ImportReport, Names, Phase, Progress, Rules,
};
use tickhouse_stream::Control;

/// Ticks and candles of another Redis: hashes, JSON, lists, sorted sets, streams.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag")]
pub(crate) struct ImportRedis {
    /// The other Redis, `redis://[user@]host:port`; it is only read
    #[arg(long, value_name = "URL")]
    url: String,
    /// File with its password
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// Its databases
    #[arg(long, value_name = "N,N", value_delimiter = ',', default_values_t = [0, 1, 2])]
    db: Vec<u32>,
    /// What it holds now, once; goes on where it was ended
    #[arg(long, required_unless_present = "continuous")]
    historical: bool,
    /// The same, then follow its streams, lists and sorted sets, and its hashes and texts as they change, until ended
    #[arg(long, conflicts_with_all = ["historical", "dry_run"])]
    continuous: bool,
    /// Name of the import: its records go to the stream `ticks:stream:import:<NAME>`
    #[arg(long, value_name = "NAME", default_value = "redis")]
    name: String,
    /// What more fields and keys mean, as TOML; see docs/import-redis.md
    #[arg(long, value_name = "FILE")]
    rules: Option<PathBuf>,
    /// Entries beyond which to wait for the loader
    #[arg(long, value_name = "N", default_value_t = 200_000)]
    longest_stream: u64,
    /// Read and recognise everything, publish nothing
    #[arg(long)]
    dry_run: bool,
    /// One JSON object at the end
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(common: &Common, command: &ImportRedis) -> anyhow::Result<()> {
    let config = setup::config(common)?;
    setup::logs(&config, None)?;
    setup::runtime(1)?.block_on(import(common, &config, command))
}

async fn import(common: &Common, config: &Config, command: &ImportRedis) -> anyhow::Result<()> {
    let mut shutdown = Shutdown::listen(common.until_stdin_closes)?;
    let options = ImportOptions {
        source: source_of(command)?,
        dbs: command.db.clone(),
        name: command.name.clone(),
        folder: config.data_dir.join("import"),
        rules: rules_of(command)?,
        dry_run: command.dry_run,
        longest_stream: command.longest_stream,
    };
    let control = Control::new(tickhouse_endpoints::redis_options(config)?)?;
    let mut import = Import::new(options)?;
    let bar = bar();
    let importing = async {
        let names = names(config).await?;
        let report = import.run(&control, &names, |progress| show(&bar, progress)).await?;
        bar.finish_and_clear();
        tell(&report, command)?;
        if !command.continuous {
            return Ok(());
        }
        let told = |report: &FollowReport| {
            tracing::info!(
                records = report.records,
                skipped = report.skipped,
                lost = report.lost,
                missed = report.missed,
                "followed"
            );
        };
        import.follow(&control, &names, told).await.map_err(anyhow::Error::from)
    };
    tokio::select! {
        ended = importing => ended,
        () = shutdown.requested() => {
            if command.continuous {
                return Ok(());
            }
            bail!("ended on the way: run it again to go on")
        }
    }
}

/// The address with the password of the file: for the client only.
fn source_of(command: &ImportRedis) -> anyhow::Result<String> {
    let Some((scheme, rest)) = command.url.split_once("://").filter(|(scheme, _)| *scheme == "redis") else {
        bail!("--url must be redis://HOST:PORT");
    };
    let (user, host) = rest.rsplit_once('@').unwrap_or(("", rest));
    if user.contains(':') {
        bail!("--url holds a password, which anybody can read in a list of processes: use --password-file");
    }
    if host.trim_end_matches('/').contains(['/', '?']) {
        bail!("--url names a database: use --db");
    }
    let password = Secret::from_file(command.password_file.as_deref())
        .map_err(|error| anyhow::anyhow!("--password-file can't be read: {error}"))?;
    Ok(endpoints::with_password(&format!("{scheme}://{rest}"), &password))
}

fn rules_of(command: &ImportRedis) -> anyhow::Result<Rules> {
    let Some(path) = &command.rules else { return Ok(Rules::default()) };
    let text = std::fs::read_to_string(path).with_context(|| format!("{} can't be read", path.display()))?;
    Ok(Rules::default().with_toml(&path.display().to_string(), &text)?)
}

/// The instruments of ClickHouse; where there are none, those of the configured file.
async fn names(config: &Config) -> anyhow::Result<Names> {
    let table = instruments::follow(config, migrate::store(config)?).await?.borrow().clone();
    if table.is_empty() {
        tracing::warn!("no instruments are known: records that name a symbol and no token are skipped");
    }
    Ok(Names::new(&table))
}

/// A bar on standard error, nothing where that is no terminal.
fn bar() -> ProgressBar {
    let bar = ProgressBar::new_spinner();
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

fn show(bar: &ProgressBar, progress: Progress) {
    let (what, template) = match progress.phase {
        Phase::Scanning => ("keys found", "{spinner} {human_pos} {msg} {per_sec}"),
        Phase::Reading => ("keys read", "{bar:30} {human_pos}/{human_len} {msg} {per_sec}, {eta} left"),
        Phase::Sorting => ("sorted", "{bar:30} {bytes}/{total_bytes} {msg} {bytes_per_sec}, {eta} left"),
        Phase::Publishing => ("published", "{bar:30} {human_pos}/{human_len} {msg} {per_sec}, {eta} left"),
    };
    if bar.message() != what {
        bar.set_style(
            ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()),
        );
        bar.set_message(what);
        bar.reset();
    }
    if let Some(total) = progress.total {
        bar.set_length(total);
    }
    bar.set_position(progress.done);
}

fn tell(report: &ImportReport, command: &ImportRedis) -> anyhow::Result<()> {
    if command.json {
        return output::json(report);
    }
    for (pattern, found) in &report.patterns {
        output::line(&format!(
            "{pattern}: {} keys, {} records",
            grouped(found.keys),
            grouped(found.records)
        ))?;
        for (reason, count) in &found.skipped {
            output::line(&format!("    skipped {}: {reason}", grouped(*count)))?;
        }
    }
    let published = match (report.published, report.stored) {
        (Some(published), Some(stored)) => {
            format!("; {} published, {} of them stored so far", grouped(published), grouped(stored))
        }
        _ => "; nothing published".to_owned(),
    };
    output::line(&format!(
        "{} keys, {} records, {} skipped{published}",
        grouped(report.keys),
        grouped(report.records),
        grouped(report.skipped)
    ))?;
    Ok(())
}
