//! What is recorded follows the rules through the day: prices move the strikes at the money, a new day brings another
//! master.
//!
//! What enters: copies of data frames, the clock. What leaves: changes of subscriptions, on those sockets that have any.
//! What never happens here: holding up a socket (frames that find no room are passed over), touching an instrument that
//! stays.

use crate::universe::{self, Subscribed};
use bytes::Bytes;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tickhouse_config::{Config, OnExcess};
use tickhouse_enrich::InstrumentTable;
use tickhouse_source::{Key, Shard, ShardLimits, SocketHandle, Subscription};
use tickhouse_universe::{Placement, Prices, Resolution, Universe};
use tokio::sync::{mpsc, oneshot};
use tokio::time::MissedTickBehavior;

/// Frames that wait to be looked at; prices come again within a second.
const FRAMES: usize = 256;
/// How often prices are looked at: changes come at most as often.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Pauses between attempts to fetch the instruments.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_mins(1));
/// Between two attempts to fetch the master of a new day.
const NEXT_DAY_EVERY: Duration = Duration::from_mins(1);
/// Kite makes the day's master at about 08:30 in India: the second of the day from which it is asked for.
const MASTER_FROM: u32 = 8 * 3_600 + 35 * 60;

/// The universe at the start.
pub(crate) struct Start {
    pub(crate) resolution: Resolution,
    /// Most instruments that prices can bring.
    pub(crate) most: usize,
    universe: Universe,
    prices: Prices,
}

/// Finds what to record. Waits for the exchange's list of instruments, if that is needed, for as long as it takes.
pub(crate) async fn start(config: &Config, keys: &[Key]) -> anyhow::Result<Start> {
    let table = master(config).await;
    let (mut universe, mut prices) = bound(config, &table)?;
    let spots = universe.spots();
    if let Some(key) = keys.first().filter(|_| !spots.is_empty())
        && let Err(error) = universe::ask_prices(config, key, &table, &spots, &mut prices).await
    {
        tracing::warn!(
            error = format!("{error:#}"),
            "no prices of underlyings yet: options follow with the first ticks"
        );
    }
    let settings = &config.kite;
    let capacity = keys.len() * settings.sockets_per_key * settings.tokens_per_socket;
    let resolution = universe.resolve(|token| prices.get(token), capacity);
    anyhow::ensure!(
        !resolution.wanted.is_empty(),
        "the rules select no instrument of today's list: see `tickhouse universe check`"
    );
    if !resolution.fits() {
        excess(config, &resolution)?;
    }
    Ok(Start { resolution, most: universe.most(), universe, prices })
}

async fn master(config: &Config) -> InstrumentTable {
    let mut pause = PAUSES.0;
    loop {
        match universe::master(config).await {
            Ok(table) => return table,
            Err(error) => tracing::warn!(
                api_url = config.kite.api_url,
                error = format!("{error:#}"),
                pause_s = pause.as_secs(),
                "the list of instruments can't be fetched, trying again"
            ),
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSES.1);
    }
}

fn bound(config: &Config, table: &InstrumentTable) -> anyhow::Result<(Universe, Prices)> {
    let universe = universe::bind(config, table)?;
    for notice in universe.notices() {
        tracing::warn!(notice, "a rule of the universe");
    }
    let mut prices = Prices::default();
    prices.follow(&universe.spots());
    Ok((universe, prices))
}

/// More than the keys carry: an error, or a warning.
fn excess(config: &Config, resolution: &Resolution) -> anyhow::Result<()> {
    if config.kite.on_excess == OnExcess::Refuse {
        anyhow::bail!(
            "the universe does not fit, and kite.on_excess is refuse: {resolution}\nnarrow the rules, add API keys, or set \
             kite.on_excess = \"drop_lowest\""
        );
    }
    tracing::warn!(
        fit = resolution.wanted.len(),
        left_out = resolution.left_out,
        first = ?resolution.first_left_out,
        "more instruments than the keys carry: the lowest priorities are not recorded (`tickhouse universe show`); narrow \
         the rules or add API keys"
    );
    Ok(())
}

/// What the status page says of the universe.
#[derive(Clone, Debug, Default)]
pub(crate) struct View(Arc<Mutex<Seen>>);

