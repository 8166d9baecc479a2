//! `tickhouse load`: streams to ClickHouse.

mod stores;

use crate::arguments::Common;
use crate::process::Presence;
use crate::shutdown::Shutdown;
use crate::{commands, endpoints, instruments, setup};
use clap::Args;
use serde_json::json;
use std::sync::{Arc, PoisonError};
use tickhouse_config::Config;
use tickhouse_load::{FlatOutlet, Loader, LoaderOptions};
use tickhouse_stream::Control;

/// Redis streams to ClickHouse.
#[derive(Debug, Args)]
pub(crate) struct Load {
    /// Redis [default: the configured or running one]
    #[arg(long, value_name = "URL")]
    redis_url: Option<String>,
    /// ClickHouse's HTTP interface [default: the configured or running one]
    #[arg(long, value_name = "URL")]
    clickhouse_url: Option<String>,
    /// Port of /status and /healthz on 127.0.0.1 [default: a free one]
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    http_port: u16,
}

pub(crate) fn run(common: &Common, command: &Load) -> anyhow::Result<()> {
    let external = |url: &Option<String>| url.as_ref().map(|_| "external");
    let sources = setup::sources(common)?
        .with_flag("redis.mode", "--redis-url", external(&command.redis_url))
        .with_flag("redis.url", "--redis-url", command.redis_url.as_ref())
        .with_flag("clickhouse.mode", "--clickhouse-url", external(&command.clickhouse_url))
        .with_flag("clickhouse.url", "--clickhouse-url", command.clickhouse_url.as_ref());
    let config = Config::read(&sources)?;
    setup::logs(&config, None)?;
    setup::runtime(2)?.block_on(load(&config, command.http_port, common.until_stdin_closes))
}

/// The streams of this configuration.
async fn load(config: &Config, http_port: u16, until_stdin_closes: bool) -> anyhow::Result<()> {
    let mut shutdown = Shutdown::listen(until_stdin_closes)?;
    let options = LoaderOptions {
        redis: tickhouse_endpoints::redis_options(config)?,
        name: config.load.name.clone(),
        batch_rows: config.load.batch_rows,
        batch_time: config.load.batch_for,
        lease_ttl: config.load.lease,
        trim_grace: config.load.trim_after,
        resend_patience: config.load.resend_patience,
        publish_flat: config
            .load
            .publish_flat
            .clone()
            .map(|stream| FlatOutlet { stream, keep: config.load.publish_flat_keep }),
    };
    let store = commands::migrate::store(config)?;
    let table = instruments::follow(config, store.clone()).await?;
    let calendar = endpoints::calendar(config)?;
    let known = table.clone();
    let control = Control::new(options.redis.clone())?;
    let loader = Arc::new(Loader::start(options, store.clone(), config.clock.clone(), table, calendar));
    let seen = stores::SeenStores::default();
    let watching =
        stores::watch(control, store, Arc::downgrade(&loader), config.clock.clone(), Arc::clone(&seen));
    let watching = tokio::spawn(watching);
    let reporter = Arc::downgrade(&loader);
    let report = Arc::new(move || {
        let loader = reporter.upgrade();
        json!({
            "counters": loader.as_ref().map(|loader| loader.counters()),
            "state": loader.as_ref().map(|loader| loader.state()),
            "stores": &*seen.lock().unwrap_or_else(PoisonError::into_inner),
            "histograms": { "socket_to_clickhouse": loader.as_ref().map(|loader| loader.latency().histogram()) },
            "instruments": known.borrow().iter().len(),
        })
    });
    let presence = Presence::announce(&config.data_dir, "load", http_port, None, report)?;
    tracing::info!(status = presence.port(), "loading");
    shutdown.requested().await;
    drop(presence);
    watching.abort();
    drop(watching.await);
    // a status request may hold it for a moment; dropping it then loses nothing either
    if let Some(loader) = Arc::into_inner(loader) {
        loader.stop().await;
    }
    tracing::info!("stopped");
    Ok(())
}
