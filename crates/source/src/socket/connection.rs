//! One open connection, from its first subscribe to its end.

use super::SocketSetup;
use super::continuity::Continuity;
use super::dial::{Stream, describe};
use super::outlet::{Outlet, plain};
use super::watchdog::{Dead, Watchdog};
use crate::snapshot::Awaiting;
use crate::{Secret, SocketControl, SourceError};
use bytes::Bytes;
use futures_util::{Sink, Stream as _};
use rustc_hash::{FxHashMap, FxHashSet};
use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tickhouse_decode::{Request, packet_count, text::TextMessage};
use tickhouse_model::{Gap, GapCause, Mode, Observed, RecordKind, SnapshotMarks, Timestamp, Token};
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Error as WsError, Message};

/// Shortest binary message that can hold a packet; Kite's heartbeat has one byte.
const LEAST_DATA: usize = 4;

/// Close codes that are refusals when they come soon after the handshake: policy, server error, try again later.
const REFUSALS: [u16; 3] = [1008, 1011, 1013];

/// What one connection after another of a socket has in common.
pub(crate) struct Shared<'a> {
    pub(crate) setup: &'a SocketSetup,
    pub(crate) outlet: &'a Outlet,
    pub(crate) continuity: &'a mut Continuity,
    /// Silent instruments that a gap record has named already.
    pub(crate) named_silent: &'a mut FxHashSet<Token>,
    pub(crate) token: &'a Secret,
}

/// How a connection ended.
#[derive(Debug)]
pub(crate) struct End {
    pub(crate) cause: GapCause,
    pub(crate) detail: String,
    /// On our own request.
    pub(crate) stopped: bool,
    /// Closed by the server so soon and in such words that the next attempt should wait.
    pub(crate) refused: bool,
    /// How long the connection was good for.
    pub(crate) lived: Duration,
    pub(crate) strikes: u32,
}

pub(crate) struct Connection<'a> {
    shared: Shared<'a>,
    stream: Stream,
    /// Messages that wait for the network; reading goes on meanwhile.
    outbox: VecDeque<Message>,
    unflushed: bool,
    /// Writing failed: what the server sent before is still read, reading then tells why.
    deaf: bool,
    active: FxHashMap<Token, Mode>,
    awaiting: Awaiting,
    watchdog: Watchdog,
    look_at: Instant,
    /// When the last change of subscriptions should have been answered, and when it was sent.
    snapshots_due: Option<(Instant, Timestamp)>,
    warned: bool,
}

impl<'a> Connection<'a> {
    pub(crate) fn new(shared: Shared<'a>, stream: Stream, strikes: u32) -> Self {
        let now = Instant::now();
        let watchdog = Watchdog::new(&shared.setup.options, now, strikes);
        Self {
            shared,
            stream,
            outbox: VecDeque::new(),
            unflushed: false,
            deaf: false,
            active: FxHashMap::default(),
            awaiting: Awaiting::default(),
            watchdog,
            look_at: now,
            snapshots_due: None,
            warned: false,
        }
    }

    /// Subscribes, then reads until the connection or the socket ends.
    ///
    /// # Cancel safety
    /// Not safe: a message that was read may be lost. It is dropped only with its whole socket task.
    pub(crate) async fn run(mut self, control: &mut SocketControl) -> Result<End, SourceError> {
        self.adjust(control).await?;
        let timer = tokio::time::sleep_until(self.look_at);
        tokio::pin!(timer);
        loop {
            if control.is_stopped() {
                return self.close().await;
            }
            let event = tokio::select! {
                biased;
                () = control.changed() => None,
                // before the timer: what has arrived counts before it is missed
                message = std::future::poll_fn(|cx| self.poll(cx)) => Some(message),
                () = &mut timer => None,
            };
            let now = Instant::now();
            if let Some(message) = event {
                if let Some(end) = self.receive(message, now).await? {
                    return Ok(end);
                }
            } else {
                self.adjust(control).await?;
                timer.as_mut().reset(self.look_at);
            }
            if now >= self.look_at {
                if let Some(end) = self.look(now).await? {
                    return Ok(end);
                }
                timer.as_mut().reset(self.look_at);
            }
        }
    }

    /// Drives the outbox and reads one message.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Message, WsError>>> {
        if !self.deaf && (self.unflushed || !self.outbox.is_empty()) && self.poll_write(cx).is_err() {
            self.deaf = true;
            self.outbox.clear();
        }
        Pin::new(&mut self.stream).poll_next(cx)
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> Result<(), WsError> {
        while !self.outbox.is_empty() {
            match Pin::new(&mut self.stream).poll_ready(cx)? {
                Poll::Pending => return Ok(()),
                Poll::Ready(()) => {}
            }
            if let Some(message) = self.outbox.pop_front() {
                Pin::new(&mut self.stream).start_send(message)?;
                self.unflushed = true;
            }
        }
        if Pin::new(&mut self.stream).poll_flush(cx)?.is_ready() {
            self.unflushed = false;
        }
        Ok(())
    }

