//! Sets of milliseconds as sorted spans that do not touch.

use crate::Span;

/// Spans `[from, until)` in milliseconds, rising, apart from each other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Spans(Vec<(i64, i64)>);

impl Spans {
    pub(crate) fn of(spans: &[Span]) -> Self {
        // a gap of less than a millisecond is one of a millisecond: rounded outwards
        spans
            .iter()
            .map(|span| {
                let until = span.until.as_nanos().saturating_add(999_999).div_euclid(1_000_000);
                (span.from.as_millis(), until)
            })
            .collect()
    }

    /// Whether any of it lies in `[from, until)`.
    pub(crate) fn touch(&self, from: i64, until: i64) -> bool {
        let first = self.0.partition_point(|span| span.1 <= from);
        from < until && self.0.get(first).is_some_and(|span| span.0 < until)
    }

    /// How much of `[from, until)` it covers, in milliseconds.
    pub(crate) fn within(&self, from: i64, until: i64) -> i64 {
        let first = self.0.partition_point(|span| span.1 <= from);
        let found = self.0[first..].iter().take_while(|span| span.0 < until);
        found.map(|span| span.1.min(until) - span.0.max(from)).sum()
    }

    /// What is here and not there.
    pub(crate) fn without(&self, other: &Self) -> Self {
        let mut left = Vec::new();
        for &(mut from, until) in &self.0 {
            let first = other.0.partition_point(|span| span.1 <= from);
            for gone in other.0[first..].iter().take_while(|span| span.0 < until) {
                if gone.0 > from {
                    left.push((from, gone.0));
                }
                from = gone.1;
            }
            if from < until {
                left.push((from, until));
            }
        }
        Self(left)
    }
}

impl FromIterator<(i64, i64)> for Spans {
    fn from_iter<T: IntoIterator<Item = (i64, i64)>>(spans: T) -> Self {
        let mut spans: Vec<_> = spans.into_iter().filter(|span| span.0 < span.1).collect();
        spans.sort_unstable();
        let mut merged: Vec<(i64, i64)> = Vec::with_capacity(spans.len());
        for span in spans {
            match merged.last_mut() {
                Some(last) if span.0 <= last.1 => last.1 = last.1.max(span.1),
                _ => merged.push(span),
            }
        }
        Self(merged)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn set() -> impl Strategy<Value = Vec<(i64, i64)>> {
        prop::collection::vec((0_i64..100, 0_i64..20), 0..8)
            .prop_map(|spans| spans.into_iter().map(|(from, length)| (from, from + length)).collect())
    }

    proptest! {
        #[test]
        fn spans_are_the_milliseconds_in_them(a in set(), b in set(), from in 0_i64..120, length in 0_i64..50) {
            let has = |spans: &[(i64, i64)], at: i64| spans.iter().any(|span| span.0 <= at && at < span.1);
            let (left, right): (Spans, Spans) = (a.iter().copied().collect(), b.iter().copied().collect());
            let apart = left.without(&right);
            for at in 0..130 {
                prop_assert_eq!(left.touch(at, at + 1), has(&a, at));
                prop_assert_eq!(apart.touch(at, at + 1), has(&a, at) && !has(&b, at));
            }
            let inside = (from..from + length).filter(|at| has(&a, *at)).count() as i64;
            prop_assert_eq!(left.within(from, from + length), inside);
            prop_assert_eq!(left.touch(from, from + length), inside > 0);
            prop_assert!(left.0.windows(2).all(|pair| pair[0].1 < pair[1].0));
        }
    }
}
