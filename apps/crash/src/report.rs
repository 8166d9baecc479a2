//! What was done, what was found.

use crate::memory::Peak;
use crate::schedule::Fault;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

/// Violations that people are shown; there is a count of all.
const SHOWN: usize = 20;

/// Faults that struck, by kind. A fault at a process that was down already struck nothing and counts as missed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Done {
    /// By SIGKILL.
    pub kills: u64,
    /// Of the network.
    pub network_faults: u64,
    /// All that struck.
    pub faults: u64,
    /// Those that found nothing to strike.
    pub missed: u64,
    /// Those that struck, by kind.
    pub by_kind: BTreeMap<String, u64>,
}

impl Done {
    /// Notes a fault.
    pub fn note(&mut self, fault: Fault, hit: bool) {
        if !hit {
            self.missed += 1;
            return;
        }
        self.faults += 1;
        self.kills += u64::from(fault.is_kill());
        self.network_faults += u64::from(matches!(fault, Fault::Network(..)));
        *self.by_kind.entry(fault.kind()).or_default() += 1;
    }
}

/// Packets, from the exchange to `tick_data`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Connections that the exchange had.
    pub connections: u64,
    /// Packets that it handed to them.
    pub sent: u64,
    /// Of those, with a row of `tick_data` that has their identity and values.
    pub stored: u64,
    /// Handed to a connection that ended before the recorder read them, in a window of `feed_gaps`.
    pub in_gaps: u64,
    /// Of those, sent before the window opens: the recorder was behind, and the last packet that it has was received there.
    pub in_gaps_late: u64,
    /// Handed to a connection that had ended while the next one of the same instruments had begun: the same updates went there.
    pub superseded: u64,
    /// Neither stored nor in a window.
    pub missing: u64,
    /// Rows that no packet has, or that have another's place.
    pub duplicates: u64,
    /// Rows with other values than their packets.
    pub altered: u64,
    /// Windows of `feed_gaps`.
    pub gaps: u64,
    /// Bars that were compared.
    pub bars: u64,
    /// Bars that differ from those computed from the rows of `tick_data`, or are missing, or should not be.
    pub bars_wrong: u64,
}

/// One seed's run.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Whether nothing is wrong.
    pub ok: bool,
    /// The seed.
    pub seed: u64,
    /// How long faults went on, seconds.
    pub seconds: f64,
    /// Whether midnight came meanwhile.
    pub midnight: bool,
    /// Packets per second that the exchange made.
    pub rate: f64,
    /// What was done.
    pub done: Done,
    /// Starts of each process beyond the first.
    pub restarts: BTreeMap<&'static str, u64>,
    /// From the last fault until everything was stored, seconds.
    pub drained_after: f64,
    /// What became of the packets.
    pub totals: Totals,
    /// Resident memory.
    pub memory: BTreeMap<&'static str, Peak>,
    /// Whether `tickhouse verify` proved the run.
    pub proven: bool,
    /// What is wrong, each in a sentence.
    pub violations: Vec<String>,
    /// What the oracle said once the tables were spoilt on purpose; no part of the verdict.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub objections: Vec<String>,
    /// Ends of processes that nobody asked for, and starts that failed, as while ClickHouse was away. No violations.
    pub notes: Vec<String>,
    /// Where data and logs are, when something is wrong.
    pub kept: Option<PathBuf>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { done, totals, .. } = self;
        let night = if self.midnight { ", over midnight" } else { "" };
        writeln!(
            f,
            "seed {}: {:.0} s of faults at {:.0} packets/s{night}",
            self.seed, self.seconds, self.rate
        )?;
        writeln!(
            f,
            "  {} faults: {} kills, {} of the network; {} found nothing to strike",
            done.faults, done.kills, done.network_faults, done.missed
        )?;
        for (kind, count) in &done.by_kind {
            writeln!(f, "    {count:>4} {kind}")?;
        }
        writeln!(
            f,
            "  packets: {} sent, {} stored, {} in {} gap windows, {} superseded; {} missing, {} double, {} altered",
            totals.sent,
            totals.stored,
            totals.in_gaps,
            totals.gaps,
            totals.superseded,
            totals.missing,
            totals.duplicates,
            totals.altered
        )?;
        writeln!(f, "  bars: {} compared, {} wrong", totals.bars, totals.bars_wrong)?;
        let proven = if self.proven { "proven" } else { "NOT PROVEN" };
        writeln!(
            f,
            "  drained {:.1} s after the last fault; tickhouse verify: {proven}",
            self.drained_after
        )?;
        for (name, peak) in &self.memory {
            let megabytes = peak.quarters.map(|bytes| bytes >> 20);
            let word = if peak.flat { "flat" } else { "GROWS" };
            writeln!(f, "  memory of {name}: peaks {megabytes:?} MiB by quarter, {word}")?;
        }
        for violation in self.violations.iter().take(SHOWN) {
            writeln!(f, "  VIOLATION {violation}")?;
        }
        if self.violations.len() > SHOWN {
            writeln!(f, "  … {} violations", self.violations.len())?;
        }
        if let Some(kept) = &self.kept {
            writeln!(f, "  data and logs: {}", kept.display())?;
        }
        write!(f, "  {}", if self.ok { "ok" } else { "FAILED" })
    }
}
