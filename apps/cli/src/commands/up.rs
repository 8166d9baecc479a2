//! `tickhouse up`: the whole system under one supervisor.

use crate::arguments::Common;
use crate::process::{Presence, RunFile};
use crate::shutdown::Shutdown;
use crate::system::{Services, System, pipeline_log};
use crate::{commands, endpoints, instruments, output, setup};
use anyhow::bail;
use clap::Args;
use sd_notify::NotifyState;
use serde_json::json;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tickhouse_config::{Backend, Config};
use tickhouse_news::FeedReport;
use tickhouse_stream::RedisOptions;

/// How often the state of the processes is noted for the status page.
const NOTE_EVERY: Duration = Duration::from_millis(500);

/// The whole system: embedded or external ClickHouse and Redis, recorder, loader; pushes and news feeds where configured.
#[derive(Debug, Args)]
pub(crate) struct Up {
    /// WebSocket of the exchange [default: Kite's]
    #[arg(long, value_name = "WS_URL")]
    url: Option<String>,
    /// REST of the exchange [default: Kite's]
    #[arg(long, value_name = "HTTP_URL")]
    api_url: Option<String>,
    #[command(flatten)]
    ports: PortFlags,
}

/// Where a system is reached.
#[derive(Clone, Debug, Args)]
#[expect(clippy::struct_field_names, reason = "fields are called as their flags")]
pub(crate) struct PortFlags {
    /// HTTP port of the embedded ClickHouse; 0 takes a free one [default: 8123]
    #[arg(long, value_name = "PORT")]
    pub(crate) clickhouse_http_port: Option<u16>,
    /// Native port of the embedded ClickHouse; 0 takes a free one [default: 9000]
    #[arg(long, value_name = "PORT")]
    pub(crate) clickhouse_tcp_port: Option<u16>,
    /// Port of the embedded Redis; 0 takes a free one [default: 6380]
    #[arg(long, value_name = "PORT")]
    pub(crate) redis_port: Option<u16>,
    /// Port of the page on 127.0.0.1; 0 takes a free one [default: 8080]
    #[arg(long, value_name = "PORT")]
    pub(crate) http_port: Option<u16>,
}

impl PortFlags {
    /// As settings.
    pub(crate) fn apply(&self, sources: tickhouse_config::Sources) -> tickhouse_config::Sources {
        sources
            .with_flag("clickhouse.http_port", "--clickhouse-http-port", self.clickhouse_http_port)
            .with_flag("clickhouse.tcp_port", "--clickhouse-tcp-port", self.clickhouse_tcp_port)
            .with_flag("redis.port", "--redis-port", self.redis_port)
            .with_flag("http.listen", "--http-port", self.http_port.map(|port| format!("127.0.0.1:{port}")))
    }
}

pub(crate) fn run(common: &Common, command: &Up) -> anyhow::Result<()> {
    let sources = setup::sources(common)?
        .with_flag("kite.endpoint", "--url", command.url.as_ref())
        .with_flag("kite.api_url", "--api-url", command.api_url.as_ref());
    let config = Config::read(&command.ports.apply(sources))?;
    setup::logs(&config, Some(&pipeline_log(&config)?))?;
    setup::runtime(1)?.block_on(up(common, &config))
}

/// Fails when a system runs on this data directory already.
pub(crate) fn ensure_alone(config: &Config) -> anyhow::Result<()> {
    let run_dir = endpoints::run_dir(&config.data_dir);
    for role in ["up", "demo"] {
        if let Some(file) = RunFile::read(&run_dir, role).filter(RunFile::is_alive) {
            bail!(
                "`tickhouse {role}` already runs on {} (process {}): end it, or choose another --data-dir",
                config.data_dir.display(),
                file.pid
            );
        }
    }
    Ok(())
}

/// Fails when the page's port is taken, before anything is started for it.
pub(crate) fn ensure_free(config: &Config) -> anyhow::Result<()> {
    let listen = config.http.listen;
    if listen.port() != 0 && config.http.is_of_this_machine() {
        tickhouse_embed::port::claim(listen.port(), "the page", "--http-port")?;
    }
    Ok(())
}

