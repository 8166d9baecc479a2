//! The answer: `docs/web-api.md`, section Health.

use crate::{MarketPhase, Progress};
use serde::{Deserialize, Serialize};

/// How a stage, a socket or the whole is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Nothing to do.
    #[default]
    Ok,
    /// Nothing is lost yet; look at it today.
    Warn,
    /// Ticks are missed, or will be soon, or nothing is known: act now.
    Bad,
}

impl State {
    /// Its word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Bad => "bad",
        }
    }
}

/// The stages in the way of a tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StageName {
    /// The sockets.
    Source,
    /// The log on disk.
    Journal,
    /// Redis.
    Stream,
    /// From Redis to ClickHouse.
    Load,
    /// ClickHouse.
    Store,
    /// The web page and pushes.
    Serve,
}

impl StageName {
    /// Its word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Journal => "journal",
            Self::Stream => "stream",
            Self::Load => "load",
            Self::Store => "store",
            Self::Serve => "serve",
        }
    }
}

/// Whether all is well.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Health {
    /// When, Unix milliseconds by the recorder's clock.
    pub at: i64,
    /// The worst state of the stages.
    pub state: State,
    /// What the recorded markets do.
    pub market: MarketPhase,
    /// In the way of a tick, one each.
    pub stages: Vec<Stage>,
    /// By number.
    pub sockets: Vec<SocketHealth>,
    /// What runs, or should.
    pub processes: Vec<ProcessHealth>,
    /// From the socket to where a tick arrived.
    pub latency: Vec<Between>,
    /// Since the processes began.
    pub totals: HealthTotals,
    /// What takes space.
    pub disk: Vec<Disk>,
}

impl Health {
    /// A stage.
    pub fn stage(&self, name: StageName) -> Option<&Stage> {
        self.stages.iter().find(|stage| stage.name == name)
    }
}

/// One stage.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stage {
    /// Which.
    pub name: StageName,
    /// How it is.
    pub state: State,
    /// In one line.
    pub summary: String,
    /// What to do; none while it is ok.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub advice: Option<String>,
    /// Items a second, over the last seconds.
    pub rate: f64,
    /// What the items are.
    pub unit: String,
    /// How far it is behind the stage before it; none where that can't be told.
    pub lag_seconds: Option<f64>,
}

/// One socket.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SocketHealth {
    /// Its number.
    pub socket: u16,
    /// Which API key carries it, 1 for the first; 0 where the recorder does not say.
    pub key: u32,
    /// How it is.
    pub state: State,
    /// What it does: `connected`, `waiting`, ….
    pub doing: String,
    /// Why it does not flow.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<String>,
    /// Instruments.
    pub subscribed: u64,
    /// Binary messages, heartbeats included.
    pub frames_per_second: f64,
    /// Since the last data, while its markets trade; 0 otherwise.
    pub silent_seconds: f64,
    /// Connections after the first.
    pub reconnects: u64,
    /// When the last hole in its feed ended, Unix milliseconds.
    pub last_gap: Option<i64>,
}

/// One process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProcessHealth {
    /// Its role.
    pub name: String,
    /// Whether it runs and answers.
    pub alive: bool,
    /// How often its supervisor started it again.
    pub restarts: u64,
    /// Resident; 0 where that is not known.
    pub memory_bytes: u64,
    /// Cores in use, over the last seconds.
    pub cpu_cores: f64,
    /// Why it does not run.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub error: Option<String>,
}

/// Percentiles as processes say them, milliseconds; zeros when nothing was counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Percentiles {
    /// Durations counted.
    pub count: u64,
    /// Median.
    pub p50_ms: f64,
    /// 99th percentile.
    pub p99_ms: f64,
    /// Largest.
    pub max_ms: f64,
}

/// How long ticks take.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Between {
    /// Where the way begins: `socket`.
    pub from: String,
    /// Where it ends: `journal`, `redis`, `clickhouse` (queryable), `browser`.
    pub to: String,
    /// Median, milliseconds.
    pub p50_ms: f64,
    /// 99th percentile, milliseconds.
    pub p99_ms: f64,
}

/// Sums since the processes began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct HealthTotals {
    /// Binary messages received.
    pub frames: u64,
    /// Packets in them.
    pub packets: u64,
    /// Rows of `tick_data`.
    pub ticks_stored: u64,
    /// Rows of `quarantine`.
    pub quarantined: u64,
    /// Holes in the feed.
    pub gaps: u64,
    /// Instruments that are subscribed.
    pub instruments: u64,
    /// Those of them that have sent anything on this connection.
    pub instruments_ticking: u64,
}

impl HealthTotals {
    pub(crate) fn of(progress: &Progress, ticking: u64) -> Self {
        let totals = &progress.totals;
        Self {
            frames: totals.frames,
            packets: totals.packets,
            ticks_stored: totals.ticks_stored,
            quarantined: totals.quarantined,
            gaps: totals.gaps,
            instruments: progress.instruments,
            instruments_ticking: ticking,
        }
    }
}

/// What takes space, and what is left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disk {
    /// `journal`, `redis`, `clickhouse`.
    pub name: String,
    /// Bytes of its files.
    pub bytes: u64,
    /// Bytes that are left on its disk.
    pub free_bytes: u64,
}
