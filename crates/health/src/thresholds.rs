//! Where well ends. Every limit that a rule of this crate knows; `docs/monitoring.md` and the alerts of `deploy/prometheus`
//! use the same.

/// A socket whose markets trade and that has had no data for this long, seconds. Kite sends a liquid instrument once or twice
/// a second.
pub const SILENT_WARN_SECONDS: f64 = 5.0;
/// As [`SILENT_WARN_SECONDS`], when it is bad: ticks are being missed.
pub const SILENT_BAD_SECONDS: f64 = 15.0;
/// A socket with fewer instruments than this may be silent without a fault,
pub const FEW_INSTRUMENTS: u64 = 20;
/// so many times as long.
pub const FEW_FACTOR: f64 = 8.0;

/// How far a stage may be behind the one before it, seconds of the feed. A batch takes about one.
pub const LAG_WARN_SECONDS: f64 = 10.0;
/// As [`LAG_WARN_SECONDS`], when it is bad.
pub const LAG_BAD_SECONDS: f64 = 60.0;
/// Records that are always under way: no lag.
pub const LAG_RECORDS: u64 = 1_000;

/// Free space on a disk, bytes: a full day of a whole key is about 8 GB of journal and 4 GB of tables.
pub const DISK_WARN_BYTES: u64 = 10 << 30;
/// As [`DISK_WARN_BYTES`], when it is bad: the journal stops when the disk is full.
pub const DISK_BAD_BYTES: u64 = 1 << 30;

/// Part of Redis' memory limit that is in use.
pub const REDIS_WARN_FRACTION: f64 = 0.80;
/// As [`REDIS_WARN_FRACTION`], when it is bad: at the limit Redis refuses entries, which wait in the journal then.
pub const REDIS_BAD_FRACTION: f64 = 0.95;

/// Active parts in the fullest partition of a table. ClickHouse slows inserts down at 1,000 and refuses them at 3,000.
pub const PARTS_WARN: u64 = 300;
/// As [`PARTS_WARN`], when it is bad.
pub const PARTS_BAD: u64 = 900;

/// Difference between this machine's clock and the exchange's, seconds. Bars go by exchange time, everything else by ours.
pub const SKEW_WARN_SECONDS: f64 = 2.0;
/// As [`SKEW_WARN_SECONDS`], when it is bad.
pub const SKEW_BAD_SECONDS: f64 = 10.0;

/// Access tokens end at 06:00 in India, and must be there at 09:00, when the pre-open begins. From then to then, seconds of the day,
/// on weekdays, one that is not there is a warning; later, while a market trades, it is bad; at night nobody has to get up for it.
pub const TOKEN_SECONDS: std::ops::Range<i64> = 6 * 3_600..9 * 3_600 + 900;
