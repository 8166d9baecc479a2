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
//! ```no_run
//! use std::time::Duration;
//! use tickhouse_model::Observed;
//! use tickhouse_source::{
//!     AccessToken, Key, SessionGate, ShardLimits, SocketHandle, SocketSetup, Subscription, TickerOptions, control,
//!     run_socket, shard,
//! };
//! use tickhouse_telemetry::Clock;
//! use tokio::sync::mpsc;
//!
//! # fn write_journal(_: u16, _: mpsc::Receiver<Observed>) {}
//! fn record(subscriptions: &[Subscription]) -> Result<Vec<SocketHandle>, Box<dyn std::error::Error>> {
//!     let key = Key::new("my_api_key", AccessToken::file("data/access_token".into(), Duration::from_secs(2)));
//!     let limits = ShardLimits::default();
//!     let mut handles = Vec::new();
//!     for part in shard(subscriptions, &[key.api_key()], limits)? {
//!         let (handle, control) = control(&part.subscriptions, limits.per_socket)?;
//!         let (queue, observed) = mpsc::channel(4_096);
//!         write_journal(part.socket, observed);
//!         let setup = SocketSetup {
//!             socket: part.socket,
//!             key: key.clone(),
//!             options: TickerOptions::default(),
//!             clock: Clock::system(),
//!             gate: SessionGate::always(),
//!             previous: None,
//!         };
//!         tokio::spawn(run_socket(setup, control, queue));
//!         handles.push(handle);
//!     }
//!     Ok(handles)
//! }
//! ```
//!
//! The handshake's request line carries the access token. This crate logs none of it, but tungstenite does at level
//! `trace` through the `log` crate: a log that takes those must keep `tungstenite` at `debug` or above.
//!
//! Facts about the protocol: <https://kite.trade/docs/connect/v3/websocket/>. What the public documents leave out is
//! said where it is used.

mod backoff;
mod credentials;
mod error;
mod handle;
mod key;
pub mod login;
mod options;
pub mod rest;
mod secret;
mod shard;
mod snapshot;
mod socket;
mod stats;

pub use backoff::Backoff;
pub use credentials::{
    AccessToken, TokenState, open_to_others, token_lives_until, token_obtained, watch_tokens,
    write_token_file,
};
pub use error::SourceError;
pub use handle::{SocketControl, SocketHandle, control};
pub use key::Key;
pub use options::{SessionGate, TickerOptions};
pub use reqwest::Url;
pub use secret::Secret;
pub use shard::{Shard, ShardError, ShardLimits, Subscription, shard};
pub use socket::{PreviousSession, SocketSetup, run_socket};
pub use stats::{SocketSnapshot, SocketState, SocketStats};
