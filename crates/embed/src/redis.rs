//! Redis on port 6380 as a child process.
//!
//! What enters: a data directory and a port. What leaves: a `redis-server` with an append-only file that refuses writes when
//! it is full instead of dropping what is unread. What never happens: an eviction, a snapshot (`save`), a listener on
//! anything but this machine.
//!
//! When its parent is killed, Redis goes on; the next start on the same data directory takes it over.

use crate::engine::tail;
use crate::supervise::Service;
use crate::{EmbedError, port};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};
use std::fs::OpenOptions;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Its configuration file, in the data directory.
const CONFIG: &str = "redis.conf";
/// Loading an append-only file of some gigabytes takes its time.
const START_LIMIT: Duration = Duration::from_mins(5);
const STOP_LIMIT: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(10);

/// How to run a Redis.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RedisOptions {
    /// `redis-server`, or a path to it.
    pub program: PathBuf,
    /// Where its append-only file, configuration and log lie.
    pub data_dir: PathBuf,
    /// The port; 0 for any free one.
    pub port: u16,
    /// `maxmemory` in bytes; 0 for no limit. Above it writes are refused and the publisher waits: nothing is evicted.
    pub memory_bytes: u64,
}

impl RedisOptions {
    /// Port 6380, 1 GiB.
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self { program: "redis-server".into(), data_dir: data_dir.into(), port: 6380, memory_bytes: 1 << 30 }
    }
}

/// A running Redis. Dropping it kills the process; [`Redis::stop`] lets it write out and end.
#[derive(Debug)]
pub struct Redis {
    options: RedisOptions,
    process: Option<Process>,
}

#[derive(Debug)]
enum Process {
    Ours(Child),
    /// Left by an earlier parent on the same data directory.
    Found(u32),
}

impl Redis {
    /// Starts Redis and waits until it has loaded its data and answers.
    ///
    /// Cancel safety: when the future is dropped, the process ends.
    ///
    /// # Errors
    /// Not installed, the port is taken by something else, or it does not answer.
    pub async fn start(mut options: RedisOptions) -> Result<Self, EmbedError> {
        std::fs::create_dir_all(&options.data_dir).map_err(EmbedError::io(&options.data_dir))?;
        options.data_dir = options.data_dir.canonicalize().map_err(EmbedError::io(&options.data_dir))?;
        if let Some((port, pid)) = left_behind(&options).await {
            let mut process = Process::Found(pid);
            if options.port == port || options.port == 0 {
                tracing::info!(port, pid, "redis of this data directory already runs, taking it over");
                return Ok(Self { options: RedisOptions { port, ..options }, process: Some(process) });
            }
            // two servers would write the same append-only file
            tracing::info!(port, pid, "redis of this data directory runs on another port, ending it");
            process.terminate().await;
        }
        options.port = port::claim(options.port, "Redis", "--redis-port")?;
        let mut redis = Self { options, process: None };
        redis.launch().await?;
        Ok(redis)
    }

    /// `redis://127.0.0.1:<port>`.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.options.port)
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.options.port
    }

    /// The options it runs with: port as it is, directory absolute.
    pub fn options(&self) -> &RedisOptions {
        &self.options
    }

    /// Its process id, `None` when it was stopped.
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(|process| match process {
            Process::Ours(child) => child.id(),
            Process::Found(pid) => *pid,
        })
    }

    /// Its log file.
    pub fn log(&self) -> PathBuf {
        self.options.data_dir.join("redis.log")
    }

    /// Ends the process with SIGKILL and waits for it; for tests.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.end();
        }
    }

    async fn launch(&mut self) -> Result<(), EmbedError> {
        let directory = &self.options.data_dir;
        let config = directory.join(CONFIG);
        std::fs::write(&config, config_text(&self.options)).map_err(EmbedError::io(&config))?;
        let log = self.log();
        let output = OpenOptions::new().create(true).append(true).open(&log).map_err(EmbedError::io(&log))?;
        let errors = output.try_clone().map_err(EmbedError::io(&log))?;
        let spawned = Command::new(&self.options.program)
            .arg(&config)
            // paths in the file are relative to it: no quoting of odd directory names
            .current_dir(directory)
            // Ctrl-C is for the parent, which stops its children in order
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .spawn();
        let child = spawned.map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => EmbedError::ProgramMissing {
                program: self.options.program.display().to_string(),
                remedy: format!("run `{}`", redis_install_command()),
            },
            _ => EmbedError::Io { path: self.options.program.clone(), source: error },
        })?;
        self.process = Some(Process::Ours(child));
        let deadline = Instant::now() + START_LIMIT;
        loop {
            if !self.is_alive() {
                self.process = None;
                return Err(EmbedError::Died {
                    what: "redis-server",
                    status: "ended by itself".to_owned(),
                    tail: tail(&log),
                    log,
                });
            }
            // -LOADING while it reads its file
            if conversation(self.options.port, "PING").await.is_ok_and(|answer| answer.starts_with("+PONG")) {
                tracing::info!(port = self.options.port, pid = self.pid(), "redis is up");
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(EmbedError::NoAnswer {
                    what: "redis-server",
                    seconds: START_LIMIT.as_secs(),
                    log,
                });
            }
            tokio::time::sleep(POLL).await;
        }
    }
}

