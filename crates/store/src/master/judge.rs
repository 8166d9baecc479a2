//! What one token of a master changes in what is known of the token.

use super::{Master, MasterReport};
use crate::instruments::expiry_days;
use crate::versions::{Interval, LAST_DAY, overwrite, rows_to_write};
use std::collections::BTreeMap;
use tickhouse_model::Instrument;

/// Where a master stands among the whole masters of an exchange.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    /// No earlier one is known: what it lists may be as old as it likes.
    pub(super) first: bool,
    /// The day of the next one.
    pub(super) next: Option<u16>,
}

impl Default for Span {
    fn default() -> Self {
        Self { first: true, next: None }
    }
}

impl Span {
    /// The last day of which the master says something.
    fn last(self) -> u16 {
        self.next.map_or(LAST_DAY, |next| next - 1)
    }

    /// An older master than any that is known: what those said of the days before them was assumed.
    const fn is_late_first(self) -> bool {
        self.first && self.next.is_some()
    }
}

/// What became of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Added,
    Reused,
    Changed,
    Completed,
    Unchanged,
    Past,
    Gone,
    /// Not in the master, and nothing that it ends.
    Elsewhere,
}

impl Change {
    pub(super) fn count(self, report: &mut MasterReport) {
        *match self {
            Self::Added => &mut report.added,
            Self::Reused => &mut report.reused,
            Self::Changed => &mut report.changed,
            Self::Completed => &mut report.completed,
            Self::Unchanged => &mut report.unchanged,
            Self::Past => &mut report.past,
            Self::Gone => &mut report.gone,
            Self::Elsewhere => return,
        } += 1;
    }
}

/// What is to be written of a token.
#[derive(Debug)]
pub(super) struct Judged {
    pub(super) change: Change,
    /// For `instruments`.
    pub(super) rows: Vec<Interval<Instrument>>,
    /// For `token_metadata`, where it differs.
    pub(super) newest: Option<Instrument>,
}

/// Judges a token by its entry in the master, if it has one, and its versions.
pub(super) fn judge(
    master: &Master<'_>,
    spans: &BTreeMap<String, Span>,
    new: Option<Instrument>,
    before: &[Interval<Instrument>],
) -> Judged {
    let (change, after) = match new {
        Some(new) => listed(master, spans, new, before),
        None => unlisted(master, spans, before),
    };
    match after {
        After::Versions(after) => Judged {
            change,
            rows: rows_to_write(before, &after),
            // what a cut left nothing of keeps its row: a token's last known meaning
            newest: after.last().or(before.last()).map(|last| last.value.clone()),
        },
        After::OnlyNow(new) => Judged { change, rows: Vec::new(), newest: Some(new) },
    }
}

enum After {
    Versions(Vec<Interval<Instrument>>),
    /// A contract that was over before we knew it: worth a current row, but valid on no day.
    OnlyNow(Instrument),
}

fn listed(
    master: &Master<'_>,
    spans: &BTreeMap<String, Span>,
    mut new: Instrument,
    before: &[Interval<Instrument>],
) -> (Change, After) {
    let day = master.day;
    let span = spans.get(&new.exchange).copied().unwrap_or_default();
    if let Some(known) = before.iter().rev().find(|it| same_contract(&it.value, &new)) {
        complete(&mut new, &known.value);
    }
    let end = match expiry_days(&new) {
        0 => span.last(),
        expiry => span.last().min(expiry),
    };
    if before.is_empty() {
        let from = if span.first || !master.whole { 0 } else { day };
        return if from <= end && end > 0 {
            (Change::Added, After::Versions(vec![Interval { from, to: end, value: new }]))
        } else {
            (Change::Added, After::OnlyNow(new))
        };
    }
    if end < day {
        return (Change::Past, After::Versions(before.to_vec()));
    }
    let covering = before.iter().position(|it| it.covers(day));
    let mut versions = before.to_vec();
    let change = match covering {
        None if before.iter().any(|it| same_contract(&it.value, &new)) => Change::Added,
        None => Change::Reused,
        Some(at) if versions[at].value == new => Change::Unchanged,
        Some(at) if !same_contract(&versions[at].value, &new) => Change::Reused,
        Some(at) => {
            let mut completed = versions[at].value.clone();
            complete(&mut completed, &new);
            if completed == new {
                // nothing that was said before is contradicted: it holds for the days before as well
                versions[at].value = completed;
                Change::Completed
            } else {
                Change::Changed
            }
        }
    };
    let assumed = span.is_late_first() && covering.is_none_or(|at| before[at].from == 0);
    let from = if assumed && before[..covering.unwrap_or(0)].is_empty() { 0 } else { day };
    let cleared = overwrite(&versions, from, span.last(), None);
    let after = overwrite(&cleared, from, end, Some(&new));
    let change = if change == Change::Unchanged && after != before { Change::Changed } else { change };
    (change, After::Versions(after))
}

fn unlisted(
    master: &Master<'_>,
    spans: &BTreeMap<String, Span>,
    before: &[Interval<Instrument>],
) -> (Change, After) {
    let span = before.last().and_then(|last| spans.get(&last.value.exchange));
    let Some(span) = span.filter(|_| master.whole) else {
        return (Change::Elsewhere, After::Versions(before.to_vec()));
    };
    let from = if span.is_late_first() { 0 } else { master.day };
    let after = overwrite(before, from, span.last(), None);
    let change = if after == before { Change::Elsewhere } else { Change::Gone };
    (change, After::Versions(after))
}

/// Whether two instruments of one token are the same contract, though not every field may be known of both.
fn same_contract(one: &Instrument, other: &Instrument) -> bool {
    let strikes = [one.strike, other.strike];
    one.tradingsymbol == other.tradingsymbol
        && one.exchange == other.exchange
        && (one.expiry == other.expiry || one.expiry.is_none() || other.expiry.is_none())
        && (strikes[0].to_bits() == strikes[1].to_bits() || strikes.contains(&0.0))
}

/// Fills what is empty of `instrument` from what is known of the same contract.
fn complete(instrument: &mut Instrument, known: &Instrument) {
    let texts = [
        (&mut instrument.symbol, &known.symbol),
        (&mut instrument.underlying, &known.underlying),
        (&mut instrument.segment, &known.segment),
        (&mut instrument.sector, &known.sector),
        (&mut instrument.asset_class, &known.asset_class),
    ];
    for (text, known) in texts {
        if text.is_empty() {
            text.clone_from(known);
        }
    }
    for (number, known) in
        [(&mut instrument.strike, known.strike), (&mut instrument.tick_size, known.tick_size)]
    {
        if *number == 0.0 {
            *number = known;
        }
    }
    if instrument.lot_size == 0 {
        instrument.lot_size = known.lot_size;
    }
    if instrument.instrument_type == tickhouse_model::InstrumentKind::Other {
        instrument.instrument_type = known.instrument_type;
    }
    instrument.expiry = instrument.expiry.or(known.expiry);
}
