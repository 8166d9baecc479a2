//! The ticker client against a real WebSocket server, and the REST client against a real HTTP server, both on localhost.

#![expect(clippy::unwrap_used, reason = "a fixture that cannot be set up fails its test")]

mod exchange;
mod faults;
mod recorder;
mod refusals;
mod rest;
mod secrets;
mod session;
mod subscriptions;
