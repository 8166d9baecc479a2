//! Keeps a process running: starts it again when it has ended, but not before it may.

use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tickhouse_embed::{EmbedError, Service};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

const LOOK: Duration = Duration::from_millis(50);
const AGAIN: Duration = Duration::from_millis(300);
const STOP_LIMIT: Duration = Duration::from_secs(45);

/// What happened to a process that nobody asked for.
pub(crate) type Notes = Arc<Mutex<Vec<String>>>;

pub(crate) fn note(notes: &Notes, text: String) {
    notes.lock().unwrap_or_else(PoisonError::into_inner).push(text);
}

/// A service and what keeps it up.
#[derive(Debug)]
pub(crate) struct Keeper {
    not_before: Arc<Mutex<Instant>>,
    starts: Arc<AtomicU64>,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl Keeper {
    pub(crate) fn of<S: Service>(service: S, notes: Notes) -> Self {
        let not_before = Arc::new(Mutex::new(Instant::now()));
        let (stop, stopped) = oneshot::channel();
        let starts = Arc::new(AtomicU64::new(0));
        let task = tokio::spawn(keep(service, Arc::clone(&not_before), Arc::clone(&starts), stopped, notes));
        Self { not_before, starts, stop: Some(stop), task }
    }

    /// It is about to end, and stays so for a while.
    pub(crate) fn hold(&self, span: Duration) {
        *self.not_before.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now() + span;
    }

    /// How often it was started again.
    pub(crate) fn restarts(&self) -> u64 {
        self.starts.load(Ordering::Relaxed)
    }

    /// Lets it end by itself.
    pub(crate) async fn stop(mut self) {
        drop(self.stop.take());
        (&mut self.task).await.ok();
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn keep<S: Service>(
    mut service: S,
    not_before: Arc<Mutex<Instant>>,
    starts: Arc<AtomicU64>,
    mut stopped: oneshot::Receiver<()>,
    notes: Notes,
) {
    loop {
        if tokio::time::timeout(LOOK, &mut stopped).await.is_ok() {
            return service.stop().await;
        }
        let early = Instant::now() < *not_before.lock().unwrap_or_else(PoisonError::into_inner);
        if early || service.is_alive() {
            continue;
        }
        match service.restart().await {
            Ok(()) => drop(starts.fetch_add(1, Ordering::Relaxed)),
            Err(error) => {
                note(&notes, format!("{} did not start: {error}", service.name()));
                tokio::time::sleep(AGAIN).await;
            }
        }
    }
}

/// A part of the system: the built program with a command.
#[derive(Debug)]
pub(crate) struct Part {
    name: &'static str,
    command: Command,
    running: Option<(Child, ChildStdin)>,
    /// 0 while there is none.
    pid: Arc<AtomicU32>,
    notes: Notes,
}

impl Part {
    pub(crate) fn new(name: &'static str, mut command: Command, notes: Notes) -> Self {
        command.stdin(Stdio::piped());
        Self { name, command, running: None, pid: Arc::default(), notes }
    }

    pub(crate) fn pid(&self) -> Arc<AtomicU32> {
        Arc::clone(&self.pid)
    }

    fn start(&mut self) -> Result<(), EmbedError> {
        let spawned = self.command.spawn();
        let failed = |source| EmbedError::Io { path: self.command.get_program().into(), source };
        let mut child = spawned.map_err(failed)?;
        let line = child.stdin.take().expect("standard input is piped");
        self.pid.store(child.id(), Ordering::Release);
        self.running = Some((child, line));
        Ok(())
    }
}

impl Service for Part {
    fn name(&self) -> &'static str {
        self.name
    }

    fn is_alive(&mut self) -> bool {
        use std::os::unix::process::ExitStatusExt as _;

        let Some((child, _)) = &mut self.running else { return false };
        let Ok(Some(status)) = child.try_wait() else { return true };
        if status.signal() != Some(9) {
            note(&self.notes, format!("{} ended by itself: {status}", self.name));
        }
        self.pid.store(0, Ordering::Release);
        self.running = None;
        false
    }

    async fn restart(&mut self) -> Result<(), EmbedError> {
        self.start()
    }

    /// By the end of its standard input, as a supervisor of its own would. Its end must be clean.
    async fn stop(&mut self) {
        let Some((mut child, line)) = self.running.take() else { return };
        drop(line);
        let deadline = Instant::now() + STOP_LIMIT;
        loop {
            match child.try_wait() {
                Ok(Some(status)) if status.success() => return,
                Ok(Some(status)) => return note(&self.notes, format!("{} ended badly: {status}", self.name)),
                _ if Instant::now() > deadline => break,
                _ => tokio::time::sleep(LOOK).await,
            }
        }
        note(&self.notes, format!("{} did not end within {} s", self.name, STOP_LIMIT.as_secs()));
        child.kill().ok();
        child.wait().ok();
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if let Some((mut child, _)) = self.running.take() {
            child.kill().ok();
            child.wait().ok();
        }
    }
}
