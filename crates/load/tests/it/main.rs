//! The loader against a real Redis, a real ClickHouse, a real journal and its publisher.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod crash_points;
mod flat_entries;
mod frames;
mod outages;
mod outlet;
mod published;
mod sessions;
mod world;
