//! From a configuration to what it means on this machine: files, addresses, options of the parts.
//!
//! What enters: a checked [`Config`], the run files of what runs on its data directory. What leaves: where the journals, Redis
//! and ClickHouse are, the options with which the parts are opened, and what running processes say of themselves; the same for
//! every program. What never happens here: a connection to anything but their status pages, a secret in a `Debug` or an error.

mod calendar;
mod redis;
mod run_file;
mod statuses;

pub use calendar::{calendar, calendar_of_ticks};
pub use redis::{redis_options, redis_url, with_password};
pub use run_file::{Ports, RunFile};
pub use statuses::{ROLES, disk, disk_space, status, status_client, statuses};

use std::path::{Path, PathBuf};
use std::time::Duration;
use tickhouse_config::{Backend, Config, Secret, Sync};
use tickhouse_journal::{Fsync, JournalOptions};
use tickhouse_read::ReaderOptions;

/// Why there is no address.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EndpointError {
    /// A configured file can't be read.
    #[error("{key} can't be read: {source}")]
    PasswordFile {
        /// The setting that names it.
        key: &'static str,
        /// Why.
        source: std::io::Error,
    },
    /// The configured calendar can't be read.
    #[error("instruments.calendar {} can't be read: {source}", path.display())]
    CalendarFile {
        /// Its file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The configured calendar is not usable.
    #[error(transparent)]
    Calendar(#[from] tickhouse_enrich::CalendarError),
    /// It takes a free port, and does not run.
    #[error("ClickHouse does not run: start it with `tickhouse clickhouse start` or `tickhouse up`")]
    NoClickHouse,
    /// It takes a free port, and does not run.
    #[error("Redis does not run: start it with `tickhouse redis start` or `tickhouse up`")]
    NoRedis,
}

/// The first of the usual configuration files that exists: `tickhouse.toml` here, then below `~/.config`.
pub fn config_file() -> Option<PathBuf> {
    let home = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".config"));
    let base = std::env::var_os("XDG_CONFIG_HOME").map(PathBuf::from).or(home);
    [Some(PathBuf::from("tickhouse.toml")), base.map(|base| base.join("tickhouse/tickhouse.toml"))]
        .into_iter()
        .flatten()
        .find(|path| path.is_file())
}

/// Folder of run files.
pub fn run_dir(data_dir: &Path) -> PathBuf {
    data_dir.join("run")
}

/// Logs of child processes.
pub fn log_dir(data_dir: &Path) -> PathBuf {
    data_dir.join("log")
}

/// The journals of all recorders of this data directory.
pub fn journal_dir(data_dir: &Path) -> PathBuf {
    data_dir.join("journal")
}

/// A recorder of its own beside that of the sockets, for pushed ticks: a journal has one writing process.
pub fn pusher_name(recorder: &str) -> String {
    format!("{recorder}-push")
}

/// A ClickHouse to speak to over HTTP.
#[derive(Clone, Debug)]
pub struct ClickHouseEndpoint {
    /// `http://host:port`, without a slash at the end.
    pub url: String,
    /// Who reads and writes.
    pub user: String,
    /// Its password, or an empty one.
    pub password: Secret,
    /// The database with our tables.
    pub database: String,
}

/// The ClickHouse of this configuration: the external one, else the embedded one where it runs now, else where it
/// would run.
///
/// # Errors
/// When its password can't be read, or nothing says at which port it is.
pub fn clickhouse(config: &Config) -> Result<ClickHouseEndpoint, EndpointError> {
    let settings = &config.clickhouse;
    let database = settings.database.clone();
    if settings.mode == Backend::External {
        let password = password("clickhouse.password_file", settings.password_file.as_deref())?;
        let url = settings.url.trim_end_matches('/').to_owned();
        return Ok(ClickHouseEndpoint { url, user: settings.user.clone(), password, database });
    }
    let running = ports(config).map(|ports| ports.clickhouse_http).filter(|port| *port != 0);
    let Some(port) = running.or((settings.http_port != 0).then_some(settings.http_port)) else {
        return Err(EndpointError::NoClickHouse);
    };
    Ok(ClickHouseEndpoint {
        url: format!("http://127.0.0.1:{port}"),
        user: "default".to_owned(),
        password: Secret::default(),
        database,
    })
}

