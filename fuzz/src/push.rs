//! What must hold for any body of a push.

use tickhouse_decode::{Item, decode};
use tickhouse_push::{Dialect, Format, MOST_TICKS, encode, read};

/// A request's body, as JSON and as lines: no panic; a fault has a place and is short, however long the body; what is
/// read is within the limit, and what a packet can hold becomes one packet per tick, of its token.
pub fn push_request(bytes: &[u8]) {
    for format in [Format::Json, Format::Lines] {
        let ticks = match read(bytes, format) {
            Ok(ticks) => ticks,
            Err(fault) => {
                assert!(fault.line >= 1 && !fault.reason.is_empty());
                assert!(fault.to_string().len() < 3_000);
                continue;
            }
        };
        assert!(ticks.len() <= MOST_TICKS);
        for source in ["rupees", "pykiteconnect/5.2.2", "pykiteconnect/3.9.4", "kiteconnectjs/5.3.0"] {
            let dialect = Dialect { source: source.parse().expect("a known source"), ..Dialect::default() };
            let Ok(message) = encode(&ticks, &dialect) else { continue };
            assert_eq!(message.ticks(), ticks.len());
            let mut packets = decode(message.bytes());
            for tick in &ticks {
                let Some(Ok(Item::Packet { packet, .. })) = packets.next() else {
                    panic!("a tick became no packet")
                };
                assert_eq!(packet.token().0, tick.instrument_token);
            }
            assert!(packets.next().is_none());
        }
    }
}
