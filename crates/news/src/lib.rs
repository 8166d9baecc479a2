//! News and index values from files, standard input and feeds into their streams.
//!
//! What enters: JSON lines ([`publish_lines`], [`publish_file`]); RSS, Atom and JSON feeds ([`Poller`]). What leaves: flat entries of
//! `news:stream` and `indices:stream`, each item once. What never happens here: ClickHouse (the loader stores them), reading more
//! than a bounded part of anything into memory, fetching what a feed's items refer to.
//!
//! A news item is itself by its source and its id, else its link, else its title and time. Redis remembers the latest 200,000
//! of a stream together with the entries themselves, so neither a repeated file nor a killed poller publishes an item twice.
//! Index values have no id; a file of them is remembered by its digest, with the number of lines that were published.

mod error;
mod feed;
mod line;
mod lines;
mod poller;
mod redirect;
mod state;

pub use error::NewsError;
pub use feed::{FeedError, FeedItems, read_feed};
pub use line::{LineError, Published, read_line};
pub use lines::{BadLine, LinesOptions, LinesReport, digest_of, publish_file, publish_lines};
pub use poller::{FeedReport, Poller, PollerOptions};
