//! The life of a socket: connect, record, reconnect.
//!
//! # What is recorded
//! In the order in which it happened: `Connect` when a connection opens; `Subscription` for every text sent; `Frame` for
//! every binary message, heartbeats included; `Text` for every text message; `Disconnect` when a connection ends, and
//! for the first of several failed attempts of one cause; `Gap` when data flows again after a hole, just before the frame
//! that ends it, and (cause `Silent`) when instruments have not answered their subscribe in time.
//!
//! # What a refusal does
//! | answer | next attempt |
//! |---|---|
//! | 401, 403, no sister socket open | the key pauses until its access token changes or a sister gets through |
//! | 401, 403, a sister socket open | the connection limit: after `refused_delay`, jittered |
//! | 429; a close with 1008, 1011, 1013 soon after the handshake | after `refused_delay`, jittered |
//! | anything else | after 1, 2, 4, … 60 s, jittered; from the start again only after a healthy connection |

mod connection;
mod continuity;
mod dial;
mod outlet;
mod watchdog;

use crate::{
    AccessToken, Backoff, Key, Secret, SessionGate, SocketControl, SocketState, SourceError, TickerOptions,
};
use connection::{Connection, Shared};
use continuity::Continuity;
use dial::{Failure, FailureKind, Stream, cause_of, dial};
use outlet::Outlet;
use rustc_hash::FxHashSet;
use std::time::Duration;
use tickhouse_model::{Connected, Disconnected, GapCause, Observed, SocketId, Timestamp, Token};
use tickhouse_telemetry::Clock;
use tokio::sync::mpsc;

/// What a socket is, apart from what it carries.
#[derive(Clone, Debug)]
pub struct SocketSetup {
    /// Its number within the recorder.
    pub socket: SocketId,
    /// The API key that it shares with its sister sockets.
    pub key: Key,
    /// How it behaves.
    pub options: TickerOptions,
    /// Gives receive times.
    pub clock: Clock,
    /// When data is to be expected.
    pub gate: SessionGate,
    /// What the recorder's process before this one left on this socket, as its journal tells; `None` on the first start.
    pub previous: Option<PreviousSession>,
}

/// Where the process before this one ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PreviousSession {
    /// Receive time of its last data frame, [`Timestamp::NONE`] when there was none.
    pub last_frame_at: Timestamp,
}

/// Runs one socket until [`SocketHandle::shut_down`](crate::SocketHandle::shut_down): the whole task.
///
/// `queue` is the bounded way to the journal; while it is full the socket is not read.
///
/// # Errors
/// When an option cannot work, or the receiver of `queue` is gone. A lost connection is no error.
///
/// # Cancel safety
/// Not safe: dropping it loses what was read and not yet handed over, and leaves no `Disconnect` record. Shut it down.
pub async fn run_socket(
    setup: SocketSetup,
    mut control: SocketControl,
    queue: mpsc::Sender<Observed>,
) -> Result<(), SourceError> {
    setup.options.check()?;
    let copies = control.take_copies();
    let outlet = Outlet { socket: setup.socket, queue, handle: control.handle(), copies };
    let previous = setup.previous.map_or(Timestamp::NONE, |previous| previous.last_frame_at);
    let (least, most) = setup.options.backoff;
    let mut socket = Socket {
        continuity: Continuity::new(setup.clock.now(), previous),
        backoff: Backoff::new(least, most),
        token: setup.key.token(),
        setup,
        control,
        outlet,
        attempt: 0,
        failing: None,
        strikes: 0,
        named_silent: FxHashSet::default(),
    };
    let result = socket.run().await;
    let reason = result.as_ref().map_or_else(ToString::to_string, |()| "shut down on request".to_owned());
    socket.control.stats().enter(SocketState::Stopped, Some(&reason));
    result
}

struct Socket {
    setup: SocketSetup,
    control: SocketControl,
    outlet: Outlet,
    token: AccessToken,
    continuity: Continuity,
    backoff: Backoff,
    /// Attempts since the last connection.
    attempt: u32,
    /// Cause of the attempts that have failed since the last connection.
    failing: Option<GapCause>,
    strikes: u32,
    named_silent: FxHashSet<Token>,
}

/// When to try again.
enum Next {
    /// At once, or when the key's pause is over.
    WhenReady,
    /// After a delay, or when the access token changes.
    After(Duration),
    Stop,
}

impl Socket {
    async fn run(&mut self) -> Result<(), SourceError> {
        loop {
            let Some(token) = self.credentials().await else { return Ok(()) };
            self.attempt = self.attempt.saturating_add(1);
            self.control.stats().attempt();
            self.control.stats().enter(SocketState::Connecting, None);
            let dialled = tokio::select! {
                biased;
                () = self.control.stopped() => return Ok(()),
                dialled = dial(&self.setup.options, self.setup.key.api_key(), &token) => dialled,
            };
            let next = match dialled {
                Ok(stream) => self.session(stream, &token).await?,
                Err(failure) => self.failed(failure, &token).await?,
            };
            match next {
                Next::WhenReady => {}
                Next::After(delay) if self.wait(delay).await => {}
                Next::After(_) | Next::Stop => return Ok(()),
            }
        }
    }

