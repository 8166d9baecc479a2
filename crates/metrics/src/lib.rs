//! `/metrics`: what a process says of itself in `/status`, as Prometheus reads it.
//!
//! What enters: a role and its status. What leaves: Prometheus' text format, and `docs/metrics.md`; both from one [table](TABLE).
//! What never happens here: I/O, async, a counter of our own. A number is counted once, where it happens, and shown twice.

mod document;
mod table;
mod text;

pub use document::document;
pub use table::{Each, From, Kind, Metric, TABLE};
pub use text::{CONTENT_TYPE, Exposition, exposition};
