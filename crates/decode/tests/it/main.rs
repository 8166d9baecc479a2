//! The wire format against real payloads, round trips and hostile bytes.

mod fixtures;
mod hostile;
mod round_trip;
