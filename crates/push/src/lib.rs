//! Ticks that other programs already have: checked, journaled, published.
//!
//! What enters: tick dictionaries as Kite's client libraries make them, through [`Pusher`] or `POST /v1/ticks` ([`http`]).
//! What leaves: the Kite packets that they came from, as one record of kind `pushed` per push, in a journal of their own,
//! from where they go the way of every record. What never happens here: storing a value that is not exactly the one that
//! was pushed, storing a part of a push, an acknowledgement of what is not journaled.
//!
//! ```text
//! tick dictionaries ─▶ PushedTick ─▶ PushedMessage ─▶ journal ─▶ Redis ─▶ (loader) ─▶ ClickHouse
//!       JSON             Dialect      Kite's packets     ╰─▶ acknowledged
//! ```
//!
//! A packet holds integers; a dictionary holds what a program made of them. Going back needs to know that program: its
//! [`Source`]. What a packet can't hold exactly is refused with its place, and the whole push with it.

mod dialect;
mod encode;
mod error;
pub mod http;
mod json;
mod pusher;
mod queue;
mod tick;
mod token;

pub use dialect::{Dialect, Source, SourceError, zone};
pub use encode::{MOST_TICKS, PushedMessage, encode, to_packet};
pub use error::{PushError, Refusal};
pub use json::{Format, ReadError, read};
pub use pusher::{CloseReport, PushCounters, Pusher, PusherOptions, PusherStatus, Receipt};
pub use queue::{Drained, NoPlace, QueueCounters, QueueOptions, TickQueue};
pub use tick::{PushedDepth, PushedLevel, PushedOhlc, PushedTick, PushedTime};
pub use token::{Token, TokenError};
