//! One WebSocket, from its first message to its end.

use super::request::{Request, read_request};
use super::write;
use crate::state::{HealthText, Web};
use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, close_code};
use bytes::Bytes;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tickhouse_live::{Look, Viewer};
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::Instant;

/// A client that says nothing, not even that it is there, is asked this often, and closed after as many silent times.
const ASK_EVERY: Duration = Duration::from_secs(20);
const SILENCES: u32 = 3;

/// Why it ends.
enum End {
    /// It went, or its connection did.
    Gone,
    /// It takes nothing.
    Stalled,
    /// It did what is not allowed: a close code, and why.
    Refused(u16, &'static str),
    /// We go.
    Closing,
}

struct Client {
    web: Arc<Web>,
    socket: WebSocket,
    viewer: Viewer,
    look: Look,
    buffer: Vec<u8>,
    told_fields: bool,
    /// Whether the next quotes are states as they were, not changes: they tell no latency.
    first_quotes: bool,
    health: Option<HealthText>,
    /// Messages that it may still send now.
    allowed: f64,
    allowed_at: Instant,
    /// How often in a row it did not answer.
    silences: u32,
}

/// Serves a client to its end.
pub(super) async fn serve(web: Arc<Web>, socket: WebSocket, place: OwnedSemaphorePermit) {
    let viewer = Viewer::new(Arc::clone(&web.market));
    let end = web.viewers.end();
    let mut client = Client {
        viewer,
        socket,
        look: Look::default(),
        buffer: Vec::new(),
        told_fields: false,
        first_quotes: true,
        health: None,
        allowed: f64::from(web.limits.messages_per_second) * 2.0,
        allowed_at: Instant::now(),
        silences: 0,
        web,
    };
    let Err(why) = client.run(end).await;
    match why {
        End::Gone => {}
        End::Stalled => {
            client.web.viewers.stalled.fetch_add(1, Ordering::Relaxed);
            tracing::info!("a page took nothing for too long and was closed");
        }
        End::Refused(code, reason) => client.close(code, reason).await,
        End::Closing => client.close(close_code::RESTART, "the page's server ends").await,
    }
    drop(place);
}

/// Nothing comes to an end without a reason.
enum Never {}

impl Client {
    async fn run(&mut self, mut end: watch::Receiver<bool>) -> Result<Never, End> {
        let hello = write::hello(self.web.now());
        self.send(hello.into()).await?;
        let mut due = Instant::now();
        let mut ask = tokio::time::interval_at(Instant::now() + ASK_EVERY, ASK_EVERY);
        loop {
            tokio::select! {
                // in this order: who is flooded by ticks is heard all the same
                biased;
                () = ended(&mut end) => return Err(End::Closing),
                said = self.socket.recv() => self.hear(said).await?,
                _ = ask.tick() => self.ask().await?,
                health = next(&mut self.health) => self.send(write::health(&health).into()).await?,
                () = changed(&mut self.viewer, due) => {
                    due = Instant::now() + self.web.limits.pace;
                    self.tell().await?;
                }
            }
        }
    }

    /// What the client said, or that it went.
    async fn hear(&mut self, said: Option<Result<Message, axum::Error>>) -> Result<(), End> {
        let message = match said {
            None | Some(Ok(Message::Close(_))) => return Err(End::Gone),
            Some(Err(error)) => return Err(self.broken(&error).await),
            Some(Ok(message)) => message,
        };
        self.silences = 0;
        self.count_message().await?;
        let text = match message {
            Message::Text(text) => text,
            Message::Binary(_) => return self.refuse("bad_message", "messages are text").await,
            _ => return Ok(()),
        };
        match read_request(&text, self.web.limits.watched) {
            Ok(Request::Watch(tokens)) => {
                self.viewer.watch(&tokens);
                self.first_quotes = true;
            }
            Ok(Request::Focus(token)) => self.viewer.focus(token),
            Ok(Request::Health(on)) => {
                self.health = on.then(|| self.web.health.clone());
                if let Some(health) = &mut self.health {
                    health.mark_changed();
                }
            }
            Err(error) => self.refuse(error.code(), &error.to_string()).await?,
        }
        Ok(())
    }

