//! The system under attack: simulator, Redis, ClickHouse, recorder and two loaders, each a process, and a proxy on each way between.
//!
//! What enters: a folder, the built program. What leaves: running processes that can be found and signalled. What never happens here:
//! a process that outlives the run.

use crate::keeper::{Keeper, Notes, Part};
use crate::proxy::Proxy;
use crate::run::Options;
use crate::schedule::{Link, Target};
use anyhow::{Context as _, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use tickhouse_embed::{Engine, EngineOptions, Redis, RedisOptions};
use tickhouse_telemetry::Clock;

/// The recorder's name in every row.
pub(crate) const RECORDER: &str = "crash";
/// Instruments; three sockets carry a third each.
const INSTRUMENTS: usize = 600;
const PER_SOCKET: usize = 200;
/// A loader's lease: another takes over so long after a crash.
const LEASE_MS: u64 = 2_000;

/// A running system. Dropping it kills what it started.
#[derive(Debug)]
pub(crate) struct System {
    folder: PathBuf,
    program: PathBuf,
    clock_text: String,
    pub(crate) clock: Clock,
    exchange: Child,
    /// Where the exchange is, past the proxy.
    pub(crate) exchange_port: u16,
    pub(crate) redis_port: u16,
    pub(crate) clickhouse_url: String,
    proxies: [(Link, Proxy); 3],
    redis: Keeper,
    engine: Keeper,
    record: Keeper,
    load: Keeper,
    standby: Keeper,
    pids: [(Target, Arc<AtomicU32>); 3],
    pub(crate) notes: Notes,
}

impl System {
    /// Starts everything, with the schema and the instruments in place.
    pub(crate) async fn start(options: &Options, clock_text: String) -> anyhow::Result<Self> {
        let (folder, program) = (options.folder.clone(), options.program.clone());
        let clock: Clock = clock_text.parse()?;
        let notes = Notes::default();
        for name in ["data", "standby", "exchange", "log"] {
            std::fs::create_dir_all(folder.join(name))?;
        }
        std::fs::write(token_file(&folder), "token-0\n")?;
        let (exchange, exchange_port) = exchange(options, &clock_text)?;
        let redis = RedisOptions { port: 0, ..RedisOptions::new(folder.join("redis")) };
        let (engine, redis) = tokio::try_join!(Engine::start(engine_options(options)), Redis::start(redis))?;
        let (redis_port, clickhouse_url) = (redis.port(), engine.url());
        let proxies = [
            (Link::Exchange, Proxy::start(exchange_port).await?),
            (Link::Redis, Proxy::start(redis_port).await?),
            (Link::ClickHouse, Proxy::start(engine.http_port()).await?),
        ];
        let place = Place { folder: &folder, program: &program, clock: &clock_text };
        let direct = format!("http://127.0.0.1:{exchange_port}");
        for words in [&["migrate"][..], &["instruments", "sync", "--api-url", &direct]] {
            let mut command = place.command("data", &clickhouse_url, 0, exchange_port);
            let output = command.args(words).stdin(Stdio::null()).output()?;
            if !output.status.success() {
                bail!("`tickhouse {}` failed: {}", words.join(" "), String::from_utf8_lossy(&output.stderr));
            }
        }
        let [exchange_proxy, redis_proxy, clickhouse_proxy] = [0, 1, 2].map(|at: usize| proxies[at].1.port());
        let url = format!("http://127.0.0.1:{clickhouse_proxy}");
        let part = |name: &'static str, data: &str| {
            let mut command = place.command(data, &url, redis_proxy, exchange_proxy);
            command.env("TICKHOUSE_LOG_FILE", folder.join(format!("log/{name}.log")));
            let output = std::fs::File::create(folder.join(format!("log/{name}.out")))?;
            command.stdout(output.try_clone()?).stderr(output);
            let command = command.arg("--until-stdin-closes");
            let word = if name == "record" { "record" } else { "load" };
            command.arg(word);
            anyhow::Ok(std::mem::replace(command, Command::new("true")))
        };
        let record = Part::new("record", limited(&part("record", "data")?), Arc::clone(&notes));
        let load = Part::new("load", part("load", "data")?, Arc::clone(&notes));
        let standby = Part::new("standby", part("standby", "standby")?, Arc::clone(&notes));
        let pids =
            [(Target::Record, record.pid()), (Target::Load, load.pid()), (Target::Standby, standby.pid())];
        Ok(Self {
            redis: Keeper::of(redis, Arc::clone(&notes)),
            engine: Keeper::of(engine, Arc::clone(&notes)),
            record: Keeper::of(record, Arc::clone(&notes)),
            load: Keeper::of(load, Arc::clone(&notes)),
            standby: Keeper::of(standby, Arc::clone(&notes)),
            folder,
            program,
            clock_text,
            clock,
            exchange,
            exchange_port,
            redis_port,
            clickhouse_url,
            proxies,
            pids,
            notes,
        })
    }

    /// The built program with this system's settings, past every proxy.
    pub(crate) fn command(&self) -> Command {
        let place = Place { folder: &self.folder, program: &self.program, clock: &self.clock_text };
        place.command("data", &self.clickhouse_url, self.redis_port, self.exchange_port)
    }

    pub(crate) fn proxy(&self, link: Link) -> &Proxy {
        &self.proxies.iter().find(|(one, _)| *one == link).expect("each link has a proxy").1
    }

    pub(crate) fn keeper(&self, target: Target) -> Option<&Keeper> {
        Some(match target {
            Target::Exchange => return None,
            Target::Record => &self.record,
            Target::Redis => &self.redis,
            Target::Load => &self.load,
            Target::Standby => &self.standby,
            Target::ClickHouse => &self.engine,
        })
    }

    /// Its process, if it runs.
    pub(crate) fn pid(&self, target: Target) -> Option<u32> {
        match target {
            Target::Exchange => Some(self.exchange.id()),
            Target::Redis => {
                let title = format!("redis-server 127.0.0.1:{}", self.redis_port);
                child_with(&[&title, &self.folder.join("redis").to_string_lossy()])
            }
            Target::ClickHouse => child_with(&[&self.folder.join("clickhouse").to_string_lossy()]),
            Target::Record | Target::Load | Target::Standby => {
                let (_, pid) = self.pids.iter().find(|(one, _)| *one == target)?;
                Some(pid.load(Ordering::Acquire)).filter(|pid| *pid != 0)
            }
        }
    }

    /// Sends a signal; false when there is no process.
    pub(crate) fn signal(&self, target: Target, signal: Signal) -> bool {
        self.pid(target).is_some_and(|pid| kill(Pid::from_raw(pid.cast_signed()), signal).is_ok())
    }

    /// The token that the recorder finds from now on.
    pub(crate) fn set_token(&self, token: &str) -> std::io::Result<()> {
        let (file, fresh) = (token_file(&self.folder), self.folder.join("token.new"));
        std::fs::write(&fresh, format!("{token}\n"))?;
        std::fs::rename(fresh, file)
    }

    /// Everything that ends ends by itself, in the order of a tick's way. The exchange and the servers go on.
    pub(crate) async fn stop_recorder(&mut self) {
        let gone = Keeper::of(Nothing, Arc::clone(&self.notes));
        std::mem::replace(&mut self.record, gone).stop().await;
    }

    pub(crate) async fn stop_loaders(&mut self) {
        for loader in [&mut self.load, &mut self.standby] {
            let gone = Keeper::of(Nothing, Arc::clone(&self.notes));
            std::mem::replace(loader, gone).stop().await;
        }
    }
}

