//! Whether an entry is the next one of its stream.
//!
//! Sequences of a session are 1, 2, 3, … and count every record, and the first record of a session names the last one of the
//! journal before it, so a hole in a frame stream is visible here. Ids of flat entries only rise: a hole among them is
//! invisible.

use tickhouse_stream::EntryId;

/// What an entry is, seen from the last one that was accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The next one.
    Next,
    /// Stored, or in a batch already.
    Repeat,
    /// Records are missing before it.
    AfterHole,
}

/// The place of record `id` after `last`, where zero stands for nothing yet. `previous` is what a first record says of the
/// one before it; without it (records of before that was written) a first record is taken to follow.
///
/// A journal may have less than was accepted of it: a power cut takes what was published and not yet synced. Nothing is
/// missing then.
pub fn place_of_record(last: EntryId, id: EntryId, previous: Option<EntryId>) -> Place {
    if id <= last {
        return Place::Repeat;
    }
    let follows = if id.ms == last.ms {
        last.seq.checked_add(1) == Some(id.seq)
    } else {
        id.seq == 1 && previous.is_none_or(|previous| previous <= last)
    };
    if follows { Place::Next } else { Place::AfterHole }
}

/// Whether a first record, which says that the journal held none before it, follows records that are stored: the journal was lost with
/// whatever it held after `last`. A new machine's is, after a restore.
pub(crate) fn journal_begins_anew(last: EntryId, previous: Option<EntryId>) -> bool {
    last > EntryId::ZERO && previous == Some(EntryId::ZERO)
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
        let place = |last, id| place_of_record(last, id, None);
        assert_eq!(place(EntryId::ZERO, id(7, 1)), Place::Next);
        assert_eq!(place(EntryId::ZERO, id(7, 2)), Place::AfterHole);
        assert_eq!(place(id(7, 40), id(8, 1)), Place::Next);
        assert_eq!(place(id(7, 40), id(8, 2)), Place::AfterHole);
        assert_eq!(place(id(7, 40), id(7, 42)), Place::AfterHole);
        assert_eq!(place(id(7, 40), id(7, 41)), Place::Next);
        assert_eq!(place(id(7, 40), id(6, 99)), Place::Repeat);
    }

    #[test]
    fn a_session_says_where_the_one_before_ended() {
        let place = |last, previous| place_of_record(last, id(9, 1), Some(previous));
        assert_eq!(place(EntryId::ZERO, EntryId::ZERO), Place::Next);
        assert_eq!(place(id(7, 40), id(7, 40)), Place::Next);
        assert_eq!(place(id(7, 40), id(7, 41)), Place::AfterHole);
        assert_eq!(place(id(7, 40), id(8, 3)), Place::AfterHole, "a session that nobody saw");
        assert_eq!(place(EntryId::ZERO, id(8, 3)), Place::AfterHole);
        assert_eq!(place(id(7, 40), id(7, 38)), Place::Next, "a power cut took what was published");
        assert_eq!(place(id(7, 40), EntryId::ZERO), Place::Next, "a journal that was deleted");
        assert!(journal_begins_anew(id(7, 40), Some(EntryId::ZERO)));
        assert!(!journal_begins_anew(EntryId::ZERO, Some(EntryId::ZERO)), "nothing is stored yet");
        assert!(!journal_begins_anew(id(7, 40), Some(id(7, 38))) && !journal_begins_anew(id(7, 40), None));
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
                let previous = all.iter().copied().take_while(|other| *other < id).last().unwrap_or_default();
                if place_of_record(last, id, (id.seq == 1).then_some(previous)) == Place::Next {
                    accepted.push(id);
                    last = id;
                }
            }
            prop_assert_eq!(&accepted[..], &all[..accepted.len()]);
        }
    }
}
