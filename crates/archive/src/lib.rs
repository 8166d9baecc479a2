//! Files out of the store, and back: export, retention, backup, restore.
//!
//! What enters: tables of ClickHouse, or files that were made of them. What leaves: files with a manifest that says what they
//! hold, or rows. What never happens here: a row that is removed before its copy was read back; a file that is
//! under its name before it is whole; Redis.

mod backup;
mod digest;
mod error;
mod export;
mod folder;
mod manifest;
mod names;
mod readback;
mod restore;
mod retention;
mod statements;
mod stop;
mod tables;

pub use backup::{
    BackupError, BackupOptions, BackupPlaces, BackupPlan, BackupProgress, BackupRecord, Listed, Method,
    PartitionRecord, Place, RECORD_FILE, S3Place, TableRecord, abandon, create as create_backup,
    list as list_backups, plan as plan_backup,
};
pub use digest::{DIGEST_COLUMNS, RowDigest, digest_columns};
pub use error::ArchiveError;
pub use export::{DayPreview, Export, ExportProgress, ExportReport, ExportRequest, ROWS_PER_FILE};
pub use manifest::{FileEntry, Kind, MANIFEST_FILE, MANIFEST_VERSION, Manifest, Source};
pub use restore::{
    Chain, abandon_restore, check_target, find as find_backup, in_database, restore as restore_backup,
    verify as verify_backup,
};
pub use retention::{
    Action, Outcome, QUIET, Retained, Retention, RetentionReport, RetentionRules, Stretch, retained,
};
pub use stop::Stop;
pub use tables::{FileFormat, TABLES, Table};
