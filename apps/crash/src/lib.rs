//! The crash test: simulator with ledger → recorder → Redis → loaders → ClickHouse, each a process of its own, under a seeded schedule
//! of kills, stops and network faults; then an oracle that shares no code with what it judges.
//!
//! What enters: a seed, a time, the built program. What leaves: a report that says what was done and what is wrong, if anything.
//! What never happens here: a process or connection beyond this machine, a fault that is still on when the oracle looks.
//!
//! ```text
//! schedule (pure, of the seed) ─▶ run ─▶ system: processes, proxies ─▶ ledger, ClickHouse ─▶ oracle ─▶ report
//! ```
//!
//! * [`Schedule`]: what goes wrong, and when.
//! * [`run`]: one seed.
//! * The oracle: `sent` reads the ledger by Kite's own description of its messages, `stored` reads ClickHouse, `oracle` compares them
//!   packet by packet, `bars` computes `tick_data_1min` again from the rows of `tick_data`.

mod attack;
mod bars;
mod clickhouse;
mod keeper;
mod kite;
mod memory;
mod oracle;
mod proxy;
mod report;
mod run;
mod schedule;
mod sent;
mod system;
mod windows;

pub use memory::{Memory, Peak};
pub use report::{Done, Report, Totals};
pub use run::{Options, run};
pub use schedule::{Fault, Link, Network, Schedule, Step, Target, Wipe};