/// The same ClickHouse for somebody who only asks: on the embedded one the user who may do no more, and the demo's when only
/// that runs.
///
/// # Errors
/// As [`clickhouse`].
pub fn reader(config: &Config) -> Result<ReaderOptions, EndpointError> {
    let mut config = config.clone();
    config.data_dir = of_what_runs(&config);
    reader_of(&config)
}

/// The same of this data directory, whatever else runs.
///
/// # Errors
/// As [`clickhouse`].
pub fn reader_of(config: &Config) -> Result<ReaderOptions, EndpointError> {
    let endpoint = clickhouse(config)?;
    let least = || tickhouse_embed::Credentials::of_engine(&config.data_dir.join("clickhouse"));
    let (user, password) = match (config.clickhouse.mode == Backend::Embedded).then(least).flatten() {
        Some(credentials) => (tickhouse_embed::READER.to_owned(), credentials.reader_password),
        None => (endpoint.user, endpoint.password.expose().to_owned()),
    };
    Ok(ReaderOptions { url: endpoint.url, database: endpoint.database, user, password })
}

fn password(key: &'static str, file: Option<&Path>) -> Result<Secret, EndpointError> {
    Secret::from_file(file).map_err(|source| EndpointError::PasswordFile { key, source })
}

/// How the journals of this configuration are written.
pub fn journal_options(config: &Config) -> JournalOptions {
    let unless_zero = |value: u64| if value == 0 { u64::MAX } else { value };
    JournalOptions {
        segment_bytes: config.journal.segment_bytes,
        fsync: match config.journal.sync {
            Sync::Always => Fsync::EachBatch,
            Sync::Every(interval) => Fsync::Every(interval),
            Sync::Never => Fsync::Never,
        },
        compression: (config.journal.compression_level > 0).then_some(config.journal.compression_level),
        keep_bytes: unless_zero(config.journal.keep_bytes),
        keep_for: if config.journal.keep_for.is_zero() { Duration::MAX } else { config.journal.keep_for },
        ..JournalOptions::default()
    }
}

/// The data directory whose system is meant by somebody who only looks: this one, or the demo's below it when only that
/// runs.
pub fn of_what_runs(config: &Config) -> PathBuf {
    let demo = config.data_dir.join("demo");
    let runs = |data_dir: &Path| {
        let roles = ["up", "demo", "record", "load", "serve", "sim"];
        roles.iter().any(|role| RunFile::read(&run_dir(data_dir), role).is_some_and(|file| file.is_alive()))
    };
    if ports(config).is_none() && !runs(&config.data_dir) && runs(&demo) {
        demo
    } else {
        config.data_dir.clone()
    }
}

/// Whether what somebody looks at is a demo: its exchange never closes, whatever the calendar says.
pub fn is_demo(config: &Config) -> bool {
    let run_dir = run_dir(&of_what_runs(config));
    RunFile::read(&run_dir, "demo").is_some_and(|file| file.is_alive())
}

/// Ports of what runs on this data directory: under `up` or `demo`, else in the background.
pub fn ports(config: &Config) -> Option<Ports> {
    let run_dir = run_dir(&config.data_dir);
    for role in ["up", "demo"] {
        if let Some(file) = RunFile::read(&run_dir, role).filter(RunFile::is_alive) {
            return file.ports;
        }
    }
    let state =
        |name| tickhouse_embed::daemon::status(&run_dir, name).ok().flatten().filter(|state| state.ready);
    let (clickhouse, redis) = (state("clickhouse"), state("redis"));
    if clickhouse.is_none() && redis.is_none() {
        return None;
    }
    Some(Ports {
        clickhouse_http: clickhouse.as_ref().map_or(0, |state| state.port),
        clickhouse_tcp: clickhouse.as_ref().map_or(0, |state| state.tcp_port),
        redis: redis.as_ref().map_or(0, |state| state.port),
    })
}
