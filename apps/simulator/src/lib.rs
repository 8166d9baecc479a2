//! An exchange on localhost that speaks Kite's WebSocket and REST on one port.
//!
//! What enters: a seed, a rate, a fault script; clients that mean to talk to Kite. What leaves: their data, and a ledger of
//! what was sent. What never happens here: anything that a real Kite client could not understand, unless a fault asks
//! for it.
//!
//! ```text
//! floor (a thread: market, clock) ── events ──▶ connection tasks ──▶ sockets
//!        ▲  requests, quotes, pause                   │ lines
//!        └──────────── connections, REST              ▼
//!                                               ledger (a thread)
//! ```
//!
//! Every arrow is a bounded queue. A connection's queue being full stops the market by default ([`SlowClient::Wait`]), so
//! that the ledger is a complete oracle; the real Kite closes such clients ([`SlowClient::Disconnect`]).

mod access;
mod connection;
mod counters;
pub mod faults;
mod floor;
pub mod ledger;
mod listener;
mod market;
mod options;
mod rest;
mod server;
mod shared;
mod universe;

pub use counters::Counters;
pub use faults::{FaultError, FaultScript};
pub use options::{Credentials, Session, SimOptions, SlowClient};
pub use universe::{Listing, MOST_INSTRUMENTS, Universe};

use access::Access;
use counters::Tally;
use floor::{Command, Floor, Pace};
use jiff::civil::Date;
use ledger::Ledger;
use market::Market;
use shared::Shared;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use tickhouse_model::Timestamp;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

/// Commands under way to the floor.
const COMMANDS: usize = 256;

/// How long connections get to say goodbye.
const GOODBYE: Duration = Duration::from_secs(2);

/// Why a simulator did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SimError {
    /// The address cannot be listened on.
    #[error(
        "simulator cannot listen on {address}: {source}; choose another with --listen HOST:PORT (port 0 takes a free one)"
    )]
    Listen {
        /// Which address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The ledger cannot be opened.
    #[error("ledger {path} cannot be opened for appending: {source}")]
    Ledger {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The rate is not a number of packets per second.
    #[error("rate {0}: use packets per second, 0 to 10000000")]
    Rate(f64),
    /// More or fewer instruments than a universe can have.
    #[error("{0} instruments: use 1 to {MOST_INSTRUMENTS}")]
    Instruments(usize),
    /// The system gives no thread.
    #[error("no thread for the market: {0}")]
    Thread(io::Error),
}

/// A running exchange. Dropping it ends it without goodbyes; [`Simulator::stop`] is the clean way.
pub struct Simulator {
    shared: Arc<Shared>,
    local_addr: SocketAddr,
    server: AbortHandle,
    floor: Option<JoinHandle<()>>,
}

impl std::fmt::Debug for Simulator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Simulator").field("local_addr", &self.local_addr).finish_non_exhaustive()
    }
}

impl Simulator {
    /// Binds, lists the instruments and opens the market. Must be called on a tokio runtime.
    ///
    /// # Errors
    /// [`SimError`], before anything was started.
    pub async fn start(options: SimOptions) -> Result<Self, SimError> {
        if !(0.0..=10_000_000.0).contains(&options.rate) {
            return Err(SimError::Rate(options.rate));
        }
        if !(1..=MOST_INSTRUMENTS).contains(&options.instruments) {
            return Err(SimError::Instruments(options.instruments));
        }
        let refused = |source| SimError::Listen { address: options.listen, source };
        let listener = TcpListener::bind(options.listen).await.map_err(refused)?;
        let local_addr = listener.local_addr().map_err(refused)?;
        let ledger = match &options.ledger {
            None => Ledger::default(),
            Some(path) => {
                Ledger::open(path).map_err(|source| SimError::Ledger { path: path.clone(), source })?
            }
        };
        let (floor, commands) = mpsc::channel(COMMANDS);
        let shared = Arc::new(shared(&options, ledger, floor));
        let floor = open_floor(&options, &shared, commands).map_err(SimError::Thread)?;
        let server = tokio::spawn(server::serve(listener, Arc::clone(&shared))).abort_handle();
        tracing::info!(%local_addr, instruments = options.instruments, rate = options.rate, "simulator is open");
        Ok(Self { shared, local_addr, server, floor: Some(floor) })
    }

