//! What was added to a sorted set since it was looked at last.
//!
//! What enters: a sorted set and what was seen of it. What leaves: its new members, page by page, in the order of scores. What never
//! happens here: looking at members below those that are remembered.
//!
//! A member with another score is another member: where scores are times, it is one of another time.

use crate::error::ImportError;
use crate::pace::FIRST;
use crate::seen::{HIGHEST, Member, READING, SetChange, SetSeen, digest, rank_of, score_of};
use crate::source::SourceDb;

/// One look at a sorted set.
#[derive(Debug)]
pub(crate) struct SetLook<'a> {
    key: &'a [u8],
    seen: SetSeen,
    /// Members that the set has, as it told before.
    size: u64,
    /// The score to read on from, and members of that score to pass over.
    from: Option<(f64, u64)>,
    /// What is at or above the floor.
    there: Vec<Member>,
    found: u64,
    /// Members that came below the floor, at least.
    pub(crate) missed: u64,
    done: bool,
}

/// New members with their scores, and how what was seen changes by them.
pub(crate) type Page = (Vec<(Vec<u8>, f64)>, SetChange);

impl<'a> SetLook<'a> {
    pub(crate) fn new(key: &'a [u8], size: u64, seen: Option<SetSeen>) -> Self {
        let seen = seen.unwrap_or_default();
        let from = seen.floor.map(|(rank, _)| (score_of(rank), 0));
        Self { key, seen, size, from, there: Vec::new(), found: 0, missed: 0, done: false }
    }

    /// Whether it looks as it did: as many members, the same highest one.
    pub(crate) async fn is_unchanged(&self, source: &mut SourceDb) -> Result<bool, ImportError> {
        if self.size != self.seen.size {
            return Ok(false);
        }
        let highest = source.highest_member(self.key).await?.map(|(text, score)| member_of(&text, score));
        Ok(highest == self.seen.known.last().copied())
    }

    /// The next new members; `None` at the end.
    pub(crate) async fn next(&mut self, source: &mut SourceDb) -> Result<Option<Page>, ImportError> {
        if self.done {
            return Ok(None);
        }
        let count = if self.there.is_empty() { FIRST } else { source.many() };
        let (score, skip) = self.from.unwrap_or((f64::NEG_INFINITY, 0));
        let members = source.members_from(self.key, score, skip, count).await?;
        let ended = (members.len() as u64) < count;
        if let Some((_, last)) = members.last() {
            let of_last =
                members.iter().rev().take_while(|(_, score)| score.total_cmp(last).is_eq()).count() as u64;
            let goes_on = self.from.is_some_and(|(score, _)| score.total_cmp(last).is_eq());
            self.from = Some((*last, if goes_on { skip + of_last } else { of_last }));
        }
        let (mut new, mut added) = (Vec::new(), Vec::new());
        for (text, score) in members {
            let member = member_of(&text, score);
            self.there.push(member);
            if self.seen.is_new(member) {
                added.push(member);
                new.push((text, score));
            }
        }
        if self.there.len() > 2 * READING {
            self.there.sort_unstable();
            self.there.drain(..self.there.len() - READING);
        }
        self.found += new.len() as u64;
        let change = if ended {
            self.done = true;
            self.finish(source, added).await?
        } else {
            SetChange { size: self.seen.size, floor: self.seen.floor, added, removed: Vec::new() }
        };
        Ok(Some((new, change)))
    }

    /// What is remembered from now on.
    async fn finish(&mut self, source: &mut SourceDb, added: Vec<Member>) -> Result<SetChange, ImportError> {
        self.there.sort_unstable();
        self.there.dedup();
        let (floor, there) = (self.seen.floor, &mut self.there);
        let below = floor.map_or(0, |floor| there.partition_point(|member| *member < floor));
        if below == there.len() && self.size > 0 && floor.is_some() {
            // nothing is left of what was remembered: what is there now is new
            let removed = std::mem::take(&mut self.seen.known);
            (self.seen.floor, self.seen.size) = (None, 0);
            (self.from, self.done) = (None, false);
            there.clear();
            return Ok(SetChange { size: 0, floor: None, added, removed });
        }
        there.drain(..below);
        let floor = match floor {
            _ if there.len() > HIGHEST => there.get(there.len() - HIGHEST).copied(),
            Some((rank, _)) if below == 0 && there.len() <= HIGHEST / 2 => {
                let lower = source.members_below(self.key, score_of(rank)).await?;
                if lower == 0 { None } else { floor }
            }
            floor => floor,
        };
        let known = &self.seen.known;
        let removed = known.iter().filter(|one| there.binary_search(one).is_err()).copied().collect();
        let known_size = self.seen.size + self.found;
        self.missed = self.size.saturating_sub(known_size);
        let size = self.size.max(known_size.min(self.size + self.found));
        Ok(SetChange { size, floor, added, removed })
    }
}

pub(crate) fn member_of(text: &[u8], score: f64) -> Member {
    (rank_of(score), digest(text))
}

#[cfg(test)]
mod tests;
