//! The checked configuration and the one place where defaults and bounds stand.

use crate::fault::{ConfigError, Origin};
use crate::reader::{Reader, Sources};
use crate::universe::{self, OnExcess, Rule};
use crate::{Secret, Selection};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;
use tickhouse_model::Mode;
use tickhouse_telemetry::Clock;

/// Kite allows three sockets a key, and 3,000 instruments a socket.
/// <https://kite.trade/docs/connect/v3/websocket/>
const KITE_SOCKETS: u64 = 3;
const KITE_TOKENS: u64 = 3_000;
const MIB: u64 = 1024 * 1024;

/// Everything that can be set, checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where journals, databases, logs and run files live.
    pub data_dir: PathBuf,
    /// Name of this recorder: part of every stream's name and every row's identity.
    pub recorder: String,
    /// Where the present comes from.
    pub clock: Clock,
    /// The feed.
    pub kite: Kite,
    /// What to record: `kite.subscribe` and `[[universe]]`, in the order of the file.
    pub universe: Vec<Rule>,
    /// The log on disk before anything else.
    pub journal: Journal,
    /// The streams.
    pub redis: Redis,
    /// The store.
    pub clickhouse: ClickHouse,
    /// How long what is kept.
    pub retention: crate::Retention,
    /// From streams to store.
    pub load: Load,
    /// Where instruments and sessions are known from.
    pub instruments: InstrumentFiles,
    /// Ticks of other programs.
    pub push: crate::Push,
    /// Feeds of news.
    pub news: crate::News,
    /// The page.
    pub http: crate::Http,
    /// Messages when something is wrong.
    pub alert: crate::Alert,
    /// Log lines.
    pub log: Log,
}

/// Section `[kite]`.
#[derive(Clone, Debug)]
pub struct Kite {
    /// WebSocket of the feed, `ws://` or `wss://`.
    pub endpoint: String,
    /// REST of the same exchange, `http://` or `https://`.
    pub api_url: String,
    /// API keys that share the subscriptions; together they are one feed.
    pub api_keys: Vec<Secret>,
    /// One file per key with its access token of the day, read again whenever it changes.
    pub access_token_files: Vec<PathBuf>,
    /// API secrets for `login`, one per key, or none.
    pub api_secrets: Vec<Secret>,
    /// Files with them, one per key, or none.
    pub api_secret_files: Vec<PathBuf>,
    /// Where a browser logs in.
    pub login_url: String,
    /// Where the browser is sent afterwards: the address that is registered with Kite.
    pub redirect_url: String,
    /// A program that logs in by itself, and its arguments; empty for none.
    pub login_command: Vec<String>,
    /// What to subscribe to, apart from `[[universe]]`; its entries are the first rules of [`Config::universe`].
    pub subscribe: Vec<Selection>,
    /// What happens when the rules mean more than the keys carry.
    pub on_excess: OnExcess,
    /// The mode of entries that name none.
    pub mode: Mode,
    /// Sockets per key, 1 to 3.
    pub sockets_per_key: usize,
    /// Instruments per socket, 1 to 3,000.
    pub tokens_per_socket: usize,
    /// No frame at all for this long ends a connection.
    pub read_timeout: Duration,
    /// Heartbeats but no data for this long ends a connection; zero switches the watchdog off.
    pub data_timeout: Duration,
}

/// Section `[journal]`.
#[derive(Clone, Debug)]
pub struct Journal {
    /// When appended records are forced to disk.
    pub sync: Sync,
    /// A segment is closed at this size.
    pub segment_bytes: u64,
    /// Segments that are verified as stored go beyond this total; zero keeps all.
    pub keep_bytes: u64,
    /// Segments that are verified as stored go beyond this age; zero keeps all.
    pub keep_for: Duration,
    /// zstd level of closed segments, 1 to 19; zero leaves them as they are.
    pub compression_level: i32,
}

/// When the journal forces records to disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sync {
    /// After every write: a power cut loses nothing, and it costs a disk flush each.
    Always,
    /// At this interval: a power cut loses at most this much. A killed process loses nothing in any case.
    Every(Duration),
    /// When the system likes.
    Never,
}

