//! `tickhouse decode`: a captured message, explained.

use crate::output;
use anyhow::{Context as _, bail};
use base64::Engine as _;
use clap::{Args, ValueEnum};
use serde_json::json;
use std::io::Read as _;
use std::path::PathBuf;
use tickhouse_decode::{Item, decode, decode_body, describe, is_heartbeat};
use tickhouse_model::PacketKind;

/// Explain a captured Kite message: one JSON object per packet, with raw and scaled values.
#[derive(Debug, Args)]
pub(crate) struct Decode {
    /// A binary message or a bare packet body, raw, in hex or in base64; - is standard input
    file: PathBuf,
    /// How the file is written
    #[arg(long, value_enum, default_value_t = Encoding::Auto)]
    encoding: Encoding,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Encoding {
    /// See what it looks like
    Auto,
    /// Bytes as they were on the wire
    Raw,
    /// Hexadecimal text
    Hex,
    /// Base64 text
    Base64,
}

pub(crate) fn run(command: &Decode) -> anyhow::Result<()> {
    let bytes = if command.file.as_os_str() == "-" {
        let mut bytes = Vec::new();
        std::io::stdin().lock().read_to_end(&mut bytes).context("standard input can't be read")?;
        bytes
    } else {
        std::fs::read(&command.file).with_context(|| format!("{} can't be read", command.file.display()))?
    };
    explain(&decoded(&bytes, command.encoding)?)
}

/// The message's bytes. In doubt text is text: a binary message begins with a zero byte, or is longer than 64 KiB of
/// packets.
fn decoded(bytes: &[u8], encoding: Encoding) -> anyhow::Result<Vec<u8>> {
    match encoding {
        Encoding::Raw => Ok(bytes.to_vec()),
        Encoding::Hex => hex_text(bytes).context("this is no hexadecimal text"),
        Encoding::Base64 => base64_text(bytes).context("this is no base64 text"),
        Encoding::Auto => {
            Ok(hex_text(bytes).or_else(|| base64_text(bytes)).unwrap_or_else(|| bytes.to_vec()))
        }
    }
}

fn without_space(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect()
}

fn hex_text(bytes: &[u8]) -> Option<Vec<u8>> {
    let text = without_space(bytes);
    let digits = text.strip_prefix(b"0x").unwrap_or(&text);
    hex::decode(digits).ok().filter(|decoded| !decoded.is_empty())
}

fn base64_text(bytes: &[u8]) -> Option<Vec<u8>> {
    let text = without_space(bytes);
    let engine = base64::engine::general_purpose::STANDARD;
    let decoded =
        engine.decode(&text).or_else(|_| base64::engine::general_purpose::STANDARD_NO_PAD.decode(&text));
    decoded.ok().filter(|decoded| !decoded.is_empty())
}

/// A whole container is a message; else bytes of a packet's length are its body; else it is a damaged message.
fn explain(message: &[u8]) -> anyhow::Result<()> {
    if message.is_empty() {
        bail!("there is nothing to decode: the file is empty");
    }
    if is_heartbeat(message) {
        return output::json(&json!({ "heartbeat": true, "byte": message[0] }));
    }
    let whole = decode(message).all(|item| matches!(item, Ok(Item::Packet { .. })));
    if !whole && PacketKind::of_len(message.len()).is_some() {
        let packet = decode_body(message).expect("the length is that of a packet");
        return output::json(&describe(0, &packet));
    }
    for item in decode(message) {
        match item {
            Ok(Item::Packet { index, packet }) => output::json(&describe(index, &packet.to_packet()))?,
            Ok(Item::Unknown { index, offset, body }) => output::json(&json!({
                "index": index,
                "error": format!("a packet of {} bytes is of no known kind", body.len()),
                "offset": offset,
                "body": hex::encode(body),
            }))?,
            Err(error) => return Err(anyhow::Error::new(error).context("the message is damaged")),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_file_is_written_in_is_seen() {
        let body = [0x00, 0x06, 0x3a, 0x01, 0x00, 0x02, 0x66, 0x83];
        for text in ["00063a0100026683", "0x00063A01\n00026683\n", "AAY6AQACZoM=", "AAY6AQACZoM"] {
            assert_eq!(decoded(text.as_bytes(), Encoding::Auto).unwrap(), body, "{text}");
        }
        assert_eq!(decoded(&body, Encoding::Auto).unwrap(), body);
        assert!(decoded(b"zz", Encoding::Hex).is_err());
    }
}
