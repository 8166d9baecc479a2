//! One WebSocket connection: what a client sees of Kite.
//!
//! What enters: the client's messages, and the floor's events over a bounded queue. What leaves: frames, texts,
//! heartbeats and pings in Kite's form, and a ledger line for each. What never happens here: choosing what the market
//! does; looking at another connection.

mod feed;

use crate::access::Seat;
use crate::faults::{Ailments, FaultKind, Plan};
use crate::floor::{Command, Event, QUEUE};
use crate::ledger::Line;
use crate::listener::Linger;
use crate::shared::Shared;
use axum::extract::ws::{CloseFrame, Message, WebSocket};
use bytes::Bytes;
use feed::Feed;
use futures_util::{SinkExt as _, StreamExt as _};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tickhouse_decode::Request;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// Kite's heartbeat comes when there was nothing else for this long.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// The server pings now and then.
const PING: Duration = Duration::from_secs(10);

/// A remainder of packets waits for company for at most this long.
const COMPANY: Duration = Duration::from_millis(200);

/// How long a goodbye may take.
const GOODBYE: Duration = Duration::from_millis(500);

/// Why a connection ended.
enum End {
    /// The client went away, or broke the protocol.
    Client(String),
    /// We close it, with this close code.
    Close(u16, &'static str),
    /// We reset it.
    Reset,
}

impl From<axum::Error> for End {
    fn from(error: axum::Error) -> Self {
        Self::Client(error.to_string())
    }
}

/// A running connection.
pub(crate) struct Connection {
    shared: Arc<Shared>,
    seat: Seat,
    linger: Linger,
    socket: WebSocket,
    events: mpsc::Receiver<Event>,
    feed: Feed,
    plan: Plan,
    ailments: Ailments,
    /// A spoiling fault that waits for a data frame.
    spoil: Option<FaultKind>,
    /// A request that the floor has not taken yet.
    request: Option<Request>,
    sent_at: Instant,
    ping_at: Instant,
    waiting_since: Option<Instant>,
    frames: u64,
}

impl Connection {
    /// Serves a connection to its end.
    pub(crate) async fn run(shared: Arc<Shared>, seat: Seat, linger: Linger, socket: WebSocket) {
        let (sender, events) = mpsc::channel(QUEUE);
        let attach = Command::Attach {
            connection: seat.connection,
            events: sender,
            eviction: Arc::clone(&seat.eviction),
        };
        if shared.floor.send(attach).await.is_err() {
            return;
        }
        let now = Instant::now();
        let plan = shared.faults.plan(shared.access.started(), now, seat.connection, seat.socket);
        let feed =
            Feed::new(Arc::clone(&shared.universe), shared.tokens_per_connection, shared.packets_per_frame);
        let mut connection = Self {
            shared,
            seat,
            linger,
            socket,
            events,
            feed,
            ailments: plan.ailments(now),
            plan,
            spoil: None,
            request: None,
            sent_at: now,
            ping_at: now + PING,
            waiting_since: None,
            frames: 0,
        };
        connection.shared.tally.connections.add(1);
        connection.shared.tally.connections_accepted.add(1);
        let (c, socket, api_key) =
            (connection.seat.connection, connection.seat.socket, connection.seat.api_key.clone());
        connection.shared.log(|at_ms| Line::Open { c, socket, at_ms, api_key }).await;
        let eviction = Arc::clone(&connection.seat.eviction);
        let end = tokio::select! {
            end = connection.serve() => match end {
                Err(end) => end,
                Ok(never) => match never {},
            },
            reason = eviction.reason() => End::Close(1_001, reason),
        };
        connection.finish(end).await;
    }

    async fn serve(&mut self) -> Result<Infallible, End> {
        self.greet().await?;
        let floor = self.shared.floor.clone();
        loop {
            let deadline = self.deadline();
            tokio::select! {
                event = self.events.recv() => match event {
                    Some(event) => self.handle_waiting(event).await?,
                    None => return Err(End::Close(1_001, "the exchange closed")),
                },
                message = self.socket.next(), if self.request.is_none() && !self.ailments.stalled => match message {
                    Some(message) => self.receive(message?).await?,
                    None => return Err(End::Client("closed by the client".to_owned())),
                },
                permit = floor.reserve(), if self.request.is_some() => {
                    if let (Ok(permit), Some(request)) = (permit, self.request.take()) {
                        permit.send(Command::Request { connection: self.seat.connection, request });
                    }
                }
                () = tokio::time::sleep_until(deadline) => {}
            }
            self.on_time().await?;
        }
    }

