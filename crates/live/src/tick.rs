//! What is told of an instrument: its newest state, and a single tick.
//!
//! What enters: packets of Kite, flat ticks. What leaves: the same in rupees. What never happens here: a field that is overwritten
//! by a packet which does not carry it.

use tickhouse_model::{DEPTH_LEVELS, Packet, PacketKind, Scale, Timestamp};
use tickhouse_stream::{FlatLevel, FlatTick};

/// The newest state of an instrument. Prices in rupees; 0 where nothing has told it yet.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Quote {
    /// Kite's number.
    pub instrument_token: u32,
    /// When the tick that it stands at was received.
    pub timestamp: Timestamp,
    /// Price of the last trade, or the value of the index.
    pub last_price: f64,
    /// The previous session's close.
    pub close_price: f64,
    /// The day's running total.
    pub volume: u64,
    /// Open interest.
    pub open_interest: u64,
    /// Best bid.
    pub bid: f64,
    /// Best offer.
    pub ask: f64,
    /// The day's open.
    pub open: f64,
    /// The day's high so far.
    pub high: f64,
    /// The day's low so far.
    pub low: f64,
    /// Whether its last change came from a stream, not from the tables.
    pub is_live: bool,
}

impl Quote {
    /// Takes over what a packet carries. An older one is not taken: gives whether it was.
    pub(crate) fn apply(&mut self, packet: &Packet, received_at: Timestamp) -> bool {
        if received_at < self.timestamp {
            return false;
        }
        (self.timestamp, self.is_live) = (received_at, true);
        let scale = packet.segment().scale();
        self.last_price = scale.rupees(packet.last_price);
        if packet.kind == PacketKind::Ltp {
            return true;
        }
        self.open = scale.rupees(packet.open_price);
        self.high = scale.rupees(packet.high_price);
        self.low = scale.rupees(packet.low_price);
        self.close_price = scale.rupees(packet.close_price);
        if packet.kind.is_index() {
            return true;
        }
        self.volume = packet.volume.into();
        if packet.kind == PacketKind::Full {
            self.open_interest = packet.open_interest.into();
            self.bid = scale.rupees(packet.bids[0].price);
            self.ask = scale.rupees(packet.asks[0].price);
        }
        true
    }

    /// Takes over what a flat tick says: a field that is 0 says nothing. An older one is not taken.
    pub(crate) fn apply_flat(&mut self, tick: &FlatTick, received_at: Timestamp) -> bool {
        if received_at < self.timestamp {
            return false;
        }
        (self.timestamp, self.is_live) = (received_at, true);
        self.last_price = tick.last_price;
        let price = |field: &mut f64, said: f64| {
            if said != 0.0 {
                *field = said;
            }
        };
        price(&mut self.open, tick.open_price);
        price(&mut self.high, tick.high_price);
        price(&mut self.low, tick.low_price);
        price(&mut self.close_price, tick.close_price);
        price(&mut self.bid, tick.bids[0].price);
        price(&mut self.ask, tick.asks[0].price);
        if tick.volume > 0 {
            self.volume = tick.volume;
        }
        if tick.open_interest > 0 {
            self.open_interest = tick.open_interest;
        }
        true
    }

    /// Takes from what is stored: all of it when that is newer, else what is still unknown. Gives whether anything changed.
    pub(crate) fn complete(&mut self, stored: &Self) -> bool {
        let before = *self;
        if stored.timestamp > self.timestamp {
            *self = *stored;
        } else {
            let price = |field: &mut f64, stored: f64| {
                if *field == 0.0 {
                    *field = stored;
                }
            };
            price(&mut self.open, stored.open);
            price(&mut self.high, stored.high);
            price(&mut self.low, stored.low);
            price(&mut self.close_price, stored.close_price);
            if self.volume == 0 {
                self.volume = stored.volume;
            }
            if self.open_interest == 0 {
                self.open_interest = stored.open_interest;
            }
        }
        let changed = *self != before;
        self.is_live &= !changed;
        changed
    }
}

/// A level of a book.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Level {
    /// In rupees, 0 for an empty level.
    pub price: f64,
    /// Bid or offered.
    pub quantity: u32,
    /// Orders.
    pub orders: u16,
}

/// A book, best levels first.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Depth {
    /// Who buys.
    pub bids: [Level; DEPTH_LEVELS],
    /// Who sells.
    pub asks: [Level; DEPTH_LEVELS],
}

