//! Following against a real Redis, a real ClickHouse, real journals with their publishers, and a loader.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod losses;
mod switch_points;
mod world;