    /// The access token to try, once there is one that was not refused. `None`: shut down.
    async fn credentials(&mut self) -> Option<Secret> {
        // before the refusal is judged: a sister that opens afterwards wakes the wait below
        let mut sisters = self.setup.key.watch_open();
        loop {
            if self.control.is_stopped() {
                return None;
            }
            let token = self.token.take();
            let reason = if token.is_empty() {
                "there is no access token yet: log in"
            } else if self.setup.key.is_refused(&token) {
                "the access token was refused: log in again"
            } else {
                return Some(token);
            };
            if self.control.stats().state() != SocketState::Paused {
                let (socket, api_key) = (self.setup.socket, self.setup.key.api_key());
                tracing::error!(socket, api_key, reason, "socket paused");
            }
            self.control.stats().enter(SocketState::Paused, Some(reason));
            tokio::select! {
                () = self.control.stopped() => return None,
                () = self.token.changed() => {}
                _ = sisters.changed() => {}
            }
        }
    }

    /// From an open connection to its end.
    async fn session(&mut self, stream: Stream, token: &Secret) -> Result<Next, SourceError> {
        let open = self.setup.key.opened(token);
        let socket = self.setup.socket;
        let endpoint = self.setup.options.shown_endpoint();
        tracing::info!(socket, endpoint, attempt = self.attempt, "socket connected");
        self.control.stats().enter(SocketState::Connected, None);
        let connected = Connected { endpoint, attempt: self.attempt };
        self.outlet.connect(self.setup.clock.now(), &connected).await?;
        self.attempt = 0;
        self.failing = None;

        let shared = Shared {
            setup: &self.setup,
            outlet: &self.outlet,
            continuity: &mut self.continuity,
            named_silent: &mut self.named_silent,
            token,
        };
        let end = Connection::new(shared, stream, self.strikes).run(&mut self.control).await?;
        drop(open);
        self.strikes = end.strikes;
        self.control.stats().subscribed(0, 0);
        self.control.stats().enter(SocketState::Waiting, Some(&end.detail));
        self.record_end(end.cause, &end.detail).await?;
        if end.stopped {
            tracing::info!(socket, "socket shut down");
            return Ok(Next::Stop);
        }
        if end.lived >= self.setup.options.healthy_after {
            self.backoff.reset();
        }
        let delay = if end.refused { self.refused_delay() } else { self.backoff.next(rand::random()) };
        let (cause, detail) = (end.cause.name(), end.detail);
        tracing::warn!(socket, cause, detail, retry_in = ?delay, "socket disconnected");
        Ok(Next::After(delay))
    }

    async fn failed(&mut self, failure: Failure, token: &Secret) -> Result<Next, SourceError> {
        let Failure { kind, detail } = failure;
        let pauses = kind == FailureKind::Forbidden && self.setup.key.forbidden(token);
        let cause = cause_of(kind, pauses);
        let detail = match kind {
            FailureKind::Forbidden if !pauses => {
                format!("{detail}, while other sockets of the key are open: taken for the connection limit")
            }
            _ => detail,
        };
        let next = match kind {
            FailureKind::Forbidden if pauses => Next::WhenReady,
            FailureKind::Forbidden | FailureKind::TooMany => Next::After(self.refused_delay()),
            FailureKind::Unreachable => Next::After(self.backoff.next(rand::random())),
        };
        let retry_in = if let Next::After(delay) = next { Some(delay) } else { None };
        let (socket, attempt) = (self.setup.socket, self.attempt);
        tracing::warn!(socket, attempt, detail, ?retry_in, "socket could not connect");
        if !pauses {
            self.control.stats().enter(SocketState::Waiting, Some(&detail));
        }
        if self.failing.replace(cause) == Some(cause) {
            self.continuity.broke(cause, &detail);
        } else {
            self.record_end(cause, &detail).await?;
        }
        Ok(next)
    }

    async fn record_end(&mut self, cause: GapCause, detail: &str) -> Result<(), SourceError> {
        self.continuity.broke(cause, detail);
        let last_frame_at = self.continuity.last_data_at();
        let event = Disconnected { cause, detail: detail.to_owned(), last_frame_at };
        self.outlet.disconnect(self.setup.clock.now(), &event).await?;
        Ok(())
    }

    /// Waits before the next attempt; a new access token cuts it short. False: shut down.
    async fn wait(&mut self, delay: Duration) -> bool {
        tokio::select! {
            biased;
            () = self.control.stopped() => false,
            () = self.token.changed() => true,
            () = tokio::time::sleep(delay) => true,
        }
    }

    fn refused_delay(&self) -> Duration {
        self.setup.options.refused_delay.mul_f64(1.0 + rand::random::<f64>())
    }
}