impl Drop for System {
    fn drop(&mut self) {
        self.exchange.kill().ok();
        self.exchange.wait().ok();
    }
}

/// In the place of a part that has ended.
#[derive(Debug)]
struct Nothing;

impl tickhouse_embed::Service for Nothing {
    fn name(&self) -> &'static str {
        "nothing"
    }

    fn is_alive(&mut self) -> bool {
        true
    }

    async fn restart(&mut self) -> Result<(), tickhouse_embed::EmbedError> {
        Ok(())
    }

    async fn stop(&mut self) {}
}

fn token_file(folder: &Path) -> PathBuf {
    folder.join("token")
}

fn engine_options(options: &Options) -> EngineOptions {
    let mut engine = EngineOptions::new(&options.program, options.folder.join("clickhouse"));
    engine.http_port = 0;
    engine.tcp_port = 0;
    engine.memory_bytes = 3 << 30;
    engine
}

/// Starts the exchange and learns where it is.
fn exchange(options: &Options, clock: &str) -> anyhow::Result<(Child, u16)> {
    let folder = &options.folder;
    let place = Place { folder, program: &options.program, clock };
    let mut command = place.command("exchange", "", 0, 0);
    command.env("TICKHOUSE_LOG_FILE", folder.join("log/exchange.log"));
    command.args(["--until-stdin-closes", "sim", "--listen", "127.0.0.1:0"]);
    command.args(["--instruments", &INSTRUMENTS.to_string(), "--rate", &options.rate.to_string()]);
    command.args(["--seed", &options.seed.to_string(), "--ledger"]).arg(folder.join("ledger"));
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.stderr(std::fs::File::create(folder.join("log/exchange.out"))?).spawn()?;
    let mut line = String::new();
    BufReader::new(child.stdout.take().context("its output is piped")?).read_line(&mut line)?;
    let port = line.split_whitespace().find_map(|word| word.strip_prefix("ws://127.0.0.1:")?.parse().ok());
    Ok((child, port.with_context(|| format!("the exchange does not open: {line}"))?))
}

