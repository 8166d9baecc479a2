//! The instruments of the day: from the exchange's master or a file into ClickHouse, and from there into memory.

use crate::endpoints;
use anyhow::{Context as _, ensure};
use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tickhouse_config::Config;
use tickhouse_enrich::{InstrumentTable, InstrumentTableBuilder, MasterFormat, ReadReport, Rules};
use tickhouse_source::rest::Rest;
use tickhouse_store::{Master, MasterReport, Store};
use tokio::sync::watch;

/// How often the loader looks whether the stored instruments have changed.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// How often while there are none.
const LOOK_EAGERLY: Duration = Duration::from_millis(250);
/// How long a start waits for ClickHouse before it takes the configured file.
const START_PATIENCE: Duration = Duration::from_secs(10);
/// Ticks may be this many days old when they are loaded, and still get the instrument of their day at once; older ones by
/// `tickhouse instruments mend`. Journals keep a week by default.
const DAYS_BACK: u16 = 15;
/// Kite makes its master at about 08:30; a while later it is surely the day's.
const MASTER_IS_READY: u32 = (8 * 60 + 35) * 60;
/// Pause between attempts to fetch the day's master, and between looks at the time; on a clock that runs fast, of real time.
const SYNC_EVERY: Duration = Duration::from_mins(1);
const SYNC_AT_MOST_EVERY: Duration = Duration::from_millis(200);

/// How often a process that waits for another one looks whether that has ended.
const LOCK_LOOK: Duration = Duration::from_millis(100);

/// Lets one process of a data directory at a time do `what`, by the system's lock on a file, which ends with its holder. Waits
/// for the others.
///
/// # Cancel safety
/// Safe: a dropped future holds nothing.
pub(crate) async fn alone(data_dir: &Path, what: &str) -> anyhow::Result<File> {
    let folder = endpoints::run_dir(data_dir);
    let path = folder.join(format!("{what}.lock"));
    let failed = || format!("{} can't be locked", path.display());
    std::fs::create_dir_all(&folder).with_context(failed)?;
    let file = File::options().create(true).truncate(false).write(true).open(&path).with_context(failed)?;
    let mut waits = false;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(error)) => return Err(error).with_context(failed),
            Err(TryLockError::WouldBlock) if waits => {}
            Err(TryLockError::WouldBlock) => {
                tracing::warn!(lock = %path.display(), "another process does the same: waiting for its end");
                waits = true;
            }
        }
        tokio::time::sleep(LOCK_LOOK).await;
    }
}

/// Today in India by the configured clock, as days since 1970-01-01.
pub(crate) fn today(config: &Config) -> u16 {
    u16::try_from(config.clock.now().ist().days_since_epoch).unwrap_or(0)
}

/// The rules for what sources leave empty: the built-in ones, and the configured file's over them.
pub(crate) fn rules(config: &Config) -> anyhow::Result<Rules> {
    let mut rules = Rules::builtin().clone();
    if let Some(path) = &config.instruments.rules {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("instruments.rules {} can't be read", path.display()))?;
        rules.merge_toml(&path.display().to_string(), &text)?;
    }
    Ok(rules)
}

/// The exchange's master, as a table with the built-in rules.
pub(crate) async fn fetch(api_url: &str) -> anyhow::Result<InstrumentTable> {
    Ok(fetch_with(api_url, Rules::builtin().clone()).await?.0)
}

/// The exchange's master, and what was read of it.
pub(crate) async fn fetch_with(api_url: &str, rules: Rules) -> anyhow::Result<(InstrumentTable, ReadReport)> {
    let csv = Rest::new(api_url)?.instruments_csv(None, None).await?;
    let mut builder = InstrumentTableBuilder::with_rules(rules);
    let report = builder.read_kite_csv(csv.as_ref())?;
    tracing::info!(api_url, rows = report.rows, bad = report.bad, "instruments fetched");
    Ok((builder.finish(), report))
}

/// A file of instruments, a look-up in JSON or a CSV of Kite's, gzipped or plain. `seen` sees the bytes go by.
pub(crate) fn read_file<R: Read>(
    path: &Path,
    rules: Rules,
    seen: impl FnOnce(File) -> R,
) -> anyhow::Result<(InstrumentTable, MasterFormat, ReadReport)> {
    let file = File::open(path).with_context(|| format!("{} can't be read", path.display()))?;
    let mut builder = InstrumentTableBuilder::with_rules(rules);
    let (format, report) =
        builder.read(seen(file)).with_context(|| format!("{} is no file of instruments", path.display()))?;
    tracing::debug!(file = %path.display(), rows = report.rows, bad = report.bad, "instruments read");
    Ok((builder.finish(), format, report))
}

/// What a table is as a master of a day.
pub(crate) fn master<'a>(table: &InstrumentTable, day: u16, whole: bool, source: &'a str) -> Master<'a> {
    let mut exchanges = BTreeMap::<&str, u64>::new();
    for instrument in table.iter() {
        *exchanges.entry(table.text(instrument.exchange)).or_default() += 1;
    }
    let exchanges = exchanges.into_iter().map(|(exchange, count)| (exchange.to_owned(), count)).collect();
    Master { day, whole, source, exchanges, may_shrink: false, dry_run: false }
}

