//! `tickhouse record`: sockets to journal to Redis streams.

mod following;
mod tokens;

use crate::arguments::Common;
use crate::process::Presence;
use crate::shutdown::Shutdown;
use crate::universe::{self, is_loopback};
use crate::{endpoints, instruments, setup};
use anyhow::{Context as _, bail};
use clap::Args;
use following::{Copies, Follower, View};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tickhouse_config::Config;
use tickhouse_enrich::Market;
use tickhouse_journal::{Journal, last_record};
use tickhouse_source::{
    AccessToken, Key, PreviousSession, Secret, SessionGate, Shard, ShardLimits, SocketHandle, SocketSetup,
    TickerOptions, control, run_socket,
};
use tickhouse_stream::{Publisher, PublisherHandle, PublisherOptions, RedisOptions};
use tickhouse_telemetry::Latency;
use tokio::task::JoinSet;

/// How often token files are looked at.
const TOKEN_LOOK: Duration = Duration::from_secs(5);
/// How often stored segments beyond the caps are removed.
const PRUNE_EVERY: Duration = Duration::from_mins(1);
/// How long the disk may refuse at the end.
const JOURNAL_PATIENCE: Duration = Duration::from_secs(10);
/// How long Redis may take for what is not published at the end; the journal keeps the rest.
const PUBLISH_PATIENCE: Duration = Duration::from_secs(15);

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

/// Data are expected while any market is in session.
fn gate(config: &Config) -> anyhow::Result<SessionGate> {
    if config.kite.data_timeout.is_zero() {
        return Ok(SessionGate::new(|_| false));
    }
    let calendar = instruments::calendar(config)?;
    Ok(SessionGate::new(move |at| Market::ALL.iter().any(|market| calendar.in_session(*market, at))))
}

/// One socket with its journal and publisher.
struct Line {
    handle: SocketHandle,
    publisher: PublisherHandle,
}

/// Everything that runs.
struct Recorder {
    journal: Arc<Journal>,
    lines: Arc<BTreeMap<u16, Line>>,
    sockets: JoinSet<()>,
    publishers: JoinSet<()>,
}

impl Recorder {
    fn start(config: &Config, shards: &[Shard], keys: &[Key], copies: &Copies) -> anyhow::Result<Self> {
        let directory = endpoints::journal_dir(&config.data_dir);
        let previous = |socket| previous(&directory, &config.recorder, socket);
        let before: Vec<_> = shards.iter().map(|shard| previous(shard.socket)).collect::<Result<_, _>>()?;
        let journal = Journal::open(
            &directory,
            &config.recorder,
            tickhouse_endpoints::journal_options(config),
            config.clock.clone(),
        )?;
        let gate = gate(config)?;
        let ticker = TickerOptions {
            read_timeout: config.kite.read_timeout,
            // the gate is shut when there is no watchdog
            data_timeout: config.kite.data_timeout.max(Duration::from_secs(1)),
            ..TickerOptions::at(&config.kite.endpoint)?
        };
        let redis = tickhouse_endpoints::redis_options(config)?;
        let mut recorder = Self {
            journal: Arc::new(journal),
            lines: Arc::default(),
            sockets: JoinSet::new(),
            publishers: JoinSet::new(),
        };
        let mut lines = BTreeMap::new();
        for (shard, previous) in shards.iter().zip(before) {
            let key = keys.iter().find(|key| key.api_key() == shard.api_key).context("a shard of no key")?;
            let socket = recorder.journal.start_socket(shard.socket)?;
            let (handle, mut control) = control(&shard.subscriptions, config.kite.tokens_per_socket)?;
            if let Some(copies) = copies {
                control.copy_frames_to(copies.clone());
            }
            let setup = SocketSetup {
                socket: shard.socket,
                key: key.clone(),
                options: ticker.clone(),
                clock: config.clock.clone(),
                gate: gate.clone(),
                previous,
            };
            let (task, publisher) = Publisher::new(
                redis.clone(),
                PublisherOptions::default(),
                &directory,
                &config.recorder,
                shard.socket,
                socket.position,
                config.clock.clone(),
            )?;
            recorder.publishers.spawn(task.run(std::future::pending()));
            let number = shard.socket;
            recorder.sockets.spawn(async move {
                if let Err(error) = run_socket(setup, control, socket.sender).await {
                    tracing::error!(socket = number, error = error_text(&error), "socket ended");
                }
            });
            lines.insert(shard.socket, Line { handle, publisher });
        }
        recorder.publish_leftovers(config, &directory, &redis, &lines)?;
        recorder.lines = Arc::new(lines);
        Ok(recorder)
    }

