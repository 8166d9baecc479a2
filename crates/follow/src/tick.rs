//! A tick as it is given out, wherever it came from.

use clickhouse::Row;
use serde::Deserialize;
use tickhouse_model::{DEPTH_LEVELS, Timestamp};
use tickhouse_store::{Tick, TickLevel};

/// A level of a book.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(from = "(f64, u32, u16)")]
pub struct Level {
    /// In rupees, 0 for an empty level.
    pub price: f64,
    /// Bid or offered.
    pub quantity: u32,
    /// Orders.
    pub orders: u16,
}

impl From<(f64, u32, u16)> for Level {
    fn from((price, quantity, orders): (f64, u32, u16)) -> Self {
        Self { price, quantity, orders }
    }
}

/// A tick. The fields are columns of `tick_data`, described in docs/data-dictionary.md; times are cut to milliseconds as there,
/// prices are in rupees.
#[derive(Clone, Debug, PartialEq, Row, Deserialize)]
#[expect(missing_docs, reason = "the fields are columns: docs/data-dictionary.md describes each")]
pub struct FollowedTick {
    pub instrument_token: u32,
    pub symbol: String,
    pub tradingsymbol: String,
    pub exchange: String,
    pub timestamp: Timestamp,
    pub exchange_timestamp: Timestamp,
    pub last_price: f64,
    pub open_price: f64,
    pub high_price: f64,
    pub low_price: f64,
    pub close_price: f64,
    pub average_traded_price: f64,
    pub net_change: f64,
    pub volume: u64,
    pub last_traded_quantity: u32,
    pub total_buy_quantity: u64,
    pub total_sell_quantity: u64,
    pub open_interest: u64,
    pub oi_day_high: u64,
    pub oi_day_low: u64,
    /// Best first.
    pub bids: [Level; DEPTH_LEVELS],
    /// Best first.
    pub asks: [Level; DEPTH_LEVELS],
    pub packet_type: String,
    /// [`Timestamp::NONE`] where none was sent.
    pub last_trade_time: Timestamp,
    pub snapshot: bool,
    pub recorder: String,
    pub session: u64,
    pub socket: u16,
    pub sequence: u64,
    pub packet_index: u16,
    pub stream: String,
    pub epoch: u32,
}

/// The columns of a [`FollowedTick`] in its order; binary rows need no names.
pub(crate) const COLUMNS: &str = "instrument_token, toString(symbol), toString(tradingsymbol), toString(exchange), \
     toUnixTimestamp64Nano(toDateTime64(timestamp, 9)), toUnixTimestamp64Nano(toDateTime64(exchange_timestamp, 9)), \
     last_price, open_price, high_price, low_price, close_price, average_traded_price, net_change, \
     volume, last_traded_quantity, total_buy_quantity, total_sell_quantity, open_interest, oi_day_high, oi_day_low, \
     bid_1_price, bid_1_quantity, bid_1_orders, bid_2_price, bid_2_quantity, bid_2_orders, \
     bid_3_price, bid_3_quantity, bid_3_orders, bid_4_price, bid_4_quantity, bid_4_orders, \
     bid_5_price, bid_5_quantity, bid_5_orders, \
     ask_1_price, ask_1_quantity, ask_1_orders, ask_2_price, ask_2_quantity, ask_2_orders, \
     ask_3_price, ask_3_quantity, ask_3_orders, ask_4_price, ask_4_quantity, ask_4_orders, \
     ask_5_price, ask_5_quantity, ask_5_orders, \
     toString(packet_type), toInt64(toUnixTimestamp(last_trade_time)) * 1000000000, snapshot, \
     toString(recorder), session, socket, sequence, packet_index, toString(stream), epoch";

/// As a column of milliseconds holds it.
fn cut(at: Timestamp) -> Timestamp {
    Timestamp::from_millis(at.as_millis())
}

fn levels(levels: &[TickLevel; DEPTH_LEVELS]) -> [Level; DEPTH_LEVELS] {
    levels.map(|level| Level { price: level.price, quantity: level.quantity, orders: level.orders })
}

impl From<&Tick<'_>> for FollowedTick {
    fn from(tick: &Tick<'_>) -> Self {
        Self {
            instrument_token: tick.token.0,
            symbol: tick.instrument.symbol.to_owned(),
            tradingsymbol: tick.instrument.tradingsymbol.to_owned(),
            exchange: tick.instrument.exchange.to_owned(),
            timestamp: cut(tick.timestamp),
            exchange_timestamp: cut(tick.exchange_timestamp),
            last_price: tick.last_price,
            open_price: tick.open_price,
            high_price: tick.high_price,
            low_price: tick.low_price,
            close_price: tick.close_price,
            average_traded_price: tick.average_traded_price,
            net_change: tick.net_change,
            volume: tick.volume,
            last_traded_quantity: tick.last_traded_quantity,
            total_buy_quantity: tick.total_buy_quantity,
            total_sell_quantity: tick.total_sell_quantity,
            open_interest: tick.open_interest,
            oi_day_high: tick.oi_day_high,
            oi_day_low: tick.oi_day_low,
            bids: levels(&tick.bids),
            asks: levels(&tick.asks),
            packet_type: tick.packet_type.to_owned(),
            last_trade_time: Timestamp::from_millis(tick.last_trade_time.as_seconds() * 1_000),
            snapshot: tick.snapshot,
            recorder: tick.identity.recorder.to_owned(),
            session: tick.identity.frame.session,
            socket: tick.identity.frame.socket,
            sequence: tick.identity.frame.sequence,
            packet_index: tick.identity.packet_index,
            stream: tick.identity.stream.to_owned(),
            epoch: tick.identity.epoch,
        }
    }
}