/// Whether a service is a child process of ours or somebody else's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// Started and stopped by Tickhouse.
    Embedded,
    /// Reached by its URL.
    External,
}

/// Section `[redis]`.
#[derive(Clone, Debug)]
pub struct Redis {
    /// Whose.
    pub mode: Backend,
    /// Where an external one is: `redis://[user@]host:port[/db]`.
    pub url: String,
    /// File with its password.
    pub password_file: Option<PathBuf>,
    /// Port of the embedded one on 127.0.0.1; 0 takes a free one.
    pub port: u16,
    /// The family of frame streams: `<prefix>:<recorder>:<socket>`.
    pub stream_prefix: String,
    /// Streams of flat entries, one field per column, that other programs write.
    pub flat_streams: Vec<String>,
    /// Streams of news items.
    pub news_streams: Vec<String>,
    /// Streams of index values.
    pub indices_streams: Vec<String>,
    /// First part of the other keys: `<namespace>:marks`, `:dead`, ….
    pub namespace: String,
    /// The consumer group of the loader.
    pub group: String,
}

/// Section `[clickhouse]`.
#[derive(Clone, Debug)]
pub struct ClickHouse {
    /// Whose.
    pub mode: Backend,
    /// Where an external one is: its HTTP interface.
    pub url: String,
    /// Database of all tables.
    pub database: String,
    /// User of an external one.
    pub user: String,
    /// File with the user's password.
    pub password_file: Option<PathBuf>,
    /// HTTP port of the embedded one on 127.0.0.1; 0 takes a free one.
    pub http_port: u16,
    /// Native port of the embedded one on 127.0.0.1; 0 takes a free one.
    pub tcp_port: u16,
    /// Memory limit of the embedded one, bytes.
    pub memory_bytes: u64,
    /// How `tick_data` is partitioned; fixed when the table is made.
    pub partition: Partition,
}

/// How `tick_data` is partitioned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Partition {
    /// By date and hour, as the brief has it.
    Hour,
    /// By date.
    Day,
}

/// Section `[load]`.
#[derive(Clone, Debug)]
pub struct Load {
    /// A batch is sealed at this many rows …
    pub batch_rows: usize,
    /// … or at this age, whichever comes first.
    pub batch_for: Duration,
    /// Name of the loader: of its lease, its consumer and its seals. It stays the same across restarts.
    pub name: String,
    /// How long the lease lives without being renewed: another loader waits as long after a crash of this one.
    pub lease: Duration,
    /// How long stored entries stay in Redis.
    pub trim_after: Duration,
    /// How long a publisher may take to send missing records again before their loss is recorded as a gap.
    pub resend_patience: Duration,
    /// Stream on which stored ticks are published as flat entries, none for nowhere.
    pub publish_flat: Option<String>,
    /// About how many entries that stream keeps.
    pub publish_flat_keep: u64,
}

/// Section `[instruments]`.
#[derive(Clone, Debug)]
pub struct InstrumentFiles {
    /// `token_lookup_enriched.json` or an instruments CSV of Kite, used where `token_metadata` is empty.
    pub file: Option<PathBuf>,
    /// Rules for symbols, sectors and asset classes over the built-in ones.
    pub rules: Option<PathBuf>,
    /// When exchanges are in session.
    pub calendar: CalendarSource,
}

/// Where sessions and holidays are known from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CalendarSource {
    /// The calendar that comes with the program.
    Builtin,
    /// Every exchange trades at any time: the demo's.
    AlwaysOpen,
    /// This file's days over the built-in ones.
    File(PathBuf),
}

/// Section `[log]`.
#[derive(Clone, Debug)]
pub struct Log {
    /// Least important line that is written.
    pub level: Level,
    /// One JSON object per line instead of text.
    pub json: bool,
    /// Into this file instead of standard error.
    pub file: Option<PathBuf>,
    /// The file is put aside at this size; zero: never.
    pub rotate_bytes: u64,
    /// So many files that were put aside are kept.
    pub keep_files: u32,
}

/// Importance of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Something failed.
    Error,
    /// Something is odd.
    Warn,
    /// Something happened.
    Info,
    /// For those who look for a fault.
    Debug,
    /// Everything.
    Trace,
}

