//! The running loader and its handle.

use crate::counters::{Counters, LoaderCounters};
use crate::error::LoadError;
use crate::options::LoaderOptions;
use crate::outlet::{self, Outlet};
use crate::owner::Owner;
use serde::{Deserialize, Serialize};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tickhouse_enrich::{Calendar, InstrumentTable};
use tickhouse_store::Store;
use tickhouse_stream::{FlatTick, Lease};
use tickhouse_telemetry::{Clock, Latency};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

/// Pauses between attempts, doubling from the first to the second.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// What everything in a loader shares.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) options: LoaderOptions,
    pub(crate) store: Store,
    pub(crate) clock: Clock,
    pub(crate) calendar: Arc<Calendar>,
    pub(crate) instruments: watch::Receiver<Arc<InstrumentTable>>,
    pub(crate) counters: Counters,
    pub(crate) state: watch::Sender<LoaderState>,
    /// The lease of an ownership that ended while Redis was away: ours to give back before we ask for the next.
    pub(crate) unreleased: Mutex<Option<Lease>>,
    pub(crate) outlet: Outlet,
}

/// Where a loader stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoaderState {
    /// Its fence, while it owns the streams.
    pub fence: Option<u64>,
    /// Streams that it reads, as of the last second.
    pub streams: Vec<StreamState>,
    /// Rises with each look at the streams.
    pub looked: u64,
    /// Why it is not loading, until it is again.
    pub error: Option<String>,
}

/// Where a loader stands in one stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamState {
    /// Name of the stream.
    pub stream: String,
    /// Highest id in Redis.
    pub last_id: String,
    /// Highest id that is stored.
    pub stored_id: String,
    /// Entries in Redis, stored ones that are not trimmed yet included.
    pub entries: u64,
    /// Whether everything in Redis is stored.
    pub caught_up: bool,
}

/// A running loader. Dropping it leaves it running; see [`Loader::stop`].
#[derive(Debug)]
pub struct Loader {
    shared: Arc<Shared>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Loader {
    /// Starts loading on the current runtime. Redis and ClickHouse may come later: it keeps trying.
    pub fn start(
        options: LoaderOptions,
        store: Store,
        clock: Clock,
        instruments: watch::Receiver<Arc<InstrumentTable>>,
        calendar: Arc<Calendar>,
    ) -> Self {
        let state = watch::Sender::new(LoaderState::default());
        let counters = Counters::default();
        let unreleased = Mutex::default();
        let (outlet, published) = Outlet::new(options.publish_flat.as_ref());
        let shared = Arc::new(Shared {
            options,
            store,
            clock,
            calendar,
            instruments,
            counters,
            state,
            unreleased,
            outlet,
        });
        let stop = watch::Sender::new(false);
        let task = tokio::spawn(run(Arc::clone(&shared), stop.subscribe(), published));
        Self { shared, stop, task }
    }

    /// What it has done.
    pub fn counters(&self) -> LoaderCounters {
        self.shared.counters.snapshot()
    }

    /// The latencies so far, socket to queryable, per tick.
    pub fn latency(&self) -> Latency {
        self.shared.counters.latency()
    }

    /// Where it stands.
    pub fn state(&self) -> LoaderState {
        self.shared.state.borrow().clone()
    }

    /// Waits until everything that was in Redis when this was called is stored.
    ///
    /// # Cancel safety
    /// Safe: it only watches.
    pub async fn caught_up(&self) {
        let mut states = self.shared.state.subscribe();
        let looked = states.borrow().looked;
        // two looks later every stream was looked at after the call
        let settled = |state: &LoaderState| {
            state.looked >= looked + 2
                && state.fence.is_some()
                && state.streams.iter().all(|stream| stream.caught_up)
        };
        let found = states.wait_for(settled).await;
        drop(found.expect("the sender lives in the loader that is borrowed"));
    }

    /// Ends at once, like a killed process: nothing is finished, the lease expires by itself.
    pub fn kill(self) {
        self.task.abort();
    }

    /// Stores what it has read, gives the lease back and ends.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        if let Err(error) = self.task.await {
            tracing::error!(%error, "the loader ended by a fault");
        }
    }
}

/// Owns the streams again and again, until told to stop.
async fn run(
    shared: Arc<Shared>,
    mut stop: watch::Receiver<bool>,
    published: Option<mpsc::Receiver<Vec<FlatTick>>>,
) {
    let publishing = outlet::start(&shared, published);
    let mut pause = PAUSES.0;
    while !*stop.borrow() {
        let began = std::time::Instant::now();
        let ended = async {
            let owner = Owner::begin(&shared).await?;
            owner.run(stop.clone()).await
        };
        let result = tokio::select! {
            result = ended => result,
            // only while nothing is owned: an owner listens to the signal itself
            () = never_owned(&shared, stop.clone()) => Ok(()),
        };
        let Err(error) = result else { break };
        note(&shared, &error);
        // a loader that ran for a while before the error begins with a short pause again
        pause = if began.elapsed() > PAUSES.1 * 2 { PAUSES.0 } else { (pause * 2).min(PAUSES.1) };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = stop.wait_for(|stop| *stop) => {}
        }
    }
    shared.outlet.close(publishing).await;
}

/// Ends when the loader is told to stop and owns nothing.
async fn never_owned(shared: &Shared, mut stop: watch::Receiver<bool>) {
    let stopped = stop.wait_for(|stop| *stop).await.map(drop);
    if stopped.is_err() || shared.state.borrow().fence.is_none() {
        return;
    }
    std::future::pending::<()>().await;
}

fn note(shared: &Shared, error: &LoadError) {
    Counters::add(&shared.counters.restarts, 1);
    let text = chain(error);
    tracing::warn!(error = text, "loading stopped, starting again from what is stored");
    shared.state.send_modify(|state| {
        state.fence = None;
        state.error = Some(text);
    });
}

/// An error and its causes in one line.
fn chain(error: &LoadError) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
