//! What all requests share.

use crate::access::{Access, Guard};
use crate::gate::Gate;
use crate::limits::Limits;
use crate::live::Viewers;
use jiff::civil::Date;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tickhouse_enrich::Calendar;
use tickhouse_live::Market;
use tickhouse_model::Timestamp;
use tickhouse_read::Reader;
use tickhouse_telemetry::{Clock, LatencySummary};
use tokio::sync::watch;

/// The newest health as JSON, made about every second by whoever runs the page; `None` while there is none.
pub type HealthText = watch::Receiver<Option<Arc<str>>>;

/// What the page is made of.
#[derive(Debug)]
pub struct WebOptions {
    /// The tables, as a user who can only read.
    pub reader: Reader,
    /// The newest states.
    pub market: Arc<Market>,
    /// The hours of markets.
    pub calendar: Arc<Calendar>,
    /// The present.
    pub clock: Clock,
    /// Who may ask.
    pub access: Access,
    /// How much.
    pub limits: Limits,
    /// How the pipeline is.
    pub health: HealthText,
}

/// What all requests share.
#[derive(Debug)]
pub struct Web {
    pub(crate) reader: Reader,
    pub(crate) market: Arc<Market>,
    pub(crate) calendar: Arc<Calendar>,
    pub(crate) clock: Clock,
    pub(crate) limits: Limits,
    pub(crate) health: HealthText,
    pub(crate) guard: Arc<Guard>,
    pub(crate) gate: Gate,
    pub(crate) viewers: Viewers,
}

/// What was counted since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize)]
pub struct WebCounts {
    /// Questions that were answered.
    pub answered: u64,
    /// Questions that failed, waited too long or took too long.
    pub failed: u64,
    /// Requests that were refused for their `Host`, `Origin`, token or length.
    pub refused: u64,
    /// Clients of `/v1/live` now.
    pub clients: u64,
    /// Since the start.
    pub clients_total: u64,
    /// Those that were refused: too many at once.
    pub clients_refused: u64,
    /// Those that were closed because they took nothing.
    pub clients_stalled: u64,
    /// Messages to them.
    pub messages: u64,
    /// Bytes of these.
    pub message_bytes: u64,
    /// Messages from them that could not be obeyed.
    pub bad_messages: u64,
    /// From the socket of the exchange to that of the browser, per quote.
    pub socket_to_browser: LatencySummary,
}

impl Web {
    /// Ready to answer.
    pub fn new(options: WebOptions) -> Arc<Self> {
        let WebOptions { reader, market, calendar, clock, access, limits, health } = options;
        let (guard, gate) = (Arc::new(Guard::new(access, &limits)), Gate::new(&limits));
        let viewers = Viewers::new(limits.viewers);
        Arc::new(Self { reader, market, calendar, clock, limits, health, guard, gate, viewers })
    }

    /// What was counted.
    pub fn counts(&self) -> WebCounts {
        let read = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        WebCounts {
            answered: read(&self.gate.answered),
            failed: read(&self.gate.refused),
            refused: self.guard.refused(),
            ..self.viewers.counts()
        }
    }

    /// The latencies from the exchange's socket to the browser's, per quote.
    pub fn socket_to_browser(&self) -> tickhouse_telemetry::Latency {
        self.viewers.latency()
    }

    /// Says goodbye to every WebSocket: their browsers come back to who is here next.
    pub fn close(&self) {
        self.viewers.close();
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// India's date.
    pub(crate) fn today(&self) -> Date {
        let (year, month, day) = self.now().ist().date();
        Date::new(year as i16, month as i8, day as i8).unwrap_or(Date::ZERO)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A page that shows nothing.
    pub(crate) fn web() -> Arc<Web> {
        Web::new(WebOptions {
            // nobody answers there
            reader: Reader::new(tickhouse_read::ReaderOptions::at("http://127.0.0.1:1")),
            market: Arc::default(),
            calendar: Calendar::builtin(),
            clock: Clock::system(),
            access: Access::Machine,
            limits: Limits::default(),
            health: watch::channel(None).1,
        })
    }
}