impl Service for Redis {
    fn name(&self) -> &'static str {
        "redis"
    }

    fn is_alive(&mut self) -> bool {
        self.process.as_mut().is_some_and(Process::is_alive)
    }

    async fn restart(&mut self) -> Result<(), EmbedError> {
        self.stop().await;
        self.launch().await
    }

    async fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.terminate().await;
        }
    }
}

impl Process {
    /// Lets it end, kills it when it does not.
    async fn terminate(&mut self) {
        self.signal(Signal::SIGTERM);
        let deadline = Instant::now() + STOP_LIMIT;
        while self.is_alive() {
            if Instant::now() > deadline {
                tracing::warn!("redis did not end by itself, killing it");
                break;
            }
            tokio::time::sleep(POLL).await;
        }
        self.end();
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(match self {
            Self::Ours(child) => child.id() as i32,
            Self::Found(pid) => *pid as i32,
        })
    }

    fn is_alive(&mut self) -> bool {
        match self {
            Self::Ours(child) => matches!(child.try_wait(), Ok(None)),
            Self::Found(_) => kill(self.pid(), None).is_ok(),
        }
    }

    fn signal(&mut self, signal: Signal) {
        // a child that was waited for has given its process id back
        if self.is_alive() {
            kill(self.pid(), signal).ok();
        }
    }

    fn end(&mut self) {
        self.signal(Signal::SIGKILL);
        if let Self::Ours(child) = self {
            drop(child.wait());
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}

/// What flows through a stream makes the append-only file grow by some 10 MB a second while the streams themselves stay
/// small. At Redis' own threshold of 64 MB it would be rewritten every few seconds, by a fork and a second process that
/// compresses, and everybody who waits for an answer waits longer.
const REWRITE_AT: &str = "256mb";

fn config_text(options: &RedisOptions) -> String {
    format!(
        "# written by tickhouse at each start\n\
         bind 127.0.0.1\nprotected-mode yes\nport {}\ndir .\nlogfile redis.log\ndaemonize no\n\
         appendonly yes\nappendfsync everysec\nsave \"\"\n\
         auto-aof-rewrite-min-size {REWRITE_AT}\nrdbcompression no\n\
         maxmemory {}\nmaxmemory-policy noeviction\n",
        options.port, options.memory_bytes
    )
}

/// Port and process id of a Redis with this data directory that runs already, because its parent was killed: on the port
/// that is asked for, or on the one that its configuration in the directory says.
async fn left_behind(options: &RedisOptions) -> Option<(u16, u32)> {
    let written = std::fs::read_to_string(options.data_dir.join(CONFIG)).unwrap_or_default();
    let written = written.lines().find_map(|line| line.strip_prefix("port ")?.parse().ok());
    for port in [Some(options.port), written].into_iter().flatten().filter(|port| *port != 0) {
        if let Some(pid) = serves(port, &options.data_dir).await {
            return Some((port, pid));
        }
    }
    None
}

/// The process id of the Redis that listens on the port, if it has this data directory.
async fn serves(port: u16, data_dir: &Path) -> Option<u32> {
    let ask = conversation(port, "CONFIG GET dir\r\nINFO server");
    let answer = tokio::time::timeout(Duration::from_secs(2), ask).await.ok()?.ok()?;
    let field = |name: &str| answer.lines().find_map(|line| line.strip_prefix(name));
    let directory = answer.lines().find(|line| line.starts_with('/'))?;
    (Path::new(directory) == data_dir).then(|| field("process_id:")?.parse().ok())?
}

/// Sends inline commands and returns everything that Redis answers until it closes.
pub(crate) async fn conversation(port: u16, commands: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.write_all(format!("{commands}\r\nQUIT\r\n").as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// The one command that installs Redis here.
pub fn redis_install_command() -> &'static str {
    if cfg!(target_os = "macos") {
        "brew install redis"
    } else if nix::unistd::geteuid().is_root() {
        "apt-get install -y redis-server"
    } else {
        "sudo apt-get install -y redis-server"
    }
}

/// Installs Redis through the system's package client when it is missing. True when something was installed. Blocks.
///
/// # Errors
/// When this user may not install: the error holds the one command to run.
pub fn install_redis() -> Result<bool, EmbedError> {
    if Command::new("redis-server").arg("--version").output().is_ok_and(|output| output.status.success()) {
        return Ok(false);
    }
    let command = redis_install_command();
    let missing = || EmbedError::ProgramMissing {
        program: "redis-server".to_owned(),
        remedy: format!("run `{command}`"),
    };
    if command.starts_with("sudo") {
        return Err(missing());
    }
    let mut words = command.split_whitespace();
    let program = words.next().unwrap_or_default();
    // Debian's package starts a Redis on 6379 where there is an init system; it is left alone
    let output = Command::new(program)
        .args(words)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(Stdio::null())
        .output()
        .map_err(|_| missing())?;
    if output.status.success() {
        return Ok(true);
    }
    Err(EmbedError::CommandFailed {
        command: command.to_owned(),
        detail: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
    })
}
