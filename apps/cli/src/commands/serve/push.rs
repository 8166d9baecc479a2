//! Ticks of other programs: POST /v1/ticks, on an address of their own.

use crate::process::Listener;
use crate::{endpoints, output};
use anyhow::Context as _;
use serde_json::{Map, Value, json};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tickhouse_config::Config;
use tickhouse_journal::JournalOptions;
use tickhouse_push::http::{HttpCounters, HttpOptions, router};
use tickhouse_push::{Dialect, Pusher, PusherOptions, Token};
use tickhouse_stream::PublisherOptions;

/// Pushes that wait for the journal: twice the requests that may be under way, for those that gave up waiting.
const QUEUE_LEN: usize = 64;
/// How long disk and Redis may take at the end for what is not published; the journal keeps the rest.
const PATIENCE: Duration = Duration::from_secs(15);

/// What takes pushes.
pub(super) struct Pushing {
    pusher: Arc<Pusher>,
    requests: Arc<HttpCounters>,
    listener: Listener,
    token_file: PathBuf,
}

impl Pushing {
    pub(super) fn start(config: &Config) -> anyhow::Result<Self> {
        let token_file = config.data_dir.join("push-token");
        let token = Token::read_or_make(&token_file)?;
        let pusher = Arc::new(open(config)?);
        let (routes, requests) = router(Arc::clone(&pusher), HttpOptions::with_token(token));
        let listener = Listener::bind(config.push.listen, "the taking of pushes", "--push-listen", routes)?;
        tracing::info!(session = pusher.session(), address = %listener.address(), "taking pushes");
        Ok(Self { pusher, requests, listener, token_file })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.listener.address()
    }

    pub(super) fn announce(&self) -> anyhow::Result<()> {
        Ok(output::line(&format!(
            "push ticks to http://{}/v1/ticks with the token in {}",
            self.address(),
            self.token_file.display()
        ))?)
    }

    /// Its part of the status.
    pub(super) fn report(&self) -> impl Fn() -> Map<String, Value> + Send + Sync + 'static {
        let (pusher, requests) = (Arc::downgrade(&self.pusher), Arc::clone(&self.requests));
        move || {
            let status = pusher.upgrade().map(|pusher| pusher.status());
            let told = [("push", json!(status)), ("requests", json!(requests.read()))];
            told.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
        }
    }

    /// Takes no more, and publishes what it has.
    pub(super) async fn stop(self) -> anyhow::Result<()> {
        let Self { pusher, listener, .. } = self;
        listener.close().await;
        let closed = tokio::task::spawn_blocking(move || pusher.close(PATIENCE)).await?;
        if let Some(report) = closed {
            tracing::info!(records = report.records, published = report.published, "journal closed");
        }
        Ok(())
    }
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
