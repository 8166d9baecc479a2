//! Whether an entry is the next one of its stream.
//!
//! Sequences of a session are 1, 2, 3, … and count every record, so a hole in a frame stream is visible here. Ids of flat
//! entries only rise: a hole among them is invisible.

use tickhouse_stream::EntryId;

/// What an entry is, seen from the last one that was accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// The next one.
    Next,
    /// Stored, or in a batch already.
    Repeat,
    /// Records are missing before it.
    AfterHole,
}

/// The place of record `id` after `last`, where zero stands for nothing yet.
pub(crate) fn place_of_record(last: EntryId, id: EntryId) -> Place {
    if id <= last {
        return Place::Repeat;
    }
    let follows = if id.ms == last.ms { last.seq.checked_add(1) == Some(id.seq) } else { id.seq == 1 };
    if follows { Place::Next } else { Place::AfterHole }
}

/// The place of flat entry `id` after `last`.
pub(crate) fn place_of_flat(last: EntryId, id: EntryId) -> Place {
    if id <= last { Place::Repeat } else { Place::Next }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const fn id(session: u64, sequence: u64) -> EntryId {
        EntryId::new(session, sequence)
    }

    #[test]
    fn sessions_begin_at_one() {
        assert_eq!(place_of_record(EntryId::ZERO, id(7, 1)), Place::Next);
        assert_eq!(place_of_record(EntryId::ZERO, id(7, 2)), Place::AfterHole);
        assert_eq!(place_of_record(id(7, 40), id(8, 1)), Place::Next);
        assert_eq!(place_of_record(id(7, 40), id(8, 2)), Place::AfterHole);
        assert_eq!(place_of_record(id(7, 40), id(7, 42)), Place::AfterHole);
        assert_eq!(place_of_record(id(7, 40), id(7, 41)), Place::Next);
        assert_eq!(place_of_record(id(7, 40), id(6, 99)), Place::Repeat);
    }

    proptest! {
        /// Deliver the records of some sessions with some left out and some repeated: accepting only what is next never
        /// accepts one twice, and never passes a hole.
        #[test]
        fn accepted_records_are_a_prefix_without_holes(
            lens in prop::collection::vec(1..20_u64, 1..5), deliveries in prop::collection::vec(any::<prop::sample::Index>(), 0..200),
        ) {
            let all: Vec<_> = lens.iter().enumerate()
                .flat_map(|(session, len)| (1..=*len).map(move |sequence| id(session as u64 + 1, sequence))).collect();
            let mut last = EntryId::ZERO;
            let mut accepted = vec![];
            for delivery in deliveries {
                let id = all[delivery.index(all.len())];
                // the end of a session is not visible: only a new session's first record after the old one's last is in order
                let skips = id.seq == 1 && id.ms > last.ms && all.iter().any(|other| *other > last && *other < id);
                if place_of_record(last, id) == Place::Next && !skips {
                    accepted.push(id);
                    last = id;
                }
            }
            prop_assert_eq!(&accepted[..], &all[..accepted.len()]);
        }
    }
}
