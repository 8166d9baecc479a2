//! The whole system as child processes: ClickHouse, Redis, loader, recorder; each started again when it dies.
//!
//! What enters: a configuration. What leaves: a running system, and later its end in the order of a tick's way. What never
//! happens here: a tick.

use crate::endpoints::{ClickHouseEndpoint, Ports, log_dir};
use crate::http_query::HttpQuery;
use crate::part::Part;
use crate::process::RunFile;
use crate::{commands, endpoints, setup};
use anyhow::{Context as _, bail};
use serde::Serialize;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tickhouse_config::{Backend, Config, Secret};
use tickhouse_embed::{Engine, Redis, ServiceState, Supervised};

/// How long a part may take until it serves its status.
const START_LIMIT: Duration = Duration::from_mins(1);
const POLL: Duration = Duration::from_millis(50);

/// ClickHouse and Redis: ours where the configuration says embedded.
#[derive(Debug)]
pub(crate) struct Services {
    engine: Option<Supervised<Engine>>,
    redis: Option<Supervised<Redis>>,
    pub(crate) ports: Ports,
    pub(crate) clickhouse: ClickHouseEndpoint,
    pub(crate) redis_url: String,
}

impl Services {
    /// Starts what is embedded, both at once.
    ///
    /// # Errors
    /// When a port is taken (the error names its holder and the flag), a program is missing, or something does not answer.
    pub(crate) async fn start(config: &Config) -> anyhow::Result<Self> {
        let engine = async {
            match config.clickhouse.mode {
                Backend::Embedded => Ok(Some(Engine::start(commands::clickhouse::options(config)?).await?)),
                Backend::External => anyhow::Ok(None),
            }
        };
        let redis = async {
            match config.redis.mode {
                Backend::Embedded => Ok(Some(Redis::start(commands::redis::options(config)).await?)),
                Backend::External => anyhow::Ok(None),
            }
        };
        let (engine, redis) = tokio::try_join!(engine, redis)?;
        let ports = Ports {
            clickhouse_http: engine.as_ref().map_or(0, Engine::http_port),
            clickhouse_tcp: engine.as_ref().map_or(0, Engine::tcp_port),
            redis: redis.as_ref().map_or(0, Redis::port),
        };
        let clickhouse = match &engine {
            Some(engine) => ClickHouseEndpoint {
                url: engine.url(),
                user: "default".to_owned(),
                password: Secret::default(),
                database: config.clickhouse.database.clone(),
            },
            None => endpoints::clickhouse(config)?,
        };
        let redis_url = match &redis {
            Some(redis) => redis.url(),
            None => endpoints::redis_url(config)?,
        };
        Ok(Self {
            engine: engine.map(Supervised::new),
            redis: redis.map(Supervised::new),
            ports,
            clickhouse,
            redis_url,
        })
    }

    /// Tells a part where the services are; whatever the configuration says, to it they are external.
    fn settings(&self, config: &Config, part: Part) -> Part {
        let part = part
            .setting("redis.mode", "external")
            .setting("redis.url", if self.redis.is_some() { &self.redis_url } else { &config.redis.url })
            .setting("clickhouse.mode", "external")
            .setting("clickhouse.url", &self.clickhouse.url)
            .setting("clickhouse.database", &self.clickhouse.database);
        if self.engine.is_none() {
            return part;
        }
        part.setting("clickhouse.user", "default").setting("clickhouse.password_file", "/dev/null")
    }

    /// The same for a part that only asks: of our own ClickHouse it is the user who can do no more.
    fn reading(&self, config: &Config, part: Part) -> Part {
        let part = self
            .settings(config, part)
            .setting("http.listen", config.http.listen.to_string())
            .setting("http.token_file", path_text(config.http.token_file.as_deref()))
            .setting("push.enabled", config.push.enabled.to_string())
            .setting("push.listen", config.push.listen.to_string());
        if self.engine.is_none() {
            return part;
        }
        let http_port = self.ports.clickhouse_http.to_string();
        part.setting("clickhouse.mode", "embedded").setting("clickhouse.http_port", http_port)
    }