async fn up(common: &Common, config: &Config) -> anyhow::Result<()> {
    let mut shutdown = Shutdown::listen(common.until_stdin_closes)?;
    ensure_alone(config)?;
    let file = setup::config_file(common);
    let started = async {
        ensure_free(config)?;
        let services = Services::start(config).await?;
        prepare(config, &services).await?;
        System::start(config, file.as_deref(), services).await
    };
    let system = tokio::select! {
        system = started => system?,
        () = shutdown.requested() => return Ok(()),
    };
    let processes = Arc::new(Mutex::new(system.processes()));
    let noted = Arc::clone(&processes);
    let report =
        Arc::new(move || json!({ "processes": &*noted.lock().unwrap_or_else(PoisonError::into_inner) }));
    let ports = system.services.ports.clone();
    let presence = Presence::announce(&config.data_dir, "up", 0, Some(ports), report);
    let presence = match presence {
        Ok(presence) => presence,
        Err(error) => {
            system.stop().await;
            return Err(error);
        }
    };
    announce(config, &system, &presence)?;
    if !config.news.feeds.is_empty() {
        tokio::spawn(poll_feeds(config.clone(), system.services.redis_url.clone()));
    }
    notify(NotifyState::Ready);
    while !shutdown.is_requested() {
        notify(NotifyState::Watchdog);
        *processes.lock().unwrap_or_else(PoisonError::into_inner) = system.processes();
        tokio::time::timeout(NOTE_EVERY, shutdown.requested()).await.ok();
    }
    notify(NotifyState::Stopping);
    tracing::info!("stopping in the order of a tick's way");
    drop(presence);
    system.stop().await;
    Ok(())
}

/// Tells systemd, where it waits for such words (`Type=notify`); to nobody otherwise.
fn notify(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::debug!(%error, "systemd does not listen");
    }
}

/// The schema, and the instruments of the day as far as the exchange gives them now.
async fn prepare(config: &Config, services: &Services) -> anyhow::Result<()> {
    let reached = with_clickhouse(config, services);
    let store = commands::migrate::store(&reached)?;
    let report = commands::migrate::migrate(config, &store, false).await?;
    tracing::info!(applied = report.applied.len(), present = report.present, "schema is up to date");
    match instruments::sync(config, &store, false).await {
        Ok(report) => tracing::info!(?report, "instruments of the day stored"),
        Err(error) => tracing::warn!(
            error = format!("{error:#}"),
            "today's instruments can't be stored: ticks are enriched with those that are"
        ),
    }
    tokio::spawn(instruments::sync_daily(config.clone(), store));
    Ok(())
}

/// Looks at the configured feeds for ever. What it publishes, it publishes once: it may end at any moment.
async fn poll_feeds(config: Config, redis_url: String) {
    let polled = async {
        let redis = RedisOptions { url: redis_url, ..tickhouse_endpoints::redis_options(&config)? };
        let note = |report: &FeedReport| match &report.error {
            None if report.published == 0 => {}
            None => tracing::info!(feed = report.feed, published = report.published, "news"),
            Some(error) => tracing::warn!(feed = report.feed, error, "a feed can't be read"),
        };
        anyhow::Ok(commands::publish::poller(&config, redis)?.run(note).await?)
    };
    if let Err(error) = polled.await {
        tracing::error!(error = format!("{error:#}"), "feeds are no longer looked at");
    }
}

/// The configuration in which the ClickHouse that runs is an external one.
pub(crate) fn with_clickhouse(config: &Config, services: &Services) -> Config {
    let mut config = config.clone();
    if config.clickhouse.mode == Backend::Embedded {
        config.clickhouse.mode = Backend::External;
        config.clickhouse.url.clone_from(&services.clickhouse.url);
        "default".clone_into(&mut config.clickhouse.user);
        config.clickhouse.password_file = None;
    }
    config
}

fn announce(config: &Config, system: &System, presence: &Presence) -> anyhow::Result<()> {
    output::line(&format!("Tickhouse is up: ClickHouse at {}", system.services.clickhouse.url))?;
    if let Some(page) = &system.page {
        output::line(&format!("open {page}"))?;
    }
    output::line(&format!(
        "status at http://127.0.0.1:{}/status, log in {}; Ctrl-C ends it",
        presence.port(),
        pipeline_log(config)?.display()
    ))?;
    Ok(())
}
