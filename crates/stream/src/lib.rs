//! Redis Streams: the publisher of a recorder's sockets, the loader's consumer, flat entries, dead letters.
//!
//! What enters: journal records (publisher); the entries of Redis (consumer). What leaves: entries whose ids are
//! `<session>-<sequence>`; records and flat ticks with their entry ids. What never happens here: ClickHouse, `MAXLEN` on what a loader reads,
//! acknowledging on anybody's behalf.
//!
//! A stream is a cache of a journal: Redis may lose it, all of it, and the publisher fills it again from the mark.
//!
//! # Keys (with the default options)
//!
//! ```text
//! ticks:stream:<recorder>:<socket>  stream  one entry per journal record: id <session>-<sequence>, field r
//! ticks:stream, zerodha_ticks, …    stream  flat entries, one field per column, written by anybody
//! ticks:stream:import:<name>        stream  flat entries of an import: id <number of the key>-<number in it>
//! <stream>:seen                     zset    identities of what was published to it lately: nothing is published twice
//! <stream>:files                    hash    digest of a file → lines of it that were published
//! news:stream, indices:stream       stream  news items and index values, one field per column, written by anybody
//! ticks:streams                     set     the streams of frames and imports there are; who writes one adds it
//! ticks:marks                       hash    origin → highest entry id whose rows are confirmed; the loader writes it
//! ticks:resend                      hash    frame stream → entry id; "publish again what follows this"
//! ticks:dead                        stream  what could not be decoded: origin, id, reason, payload; never trimmed
//! ticks:lease:<name>, ….:fence      string  who owns the streams; the counter of owners
//! ```
//!
//! Commands are those of Redis 7.0; no later one is used.

mod add;
mod capped;
mod connection;
mod consumer;
mod control;
mod entry;
mod error;
mod flat;
mod lease;
mod options;
mod publisher;
mod reply;
mod tail;

pub use add::NewEntry;
pub use consumer::{Consumer, GroupState, ReadLimits, StreamEntries};
pub use control::{Control, DeadLetter, GroupInfo, ServerInfo, StreamInfo};
pub use entry::{Entry, EntryId, EntryIdError, EntryValue, RECORD_FIELD, Stream, StreamKind};
pub use error::{Disposition, StreamError};
pub use flat::{FlatEntry, FlatError, FlatIndex, FlatLevel, FlatNews, FlatTick};
pub use lease::Lease;
pub use options::RedisOptions;
pub use publisher::{Publisher, PublisherHandle, PublisherOptions, PublisherStatus};
pub use tail::Tail;