    /// Stops what was started, ClickHouse last.
    async fn stop(self) {
        if let Some(redis) = self.redis {
            redis.stop().await;
        }
        if let Some(engine) = self.engine {
            engine.stop().await;
        }
    }
}

/// A running system.
#[derive(Debug)]
pub(crate) struct System {
    pub(crate) services: Services,
    load: Option<Supervised<Part>>,
    record: Option<Supervised<Part>>,
    serve: Option<Supervised<Part>>,
    /// Where the page is, as a browser opens it.
    pub(crate) page: Option<String>,
}

/// What is known of one process of the system.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct ProcessState {
    pub(crate) name: &'static str,
    pub(crate) alive: bool,
    pub(crate) restarts: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<String>,
}

impl System {
    /// Starts the parts on running services, whose schema must be there: the loader first.
    /// `file` is the configuration file that they read for what `config` does not tell them.
    pub(crate) async fn start(
        config: &Config,
        file: Option<&Path>,
        services: Services,
    ) -> anyhow::Result<Self> {
        let load = services.settings(config, part(config, file, "load")?);
        let record = services.settings(config, part(config, file, "record")?);
        let serve = services.reading(config, part(config, file, "serve")?);
        let mut system = Self { services, load: None, record: None, serve: None, page: None };
        // the page begins while the others do: it waits for none of them
        let serve = Starting::begin(&config.data_dir, "serve", serve)?;
        system.load = Some(Starting::begin(&config.data_dir, "load", load)?.ready().await?);
        system.record = Some(Starting::begin(&config.data_dir, "record", record)?.ready().await?);
        system.serve = Some(serve.ready().await?);
        let page = RunFile::read(&endpoints::run_dir(&config.data_dir), "serve").and_then(|file| file.page);
        system.page = page.map(page_url);
        Ok(system)
    }

    /// Stops what takes pushes and the recorder, which publish what they have, then the loader, which stores what it has read.
    pub(crate) async fn stop(mut self) {
        if let Some(serve) = self.serve.take() {
            serve.stop().await;
        }
        self.stop_record().await;
        self.stop_load().await;
        self.services.stop().await;
    }

    /// Stops the recorder only.
    pub(crate) async fn stop_record(&mut self) {
        if let Some(record) = self.record.take() {
            record.stop().await;
        }
    }

    async fn stop_load(&mut self) {
        if let Some(load) = self.load.take() {
            load.stop().await;
        }
    }

