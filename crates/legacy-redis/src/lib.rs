//! Ticks and candles of an older Redis into the streams.
//!
//! What enters: another Redis with hashes, JSON texts, lists, sorted sets and streams. What leaves: flat entries in a stream of
//! the import's own, `ticks:stream:import:<name>`, each record once, whatever is killed on the way. What never happens here: a
//! command that writes to the source, `KEYS`, memory that grows with the number of keys.
//!
//! ```text
//! source ─SCAN▶ keys/ ─sort▶ plan ─read, recognise▶ spool ─by hour▶ sorted/ ─XADD id▶ ticks:stream:import:<name>
//! ```
//!
//! Each arrow ends in files that are synced before the next begins, so a killed import goes on where it was:
//!
//! 1. **plan**: the keys of every database, each once. A cursor of `SCAN` means nothing to a restarted server and may give a key
//!    twice; so scanning begins anew after a kill, and the keys are sorted and made unique on disk, bucket by bucket.
//! 2. **spool**: the records of each key as flat entries. A checkpoint names keys done and bytes spooled; what was written
//!    after it is cut off.
//! 3. **sorted**: the spool by hour, because a batch of the loader that touches hundreds of partitions is hundreds of inserts.
//! 4. **publish**: line `n` of hour `h` is entry `h-n`. Redis refuses an id that is not larger than the last one, and the loader's
//!    mark says what is stored: as with journals, a stream that was lost is written again, and nothing is stored twice.
//!
//! [`Import::follow`] goes on from there: what it reads is kept on disk with the place that it came from, then published with
//! ids above those of any hour.
//!
//! It is not `ticks:stream` itself, because producers written to the brief send `MAXLEN 100000` with their own entries, which
//! would remove what was not read yet.

mod answer;
mod error;
mod files;
mod follow;
mod identity;
mod import;
mod latest;
mod list;
mod live;
mod names;
mod pace;
mod plan;
mod positions;
mod publish;
mod recognise;
mod report;
mod rules;
mod seen;
mod sorted;
mod sorted_set;
mod source;
mod spool;
mod sweep;

pub use error::ImportError;
pub use follow::FollowReport;
pub use import::{Import, ImportOptions, Phase, Progress};
pub use names::Names;
pub use recognise::{Context, Recognised, Recogniser, Skip};
pub use report::{ImportReport, PatternReport};
pub use rules::{Rules, RulesError};