impl Level {
    /// The word in the configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

impl Config {
    /// Reads and checks everything.
    ///
    /// # Errors
    /// With every fault at once: unknown names, wrong types, values out of range, settings that contradict each other.
    pub fn read(sources: &Sources) -> Result<Self, ConfigError> {
        let (config, faults, _) = Self::read_all(sources);
        if faults.is_empty() { Ok(config) } else { Err(ConfigError { faults }) }
    }

    /// The names of all settings, as `section.key`.
    pub fn keys() -> BTreeSet<String> {
        Self::read_all(&Sources::new()).2
    }

    fn read_all(sources: &Sources) -> (Self, Vec<crate::Fault>, BTreeSet<String>) {
        let mut reader = Reader::new(sources);
        let mut config = Self {
            data_dir: reader.path("data_dir", "tickhouse-data").unwrap_or_else(|| PathBuf::from(".")),
            recorder: name(&mut reader, "recorder", "main"),
            clock: reader.parsed("clock", "system"),
            kite: Kite::read(&mut reader),
            universe: Vec::new(),
            journal: Journal::read(&mut reader),
            redis: Redis::read(&mut reader),
            clickhouse: ClickHouse::read(&mut reader),
            retention: crate::Retention::read(&mut reader),
            load: Load::read(&mut reader),
            instruments: InstrumentFiles {
                file: reader.path("instruments.file", ""),
                rules: reader.path("instruments.rules", ""),
                calendar: calendar(&mut reader),
            },
            push: crate::Push::read(&mut reader),
            news: crate::News::read(&mut reader),
            http: crate::Http::read(&mut reader),
            alert: crate::Alert::read(&mut reader),
            log: Log {
                level: reader.parsed("log.level", "info"),
                json: reader.flag("log.json", false),
                file: reader.path("log.file", ""),
                rotate_bytes: reader.number("log.rotate_mib", 32, 0..=65_536) * MIB,
                keep_files: reader.number("log.keep_files", 5, 1..=1_000) as u32,
            },
        };
        let subscribe = std::mem::take(&mut config.kite.subscribe);
        (config.universe, config.kite.subscribe) = universe::rules(&mut reader, subscribe, config.kite.mode);
        config.load.check_outlet(&config.redis, &mut reader);
        let (faults, keys) = reader.finish();
        (config, faults, keys)
    }
}

impl Kite {
    fn read(reader: &mut Reader<'_>) -> Self {
        let kite = Self {
            endpoint: url(reader, "kite.endpoint", "wss://ws.kite.trade", &["ws", "wss"]),
            api_url: url(reader, "kite.api_url", "https://api.kite.trade", &["http", "https"]),
            api_keys: reader.list("kite.api_keys", &[]).into_iter().map(Secret::new).collect(),
            access_token_files: reader.paths("kite.access_token_files"),
            api_secrets: reader.list("kite.api_secrets", &[]).into_iter().map(Secret::new).collect(),
            api_secret_files: reader.paths("kite.api_secret_files"),
            login_url: url(
                reader,
                "kite.login_url",
                "https://kite.zerodha.com/connect/login",
                &["http", "https"],
            ),
            redirect_url: url(reader, "kite.redirect_url", "http://127.0.0.1:8723/", &["http", "https"]),
            login_command: reader.list("kite.login_command", &[]),
            subscribe: reader.parsed_list("kite.subscribe", &["all"]),
            on_excess: reader.parsed("kite.on_excess", "drop_lowest"),
            mode: reader.parsed("kite.mode", "full"),
            sockets_per_key: reader.number("kite.sockets_per_key", KITE_SOCKETS, 1..=KITE_SOCKETS) as usize,
            tokens_per_socket: reader.number("kite.tokens_per_socket", KITE_TOKENS, 1..=KITE_TOKENS) as usize,
            read_timeout: reader.millis("kite.read_timeout_ms", 6_000, 1_000..=60_000),
            data_timeout: reader.millis("kite.data_timeout_ms", 30_000, 0..=3_600_000),
        };
        if kite.api_keys.len() != kite.access_token_files.len() {
            let problem = format!(
                "{} files for {} API keys: give one file per key, in the same order",
                kite.access_token_files.len(),
                kite.api_keys.len()
            );
            let origin = reader.origin("kite.access_token_files");
            reader.fault("kite.access_token_files", origin, problem);
        }
        for (key, count) in [
            ("kite.api_secrets", kite.api_secrets.len()),
            ("kite.api_secret_files", kite.api_secret_files.len()),
        ] {
            if count != 0 && count != kite.api_keys.len() {
                let origin = reader.origin(key);
                let problem =
                    format!("{count} for {} API keys: give one per key, or none", kite.api_keys.len());
                reader.fault(key, origin, problem);
            }
        }
        kite
    }

