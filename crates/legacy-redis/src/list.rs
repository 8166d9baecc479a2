//! What was pushed to a list since it was looked at last.
//!
//! What enters: a list and what was seen of it. What leaves: its new elements, piece by piece, in the order in which they were pushed. What never
//! happens here: reading all of a list to find what is new, where its growing end tells it.
//!
//! A list has no positions that stay: it grows at either end, and is trimmed or popped at either end. So what was at its ends is
//! looked for, at its old place first, then from the ends inwards; what stands outside of it is new. What is read later than that
//! is read together with what it must stand beside, and looked for again where it does not.

use crate::error::ImportError;
use crate::pace::FIRST;
use crate::seen::{End, ListSeen, WINDOW, aligned_but, digest};
use crate::source::SourceDb;

/// How often a list may change while it is looked at; then the next look goes on.
const ATTEMPTS: u32 = 5;

/// One look at a list.
#[derive(Debug)]
pub(crate) struct ListLook<'a> {
    key: &'a [u8],
    /// Grows with each piece.
    pub(crate) seen: ListSeen,
    /// Elements that the list has, as it told before.
    length: u64,
    step: Step,
    attempts: u32,
}

/// What comes next.
#[derive(Debug)]
enum Step {
    /// Finding where the new elements are.
    Find,
    /// These are new, in the order in which they were pushed to each end.
    Here(Vec<Vec<u8>>),
    /// Those from this place on are, counted from the other end.
    From(End, u64),
    Done,
}

/// What stands at an end.
struct Outermost {
    texts: Vec<Vec<u8>>,
    digests: Vec<u64>,
    /// Whether that is all of the list.
    whole: bool,
}

impl<'a> ListLook<'a> {
    pub(crate) fn new(key: &'a [u8], length: u64, seen: Option<ListSeen>) -> Self {
        Self { key, seen: seen.unwrap_or_default(), length, step: Step::Find, attempts: 0 }
    }

    /// The next new elements; empty where there are none.
    pub(crate) async fn next(&mut self, source: &mut SourceDb) -> Result<Vec<Vec<u8>>, ImportError> {
        loop {
            match std::mem::replace(&mut self.step, Step::Done) {
                Step::Find => self.step = self.find(source).await?,
                Step::Here(texts) => return Ok(texts),
                Step::From(end, at) => {
                    if let Some(texts) = self.read_on(source, end, at).await? {
                        return Ok(texts);
                    }
                }
                Step::Done => return Ok(Vec::new()),
            }
        }
    }

    /// Elements from a place on; `None` when there are none, or the list has changed and is looked at again.
    async fn read_on(
        &mut self,
        source: &mut SourceDb,
        end: End,
        at: u64,
    ) -> Result<Option<Vec<Vec<u8>>>, ImportError> {
        let window = self.seen.window(end);
        let beside = window.len().min(usize::try_from(at).unwrap_or(usize::MAX)).min(source.few());
        // the first elements tell how large they are
        let count = if at == 0 { FIRST } else { source.many() };
        let mut texts = source.list_part(self.key, end, at - beside as u64, count + beside as u64).await?;
        if texts.len() < beside || !same(&texts[..beside], &window[window.len() - beside..]) {
            self.attempts += 1;
            if self.attempts < ATTEMPTS {
                self.step = Step::Find;
            }
            return Ok(None);
        }
        texts.drain(..beside);
        if texts.is_empty() {
            return Ok(None);
        }
        self.step = Step::From(end, at + texts.len() as u64);
        texts.iter().for_each(|text| self.seen.grow(end, digest(text)));
        self.seen.grows = end;
        Ok(Some(texts))
    }