    /// Sends what makes the connection carry what is wanted; nothing when it does.
    async fn adjust(&mut self, control: &SocketControl) -> Result<(), SourceError> {
        let difference = control.difference(&self.active);
        let requests = difference.requests(self.shared.setup.options.batch);
        if requests.is_empty() {
            return Ok(());
        }
        let at = self.shared.setup.clock.now();
        for request in &requests {
            let text = request.to_json();
            self.shared.outlet.subscription(at, &text).await?;
            self.outbox.push_back(Message::text(text));
        }
        for token in &difference.removed {
            self.active.remove(token);
            self.awaiting.forget(*token);
        }
        for (token, mode) in difference.added.into_iter().chain(difference.modes) {
            self.active.insert(token, mode);
            self.awaiting.expect(token, mode);
        }
        let due = Instant::now() + self.shared.setup.options.snapshot_within;
        self.snapshots_due = Some((due, at));
        self.look_at = self.look_at.min(due);
        self.count_subscriptions();
        tracing::debug!(
            socket = self.shared.setup.socket,
            instruments = self.active.len(),
            messages = requests.len(),
            unsubscribes =
                requests.iter().filter(|request| matches!(request, Request::Unsubscribe(_))).count(),
            "subscriptions sent"
        );
        Ok(())
    }

    fn count_subscriptions(&self) {
        let silent = self.awaiting.silent_count();
        self.shared.outlet.handle.stats().subscribed(self.active.len(), silent);
    }

    async fn receive(
        &mut self,
        message: Option<Result<Message, WsError>>,
        now: Instant,
    ) -> Result<Option<End>, SourceError> {
        let message = match message {
            Some(Ok(message)) => message,
            Some(Err(error)) => {
                let detail = describe(&error, self.shared.token);
                return Ok(Some(self.end(GapCause::Broken, detail, None)));
            }
            None => return Ok(Some(self.end(GapCause::Closed, "connection ended".to_owned(), None))),
        };
        self.watchdog.frame(now);
        match message {
            Message::Binary(payload) => self.binary(payload, now).await?,
            Message::Text(text) => self.text(text.into()).await?,
            Message::Close(frame) => return Ok(Some(self.closed(frame).await)),
            // tungstenite answers pings with the next read
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
        }
        Ok(None)
    }

    async fn binary(&mut self, payload: Bytes, now: Instant) -> Result<(), SourceError> {
        let received_at = self.shared.setup.clock.now();
        let is_data = payload.len() >= LEAST_DATA;
        let stats = self.shared.outlet.handle.stats();
        stats.frame(received_at, payload.len(), packet_count(&payload), is_data);
        let mut snapshots = SnapshotMarks::None;
        if is_data {
            self.watchdog.data(now);
            self.shared.outlet.show(&payload);
            if let Some(gap) = self.shared.continuity.data(received_at) {
                self.end_gap(gap).await?;
            }
            if !self.awaiting.is_empty() {
                snapshots = self.awaiting.mark(&payload);
                self.count_subscriptions();
            }
        }
        let frame = Observed { received_at, kind: RecordKind::Frame, snapshots, payload };
        let waited = self.shared.outlet.send(frame).await?;
        if !waited.is_zero() {
            self.watchdog.stalled(waited);
        }
        Ok(())
    }

    /// Records the end of a hole, before the frame that ends it.
    #[cold]
    async fn end_gap(&mut self, mut gap: Gap) -> Result<(), SourceError> {
        gap.tokens = self.active.keys().copied().collect();
        gap.tokens.sort_unstable();
        let waited = self.shared.outlet.gap(gap.to, &gap).await?;
        self.watchdog.stalled(waited);
        Ok(())
    }

    async fn text(&mut self, payload: Bytes) -> Result<(), SourceError> {
        let received_at = self.shared.setup.clock.now();
        let stats = self.shared.outlet.handle.stats();
        stats.message(received_at, payload.len());
        let message = TextMessage::parse(std::str::from_utf8(&payload).unwrap_or_default());
        match &message {
            TextMessage::Order(_) => stats.order(),
            TextMessage::Message(_) => stats.broker_message(),
            TextMessage::Error(text) => {
                stats.error_text(message.is_over_limit());
                if !std::mem::replace(&mut self.warned, true) {
                    let text = self.shared.token.redact(text);
                    let instruments = self.active.len();
                    let socket = self.shared.setup.socket;
                    tracing::warn!(
                        socket,
                        instruments,
                        text,
                        "kite reports an error, the connection goes on"
                    );
                }
            }
            _ => {}
        }
        let waited = self.shared.outlet.send(plain(received_at, RecordKind::Text, payload)).await?;
        self.watchdog.stalled(waited);
        Ok(())
    }