    /// Instruments that the keys, sockets and limits carry together.
    pub fn capacity(&self) -> usize {
        self.api_keys.len() * self.sockets_per_key * self.tokens_per_socket
    }
}

impl Journal {
    fn read(reader: &mut Reader<'_>) -> Self {
        Self {
            sync: reader.parsed("journal.sync", "100ms"),
            segment_bytes: reader.number("journal.segment_mib", 32, 1..=4_096) * MIB,
            keep_bytes: reader.number("journal.keep_mib", 20_480, 0..=u64::MAX / MIB) * MIB,
            keep_for: hours(reader.number("journal.keep_hours", 168, 0..=876_000)),
            compression_level: reader.number("journal.compression_level", 3, 0..=19) as i32,
        }
    }
}

impl Redis {
    fn read(reader: &mut Reader<'_>) -> Self {
        let redis = Self {
            mode: reader.parsed("redis.mode", "embedded"),
            url: url(reader, "redis.url", "redis://127.0.0.1:6380", &["redis"]),
            password_file: reader.path("redis.password_file", ""),
            port: reader.port("redis.port", 6_380),
            stream_prefix: reader.text("redis.stream_prefix", "ticks:stream"),
            flat_streams: reader.list("redis.flat_streams", &["ticks:stream", "zerodha_ticks"]),
            news_streams: reader.list("redis.news_streams", &["news:stream"]),
            indices_streams: reader.list("redis.indices_streams", &["indices:stream"]),
            namespace: reader.text("redis.namespace", "ticks"),
            group: reader.text("redis.group", "tickhouse"),
        };
        for (key, value) in [
            ("redis.stream_prefix", &redis.stream_prefix),
            ("redis.namespace", &redis.namespace),
            ("redis.group", &redis.group),
        ] {
            if value.is_empty() || value.contains(char::is_whitespace) {
                let origin = reader.origin(key);
                reader.fault(key, origin, "must be a name without spaces".to_owned());
            }
        }
        redis
    }
}

impl ClickHouse {
    fn read(reader: &mut Reader<'_>) -> Self {
        Self {
            mode: reader.parsed("clickhouse.mode", "embedded"),
            url: url(reader, "clickhouse.url", "http://127.0.0.1:8123", &["http", "https"]),
            database: identifier(reader, "clickhouse.database", "trading"),
            user: reader.text("clickhouse.user", "default"),
            password_file: reader.path("clickhouse.password_file", ""),
            http_port: reader.port("clickhouse.http_port", 8_123),
            tcp_port: reader.port("clickhouse.tcp_port", 9_000),
            memory_bytes: reader.number("clickhouse.memory_mib", 2_048, 512..=16_777_216) * MIB,
            partition: reader.parsed("clickhouse.partition", "hour"),
        }
    }
}

impl Load {
    fn read(reader: &mut Reader<'_>) -> Self {
        Self {
            batch_rows: reader.number("load.batch_rows", 100_000, 1..=1_000_000) as usize,
            batch_for: reader.millis("load.batch_ms", 1_000, 10..=60_000),
            name: name(reader, "load.name", "loader"),
            lease: reader.millis("load.lease_ms", 10_000, 1_000..=600_000),
            trim_after: reader.millis("load.trim_after_ms", 10_000, 0..=86_400_000),
            resend_patience: reader.millis("load.resend_patience_ms", 30_000, 1_000..=3_600_000),
            publish_flat: Some(reader.text("load.publish_flat", "")).filter(|stream| !stream.is_empty()),
            publish_flat_keep: reader.number("load.publish_flat_keep", 100_000, 1..=100_000_000),
        }
    }

