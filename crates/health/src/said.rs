//! What processes say of themselves, as far as it is judged. What they do not say is zero or none: a process of another version
//! says less, and is no fault.

use crate::{MarketPhase, Percentiles};
use serde::Deserialize;
use serde_json::{Map, Value};
use tickhouse_model::Timestamp;

/// A status read into what is expected of it; none where the process does not run, does not answer or says something else.
pub(crate) fn of<T: for<'a> Deserialize<'a>>(statuses: &Map<String, Value>, role: &str) -> Option<T> {
    let status = statuses.get(role).filter(|status| status["error"].is_null())?;
    T::deserialize(status).ok()
}

/// The recorder.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Record {
    pub(crate) pid: u64,
    pub(crate) now: Timestamp,
    pub(crate) market: Option<MarketPhase>,
    pub(crate) instruments: u64,
    pub(crate) sockets: Vec<Line>,
    pub(crate) journal: Option<Journal>,
    pub(crate) keys: Vec<Key>,
    pub(crate) socket_to_journal: Percentiles,
    pub(crate) socket_to_redis: Percentiles,
    pub(crate) clock_skew_seconds: Option<f64>,
}

/// One socket of a recorder, with its publisher.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Line {
    pub(crate) socket: u16,
    pub(crate) key: u32,
    pub(crate) expects_data: bool,
    pub(crate) data_age_seconds: f64,
    pub(crate) frame_age_seconds: f64,
    pub(crate) source: Source,
    pub(crate) publisher: Publisher,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Source {
    pub(crate) state: String,
    pub(crate) reason: Option<String>,
    pub(crate) reconnects: u64,
    pub(crate) frames: u64,
    pub(crate) packets: u64,
    pub(crate) gaps: u64,
    pub(crate) subscribed: u64,
    pub(crate) awaiting_snapshot: u64,
    pub(crate) last_gap_at: Timestamp,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Publisher {
    pub(crate) waiting_for: Option<String>,
    pub(crate) published: u64,
    pub(crate) already_there: u64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Journal {
    pub(crate) sockets: Vec<JournalSocket>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct JournalSocket {
    pub(crate) socket: u16,
    pub(crate) records: u64,
    pub(crate) fault: Option<String>,
}

/// The access token of a key.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Key {
    pub(crate) token: String,
    pub(crate) wants_login: bool,
}

/// The loader.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Load {
    pub(crate) pid: u64,
    pub(crate) counters: LoadCounters,
    pub(crate) state: LoadState,
    pub(crate) stores: Stores,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct LoadCounters {
    pub(crate) frames_stored: u64,
    pub(crate) ticks_stored: u64,
    pub(crate) quarantined: u64,
    pub(crate) surplus_rows: u64,
    pub(crate) queryable: Percentiles,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct LoadState {
    pub(crate) fence: Option<u64>,
    pub(crate) error: Option<String>,
    pub(crate) streams: Vec<Stream>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Stream {
    pub(crate) last_id: String,
    pub(crate) stored_id: String,
}

/// What the loader sees of Redis and ClickHouse every few seconds.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Stores {
    pub(crate) redis: Option<Redis>,
    pub(crate) clickhouse: Option<ClickHouse>,
    pub(crate) streams: Vec<Waiting>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Redis {
    pub(crate) used_bytes: u64,
    pub(crate) max_bytes: u64,
    pub(crate) dead_letters: u64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct ClickHouse {
    pub(crate) tables: Vec<Table>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Table {
    pub(crate) table: String,
    pub(crate) most_parts: u64,
}

/// What waits in a stream.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Waiting {
    pub(crate) oldest_seconds: f64,
}

/// The web page and pushes.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Serve {
    pub(crate) live: Option<Live>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Live {
    pub(crate) clients: u64,
    pub(crate) messages: u64,
    pub(crate) socket_to_browser: Percentiles,
}

/// The supervisor, `up` or `demo`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Supervisor {
    pub(crate) processes: Vec<Supervised>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Supervised {
    pub(crate) name: String,
    pub(crate) alive: bool,
    pub(crate) restarts: u64,
    pub(crate) error: Option<String>,
    pub(crate) memory_bytes: u64,
    pub(crate) cpu_seconds: f64,
}

/// What any process says.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Process {
    pub(crate) memory_bytes: u64,
    pub(crate) cpu_seconds: f64,
    pub(crate) restarts: u64,
    pub(crate) ready: Option<bool>,
    pub(crate) error: Option<String>,
}
