//! The newest state of every instrument, and what of it each viewer has not seen yet.
//!
//! What enters: entries of the Redis streams as they come (without a consumer group), and `latest_prices` for what has not ticked
//! since the start. What leaves: per viewer the instruments that changed since it last looked, and every tick of one. What never
//! happens here: a queue per viewer, work per tick and viewer, waiting for a viewer, a write to Redis or ClickHouse.
//!
//! A viewer *pulls*. [`Market`] holds one [`Quote`] per instrument with the number of its last change; a [`Viewer`] remembers the
//! number up to which it has seen, so what changed is found by comparing numbers, and a viewer that comes seldom finds the newest
//! state and nothing else. Ticks of a focused instrument stand in one ring, however many viewers look at it; a viewer that comes
//! too late for some of them is told how many.

mod feed;
mod latest;
mod market;
mod tick;
mod viewer;

pub use feed::{Feed, FeedOptions, FeedStatus};
pub use latest::Latest;
pub use market::{Counts, MOST_INSTRUMENTS, Market, TICKS_KEPT};
pub use tick::{Depth, Level, LiveTick, Quote};
pub use viewer::{Look, Viewer};