    /// Where it listens.
    pub const fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// What it lists.
    pub fn universe(&self) -> &Universe {
        &self.shared.universe
    }

    /// What it did so far.
    pub fn counters(&self) -> Counters {
        self.shared.tally.read()
    }

    /// Stops the market. When it returns, everything that was due has been handed to the sockets and the ledger is in
    /// its file, and no further data frame is sent, but snapshots for those who subscribe meanwhile; heartbeats go on.
    /// Waits for clients that do not read.
    pub async fn pause(&self) {
        self.shared.pause().await;
    }

    /// Lets the market go on.
    pub async fn resume(&self) {
        self.shared.resume().await;
    }

    /// Sends a text message to every connection, e.g. an order postback. An exchange that has ended sends nothing.
    pub async fn broadcast(&self, text: &str) {
        // fails only after the floor ended
        self.shared.floor.send(Command::Text(text.into())).await.ok();
    }

    /// Closes every connection, then the port, then the ledger.
    pub async fn stop(mut self) {
        self.server.abort();
        self.shared.access.evict_all("the exchange closed");
        let gone = async {
            while !self.shared.access.is_empty() {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        if tokio::time::timeout(GOODBYE, gone).await.is_err() {
            tracing::warn!("some clients did not answer the close");
        }
        // the floor may wait for a client that never reads: it ends when that connection does
        tokio::time::timeout(GOODBYE, self.shared.floor.send(Command::Stop)).await.ok();
        self.shared.ledger.flush().await;
        if let Some(floor) = self.floor.take()
            && tokio::task::spawn_blocking(|| floor.join()).await.is_ok_and(|joined| joined.is_err())
        {
            tracing::error!("the market's thread panicked");
        }
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.server.abort();
        self.shared.access.evict_all("the exchange closed");
        // when the queue is full the floor ends with the last connection, which holds the queue
        self.shared.floor.try_send(Command::Stop).ok();
    }
}

fn date_of(now: Timestamp) -> Date {
    let (year, month, day) = now.ist().date();
    Date::new(year as i16, month as i8, day as i8).expect("the clock's range is within the calendar's")
}

fn shared(options: &SimOptions, ledger: Ledger, floor: mpsc::Sender<Command>) -> Shared {
    let today = date_of(options.clock.now());
    let faults = Arc::new(options.faults.clone().unwrap_or_default());
    let access = Access::new(options.credentials.clone(), options.connections_per_key, Arc::clone(&faults));
    Shared {
        universe: Arc::new(Universe::generate(options.seed, options.instruments, today)),
        clock: options.clock.clone(),
        seed: options.seed,
        tally: Arc::new(Tally::default()),
        ledger,
        access: Arc::new(access),
        faults,
        floor,
        tokens_per_connection: options.tokens_per_connection,
        packets_per_frame: options.packets_per_frame,
        rate_limits: options.rate_limits,
        etag: format!("W/\\\"{:08x}-{:04x}\\\"", options.seed as u32, options.instruments),
    }
}

/// Starts the floor's thread, with a runtime of its own so that busy connections do not delay the market.
fn open_floor(
    options: &SimOptions,
    shared: &Arc<Shared>,
    commands: mpsc::Receiver<Command>,
) -> io::Result<JoinHandle<()>> {
    let market = Market::new(Arc::clone(&shared.universe), options.seed, options.clock.now());
    let pace = Pace {
        rate: options.rate,
        step: Duration::from_millis(if options.packets_per_frame.is_some() { 2 } else { 20 }),
        session: options.session,
        opening_burst: options.opening_burst,
        slow_client: options.slow_client,
    };
    let floor = Floor::new(market, options.clock.clone(), pace, commands, Arc::clone(&shared.tally));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    std::thread::Builder::new().name("sim-floor".to_owned()).spawn(move || runtime.block_on(floor.run()))
}
