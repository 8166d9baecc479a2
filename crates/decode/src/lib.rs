//! Kite's wire format, both directions.
//!
//! What enters: the bytes of one WebSocket message. What leaves: packets in raw integers, or the bytes of packets. What
//! never happens here: I/O, async, a clock, an allocation per packet, a panic on any bytes.
//!
//! ```text
//! message = heartbeat (1 byte) | u16 count, count × (u16 len, len bytes)        all integers big-endian
//! ```
//!
//! A packet has no type byte: its length is its type. Source: <https://kite.trade/docs/connect/v3/websocket/> and the
//! official clients; of these only Python's, since 5.2.2, has the divisor of segment 12 (NCO).

mod body;
mod container;
mod describe;
mod fold;
mod request;
pub mod text;
mod view;

pub use body::{decode_body, encode_packet};
pub use container::{
    FrameBuilder, FrameError, Item, Packets, Tokens, decode, is_heartbeat, packet_count, tokens,
};
pub use describe::{PacketView, describe};
pub use request::{Request, RequestError};
pub use view::{FullRef, IndexFullRef, IndexQuoteRef, LtpRef, PacketRef, QuoteRef};
