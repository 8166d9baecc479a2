//! History first, then live, with no hole and nothing twice at the seam.
//!
//! What enters: a selection of instruments, an instant; the tables in ClickHouse and the streams in Redis. What leaves: ticks, each
//! once, those of an instrument and a stream in their order. What never happens here: a write, to either; a consumer group; a
//! tick that is dropped because its reader is slow.
//!
//! # The seam
//!
//! A tick's identity ends in a number that only rises: session and sequence of its record, or its entry id, per *origin* (the
//! socket of a recorder, the stream of flat entries). So one number per origin, the cursor, says what was given out: everything up to it, nothing
//! after it.
//!
//! 1. The loader's marks in ClickHouse say up to which entry of each origin all rows are stored. They are read first; history is
//!    exactly what is at or below them. Rows beyond a mark may be visible (a batch that is being stored): they are left out, since
//!    they come from Redis.
//! 2. Marks move on while a long history is read. What lies between the old and the new ones is history too, in rounds that get
//!    shorter, until a round takes less than a second. The loader trims what is stored only after a while, so Redis then has
//!    everything after the marks.
//! 3. From there on the streams are read after each cursor. Whether an entry is the *next* one is checked as the loader checks it:
//!    records of frames count without a hole; of flat entries Redis tells whether any was removed. What is not the next one waits
//!    until the marks have passed it, and comes from ClickHouse. So it makes no difference whether a stream was
//!    trimmed, lost, filled again, or is just being discovered.
//!
//! Between two origins there is no order but time: history comes by the time of receipt, and so do the ticks of one read. A tick that
//! one origin delivers late comes late.

mod error;
mod filter;
mod follower;
mod history;
mod merge;
mod round;
mod source;
mod take;
mod tick;

pub use error::FollowError;
pub use follower::{FollowOptions, FollowStatus, Follower, Phase};
pub use tick::{FollowedTick, Level};