    /// The two texts that Kite sends before anything else.
    async fn greet(&mut self) -> Result<(), End> {
        let listed = self.shared.universe.listings().len();
        let meta = format!(
            r#"{{"type":"instruments_meta","data":{{"count":{listed},"etag":"{}"}}}}"#,
            self.shared.etag
        );
        self.send_text(&meta).await?;
        let now = self.shared.clock.now().to_string();
        let (date, time) = (&now[..19], &now[23..]);
        self.send_text(&format!(r#"{{"type":"app_code","timestamp":"{date}{time}"}}"#)).await
    }

    /// When something has to be done although nothing happens.
    fn deadline(&self) -> Instant {
        let now = Instant::now();
        let heartbeat = (!self.ailments.silent()).then(|| (self.sent_at + HEARTBEAT).min(self.ping_at));
        let company = self.waiting_since.map(|since| since + COMPANY);
        [heartbeat, company, self.plan.next(now)].into_iter().flatten().min().unwrap_or(now + HEARTBEAT)
    }

    /// Handles an event and those behind it, with one flush for all.
    async fn handle_waiting(&mut self, event: Event) -> Result<(), End> {
        let mut next = Some(event);
        for _ in 0..QUEUE {
            let Some(event) = next else { break };
            self.handle(event).await?;
            next = self.events.try_recv().ok();
        }
        if let Some(event) = next {
            self.handle(event).await?;
        }
        if !self.ailments.stalled {
            self.socket.flush().await?;
        }
        Ok(())
    }

    async fn handle(&mut self, event: Event) -> Result<(), End> {
        match event {
            Event::Batch(batch) => {
                if self.ailments.no_data() {
                    return Ok(());
                }
                let mut from = 0;
                while from < batch.updates.len() {
                    from = self.feed.add(&batch, from, self.ailments.muted);
                    self.emit(false).await?;
                }
            }
            Event::Answer { request, snapshot } => {
                let before = self.feed.subscribed();
                let mut answer = self.feed.answer(&request, &snapshot);
                self.shared.tally.subscribed_tokens.add(self.feed.subscribed() as u64);
                self.shared.tally.subscribed_tokens.subtract(before as u64);
                let mut from = 0;
                while from < answer.due.len() && !self.ailments.no_data() {
                    from = self.feed.add_snapshot(&snapshot, &answer.due, from);
                    self.emit(false).await?;
                }
                if let Some(text) = answer.error.take()
                    && !self.ailments.silent()
                {
                    self.send_text(&text).await?;
                }
            }
            Event::Text(text) => {
                if !self.ailments.silent() {
                    self.send_text(&text).await?;
                }
            }
            Event::Barrier(alive) => {
                self.emit(true).await?;
                if !self.ailments.stalled {
                    self.socket.flush().await?;
                }
                drop(alive);
            }
        }
        Ok(())
    }

    /// Sends the packets that are waiting, when they make a frame or everything must go.
    async fn emit(&mut self, everything: bool) -> Result<(), End> {
        if self.ailments.no_data() {
            self.feed.discard();
            self.waiting_since = None;
        }
        let Some((bytes, packets)) = self.feed.take(everything) else {
            if !self.feed.is_empty() {
                self.waiting_since.get_or_insert_with(Instant::now);
            }
            return Ok(());
        };
        self.waiting_since = None;
        let spoil = self.spoil.take();
        let fault = spoil.as_ref().map(FaultKind::name);
        let bytes = Bytes::from(match spoil {
            None => bytes,
            Some(kind) => spoilt(bytes, &kind),
        });
        self.frames += 1;
        self.sent_at = Instant::now();
        self.socket.feed(Message::Binary(bytes.clone())).await?;
        let tally = &self.shared.tally;
        tally.frames_sent.add(1);
        tally.packets_sent.add(u64::from(packets));
        tally.bytes_sent.add(bytes.len() as u64);
        let (c, n) = (self.seat.connection, self.frames);
        self.shared.log(|at_ms| Line::Frame { c, n, at_ms, packets, fault, bytes }).await;
        Ok(())
    }

    async fn send_text(&mut self, text: &str) -> Result<(), End> {
        self.sent_at = Instant::now();
        self.socket.send(Message::Text(text.into())).await?;
        self.shared.tally.texts_sent.add(1);
        let c = self.seat.connection;
        self.shared.log(|at_ms| Line::Text { c, at_ms, text: text.to_owned() }).await;
        Ok(())
    }

    async fn receive(&mut self, message: Message) -> Result<(), End> {
        match message {
            Message::Text(text) => {
                let c = self.seat.connection;
                self.shared.log(|at_ms| Line::Request { c, at_ms, text: text.to_string() }).await;
                // Kite says nothing about what it does not understand
                if let Ok(request) = Request::parse(&text) {
                    self.shared.tally.requests_received.add(1);
                    self.request = Some(request);
                }
                Ok(())
            }
            Message::Close(_) => {
                // the library has queued the answer; whether the client waits for it is its own matter
                self.socket.flush().await.ok();
                Err(End::Client("closed by the client".to_owned()))
            }
            // the answer to a ping is queued by the library, and leaves with the next flush
            Message::Ping(_) => Ok(self.socket.flush().await?),
            Message::Binary(_) | Message::Pong(_) => Ok(()),
        }
    }

    /// Heartbeats, pings, remainders and faults whose time has come.
    async fn on_time(&mut self) -> Result<(), End> {
        let now = Instant::now();
        let ailments = self.plan.ailments(now);
        if ailments != self.ailments {
            if ailments.stalled {
                self.seat.forget();
            }
            self.ailments = ailments;
            for fault in ailments.names() {
                self.log_fault(fault).await;
            }
        }
        while let Some(kind) = self.plan.strike(now) {
            self.strike(kind).await?;
        }
        if self.waiting_since.is_some_and(|since| now >= since + COMPANY) {
            self.emit(true).await?;
            self.socket.flush().await?;
        }
        if self.ailments.silent() {
            return Ok(());
        }
        if now >= self.sent_at + HEARTBEAT {
            self.sent_at = now;
            self.socket.send(Message::Binary(Bytes::from_static(&[0]))).await?;
            self.shared.tally.heartbeats_sent.add(1);
            let c = self.seat.connection;
            self.shared.log(|at_ms| Line::Heartbeat { c, at_ms }).await;
        }
        if now >= self.ping_at {
            self.ping_at = now + PING;
            self.socket.send(Message::Ping(Bytes::from_static(b"kite"))).await?;
        }
        Ok(())
    }

    async fn log_fault(&mut self, fault: &'static str) {
        self.shared.tally.faults.add(1);
        let c = self.seat.connection;
        self.shared.log(|at_ms| Line::Fault { c, at_ms, fault }).await;
    }

    async fn strike(&mut self, kind: FaultKind) -> Result<(), End> {
        let speaks = matches!(kind, FaultKind::Message(_) | FaultKind::Error(_) | FaultKind::Garbage(_));
        if speaks && self.ailments.silent() {
            return Ok(());
        }
        self.log_fault(kind.name()).await;
        match kind {
            FaultKind::Drop => return Err(End::Close(1_001, "dropped by the fault script")),
            FaultKind::Reset => return Err(End::Reset),
            FaultKind::ExpiredToken => {
                self.seat.expire_token();
                return Err(End::Close(1_008, "token expired"));
            }
            FaultKind::Message(text) => {
                self.send_text(&serde_json::json!({"type": "message", "data": text}).to_string()).await?;
            }
            FaultKind::Error(text) => {
                self.send_text(&serde_json::json!({"type": "error", "data": text}).to_string()).await?;
            }
            FaultKind::Garbage(len) => {
                let bytes = feed::noise(len, self.frames);
                self.frames += 1;
                self.socket.send(Message::Binary(bytes.clone())).await?;
                self.shared.tally.frames_sent.add(1);
                let (c, n) = (self.seat.connection, self.frames);
                let fault = Some("garbage");
                self.shared.log(|at_ms| Line::Frame { c, n, at_ms, packets: 0, fault, bytes }).await;
            }
            spoil => self.spoil = Some(spoil),
        }
        Ok(())
    }

    async fn finish(mut self, end: End) {
        let tally = &self.shared.tally;
        tally.subscribed_tokens.subtract(self.feed.subscribed() as u64);
        let cause = match end {
            End::Client(cause) => cause,
            End::Reset => {
                self.linger.reset();
                "reset by the fault script".to_owned()
            }
            End::Close(code, reason) => {
                let frame = CloseFrame { code, reason: reason.into() };
                let goodbye = async {
                    self.socket.send(Message::Close(Some(frame))).await?;
                    // wait for the client's own close frame, so that it sees a clean end
                    while let Some(Ok(_)) = self.socket.next().await {}
                    Ok::<_, axum::Error>(())
                };
                if !self.ailments.stalled && tokio::time::timeout(GOODBYE, goodbye).await.is_err() {
                    tracing::debug!(connection = self.seat.connection, "client did not answer the close");
                }
                reason.to_owned()
            }
        };
        let c = self.seat.connection;
        self.shared.log(|at_ms| Line::Close { c, at_ms, cause }).await;
        self.shared.tally.connections.subtract(1);
    }
}

/// A frame as a faulty exchange sends it.
fn spoilt(mut bytes: Vec<u8>, kind: &FaultKind) -> Vec<u8> {
    let count = u16::from_be_bytes([bytes[0], bytes[1]]);
    match kind {
        FaultKind::TruncatedFrame(len) => {
            // a message of one byte would be a heartbeat
            let len = len.unwrap_or(bytes.len() * 2 / 3).clamp(2, bytes.len() - 1);
            bytes.truncate(len);
        }
        FaultKind::UnknownLength(len) => {
            bytes[..2].copy_from_slice(&count.saturating_add(1).to_be_bytes());
            bytes.extend_from_slice(&(*len as u16).to_be_bytes());
            bytes.extend_from_slice(&feed::noise(*len, 7));
        }
        _ => bytes[..2].copy_from_slice(&count.saturating_add(3).to_be_bytes()),
    }
    bytes
}
