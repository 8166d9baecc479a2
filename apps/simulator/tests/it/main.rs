//! The simulator as its clients see it, over real sockets.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod client;
mod faults;
mod limits;
mod rest;
mod stream;
