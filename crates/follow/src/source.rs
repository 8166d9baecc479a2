//! One stream as it is followed: what was given out last, and whether what comes next is known to be next.
//!
//! What enters: entries, and what Redis says of their stream. What leaves: how many of them may be taken. What never happens here:
//! I/O.

use std::time::{Duration, Instant};
use tickhouse_load::{Place, place_of_record, record_of};
use tickhouse_model::{FrameId, Record, SocketId};
use tickhouse_store::Mark;
use tickhouse_stream::{Entry, EntryId, EntryValue, Stream, StreamInfo, StreamKind};

/// How long entries of a flat stream wait for the loader to say that nothing was before them. Without a loader nobody can say.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// A stream, and what was given out of it.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) stream: Stream,
    pub(crate) origin: String,
    /// The last entry that was given out, by ClickHouse or Redis.
    pub(crate) cursor: Mark,
    /// What comes next is not what follows: ClickHouse has to say.
    pub(crate) doubt: Option<Doubt>,
    /// Since when doubts follow each other.
    pub(crate) doubtful_since: Option<Instant>,
    /// Entries that Redis had ever added up to the cursor; none while that is not known.
    added: Option<u64>,
    /// What comes next is taken unseen: nobody can say more about it.
    trusted: bool,
    /// Whether anything came since the last look.
    pub(crate) busy: bool,
}

/// Why what comes next is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Doubt {
    /// The mark that settles it: once everything up to here is stored, so is everything before.
    pub(crate) needs: EntryId,
    /// The stream's ids begin anew: the loader's next epoch settles it.
    pub(crate) begins_anew: bool,
}

impl Source {
    pub(crate) fn new(stream: Stream, cursor: Mark) -> Self {
        let origin = stream.origin();
        Self {
            stream,
            origin,
            cursor,
            doubt: None,
            doubtful_since: None,
            added: None,
            trusted: false,
            busy: false,
        }
    }

    pub(crate) fn last(&self) -> EntryId {
        self.cursor.last.into()
    }

    /// The socket of a recorder, for a stream of frames.
    pub(crate) fn socket(&self) -> Option<(&str, SocketId)> {
        match self.stream.kind() {
            StreamKind::Frames { recorder, socket } => Some((recorder, *socket)),
            _ => None,
        }
    }

    pub(crate) fn moved_to(&mut self, id: EntryId, entries: u64) {
        self.cursor.last = (id.ms, id.seq);
        self.added = self.added.map(|added| added + entries);
        self.trusted = false;
        self.doubtful_since = None;
        self.busy = true;
    }

    /// ClickHouse gave everything up to a mark.
    pub(crate) fn stored_to(&mut self, mark: Mark) {
        self.cursor = mark;
        self.added = None;
        self.doubt = None;
        self.doubtful_since = None;
    }

    pub(crate) fn doubts(&mut self, needs: EntryId, begins_anew: bool) {
        self.doubtful_since.get_or_insert_with(Instant::now);
        self.doubt = Some(Doubt { needs, begins_anew });
    }

    /// Whether a mark settles the doubt: what was missing is stored at or below it.
    pub(crate) fn settled_by(&self, mark: Mark) -> bool {
        let Some(doubt) = self.doubt else { return false };
        if mark <= self.cursor {
            return false;
        }
        // records of frames count without a hole: whatever the mark has passed is no longer to be looked for
        self.stream.is_frames()
            || mark.epoch > self.cursor.epoch
            || (!doubt.begins_anew && EntryId::from(mark.last) >= doubt.needs)
    }

    /// Nobody can tell any more: takes what comes as it is.
    pub(crate) fn trust(&mut self) {
        if self.doubt.take().is_some_and(|doubt| doubt.begins_anew) {
            self.cursor = Mark { epoch: self.cursor.epoch + 1, last: (0, 0) };
        }
        self.added = None;
        self.trusted = true;
    }

    /// What Redis says between reads: an idle stream may have been trimmed, lost, or begun anew.
    pub(crate) fn look(&mut self, info: Option<&StreamInfo>) {
        let last = self.last();
        let idle = !std::mem::take(&mut self.busy);
        let may_begin_anew = self.stream.ids_may_begin_anew() && last > EntryId::ZERO;
        let Some(info) = info else {
            self.added = None;
            if may_begin_anew {
                self.doubts(EntryId::MAX, true);
                // as long as it is away, nothing waits
                self.doubtful_since = Some(Instant::now());
            }
            return;
        };
        if info.last_generated_id == last {
            self.added = Some(info.entries_added);
        } else if info.last_generated_id < last && may_begin_anew {
            self.doubts(EntryId::MAX, true);
        } else if idle && info.last_generated_id > last && info.first_id.is_none_or(|first| first > last) {
            self.doubts(info.last_generated_id, false);
        }
    }