    /// The watchdogs' round.
    async fn look(&mut self, now: Instant) -> Result<Option<End>, SourceError> {
        let setup = self.shared.setup;
        let in_session = setup.gate.is_open(setup.clock.now());
        let options = &setup.options;
        match self.watchdog.verdict(now, in_session && !self.active.is_empty()) {
            Some(dead @ Dead::Silent) => {
                let detail = format!("no frame for {:?}", options.read_timeout);
                return Ok(Some(self.end(GapCause::ReadTimeout, detail, Some(dead))));
            }
            Some(dead @ Dead::HeartbeatsOnly) => {
                let silence = self.watchdog.waited_for_data(now).as_secs_f64();
                let detail = format!("heartbeats only, no data for {silence:.1} s");
                return Ok(Some(self.end(GapCause::HeartbeatsOnly, detail, Some(dead))));
            }
            None => {}
        }
        if let Some((due, since)) = self.snapshots_due
            && now >= due
        {
            self.snapshots_due = None;
            if in_session && self.watchdog.has_data() {
                self.name_silent(since).await?;
            }
        }
        if self.watchdog.ping_due(now) && self.outbox.is_empty() && !self.unflushed {
            self.outbox.push_back(Message::Ping(Bytes::new()));
        }
        let due = self.snapshots_due.map(|(due, _)| due);
        self.look_at = due.into_iter().fold(self.watchdog.next_look(), Instant::min);
        Ok(None)
    }

    /// Records which instruments have not answered, those that were named before left out.
    async fn name_silent(&mut self, since: Timestamp) -> Result<(), SourceError> {
        let silent: FxHashSet<Token> = self.awaiting.silent().collect();
        self.shared.named_silent.retain(|token| silent.contains(token));
        let mut tokens: Vec<Token> = silent.difference(self.shared.named_silent).copied().collect();
        if tokens.is_empty() {
            return Ok(());
        }
        tokens.sort_unstable();
        self.shared.named_silent.extend(&tokens);
        let within = self.shared.setup.options.snapshot_within;
        let (missing, all) = (silent.len(), self.active.len());
        let detail =
            format!("{missing} of {all} instruments sent no snapshot within {within:?} of their subscribe");
        tracing::warn!(
            socket = self.shared.setup.socket,
            missing,
            instruments = all,
            "instruments are silent"
        );
        let to = self.shared.setup.clock.now();
        let gap = Gap { from: since, to, cause: GapCause::Silent, detail, tokens };
        self.shared.outlet.gap(to, &gap).await?;
        Ok(())
    }

    /// The server closed: answers, and tells why.
    async fn closed(&mut self, frame: Option<CloseFrame>) -> End {
        let flush = std::future::poll_fn(|cx| Pin::new(&mut self.stream).poll_flush(cx));
        // the reply is a courtesy
        drop(tokio::time::timeout(self.shared.setup.options.close_timeout, flush).await);
        let Some(CloseFrame { code, reason }) = frame else {
            return self.end(GapCause::Closed, "closed by the server without a code".to_owned(), None);
        };
        let code = u16::from(code);
        let reason = self.shared.token.redact(&reason);
        let mut end = self.end(GapCause::Closed, format!("closed by the server: {code} {reason}"), None);
        end.refused = REFUSALS.contains(&code) && end.lived < self.shared.setup.options.refusal_window;
        end
    }

    /// Closes on our own request; frames that still come are kept.
    async fn close(mut self) -> Result<End, SourceError> {
        let deadline = Instant::now() + self.shared.setup.options.close_timeout;
        self.outbox.push_back(Message::Close(None));
        let mut messages = 0_u32;
        loop {
            let next = std::future::poll_fn(|cx| self.poll(cx));
            match tokio::time::timeout_at(deadline, next).await {
                Ok(Some(Ok(Message::Binary(payload)))) => self.binary(payload, Instant::now()).await?,
                Ok(Some(Ok(Message::Text(text)))) => self.text(text.into()).await?,
                Ok(Some(Ok(_))) => {}
                Ok(Some(Err(_)) | None) | Err(_) => break,
            }
            messages += 1;
            if messages.is_multiple_of(64) && Instant::now() >= deadline {
                break;
            }
        }
        let mut end = self.end(GapCause::RecorderDown, "shut down on request".to_owned(), None);
        end.stopped = true;
        Ok(end)
    }

    fn end(&self, cause: GapCause, detail: String, dead: Option<Dead>) -> End {
        let lived = self.watchdog.lived(dead);
        End { cause, detail, stopped: false, refused: false, lived, strikes: self.watchdog.strikes() }
    }
}
