//! Pushes against a real journal, a real Redis, a real loader and a real ClickHouse.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod http;
mod pusher;
mod queue;
mod whole;
mod world;
