//! What became of each rule, for people and machines.

use serde::Serialize;
use std::fmt;
use tickhouse_model::Token;

/// What became of a rule. `selected = fits + repeated + left_out`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RuleReport {
    /// Its name.
    pub name: String,
    /// 1 is kept before 2.
    pub priority: u16,
    /// Instruments that it means now, an underlying whose price it needs included.
    pub selected: usize,
    /// Of these, recorded for this rule.
    pub fits: usize,
    /// Of these, meant by a rule before it too, and counted there.
    pub repeated: usize,
    /// Of these, beyond what the keys carry.
    pub left_out: usize,
    /// Where the money is, of options.
    pub at_the_money: Vec<AtTheMoney>,
    /// Underlyings of whose price nothing is known yet: only they are recorded so far, not their options.
    pub waiting: Vec<String>,
}

/// Where the money of one underlying is.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AtTheMoney {
    /// Kite's name of it.
    pub underlying: String,
    /// Whose price is followed.
    pub spot: Token,
    /// The last price that was followed, in rupees.
    pub price: Option<f64>,
    /// The strike at the money of each expiry, the nearest first.
    pub strikes: Vec<f64>,
}

/// Rules in columns, one line each.
pub(crate) fn write_rules(f: &mut fmt::Formatter<'_>, rules: &[RuleReport]) -> fmt::Result {
    let width = rules.iter().map(|rule| rule.name.chars().count()).max().unwrap_or(0).max(4);
    write!(f, "priority  {:width$}  selected      fits  repeated  left out", "rule")?;
    for rule in rules {
        let RuleReport { name, priority, selected, fits, repeated, left_out, .. } = rule;
        write!(f, "\n{priority:>8}  {name:width$}  {selected:>8}  {fits:>8}  {repeated:>8}  {left_out:>8}")?;
    }
    Ok(())
}
