//! Kite's sockets and REST: where ticks come from.
//!
//! What enters: a list of subscriptions, API keys with their access tokens, Kite's (or the simulator's) addresses.
//! What leaves: [`Observed`](tickhouse_model::Observed) values, one per thing that happened on a socket, in the order in
//! which it happened, over a bounded queue to the journal. What never happens here: decoding beyond a token, waiting on
//! anything but that queue and the network, an access token in a log, an error or an event record.
//!
//! ```text
//! subscriptions ─ shard ─▶ run_socket (one task each) ─ Observed ─▶ queue ─▶ journal
//!                              ▲        ▲
//!                    SocketHandle       Key (shared by the sockets of one API key)
//! ```
//!
//! Facts about the protocol: <https://kite.trade/docs/connect/v3/websocket/>. What the public documents leave out is
//! said where it is used.

mod backoff;
mod credentials;
mod error;
mod handle;
mod key;
mod options;
pub mod rest;
mod secret;
mod shard;
mod snapshot;
mod socket;
mod stats;

pub use backoff::Backoff;
pub use credentials::AccessToken;
pub use error::SourceError;
pub use handle::{SocketControl, SocketHandle, control};
pub use key::Key;
pub use options::{SessionGate, TickerOptions};
pub use reqwest::Url;
pub use secret::Secret;
pub use shard::{Shard, ShardError, ShardLimits, Subscription, shard};
pub use socket::{PreviousSession, SocketSetup, run_socket};
pub use stats::{SocketSnapshot, SocketState, SocketStats};
