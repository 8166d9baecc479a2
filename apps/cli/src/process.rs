//! What every long-running process does: tell where it is (`<data>/run/<role>.json`) and how it is (`GET /status`,
//! `GET /metrics`, `GET /healthz` on a port of 127.0.0.1).

mod connections;

pub(crate) use tickhouse_endpoints::RunFile;

use crate::endpoints::{Ports, run_dir};
use anyhow::Context as _;
use axum::Router;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Json};
use axum::routing::get;
use connections::Limits;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System};
use tokio::net::TcpSocket;
use tokio::sync::oneshot;

/// How long requests under way may take at the end.
const CLOSE_LIMIT: Duration = Duration::from_secs(10);
/// Bytes that the system holds for a client that is slow: what waits there is old when it is read.
const SEND_BUFFER: u32 = 128 << 10;
/// Connections that wait for being accepted.
const BACKLOG: u32 = 1_024;

/// Memory and processor time of this process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Usage {
    /// Resident, bytes.
    pub(crate) memory_bytes: u64,
    /// Since the start, seconds of one core.
    pub(crate) cpu_seconds: f64,
    /// When it began, Unix seconds.
    #[serde(default)]
    pub(crate) start_seconds: u64,
}

/// Reads [`Usage`] of processes.
#[derive(Debug)]
pub(crate) struct UsageReader(Option<System>);

impl UsageReader {
    pub(crate) fn new() -> Self {
        Self(System::new().ok())
    }

    /// Of a process; zeros when it is gone or can't be seen.
    pub(crate) fn of(&mut self, pid: u32) -> Usage {
        let pid = Pid::from_u32(pid);
        let what = ProcessRefreshKind::nothing().with_memory().with_cpu().without_tasks();
        let Some(system) = &mut self.0 else { return Usage::default() };
        system.refresh_processes_specifics(ProcessesToUpdate::Some(&[pid]), true, what);
        system.process(pid).map_or_else(Usage::default, |process| Usage {
            memory_bytes: process.memory(),
            cpu_seconds: process.accumulated_cpu_time() as f64 / 1_000.0,
            start_seconds: process.start_time(),
        })
    }
}

/// Gives the role's own part of `/status`: its counters.
pub(crate) type Report = Arc<dyn Fn() -> Value + Send + Sync>;

struct Endpoint {
    role: &'static str,
    data_dir: PathBuf,
    started: Instant,
    usage: Mutex<UsageReader>,
    report: Report,
}

/// Routes on an address, until it is closed or dropped.
#[derive(Debug)]
pub(crate) struct Listener {
    address: SocketAddr,
    task: tokio::task::JoinHandle<()>,
    end: Option<oneshot::Sender<()>>,
}

