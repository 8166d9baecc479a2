//! Packet bodies: the byte offsets of kite.trade/docs/connect/v3/websocket/#message-structure.
//!
//! Prices are read signed (the documents say int32; MCX crude traded below zero in April 2020, and an index's change is
//! negative on a falling day), quantities and times unsigned (volume passes 2^31 on low-priced shares).

use tickhouse_model::{DEPTH_LEVELS, Level, Packet, PacketKind, Token};

const LEVEL_LEN: usize = 12;
const BIDS_AT: usize = 64;
const ASKS_AT: usize = BIDS_AT + DEPTH_LEVELS * LEVEL_LEN;

/// Decodes one body; `None` when its length is not one that Kite documents.
#[inline]
pub fn decode_body(body: &[u8]) -> Option<Packet> {
    match body.len() {
        184 => body.try_into().ok().map(decode_full),
        44 => body.try_into().ok().map(decode_quote),
        8 => body.try_into().ok().map(decode_ltp),
        32 => body.try_into().ok().map(decode_index_full),
        28 => body.try_into().ok().map(decode_index_quote),
        _ => None,
    }
}

fn decode_ltp(body: [u8; 8]) -> Packet {
    Packet { last_price: price(&body, 4), ..Packet::empty(Token(number(&body, 0)), PacketKind::Ltp) }
}

#[inline]
fn decode_quote(body: &[u8; 44]) -> Packet {
    Packet {
        last_price: price(body, 4),
        last_traded_quantity: number(body, 8),
        average_traded_price: price(body, 12),
        volume: number(body, 16),
        total_buy_quantity: number(body, 20),
        total_sell_quantity: number(body, 24),
        open_price: price(body, 28),
        high_price: price(body, 32),
        low_price: price(body, 36),
        close_price: price(body, 40),
        ..Packet::empty(Token(number(body, 0)), PacketKind::Quote)
    }
}

#[inline]
pub(crate) fn decode_full(body: &[u8; 184]) -> Packet {
    Packet {
        token: Token(number(body, 0)),
        kind: PacketKind::Full,
        last_price: price(body, 4),
        last_traded_quantity: number(body, 8),
        average_traded_price: price(body, 12),
        volume: number(body, 16),
        total_buy_quantity: number(body, 20),
        total_sell_quantity: number(body, 24),
        open_price: price(body, 28),
        high_price: price(body, 32),
        low_price: price(body, 36),
        close_price: price(body, 40),
        net_change: 0,
        last_trade_time: number(body, 44),
        open_interest: number(body, 48),
        oi_day_high: number(body, 52),
        oi_day_low: number(body, 56),
        exchange_timestamp: number(body, 60),
        bids: levels(body, BIDS_AT),
        asks: levels(body, ASKS_AT),
    }
}

/// Index bodies have their own order: high, low, *then* open, close.
fn decode_index_quote(body: &[u8; 28]) -> Packet {
    Packet {
        last_price: price(body, 4),
        high_price: price(body, 8),
        low_price: price(body, 12),
        open_price: price(body, 16),
        close_price: price(body, 20),
        net_change: price(body, 24),
        ..Packet::empty(Token(number(body, 0)), PacketKind::IndexQuote)
    }
}

fn decode_index_full(body: &[u8; 32]) -> Packet {
    let quote = body.first_chunk().map(decode_index_quote).expect("32 bytes hold 28");
    Packet { kind: PacketKind::IndexFull, exchange_timestamp: number(body, 28), ..quote }
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

#[inline]
fn number<const LEN: usize>(body: &[u8; LEN], at: usize) -> u32 {
    u32::from_be_bytes([body[at], body[at + 1], body[at + 2], body[at + 3]])
}

#[inline]
fn price<const LEN: usize>(body: &[u8; LEN], at: usize) -> i32 {
    number(body, at).cast_signed()
}

#[inline]
fn levels(body: &[u8; 184], first: usize) -> [Level; DEPTH_LEVELS] {
    std::array::from_fn(|level| {
        let at = first + level * LEVEL_LEN;
        Level {
            quantity: number(body, at),
            price: price(body, at + 4),
            orders: u16::from_be_bytes([body[at + 8], body[at + 9]]),
        }
    })
}
