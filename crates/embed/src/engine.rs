//! The embedded ClickHouse as a child process.
//!
//! What enters: a data directory and ports. What leaves: a server that speaks HTTP and the native protocol on 127.0.0.1 and
//! keeps its data across SIGKILL. What never happens: an engine that outlives its parent (it lives as long as the pipe to
//! its standard input, whatever ends the parent), or one whose clock is not India's (`today()` is the brief's word).
//!
//! Below the data directory: `store/` (the engine's own), `log/`, `backups/`, the generated `config.xml`, `users.xml`,
//! `launch.json`, and `users.json` with the passwords. `system.query_log` begins anew with each start.

use crate::child::Launch;
use crate::settings::{Layout, arguments, config_xml, first_arguments};
use crate::supervise::Service;
use crate::users::write_private;
use crate::{Credentials, EmbedError, library, port};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const START_LIMIT: Duration = Duration::from_mins(2);
const STOP_LIMIT: Duration = Duration::from_secs(30);
const LAST_ONE_LIMIT: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(20);

/// How to run an engine.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EngineOptions {
    /// The program whose process becomes the engine: our own, which then calls [`run_engine`](crate::run_engine).
    pub program: PathBuf,
    /// Its arguments before the launch file, such as `clickhouse engine`.
    pub arguments: Vec<String>,
    /// Where everything of the engine lies.
    pub data_dir: PathBuf,
    /// HTTP port; 0 for any free one.
    pub http_port: u16,
    /// Port of the native protocol; 0 for any free one.
    pub tcp_port: u16,
    /// Upper limit of the engine's memory in bytes; 0 for half of the machine's.
    pub memory_bytes: u64,
    /// The database that is made at the first start and is every user's default. Letters, digits and `_`.
    pub database: String,
    /// The engine's log level: `none`, `error`, `warning`, `information`, `debug`, `trace`.
    pub log_level: String,
    /// More elements for the configuration file, verbatim.
    pub more_config: String,
}

impl EngineOptions {
    /// Ports 8123 and 9000, database `trading`, half of the machine's memory.
    pub fn new(program: impl Into<PathBuf>, data_dir: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
            arguments: vec!["clickhouse".to_owned(), "engine".to_owned()],
            data_dir: data_dir.into(),
            http_port: 8123,
            tcp_port: 9000,
            memory_bytes: 0,
            database: "trading".to_owned(),
            log_level: "information".to_owned(),
            more_config: String::new(),
        }
    }
}

/// A running engine. Dropping it kills the process; [`Engine::stop`] lets it end by itself.
#[derive(Debug)]
pub struct Engine {
    options: EngineOptions,
    credentials: Credentials,
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    child: Child,
    /// The life line: the engine reads it to its end.
    line: Option<ChildStdin>,
}

impl Engine {
    /// Starts an engine and waits until it answers. About a second; longer after a crash, while it looks through its parts.
    ///
    /// Cancel safety: when the future is dropped, the process ends.
    ///
    /// # Errors
    /// The library is missing, a port is taken, the data directory is in use or not writable, or it does not answer.
    pub async fn start(mut options: EngineOptions) -> Result<Self, EmbedError> {
        let data_dir = &options.data_dir;
        std::fs::create_dir_all(data_dir).map_err(EmbedError::io(data_dir))?;
        options.data_dir = data_dir.canonicalize().map_err(EmbedError::io(data_dir))?;
        options.http_port = port::claim(options.http_port, "ClickHouse over HTTP", "--clickhouse-http-port")?;
        options.tcp_port =
            port::claim(options.tcp_port, "ClickHouse's native protocol", "--clickhouse-tcp-port")?;
        let credentials = Credentials::of(&options.data_dir)?;
        let mut engine = Self { options, credentials, running: None };
        engine.launch().await?;
        Ok(engine)
    }

