//! A packet explained: raw values as sent, and what they mean. For people and for other languages' tests; not for the
//! hot path.

use serde::Serialize;
use tickhouse_model::{Level, Packet, PacketKind, Segment, Timestamp};

/// A packet with its raw integers and their meaning. Serialises to the JSON that `tickhouse decode` prints.
#[derive(Clone, Debug, Serialize)]
pub struct PacketView {
    /// Place in its message, from 0.
    pub index: u16,
    /// The token.
    pub instrument_token: u32,
    /// The exchange's own number.
    pub exchange_token: u32,
    /// Segment number, the token's last byte.
    pub segment: u8,
    /// Kite's name of the segment's exchange; empty when unknown.
    pub exchange: &'static str,
    /// What prices were divided by.
    pub divisor: u32,
    /// Whether the divisor is known or assumed.
    pub divisor_known: bool,
    /// `ltp`, `quote`, `full`, `index_quote`, `index_full`.
    pub packet_type: &'static str,
    /// Every field as sent.
    pub raw: Packet,
    /// Prices in rupees, times in India's time; only what the kind carries.
    pub scaled: Scaled,
}

/// The fields of a packet in rupees and India's time. `None` (left out of JSON) where the kind does not carry them;
/// times are also `None` where Kite sent 0.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub struct Scaled {
    /// As in [`Packet`], in rupees or index points; likewise the other prices.
    pub last_price: f64,
    /// Tradable quote and full packets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub average_traded_price: Option<f64>,
    /// All but ltp packets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub open_price: Option<f64>,
    /// All but ltp packets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub high_price: Option<f64>,
    /// All but ltp packets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub low_price: Option<f64>,
    /// All but ltp packets; of the previous session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub close_price: Option<f64>,
    /// Index packets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub net_change: Option<f64>,
    /// Full packets, RFC 3339 in India's time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_trade_time: Option<String>,
    /// Full and index-full packets, RFC 3339 in India's time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exchange_timestamp: Option<String>,
    /// Full packets, best first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bids: Option<Vec<LevelView>>,
    /// Full packets, best first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asks: Option<Vec<LevelView>>,
}

/// A level of depth in rupees.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct LevelView {
    /// In rupees.
    pub price: f64,
    /// Bid or offered at this price.
    pub quantity: u32,
    /// Orders at this price.
    pub orders: u16,
}

/// Explains a packet.
pub fn describe(index: u16, packet: &Packet) -> PacketView {
    let segment = packet.segment();
    PacketView {
        index,
        instrument_token: packet.token.0,
        exchange_token: packet.token.exchange_token(),
        segment: segment.0,
        exchange: segment.name(),
        divisor: segment.divisor(),
        divisor_known: segment.is_known(),
        packet_type: packet.kind.name(),
        raw: *packet,
        scaled: scale(packet, segment),
    }
}

fn scale(packet: &Packet, segment: Segment) -> Scaled {
    let kind = packet.kind;
    let tradable = matches!(kind, PacketKind::Quote | PacketKind::Full);
    let full = kind == PacketKind::Full;
    let rupees = |raw: i32| (tradable || kind.is_index()).then(|| segment.rupees(raw));
    let time = |seconds: u32| (seconds != 0).then(|| Timestamp::from_kite_seconds(seconds).to_string());
    let levels = |levels: &[Level]| -> Vec<LevelView> {
        let view = |level: &Level| LevelView {
            price: segment.rupees(level.price),
            quantity: level.quantity,
            orders: level.orders,
        };
        levels.iter().map(view).collect()
    };
    Scaled {
        last_price: segment.rupees(packet.last_price),
        average_traded_price: tradable.then(|| segment.rupees(packet.average_traded_price)),
        open_price: rupees(packet.open_price),
        high_price: rupees(packet.high_price),
        low_price: rupees(packet.low_price),
        close_price: rupees(packet.close_price),
        net_change: kind.is_index().then(|| segment.rupees(packet.net_change)),
        last_trade_time: time(packet.last_trade_time),
        exchange_timestamp: time(packet.exchange_timestamp),
        bids: full.then(|| levels(&packet.bids)),
        asks: full.then(|| levels(&packet.asks)),
    }
}