    /// What is known of the processes.
    pub(crate) fn processes(&self) -> Vec<ProcessState> {
        let state = |name, state: Option<ServiceState>| {
            state.map(|state| ProcessState {
                name,
                alive: state.alive,
                restarts: state.restarts,
                error: state.error,
            })
        };
        [
            state("clickhouse", self.services.engine.as_ref().map(Supervised::state)),
            state("redis", self.services.redis.as_ref().map(Supervised::state)),
            state("load", self.load.as_ref().map(Supervised::state)),
            state("record", self.record.as_ref().map(Supervised::state)),
            state("serve", self.serve.as_ref().map(Supervised::state)),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// ClickHouse of this system.
    pub(crate) fn server(&self) -> anyhow::Result<HttpQuery> {
        HttpQuery::new(self.services.clickhouse.clone())
    }
}

/// Where every process of a system logs: the configured file, else `<data>/log/pipeline.log`.
pub(crate) fn pipeline_log(config: &Config) -> anyhow::Result<PathBuf> {
    let file = config.log.file.clone().unwrap_or_else(|| log_dir(&config.data_dir).join("pipeline.log"));
    Ok(std::path::absolute(file)?)
}

/// Our own program as a part, with the settings that all parts share.
fn part(config: &Config, file: Option<&Path>, command: &'static str) -> anyhow::Result<Part> {
    let data_dir = std::path::absolute(&config.data_dir)?;
    // what a process says that can't log: how it fails at its start, a panic
    let log = log_dir(&data_dir).join(format!("{command}.log"));
    let kite = &config.kite;
    let keys: Vec<&str> = kite.api_keys.iter().map(Secret::expose).collect();
    let mut part = Part::new(command, setup::own_program()?, log)
        .argument(command)
        // an empty file where there is none, lest the part finds one of its own
        .setting("config", file.unwrap_or(Path::new("/dev/null")).display().to_string())
        .setting("data_dir", data_dir.display().to_string())
        .setting("clock", setup::clock_text(&config.clock))
        .setting("log.level", config.log.level.name())
        .setting("log.json", config.log.json.to_string())
        .setting("log.file", pipeline_log(config)?.display().to_string())
        .setting("recorder", &config.recorder)
        .setting("kite.endpoint", &kite.endpoint)
        .setting("kite.api_url", &kite.api_url)
        .setting(
            "kite.subscribe",
            kite.subscribe.iter().map(ToString::to_string).collect::<Vec<_>>().join(","),
        );
    if !keys.is_empty() {
        let files = kite.access_token_files.iter().map(|path| path.display().to_string());
        part = part
            .setting("kite.api_keys", keys.join(","))
            .setting("kite.access_token_files", files.collect::<Vec<_>>().join(","));
    }
    if config.instruments.calendar == tickhouse_config::CalendarSource::AlwaysOpen {
        part = part.setting("instruments.calendar", "always_open");
    }
    Ok(part)
}

/// A part that was started and does not serve its status yet.
struct Starting {
    run_dir: PathBuf,
    role: &'static str,
    part: Part,
    started: Instant,
}

impl Starting {
    fn begin(data_dir: &Path, role: &'static str, mut part: Part) -> anyhow::Result<Self> {
        let run_dir = endpoints::run_dir(data_dir);
        if let Some(other) = RunFile::read(&run_dir, role).filter(RunFile::is_alive) {
            bail!(
                "`tickhouse {role}` already runs on this data directory (process {}): end it first",
                other.pid
            );
        }
        part.start()?;
        Ok(Self { run_dir, role, part, started: Instant::now() })
    }

    /// Waits until it serves its status, so that a fault at its start is ours.
    async fn ready(self) -> anyhow::Result<Supervised<Part>> {
        use tickhouse_embed::Service as _;

        let Self { run_dir, role, mut part, started } = self;
        let log = part.log().to_owned();
        loop {
            if !part.is_alive() {
                bail!("`tickhouse {role}` ended at its start: {}", last_line(&log));
            }
            let pid = part.pid();
            if RunFile::read(&run_dir, role).is_some_and(|file| Some(file.pid) == pid) {
                return Ok(Supervised::new(part));
            }
            if started.elapsed() > START_LIMIT {
                bail!("`tickhouse {role}` does not get ready; see {}", log.display());
            }
            tokio::time::sleep(POLL).await;
        }
    }
}

/// An address as a browser on this machine opens it.
pub(crate) fn page_url(mut address: SocketAddr) -> String {
    if address.ip().is_unspecified() {
        address.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
    }
    format!("http://{address}")
}

fn path_text(path: Option<&Path>) -> String {
    let path = path.map(|path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned()));
    path.map(|path| path.display().to_string()).unwrap_or_default()
}

fn last_line(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let line = text.lines().rev().find(|line| !line.trim().is_empty());
    line.map_or_else(|| format!("see {}", log.display()), str::to_owned)
}

/// A client for status pages: they are near, or not there.
pub(crate) fn status_client() -> anyhow::Result<reqwest::Client> {
    tickhouse_endpoints::status_client().context("no HTTP client")
}
