//! What every long-running process does: tell where it is (`<data>/run/<role>.json`) and how it is (`GET /status`,
//! `GET /healthz` on a port of 127.0.0.1).

mod connections;

pub(crate) use tickhouse_endpoints::RunFile;

use crate::endpoints::{Ports, run_dir};
use anyhow::Context as _;
use axum::Router;
use axum::extract::State;
use axum::response::Json;
use axum::routing::get;
use connections::Limits;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

/// How long requests under way may take at the end.
const CLOSE_LIMIT: Duration = Duration::from_secs(10);

/// Memory and processor time of this process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Usage {
    /// Resident, bytes.
    pub(crate) memory_bytes: u64,
    /// Since the start, seconds of one core.
    pub(crate) cpu_seconds: f64,
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
        })
    }
}

/// Gives the role's own part of `/status`: its counters.
pub(crate) type Report = Arc<dyn Fn() -> Value + Send + Sync>;

struct Endpoint {
    role: &'static str,
    started: Instant,
    usage: Mutex<UsageReader>,
    report: Report,
}

/// A status endpoint and its run file; both go when it is dropped.
#[derive(Debug)]
pub(crate) struct Presence {
    run_dir: PathBuf,
    file: RunFile,
    task: tokio::task::JoinHandle<()>,
    end: Option<oneshot::Sender<()>>,
}

impl Presence {
    /// Serves the status of this process at `listen` (port 0: a free one) and writes its run file.
    ///
    /// # Errors
    /// When the port is taken (the error names its holder and `flag`) or the file can't be written.
    pub(crate) async fn announce(
        data_dir: &Path,
        role: &'static str,
        listen: SocketAddr,
        flag: &'static str,
        ports: Option<Ports>,
        report: Report,
    ) -> anyhow::Result<Self> {
        Self::announce_with(data_dir, role, listen, flag, ports, report, Router::new()).await
    }

    /// As [`Presence::announce`], with more routes than the status.
    ///
    /// # Errors
    /// As [`Presence::announce`].
    pub(crate) async fn announce_with(
        data_dir: &Path,
        role: &'static str,
        listen: SocketAddr,
        flag: &'static str,
        ports: Option<Ports>,
        report: Report,
        besides: Router,
    ) -> anyhow::Result<Self> {
        if listen.port() != 0 && listen.ip().is_loopback() {
            tickhouse_embed::port::claim(listen.port(), "the status page", flag)?;
        }
        let listener = TcpListener::bind(listen)
            .await
            .with_context(|| format!("{listen} can't be listened on; see {flag}"))?;
        let port = listener.local_addr()?.port();
        let endpoint =
            Endpoint { role, started: Instant::now(), usage: Mutex::new(UsageReader::new()), report };
        let router = Router::new()
            .route("/status", get(status))
            .route("/healthz", get(async || "ok\n"))
            .with_state(Arc::new(endpoint))
            .merge(besides);
        let (end, ended) = oneshot::channel::<()>();
        let serve = connections::serve(listener, router, Limits::default(), async { drop(ended.await) });
        let task = tokio::spawn(serve);
        let file = RunFile { role: role.to_owned(), pid: std::process::id(), port, ports };
        let run_dir = run_dir(data_dir);
        file.write(&run_dir)
            .with_context(|| format!("{} can't be written", RunFile::path(&run_dir, role).display()))?;
        Ok(Self { run_dir, file, task, end: Some(end) })
    }

    /// Takes no more requests, and answers those that are under way.
    pub(crate) async fn close(mut self) {
        drop(self.end.take());
        if tokio::time::timeout(CLOSE_LIMIT, &mut self.task).await.is_err() {
            tracing::warn!("requests under way are cut off");
        }
    }

    /// Port of the status endpoint.
    pub(crate) fn port(&self) -> u16 {
        self.file.port
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        self.task.abort();
        // another process of this role may have taken over since
        if RunFile::read(&self.run_dir, &self.file.role).is_some_and(|file| file.pid == self.file.pid) {
            std::fs::remove_file(RunFile::path(&self.run_dir, &self.file.role)).ok();
        }
    }
}

async fn status(State(endpoint): State<Arc<Endpoint>>) -> Json<Value> {
    let usage = endpoint.usage.lock().map(|mut usage| usage.of(std::process::id())).unwrap_or_default();
    let mut value = json!({
        "role": endpoint.role,
        "version": env!("CARGO_PKG_VERSION"),
        "pid": std::process::id(),
        "uptime_seconds": endpoint.started.elapsed().as_secs_f64(),
        "memory_bytes": usage.memory_bytes,
        "cpu_seconds": usage.cpu_seconds,
    });
    if let (Some(all), Value::Object(report)) = (value.as_object_mut(), (endpoint.report)()) {
        all.extend(report);
    }
    Json(value)
}

/// The status of a process that announced itself.
pub(crate) async fn fetch_status(client: &reqwest::Client, file: &RunFile) -> anyhow::Result<Value> {
    let url = format!("http://127.0.0.1:{}/status", file.port);
    Ok(client.get(url).send().await?.error_for_status()?.json().await?)
}
