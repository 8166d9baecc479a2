//! Kite's wire format, both directions. Pure: bytes in, packets out
