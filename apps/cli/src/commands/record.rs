//! `tickhouse record`: sockets to journal to Redis streams.

mod following;
mod lines;
mod report;
mod tokens;

use crate::arguments::Common;
use crate::process::Presence;
use crate::setup;
use crate::shutdown::Shutdown;
use crate::universe::{self, is_loopback};
use anyhow::bail;
use clap::Args;
use following::{Follower, More, View};
use lines::Recorder;
use std::sync::Arc;
use std::time::Duration;
use tickhouse_config::Config;
use tickhouse_source::{AccessToken, Key, Secret, ShardLimits};

/// How often token files are looked at.
const TOKEN_LOOK: Duration = Duration::from_secs(5);
/// How often stored segments beyond the caps are removed.
const PRUNE_EVERY: Duration = Duration::from_mins(1);

/// Sockets to journal to Redis streams.
#[derive(Debug, Args)]
pub(crate) struct Record {
    /// WebSocket of the exchange [default: Kite's]
    #[arg(long, value_name = "WS_URL")]
    url: Option<String>,
    /// REST of the exchange [default: Kite's; with a `--url` on this machine, the same host and port]
    #[arg(long, value_name = "HTTP_URL")]
    api_url: Option<String>,
    /// Name of this recorder [default: main]
    #[arg(long, value_name = "NAME")]
    recorder: Option<String>,
    /// What to record: all, EXCHANGE:*, EXCHANGE:SYMBOL or a token, each with @ltp, @quote or @full; several with commas
    #[arg(long, value_name = "LIST")]
    subscribe: Option<String>,
    /// Redis [default: the configured or running one]
    #[arg(long, value_name = "URL")]
    redis_url: Option<String>,
    /// Port of /status and /healthz on 127.0.0.1 [default: a free one]
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    http_port: u16,
}

pub(crate) fn run(common: &Common, command: &Record) -> anyhow::Result<()> {
    let api_url = command.api_url.clone().or_else(|| command.url.as_deref().and_then(same_place));
    let sources = setup::sources(common)?
        .with_flag("kite.endpoint", "--url", command.url.as_ref())
        .with_flag("kite.api_url", "--api-url", api_url.as_ref())
        .with_flag("recorder", "--recorder", command.recorder.as_ref())
        .with_flag("kite.subscribe", "--subscribe", command.subscribe.as_ref())
        .with_flag("redis.mode", "--redis-url", command.redis_url.as_ref().map(|_| "external"))
        .with_flag("redis.url", "--redis-url", command.redis_url.as_ref());
    let config = Config::read(&sources)?;
    setup::logs(&config, None)?;
    setup::runtime(2)?.block_on(record(&config, command.http_port, common.until_stdin_closes))
}

/// The REST address of a simulator on this machine: it has one port for both.
fn same_place(url: &str) -> Option<String> {
    let rest = url.strip_prefix("ws://")?;
    let place = rest.split(['/', '?']).next()?;
    is_loopback(url).then(|| format!("http://{place}"))
}

/// The keys of this configuration; a simulator takes any.
fn keys(config: &Config) -> anyhow::Result<Vec<Key>> {
    let settings = &config.kite;
    if settings.api_keys.is_empty() {
        if is_loopback(&settings.endpoint) {
            return Ok(vec![Key::new("tickhouse", AccessToken::fixed(Secret::new("tickhouse")))]);
        }
        bail!(
            "no API key is set: set kite.api_keys and kite.access_token_files, or point --url at a simulator (`tickhouse sim`)"
        );
    }
    let pairs = settings.api_keys.iter().zip(&settings.access_token_files);
    Ok(pairs.map(|(key, file)| Key::new(key.expose(), AccessToken::file(file.clone(), TOKEN_LOOK))).collect())
}

fn error_text(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"))
}

async fn record(config: &Config, http_port: u16, until_stdin_closes: bool) -> anyhow::Result<()> {
    let mut shutdown = Shutdown::listen(until_stdin_closes)?;
    let keys = keys(config)?;
    let names: Vec<&str> = keys.iter().map(Key::api_key).collect();
    let limits = ShardLimits {
        per_socket: config.kite.tokens_per_socket,
        sockets_per_key: config.kite.sockets_per_key,
    };
    let start = tokio::select! {
        start = following::start(config, &keys) => start?,
        () = shutdown.requested() => return Ok(()),
    };
    let shards = universe::shards(&start.resolution, start.most, &names, limits)?;
    let (copies, open, frames) = following::frames(config);
    let mut recorder = Recorder::start(config, &shards, &keys, copies)?;
    let open_now = |(socket, line): (&u16, &lines::Line)| (*socket, line.handle.clone());
    let handles = recorder.lines.all().iter().map(open_now).collect();
    let (more, mut wishes) = More::new(&names, limits);
    let view = View::default();
    let instruments = start.resolution.wanted.len();
    let follower = Follower::new(config, start, &shards, &handles, (open, frames), view.clone(), more);
    let follower = tokio::spawn(follower.run());
    let skew = report::watch_clock(config);
    let report = report::report(config, &recorder, view, skew);
    let (watching, report) = tokens::watch(config, &keys, report);
    let presence = Presence::announce(&config.data_dir, "record", http_port, None, report)?;
    tracing::info!(
        session = recorder.journal.session(),
        sockets = recorder.lines.all().len(),
        instruments,
        status = presence.port(),
        "recording"
    );
    let mut prune = tokio::time::interval(PRUNE_EVERY);
    loop {
        tokio::select! {
            () = shutdown.requested() => break,
            _ = prune.tick() => prune_journal(&recorder).await,
            Some((shard, answer)) = wishes.recv() => {
                let opened = recorder.open(&shard);
                match &opened {
                    Ok(_) => tracing::info!(socket = shard.socket, "one more socket"),
                    Err(error) => tracing::error!(socket = shard.socket, error = format!("{error:#}"), "no more sockets"),
                }
                answer.send(opened.ok()).ok();
            }
        }
    }
    follower.abort();
    drop(presence);
    watching.abort();
    recorder.stop().await;
    tracing::info!("stopped");
    Ok(())
}

async fn prune_journal(recorder: &Recorder) {
    let marks = recorder.marks();
    let journal = Arc::clone(&recorder.journal);
    match tokio::task::spawn_blocking(move || journal.prune(&marks)).await {
        Ok(Ok(pruned)) if pruned.segments > 0 => {
            tracing::info!(segments = pruned.segments, bytes = pruned.bytes, "stored segments removed");
        }
        Ok(Ok(_)) | Err(_) => {}
        Ok(Err(error)) => tracing::warn!(error = error_text(&error), "segments can't be removed"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_simulator_on_this_machine_has_one_port_for_both() {
        assert_eq!(same_place("ws://127.0.0.1:8765/").as_deref(), Some("http://127.0.0.1:8765"));
        assert_eq!(same_place("ws://localhost:1?x").as_deref(), Some("http://localhost:1"));
        assert_eq!(same_place("wss://ws.kite.trade"), None);
        assert_eq!(same_place("ws://10.0.0.1:1"), None);
    }
}
