//! Whether all is well, stage by stage in the way of a tick, and what to do where it is not.
//!
//! What enters: the statuses of the processes as they say them (`GET /status`), the phase of the markets, the present. What
//! leaves: a [`Health`], the same for the web page, `tickhouse status` and `tickhouse alert`. What never happens here: I/O,
//! async, a clock, a guess where a process said nothing.

mod alert;
mod flow;
mod health;
mod judge;
mod market;
mod said;
mod stages;
pub mod thresholds;

pub use alert::{AlertOptions, Alerter, Message};
pub use flow::{Flow, Progress, Totals};
pub use health::{
    Between, Disk, Health, HealthTotals, Percentiles, ProcessHealth, SocketHealth, Stage, StageName, State,
};
pub use judge::{Judge, Look};
pub use market::MarketPhase;
