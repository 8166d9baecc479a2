//! One read of the streams after another.
//!
//! What enters: entries after each cursor. What leaves: ticks, handed over before their cursor can be lost. What never happens
//! here: passing an entry that is not known to be the next one.

use crate::FollowedTick;
use crate::filter::Filter;
use crate::follower::{Ended, Out, give};
use crate::history::{History, Marks, Range};
use crate::merge::by_time;
use crate::source::{PATIENCE, Source};
use crate::take;
use std::time::{Duration, Instant};
use tickhouse_stream::{Control, EntryId, ReadLimits, StreamEntries, StreamInfo, StreamKind, Tail};

/// Between looks at which streams there are and what became of them.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Between looks at the marks while something waits for them.
const ASK_EVERY: Duration = Duration::from_millis(250);
/// Longest wait for entries.
const BLOCK: Duration = Duration::from_millis(100);
/// Bytes and entries of one read.
const READ: (usize, usize) = (4 << 20, 512);

/// Reads streams, round after round.
#[derive(Debug)]
pub(crate) struct Rounds {
    pub(crate) control: Control,
    pub(crate) tail: Tail,
    pub(crate) history: History,
    pub(crate) filter: Filter,
    /// Up to where everything was given out when the streams were first read.
    pub(crate) begin: Marks,
    pub(crate) sources: Vec<Source>,
    pub(crate) looked_at: Option<Instant>,
    pub(crate) asked_at: Option<Instant>,
    /// Bytes of the largest entries of late.
    pub(crate) entry_bytes: usize,
    pub(crate) out: Out,
}

impl Rounds {
    /// Reads what there is, and hands it over.
    pub(crate) async fn round(&mut self) -> Result<(), Ended> {
        if self.looked_at.is_none_or(|at| at.elapsed() >= LOOK_EVERY) {
            self.look().await?;
        }
        if self.sources.iter().any(|source| source.doubt.is_some())
            && self.asked_at.is_none_or(|at| at.elapsed() >= ASK_EVERY)
        {
            self.settle().await?;
        }
        self.filter.refresh(&self.history).await?;
        let found = self.read().await?;
        let infos = self.infos_of_flat(&found).await?;
        // nothing from here to the end of handing over fails but for a reader that is gone: cursors and ticks move together
        let lanes: Vec<_> =
            found.iter().zip(&infos).map(|(one, info)| self.take(one, info.as_ref())).collect();
        let ticks = by_time(lanes);
        self.out.note(|status| status.from_streams += ticks.len() as u64);
        self.out.send(ticks).await
    }

    async fn read(&mut self) -> Result<Vec<StreamEntries>, Ended> {
        let certain = self.sources.iter().filter(|source| source.doubt.is_none());
        let after: Vec<(&str, EntryId)> =
            certain.map(|source| (source.stream.name(), source.last())).collect();
        let fit = READ.0 / self.entry_bytes.max(1) / after.len().max(1);
        let limits = ReadLimits { max_entries: fit.clamp(1, READ.1), max_bytes: READ.0, block: BLOCK };
        let found = self.tail.read(&after, limits).await?;
        let largest = found.iter().flat_map(|one| &one.entries).map(|entry| entry.value.len()).max();
        if let Some(largest) = largest {
            // up at once, down slowly: the opening burst's frames are ten times those of noon
            self.entry_bytes = largest.max(self.entry_bytes - self.entry_bytes / 8).max(64);
        }
        Ok(found)
    }

    /// What Redis says of the flat streams among these, after they were read.
    async fn infos_of_flat(&self, found: &[StreamEntries]) -> Result<Vec<Option<StreamInfo>>, Ended> {
        let mut infos = Vec::with_capacity(found.len());
        for one in found {
            let flat = self
                .sources
                .iter()
                .any(|source| source.stream.name() == one.stream && source.socket().is_none());
            infos.push(if flat { self.control.info(&one.stream).await? } else { None });
        }
        Ok(infos)
    }

