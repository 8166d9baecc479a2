//! What an import did, per pattern of keys.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Patterns and reasons that are kept apart; the rest is counted together.
const PATTERNS: usize = 500;
const REASONS: usize = 50;
const OTHERS: &str = "(others)";

/// What an import did so far.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportReport {
    /// Keys of the plan.
    pub keys: u64,
    /// Keys that were read.
    pub keys_read: u64,
    /// Records that were recognised, over all patterns.
    pub records: u64,
    /// Things that were not, over all patterns.
    pub skipped: u64,
    /// Entries in the import's stream, ever; `None` in a dry run.
    pub published: Option<u64>,
    /// Of those, stored in ClickHouse as far as Redis says.
    pub stored: Option<u64>,
    /// By pattern: database, first word of the key, type.
    pub patterns: BTreeMap<String, PatternReport>,
}

/// What became of the keys of one pattern.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PatternReport {
    /// Keys.
    pub keys: u64,
    /// Records published, or to be published.
    pub records: u64,
    /// Things skipped, by reason.
    pub skipped: BTreeMap<String, u64>,
}

impl ImportReport {
    /// The report of a pattern.
    pub(crate) fn pattern(&mut self, pattern: &str) -> &mut PatternReport {
        let full = self.patterns.len() >= PATTERNS && !self.patterns.contains_key(pattern);
        self.patterns.entry(if full { OTHERS } else { pattern }.to_owned()).or_default()
    }
}

impl PatternReport {
    /// Counts something that was skipped.
    pub(crate) fn skip(&mut self, reason: String) {
        let full = self.skipped.len() >= REASONS && !self.skipped.contains_key(&reason);
        *self.skipped.entry(if full { OTHERS.to_owned() } else { reason }).or_default() += 1;
    }
}

/// `db0 ohlc:* hash`: the database, the first word of the key, the type.
pub(crate) fn pattern_of(db: u32, key: &str, kind: &str) -> String {
    let end = key.find(|c: char| matches!(c, ':' | '|' | '/' | '_' | '.' | '-') || c.is_ascii_digit());
    let end = key.floor_char_boundary(end.unwrap_or(key.len()).min(40));
    let star = if end < key.len() { "*" } else { "" };
    format!("db{db} {}{}{star} {kind}", &key[..end], if key[end..].starts_with(':') { ":" } else { "" })
}
