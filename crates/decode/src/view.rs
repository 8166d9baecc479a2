//! Packets where they lie in a message: nothing is read before it is asked for, nothing is copied.
//!
//! What enters: a body of one of the five lengths. What leaves: its fields in raw integers, each read from a place that
//! is known when compiling, so without a check of bounds. The byte offsets are those of
//! <https://kite.trade/docs/connect/v3/websocket/#message-structure>.
//!
//! Prices are read signed (the documents say int32; MCX crude traded below zero in April 2020, and an index's change is
//! negative on a falling day), quantities and times unsigned (volume passes 2^31 on low-priced shares).

use tickhouse_model::{DEPTH_LEVELS, Level, Packet, PacketKind, Segment, Token};

const LEVEL_LEN: usize = 12;

/// A packet of any kind, borrowed from its message. [`PacketRef::to_packet`] makes it one's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PacketRef<'a> {
    /// 184 bytes.
    Full(FullRef<'a>),
    /// 44 bytes.
    Quote(QuoteRef<'a>),
    /// 8 bytes.
    Ltp(LtpRef<'a>),
    /// 32 bytes.
    IndexFull(IndexFullRef<'a>),
    /// 28 bytes.
    IndexQuote(IndexQuoteRef<'a>),
}

impl<'a> PacketRef<'a> {
    /// The packet whose body this is; `None` when its length is not one that Kite documents.
    #[inline]
    pub fn new(body: &'a [u8]) -> Option<Self> {
        // asked first and apart: most packets of a feed are full, and what follows becomes straight code
        if let Ok(body) = body.try_into() {
            return Some(Self::Full(FullRef(body)));
        }
        Self::shorter(body)
    }

    fn shorter(body: &'a [u8]) -> Option<Self> {
        match body.len() {
            44 => body.try_into().ok().map(|body| Self::Quote(QuoteRef(body))),
            8 => body.try_into().ok().map(|body| Self::Ltp(LtpRef(body))),
            32 => body.try_into().ok().map(|body| Self::IndexFull(IndexFullRef(body))),
            28 => body.try_into().ok().map(|body| Self::IndexQuote(IndexQuoteRef(body))),
            _ => None,
        }
    }

    /// Which layout it has.
    #[inline]
    pub const fn kind(self) -> PacketKind {
        match self {
            Self::Full(_) => PacketKind::Full,
            Self::Quote(_) => PacketKind::Quote,
            Self::Ltp(_) => PacketKind::Ltp,
            Self::IndexFull(_) => PacketKind::IndexFull,
            Self::IndexQuote(_) => PacketKind::IndexQuote,
        }
    }

    /// Which instrument.
    #[inline]
    pub fn token(self) -> Token {
        match self {
            Self::Full(full) => full.token(),
            Self::Quote(quote) => quote.token(),
            Self::Ltp(ltp) => ltp.token(),
            Self::IndexFull(index) => index.token(),
            Self::IndexQuote(index) => index.token(),
        }
    }

    /// Every field in a packet of its own; those that the kind does not carry are zero.
    #[inline]
    pub fn to_packet(self) -> Packet {
        match self {
            Self::Full(full) => full.to_packet(),
            Self::Quote(quote) => quote.to_packet(),
            Self::Ltp(ltp) => ltp.to_packet(),
            Self::IndexFull(index) => index.to_packet(),
            Self::IndexQuote(index) => index.to_packet(),
        }
    }
}

/// A layout: its length, its kind, and at which byte each field of [`Packet`] begins. The token begins each.
macro_rules! layout {
    ($(#[$doc:meta])* $name:ident, $len:literal, $kind:ident, { $($field:ident: $read:ident -> $type:ty, $at:literal;)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $name<'a>(&'a [u8; $len]);

        impl $name<'_> {
            /// [`Packet::token`].
            #[inline]
            pub fn token(self) -> Token {
                Token(number(self.0, 0))
            }

            /// [`Packet::segment`], which scales prices: [`Segment::rupees`].
            #[inline]
            pub fn segment(self) -> Segment {
                self.token().segment()
            }

            $(
                #[doc = concat!("[`Packet::", stringify!($field), "`].")]
                #[inline]
                pub fn $field(self) -> $type {
                    $read(self.0, $at)
                }
            )*

            /// Every field in a packet of its own; those that the kind does not carry are zero.
            #[inline]
            pub fn to_packet(self) -> Packet {
                Packet { $($field: self.$field(),)* ..Packet::empty(self.token(), PacketKind::$kind) }
            }
        }
    };
}

layout! {
    /// [`PacketKind::Ltp`].
    LtpRef, 8, Ltp, {
        last_price: price -> i32, 4;
    }
}

layout! {
    /// [`PacketKind::IndexQuote`]. Index bodies have their own order: high, low, *then* open, close.
    IndexQuoteRef, 28, IndexQuote, {
        last_price: price -> i32, 4;
        high_price: price -> i32, 8;
        low_price: price -> i32, 12;
        open_price: price -> i32, 16;
        close_price: price -> i32, 20;
        net_change: price -> i32, 24;
    }
}

layout! {
    /// [`PacketKind::IndexFull`]: as [`IndexQuoteRef`], then a time.
    IndexFullRef, 32, IndexFull, {
        last_price: price -> i32, 4;
        high_price: price -> i32, 8;
        low_price: price -> i32, 12;
        open_price: price -> i32, 16;
        close_price: price -> i32, 20;
        net_change: price -> i32, 24;
        exchange_timestamp: number -> u32, 28;
    }
}

layout! {
    /// [`PacketKind::Quote`].
    QuoteRef, 44, Quote, {
        last_price: price -> i32, 4;
        last_traded_quantity: number -> u32, 8;
        average_traded_price: price -> i32, 12;
        volume: number -> u32, 16;
        total_buy_quantity: number -> u32, 20;
        total_sell_quantity: number -> u32, 24;
        open_price: price -> i32, 28;
        high_price: price -> i32, 32;
        low_price: price -> i32, 36;
        close_price: price -> i32, 40;
    }
}

layout! {
    /// [`PacketKind::Full`]: as [`QuoteRef`], then open interest, times and depth.
    FullRef, 184, Full, {
        last_price: price -> i32, 4;
        last_traded_quantity: number -> u32, 8;
        average_traded_price: price -> i32, 12;
        volume: number -> u32, 16;
        total_buy_quantity: number -> u32, 20;
        total_sell_quantity: number -> u32, 24;
        open_price: price -> i32, 28;
        high_price: price -> i32, 32;
        low_price: price -> i32, 36;
        close_price: price -> i32, 40;
        last_trade_time: number -> u32, 44;
        open_interest: number -> u32, 48;
        oi_day_high: number -> u32, 52;
        oi_day_low: number -> u32, 56;
        exchange_timestamp: number -> u32, 60;
        bids: levels -> [Level; DEPTH_LEVELS], 64;
        asks: levels -> [Level; DEPTH_LEVELS], 124;
    }
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
    // written out: of `array::from_fn` the compiler makes calls
    [
        level(body, first),
        level(body, first + LEVEL_LEN),
        level(body, first + 2 * LEVEL_LEN),
        level(body, first + 3 * LEVEL_LEN),
        level(body, first + 4 * LEVEL_LEN),
    ]
}

#[inline]
fn level(body: &[u8; 184], at: usize) -> Level {
    Level {
        quantity: number(body, at),
        price: price(body, at + 4),
        orders: u16::from_be_bytes([body[at + 8], body[at + 9]]),
    }
}
