//! The ledger: what was sent on every connection, for tests that need an oracle.
//!
//! What enters: lines from connections, over a bounded queue (full: the connection waits). What leaves: a file to
//! which one thread of its own appends. What never happens here: looking into a frame.
//!
//! One JSON object a line; `c` is the connection's number (1, 2, 3, … as accepted), `at_ms` the simulator's clock in Unix
//! milliseconds. A line is written after the socket took the message; within a connection lines have the order of the
//! messages. Messages that a socket took just before its client vanished may never have been read.
//!
//! ```json
//! {"kind":"open","c":1,"socket":0,"at_ms":1795156200000,"api_key":"k"}
//! {"kind":"request","c":1,"at_ms":1795156200004,"text":"{\"a\":\"subscribe\",\"v\":[408065]}"}
//! {"kind":"frame","c":1,"n":1,"at_ms":1795156200005,"packets":1,"b64":"AAEACAAGOgEAAlv0"}
//! {"kind":"heartbeat","c":1,"at_ms":1795156201005}
//! {"kind":"text","c":1,"at_ms":1795156202000,"text":"{\"type\":\"message\",\"data\":\"hello\"}"}
//! {"kind":"fault","c":1,"at_ms":1795156203000,"fault":"stall"}
//! {"kind":"close","c":1,"at_ms":1795156204000,"cause":"closed by the client"}
//! ```
//!
//! `n` counts a connection's data frames from 1. A frame that a fault spoilt has a field `fault` and the bytes as they
//! were sent; its `packets` are the good ones that its sender meant to send. Access tokens are never written.

use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::Serialize;
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::Mutex;
use std::thread::JoinHandle;
use tokio::sync::{mpsc, oneshot};

/// Lines under way to the file.
const QUEUE: usize = 256;

/// One line.
#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub(crate) enum Line {
    Open {
        c: u64,
        socket: usize,
        at_ms: i64,
        api_key: String,
    },
    Request {
        c: u64,
        at_ms: i64,
        text: String,
    },
    Frame {
        c: u64,
        n: u64,
        at_ms: i64,
        packets: u16,
        #[serde(skip_serializing_if = "Option::is_none")]
        fault: Option<&'static str>,
        #[serde(rename = "b64", serialize_with = "base64_text")]
        bytes: Bytes,
    },
    Heartbeat {
        c: u64,
        at_ms: i64,
    },
    Text {
        c: u64,
        at_ms: i64,
        text: String,
    },
    Fault {
        c: u64,
        at_ms: i64,
        fault: &'static str,
    },
    Close {
        c: u64,
        at_ms: i64,
        cause: String,
    },
}

fn base64_text<S: serde::Serializer>(bytes: &Bytes, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&base64::display::Base64Display::new(bytes, &STANDARD))
}

enum Message {
    Line(Line),
    Flush(oneshot::Sender<()>),
}

/// The way to the file; without one, lines vanish at once.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    queue: Option<mpsc::Sender<Message>>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl Ledger {
    /// Opens the file for appending and starts its thread.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        let (queue, lines) = mpsc::channel(QUEUE);
        let path = path.to_owned();
        let writer = std::thread::Builder::new().name("sim-ledger".to_owned()).spawn(move || {
            if let Err(error) = write_lines(lines, file) {
                tracing::error!(path = %path.display(), %error, "ledger could not be written, the rest is missing");
            }
        })?;
        Ok(Self { queue: Some(queue), writer: Mutex::new(Some(writer)) })
    }

    /// Adds a line; `line` is called only when there is a file. Waits while the queue is full.
    pub(crate) async fn write(&self, line: impl FnOnce() -> Line) {
        if let Some(queue) = &self.queue {
            // fails only after the writer gave up, which it logged
            queue.send(Message::Line(line())).await.ok();
        }
    }

    /// Returns when everything written so far is in the file.
    pub(crate) async fn flush(&self) {
        let Some(queue) = &self.queue else { return };
        let (done, flushed) = oneshot::channel();
        if queue.send(Message::Flush(done)).await.is_ok() {
            // an error means that the writer gave up, which it logged
            flushed.await.ok();
        }
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        self.queue = None;
        let writer = self.writer.lock().ok().and_then(|mut writer| writer.take());
        if writer.is_some_and(|writer| writer.join().is_err()) {
            tracing::error!("the ledger's thread panicked");
        }
    }
}

fn write_lines(mut lines: mpsc::Receiver<Message>, file: File) -> io::Result<()> {
    let mut file = BufWriter::with_capacity(1 << 20, file);
    while let Some(message) = lines.blocking_recv() {
        match message {
            Message::Line(line) => {
                serde_json::to_writer(&mut file, &line)?;
                file.write_all(b"\n")?;
            }
            Message::Flush(done) => {
                file.flush()?;
                // nobody waits any more: no harm
                done.send(()).ok();
            }
        }
    }
    file.flush()
}
