//! Resident memory of recorder and loaders over time.

use serde::Serialize;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Growth between the halves of a run that counts as flat: a tenth, and what an allocator keeps.
const FLAT: (f64, u64) = (1.1, 48 << 20);

/// Samples of each process since it was made.
#[derive(Debug)]
pub struct Memory {
    began: Instant,
    samples: BTreeMap<&'static str, Vec<(Duration, u64)>>,
}

impl Default for Memory {
    fn default() -> Self {
        Self { began: Instant::now(), samples: BTreeMap::new() }
    }
}

/// Of one process, over its restarts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Peak {
    /// Highest resident bytes in each quarter of the run.
    pub quarters: [u64; 4],
    /// Whether the second half is no higher than the first, give or take a tenth and 48 MiB.
    pub flat: bool,
}

impl Memory {
    /// Notes the resident bytes of a process.
    pub fn note(&mut self, name: &'static str, bytes: u64) {
        self.note_at(name, self.began.elapsed(), bytes);
    }

    fn note_at(&mut self, name: &'static str, at: Duration, bytes: u64) {
        self.samples.entry(name).or_default().push((at, bytes));
    }

    /// Peaks by process.
    pub fn peaks(&self) -> BTreeMap<&'static str, Peak> {
        self.samples.iter().map(|(name, samples)| (*name, peak(samples))).collect()
    }
}

fn peak(samples: &[(Duration, u64)]) -> Peak {
    let whole = samples.last().map_or(Duration::ZERO, |(at, _)| *at).max(Duration::from_millis(1));
    let mut quarters = [0; 4];
    for (at, bytes) in samples {
        let quarter = (at.as_secs_f64() / whole.as_secs_f64() * 4.0) as usize;
        let peak = &mut quarters[quarter.min(3)];
        *peak = (*peak).max(*bytes);
    }
    let (first, second) = (quarters[0].max(quarters[1]), quarters[2].max(quarters[3]));
    Peak { quarters, flat: second as f64 <= first as f64 * FLAT.0 + FLAT.1 as f64 }
}

/// Resident bytes of a process; `None` when it is gone.
pub(crate) fn resident(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leak_is_seen_and_restarts_are_none() {
        let mut memory = Memory::default();
        for second in 0..100 {
            let at = Duration::from_secs(second);
            memory.note_at("flat", at, (200 + second % 10) << 20);
            memory.note_at("leak", at, (100 + second * 5) << 20);
        }
        let peaks = memory.peaks();
        assert!(peaks["flat"].flat && !peaks["leak"].flat, "{peaks:?}");
        assert_eq!(peaks["flat"].quarters, [209 << 20; 4]);
    }
}
