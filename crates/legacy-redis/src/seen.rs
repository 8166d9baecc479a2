//! What was seen of a key that grows: enough to tell next time what is new in it, and no more.
//!
//! What enters: the elements of a key in the order of reading. What leaves: some hundred bytes (of sorted sets up to some 20 kB),
//! however large the key is. What never happens here: I/O.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// Elements of a list that are remembered at each end.
pub(crate) const WINDOW: usize = 16;
/// Members of a sorted set that are remembered: the highest.
pub(crate) const HIGHEST: usize = 512;
/// Members that are remembered while a set is being read.
pub(crate) const READING: usize = 1 << 16;

/// A text as a number that other starts of the program compute too.
pub(crate) fn digest(text: &[u8]) -> u64 {
    let hash = Sha256::digest(text);
    u64::from_le_bytes([hash[0], hash[1], hash[2], hash[3], hash[4], hash[5], hash[6], hash[7]])
}

/// Up to where a key was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Seen {
    /// The last entry's id.
    Stream(String),
    List(ListSeen),
    SortedSet(SetSeen),
}

/// How that goes on: small, also where what was seen is not. Made twice in the same order, changes lead to the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Change {
    /// What was seen is now this.
    To(Seen),
    SortedSet(SetChange),
}

impl Change {
    pub(crate) fn apply(self, seen: Option<Seen>) -> Seen {
        match (self, seen) {
            (Self::To(to), _) => to,
            (Self::SortedSet(change), Some(Seen::SortedSet(mut set))) => {
                set.apply(&change);
                Seen::SortedSet(set)
            }
            (Self::SortedSet(change), _) => {
                let mut set = SetSeen::default();
                set.apply(&change);
                Seen::SortedSet(set)
            }
        }
    }
}

/// An end of a list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum End {
    Left,
    #[default]
    Right,
}

impl End {
    pub(crate) const fn other(self) -> Self {
        match self {
            Self::Left => Self::Right,
            Self::Right => Self::Left,
        }
    }
}

/// A list: its length and digests of the elements at both ends.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ListSeen {
    pub(crate) length: u64,
    /// The leftmost element last.
    left: Vec<u64>,
    /// The rightmost element last.
    right: Vec<u64>,
    /// Where it grew last.
    pub(crate) grows: End,
}

impl ListSeen {
    /// What is remembered at an end, the outermost element last.
    pub(crate) fn window(&self, end: End) -> &[u64] {
        match end {
            End::Left => &self.left,
            End::Right => &self.right,
        }
    }

    /// One more element at an end.
    pub(crate) fn grow(&mut self, end: End, element: u64) {
        let (near, far) = match end {
            End::Left => (&mut self.left, &mut self.right),
            End::Right => (&mut self.right, &mut self.left),
        };
        near.push(element);
        if near.len() > WINDOW {
            near.remove(0);
        }
        if far.len() < WINDOW {
            far.insert(0, element);
        }
        self.length += 1;
    }

    /// The end looks like this now, the outermost element last.
    pub(crate) fn set_window(&mut self, end: End, elements: &[u64]) {
        let window = elements[elements.len().saturating_sub(WINDOW)..].to_vec();
        match end {
            End::Left => self.left = window,
            End::Right => self.right = window,
        }
    }
}

/// How many of the elements of `list`, which ends at an end of a list, were there when `window` was that end; those after them are new.
/// `whole` tells that nothing stands before `list`, so that less of the window is enough.
pub(crate) fn aligned(list: &[u64], window: &[u64], whole: bool) -> Option<usize> {
    (1..=list.len()).rev().find(|end| {
        let known = window.len().min(*end);
        known > 0
            && (known == window.len() || whole)
            && list[end - known..*end] == window[window.len() - known..]
    })
}

/// The same where elements of the window may have been taken away since: also how many are left of it.
pub(crate) fn aligned_but(list: &[u64], window: &[u64], whole: bool) -> Option<(usize, usize)> {
    (1..=window.len()).rev().find_map(|left| Some((aligned(list, &window[..left], whole)?, left)))
}

/// A member with its score, in the order of scores.
pub(crate) type Member = (u64, u64);

/// A score as a number of the same order.
pub(crate) const fn rank_of(score: f64) -> u64 {
    let bits = score.to_bits();
    if bits >> 63 == 1 { !bits } else { bits | 1 << 63 }
}

/// And back.
pub(crate) const fn score_of(rank: u64) -> f64 {
    f64::from_bits(if rank >> 63 == 1 { rank & !(1 << 63) } else { !rank })
}

/// A sorted set: its highest members.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SetSeen {
    /// Members that it had.
    pub(crate) size: u64,
    /// Lower ones are not looked at; `None` while all are remembered.
    pub(crate) floor: Option<Member>,
    /// Those at or above the floor, in order.
    pub(crate) known: Vec<Member>,
}

/// How a sorted set changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SetChange {
    pub(crate) size: u64,
    pub(crate) floor: Option<Member>,
    pub(crate) added: Vec<Member>,
    pub(crate) removed: Vec<Member>,
}

