//! `tickhouse backup`: a copy of the database, also while ticks flow.

use crate::arguments::Common;
use crate::commands::migrate;
use crate::shutdown::Shutdown;
use crate::{endpoints, output, setup};
use anyhow::{Context as _, bail};
use clap::{Args, Subcommand, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use std::future::Future;
use std::time::{Duration, Instant};
use tickhouse_archive::{
    BackupError, BackupOptions, BackupPlaces, BackupPlan, BackupProgress, BackupRecord, Listed, Method,
    Place, abandon, create_backup, find_backup, list_backups, plan_backup, verify_backup,
};
use tickhouse_config::{Backend, Config};
use tickhouse_store::Store;
use tokio::sync::watch;

/// A copy of the database, proven by digests, also while ticks flow: what is stored is in it, what is under way is not and is
/// loaded again.
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    after_help = "Examples:
  tickhouse backup --to /mnt/backup/ticks
  tickhouse backup --to /mnt/backup/ticks --incremental
  tickhouse backup --to s3://bucket/ticks     (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_ENDPOINT_URL or AWS_REGION)
  tickhouse backup list /mnt/backup/ticks
  tickhouse backup verify /mnt/backup/ticks

A folder is one of this machine. docs/backup.md says what is in a backup and what to do on a new machine."
)]
pub(crate) struct Backup {
    #[command(subcommand)]
    command: Option<BackupCommand>,
    /// Folder of this machine, or `s3://BUCKET/FOLDER`
    #[arg(long, value_name = "PLACE", required = true)]
    to: Option<String>,
    /// Only what changed since the newest backup there
    #[arg(long)]
    incremental: bool,
    /// server: ClickHouse's own BACKUP; native: files that any ClickHouse takes [default: server where it can write there]
    #[arg(long, value_name = "METHOD")]
    method: Option<MethodName>,
    /// Only say what would be written
    #[arg(long)]
    dry_run: bool,
    /// One JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum BackupCommand {
    /// The backups of a place
    List(Look),
    /// Restores one beside the database, compares every row, and removes it again
    Verify(Look),
}

/// A place to look at.
#[derive(Debug, Args)]
struct Look {
    /// Folder, `s3://BUCKET/FOLDER`, or one backup in it
    place: String,
    /// One JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum MethodName {
    /// ClickHouse's own BACKUP
    Server,
    /// A file per partition in format Native
    Native,
}

pub(crate) fn run(common: &Common, command: &Backup) -> anyhow::Result<()> {
    let mut config = setup::config(common)?;
    config.data_dir = endpoints::of_what_runs(&config);
    setup::logs(&config, None)?;
    setup::runtime(2)?.block_on(async {
        let mut shutdown = Shutdown::listen(common.until_stdin_closes)?;
        let store = migrate::store(&config)?;
        match &command.command {
            None => create(&config, &store, command, &mut shutdown).await,
            Some(BackupCommand::List(look)) => list(&store, look).await,
            Some(BackupCommand::Verify(look)) => {
                verify(&config, &store, &look.place, look.json, &mut shutdown).await
            }
        }
    })
}

/// A place as typed.
pub(crate) fn place(text: &str) -> anyhow::Result<Place> {
    let place = Place::parse(text, |name| std::env::var(name).ok().filter(|value| !value.is_empty()))?;
    Ok(match place {
        // the engine has another working directory
        Place::Folder(folder) => Place::Folder(std::path::absolute(&folder).context("no such folder")?),
        place @ Place::S3(_) => place,
    })
}

/// Where backups, engine and lock are.
pub(crate) fn places(config: &Config, place: Place) -> BackupPlaces {
    let embedded = config.clickhouse.mode == Backend::Embedded;
    BackupPlaces {
        place,
        engine_folder: embedded.then(|| config.data_dir.join("clickhouse").join("backups")),
        lock: lock(config),
    }
}

/// Held by whatever moves whole tables: backup, restore, retention.
pub(crate) fn lock(config: &Config) -> std::path::PathBuf {
    endpoints::run_dir(&config.data_dir).join("backup.lock")
}

async fn create(
    config: &Config,
    store: &Store,
    command: &Backup,
    shutdown: &mut Shutdown,
) -> anyhow::Result<()> {
    let at = places(config, place(command.to.as_deref().unwrap_or_default())?);
    let method = command.method.map(|method| match method {
        MethodName::Server => Method::Server,
        MethodName::Native => Method::Native,
    });
    let options = BackupOptions { incremental: command.incremental, method };
    if command.dry_run {
        let plan = plan_backup(store, &at, options).await?;
        return if command.json { output::json(&plan) } else { show_plan(&plan, &at.place) };
    }
    warn_of_short_journals(config, store, &at.place).await?;
    let began = Instant::now();
    let progress = watch::Sender::new(BackupProgress::default());
    let made = create_backup(store, &at, options, config.clock.now(), &progress);
    let Some(record) = shown(made, &progress, shutdown).await? else {
        abandon(store, &at).await?;
        bail!("interrupted: no backup was made, and what was begun is removed");
    };
    if command.json {
        return output::json(&summary(&record));
    }
    let seconds = began.elapsed().as_secs_f64();
    let place = at.place.shown();
    let rate = record.bytes as f64 / seconds.max(0.001);
    output::line(&format!(
        "backup {} in {place}: {} rows, {} written in {seconds:.1} s ({}/s), method {}{}",
        record.id,
        output::grouped(record.rows()),
        output::bytes(record.bytes),
        output::bytes(rate as u64),
        record.method.name(),
        record.base.as_ref().map(|base| format!(", on top of {base}")).unwrap_or_default(),
    ))?;
    for table in &record.left_out {
        output::line(&format!("not in it: {table}, which keeps no rows of its own on disk"))?;
    }
    Ok(())
}

