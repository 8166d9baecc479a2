//! The recorder's log on local disk: every record of a socket, before anything else sees it.

mod error;

pub use error::JournalError;
