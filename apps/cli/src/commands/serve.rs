//! `tickhouse serve`: the page; and ticks of other programs to journal to Redis streams, where that is wanted.

mod health;
mod push;

use crate::arguments::Common;
use crate::process::{Listener, Presence, RunFile, status_routes};
use crate::shutdown::Shutdown;
use crate::system::page_url;
use crate::{output, setup};
use anyhow::{Context as _, bail};
use clap::Args;
use push::Pushing;
use serde_json::json;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use tickhouse_config::Config;
use tickhouse_live::{Feed, FeedOptions, Market};
use tickhouse_push::Token;
use tickhouse_read::Reader;
use tickhouse_web::{Access, Limits, Web, WebOptions};

/// The page, with REST and live data (docs/web-api.md); takes ticks of other programs too where that is wanted (docs/push.md).
#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// Where the page is; port 0 takes a free one [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// Take pushes here, POST /v1/ticks: an address of this machine itself; port 0 takes a free one [default: none]
    #[arg(long, value_name = "ADDRESS")]
    push_listen: Option<SocketAddr>,
    /// Make the token in the file of `http.token_file`, where there is none, and end
    #[arg(long)]
    make_token: bool,
    /// Redis [default: the configured or running one]
    #[arg(long, value_name = "URL")]
    redis_url: Option<String>,
}

pub(crate) fn run(common: &Common, command: &Serve) -> anyhow::Result<()> {
    let sources = setup::sources(common)?
        .with_flag("http.listen", "--listen", command.listen)
        .with_flag("push.enabled", "--push-listen", command.push_listen.map(|_| "true"))
        .with_flag("push.listen", "--push-listen", command.push_listen)
        .with_flag("redis.mode", "--redis-url", command.redis_url.as_ref().map(|_| "external"))
        .with_flag("redis.url", "--redis-url", command.redis_url.as_ref());
    let config = Config::read(&sources)?;
    if command.make_token {
        return make_token(config.http.token_file.as_deref());
    }
    setup::logs(&config, None)?;
    setup::runtime(2)?.block_on(serve(&config, common.until_stdin_closes))
}

fn make_token(file: Option<&Path>) -> anyhow::Result<()> {
    let Some(file) = file else {
        bail!("name the file first: token_file in section [http], or TICKHOUSE_HTTP_TOKEN_FILE");
    };
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder).with_context(|| format!("{} can't be made", folder.display()))?;
    }
    Token::read_or_make(file)?;
    Ok(output::line(&format!("the token is in {}: only you can read it", file.display()))?)
}

async fn serve(config: &Config, until_stdin_closes: bool) -> anyhow::Result<()> {
    let mut shutdown = Shutdown::listen(until_stdin_closes)?;
    std::fs::create_dir_all(&config.data_dir)
        .with_context(|| format!("{} can't be made", config.data_dir.display()))?;
    let pushing = if config.push.enabled { Some(Pushing::start(config)?) } else { None };
    let page = Page::start(config, pushing.as_ref())?;
    output::line(&format!("open {}", page_url(page.address)))?;
    if let Some(pushing) = &pushing {
        pushing.announce()?;
    }
    shutdown.requested().await;
    page.stop().await;
    if let Some(pushing) = pushing {
        pushing.stop().await?;
    }
    Ok(())
}

/// The running page.
struct Page {
    web: Arc<Web>,
    /// Ends when it is dropped.
    _feed: Arc<Feed>,
    health: tokio::task::JoinHandle<()>,
    presence: Presence,
    /// Where it listens beside the status of this machine, if that is elsewhere.
    elsewhere: Option<Listener>,
    address: SocketAddr,
}

impl Page {
    fn start(config: &Config, pushing: Option<&Pushing>) -> anyhow::Result<Self> {
        let reader = Reader::new(tickhouse_endpoints::reader_of(config)?);
        let market = Arc::new(Market::default());
        let redis = tickhouse_endpoints::redis_options(config)?;
        let clock = config.clock.clone();
        let options = FeedOptions { redis, reader: reader.clone() };
        let feed = Arc::new(Feed::start(options, Arc::clone(&market), move || clock.now())?);
        let calendar = tickhouse_endpoints::calendar_of_ticks(config)?;
        let (told, health) = health::watch(config)?;
        let access = match &config.http.token_file {
            Some(file) if !config.http.is_of_this_machine() => Access::Token(Token::read_or_make(file)?),
            _ => Access::Machine,
        };
        let web = Web::new(WebOptions {
            reader,
            market: Arc::clone(&market),
            calendar,
            clock: config.clock.clone(),
            access,
            limits: Limits::default(),
            health: told,
        });
        let (reporter, stream, pushed) = (Arc::clone(&web), Arc::clone(&feed), pushing.map(Pushing::report));
        let report = Arc::new(move || {
            let mut all = json!({
                "live": reporter.counts(),
                "market": market.counts(),
                "feed": stream.status(),
                "histograms": { "socket_to_browser": reporter.socket_to_browser().histogram() },
            });
            if let (Some(all), Some(pushed)) = (all.as_object_mut(), &pushed) {
                all.extend(pushed());
            }
            all
        });
        let routes = tickhouse_web::router(&web, status_routes(&config.data_dir, "serve", report.clone()));
        let page = Listener::bind(config.http.listen, "the page", "--listen", routes)?;
        let (address, push) = (page.address(), pushing.map(Pushing::address));
        let (listener, elsewhere) = if config.http.is_of_this_machine() {
            (page, None)
        } else {
            let any = SocketAddr::from(([127, 0, 0, 1], 0));
            let routes = status_routes(&config.data_dir, "serve", report);
            let status = Listener::bind(any, "the status", "--listen", routes)?;
            (status, Some(page))
        };
        let presence = Presence::of(&config.data_dir, listener, |port| RunFile {
            page: Some(address),
            push,
            ..RunFile::of("serve", port)
        })?;
        tracing::info!(%address, status = presence.port(), "the page is there");
        Ok(Self { web, _feed: feed, health, presence, elsewhere, address })
    }

    /// Says goodbye to browsers, and answers what is under way.
    async fn stop(self) {
        self.health.abort();
        self.web.close();
        if let Some(elsewhere) = self.elsewhere {
            elsewhere.close().await;
        }
        self.presence.close().await;
    }
}