    /// The wanted ticks of the entries that follow; moves the cursor over them.
    fn take(&mut self, found: &StreamEntries, info: Option<&StreamInfo>) -> Vec<FollowedTick> {
        let mut ticks = Vec::new();
        let Some(source) = self.sources.iter_mut().find(|source| source.stream.name() == found.stream) else {
            return ticks;
        };
        if let Some((recorder, _)) = source.socket() {
            let recorder = recorder.to_owned();
            for (id, record) in source.next_records(&found.entries) {
                if let Some(record) = record {
                    take::record(&recorder, &record, &mut self.filter, &mut ticks);
                }
                source.moved_to(id, 1);
            }
            return ticks;
        }
        let Some(first) = found.entries.first() else { return ticks };
        if !source.follows(first.id, info) {
            return ticks;
        }
        for entry in &found.entries {
            let of = (found.stream.as_str(), source.stream.kind(), source.cursor.epoch);
            take::flat(of, (entry.id, &entry.value), &mut self.filter, &mut ticks);
        }
        let last = found.entries.last().map_or(first.id, |entry| entry.id);
        source.moved_to(last, found.entries.len() as u64);
        ticks
    }

    /// Finds new streams, and asks what became of those that are silent.
    async fn look(&mut self) -> Result<(), Ended> {
        for stream in self.control.discover().await? {
            let ticks =
                matches!(stream.kind(), StreamKind::Frames { .. } | StreamKind::Flat | StreamKind::Imported);
            if ticks && !self.sources.iter().any(|source| source.stream == stream) {
                let cursor = self.begin.get(&stream.origin()).copied().unwrap_or_default();
                self.sources.push(Source::new(stream, cursor));
            }
        }
        for at in 0..self.sources.len() {
            let source = &self.sources[at];
            // a stream of frames that goes on is known to be whole by its sequences
            let goes_on = source.doubt.is_some() || (source.busy && source.stream.is_frames());
            if !goes_on || waits_for_its_stream(source) {
                let info = self.control.info(source.stream.name()).await?;
                self.sources[at].look(info.as_ref());
            }
            self.sources[at].busy = false;
        }
        self.looked_at = Some(Instant::now());
        Ok(())
    }

    /// Gives from ClickHouse what the marks have passed; what they have not is looked for in Redis again.
    async fn settle(&mut self) -> Result<(), Ended> {
        let marks = self.history.marks().await?;
        self.asked_at = Some(Instant::now());
        let (mut after, mut up_to) = (Marks::new(), Marks::new());
        for source in self.sources.iter().filter(|source| source.doubt.is_some()) {
            let Some(mark) = marks.get(&source.origin) else { continue };
            let late = source.doubtful_since.is_some_and(|since| since.elapsed() >= PATIENCE);
            if source.settled_by(*mark) || (late && *mark > source.cursor) {
                after.insert(source.origin.clone(), source.cursor);
                up_to.insert(source.origin.clone(), *mark);
            }
        }
        if !up_to.is_empty() {
            give(self, &Range::between(&after, &up_to)).await?;
            self.out.note(|status| status.caught_up += up_to.len() as u64);
        }
        let mut unverified = 0;
        for source in self.sources.iter_mut().filter(|source| source.doubt.is_some()) {
            if let Some(mark) = up_to.get(&source.origin) {
                source.stored_to(*mark);
            } else if source.stream.is_frames() {
                // it may have been filled again
                source.doubt = None;
            } else if source.doubtful_since.is_some_and(|since| since.elapsed() >= PATIENCE) {
                source.trust();
                unverified += 1;
            }
        }
        let waiting = self.sources.iter().filter(|source| source.doubtful_since.is_some());
        let waiting: Vec<String> = waiting.map(|source| source.stream.name().to_owned()).collect();
        self.out.note(|status| {
            status.waiting = waiting;
            status.unverified += unverified;
        });
        Ok(())
    }
}

/// Whether a stream of flat entries is away: its patience begins when it is back.
fn waits_for_its_stream(source: &Source) -> bool {
    source.doubt.is_some_and(|doubt| doubt.begins_anew)
}
