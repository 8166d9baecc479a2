//! Kite's binary messages, read by nothing but Kite's own description of them (kite.trade/docs/connect/v3/websocket): big-endian; a count
//! of packets, then each behind its length. The length of a packet is its kind.
//!
//! What enters: the bytes of a message. What leaves: the values that must stand in `tick_data`. What never happens here: a call into
//! the code that is judged.

/// The columns of `tick_data` that a packet decides, as SQL, in the order of [`Packet::values`].
pub(crate) const COLUMNS: [&str; 47] = [
    "instrument_token",
    "last_price",
    "open_price",
    "high_price",
    "low_price",
    "close_price",
    "average_traded_price",
    "net_change",
    "volume",
    "last_traded_quantity",
    "total_buy_quantity",
    "total_sell_quantity",
    "open_interest",
    "oi_day_high",
    "oi_day_low",
    "toUnixTimestamp64Milli(exchange_timestamp)",
    "toUnixTimestamp(last_trade_time)",
    "bid_1_price",
    "bid_1_quantity",
    "bid_1_orders",
    "bid_2_price",
    "bid_2_quantity",
    "bid_2_orders",
    "bid_3_price",
    "bid_3_quantity",
    "bid_3_orders",
    "bid_4_price",
    "bid_4_quantity",
    "bid_4_orders",
    "bid_5_price",
    "bid_5_quantity",
    "bid_5_orders",
    "ask_1_price",
    "ask_1_quantity",
    "ask_1_orders",
    "ask_2_price",
    "ask_2_quantity",
    "ask_2_orders",
    "ask_3_price",
    "ask_3_quantity",
    "ask_3_orders",
    "ask_4_price",
    "ask_4_quantity",
    "ask_4_orders",
    "ask_5_price",
    "ask_5_quantity",
    "ask_5_orders",
];

/// Place of the exchange's time among the values.
pub(crate) const EXCHANGE_TIME: usize = 15;

/// What a packet says. Every number of Kite's fits a double exactly, and prices are the double next to the decimal.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Packet {
    pub(crate) kind: &'static str,
    /// In the order of [`COLUMNS`]; an exchange time of 0 means that the packet has none.
    pub(crate) values: [f64; COLUMNS.len()],
}

/// The packets of a message.
///
/// # Errors
/// What is wrong with it: the exchange of these tests sends none that is.
pub(crate) fn packets(message: &[u8]) -> Result<Vec<Packet>, String> {
    let short = |at: usize| Some(usize::from(u16::from_be_bytes([*message.get(at)?, *message.get(at + 1)?])));
    let count = short(0).ok_or("no count")?;
    let mut at = 2;
    let mut packets = Vec::with_capacity(count);
    for _ in 0..count {
        let length = short(at).ok_or("no length")?;
        let body = message.get(at + 2..at + 2 + length).ok_or("a body that is cut")?;
        packets.push(packet(body).ok_or_else(|| format!("a body of {length} bytes"))?);
        at += 2 + length;
    }
    if at == message.len() { Ok(packets) } else { Err("bytes behind the last packet".to_owned()) }
}

fn packet(body: &[u8]) -> Option<Packet> {
    let word = |at: usize| u32::from_be_bytes(body[at..at + 4].try_into().expect("four bytes"));
    let number = |at: usize| f64::from(word(at));
    let divisor = match body.get(3)? {
        3 => 10_000_000.0,
        6 | 12 => 10_000.0,
        _ => 100.0,
    };
    let price = |at: usize| f64::from(word(at).cast_signed()) / divisor;
    let mut values = [0.0; COLUMNS.len()];
    values[0] = number(0);
    values[1] = if body.len() >= 8 { price(4) } else { return None };
    let kind = match body.len() {
        8 => "ltp",
        28 | 32 => {
            // high, low, open, close, change
            (values[3], values[4], values[2], values[5], values[7]) =
                (price(8), price(12), price(16), price(20), price(24));
            if body.len() == 32 {
                values[EXCHANGE_TIME] = number(28) * 1_000.0;
                "index_full"
            } else {
                "index_quote"
            }
        }
        44 | 184 => {
            (values[9], values[6], values[8]) = (number(8), price(12), number(16));
            (values[10], values[11]) = (number(20), number(24));
            (values[2], values[3], values[4], values[5]) = (price(28), price(32), price(36), price(40));
            if body.len() == 184 {
                values[16] = number(44);
                (values[12], values[13], values[14]) = (number(48), number(52), number(56));
                values[EXCHANGE_TIME] = number(60) * 1_000.0;
                for level in 0..10 {
                    let (at, to) = (64 + 12 * level, 17 + 3 * level);
                    let orders = u16::from_be_bytes([body[at + 8], body[at + 9]]);
                    (values[to], values[to + 1], values[to + 2]) = (price(at + 4), number(at), orders.into());
                }
                "full"
            } else {
                "quote"
            }
        }
        _ => return None,
    };
    Some(Packet { kind, values })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ltp_packet_of_each_divisor() {
        let message = |segment: u8| [0, 1, 0, 8, 0, 0, 1, segment, 0, 0, 0x30, 0x39];
        for (segment, rupees) in [(1, 123.45), (3, 0.001_234_5), (6, 1.2345), (12, 1.2345)] {
            let found = packets(&message(segment)).unwrap();
            assert_eq!((found[0].kind, found[0].values[1]), ("ltp", rupees));
        }
        assert!(packets(&message(1)[..11]).is_err());
        assert!(packets(&[0, 1, 0, 3, 1, 2, 3]).is_err());
        assert!(packets(&[0, 0, 1]).is_err());
    }
}
