//! Stream to table: decode, enrich, seal, insert, confirm, acknowledge, trim.
//!
//! What enters: entries of Redis streams. What leaves: rows in ClickHouse, each exactly once, and marks that say up to where.
//! What never happens here: acknowledging an entry whose rows were not counted in ClickHouse.
//!
//! There is one way back from every error, be it Redis, ClickHouse, the lease or a kill: start again from what is durable.
//! The seals in ClickHouse tell which batches were confirmed (the mark) and which may or may not be stored (open seals, which
//! are counted); the stream, filled from the journal if need be, has everything after the mark. docs/delivery.md argues each
//! step.

mod batch;
mod commit;
mod counters;
mod error;
mod loader;
mod options;
mod outlet;
mod owner;
mod published;
mod reader;
mod recovery;
mod rows;
mod sequence;
mod settle;
mod source;
pub mod ticks;

pub use counters::LoaderCounters;
pub use error::LoadError;
pub use loader::{Loader, LoaderState};
pub use options::LoaderOptions;
pub use outlet::FlatOutlet;
pub use sequence::{Place, place_of_record};
pub use source::record_of;
