//! `tickhouse serve`: ticks of other programs to journal to Redis streams.

use crate::arguments::Common;
use crate::process::Presence;
use crate::shutdown::Shutdown;
use crate::{endpoints, output, setup};
use anyhow::Context as _;
use clap::Args;
use serde_json::json;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tickhouse_config::Config;
use tickhouse_journal::JournalOptions;
use tickhouse_push::http::{HttpOptions, router};
use tickhouse_push::{Dialect, Pusher, PusherOptions, Token};
use tickhouse_stream::PublisherOptions;

/// Pushes that wait for the journal: twice the requests that may be under way, for those that gave up waiting.
const QUEUE_LEN: usize = 64;
/// How long disk and Redis may take at the end for what is not published; the journal keeps the rest.
const PATIENCE: Duration = Duration::from_secs(15);

/// Takes ticks of other programs: POST /v1/ticks, with /status and /healthz beside it.
#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// Where to listen: an address of this machine itself; port 0 takes a free one [default: 127.0.0.1:8090]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// Redis [default: the configured or running one]
    #[arg(long, value_name = "URL")]
    redis_url: Option<String>,
}

pub(crate) fn run(common: &Common, command: &Serve) -> anyhow::Result<()> {
    let sources = setup::sources(common)?
        .with_flag("push.listen", "--listen", command.listen)
        .with_flag("redis.mode", "--redis-url", command.redis_url.as_ref().map(|_| "external"))
        .with_flag("redis.url", "--redis-url", command.redis_url.as_ref());
    let config = Config::read(&sources)?;
    setup::logs(&config, None)?;
    setup::runtime(1)?.block_on(serve(&config, common.until_stdin_closes))
}

/// Where the token stands.
fn token_file(data_dir: &Path) -> PathBuf {
    data_dir.join("push-token")
}

fn open(config: &Config) -> anyhow::Result<Pusher> {
    let journal = JournalOptions { queue_len: QUEUE_LEN, ..tickhouse_endpoints::journal_options(config) };
    let options = PusherOptions {
        journal_dir: endpoints::journal_dir(&config.data_dir),
        name: tickhouse_endpoints::pusher_name(&config.recorder),
        journal,
        redis: tickhouse_endpoints::redis_options(config)?,
        publisher: PublisherOptions::default(),
        clock: config.clock.clone(),
        dialect: Dialect::default(),
    };
    Pusher::open(options).context("pushes can't be taken")
}

async fn serve(config: &Config, until_stdin_closes: bool) -> anyhow::Result<()> {
    let mut shutdown = Shutdown::listen(until_stdin_closes)?;
    let file = token_file(&config.data_dir);
    std::fs::create_dir_all(&config.data_dir)
        .with_context(|| format!("{} can't be made", config.data_dir.display()))?;
    let token = Token::read_or_make(&file)?;
    let pusher = Arc::new(open(config)?);
    let (routes, requests) = router(Arc::clone(&pusher), HttpOptions::with_token(token));
    let reporter = Arc::downgrade(&pusher);
    let report = Arc::new(move || {
        let status = reporter.upgrade().map(|pusher| pusher.status());
        json!({ "push": status, "requests": requests.read() })
    });
    let listen = config.push.listen;
    let presence =
        Presence::announce_with(&config.data_dir, "serve", listen, "--listen", None, report, routes).await?;
    tracing::info!(session = pusher.session(), port = presence.port(), "taking pushes");
    output::line(&format!(
        "push ticks to http://{}/v1/ticks with the token in {}",
        SocketAddr::new(listen.ip(), presence.port()),
        file.display()
    ))?;
    shutdown.requested().await;
    presence.close().await;
    let closed = tokio::task::spawn_blocking(move || pusher.close(PATIENCE)).await?;
    if let Some(report) = closed {
        tracing::info!(records = report.records, published = report.published, "journal closed");
    }
    Ok(())
}