    /// How many of the entries of a frame stream follow without a hole, with their records; the rest is in doubt.
    pub(crate) fn next_records(&mut self, entries: &[Entry]) -> Vec<(EntryId, Option<Record>)> {
        let Some((_, socket)) = self.socket() else { return Vec::new() };
        let mut last = self.last();
        let mut records = Vec::with_capacity(entries.len());
        for entry in entries {
            let id = FrameId { session: entry.id.ms, socket, sequence: entry.id.seq };
            let record = record_of(entry, id).ok().map(|(record, _)| record);
            let previous = record.as_ref().and_then(|record| record.previous).map(EntryId::from);
            let foreign = matches!(entry.value, EntryValue::Flat(_));
            match place_of_record(last, entry.id, previous) {
                Place::Repeat => continue,
                Place::Next if !foreign => {}
                Place::Next | Place::AfterHole => {
                    self.doubts(entry.id, false);
                    break;
                }
            }
            last = entry.id;
            records.push((entry.id, record));
        }
        records
    }

    /// Whether the first of some flat entries, read before Redis said this of their stream, is the next one; else it is in doubt.
    /// Ids of flat entries have no neighbours, so it takes one of these: the entry at the cursor, or an older one, is still there;
    /// as many entries were added after it as are there; nothing was given yet and the stream has every entry that it ever had.
    /// One that has all it ever had, but not the entry at the cursor, is a new one: it does not know what the old one lost.
    pub(crate) fn follows(&mut self, first: EntryId, info: Option<&StreamInfo>) -> bool {
        let last = self.last();
        let follows = self.trusted
            || info.is_some_and(|info| {
                let after_cursor = |added: u64| info.entries_added.checked_sub(added) == Some(info.length);
                info.first_id.is_some_and(|oldest| oldest <= last)
                    || self.added.is_some_and(after_cursor)
                    || (last == EntryId::ZERO && info.entries_added == info.length)
            });
        if !follows {
            self.doubts(first, false);
        }
        follows
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(first: Option<u64>, last: u64, length: u64, added: u64) -> StreamInfo {
        StreamInfo {
            length,
            first_id: first.map(|ms| EntryId::new(ms, 0)),
            last_generated_id: EntryId::new(last, 0),
            entries_added: added,
            max_deleted_id: EntryId::ZERO,
            group: None,
        }
    }

    fn at(last: u64) -> Source {
        Source::new(Stream::flat("ticks:stream"), Mark { epoch: 0, last: (last, 0) })
    }

    #[test]
    fn a_flat_entry_is_next_only_where_nothing_can_be_missing() {
        let next = EntryId::new(20, 0);
        assert!(at(10).follows(next, Some(&info(Some(10), 30, 3, 50))), "the entry at the cursor is there");
        assert!(at(10).follows(next, Some(&info(Some(5), 30, 4, 50))), "older ones too");
        assert!(!at(10).follows(next, Some(&info(Some(20), 30, 2, 50))), "11 to 19 may have been trimmed");
        assert!(at(0).follows(next, Some(&info(Some(20), 30, 2, 2))), "all that it ever had");
        assert!(
            !at(10).follows(next, Some(&info(Some(20), 30, 2, 2))),
            "all that a new stream of this name ever had"
        );
        assert!(!at(10).follows(next, None));
        let mut idle = at(10);
        idle.look(Some(&info(None, 10, 0, 48)));
        assert!(idle.follows(next, Some(&info(Some(20), 30, 2, 50))), "two were added since, two are there");
        let mut idle = at(10);
        idle.look(Some(&info(None, 10, 0, 48)));
        assert!(!idle.follows(next, Some(&info(Some(20), 30, 2, 51))), "three were added since");
    }

    #[test]
    fn a_mark_settles_what_it_has_passed() {
        let mark = |epoch, last| Mark { epoch, last: (last, 0) };
        let mut source = at(10);
        assert!(!source.follows(EntryId::new(20, 0), Some(&info(Some(20), 30, 2, 50))));
        assert!(!source.settled_by(mark(0, 15)), "16 to 19 may not be stored yet");
        assert!(source.settled_by(mark(0, 20)) && source.settled_by(mark(1, 3)));
        let mut source = at(10);
        source.look(Some(&info(Some(3), 4, 2, 2)));
        assert!(!source.settled_by(mark(0, 30)) && source.settled_by(mark(1, 1)), "ids begin anew");
    }
}
