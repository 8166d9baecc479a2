//! Restarting what dies.
//!
//! What enters: a running [`Service`]. What leaves: the same service, started again with a growing pause as often as it
//! ends by itself, and its state for whoever watches. What never happens: a restart after [`Supervised::stop`], or a
//! tight loop of restarts.

use crate::EmbedError;
use std::future::Future;
use std::time::{Duration, Instant};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

const LOOK: Duration = Duration::from_millis(100);
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// A service that lived this long has recovered: the next pause is short again.
const RECOVERED: Duration = Duration::from_mins(1);

/// A child process that answers on a port.
pub trait Service: Send + 'static {
    /// A word for logs.
    fn name(&self) -> &'static str;
    /// Whether its process runs. Does not block.
    fn is_alive(&mut self) -> bool;
    /// Ends what is left of it and starts it again on the same ports and data.
    fn restart(&mut self) -> impl Future<Output = Result<(), EmbedError>> + Send;
    /// Lets it end, kills it when it does not. Doing it twice is harmless.
    fn stop(&mut self) -> impl Future<Output = ()> + Send;
}

/// What a supervised service is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceState {
    /// Whether it runs now.
    pub alive: bool,
    /// How often it was started again.
    pub restarts: u64,
    /// Why the last start failed; `None` after one that succeeded.
    pub error: Option<String>,
}

/// A service under supervision by a task. Dropping it drops the service, which kills its process.
#[derive(Debug)]
pub struct Supervised<S> {
    state: watch::Receiver<ServiceState>,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<S>,
}

impl<S: Service> Supervised<S> {
    /// Supervises a service that runs.
    pub fn new(service: S) -> Self {
        let (sender, state) = watch::channel(ServiceState { alive: true, restarts: 0, error: None });
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(supervise(service, sender, stopped));
        Self { state, stop: Some(stop), task }
    }

    /// Its state now.
    pub fn state(&self) -> ServiceState {
        self.state.borrow().clone()
    }

    /// Its state as it changes.
    pub fn watch(&self) -> watch::Receiver<ServiceState> {
        self.state.clone()
    }

    /// Ends supervision and the service, and gives it back. `None` when the supervising task had panicked.
    pub async fn stop(mut self) -> Option<S> {
        drop(self.stop.take());
        (&mut self.task).await.ok()
    }
}

impl<S> Drop for Supervised<S> {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn supervise<S: Service>(
    mut service: S,
    state: watch::Sender<ServiceState>,
    mut stopped: oneshot::Receiver<()>,
) -> S {
    let mut pause = FIRST_PAUSE;
    let mut since = Instant::now();
    loop {
        if rest(LOOK, &mut stopped).await {
            break;
        }
        if service.is_alive() {
            continue;
        }
        if since.elapsed() > RECOVERED {
            pause = FIRST_PAUSE;
        }
        tracing::warn!(
            service = service.name(),
            pause_ms = pause.as_millis(),
            "service ended by itself, starting it again"
        );
        state.send_modify(|state| state.alive = false);
        if rest(pause, &mut stopped).await {
            break;
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
        since = Instant::now();
        let restarted = tokio::select! {
            restarted = service.restart() => restarted,
            _ = &mut stopped => break,
        };
        let error = restarted.err().map(|error| error.to_string());
        if let Some(error) = &error {
            tracing::error!(service = service.name(), error, "service did not start");
        }
        state.send_modify(|state| {
            state.alive = error.is_none();
            state.restarts += 1;
            state.error = error;
        });
    }
    service.stop().await;
    state.send_modify(|state| state.alive = false);
    service
}

/// Waits; true when told to stop meanwhile.
async fn rest(span: Duration, stopped: &mut oneshot::Receiver<()>) -> bool {
    tokio::time::timeout(span, stopped).await.is_ok()
}