/// What the journals must keep until the next backup is there: a store that is lost is filled up from them.
async fn warn_of_short_journals(config: &Config, store: &Store, place: &Place) -> anyhow::Result<()> {
    let keep = config.journal.keep_for;
    let newest = list_backups(store, place).await?.into_iter().rev().find_map(|listed| listed.record);
    let made_at = newest.and_then(|record| tickhouse_model::Timestamp::from_text(&record.made_at));
    if let Some(made_at) = made_at.filter(|_| keep > Duration::ZERO) {
        let hours = config.clock.now().since(made_at).as_secs() / 3_600;
        if hours > keep.as_secs() / 3_600 {
            eprintln!(
                "the last backup here is {hours} hours old, and journals are kept for {} (journal.keep_hours): had the database been \
                 lost, what was stored between would have been lost with it",
                keep.as_secs() / 3_600
            );
        }
    }
    Ok(())
}

fn show_plan(plan: &BackupPlan, place: &Place) -> anyhow::Result<()> {
    let base = plan.base.as_ref().map(|base| format!(" on top of {base}")).unwrap_or_default();
    Ok(output::line(&format!(
        "would write {} partitions ({} in ClickHouse) of about {} rows to {} by method {}{base}; {} partitions are unchanged",
        plan.partitions,
        output::bytes(plan.bytes),
        output::grouped(plan.rows),
        place.shown(),
        plan.method.name(),
        plan.unchanged,
    ))?)
}

fn summary(record: &BackupRecord) -> serde_json::Value {
    serde_json::json!({
        "id": record.id,
        "made_at": record.made_at,
        "database": record.database,
        "schema": record.schema,
        "method": record.method,
        "base": record.base,
        "rows": record.rows(),
        "partitions": record.partitions().count(),
        "bytes": record.bytes,
        "batches_under_way": record.batches_under_way,
        "marks": record.marks,
        "left_out": record.left_out,
    })
}

async fn list(store: &Store, look: &Look) -> anyhow::Result<()> {
    let found = list_backups(store, &place(&look.place)?).await?;
    if look.json {
        let listed = |Listed { id, record }: &Listed| {
            let whole = record.is_some();
            record.as_ref().map_or_else(|| serde_json::json!({ "id": id }), summary).merged("whole", whole)
        };
        return output::json(&found.iter().map(listed).collect::<Vec<_>>());
    }
    if found.is_empty() {
        output::line("no backups")?;
    }
    for Listed { id, record } in found {
        let Some(record) = record else {
            output::line(&format!(
                "{id:28}  not whole: being made, or interrupted; the next backup removes it"
            ))?;
            continue;
        };
        output::line(&format!(
            "{id:28}  {:>15} rows  {:>10}  {:6}  {}",
            output::grouped(record.rows()),
            output::bytes(record.bytes),
            record.method.name(),
            record.base.as_ref().map_or_else(|| "full".to_owned(), |base| format!("on top of {base}")),
        ))?;
    }
    Ok(())
}

/// A field more in an object.
trait Merged {
    fn merged(self, name: &str, value: bool) -> Self;
}

impl Merged for serde_json::Value {
    fn merged(mut self, name: &str, value: bool) -> Self {
        self[name] = value.into();
        self
    }
}

/// Restores a backup beside the database, compares, removes.
pub(crate) async fn verify(
    config: &Config,
    store: &Store,
    from: &str,
    json: bool,
    shutdown: &mut Shutdown,
) -> anyhow::Result<()> {
    let (root, chain) = find_backup(store, &place(from)?).await?;
    let at = places(config, root);
    let progress = watch::Sender::new(BackupProgress::default());
    let verified = verify_backup(store, &at, &chain, &progress);
    if shown(verified, &progress, shutdown).await?.is_none() {
        tickhouse_archive::abandon_restore(store, &at).await?;
        bail!("interrupted: nothing was proven, and what was begun is removed");
    }
    let record = chain.record();
    if json {
        return output::json(&summary(record).merged("verified", true));
    }
    Ok(output::line(&format!(
        "backup {} is whole: {} rows in {} partitions came back as they were",
        record.id,
        output::grouped(record.rows()),
        record.partitions().count()
    ))?)
}

/// Waits for something long and shows how far it is on a terminal; `None` when it was interrupted.
pub(crate) async fn shown<T>(
    work: impl Future<Output = Result<T, BackupError>>,
    progress: &watch::Sender<BackupProgress>,
    shutdown: &mut Shutdown,
) -> anyhow::Result<Option<T>> {
    let bar = ProgressBar::new(0);
    bar.enable_steady_tick(Duration::from_millis(120));
    let plain = ProgressStyle::with_template("{spinner} {msg} {elapsed}")?;
    let counted = ProgressStyle::with_template(
        "{msg:20} {bar:30} {bytes:>10} of {total_bytes} {bytes_per_sec:>12} {eta:>5} left",
    )?;
    let mut watched = progress.subscribe();
    let watching = async {
        while watched.changed().await.is_ok() {
            let now = watched.borrow_and_update().clone();
            bar.set_style(if now.total > 0 { counted.clone() } else { plain.clone() });
            bar.set_length(now.total);
            bar.set_position(now.done);
            bar.set_message(now.stage);
        }
    };
    let result = tokio::select! {
        result = work => Some(result),
        () = shutdown.requested() => None,
        () = watching => None,
    };
    bar.finish_and_clear();
    Ok(result.transpose()?)
}
