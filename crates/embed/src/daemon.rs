//! Services that a command leaves behind: `tickhouse clickhouse start`, `tickhouse redis stop`.
//!
//! A small supervisor process of its own session holds the service (and the engine's pipe). What enters: a [`Daemon`], a
//! run directory. What leaves: `<run>/<name>.json` with its [`DaemonState`], its log `<run>/<name>.log`. Whether the
//! supervisor lives is told by a lock on `<run>/<name>.lock`, never by a process id, which may be somebody else's by now.

use crate::engine::tail;
use crate::supervise::Service;
use crate::users::write_private;
use crate::{EmbedError, Engine, EngineOptions, Redis, RedisOptions, Supervised};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use tokio::signal::unix::{SignalKind, signal};

const POLL: Duration = Duration::from_millis(25);
const START_LIMIT: Duration = Duration::from_mins(5);
const STOP_LIMIT: Duration = Duration::from_mins(1);

/// What is to run in the background.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Daemon {
    /// The embedded engine.
    Clickhouse(EngineOptions),
    /// Redis.
    Redis(RedisOptions),
}

impl Daemon {
    /// `clickhouse` or `redis`: the stem of its files.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Clickhouse(_) => "clickhouse",
            Self::Redis(_) => "redis",
        }
    }
}

/// What a supervisor says about its service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DaemonState {
    /// The supervisor's process id.
    pub pid: u32,
    /// Whether the service has answered.
    pub ready: bool,
    /// HTTP port of ClickHouse, port of Redis.
    pub port: u16,
    /// ClickHouse's native port; 0 for Redis.
    pub tcp_port: u16,
    /// The service's data directory.
    pub data_dir: PathBuf,
    /// How often the service was started again.
    pub restarts: u64,
    /// Why it does not run.
    pub error: Option<String>,
}

struct Files {
    state: PathBuf,
    lock: PathBuf,
    log: PathBuf,
    options: PathBuf,
}

impl Files {
    fn of(run_dir: &Path, name: &str) -> Self {
        let file = |extension: &str| run_dir.join(format!("{name}.{extension}"));
        Self { state: file("json"), lock: file("lock"), log: file("log"), options: file("options.json") }
    }

    fn read_state(&self) -> Option<DaemonState> {
        serde_json::from_slice(&std::fs::read(&self.state).ok()?).ok()
    }

    fn write_state(&self, state: &DaemonState) -> Result<(), EmbedError> {
        let text = serde_json::to_vec_pretty(state)
            .map_err(|error| EmbedError::Io { path: self.state.clone(), source: error.into() })?;
        write_private(&self.state, &text)
    }

    /// The lock, or `None` when a supervisor has it.
    fn try_lock(&self) -> Result<Option<File>, EmbedError> {
        let file = File::create(&self.lock).map_err(EmbedError::io(&self.lock))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(EmbedError::Io { path: self.lock.clone(), source: error }),
        }
    }
}

/// Starts a daemon and waits until its service answers. `program` with `arguments` and then the run directory and name
/// must call [`run`].
///
/// # Errors
/// [`EmbedError::AlreadyRunning`], or why it did not start.
pub async fn start(
    run_dir: &Path,
    daemon: &Daemon,
    program: &Path,
    arguments: &[&str],
) -> Result<DaemonState, EmbedError> {
    let name = daemon.name();
    std::fs::create_dir_all(run_dir).map_err(EmbedError::io(run_dir))?;
    let files = Files::of(run_dir, name);
    if files.try_lock()?.is_none() {
        let pid = files.read_state().map_or(0, |state| state.pid);
        return Err(EmbedError::AlreadyRunning { what: name.to_owned(), pid });
    }
    drop(std::fs::remove_file(&files.state));
    let text = serde_json::to_vec_pretty(daemon)
        .map_err(|error| EmbedError::Io { path: files.options.clone(), source: error.into() })?;
    write_private(&files.options, &text)?;
    let log = File::create(&files.log).map_err(EmbedError::io(&files.log))?;
    let errors = log.try_clone().map_err(EmbedError::io(&files.log))?;
    let mut child = Command::new(program)
        .args(arguments)
        .arg(run_dir)
        .arg(name)
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(errors)
        .spawn()
        .map_err(EmbedError::io(program))?;
    let failed = |detail: String| EmbedError::Daemon { what: name.to_owned(), detail };
    let deadline = Instant::now() + START_LIMIT;
    loop {
        if let Some(state) = files.read_state() {
            match state.error {
                Some(error) => {
                    drop(child.wait());
                    return Err(failed(error));
                }
                None if state.ready => return Ok(state),
                None => {}
            }
        }
        if let Ok(Some(status)) = child.try_wait() {
            return Err(failed(format!("its supervisor ended ({status}): {}", tail(&files.log))));
        }
        if Instant::now() > deadline {
            return Err(failed(format!("no answer within {} s", START_LIMIT.as_secs())));
        }
        tokio::time::sleep(POLL).await;
    }
}