    /// What is published must not come back: the loader would store each tick again.
    fn check_outlet(&self, redis: &Redis, reader: &mut Reader<'_>) {
        let Some(stream) = &self.publish_flat else { return };
        let read = [&redis.flat_streams, &redis.news_streams, &redis.indices_streams];
        let family = |first: &str| stream.strip_prefix(first).is_some_and(|rest| rest.starts_with(':'));
        let own = ["marks", "streams", "resend", "dead", "lease"];
        let is_own = own.iter().any(|key| {
            let key = format!("{}:{key}", redis.namespace);
            *stream == key || family(&key)
        });
        let problem = if stream.contains(char::is_whitespace) {
            "must be a name without spaces"
        } else if read.iter().any(|streams| streams.contains(stream)) {
            "is a stream that the loader reads: it would store its own ticks again"
        } else if family(&redis.stream_prefix) || is_own {
            "is a name that Tickhouse uses for itself: take another, e.g. ticks:enriched"
        } else {
            return;
        };
        let origin = reader.origin("load.publish_flat");
        reader.fault("load.publish_flat", origin, format!("{stream:?} {problem}"));
    }
}

fn calendar(reader: &mut Reader<'_>) -> CalendarSource {
    match reader.text("instruments.calendar", "builtin").as_str() {
        "builtin" => CalendarSource::Builtin,
        "always_open" => CalendarSource::AlwaysOpen,
        _ => reader.path("instruments.calendar", "").map_or(CalendarSource::Builtin, CalendarSource::File),
    }
}

fn hours(count: u64) -> Duration {
    Duration::from_secs(count.saturating_mul(3_600))
}

/// A name that may stand in a stream's name, a file's name and a column.
fn name(reader: &mut Reader<'_>, key: &str, default: &str) -> String {
    let name = reader.text(key, default);
    let valid = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if (1..=32).contains(&name.len()) && name.chars().all(valid) {
        return name;
    }
    let origin = reader.origin(key);
    reader.fault(key, origin, "must be 1 to 32 letters, digits, - or _".to_owned());
    default.to_owned()
}

/// A name that needs no quotes in SQL.
fn identifier(reader: &mut Reader<'_>, key: &str, default: &str) -> String {
    let name = reader.text(key, default);
    let starts_well = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if starts_well && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        return name;
    }
    let origin = reader.origin(key);
    reader.fault(key, origin, "must be letters, digits and _, and not begin with a digit".to_owned());
    default.to_owned()
}

/// Whether a URL behind its scheme holds a password, however badly it is written: `user:pass@`, which may hold a slash, or a
/// query's `password=`.
fn holds_password(rest: &str) -> bool {
    let user = rest.rsplit_once('@').is_some_and(|(before, _)| before.contains(':'));
    let query = rest.split_once('?').map_or("", |(_, query)| query);
    let is_password =
        |pair: &str| pair.split('=').next().is_some_and(|key| key.eq_ignore_ascii_case("password"));
    user || query.split(['&', ';']).any(is_password)
}

/// A URL of one of these schemes, without a password: it may stand in a log.
fn url(reader: &mut Reader<'_>, key: &str, default: &str, schemes: &[&str]) -> String {
    let text = reader.text(key, default);
    let origin = reader.origin(key);
    let rest = text.split_once("://").filter(|(scheme, _)| schemes.contains(scheme)).map(|(_, rest)| rest);
    match rest {
        Some(rest) if holds_password(rest) => {
            reader.fault(key, origin, "holds a password: put it into the section's password_file".to_owned());
        }
        Some(rest) if !rest.is_empty() && !rest.starts_with('/') => return text,
        _ => fault_of_scheme(reader, key, origin, schemes),
    }
    default.to_owned()
}

fn fault_of_scheme(reader: &mut Reader<'_>, key: &str, origin: Origin, schemes: &[&str]) {
    let forms: Vec<String> = schemes.iter().map(|scheme| format!("{scheme}://HOST[:PORT]")).collect();
    reader.fault(key, origin, format!("must be {}", forms.join(" or ")));
}