/// A tick. Prices in rupees, 0 where it does not carry them.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LiveTick {
    /// When it was received.
    pub timestamp: Timestamp,
    /// [`Timestamp::NONE`] where the exchange said none.
    pub exchange_timestamp: Timestamp,
    /// Price of the last trade, or the value of the index.
    pub last_price: f64,
    /// Of the last trade.
    pub last_traded_quantity: u32,
    /// The day's running total.
    pub volume: u64,
    /// Open interest.
    pub open_interest: u64,
    /// The day's volume-weighted average.
    pub average_traded_price: f64,
    /// The day's open.
    pub open: f64,
    /// The day's high so far.
    pub high: f64,
    /// The day's low so far.
    pub low: f64,
    /// The previous session's close.
    pub close_price: f64,
    /// One of Kite's cached last values.
    pub snapshot: bool,
    /// The book, of ticks that carry one.
    pub depth: Option<Depth>,
}

impl LiveTick {
    pub(crate) fn of(packet: &Packet, received_at: Timestamp, snapshot: bool) -> Self {
        let scale = packet.segment().scale();
        let side =
            |levels: &[tickhouse_model::Level; DEPTH_LEVELS]| levels.map(|level| of_level(scale, level));
        let depth = (packet.kind == PacketKind::Full)
            .then(|| Depth { bids: side(&packet.bids), asks: side(&packet.asks) });
        Self {
            timestamp: received_at,
            exchange_timestamp: packet.exchange_time(),
            last_price: scale.rupees(packet.last_price),
            last_traded_quantity: packet.last_traded_quantity,
            volume: packet.volume.into(),
            open_interest: packet.open_interest.into(),
            average_traded_price: scale.rupees(packet.average_traded_price),
            open: scale.rupees(packet.open_price),
            high: scale.rupees(packet.high_price),
            low: scale.rupees(packet.low_price),
            close_price: scale.rupees(packet.close_price),
            snapshot,
            depth,
        }
    }

    pub(crate) fn of_flat(tick: &FlatTick, received_at: Timestamp) -> Self {
        let side = |levels: &[FlatLevel; DEPTH_LEVELS]| {
            levels.map(|level| Level { price: level.price, quantity: level.quantity, orders: level.orders })
        };
        let has_depth = tick.bids[0].price != 0.0 || tick.asks[0].price != 0.0;
        Self {
            timestamp: received_at,
            exchange_timestamp: tick.exchange_timestamp,
            last_price: tick.last_price,
            last_traded_quantity: tick.last_traded_quantity,
            volume: tick.volume,
            open_interest: tick.open_interest,
            average_traded_price: tick.average_traded_price,
            open: tick.open_price,
            high: tick.high_price,
            low: tick.low_price,
            close_price: tick.close_price,
            snapshot: false,
            depth: has_depth.then(|| Depth { bids: side(&tick.bids), asks: side(&tick.asks) }),
        }
    }
}

fn of_level(scale: Scale, level: tickhouse_model::Level) -> Level {
    Level { price: scale.rupees(level.price), quantity: level.quantity, orders: level.orders }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tickhouse_model::Token;

    #[test]
    fn a_packet_says_nothing_of_what_it_lacks() {
        let at = Timestamp::from_millis;
        let mut full = Packet::empty(Token(408_065), PacketKind::Full);
        (full.last_price, full.close_price, full.volume, full.open_interest) = (152_000, 150_000, 900, 70);
        full.bids[0].price = 151_995;
        let mut quote = Quote::default();
        assert!(quote.apply(&full, at(10)));
        let mut ltp = Packet::empty(Token(408_065), PacketKind::Ltp);
        ltp.last_price = 152_100;
        assert!(quote.apply(&ltp, at(11)));
        assert_eq!((quote.last_price, quote.close_price, quote.bid), (1_521.0, 1_500.0, 1_519.95));
        assert_eq!((quote.volume, quote.open_interest), (900, 70));
        ltp.last_price = 1;
        assert!(!quote.apply(&ltp, at(9)), "an older one");
        assert_eq!(quote.last_price.to_bits(), 1_521_f64.to_bits());
        let stored = Quote { timestamp: at(5), open: 1_510.0, close_price: 1.0, ..Quote::default() };
        assert!(quote.complete(&stored));
        assert_eq!((quote.open, quote.close_price, quote.last_price), (1_510.0, 1_500.0, 1_521.0));
        assert!(!quote.complete(&stored));
    }
}