/// The state of a daemon; `None` when none runs.
///
/// # Errors
/// When the run directory can't be read.
pub fn status(run_dir: &Path, name: &str) -> Result<Option<DaemonState>, EmbedError> {
    let files = Files::of(run_dir, name);
    if !files.lock.exists() || files.try_lock()?.is_some() {
        return Ok(None);
    }
    Ok(files.read_state())
}

/// Stops a daemon and waits for its end. False when none ran.
///
/// # Errors
/// When the run directory can't be read, or the supervisor can't be ended.
pub async fn stop(run_dir: &Path, name: &str) -> Result<bool, EmbedError> {
    let Some(state) = status(run_dir, name)? else { return Ok(false) };
    let files = Files::of(run_dir, name);
    let pid = Pid::from_raw(state.pid as i32);
    let failed = |error: nix::Error| EmbedError::Daemon {
        what: name.to_owned(),
        detail: format!("process {} could not be signalled: {error}", state.pid),
    };
    kill(pid, Signal::SIGTERM).map_err(failed)?;
    let deadline = Instant::now() + STOP_LIMIT;
    while files.try_lock()?.is_none() {
        if Instant::now() > deadline {
            // its end closes the pipe, so the engine ends too
            kill(pid, Signal::SIGKILL).map_err(failed)?;
        }
        tokio::time::sleep(POLL).await;
    }
    drop(std::fs::remove_file(&files.state));
    Ok(true)
}

/// The body of the supervisor's process: starts the service, restarts it when it dies, stops it on SIGTERM or SIGINT.
///
/// # Errors
/// When the service does not start; the state file then says why, too.
pub async fn run(run_dir: &Path, name: &str) -> Result<(), EmbedError> {
    let files = Files::of(run_dir, name);
    let Some(_lock) = files.try_lock()? else {
        return Err(EmbedError::AlreadyRunning { what: name.to_owned(), pid: 0 });
    };
    // fails only for the leader of a process group, which then has no terminal to lose
    nix::unistd::setsid().ok();
    let text = std::fs::read(&files.options).map_err(EmbedError::io(&files.options))?;
    let daemon: Daemon = serde_json::from_slice(&text)
        .map_err(|error| EmbedError::Io { path: files.options.clone(), source: error.into() })?;
    let mut state = DaemonState {
        pid: std::process::id(),
        ready: false,
        port: 0,
        tcp_port: 0,
        data_dir: PathBuf::new(),
        restarts: 0,
        error: None,
    };
    files.write_state(&state)?;
    let result = match daemon {
        Daemon::Clickhouse(options) => match Engine::start(options).await {
            Ok(engine) => {
                state.port = engine.http_port();
                state.tcp_port = engine.tcp_port();
                state.data_dir.clone_from(&engine.options().data_dir);
                hold(&files, state.clone(), engine).await
            }
            Err(error) => Err(error),
        },
        Daemon::Redis(options) => match Redis::start(options).await {
            Ok(redis) => {
                state.port = redis.port();
                state.data_dir.clone_from(&redis.options().data_dir);
                hold(&files, state.clone(), redis).await
            }
            Err(error) => Err(error),
        },
    };
    if let Err(error) = &result {
        state.error = Some(error.to_string());
        files.write_state(&state)?;
    }
    result
}

async fn hold<S: Service>(files: &Files, mut state: DaemonState, service: S) -> Result<(), EmbedError> {
    let handler = |kind| signal(kind).map_err(EmbedError::io("signal handler"));
    let (mut terminate, mut interrupt, mut hang_up) = (
        handler(SignalKind::terminate())?,
        handler(SignalKind::interrupt())?,
        handler(SignalKind::hangup())?,
    );
    let supervised = Supervised::new(service);
    let mut watch = supervised.watch();
    loop {
        let now = watch.borrow_and_update().clone();
        state.ready = now.alive;
        state.restarts = now.restarts;
        // written for `status`; a start that failed later is tried again, so it is no reason to give up
        files.write_state(&state)?;
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = hang_up.recv() => {}
            changed = watch.changed() => if changed.is_err() { break },
        }
    }
    supervised.stop().await;
    drop(std::fs::remove_file(&files.state));
    Ok(())
}