#[derive(Clone, Debug, Default)]
struct Seen {
    instruments: usize,
    left_out: usize,
    resolved_at: String,
    changes: u64,
    rules: Value,
}

impl View {
    /// Instruments wanted, left out, and the rules.
    pub(crate) fn json(&self) -> (usize, usize, Value) {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let universe =
            json!({ "resolved_at": seen.resolved_at, "changes": seen.changes, "rules": seen.rules });
        (seen.instruments, seen.left_out, universe)
    }

    fn set(&self, resolution: &Resolution, resolved_at: String) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let changes = seen.changes + u64::from(!seen.resolved_at.is_empty());
        *seen = Seen {
            instruments: resolution.wanted.len(),
            left_out: resolution.left_out,
            resolved_at,
            changes,
            rules: universe::rules_json(&resolution.rules),
        };
    }
}

/// A wish for one more socket, and where its handle goes; `None` when it can't be had.
pub(crate) type Wish = (Shard, oneshot::Sender<Option<SocketHandle>>);

/// Asks the recorder for more sockets, as far as the keys allow them.
#[derive(Debug)]
pub(crate) struct More {
    wishes: mpsc::Sender<Wish>,
    keys: Vec<String>,
    limits: ShardLimits,
}

impl More {
    /// With the recorder's end.
    pub(crate) fn new(keys: &[&str], limits: ShardLimits) -> (Self, mpsc::Receiver<Wish>) {
        let (wishes, receiver) = mpsc::channel(1);
        (Self { wishes, keys: keys.iter().map(|key| (*key).to_owned()).collect(), limits }, receiver)
    }

    /// Sockets that so many instruments need, at most those that there can be.
    fn sockets_for(&self, instruments: usize) -> usize {
        let most = self.keys.len() * self.limits.sockets_per_key;
        instruments.div_ceil(self.limits.per_socket).min(most)
    }

    async fn open(&self, number: usize) -> Option<(u16, SocketHandle)> {
        let api_key = self.keys.get(number / self.limits.sockets_per_key)?.clone();
        let shard = Shard { socket: u16::try_from(number).ok()?, api_key, subscriptions: Vec::new() };
        let (socket, (answer, opened)) = (shard.socket, oneshot::channel());
        self.wishes.send((shard, answer)).await.ok()?;
        Some((socket, opened.await.ok()??))
    }
}

/// Keeps subscriptions at what the rules mean.
pub(crate) struct Follower {
    config: Config,
    universe: Universe,
    prices: Prices,
    placement: Placement,
    sockets: Vec<(u16, SocketHandle)>,
    frames: mpsc::Receiver<Bytes>,
    /// Keeps `frames` open when no socket copies any.
    _open: mpsc::Sender<Bytes>,
    view: View,
    more: More,
    /// Whether a price came since the last look.
    priced: bool,
    /// Days since 1970-01-01 of which the master is.
    day: i32,
    refused: bool,
}

/// Where sockets send copies of their frames; `None` when no rule asks for prices.
pub(crate) type Copies = Option<mpsc::Sender<Bytes>>;

/// The queue of copied frames.
pub(crate) fn frames(config: &Config) -> (Copies, mpsc::Sender<Bytes>, mpsc::Receiver<Bytes>) {
    let (sender, receiver) = mpsc::channel(FRAMES);
    (universe::follows_prices(config).then(|| sender.clone()), sender, receiver)
}

impl Follower {
    pub(crate) fn new(
        config: &Config,
        start: Start,
        shards: &[Shard],
        handles: &BTreeMap<u16, SocketHandle>,
        (open, frames): (mpsc::Sender<Bytes>, mpsc::Receiver<Bytes>),
        view: View,
        more: More,
    ) -> Self {
        let carried =
            |shard: &Shard| shard.subscriptions.iter().map(|one| (one.token, one.mode)).collect::<Vec<_>>();
        let sockets =
            shards.iter().filter_map(|shard| Some((shard.socket, handles.get(&shard.socket)?.clone())));
        let mut follower = Self {
            placement: Placement::new(shards.iter().map(carried), config.kite.tokens_per_socket),
            sockets: sockets.collect(),
            config: config.clone(),
            universe: start.universe,
            prices: start.prices,
            frames,
            _open: open,
            view,
            more,
            priced: false,
            day: 0,
            refused: false,
        };
        follower.day = follower.master_day();
        follower.tell(&start.resolution);
        follower
    }

