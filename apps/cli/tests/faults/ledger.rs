//! What the exchange says it sent, counted by nothing but Kite's description of a message.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use std::path::Path;

/// A message, in the order in which its socket took it.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    /// The connection, counted from 1.
    pub(crate) connection: u64,
    /// Unix milliseconds.
    pub(crate) at_ms: i64,
    /// Packets of a length that Kite describes.
    pub(crate) packets: u64,
    /// Packets of other lengths, and one for a message that ends too early or too late.
    pub(crate) bad: u64,
}

/// The binary messages of a ledger that is complete, without heartbeats.
pub(crate) fn frames(path: &Path) -> Vec<Sent> {
    let text = std::fs::read_to_string(path).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines
        .filter(|line| line["b64"].is_string())
        .map(|line| {
            let (packets, bad) = count(&STANDARD.decode(line["b64"].as_str().unwrap()).unwrap());
            let connection = line["c"].as_u64().unwrap();
            Sent { connection, at_ms: line["at_ms"].as_i64().unwrap(), packets, bad }
        })
        .collect()
}

/// Good and bad packets of a message: a count, then as many bodies behind their lengths, all of two bytes.
fn count(message: &[u8]) -> (u64, u64) {
    let number = |at: usize| Some(u16::from_be_bytes([*message.get(at)?, *message.get(at + 1)?]));
    let (mut good, mut bad, mut at) = (0, 0, 2);
    for _ in 0..number(0).unwrap_or(1) {
        let end = number(at).map(|len| at + 2 + usize::from(len)).filter(|end| *end <= message.len());
        let Some(end) = end else { return (good, bad + 1) };
        match end - at - 2 {
            8 | 28 | 32 | 44 | 184 => good += 1,
            _ => bad += 1,
        }
        at = end;
    }
    (good, bad + u64::from(at != message.len()))
}

/// Good packets of messages.
pub(crate) fn packets<'a>(frames: impl IntoIterator<Item = &'a Sent>) -> u64 {
    frames.into_iter().map(|frame| frame.packets).sum()
}
