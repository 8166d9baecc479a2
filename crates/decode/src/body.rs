//! Bodies of packets: one made a packet, and a packet made one. Where fields stand is said in `view`.

use crate::view::PacketRef;
use tickhouse_model::{Level, Packet, PacketKind};

/// Decodes one body; `None` when its length is not one that Kite documents.
pub fn decode_body(body: &[u8]) -> Option<Packet> {
    PacketRef::new(body).map(PacketRef::to_packet)
}

/// Appends a packet's body, `packet.kind.body_len()` bytes. Fields that the kind does not carry are left out.
pub fn encode_packet(packet: &Packet, out: &mut Vec<u8>) {
    put_number(out, packet.token.0);
    put_price(out, packet.last_price);
    match packet.kind {
        PacketKind::Ltp => {}
        PacketKind::IndexQuote => put_index(packet, out),
        PacketKind::IndexFull => {
            put_index(packet, out);
            put_number(out, packet.exchange_timestamp);
        }
        PacketKind::Quote => put_quote(packet, out),
        PacketKind::Full => {
            put_quote(packet, out);
            for value in [
                packet.last_trade_time,
                packet.open_interest,
                packet.oi_day_high,
                packet.oi_day_low,
                packet.exchange_timestamp,
            ] {
                put_number(out, value);
            }
            packet.bids.iter().chain(&packet.asks).for_each(|level| put_level(level, out));
        }
    }
}

fn put_index(packet: &Packet, out: &mut Vec<u8>) {
    let prices =
        [packet.high_price, packet.low_price, packet.open_price, packet.close_price, packet.net_change];
    prices.into_iter().for_each(|value| put_price(out, value));
}

fn put_quote(packet: &Packet, out: &mut Vec<u8>) {
    put_number(out, packet.last_traded_quantity);
    put_price(out, packet.average_traded_price);
    put_number(out, packet.volume);
    put_number(out, packet.total_buy_quantity);
    put_number(out, packet.total_sell_quantity);
    let prices = [packet.open_price, packet.high_price, packet.low_price, packet.close_price];
    prices.into_iter().for_each(|value| put_price(out, value));
}

fn put_level(level: &Level, out: &mut Vec<u8>) {
    put_number(out, level.quantity);
    put_price(out, level.price);
    out.extend_from_slice(&level.orders.to_be_bytes());
    out.extend_from_slice(&[0, 0]);
}

fn put_number(out: &mut Vec<u8>, value: u32) {
    out.extend_from_slice(&value.to_be_bytes());
}

fn put_price(out: &mut Vec<u8>, value: i32) {
    out.extend_from_slice(&value.to_be_bytes());
}
