//! Historical candles: from files and from Kite's REST into ClickHouse, each once.
//!
//! What enters: JSON files of candles; Kite's historical REST. What leaves: rows of `candles`, and of `tick_data` where that is
//! wanted. What never happens here: a candle without its instrument; the same candle twice, whatever was killed when; more
//! requests than Kite allows, over all processes of a data directory.

mod backfill;
mod error;
mod file;
mod import;
mod instruments;
mod interval;
mod json;
mod lock;
mod markets;
mod ticks;
mod write;

pub use backfill::{
    Backfill, BackfillReport, Covered, Days, Gap, Pace, Request, Task, Wanted, concerned, covered, gaps,
    least_time, plan,
};
pub use error::HistoryError;
pub use file::{Counts, FileCandle, Name, Pass, Survey, SurveyOptions, survey};
pub use import::{ImportOptions, ImportReport, ImportStep, Skipped, import};
pub use instruments::{
    Candidates, Known, Resolved, Unknown, by_token, current, instruments_by_token, resolve,
};
pub use interval::Interval;
pub use json::Fault;
pub use ticks::{MirrorRange, Mirrored, TickMirror};
