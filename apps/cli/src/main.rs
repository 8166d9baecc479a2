//! The tickhouse command.
fn main() {}