    /// Runs for as long as the recorder.
    ///
    /// # Cancel safety
    /// Safe: a change is made on all sockets or, where it was cut, by the next look of the next start.
    pub(crate) async fn run(mut self) {
        let mut look = tokio::time::interval(LOOK_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let next_day = self.config.clock.real_time(NEXT_DAY_EVERY).max(LOOK_EVERY);
        let mut next_day = tokio::time::interval(next_day);
        next_day.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                frame = self.frames.recv() => {
                    let Some(frame) = frame else { return };
                    self.priced |= self.prices.note_frame(&frame);
                }
                _ = look.tick() => {
                    if std::mem::take(&mut self.priced) && self.universe.follow(|token| self.prices.get(token)) {
                        self.adjust("prices moved");
                    }
                }
                _ = next_day.tick() => {
                    if universe::needs_instruments(&self.config) && self.master_day() != self.day {
                        self.turn_day().await;
                    }
                }
            }
        }
    }

    /// The day whose master the exchange has now.
    fn master_day(&self) -> i32 {
        let now = self.config.clock.now().ist();
        now.days_since_epoch - i32::from(now.second_of_day < MASTER_FROM)
    }

    /// Binds the rules to a new day's master: what is listed no longer goes, what is new comes.
    async fn turn_day(&mut self) {
        let day = self.master_day();
        let fetched = universe::master(&self.config).await;
        let bound = fetched.and_then(|table| universe::bind(&self.config, &table));
        match bound {
            Ok(mut universe) => {
                universe.inherit(&self.universe);
                self.prices.follow(&universe.spots());
                self.universe = universe;
                self.day = day;
                self.open_more().await;
                self.adjust("a new day's instruments");
            }
            Err(error) => tracing::warn!(
                error = format!("{error:#}"),
                "the new day's instruments can't be had yet: yesterday's subscriptions stay, trying again"
            ),
        }
    }

    /// Opens sockets for what the rules can bring now beyond what the open ones carry.
    async fn open_more(&mut self) {
        for number in self.sockets.len()..self.more.sockets_for(self.universe.most()) {
            let Some(opened) = self.more.open(number).await else { return };
            self.placement.add_socket();
            self.sockets.push(opened);
        }
    }

    fn adjust(&mut self, why: &str) {
        let resolution = self.universe.resolve(|token| self.prices.get(token), self.placement.capacity());
        if !resolution.fits()
            && let Err(error) = excess(&self.config, &resolution)
        {
            if !std::mem::replace(&mut self.refused, true) {
                tracing::error!(error = format!("{error:#}"), "subscriptions stay as they are");
            }
            return;
        }
        self.refused = false;
        let changes = self.placement.apply(&resolution.wanted);
        let (mut added, mut removed, mut modes) = (0, 0, 0);
        for change in &changes {
            added += change.added.len();
            removed += change.removed.len();
            modes += change.modes.len();
            let (socket, handle) = &self.sockets[change.socket];
            let carried = self.placement.sockets().nth(change.socket).into_iter().flatten();
            let wanted: Vec<Subscription> =
                carried.map(|(token, mode)| Subscription { token: *token, mode: *mode }).collect();
            if let Err(error) = handle.set(&wanted) {
                tracing::error!(socket, %error, "subscriptions can't be changed");
            }
        }
        if !changes.is_empty() {
            tracing::info!(
                why,
                added,
                removed,
                modes,
                instruments = self.placement.len(),
                "subscriptions follow"
            );
        }
        self.tell(&resolution);
    }

    fn tell(&self, resolution: &Resolution) {
        let resolved_at = self.config.clock.now().to_string();
        self.view.set(resolution, resolved_at.clone());
        let carried = self.placement.sockets().zip(&self.sockets).map(|(carried, (socket, _))| {
            let tokens = carried.iter().map(|(token, mode)| (token.0, mode.name().to_owned()));
            (*socket, tokens.collect())
        });
        let subscribed = Subscribed { pid: std::process::id(), resolved_at, sockets: carried.collect() };
        if let Err(error) = subscribed.write(&self.config.data_dir) {
            tracing::warn!(error = format!("{error:#}"), "`tickhouse universe diff` will not see this");
        }
    }
}
