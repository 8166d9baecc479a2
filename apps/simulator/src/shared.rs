//! What connections and requests of one simulator share.

use crate::access::Access;
use crate::counters::Tally;
use crate::faults::FaultScript;
use crate::floor::Command;
use crate::ledger::{Ledger, Line};
use crate::market::Traded;
use crate::universe::Universe;
use std::sync::Arc;
use tickhouse_model::Packet;
use tickhouse_model::Timestamp;
use tickhouse_telemetry::Clock;
use tokio::sync::{mpsc, oneshot};

/// Shared by all tasks; everything in it is read-only or guards itself.
pub(crate) struct Shared {
    pub(crate) universe: Arc<Universe>,
    pub(crate) clock: Clock,
    pub(crate) seed: u64,
    pub(crate) tally: Arc<Tally>,
    pub(crate) ledger: Ledger,
    pub(crate) access: Arc<Access>,
    pub(crate) faults: Arc<FaultScript>,
    pub(crate) floor: mpsc::Sender<Command>,
    pub(crate) tokens_per_connection: usize,
    pub(crate) packets_per_frame: Option<u16>,
    pub(crate) rate_limits: bool,
    /// Of the instruments master, as the first text message gives it.
    pub(crate) etag: String,
}

impl Shared {
    /// Adds a line of the present to the ledger.
    pub(crate) async fn log(&self, line: impl FnOnce(i64) -> Line) {
        self.ledger.write(|| line(self.clock.now().as_millis())).await;
    }

    /// Last values of instruments, by place in the universe; `None` when the floor is closed.
    pub(crate) async fn quotes(&self, indexes: Vec<u32>) -> Option<(Timestamp, Vec<Packet>)> {
        let (reply, quotes) = oneshot::channel();
        self.floor.send(Command::Quotes { indexes, reply }).await.ok()?;
        quotes.await.ok()
    }

    /// What was traded of an instrument, minute by minute; `None` when the floor is closed.
    pub(crate) async fn traded(&self, index: u32) -> Option<Traded> {
        let (reply, traded) = oneshot::channel();
        self.floor.send(Command::Traded { index, reply }).await.ok()?;
        traded.await.ok()
    }

    /// Stops the market; returns when everything that was due has been handed to the sockets and is in the ledger.
    pub(crate) async fn pause(&self) {
        let (reply, paused) = oneshot::channel();
        if self.floor.send(Command::Pause(reply)).await.is_ok()
            && let Ok(mut draining) = paused.await
        {
            // ends when the last connection has dropped its barrier
            while draining.recv().await.is_some() {}
        }
        self.ledger.flush().await;
    }

    /// Lets the market go on.
    pub(crate) async fn resume(&self) {
        let (reply, resumed) = oneshot::channel();
        if self.floor.send(Command::Resume(reply)).await.is_ok() {
            // an error means that the floor is closed, and there is nothing to resume
            resumed.await.ok();
        }
    }
}