    /// `http://127.0.0.1:<port>`.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.options.http_port)
    }

    /// The HTTP port.
    pub fn http_port(&self) -> u16 {
        self.options.http_port
    }

    /// The port of the native protocol.
    pub fn tcp_port(&self) -> u16 {
        self.options.tcp_port
    }

    /// The options it runs with: ports as they are, directory absolute.
    pub fn options(&self) -> &EngineOptions {
        &self.options
    }

    /// Passwords of the writer and the reader.
    pub fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// The engine's process id, `None` when it was stopped.
    pub fn pid(&self) -> Option<u32> {
        self.running.as_ref().map(|running| running.child.id())
    }

    /// The engine's log file.
    pub fn log(&self) -> PathBuf {
        Layout::new(&self.options.data_dir).logs().join("engine.log")
    }

    /// Ends the process with SIGKILL and waits for it, as a power cut would; for tests.
    pub fn kill(&mut self) {
        if let Some(mut running) = self.running.take() {
            running.end();
        }
    }

    async fn launch(&mut self) -> Result<(), EmbedError> {
        let layout = Layout::new(&self.options.data_dir);
        for directory in [layout.store(), layout.logs(), layout.backups()] {
            std::fs::create_dir_all(&directory).map_err(EmbedError::io(&directory))?;
        }
        let library = library::find()?;
        wait_for_the_last_one(&layout).await;
        if !layout.database(&self.options.database).exists() {
            self.make_database(&layout, &library).await?;
        }
        let system = layout.system_tables();
        if system.exists() {
            std::fs::remove_dir_all(&system).map_err(EmbedError::io(&system))?;
        }
        write(&layout.config(), &config_xml(&self.options, &layout, true))?;
        write_private(&layout.users(), self.credentials.users_xml(&self.options.database).as_bytes())?;
        self.running = Some(self.spawn(&layout, &library, arguments(&self.options, &layout))?);
        self.wait_until_it_answers(&layout).await?;
        // makes the tables of logs, which otherwise come a second after the first query
        request(self.options.http_port, "SYSTEM FLUSH LOGS").await.map_err(EmbedError::io(self.url()))?;
        tracing::info!(url = self.url(), pid = self.pid(), "clickhouse engine is up");
        Ok(())
    }

    /// A short first process without users makes the database, since a session of a user whose default database is missing is refused.
    async fn make_database(&self, layout: &Layout, library: &Path) -> Result<(), EmbedError> {
        write(&layout.config(), &config_xml(&self.options, layout, false))?;
        let mut running = self.spawn(layout, library, first_arguments(layout, &self.options.database))?;
        running.line = None;
        let deadline = Instant::now() + START_LIMIT;
        while running.child.try_wait().ok().flatten().is_none() {
            if Instant::now() > deadline {
                running.end();
                return Err(no_answer(layout));
            }
            tokio::time::sleep(POLL).await;
        }
        if layout.database(&self.options.database).exists() {
            Ok(())
        } else {
            Err(died(&mut running, layout))
        }
    }

    fn spawn(&self, layout: &Layout, library: &Path, arguments: Vec<String>) -> Result<Running, EmbedError> {
        let launch = layout.launch();
        let text = serde_json::to_vec_pretty(&Launch { library: library.to_owned(), arguments })
            .map_err(|error| EmbedError::Io { path: launch.clone(), source: error.into() })?;
        std::fs::write(&launch, text).map_err(EmbedError::io(&launch))?;
        let stderr = layout.stderr();
        let errors = File::create(&stderr).map_err(EmbedError::io(&stderr))?;
        let mut child = Command::new(&self.options.program)
            .args(&self.options.arguments)
            .arg(&launch)
            .env("TZ", "Asia/Kolkata")
            .current_dir(&self.options.data_dir)
            // Ctrl-C is for the parent, which stops its children in order
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(errors)
            .spawn()
            .map_err(EmbedError::io(&self.options.program))?;
        let line = child.stdin.take();
        Ok(Running { child, line })
    }

    async fn wait_until_it_answers(&mut self, layout: &Layout) -> Result<(), EmbedError> {
        let deadline = Instant::now() + START_LIMIT;
        loop {
            if let Some(running) = &mut self.running
                && running.child.try_wait().ok().flatten().is_some()
            {
                return Err(died(running, layout));
            }
            if ping(self.options.http_port).await {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(no_answer(layout));
            }
            tokio::time::sleep(POLL).await;
        }
    }
}

impl Service for Engine {
    fn name(&self) -> &'static str {
        "clickhouse"
    }

    fn is_alive(&mut self) -> bool {
        self.running.as_mut().is_some_and(|running| matches!(running.child.try_wait(), Ok(None)))
    }

    async fn restart(&mut self) -> Result<(), EmbedError> {
        self.stop().await;
        // the old process may still be giving its ports back
        self.launch().await
    }

    async fn stop(&mut self) {
        let Some(mut running) = self.running.take() else { return };
        running.line = None;
        let deadline = Instant::now() + STOP_LIMIT;
        while matches!(running.child.try_wait(), Ok(None)) {
            if Instant::now() > deadline {
                tracing::warn!(
                    pid = running.child.id(),
                    "clickhouse engine did not end by itself, killing it"
                );
                break;
            }
            tokio::time::sleep(POLL).await;
        }
        running.end();
    }
}

impl Running {
    fn end(&mut self) {
        self.line = None;
        // both fail only when it has ended
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end();
    }
}

/// An engine whose parent was killed ends a moment after it. It holds a lock on its status file; one that stays is left for
/// the new engine to complain about.
async fn wait_for_the_last_one(layout: &Layout) {
    let deadline = Instant::now() + LAST_ONE_LIMIT;
    while let Ok(status) = File::open(layout.store().join("status"))
        && status.try_lock().is_err()
        && Instant::now() < deadline
    {
        tokio::time::sleep(POLL).await;
    }
}

fn no_answer(layout: &Layout) -> EmbedError {
    EmbedError::NoAnswer {
        what: "the ClickHouse engine",
        seconds: START_LIMIT.as_secs(),
        log: layout.logs().join("engine.log"),
    }
}

fn died(running: &mut Running, layout: &Layout) -> EmbedError {
    let status = running.child.wait().map_or_else(|error| error.to_string(), |status| status.to_string());
    EmbedError::Died {
        what: "the ClickHouse engine",
        status,
        log: layout.stderr(),
        tail: tail(&layout.stderr()),
    }
}

/// The last lines of a log, on one line.
pub(crate) fn tail(path: &Path) -> String {
    let text = std::fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&text[text.len().saturating_sub(4096)..]).into_owned();
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(5)..].join(" | ")
}

fn write(path: &Path, text: &str) -> Result<(), EmbedError> {
    std::fs::write(path, text).map_err(EmbedError::io(path))
}

/// Whether an engine answers on this port.
pub(crate) async fn ping(port: u16) -> bool {
    let ask =
        async { exchange(port, "GET /ping HTTP/1.0\r\n\r\n").await.is_ok_and(|text| text.contains("Ok.")) };
    tokio::time::timeout(Duration::from_secs(5), ask).await.unwrap_or(false)
}

/// Runs one statement as `default` and returns the answer with its head. Only for the engine's own housekeeping.
async fn request(port: u16, sql: &str) -> std::io::Result<String> {
    let text = format!("POST / HTTP/1.0\r\nContent-Length: {}\r\n\r\n{sql}", sql.len());
    exchange(port, &text).await
}

async fn exchange(port: u16, text: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.write_all(text.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}
