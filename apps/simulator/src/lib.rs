//! An exchange on localhost that speaks Kite's WebSocket and REST, seeded, with faults on a script
