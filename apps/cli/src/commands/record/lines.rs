//! The sockets of a recorder, each with its journal and its publisher; more of them while it runs.
//!
//! What enters: shards. What leaves: handles of open sockets. What never happens here: a second writer or publisher of a socket's
//! journal.

use super::error_text;
use super::following::Copies;
use crate::endpoints;
use anyhow::Context as _;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tickhouse_config::Config;
use tickhouse_enrich::{Calendar, Market};
use tickhouse_health::MarketPhase;
use tickhouse_journal::{Journal, last_record};
use tickhouse_model::{Observed, Timestamp};
use tickhouse_source::{
    Key, PreviousSession, SessionGate, Shard, SocketHandle, SocketSetup, TickerOptions, control, run_socket,
};
use tickhouse_stream::{Publisher, PublisherHandle, PublisherOptions, RedisOptions};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// How long the disk may refuse at the end.
const JOURNAL_PATIENCE: Duration = Duration::from_secs(10);
/// How long Redis may take for what is not published at the end; the journal keeps the rest.
const PUBLISH_PATIENCE: Duration = Duration::from_secs(15);

/// The phase of the markets whose instruments a socket carries, as far as tokens tell.
pub(super) fn phase(calendar: &Calendar, handle: &SocketHandle, at: Timestamp) -> MarketPhase {
    let subscriptions = handle.subscriptions();
    let markets: BTreeSet<Market> =
        subscriptions.iter().map(|subscription| Market::of_token(subscription.token)).collect();
    MarketPhase::of(calendar, markets, at)
}

/// Data are expected while a market of the socket's own instruments trades; never where there is no watchdog.
fn gate(config: &Config, calendar: &Arc<Calendar>, handle: &SocketHandle) -> SessionGate {
    if config.kite.data_timeout.is_zero() {
        return SessionGate::new(|_| false);
    }
    let (calendar, handle) = (Arc::clone(calendar), handle.clone());
    SessionGate::new(move |at| phase(&calendar, &handle, at) == MarketPhase::Open)
}

fn previous(directory: &Path, recorder: &str, socket: u16) -> anyhow::Result<Option<PreviousSession>> {
    let last = last_record(directory, recorder, socket)?;
    Ok(last.map(|last| PreviousSession { last_frame_at: last.last_data_at }))
}

/// One socket with its journal and publisher.
pub(super) struct Line {
    /// Which API key carries it, 1 for the first.
    pub(super) key: usize,
    pub(super) handle: SocketHandle,
    pub(super) publisher: PublisherHandle,
}

/// The open sockets.
#[derive(Clone, Default)]
pub(super) struct Lines(Arc<Mutex<BTreeMap<u16, Line>>>);

impl Lines {
    pub(super) fn all(&self) -> MutexGuard<'_, BTreeMap<u16, Line>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The journal of a socket that is not open: what an earlier start left in it is published.
struct Idle {
    sender: mpsc::Sender<Observed>,
    publisher: PublisherHandle,
}

/// What every socket is opened with.
struct Opening {
    config: Config,
    keys: Vec<Key>,
    copies: Copies,
    directory: PathBuf,
    calendar: Arc<Calendar>,
    ticker: TickerOptions,
    redis: RedisOptions,
}

/// Everything that runs.
pub(super) struct Recorder {
    opening: Opening,
    pub(super) journal: Arc<Journal>,
    pub(super) lines: Lines,
    idle: BTreeMap<u16, Idle>,
    sockets: JoinSet<()>,
    publishers: JoinSet<()>,
}

impl Recorder {
    /// The hours of the markets.
    pub(super) fn calendar(&self) -> Arc<Calendar> {
        Arc::clone(&self.opening.calendar)
    }