    /// Every message counts, also those that are only there to keep us busy.
    async fn count_message(&mut self) -> Result<(), End> {
        let rate = f64::from(self.web.limits.messages_per_second);
        self.allowed = (self.allowed + self.allowed_at.elapsed().as_secs_f64() * rate).min(rate * 2.0) - 1.0;
        self.allowed_at = Instant::now();
        if self.allowed >= 0.0 {
            return Ok(());
        }
        let message = format!("at most {rate} messages a second are heard");
        self.refuse("too_many_messages", &message).await?;
        Err(End::Refused(close_code::POLICY, "too many messages"))
    }

    /// The connection broke, or the client does not speak WebSocket, or too long.
    async fn broken(&mut self, error: &axum::Error) -> End {
        tracing::debug!(%error, "a page's connection broke");
        let text = std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string);
        if !text.contains("too long") {
            return End::Gone;
        }
        let message = format!("a message has at most {} bytes", self.web.limits.message_bytes);
        match self.refuse("message_too_long", &message).await {
            Ok(()) => End::Refused(close_code::SIZE, "message too long"),
            Err(end) => end,
        }
    }

    async fn refuse(&mut self, code: &'static str, message: &str) -> Result<(), End> {
        self.web.viewers.bad_messages.fetch_add(1, Ordering::Relaxed);
        self.send(write::error(code, message).into()).await
    }

    /// Asks whether it is still there.
    async fn ask(&mut self) -> Result<(), End> {
        self.silences += 1;
        if self.silences > SILENCES {
            return Err(End::Stalled);
        }
        self.send_message(Message::Ping(Bytes::new())).await
    }

    /// Tells what changed since the last time.
    async fn tell(&mut self) -> Result<(), End> {
        self.viewer.look(&mut self.look);
        if !self.look.quotes.is_empty() {
            write::quotes(&self.look.quotes, !self.told_fields, &mut self.buffer);
            self.told_fields = true;
            self.send_buffer().await?;
            if !std::mem::take(&mut self.first_quotes) {
                let now = self.web.now();
                let live = self.look.quotes.iter().filter(|quote| quote.is_live);
                let ages = live.map(|quote| now.since(quote.timestamp));
                self.web.viewers.note_latency(ages);
            }
        }
        if let Some(token) = self.viewer.focused()
            && (!self.look.ticks.is_empty() || self.look.skipped > 0)
        {
            write::ticks(token, &self.look, &mut self.buffer);
            self.send_buffer().await?;
        }
        Ok(())
    }

    async fn send_buffer(&mut self) -> Result<(), End> {
        let text = Utf8Bytes::try_from(Bytes::copy_from_slice(&self.buffer)).expect("JSON is UTF-8");
        self.send(text).await
    }

    async fn send(&mut self, text: Utf8Bytes) -> Result<(), End> {
        let bytes = text.len() as u64;
        self.send_message(Message::Text(text)).await?;
        self.web.viewers.messages.fetch_add(1, Ordering::Relaxed);
        self.web.viewers.message_bytes.fetch_add(bytes, Ordering::Relaxed);
        Ok(())
    }

    async fn send_message(&mut self, message: Message) -> Result<(), End> {
        match tokio::time::timeout(self.web.limits.stall, self.socket.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(End::Gone),
            Err(_) => Err(End::Stalled),
        }
    }

    async fn close(&mut self, code: u16, reason: &'static str) {
        let frame = CloseFrame { code, reason: Utf8Bytes::from_static(reason) };
        // it is only a word on the way out
        self.send_message(Message::Close(Some(frame))).await.ok();
    }
}

/// Resolves when everybody is to go. Cancel safe.
async fn ended(end: &mut watch::Receiver<bool>) {
    // whoever tells it lives as long as we do
    end.wait_for(|end| *end).await.ok();
}

/// Resolves when something changed, and it is time. Cancel safe.
async fn changed(viewer: &mut Viewer, due: Instant) {
    tokio::time::sleep_until(due).await;
    viewer.changed().await;
}

/// The next health; never where none is wanted. Cancel safe.
async fn next(health: &mut Option<HealthText>) -> Arc<str> {
    let Some(wanted) = health else { return std::future::pending().await };
    loop {
        if wanted.changed().await.is_err() {
            return std::future::pending().await;
        }
        let text = wanted.borrow_and_update().clone();
        if let Some(text) = text {
            return text;
        }
    }
}
