//! What must hold for any bytes. Each function takes what the outside may send and panics when an invariant breaks; the
//! fuzz targets call them with what coverage finds, `tests/smoke.rs` with mutations of real payloads.

mod live;
mod push;

pub use live::live_request;
pub use push::push_request;

use bytes::Bytes;
use tickhouse_decode::text::TextMessage;
use tickhouse_decode::{FrameBuilder, FrameError, Item, PacketRef, Request, decode, encode_packet, tokens};
use tickhouse_enrich::{InstrumentTableBuilder, ReadReport};
use tickhouse_model::{Packet, PacketKind, Record};
use tickhouse_stream::FlatTick;

/// A binary message of the socket: no panic; at most one error, at the end, with an offset inside the message; no more
/// items than the message counts; a packet's encoding is its bytes but for padding; items made into a message again
/// decode to the same items.
pub fn decode_message(message: &[u8]) {
    let counted = usize::from(tickhouse_decode::packet_count(message));
    let mut again = FrameBuilder::default();
    let mut items = Vec::new();
    let mut error = None;
    for item in decode(message) {
        assert!(error.is_none(), "an item after an error");
        match item {
            Ok(Item::Packet { index, packet }) => {
                assert_eq!(usize::from(index), items.len());
                let packet = owned(packet);
                again.push(&packet);
                items.push((packet.kind.body_len(), Some(packet)));
            }
            Ok(Item::Unknown { index, offset, body }) => {
                assert_eq!(usize::from(index), items.len());
                assert!(PacketKind::of_len(body.len()).is_none());
                assert_eq!(&message[offset..offset + body.len()], body);
                again.push_raw(body);
                items.push((body.len(), None));
            }
            Err(fault) => {
                assert!(fault.offset() <= message.len(), "{fault}");
                assert!(!matches!(fault, FrameError::Trailing { .. }) || items.len() == counted, "{fault}");
                error = Some(fault);
            }
        }
    }
    assert!(items.len() <= counted);
    // compiled apart from `next`
    let mut walk = decode(message);
    decode(message).for_each(|item| assert_eq!(Some(item), walk.next()));
    assert_eq!(walk.next(), None);
    assert!(
        message.len() < 2 || error.is_some() || items.len() == counted,
        "packets vanished without an error"
    );
    assert!(tokens(message).count() <= items.len());
    let again = again.take();
    let twice: Vec<_> = decode(&again).map(|item| item.expect("what we made is whole")).collect();
    assert_eq!(twice.len(), items.len());
    for (item, (len, packet)) in twice.iter().zip(&items) {
        match (item, packet) {
            (Item::Packet { packet: found, .. }, Some(packet)) => {
                assert_eq!(owned(*found), *packet);
                let mut bytes = Vec::new();
                encode_packet(packet, &mut bytes);
                assert_eq!(bytes.len(), *len);
            }
            (Item::Unknown { body, .. }, None) => assert_eq!(body.len(), *len),
            _ => panic!("a packet became unknown, or the other way round"),
        }
    }
}

/// A packet of its own. The view says the same of it: its kind is that of its length, and what it has of token and segment is what
/// the packet has.
fn owned(view: PacketRef<'_>) -> Packet {
    let packet = view.to_packet();
    assert_eq!((view.kind(), view.token()), (packet.kind, packet.token));
    if let PacketRef::Full(full) = view {
        assert_eq!((full.bids(), full.asks()), (packet.bids, packet.asks));
        assert_eq!(full.exchange_timestamp(), packet.exchange_timestamp);
    }
    packet
}

/// Text of the socket, both directions: no panic, and a request that was understood is written as one that is understood
/// the same.
pub fn decode_text(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    assert!(!TextMessage::parse(&text).kind().is_empty());
    if let Ok(request) = Request::parse(&text) {
        let again = Request::parse(&request.to_json()).expect("our own request");
        assert_eq!(again, request);
    }
}

/// A record of the journal or the stream: no panic, and what decodes encodes to the same bytes.
pub fn record(bytes: &[u8]) {
    let bytes = Bytes::copy_from_slice(bytes);
    if let Ok(record) = Record::decode(&bytes) {
        let mut again = Vec::with_capacity(record.encoded_len());
        record.encode(&mut again);
        assert_eq!(again, bytes);
    }
}

/// A flat entry, here `field=value` in lines: no panic; what is read has finite numbers, and once written it reads back
/// as itself. (The first writing may lose what is finer than a microsecond.)
pub fn flat_entry(bytes: &[u8]) {
    let fields = bytes.split(|byte| *byte == b'\n').map(|line| {
        let at = line.iter().position(|byte| *byte == b'=').unwrap_or(line.len());
        (&line[..at], line.get(at + 1..).unwrap_or_default())
    });
    let Ok(entry) = FlatTick::from_fields(fields) else { return };
    let prices =
        [entry.tick.last_price, entry.tick.strike, entry.tick.bids[0].price, entry.tick.asks[4].price];
    assert!(prices.iter().all(|price| price.is_finite()), "{prices:?}");
    let written = FlatTick::from_fields(entry.tick.to_fields()).expect("what we write is readable");
    assert_eq!(written.unknown_fields, 0);
    let again = FlatTick::from_fields(written.tick.to_fields()).expect("what we write is readable");
    assert_eq!(again, written);
}

/// A file of instruments, as CSV and as JSON: no panic, reports balance, and the table has what was reported.
pub fn instruments(bytes: &[u8]) {
    let balance = |report: &ReadReport, len: usize| {
        assert_eq!(report.rows, report.added + report.replaced + report.bad);
        assert_eq!(report.added, len as u64);
    };
    let mut csv = InstrumentTableBuilder::new();
    if let Ok(report) = csv.read_kite_csv(bytes) {
        balance(&report, csv.len());
    }
    let mut json = InstrumentTableBuilder::new();
    if let Ok(report) = json.read_token_lookup(bytes) {
        balance(&report, json.len());
    }
    for builder in [csv, json] {
        let table = builder.finish();
        for found in table.iter() {
            assert_eq!(table.get(found.token), Some(found));
            assert!(!table.text(found.tradingsymbol).is_empty());
        }
    }
}
