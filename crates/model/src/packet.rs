//! One instrument's state as Kite sends it, in raw integers.

use crate::{Segment, Timestamp, Token};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Levels of market depth on each side of a full packet.
pub const DEPTH_LEVELS: usize = 5;

/// What a subscription asks for. A bare subscribe gives [`Mode::Quote`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Last price only.
    Ltp,
    /// Prices and totals of the day, no depth.
    Quote,
    /// Everything: depth, open interest, times.
    Full,
}

impl Mode {
    /// The word on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ltp => "ltp",
            Self::Quote => "quote",
            Self::Full => "full",
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Mode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "ltp" => Ok(Self::Ltp),
            "quote" => Ok(Self::Quote),
            "full" => Ok(Self::Full),
            other => Err(format!("`{other}` is no mode: use ltp, quote or full")),
        }
    }
}

/// The five layouts of a packet body. Kite has no type byte: the length of the body is the type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PacketKind {
    /// 8 bytes: token and last price, of any instrument, indices too.
    Ltp,
    /// 28 bytes: an index in quote mode.
    IndexQuote,
    /// 32 bytes: an index in full mode, with its exchange time.
    IndexFull,
    /// 44 bytes: a tradable instrument in quote mode.
    Quote,
    /// 184 bytes: a tradable instrument in full mode.
    Full,
}

impl PacketKind {
    /// All kinds, shortest body first.
    pub const ALL: [Self; 5] = [Self::Ltp, Self::IndexQuote, Self::IndexFull, Self::Quote, Self::Full];

    /// The kind of a body of this many bytes; `None` for a length that Kite does not document.
    pub const fn of_len(len: usize) -> Option<Self> {
        match len {
            8 => Some(Self::Ltp),
            28 => Some(Self::IndexQuote),
            32 => Some(Self::IndexFull),
            44 => Some(Self::Quote),
            184 => Some(Self::Full),
            _ => None,
        }
    }

    /// Bytes of the body.
    pub const fn body_len(self) -> usize {
        match self {
            Self::Ltp => 8,
            Self::IndexQuote => 28,
            Self::IndexFull => 32,
            Self::Quote => 44,
            Self::Full => 184,
        }
    }

    /// The value of the column `packet_type`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ltp => "ltp",
            Self::IndexQuote => "index_quote",
            Self::IndexFull => "index_full",
            Self::Quote => "quote",
            Self::Full => "full",
        }
    }

    /// Whether this is one of the two index layouts.
    pub const fn is_index(self) -> bool {
        matches!(self, Self::IndexQuote | Self::IndexFull)
    }
}

/// One level of market depth. An empty level is all zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Level {
    /// Raw price; divide by the segment's divisor.
    pub price: i32,
    /// Shares, units or lots bid or offered at this price.
    pub quantity: u32,
    /// Orders at this price.
    pub orders: u16,
}

/// A decoded packet: raw integers exactly as sent. Fields that the packet's kind does not carry are zero.
///
/// Prices are signed and in units of 1/[`Segment::divisor`] rupees (MCX crude traded below zero in April 2020);
/// quantities are unsigned; times are Unix seconds UTC with 0 for none. Field names are those of the columns of
/// `tick_data`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Packet {
    /// Which instrument.
    pub token: Token,
    /// Which layout it came in.
    pub kind: PacketKind,
    /// Price of the last trade, or the index value.
    pub last_price: i32,
    /// Quantity of the last trade only; trades between two packets are not visible.
    pub last_traded_quantity: u32,
    /// Volume-weighted average price of the day so far.
    pub average_traded_price: i32,
    /// Running total of the day, not of this tick.
    pub volume: u32,
    /// Pending buy quantity over the whole book.
    pub total_buy_quantity: u32,
    /// Pending sell quantity over the whole book.
    pub total_sell_quantity: u32,
    /// The day's open.
    pub open_price: i32,
    /// The day's high.
    pub high_price: i32,
    /// The day's low.
    pub low_price: i32,
    /// The *previous* session's close.
    pub close_price: i32,
    /// Index packets only: signed absolute change from the previous close.
    pub net_change: i32,
    /// Full packets only: Unix seconds of the last trade, 0 for none.
    pub last_trade_time: u32,
    /// Full packets only; 0 for cash instruments.
    pub open_interest: u32,
    /// Full packets only: the day's highest open interest, often 0.
    pub oi_day_high: u32,
    /// Full packets only: the day's lowest open interest, often 0.
    pub oi_day_low: u32,
    /// Full and index-full packets only: Unix seconds, 0 for none.
    pub exchange_timestamp: u32,
    /// Full packets only: best bid first.
    pub bids: [Level; DEPTH_LEVELS],
    /// Full packets only: best offer first.
    pub asks: [Level; DEPTH_LEVELS],
}

impl Packet {
    /// A packet of this kind with every value zero.
    #[inline]
    pub fn empty(token: Token, kind: PacketKind) -> Self {
        Self {
            token,
            kind,
            last_price: 0,
            last_traded_quantity: 0,
            average_traded_price: 0,
            volume: 0,
            total_buy_quantity: 0,
            total_sell_quantity: 0,
            open_price: 0,
            high_price: 0,
            low_price: 0,
            close_price: 0,
            net_change: 0,
            last_trade_time: 0,
            open_interest: 0,
            oi_day_high: 0,
            oi_day_low: 0,
            exchange_timestamp: 0,
            bids: [Level::default(); DEPTH_LEVELS],
            asks: [Level::default(); DEPTH_LEVELS],
        }
    }

    /// The market segment, which fixes the divisor.
    #[inline]
    pub const fn segment(&self) -> Segment {
        self.token.segment()
    }

    /// When the exchange says this state was true; [`Timestamp::NONE`] when the packet does not say.
    #[inline]
    pub const fn exchange_time(&self) -> Timestamp {
        Timestamp::from_kite_seconds(self.exchange_timestamp)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_and_kinds_are_each_others_inverse() {
        for kind in PacketKind::ALL {
            assert_eq!(PacketKind::of_len(kind.body_len()), Some(kind));
        }
        assert_eq!(PacketKind::of_len(164), None, "the body of Kite's first versions is not decoded");
    }

    #[test]
    fn modes_read_what_they_write() {
        for mode in [Mode::Ltp, Mode::Quote, Mode::Full] {
            assert_eq!(mode.name().parse(), Ok(mode));
        }
        assert!("FULL".parse::<Mode>().is_err());
    }
}
