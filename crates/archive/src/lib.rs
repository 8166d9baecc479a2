//! Files out of the store, and back: export, retention, backup, restore.
//!
//! What enters: tables of ClickHouse, or files that were made of them. What leaves: files with a manifest that says what they
//! hold, or rows. What never happens here: a row that is removed before its copy was read back; a file that is
//! under its name before it is whole; Redis.

mod digest;
mod error;
mod manifest;

pub use digest::{DIGEST_COLUMNS, RowDigest, digest_columns};
pub use error::ArchiveError;
pub use manifest::{FileEntry, Kind, MANIFEST_FILE, MANIFEST_VERSION, Manifest, Source};
