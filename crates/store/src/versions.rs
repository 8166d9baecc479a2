//! What one token meant over time, as intervals of days that never overlap, and what a master of some day changes in them.
//!
//! What enters: the intervals of a token, and what a master says of it. What leaves: the rows to write. What never happens here:
//! I/O. Masters may come in any order, and twice: a master of day D says what holds from D until the day before the next master.

/// The last day that a `Date` column holds, 2149-06-06: "until a later master says otherwise".
pub(crate) const LAST_DAY: u16 = u16::MAX;

/// A value that held from one day to another, both included. Day 0 only ever begins an interval: it stands for "before our first
/// master". Empty when no later day is left: the row is withdrawn, see [`crate::HELD_VERSIONS`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Interval<T> {
    pub(crate) from: u16,
    pub(crate) to: u16,
    pub(crate) value: T,
}

impl<T> Interval<T> {
    pub(crate) const fn is_empty(&self) -> bool {
        self.from > self.to || self.to == 0
    }

    pub(crate) const fn covers(&self, day: u16) -> bool {
        self.from <= day && day <= self.to
    }
}

/// The intervals after `value` (`None`: nothing) was found to hold from `from` to `to`. Neighbours with the same value become
/// one. `intervals` and the result are in the order of their days.
pub(crate) fn overwrite<T: Clone + PartialEq>(
    intervals: &[Interval<T>],
    from: u16,
    to: u16,
    value: Option<&T>,
) -> Vec<Interval<T>> {
    let mut pieces = Vec::with_capacity(intervals.len() + 2);
    for Interval { from: first, to: last, value } in intervals.iter().filter(|it| !it.is_empty()) {
        if *first < from {
            pieces.push(Interval { from: *first, to: (*last).min(from - 1), value: value.clone() });
        }
        if *last > to {
            pieces.push(Interval { from: (*first).max(to + 1), to: *last, value: value.clone() });
        }
    }
    pieces.extend(value.map(|value| Interval { from, to, value: value.clone() }));
    pieces.retain(|piece| !piece.is_empty());
    pieces.sort_by_key(|piece| piece.from);
    let mut joined: Vec<Interval<T>> = Vec::with_capacity(pieces.len());
    for piece in pieces {
        match joined.last_mut() {
            Some(last) if last.to < LAST_DAY && last.to + 1 == piece.from && last.value == piece.value => {
                last.to = piece.to;
            }
            _ => joined.push(piece),
        }
    }
    joined
}

/// The rows that make `after` of `before` in a table that keeps the newest row of each first day: those that are new or
/// differ, and an empty interval for each first day that is gone.
pub(crate) fn rows_to_write<T: Clone + PartialEq>(
    before: &[Interval<T>],
    after: &[Interval<T>],
) -> Vec<Interval<T>> {
    let gone = before.iter().filter(|old| !old.is_empty() && after.iter().all(|new| new.from != old.from));
    let mut rows: Vec<Interval<T>> = after.iter().filter(|new| !before.contains(new)).cloned().collect();
    rows.extend(gone.map(|old| Interval { from: old.from, to: old.from.saturating_sub(1), ..old.clone() }));
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DAYS: u16 = 12;

    /// What holds on each day, said day by day.
    fn by_day(intervals: &[Interval<u8>]) -> Vec<Option<u8>> {
        (1..DAYS).map(|day| intervals.iter().find(|it| it.covers(day)).map(|it| it.value)).collect()
    }

    proptest! {
        #[test]
        fn days_hold_what_was_said_of_them_last(
            said in prop::collection::vec((0..DAYS, 1..DAYS, prop::option::of(0..3_u8)), 0..12),
        ) {
            let mut days = vec![None; usize::from(DAYS)];
            let mut intervals: Vec<Interval<u8>> = Vec::new();
            // the table: the newest row of each first day
            let mut table: std::collections::BTreeMap<u16, Interval<u8>> = std::collections::BTreeMap::new();
            for (from, to, value) in said {
                if from > to {
                    continue;
                }
                days[usize::from(from)..=usize::from(to)].fill(value);
                let after = overwrite(&intervals, from, to, value.as_ref());
                for row in rows_to_write(&intervals, &after) {
                    table.insert(row.from, row);
                }
                prop_assert_eq!(by_day(&after), days[1..].to_vec());
                prop_assert!(after.windows(2).all(|pair| pair[0].to < pair[1].from), "{:?}", after);
                let joined = |pair: &[Interval<u8>]| pair[0].to + 1 < pair[1].from || pair[0].value != pair[1].value;
                prop_assert!(after.windows(2).all(joined), "{:?}", after);
                let stored: Vec<_> = table.values().filter(|row| !row.is_empty()).cloned().collect();
                prop_assert_eq!(&stored, &after);
                prop_assert!(rows_to_write(&after, &after).is_empty());
                intervals = after;
            }
        }
    }
}
