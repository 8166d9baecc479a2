//! Our bars against somebody else's: each difference, and what it probably comes from.

use crate::spans::Spans;
use crate::{Bar, Span};
use serde::Serialize;
use std::collections::BTreeMap;
use tickhouse_model::{SessionType, Timestamp};

/// What may differ without being told.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Tolerance {
    /// Of a price, in rupees.
    pub price: f64,
    /// Of volume and open interest, in percent of theirs.
    pub volume_percent: f64,
}

/// What differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Field {
    /// The first price.
    Open,
    /// The highest price.
    High,
    /// The lowest price.
    Low,
    /// The last price.
    Close,
    /// The volume.
    Volume,
    /// The open interest, where both have one.
    OpenInterest,
    /// One of the two has no bar at all; what is compared is the volume.
    Bar,
}

/// What a difference probably comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The feed had a gap in it, or just before.
    Gap,
    /// Our bar says that something is missing: the first of a recording, a total that fell, or not over yet.
    Incomplete,
    /// The bar before or after it differs as much the other way: trades were counted on the other side of the boundary.
    Boundary,
    /// Nothing was recorded then.
    NotRecorded,
    /// The broker was asked for it and has no candle, although we saw volume.
    NoCandle,
    /// None of these.
    Unexplained,
}

/// One difference.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// Begin of the bar.
    #[serde(skip)]
    pub start: Timestamp,
    /// What differs.
    pub field: Field,
    /// Our value; `None` where we have no bar.
    pub ours: Option<f64>,
    /// Their value; `None` where they have no candle.
    pub theirs: Option<f64>,
    /// Ours less theirs.
    pub difference: f64,
    /// What it probably comes from.
    pub reason: Reason,
}

/// What a comparison found.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Reconciled {
    /// Bars that both have.
    pub compared: usize,
    /// Of them, those without a difference beyond the tolerance.
    pub equal: usize,
    /// Every difference beyond the tolerance, by time.
    #[serde(skip)]
    pub differences: Vec<Difference>,
}

/// Our bar and theirs of the same begin.
type Pair<'a> = (Option<&'a Bar>, Option<&'a Bar>);

/// Holds our bars against theirs, by begin. `gaps` are those of the feed; `asked` says of which times the broker was asked and
/// answered. Our bars outside those, outside regular trading, and those in which nothing was traded need no counterpart: nobody asked
/// for it, or brokers have no candles there.
pub fn reconcile(
    ours: &[Bar],
    theirs: &[Bar],
    gaps: &[Span],
    asked: &[Span],
    tolerance: Tolerance,
) -> Reconciled {
    let (gaps, asked) = (Spans::of(gaps), Spans::of(asked));
    let is_asked = |bar: &Bar| {
        let (from, until) = (bar.start.as_millis(), bar.end.as_millis());
        asked.within(from, until) == until - from
    };
    let mut pairs: BTreeMap<Timestamp, Pair<'_>> = BTreeMap::new();
    ours.iter().for_each(|bar| pairs.entry(bar.start).or_default().0 = Some(bar));
    theirs.iter().for_each(|bar| pairs.entry(bar.start).or_default().1 = Some(bar));
    let pairs: Vec<_> = pairs.into_iter().collect();
    let shift = |at: Option<&(Timestamp, Pair<'_>)>| match at {
        Some((_, (Some(ours), Some(theirs)))) => ours.volume as f64 - theirs.volume as f64,
        _ => 0.0,
    };
    let mut found = Reconciled::default();
    for (index, (start, pair)) in pairs.iter().enumerate() {
        match *pair {
            (Some(ours), Some(theirs)) => {
                let beside =
                    [index.checked_sub(1).and_then(|before| pairs.get(before)), pairs.get(index + 1)];
                let before = found.differences.len();
                let compare = Comparison { ours, theirs, gaps: &gaps, beside: beside.map(shift) };
                compare.run(tolerance, &mut found.differences);
                found.compared += 1;
                found.equal += usize::from(found.differences.len() == before);
            }
            (Some(bar), None) if bar.session == SessionType::Regular && bar.volume > 0 && is_asked(bar) => {
                found.differences.push(alone(*start, Some(bar), None, Reason::NoCandle));
            }
            (None, Some(bar)) => {
                let cut = gaps.touch(bar.start.as_millis(), bar.end.as_millis());
                let reason = if cut { Reason::Gap } else { Reason::NotRecorded };
                found.differences.push(alone(*start, None, Some(bar), reason));
            }
            _ => {}
        }
    }
    found
}

fn alone(start: Timestamp, ours: Option<&Bar>, theirs: Option<&Bar>, reason: Reason) -> Difference {
    let volume = |bar: Option<&Bar>| bar.map(|bar| bar.volume as f64);
    let difference = volume(ours).unwrap_or(0.0) - volume(theirs).unwrap_or(0.0);
    Difference { start, field: Field::Bar, ours: volume(ours), theirs: volume(theirs), difference, reason }
}

struct Comparison<'a> {
    ours: &'a Bar,
    theirs: &'a Bar,
    gaps: &'a Spans,
    /// By how much the volumes of the bar before and after differ.
    beside: [f64; 2],
}

impl Comparison<'_> {
    fn run(&self, tolerance: Tolerance, found: &mut Vec<Difference>) {
        let (ours, theirs) = (self.ours, self.theirs);
        let prices = [
            (Field::Open, ours.open, theirs.open),
            (Field::High, ours.high, theirs.high),
            (Field::Low, ours.low, theirs.low),
            (Field::Close, ours.close, theirs.close),
        ];
        // doubles nearest to decimal values: a tenth of the smallest step of any price is none
        let price = tolerance.price + 1e-6;
        for (field, ours, theirs) in prices {
            self.tell(field, ours, theirs, price, found);
        }
        let percent = |theirs: u64| theirs as f64 * tolerance.volume_percent / 100.0;
        self.tell(Field::Volume, ours.volume as f64, theirs.volume as f64, percent(theirs.volume), found);
        if ours.open_interest > 0 && theirs.open_interest > 0 {
            let (a, b) = (ours.open_interest as f64, theirs.open_interest as f64);
            self.tell(Field::OpenInterest, a, b, percent(theirs.open_interest), found);
        }
    }

    fn tell(&self, field: Field, ours: f64, theirs: f64, tolerance: f64, found: &mut Vec<Difference>) {
        let difference = ours - theirs;
        if difference.abs() <= tolerance {
            return;
        }
        let is_shifted =
            |other: &f64| other * difference < 0.0 && (other + difference).abs() <= difference.abs() / 2.0;
        let reason = if self.ours.gap_seconds > 0
            || self.gaps.touch(self.ours.start.as_millis(), self.ours.end.as_millis())
        {
            Reason::Gap
        } else if !self.ours.complete {
            Reason::Incomplete
        } else if field == Field::Volume && self.beside.iter().any(is_shifted) {
            Reason::Boundary
        } else {
            Reason::Unexplained
        };
        let (ours, theirs) = (Some(ours), Some(theirs));
        found.push(Difference { start: self.ours.start, field, ours, theirs, difference, reason });
    }
}
