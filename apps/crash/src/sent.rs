//! What the exchange says it sent: its ledger.
//!
//! What enters: the file. What leaves: connections with their data messages, in the order in which their sockets took them. What
//! never happens here: looking into a message.

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::Path;

/// A data message.
#[derive(Debug)]
pub(crate) struct Message {
    /// Unix milliseconds of the exchange's clock.
    pub(crate) at_ms: i64,
    pub(crate) bytes: Vec<u8>,
}

impl Message {
    /// Packets that it says it has.
    pub(crate) fn packets(&self) -> u64 {
        self.bytes.first_chunk().map_or(0, |count| u16::from_be_bytes(*count).into())
    }

    /// The first instrument in it.
    pub(crate) fn token(&self) -> Option<u32> {
        Some(u32::from_be_bytes(self.bytes.get(4..8)?.try_into().ok()?))
    }
}

/// A connection.
#[derive(Debug, Default)]
pub(crate) struct Connection {
    pub(crate) messages: Vec<Message>,
}

/// Connections by their number.
pub(crate) type Sent = BTreeMap<u64, Connection>;

/// Reads a ledger that is complete.
pub(crate) fn read(path: &Path) -> anyhow::Result<Sent> {
    let file = File::open(path).with_context(|| format!("{} can't be read", path.display()))?;
    let mut sent = Sent::new();
    for (line, number) in BufReader::new(file).lines().zip(1..) {
        let wrong = || format!("line {number} of {} is none of a ledger", path.display());
        let line = line.with_context(wrong)?;
        let value: Value = serde_json::from_str(&line).with_context(wrong)?;
        let connection = sent.entry(value["c"].as_u64().with_context(wrong)?).or_default();
        if let Some(text) = value["b64"].as_str() {
            let bytes = STANDARD.decode(text).with_context(wrong)?;
            let at_ms = value["at_ms"].as_i64().with_context(wrong)?;
            connection.messages.push(Message { at_ms, bytes });
        }
    }
    Ok(sent)
}