/// Stores a table as a master. Each begins where the one before it has ended: a master is judged by what is stored.
pub(crate) async fn store(
    config: &Config,
    store: &Store,
    table: &InstrumentTable,
    master: &Master<'_>,
    progress: impl FnMut(u64),
) -> anyhow::Result<MasterReport> {
    ensure!(!table.is_empty(), "{} has no instruments", master.source);
    let instruments = table.iter().map(|instrument| table.instrument(&instrument));
    let _lock = if master.dry_run { None } else { Some(alone(&config.data_dir, "instruments").await?) };
    Ok(store.store_master(master, instruments, progress).await?)
}

/// Fetches the exchange's master and stores it as today's.
pub(crate) async fn sync(config: &Config, reached: &Store, may_shrink: bool) -> anyhow::Result<MasterReport> {
    let (table, _) = fetch_with(&config.kite.api_url, rules(config)?).await?;
    let master = Master { may_shrink, ..master(&table, today(config), true, &config.kite.api_url) };
    store(config, reached, &table, &master, |_| ()).await
}

/// Stores the master of every day that begins, once the exchange has made it. Never ends.
pub(crate) async fn sync_daily(config: Config, store: Store) {
    let mut done = None;
    loop {
        let now = config.clock.now().ist();
        if now.second_of_day >= MASTER_IS_READY && done != Some(now.days_since_epoch) {
            match sync(&config, &store, false).await {
                Ok(report) => {
                    tracing::info!(?report, "instruments of the day stored");
                    done = Some(now.days_since_epoch);
                }
                Err(error) => tracing::warn!(
                    error = format!("{error:#}"),
                    "today's instruments can't be stored yet: ticks are enriched with those that are"
                ),
            }
        }
        tokio::time::sleep(config.clock.real_time(SYNC_EVERY).max(SYNC_AT_MOST_EVERY)).await;
    }
}

/// What tokens mean and meant lately, from ClickHouse.
pub(crate) async fn read_stored(config: &Config, store: &Store) -> anyhow::Result<InstrumentTable> {
    let mut builder = InstrumentTableBuilder::with_rules(rules(config)?);
    let mut cursor = store.instruments_since(today(config).saturating_sub(DAYS_BACK))?;
    while let Some(version) = cursor.next().await? {
        builder.add_version(version.instrument, version.valid_from, version.valid_to)?;
    }
    Ok(builder.finish())
}

/// The table that the loader enriches with, kept up to date by a task for as long as somebody looks at it: from ClickHouse, and
/// from the configured file while ClickHouse is away or has none.
pub(crate) async fn follow(
    config: &Config,
    store: Store,
) -> anyhow::Result<watch::Receiver<Arc<InstrumentTable>>> {
    let mut seen = 0;
    let stored = match tokio::time::timeout(START_PATIENCE, refresh(config, &store, &mut seen)).await {
        Ok(Ok(table)) => table,
        Ok(Err(error)) => {
            tracing::warn!(error = format!("{error:#}"), "instruments can't be read from ClickHouse yet");
            None
        }
        Err(_) => {
            tracing::warn!("ClickHouse does not answer yet");
            None
        }
    };
    let first = match (stored, &config.instruments.file) {
        (Some(table), _) => table,
        (None, Some(path)) => {
            let (path, rules) = (path.clone(), rules(config)?);
            let (table, ..) =
                tokio::task::spawn_blocking(move || read_file(&path, rules, |file| file)).await??;
            tracing::info!(instruments = table.len(), "instruments are those of instruments.file for now");
            table
        }
        (None, None) => InstrumentTable::empty(),
    };
    let (sender, receiver) = watch::channel(Arc::new(first));
    let config = config.clone();
    tokio::spawn(async move {
        loop {
            // until there are any, a tick would be stored without its symbol
            let pause = if seen == 0 { LOOK_EAGERLY } else { LOOK_EVERY };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = sender.closed() => return,
            }
            match refresh(&config, &store, &mut seen).await {
                Ok(Some(table)) => {
                    sender.send_replace(Arc::new(table));
                }
                Ok(None) => {}
                Err(error) => {
                    tracing::debug!(error = format!("{error:#}"), "instruments can't be read now");
                }
            }
        }
    });
    Ok(receiver)
}

/// The table when it has changed since `seen`.
async fn refresh(config: &Config, store: &Store, seen: &mut i64) -> anyhow::Result<Option<InstrumentTable>> {
    let changed_at = store.instruments_changed_at().await?;
    if changed_at == 0 || changed_at == *seen {
        return Ok(None);
    }
    let table = read_stored(config, store).await?;
    tracing::info!(instruments = table.len(), bytes = table.memory_bytes(), "instruments loaded");
    *seen = changed_at;
    Ok(Some(table))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_at_a_time_by_data_directory_and_work() {
        let here = tempfile::tempdir().unwrap();
        let held = alone(here.path(), "instruments").await.unwrap();
        let second = || tokio::time::timeout(3 * LOCK_LOOK, alone(here.path(), "instruments"));
        assert!(second().await.is_err(), "it waits");
        assert!(alone(here.path(), "mend").await.is_ok(), "other work");
        drop(held);
        assert!(second().await.unwrap().is_ok());
    }
}
