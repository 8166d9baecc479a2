//! The proof: what the journals have is in ClickHouse, each row once and unaltered; what ClickHouse has balances.
//!
//! What enters: journals on disk, ClickHouse as a user who may only read. What leaves: counts that are zero, or the identities of the rows
//! that are missing, double, altered or nobody's. What never happens here: a write; trust in the counters of the processes that did the work;
//! memory that grows with the day.
//!
//! # How
//! 1. The loader's marks say up to which record of each socket all rows are stored. What a journal has after its mark waits, and is
//!    counted as that.
//! 2. Each journal is read once and decoded. Its records fall into chunks of 16,384 sequences; of each chunk the rows that the tables
//!    must have are counted, and a digest of each row is added up: every value that Kite sent, the time of receipt, the identity.
//! 3. ClickHouse adds up the same digests over its rows, in one pass over each table.
//! 4. A chunk whose count and sum agree has the same rows. Of a chunk that differs both sides give out their rows, and those that
//!    are wrong are named.
//! 5. Independent of any journal: `frames` has every sequence between the first and the last of a session and socket once, and as many packets
//!    as `tick_data` and `quarantine` have, at the same places. This stays true after segments are gone.
//!
//! Not compared: names, sector, session phase and quality of a tick, which a later master may mend.
//!
//! The cost grows linearly with the packets of the window: a pass over the columns of `tick_data`, and reading the journal.

mod chunk;
mod compare;
mod digest;
mod error;
mod journal;
mod ledger;
mod report;
mod stop;
mod stored;
mod verify;

pub use compare::Verdict;
pub use error::VerifyError;
pub use ledger::{Fault, Imbalance};
pub use report::{FlatStream, GapSum, MOST_LISTED, PATIENCE_SECONDS, Report, SocketReport, Totals, WrongRow};
pub use stop::Stop;
pub use stored::Table;
pub use verify::{VerifyOptions, verify};
