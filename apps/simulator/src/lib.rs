//! An exchange on localhost.

mod market;
mod universe;
