//! How a socket behaves: addresses, watchdogs, delays.

use crate::SourceError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tickhouse_model::Timestamp;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

/// Kite's own address.
const KITE: &str = "wss://ws.kite.trade/";

/// Read buffer of a socket. Tungstenite zeroes what is free of it before every read, so a large one costs time with
/// small frames; a large frame gets room of its own.
const READ_BUFFER: usize = 32 * 1024;

/// Settings of a socket; times are real time, whatever the process's clock shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TickerOptions {
    /// `ws://` or `wss://` address; the key and token are added to its query.
    pub endpoint: reqwest::Url,
    /// Longest time for TCP, TLS and the WebSocket handshake together.
    pub connect_timeout: Duration,
    /// Time between our pings. Kite's own heartbeats come every second or two.
    pub ping_every: Duration,
    /// Longest time without any frame, pongs and heartbeats included, before the connection counts as dead.
    pub read_timeout: Duration,
    /// Longest time without data, in session, before a connection that still sends heartbeats counts as half dead.
    /// Doubles with each such disconnect (up to 32 times this), because a socket of illiquid instruments is quiet by
    /// nature; falls back when no silence was that long for six times this, or when the session closes.
    pub data_timeout: Duration,
    /// Shortest and longest delay before a reconnect.
    pub backoff: (Duration, Duration),
    /// How long frames must have come before the next reconnect begins at the shortest delay again.
    pub healthy_after: Duration,
    /// Shortest delay after a refusal: the connection limit, 429, or a close with 1008, 1011 or 1013 soon after the
    /// handshake. The delay is jittered up to twice as long.
    pub refused_delay: Duration,
    /// A close with 1008, 1011 or 1013 within this time counts as a refusal.
    pub refusal_window: Duration,
    /// How long after a subscribe every instrument should have sent its snapshot.
    pub snapshot_within: Duration,
    /// Longest wait for the other end's close frame at shutdown.
    pub close_timeout: Duration,
    /// Largest message; a subscribe of 3,000 instruments in full mode may answer with 558,002 bytes at once.
    pub max_message_bytes: usize,
    /// Tokens in one subscribe or mode message.
    pub batch: usize,
}

impl Default for TickerOptions {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            endpoint: KITE.parse().expect("a constant address is valid"),
            connect_timeout: seconds(10),
            ping_every: Duration::from_millis(2_500),
            read_timeout: seconds(6),
            data_timeout: seconds(10),
            backoff: (seconds(1), seconds(60)),
            healthy_after: seconds(20),
            refused_delay: seconds(30),
            refusal_window: seconds(10),
            snapshot_within: seconds(15),
            close_timeout: seconds(1),
            max_message_bytes: 16 << 20,
            batch: 500,
        }
    }
}

impl TickerOptions {
    /// The defaults with another address.
    ///
    /// # Errors
    /// When `endpoint` is no `ws://` or `wss://` URL.
    pub fn at(endpoint: &str) -> Result<Self, SourceError> {
        let problem = |problem: String| SourceError::Option { option: "endpoint", problem };
        let endpoint = endpoint.parse().map_err(|error| problem(format!("no URL: {error}")))?;
        let options = Self { endpoint, ..Self::default() };
        options.check()?;
        Ok(options)
    }

    /// Checks what types cannot say.
    ///
    /// # Errors
    /// Names the first option that cannot work.
    pub fn check(&self) -> Result<(), SourceError> {
        let problem =
            |option, problem: &str| Err(SourceError::Option { option, problem: problem.to_owned() });
        if !matches!(self.endpoint.scheme(), "ws" | "wss") || self.endpoint.host_str().is_none() {
            return problem("endpoint", "use ws://HOST:PORT or wss://HOST");
        }
        if self.batch == 0 {
            return problem("batch", "must be at least 1");
        }
        if self.ping_every.is_zero() || self.ping_every >= self.read_timeout {
            return problem(
                "ping_every",
                "must be above 0 and below `read_timeout`, or a quiet socket looks dead",
            );
        }
        if self.data_timeout.is_zero() {
            return problem("data_timeout", "must be above 0");
        }
        if self.max_message_bytes < 1 << 10 {
            return problem("max_message_bytes", "must be at least 1024");
        }
        Ok(())
    }

    /// Host and port, without user, path or query: fit for a log and a record.
    pub(crate) fn shown_endpoint(&self) -> String {
        let host = self.endpoint.host_str().unwrap_or_default();
        match self.endpoint.port_or_known_default() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        }
    }

    pub(crate) fn web_socket(&self) -> WebSocketConfig {
        WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER)
            .max_message_size(Some(self.max_message_bytes))
            .max_frame_size(Some(self.max_message_bytes))
    }
}

/// Tells whether data is to be expected at an instant: the watchdog on data sleeps while the exchange does. Called a
/// few times a second at most, on the socket's task: it must not block.
#[derive(Clone)]
pub struct SessionGate(Arc<dyn Fn(Timestamp) -> bool + Send + Sync>);

impl SessionGate {
    /// A gate of this rule.
    pub fn new(rule: impl Fn(Timestamp) -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(rule))
    }

    /// In session at every hour, like the demo's exchange.
    pub fn always() -> Self {
        Self::new(|_| true)
    }

    /// Whether the exchange is in session at `at`.
    pub fn is_open(&self, at: Timestamp) -> bool {
        (self.0)(at)
    }
}

impl fmt::Debug for SessionGate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionGate")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid_and_others_are_told_why_not() {
        TickerOptions::default().check().unwrap();
        assert_eq!(TickerOptions::default().shown_endpoint(), "ws.kite.trade:443");
        let local = TickerOptions::at("ws://user:pass@127.0.0.1:9/x?y=z").unwrap();
        assert_eq!(local.shown_endpoint(), "127.0.0.1:9");
        for bad in ["http://kite.trade", "kite", "ws:"] {
            assert!(TickerOptions::at(bad).is_err(), "{bad}");
        }
        let slow = TickerOptions { ping_every: Duration::from_secs(6), ..TickerOptions::default() };
        assert!(slow.check().unwrap_err().to_string().contains("ping_every"));
    }
}