impl SetSeen {
    /// Whether a member is none of those that were seen, or counted as seen.
    pub(crate) fn is_new(&self, member: Member) -> bool {
        self.floor.is_none_or(|floor| member >= floor) && self.known.binary_search(&member).is_err()
    }

    fn apply(&mut self, change: &SetChange) {
        (self.size, self.floor) = (change.size, change.floor);
        let mut removed = change.removed.clone();
        removed.sort_unstable();
        self.known.retain(|member| removed.binary_search(member).is_err());
        self.known.extend(&change.added);
        self.known.sort_unstable();
        self.known.dedup();
        if let Some(floor) = self.floor {
            self.known.retain(|member| *member >= floor);
        }
        self.bound(READING);
    }

    /// One more member of a set that is read from its beginning.
    pub(crate) fn read(&mut self, member: Member) {
        self.size += 1;
        if self.floor.is_none_or(|floor| member >= floor) {
            self.known.push(member);
            if self.known.len() > 4 * HIGHEST {
                self.finish();
            }
        }
    }

    /// Remembers the highest.
    pub(crate) fn finish(&mut self) {
        self.known.sort_unstable();
        self.known.dedup();
        self.bound(HIGHEST);
    }

    fn bound(&mut self, most: usize) {
        if self.known.len() > most {
            self.known.drain(..self.known.len() - most);
            self.floor = self.known.first().copied();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// As an importer reads a list: from left to right.
    fn seen(list: &[u64]) -> ListSeen {
        let mut seen = ListSeen::default();
        list.iter().for_each(|element| seen.grow(End::Right, *element));
        seen
    }

    #[test]
    fn a_list_is_remembered_by_its_ends() {
        let list: Vec<u64> = (0..100).collect();
        let long = seen(&list);
        assert_eq!((long.length, long.window(End::Right)), (100, &list[84..]));
        let leftmost: Vec<u64> = (0..16).rev().collect();
        assert_eq!(long.window(End::Left), leftmost);
        let mut short = seen(&[1, 2, 3]);
        short.grow(End::Left, 0);
        assert_eq!(
            (short.window(End::Right), short.window(End::Left)),
            (&[0, 1, 2, 3][..], &[3, 2, 1, 0][..])
        );
    }

    #[test]
    fn what_is_new_stands_after_what_was_remembered() {
        let window = [7, 8, 9];
        assert_eq!(aligned(&[5, 7, 8, 9, 1, 2], &window, false), Some(4));
        assert_eq!(aligned(&[7, 8, 9], &window, false), Some(3));
        assert_eq!(aligned(&[8, 9, 1], &window, true), Some(2), "trimmed");
        assert_eq!(aligned(&[8, 9, 1], &window, false), None, "more stands before it");
        assert_eq!(aligned(&[1, 2], &window, true), None);
        assert_eq!(aligned(&[], &window, true), None);
        assert_eq!(aligned(&[5, 7, 8, 1], &window, false), None);
        assert_eq!(aligned_but(&[5, 7, 8, 1], &window, true), Some((3, 2)), "9 was popped, 1 pushed");
        assert_eq!(aligned_but(&[1, 2], &window, true), None);
    }

    #[test]
    fn a_set_remembers_its_highest() {
        let mut set = SetSeen::default();
        for score in 0..5_000_u32 {
            set.read((rank_of(f64::from(score)), 1));
        }
        set.finish();
        assert_eq!((set.size, set.known.len()), (5_000, HIGHEST));
        assert_eq!(set.floor, Some((rank_of(4_488.0), 1)));
        assert!(!set.is_new((rank_of(4_999.0), 1)) && set.is_new((rank_of(4_999.0), 2)));
        assert!(!set.is_new((rank_of(3.0), 9)), "below the floor");
    }

    proptest! {
        #[test]
        fn scores_keep_their_order(a: f64, b: f64) {
            prop_assume!(!a.is_nan() && !b.is_nan());
            prop_assert_eq!(score_of(rank_of(a)).to_bits(), a.to_bits());
            prop_assert_eq!(rank_of(a).cmp(&rank_of(b)), a.total_cmp(&b));
        }

        /// Changes that are made again, all of them and in their order, change nothing.
        #[test]
        fn changes_made_twice_lead_to_the_same(
            changes in prop::collection::vec(
                (prop::option::of(0..20_u64), prop::collection::vec(0..20_u64, 0..6), prop::collection::vec(0..20_u64, 0..4)),
                1..8,
            ),
            stopped in 0..8_usize,
        ) {
            let pairs = |numbers: &[u64]| numbers.iter().map(|number| (*number, 0)).collect::<Vec<_>>();
            let changes: Vec<Change> = changes.iter().map(|(floor, added, removed)| Change::SortedSet(SetChange {
                size: 1, floor: floor.map(|floor| (floor, 0)), added: pairs(added), removed: pairs(removed),
            })).collect();
            let run = |from: Option<Seen>, changes: &[Change]| {
                changes.iter().fold(from, |seen, change| Some(change.clone().apply(seen)))
            };
            let begin = run(None, &changes[..1]);
            let once = run(begin.clone(), &changes);
            let part = run(begin, &changes[..stopped.min(changes.len())]);
            prop_assert_eq!(run(part, &changes), once);
        }
    }
}