    pub(super) fn start(
        config: &Config,
        shards: &[Shard],
        keys: &[Key],
        copies: Copies,
    ) -> anyhow::Result<Self> {
        let directory = endpoints::journal_dir(&config.data_dir);
        let before = |shard: &Shard| previous(&directory, &config.recorder, shard.socket);
        let before: Vec<_> = shards.iter().map(before).collect::<Result<_, _>>()?;
        let journal = Journal::open(
            &directory,
            &config.recorder,
            tickhouse_endpoints::journal_options(config),
            config.clock.clone(),
        )?;
        let ticker = TickerOptions {
            read_timeout: config.kite.read_timeout,
            // the gate is shut when there is no watchdog
            data_timeout: config.kite.data_timeout.max(Duration::from_secs(1)),
            ..TickerOptions::at(&config.kite.endpoint)?
        };
        let opening = Opening {
            config: config.clone(),
            keys: keys.to_vec(),
            copies,
            calendar: endpoints::calendar(config)?,
            ticker,
            redis: tickhouse_endpoints::redis_options(config)?,
            directory,
        };
        let mut recorder = Self {
            opening,
            journal: Arc::new(journal),
            lines: Lines::default(),
            idle: BTreeMap::new(),
            sockets: JoinSet::new(),
            publishers: JoinSet::new(),
        };
        for (shard, previous) in shards.iter().zip(before) {
            recorder.open_after(shard, previous)?;
        }
        recorder.publish_leftovers()?;
        Ok(recorder)
    }

    /// Opens one more socket.
    pub(super) fn open(&mut self, shard: &Shard) -> anyhow::Result<SocketHandle> {
        let previous = previous(&self.opening.directory, &self.opening.config.recorder, shard.socket)?;
        self.open_after(shard, previous)
    }

    fn open_after(
        &mut self,
        shard: &Shard,
        previous: Option<PreviousSession>,
    ) -> anyhow::Result<SocketHandle> {
        let Opening { config, keys, copies, calendar, ticker, .. } = &self.opening;
        let number =
            keys.iter().position(|key| key.api_key() == shard.api_key).context("a shard of no key")?;
        let (handle, mut control) = control(&shard.subscriptions, config.kite.tokens_per_socket)?;
        if let Some(copies) = copies {
            control.copy_frames_to(copies.clone());
        }
        let setup = SocketSetup {
            socket: shard.socket,
            key: keys[number].clone(),
            options: ticker.clone(),
            clock: config.clock.clone(),
            gate: gate(config, calendar, &handle),
            previous,
        };
        let Idle { sender, publisher } = match self.idle.remove(&shard.socket) {
            Some(idle) => idle,
            None => self.begin(shard.socket)?,
        };
        let socket = shard.socket;
        self.sockets.spawn(async move {
            if let Err(error) = run_socket(setup, control, sender).await {
                tracing::error!(socket, error = error_text(&error), "socket ended");
            }
        });
        self.lines.all().insert(socket, Line { key: number + 1, handle: handle.clone(), publisher });
        Ok(handle)
    }

    /// Starts a socket's journal and publisher.
    fn begin(&mut self, socket: u16) -> anyhow::Result<Idle> {
        let Opening { config, directory, redis, .. } = &self.opening;
        let journal = self.journal.start_socket(socket)?;
        let (task, publisher) = Publisher::new(
            redis.clone(),
            PublisherOptions::default(),
            directory,
            &config.recorder,
            socket,
            journal.position,
            config.clock.clone(),
        )?;
        self.publishers.spawn(task.run(std::future::pending()));
        Ok(Idle { sender: journal.sender, publisher })
    }

    /// Publishes what sockets of an earlier start, with more sockets than this one, left in their journals.
    fn publish_leftovers(&mut self) -> anyhow::Result<()> {
        let entries =
            std::fs::read_dir(self.journal.directory()).context("reading the journal's directory")?;
        let sockets = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u16>().ok());
        let idle: Vec<u16> = sockets.filter(|socket| !self.lines.all().contains_key(socket)).collect();
        for socket in idle {
            let begun = self.begin(socket)?;
            self.idle.insert(socket, begun);
        }
        Ok(())
    }

    /// How far each socket's records are stored.
    pub(super) fn marks(&self) -> BTreeMap<u16, (u64, u64)> {
        let lines = self.lines.all();
        let open = lines.iter().map(|(socket, line)| (*socket, &line.publisher));
        let idle = self.idle.iter().map(|(socket, idle)| (*socket, &idle.publisher));
        let marks = open.chain(idle).map(|(socket, publisher)| (socket, *publisher.mark().borrow()));
        marks.map(|(socket, mark)| (socket, (mark.ms, mark.seq))).collect()
    }

    /// Closes the sockets, then the journal, then publishes what is left, each as far as it can be done in time.
    pub(super) async fn stop(mut self) {
        self.lines.all().values().for_each(|line| line.handle.shut_down());
        while self.sockets.join_next().await.is_some() {}
        self.idle.clear();
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
