//! The simulator as its clients see it, over real sockets.

mod client;
mod faults;
mod limits;
mod rest;
mod stream;
