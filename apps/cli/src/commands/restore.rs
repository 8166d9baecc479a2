//! `tickhouse restore`: a backup back into an empty or another database.

use crate::arguments::Common;
use crate::commands::{backup, migrate};
use crate::shutdown::Shutdown;
use crate::{endpoints, output, setup};
use anyhow::bail;
use clap::Args;
use tickhouse_archive::{
    BackupProgress, abandon_restore, check_target, find_backup, in_database, restore_backup,
};
use tokio::sync::watch;

/// A backup back into an empty database, or another one. Every row is compared with what was saved before it is in its place; an
/// older schema is migrated. What was stored after the backup is loaded again from the journals, as far as they have it.
#[derive(Debug, Args)]
pub(crate) struct Restore {
    /// Folder, `s3://BUCKET/FOLDER` (its newest backup), or one backup in it
    from: String,
    /// Database to restore into: empty, or not there [default: the configured one]
    #[arg(long, value_name = "NAME", value_parser = database)]
    database: Option<String>,
    /// Only restore beside it, compare, and remove it again
    #[arg(long, conflicts_with = "dry_run")]
    verify: bool,
    /// Only say what would be restored
    #[arg(long)]
    dry_run: bool,
    /// One JSON object
    #[arg(long)]
    json: bool,
}

fn database(text: &str) -> Result<String, String> {
    let valid = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let starts = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if starts && text.chars().all(valid) {
        Ok(text.to_owned())
    } else {
        Err("letters, digits and _, not beginning with a digit".to_owned())
    }
}

pub(crate) fn run(common: &Common, command: &Restore) -> anyhow::Result<()> {
    let mut config = setup::config(common)?;
    config.data_dir = endpoints::of_what_runs(&config);
    setup::logs(&config, None)?;
    setup::runtime(2)?.block_on(async {
        let mut shutdown = Shutdown::listen(common.until_stdin_closes)?;
        let store = migrate::store(&config)?;
        let name = command.database.clone().unwrap_or_else(|| config.clickhouse.database.clone());
        let store = in_database(&store, &name);
        if command.verify {
            return backup::verify(&config, &store, &command.from, command.json, &mut shutdown).await;
        }
        let (root, chain) = find_backup(&store, &backup::place(&command.from)?).await?;
        let at = backup::places(&config, root);
        let record = chain.record();
        let needs: Vec<&str> = chain.records()[1..].iter().map(|record| record.id.as_str()).collect();
        let told = serde_json::json!({
            "id": record.id, "made_at": record.made_at, "database": name, "rows": record.rows(),
            "schema": record.schema, "needs": needs, "dry_run": command.dry_run,
        });
        if let Err(error) = check_target(&store).await {
            if format!("{error:?}").contains("UNKNOWN_DATABASE") {
                bail!(
                    "nobody can log in to ClickHouse, since the users' default database is gone: of the embedded engine, \
                     `tickhouse clickhouse stop` and `tickhouse clickhouse start` (or a restart of `up`) make an empty one"
                );
            }
            return Err(error.into());
        }
        if !command.dry_run {
            let progress = watch::Sender::new(BackupProgress::default());
            let restored = restore_backup(&store, &at, &chain, &progress);
            if backup::shown(restored, &progress, &mut shutdown).await?.is_none() {
                abandon_restore(&store, &at).await?;
                bail!("interrupted: what was begun is removed, {name} is as it was");
            }
            // the retention of this configuration
            if command.database.as_ref().is_none_or(|other| *other == config.clickhouse.database) {
                migrate::migrate(&config, &store, false).await?;
            }
        }
        if command.json {
            return output::json(&told);
        }
        let (word, end) =
            if command.dry_run { ("would restore", "") } else { ("restored", ", every one compared") };
        output::line(&format!(
            "{word} backup {} of {} into {name}: {} rows{end}",
            record.id,
            record.made_at,
            output::grouped(record.rows())
        ))?;
        Ok(())
    })
}
