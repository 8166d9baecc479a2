//! The universe of this configuration: its rules bound to the master of the day, prices to begin with, and the file that
//! tells what a recorder has subscribed.

use crate::endpoints::run_dir;
use crate::instruments;
use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tickhouse_config::{Choice, Config, Selection};
use tickhouse_enrich::InstrumentTable;
use tickhouse_model::Token;
use tickhouse_source::rest::{MOST_QUOTES, Rest};
use tickhouse_source::{AccessToken, Key, Secret, Shard, ShardLimits, Subscription, shard};
use tickhouse_universe::{Prices, Resolution, RuleReport, Universe};

/// Between two calls for quotes: Kite allows one a second.
const QUOTES_EVERY: Duration = Duration::from_millis(1_100);
/// How often token files are looked at.
const TOKEN_LOOK: Duration = Duration::from_secs(5);

/// Whether the list of instruments is needed to find what the rules mean.
pub(crate) fn needs_instruments(config: &Config) -> bool {
    config.universe.iter().any(|rule| match &rule.choice {
        Choice::Subscribe(entries) => entries.iter().any(Selection::needs_instruments),
        _ => true,
    })
}

/// Whether any rule follows prices.
pub(crate) fn follows_prices(config: &Config) -> bool {
    config.universe.iter().any(|rule| matches!(rule.choice, Choice::Options { .. }))
}

/// The rules bound to this master; what is odd about them is logged.
pub(crate) fn bind(config: &Config, table: &InstrumentTable) -> anyhow::Result<Universe> {
    let today = config.clock.now().ist().days_since_epoch;
    let read = |path: &Path| std::fs::read_to_string(path);
    Ok(Universe::bind(&config.universe, table, today, read)?)
}

/// The keys of this configuration; empty when there is none. A simulator takes any.
pub(crate) fn keys(config: &Config) -> Vec<Key> {
    let settings = &config.kite;
    if settings.api_keys.is_empty() && is_loopback(&settings.api_url) {
        return vec![Key::new("tickhouse", AccessToken::fixed(Secret::new("tickhouse")))];
    }
    let pairs = settings.api_keys.iter().zip(&settings.access_token_files);
    pairs.map(|(key, file)| Key::new(key.expose(), AccessToken::file(file.clone(), TOKEN_LOOK))).collect()
}

/// Whether a URL is of this machine.
pub(crate) fn is_loopback(url: &str) -> bool {
    let host = url.split_once("://").map_or(url, |(_, rest)| rest);
    ["127.", "localhost", "[::1]"].iter().any(|start| host.starts_with(start))
}

/// Asks the exchange for prices of these tokens. Those that it does not tell stay as they are.
pub(crate) async fn ask_prices(
    config: &Config,
    key: &Key,
    table: &InstrumentTable,
    tokens: &[Token],
    prices: &mut Prices,
) -> anyhow::Result<()> {
    let rest = Rest::new(&config.kite.api_url)?;
    let named: Vec<String> = tokens
        .iter()
        .filter_map(|token| table.get(*token))
        .map(|found| format!("{}:{}", table.text(found.exchange), table.text(found.tradingsymbol)))
        .collect();
    for (index, names) in named.chunks(MOST_QUOTES).enumerate() {
        if index > 0 {
            tokio::time::sleep(QUOTES_EVERY).await;
        }
        for quote in rest.quote(key, names).await?.into_values() {
            prices.note(Token(quote.instrument_token), quote.last_price);
        }
    }
    Ok(())
}

/// The rules of this configuration with the day's master and the prices that they need.
pub(crate) struct Quoted {
    pub(crate) table: InstrumentTable,
    pub(crate) universe: Universe,
    pub(crate) prices: Prices,
    /// What is odd about the rules, or could not be asked.
    pub(crate) notices: Vec<String>,
}

impl Quoted {
    /// Asks the exchange for both, with the first key.
    pub(crate) async fn ask(config: &Config, keys: &[Key]) -> anyhow::Result<Self> {
        let table = master(config).await?;
        let universe = bind(config, &table)?;
        let mut notices = universe.notices().to_vec();
        let spots = universe.spots();
        let mut prices = Prices::default();
        prices.follow(&spots);
        if let Some(key) = keys.first().filter(|_| !spots.is_empty()) {
            if let Err(error) = ask_prices(config, key, &table, &spots, &mut prices).await {
                notices.push(format!("no prices of underlyings: {error:#}"));
            }
        } else if !spots.is_empty() {
            notices.push("no prices of underlyings: no API key is set (kite.api_keys)".to_owned());
        }
        Ok(Self { table, universe, prices, notices })
    }
}

/// Which sockets carry what was resolved; with sockets in reserve for what prices may bring.
pub(crate) fn shards(
    resolution: &Resolution,
    most: usize,
    keys: &[&str],
    limits: ShardLimits,
) -> anyhow::Result<Vec<Shard>> {
    let subscriptions: Vec<Subscription> =
        resolution.wanted.iter().map(|one| Subscription { token: one.token, mode: one.mode }).collect();
    let mut shards = shard(&subscriptions, keys, limits)?;
    let sockets = most.min(resolution.capacity).div_ceil(limits.per_socket);
    for socket in shards.len()..sockets {
        let api_key = keys[socket / limits.sockets_per_key].to_owned();
        shards.push(Shard { socket: socket as u16, api_key, subscriptions: Vec::new() });
    }
    Ok(shards)
}

/// What a recorder has subscribed: `<data>/run/universe.json`, written anew with every change.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Subscribed {
    /// Its process.
    pub(crate) pid: u32,
    /// When it was resolved, in India.
    pub(crate) resolved_at: String,
    /// Token and mode by socket.
    pub(crate) sockets: BTreeMap<u16, BTreeMap<u32, String>>,
}

impl Subscribed {
    fn path(data_dir: &Path) -> PathBuf {
        run_dir(data_dir).join("universe.json")
    }

    /// `None` when nothing was ever recorded here.
    pub(crate) fn read(data_dir: &Path) -> Option<Self> {
        serde_json::from_slice(&std::fs::read(Self::path(data_dir)).ok()?).ok()
    }

    /// Replaces the file at once.
    pub(crate) fn write(&self, data_dir: &Path) -> anyhow::Result<()> {
        let path = Self::path(data_dir);
        let new = path.with_extension("json.new");
        let write = || {
            std::fs::create_dir_all(run_dir(data_dir))?;
            std::fs::write(&new, serde_json::to_vec(self)?)?;
            std::fs::rename(&new, &path)
        };
        write().with_context(|| format!("{} can't be written", path.display()))
    }
}

/// The rules as the status page shows them.
pub(crate) fn rules_json(rules: &[RuleReport]) -> serde_json::Value {
    serde_json::to_value(rules).unwrap_or_default()
}

/// The exchange's master, unless the rules can do without.
pub(crate) async fn master(config: &Config) -> anyhow::Result<InstrumentTable> {
    if needs_instruments(config) {
        instruments::fetch(&config.kite.api_url).await
    } else {
        Ok(InstrumentTable::empty())
    }
}
