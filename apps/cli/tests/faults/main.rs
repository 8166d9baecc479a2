//! The promise under faults, kept by the built program: kills, an emptied Redis, a misbehaving exchange, a full disk.
//!
//! Each test runs a whole system on ports of its own and asks two oracles that are not the code under test: ClickHouse in
//! SQL, and the ledger of what the exchange sent.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod backup;
#[cfg(target_os = "linux")]
mod crash;
mod demo;
mod disk;
mod ends;
mod kills;
mod ledger;
mod script;
mod verify;