    async fn find(&mut self, source: &mut SourceDb) -> Result<Step, ImportError> {
        let first = self.seen.grows;
        if self.seen.length == 0 {
            return Ok(self.anew());
        }
        if let Some(end) = self.only_grown(source).await? {
            return Ok(Step::From(end, self.seen.length));
        }
        let mut ends = Vec::new();
        for end in [first, first.other()] {
            let outermost = self.outermost(source, end).await?;
            let known =
                aligned_but(&outermost.digests, self.seen.window(end), outermost.whole).map(|found| found.0);
            ends.push((end, outermost, known));
        }
        let nowhere = ends.iter().all(|(.., known)| known.is_none());
        // popped where it does not grow is no reason to look further
        for (end, _, known) in ends.iter().filter(|(end, ..)| *end == first || nowhere) {
            if known.is_none()
                && let Some((at, left)) = self.far(source, *end).await?
            {
                let window = self.seen.window(*end)[..left].to_vec();
                self.seen.set_window(*end, &window);
                let other = ends.iter().find(|(other, ..)| other != end);
                self.seen.set_window(end.other(), other.map_or(&[], |(_, outermost, _)| &outermost.digests));
                self.seen.length = at;
                return Ok(Step::From(*end, at));
            }
        }
        if nowhere {
            // nothing is left of what it was
            return Ok(self.anew());
        }
        let (mut found, mut most) = (Vec::new(), 0);
        for (end, outermost, known) in ends {
            self.seen.set_window(end, &outermost.digests);
            let new = known.map_or(0, |known| outermost.texts.len() - known);
            if new > most {
                (most, self.seen.grows) = (new, end);
            }
            found.extend(outermost.texts.into_iter().skip(known.unwrap_or(usize::MAX)));
        }
        self.seen.length = self.length;
        Ok(if found.is_empty() { Step::Done } else { Step::Here(found) })
    }

    /// Everything is new.
    fn anew(&mut self) -> Step {
        let end = self.seen.grows;
        self.seen = ListSeen::default();
        self.seen.grows = end;
        Step::From(end, 0)
    }

    /// The end at which it has grown, if nothing else has happened to it.
    async fn only_grown(&self, source: &mut SourceDb) -> Result<Option<End>, ImportError> {
        let seen = &self.seen;
        for end in [seen.grows, seen.grows.other()] {
            let (near, far) = (seen.window(end), seen.window(end.other()));
            let far = &far[far.len().saturating_sub(source.few())..];
            let outermost = source.list_end(self.key, end.other(), far.len() as u64).await?;
            let near = &near[near.len().saturating_sub(source.few())..];
            let place = seen.length - near.len() as u64;
            let there = source.list_part(self.key, end, place, near.len() as u64).await?;
            if same(&there, near) && same(&outermost, far) {
                return Ok(Some(end));
            }
        }
        Ok(None)
    }

    async fn outermost(&self, source: &mut SourceDb, end: End) -> Result<Outermost, ImportError> {
        let count = source.many().max(WINDOW as u64);
        let texts = source.list_end(self.key, end, count).await?;
        let digests: Vec<u64> = texts.iter().map(|text| digest(text)).collect();
        Ok(Outermost { whole: (texts.len() as u64) < count, texts, digests })
    }

    /// Where what was this end stands, further in than one piece: elements up to there, counted from the other end; and how many
    /// of the window are left.
    async fn far(&self, source: &mut SourceDb, end: End) -> Result<Option<(u64, usize)>, ImportError> {
        let window = self.seen.window(end);
        let (mut digests, mut passed): (Vec<u64>, u64) = (Vec::new(), 0);
        loop {
            let count = source.many();
            let texts = source.list_before_end(self.key, end, passed, count).await?;
            passed += texts.len() as u64;
            let whole = (texts.len() as u64) < count;
            // what was read before stands after it: as much of that as a window reaches over
            digests.truncate(window.len());
            let after = passed - texts.len() as u64 - digests.len() as u64;
            let mut joined: Vec<u64> = texts.iter().map(|text| digest(text)).collect();
            joined.append(&mut digests);
            if let Some((known, left)) = aligned_but(&joined, window, whole) {
                let outside = after + (joined.len() - known) as u64;
                let length = source.list_length(self.key).await?;
                return Ok(length.checked_sub(outside).map(|at| (at, left)));
            }
            if whole {
                return Ok(None);
            }
            digests = joined;
        }
    }
}

fn same(texts: &[Vec<u8>], known: &[u64]) -> bool {
    texts.iter().map(|text| digest(text)).eq(known.iter().copied())
}

#[cfg(test)]
mod tests;