impl Listener {
    /// Answers at `listen` (port 0: a free one), on the current runtime.
    ///
    /// # Errors
    /// When the port is taken: the error names its holder and `flag`.
    pub(crate) fn bind(
        listen: SocketAddr,
        what: &'static str,
        flag: &'static str,
        router: Router,
    ) -> anyhow::Result<Self> {
        if listen.port() != 0 && listen.ip().is_loopback() {
            tickhouse_embed::port::claim(listen.port(), what, flag)?;
        }
        let failed = || format!("{listen} can't be listened on; see {flag}");
        let socket = if listen.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() };
        let socket = socket.with_context(failed)?;
        socket.set_reuseaddr(true).with_context(failed)?;
        socket.set_send_buffer_size(SEND_BUFFER).with_context(failed)?;
        socket.bind(listen).with_context(failed)?;
        let listener = socket.listen(BACKLOG).with_context(failed)?;
        let address = listener.local_addr()?;
        let (end, ended) = oneshot::channel::<()>();
        let serve = connections::serve(listener, router, Limits::default(), async { drop(ended.await) });
        Ok(Self { address, task: tokio::spawn(serve), end: Some(end) })
    }

    /// Where it is.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes no more requests, and answers those that are under way.
    pub(crate) async fn close(mut self) {
        drop(self.end.take());
        if tokio::time::timeout(CLOSE_LIMIT, &mut self.task).await.is_err() {
            tracing::warn!("requests under way are cut off");
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A status endpoint and its run file; both go when it is dropped.
#[derive(Debug)]
pub(crate) struct Presence {
    listener: Option<Listener>,
    announced: Announced,
}

/// A run file, which goes with it.
#[derive(Debug)]
struct Announced {
    run_dir: PathBuf,
    file: RunFile,
}

impl Presence {
    /// Serves the status of this process on a port of 127.0.0.1 (0: a free one) and writes its run file.
    ///
    /// # Errors
    /// When the port is taken (the error names its holder) or the file can't be written.
    pub(crate) fn announce(
        data_dir: &Path,
        role: &'static str,
        http_port: u16,
        ports: Option<Ports>,
        report: Report,
    ) -> anyhow::Result<Self> {
        let listen = SocketAddr::from(([127, 0, 0, 1], http_port));
        let routes = status_routes(data_dir, role, report);
        let listener = Listener::bind(listen, "the status page", "--http-port", routes)?;
        Self::of(data_dir, listener, |port| RunFile { ports, ..RunFile::of(role, port) })
    }

    /// Of a listener that has the status among its routes.
    ///
    /// # Errors
    /// When the run file can't be written.
    pub(crate) fn of(
        data_dir: &Path,
        listener: Listener,
        file: impl FnOnce(u16) -> RunFile,
    ) -> anyhow::Result<Self> {
        let file = file(listener.address().port());
        let run_dir = run_dir(data_dir);
        file.write(&run_dir)
            .with_context(|| format!("{} can't be written", RunFile::path(&run_dir, &file.role).display()))?;
        Ok(Self { listener: Some(listener), announced: Announced { run_dir, file } })
    }

    /// Takes no more requests, and answers those that are under way.
    pub(crate) async fn close(mut self) {
        if let Some(listener) = self.listener.take() {
            listener.close().await;
        }
    }

    /// Port of the status endpoint.
    pub(crate) fn port(&self) -> u16 {
        self.announced.file.port
    }
}

impl Drop for Announced {
    fn drop(&mut self) {
        // another process of this role may have taken over since
        if RunFile::read(&self.run_dir, &self.file.role).is_some_and(|file| file.pid == self.file.pid) {
            self.file.remove(&self.run_dir);
        }
    }
}

/// `/status`, `/metrics` and `/healthz` of this process.
pub(crate) fn status_routes(data_dir: &Path, role: &'static str, report: Report) -> Router {
    let endpoint = Endpoint {
        role,
        data_dir: data_dir.to_owned(),
        started: Instant::now(),
        usage: Mutex::new(UsageReader::new()),
        report,
    };
    Router::new()
        .route("/status", get(async |State(endpoint): State<Arc<Endpoint>>| Json(endpoint.status())))
        .route("/metrics", get(metrics))
        .route("/healthz", get(async || "ok\n"))
        .with_state(Arc::new(endpoint))
}

impl Endpoint {
    fn status(&self) -> Value {
        let usage = self.usage.lock().map(|mut usage| usage.of(std::process::id())).unwrap_or_default();
        let disk = tickhouse_endpoints::disk_space(&self.data_dir);
        let mut value = json!({
            "role": self.role,
            "version": env!("CARGO_PKG_VERSION"),
            "pid": std::process::id(),
            "uptime_seconds": self.started.elapsed().as_secs_f64(),
            "start_seconds": usage.start_seconds,
            "memory_bytes": usage.memory_bytes,
            "cpu_seconds": usage.cpu_seconds,
            "disk": disk.map(|(bytes, free_bytes)| json!({ "bytes": bytes, "free_bytes": free_bytes })),
        });
        if let (Some(all), Value::Object(report)) = (value.as_object_mut(), (self.report)()) {
            all.extend(report);
        }
        value
    }
}

async fn metrics(State(endpoint): State<Arc<Endpoint>>) -> impl IntoResponse {
    let exposition = tickhouse_metrics::exposition(endpoint.role, &endpoint.status());
    ([(CONTENT_TYPE, tickhouse_metrics::CONTENT_TYPE)], exposition.text)
}
