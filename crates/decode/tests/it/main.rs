//! The wire format against real payloads, round trips and hostile bytes.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod fixtures;
mod hostile;
mod round_trip;