/// What every process of a run is told.
struct Place<'a> {
    folder: &'a Path,
    program: &'a Path,
    clock: &'a str,
}

impl Place<'_> {
    fn command(&self, data: &str, clickhouse: &str, redis_port: u16, exchange_port: u16) -> Command {
        let mut command = Command::new(self.program);
        // nothing of the tester's own settings
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("TICKHOUSE_")) {
            if name != "TICKHOUSE_CHDB_LIB" {
                command.env_remove(name);
            }
        }
        command
            .current_dir(self.folder)
            .env("TICKHOUSE_CONFIG", "/dev/null")
            .env("TICKHOUSE_DATA_DIR", self.folder.join(data))
            .env("TICKHOUSE_CLOCK", self.clock)
            .env("TICKHOUSE_RECORDER", RECORDER)
            .env("TICKHOUSE_KITE_ENDPOINT", format!("ws://127.0.0.1:{exchange_port}"))
            .env("TICKHOUSE_KITE_API_URL", format!("http://127.0.0.1:{exchange_port}"))
            .env("TICKHOUSE_KITE_API_KEYS", "crash")
            .env("TICKHOUSE_KITE_ACCESS_TOKEN_FILES", token_file(self.folder))
            .env("TICKHOUSE_KITE_TOKENS_PER_SOCKET", PER_SOCKET.to_string())
            .env("TICKHOUSE_INSTRUMENTS_CALENDAR", "always_open")
            .env("TICKHOUSE_REDIS_MODE", "external")
            .env("TICKHOUSE_REDIS_URL", format!("redis://127.0.0.1:{redis_port}"))
            .env("TICKHOUSE_CLICKHOUSE_MODE", "external")
            .env("TICKHOUSE_CLICKHOUSE_URL", clickhouse)
            .env("TICKHOUSE_CLICKHOUSE_USER", "default")
            .env("TICKHOUSE_CLICKHOUSE_PASSWORD_FILE", "/dev/null")
            .env("TICKHOUSE_LOAD_LEASE_MS", LEASE_MS.to_string());
        command
    }
}

/// The same command in a shell that lets a file's limit be an error of the write instead of a signal: that is how a disk is filled.
fn limited(inner: &Command) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", "trap '' XFSZ; exec \"$@\"", "sh"]).arg(inner.get_program()).args(inner.get_args());
    for (name, value) in inner.get_envs() {
        match value {
            Some(value) => drop(shell.env(name, value)),
            None => drop(shell.env_remove(name)),
        }
    }
    if let Some(folder) = inner.get_current_dir() {
        shell.current_dir(folder);
    }
    shell
}

/// A child process of ours whose command line has one of these in it.
fn child_with(words: &[&str]) -> Option<u32> {
    let own = std::process::id();
    let entries = std::fs::read_dir("/proc").ok()?.flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok()).find(|pid| {
        let read = |file: &str| std::fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
        let stat = String::from_utf8_lossy(&read("stat")).into_owned();
        // state and parent follow the name, which is in brackets and may hold anything
        let mut after = stat.rsplit_once(") ").map_or("", |(_, rest)| rest).split_whitespace();
        let alive = after.next().is_some_and(|state| state != "Z");
        let ours = after.next().and_then(|parent| parent.parse().ok()) == Some(own);
        let line = || String::from_utf8_lossy(&read("cmdline")).replace('\0', " ");
        alive && ours && words.iter().any(|word| line().contains(word))
    })
}
