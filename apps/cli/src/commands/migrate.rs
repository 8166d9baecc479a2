//! `tickhouse migrate`: the schema, created or brought up to date.

use crate::arguments::Common;
use crate::endpoints;
use crate::{output, setup};
use anyhow::Context as _;
use clap::Args;
use std::path::PathBuf;
use tickhouse_config::{Backend, Config, Secret};
use tickhouse_store::{
    Partitioning, Report, SchemaOptions, Store, StoreOptions, create_users, migrate as migrate_schema,
};

/// Create or upgrade the schema.
#[derive(Debug, Args)]
pub(crate) struct Migrate {
    /// ClickHouse's HTTP interface [default: the configured or running one]
    #[arg(long, value_name = "URL")]
    clickhouse_url: Option<String>,
    /// Only say what would be done
    #[arg(long)]
    dry_run: bool,
    /// One JSON object
    #[arg(long)]
    json: bool,
    /// File with a password: make the user `tickhouse_writer` with it (an external ClickHouse only)
    #[arg(long, value_name = "FILE", requires = "reader_password_file")]
    writer_password_file: Option<PathBuf>,
    /// File with a password: make the user `tickhouse_reader` with it (an external ClickHouse only)
    #[arg(long, value_name = "FILE", requires = "writer_password_file")]
    reader_password_file: Option<PathBuf>,
}

pub(crate) fn run(common: &Common, command: &Migrate) -> anyhow::Result<()> {
    let external = command.clickhouse_url.as_ref().map(|_| "external");
    let sources = setup::sources(common)?
        .with_flag("clickhouse.mode", "--clickhouse-url", external)
        .with_flag("clickhouse.url", "--clickhouse-url", command.clickhouse_url.as_ref());
    let config = Config::read(&sources)?;
    setup::logs(&config, None)?;
    setup::runtime(0)?.block_on(async {
        let store = store(&config)?;
        let report = migrate(&config, &store, command.dry_run).await?;
        if command.json {
            output::json(&report)?;
        } else {
            show(&report, command.dry_run)?;
        }
        make_users(&config, &store, command).await
    })
}

/// The store of this configuration.
pub(crate) fn store(config: &Config) -> anyhow::Result<Store> {
    let endpoint = endpoints::clickhouse(config)?;
    let is_local = endpoint.url.contains("//127.0.0.1") || endpoint.url.contains("//localhost");
    Ok(Store::new(StoreOptions {
        url: endpoint.url,
        database: endpoint.database,
        user: endpoint.user,
        password: endpoint.password.expose().to_owned(),
        compress: !is_local,
    }))
}

/// Brings the schema of this configuration up to date.
pub(crate) async fn migrate(config: &Config, store: &Store, dry_run: bool) -> anyhow::Result<Report> {
    let options = SchemaOptions {
        partitioning: match config.clickhouse.partition {
            tickhouse_config::Partition::Hour => Partitioning::Hour,
            tickhouse_config::Partition::Day => Partitioning::Day,
        },
    };
    migrate_schema(store, options, dry_run).await.context("the schema can't be brought up to date")
}

fn show(report: &Report, dry_run: bool) -> anyhow::Result<()> {
    let word = if dry_run { "would apply" } else { "applied" };
    for name in &report.applied {
        output::line(&format!("{word} {name}"))?;
    }
    for line in report.retention.iter().chain(&report.notes) {
        output::line(line)?;
    }
    if report.applied.is_empty() {
        output::line(&format!("the schema is up to date ({} migrations)", report.present))?;
    }
    Ok(())
}

async fn make_users(config: &Config, store: &Store, command: &Migrate) -> anyhow::Result<()> {
    let (Some(writer), Some(reader)) = (&command.writer_password_file, &command.reader_password_file) else {
        return Ok(());
    };
    if config.clickhouse.mode == Backend::Embedded {
        anyhow::bail!("the embedded engine makes its users itself; see users.json in its data directory");
    }
    if command.dry_run {
        return Ok(());
    }
    let read = |path: &PathBuf| {
        Secret::from_file(Some(path)).with_context(|| format!("{} can't be read", path.display()))
    };
    create_users(store, read(writer)?.expose(), read(reader)?.expose()).await.context("no users were made")
}
