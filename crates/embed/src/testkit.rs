//! Real engines and Redises for tests: free ports, directories of their own, gone when dropped.
//!
//! The engine's process is the small program `tickhouse-engine` of this crate. `cargo test -p` of another crate does not
//! build it, so it is built here when it is missing or older than its sources. The library has to be installed
//! (`cargo xtask install`); without it a test fails and says so.

use crate::supervise::Service;
use crate::{EmbedError, Engine, EngineOptions, Redis, RedisOptions};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;
use tokio::sync::OnceCell;

static SHARED: OnceCell<TestEngine> = OnceCell::const_new();
static BUILDING: Mutex<()> = Mutex::new(());

/// An engine for tests.
#[derive(Debug)]
pub struct TestEngine {
    engine: Engine,
    // after `engine`: removed when it has ended. `None` for the shared one, whose process removes it
    _directory: Option<tempfile::TempDir>,
}

impl TestEngine {
    /// An engine of its own, killed when dropped.
    ///
    /// # Panics
    /// When it does not start; the message says why.
    pub async fn start() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        let engine = start_in(directory.path(), false).await;
        Self { engine, _directory: Some(directory) }
    }

    /// One engine for all tests of a test program: start-up is paid once. It ends with the program, and each test makes a
    /// database of its own in it.
    ///
    /// # Panics
    /// When it does not start; the message says why.
    pub async fn shared() -> &'static Self {
        let make = async || {
            let directory = tempfile::tempdir().expect("a temporary directory can be made").keep();
            let engine = start_in(&directory, true).await;
            Self { engine, _directory: None }
        };
        SHARED.get_or_init(make).await
    }

    /// `http://127.0.0.1:<port>`; the user is `default` without a password.
    pub fn url(&self) -> String {
        self.engine.url()
    }

    /// The engine.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Ends the engine with SIGKILL.
    pub fn kill(&mut self) {
        self.engine.kill();
    }

    /// Starts it again on the same port and data.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn restart(&mut self) -> Result<(), EmbedError> {
        self.engine.restart().await
    }
}

async fn start_in(directory: &Path, remove: bool) -> Engine {
    let program = match std::env::var_os("TICKHOUSE_ENGINE_PROGRAM") {
        Some(program) => PathBuf::from(program),
        None => engine_program(),
    };
    let mut options = EngineOptions::new(program, directory);
    options.arguments = Vec::new();
    if remove {
        options.arguments = vec!["--remove".to_owned(), directory.display().to_string()];
    }
    options.http_port = 0;
    options.tcp_port = 0;
    options.memory_bytes = 4 << 30;
    match Engine::start(options).await {
        Ok(engine) => engine,
        Err(error) => panic!("a test needs the ClickHouse engine: {error}"),
    }
}

/// `tickhouse-engine` beside the running test program, built if need be.
fn engine_program() -> PathBuf {
    let _one = BUILDING.lock().unwrap_or_else(PoisonError::into_inner);
    let test = std::env::current_exe().expect("a test program knows its path");
    // target/<profile>/deps/<test program>, or target/<profile>/examples/<example>
    let profile_dir = test.ancestors().nth(2).expect("test programs lie in target/<profile>/deps");
    let program = profile_dir.join("tickhouse-engine");
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    if modified(&program) > newest(&sources) && modified(&program).is_some() {
        return program;
    }
    let target = profile_dir.parent().expect("a profile's directory lies in the target directory");
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command
        .args([
            "build",
            "--quiet",
            "--package",
            "tickhouse-embed",
            "--bin",
            "tickhouse-engine",
            "--target-dir",
        ])
        .arg(target)
        .current_dir(env!("CARGO_MANIFEST_DIR"));
    match profile_dir.file_name().and_then(|name| name.to_str()) {
        None | Some("debug") => {}
        Some(profile) => {
            command.args(["--profile", profile]);
        }
    }
    let status = command.status().expect("cargo runs, since it runs this test");
    assert!(status.success(), "tickhouse-engine could not be built: {status}");
    program
}

fn modified(path: &Path) -> Option<SystemTime> {
    std::fs::metadata(path).and_then(|file| file.modified()).ok()
}

fn newest(directory: &Path) -> Option<SystemTime> {
    let entries = std::fs::read_dir(directory).ok()?;
    entries
        .filter_map(Result::ok)
        .filter_map(
            |entry| if entry.path().is_dir() { newest(&entry.path()) } else { modified(&entry.path()) },
        )
        .max()
}

/// A Redis for tests, killed when dropped.
#[derive(Debug)]
pub struct TestRedis {
    redis: Redis,
    _directory: tempfile::TempDir,
}

impl TestRedis {
    /// A Redis of its own, empty, without a memory limit.
    ///
    /// # Panics
    /// When it does not start; the message says why.
    pub async fn start() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        let mut options = RedisOptions::new(directory.path());
        options.port = 0;
        options.memory_bytes = 0;
        match Redis::start(options).await {
            Ok(redis) => Self { redis, _directory: directory },
            Err(error) => panic!("a test needs Redis: {error}"),
        }
    }

    /// `redis://127.0.0.1:<port>`.
    pub fn url(&self) -> String {
        self.redis.url()
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.redis.port()
    }

    /// Its process id, `None` after [`TestRedis::kill`].
    pub fn pid(&self) -> Option<u32> {
        self.redis.pid()
    }

    /// Ends it with SIGKILL.
    pub fn kill(&mut self) {
        self.redis.kill();
    }

    /// Starts it again on the same port and data.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn restart(&mut self) -> Result<(), EmbedError> {
        self.redis.restart().await
    }
}