    /// Publishes what sockets of an earlier start, with more sockets than this one, left in their journals.
    fn publish_leftovers(
        &mut self,
        config: &Config,
        directory: &Path,
        redis: &RedisOptions,
        lines: &BTreeMap<u16, Line>,
    ) -> anyhow::Result<()> {
        let entries =
            std::fs::read_dir(self.journal.directory()).context("reading the journal's directory")?;
        let sockets = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u16>().ok());
        for socket in sockets.filter(|socket| !lines.contains_key(socket)) {
            // its sender is dropped at once: nothing is appended, and the publisher ends when all is published
            let position = self.journal.start_socket(socket)?.position;
            let options = PublisherOptions::default();
            let (clock, name) = (config.clock.clone(), config.recorder.as_str());
            let (task, _) = Publisher::new(redis.clone(), options, directory, name, socket, position, clock)?;
            self.publishers.spawn(task.run(std::future::pending()));
        }
        Ok(())
    }

    /// Closes the sockets, then the journal, then publishes what is left, each as far as it can be done in time.
    async fn stop(mut self) {
        self.lines.values().for_each(|line| line.handle.shut_down());
        while self.sockets.join_next().await.is_some() {}
        if let Some(journal) = Arc::into_inner(self.journal) {
            let closed = tokio::task::spawn_blocking(move || journal.close(JOURNAL_PATIENCE)).await;
            if let Ok(status) = closed {
                let records: u64 = status.sockets.iter().map(|socket| socket.records).sum();
                tracing::info!(records, "journal closed");
            }
        }
        let drained = async { while self.publishers.join_next().await.is_some() {} };
        if tokio::time::timeout(PUBLISH_PATIENCE, drained).await.is_err() {
            tracing::warn!("not everything could be published: the journal keeps it for the next start");
        }
    }
}

fn error_text(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"))
}

fn previous(directory: &Path, recorder: &str, socket: u16) -> anyhow::Result<Option<PreviousSession>> {
    let last = last_record(directory, recorder, socket)?;
    Ok(last.map(|last| PreviousSession { last_frame_at: last.last_data_at }))
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
    let recorder = Recorder::start(config, &shards, &keys, &copies)?;
    let handles = recorder.lines.iter().map(|(socket, line)| (*socket, line.handle.clone())).collect();
    let view = View::default();
    let instruments = start.resolution.wanted.len();
    let follower = Follower::new(config, start, &shards, &handles, (open, frames), view.clone());
    let follower = tokio::spawn(follower.run());
    let report = report(config, &recorder, view);
    let (watching, report) = tokens::watch(config, &keys, report);
    let listen = SocketAddr::from(([127, 0, 0, 1], http_port));
    let presence =
        Presence::announce(&config.data_dir, "record", listen, "--http-port", None, report).await?;
    tracing::info!(
        session = recorder.journal.session(),
        sockets = recorder.lines.len(),
        instruments,
        status = presence.port(),
        "recording"
    );
    let mut prune = tokio::time::interval(PRUNE_EVERY);
    loop {
        tokio::select! {
            () = shutdown.requested() => break,
            _ = prune.tick() => prune_journal(&recorder).await,
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
    let marks: BTreeMap<u16, (u64, u64)> = recorder
        .lines
        .iter()
        .map(|(socket, line)| (*socket, *line.publisher.mark().borrow()))
        .map(|(socket, mark)| (socket, (mark.ms, mark.seq)))
        .collect();
    let journal = Arc::clone(&recorder.journal);
    match tokio::task::spawn_blocking(move || journal.prune(&marks)).await {
        Ok(Ok(pruned)) if pruned.segments > 0 => {
            tracing::info!(segments = pruned.segments, bytes = pruned.bytes, "stored segments removed");
        }
        Ok(Ok(_)) | Err(_) => {}
        Ok(Err(error)) => tracing::warn!(error = error_text(&error), "segments can't be removed"),
    }
}

fn report(config: &Config, recorder: &Recorder, view: View) -> crate::process::Report {
    let journal = Arc::downgrade(&recorder.journal);
    let lines = Arc::clone(&recorder.lines);
    let (name, session) = (config.recorder.clone(), recorder.journal.session());
    Arc::new(move || {
        let mut latency = Latency::default();
        lines.values().for_each(|line| latency.add(&line.publisher.latency()));
        let sockets: Vec<Value> = lines
            .iter()
            .map(|(socket, line)| {
                json!({
                    "socket": socket,
                    "source": line.handle.stats().snapshot(),
                    "publisher": line.publisher.status(),
                })
            })
            .collect();
        let (instruments, left_out, universe) = view.json();
        json!({
            "recorder": name,
            "session": session,
            "instruments": instruments,
            "left_out": left_out,
            "universe": universe,
            "sockets": sockets,
            "journal": journal.upgrade().map(|journal| journal.status()),
            "socket_to_redis": latency.summary(),
        })
    })
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
