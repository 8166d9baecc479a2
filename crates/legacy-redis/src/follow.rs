//! Following the source: its streams entry by entry, its lists and sorted sets by what comes to them, its hashes and texts as they
//! change.
//!
//! Streams, lists and sorted sets are read from where they were left, when the source tells that they changed and in turn, so
//! what is still in them is found also after the follower was away. What a hash or a text held is gone when it is overwritten:
//! each change is read as soon as the source tells of it, the latest of several in a row, and what changed while nobody listened is not known. A value
//! that is written again as it was is no change.

use crate::answer::time_of_score;
use crate::error::ImportError;
use crate::import::Import;
use crate::latest::Latest;
use crate::list::ListLook;
use crate::live::{Changes, LiveLog};
use crate::names::Names;
use crate::positions::Positions;
use crate::publish::Publisher;
use crate::recognise::{Recognised, Recogniser};
use crate::seen::{Change, Seen};
use crate::sorted;
use crate::sorted_set::SetLook;
use crate::source::{Element, Kind, Shape, SourceDb};
use crate::sweep::Sweep;
use futures_util::StreamExt as _;
use redis::Client;
use rustc_hash::FxHashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tickhouse_stream::Control;

/// Between two rounds.
const EVERY: Duration = Duration::from_millis(200);
/// Keys that may have changed since the last round; what is beyond is lost and counted.
const DIRTY: usize = 1_000_000;
/// Rounds after which keys are looked at in turn once more, for those that no notification told of.
const SWEEP_EVERY: u64 = 25;
/// Notifications after which a key holds what it held, or nothing.
const NO_CHANGE: [&str; 9] =
    ["expire", "persist", "expired", "evicted", "del", "rename_from", "move_from", "hexpire", "hpersist"];
/// Records of a batch, about.
const BATCH: usize = 5_000;

/// What following did since it began.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct FollowReport {
    /// Records that were published.
    pub records: u64,
    /// Things that were not recognised.
    pub skipped: u64,
    /// Changes that came faster than they could be kept.
    pub lost: u64,
    /// Members of sorted sets that came below those that are remembered, at least.
    pub missed: u64,
    /// Whether the source tells of changed keys; without, streams, lists and sorted sets are looked at in turn.
    pub notified: bool,
}

/// Keys that changed.
#[derive(Debug, Default)]
struct Dirty {
    keys: FxHashSet<(u32, Vec<u8>)>,
    lost: u64,
}

type SharedDirty = Arc<Mutex<Dirty>>;

impl Import {
    /// Follows the source for ever; [`Import::run`] must have ended. `progress` is told of each round that brought something.
    ///
    /// # Errors
    /// When source, target or disk fail for good. Run again, it goes on where it was.
    ///
    /// # Cancel safety
    /// Safe at any point, as is a kill.
    pub async fn follow(
        &mut self,
        control: &Control,
        names: &Names,
        mut progress: impl FnMut(&FollowReport),
    ) -> Result<(), ImportError> {
        let (folder, options) = (self.folder().to_owned(), self.options().clone());
        let sorted = sorted::found(&folder)?.unwrap_or_default();
        let mut positions = Positions::open(&folder)?;
        let log = LiveLog::open(&folder, &mut positions)?;
        let mut publisher = Publisher::new(control, &options.name, &folder, options.longest_stream)?;
        let dirty = SharedDirty::default();
        let report = FollowReport { notified: self.notifies().await?, ..FollowReport::default() };
        let mut listeners = tokio::task::JoinSet::new();
        if report.notified {
            for (db, source) in self.dbs() {
                listeners.spawn(listen(source.client(), *db, Arc::clone(&dirty)));
            }
        } else {
            tracing::warn!(
                "the source does not tell of changed keys, so hashes and texts are not followed, and others are looked at in \
                 turn: its owner can set notify-keyspace-events to KA"
            );
        }
        let mut following = Following {
            recogniser: Recogniser::new(&options.rules, names),
            latest: Latest::default(),
            records: Vec::new(),
            changes: Changes::new(),
            appended: false,
            log,
            positions,
            report,
        };
        let mut sweep = Sweep::default();
        // what an earlier follower kept and did not publish
        publisher.publish_live(&following.log, &sorted).await?;
        for round in 0_u64.. {
            let changed = {
                let mut dirty = dirty.lock().unwrap_or_else(PoisonError::into_inner);
                following.report.lost += std::mem::take(&mut dirty.lost);
                std::mem::take(&mut dirty.keys)
            };
            let before = following.report.clone();
            let mut told: Vec<_> = changed.into_iter().collect();
            told.sort_unstable();
            let again = round.is_multiple_of(SWEEP_EVERY);
            let mut in_turn = Vec::new();
            if again || !sweep.known_at_start() || !before.notified {
                in_turn = sweep.known(&mut following.positions)?;
            }
            if again || !sweep.scan_at_start() {
                in_turn.extend(sweep.unknown(self.dbs_mut(), &following.positions).await?);
            }
            in_turn.sort_unstable();
            in_turn.dedup();
            for (keys, told) in [(told, true), (in_turn, false)] {
                for part in keys.chunk_by(|a, b| a.0 == b.0) {
                    for chunk in part.chunks(512) {
                        self.look(chunk, told, &mut following).await?;
                        if std::mem::take(&mut following.appended) {
                            publisher.publish_live(&following.log, &sorted).await?;
                        }
                    }
                }
            }
            if again {
                // also what the target has lost
                publisher.publish_live(&following.log, &sorted).await?;
            }
            if following.report != before {
                progress(&following.report);
            }
            tokio::time::sleep(EVERY).await;
        }
        Ok(())
    }

    /// Looks at keys of one database, and keeps what was found. `told` that they changed, or in turn.
    async fn look(
        &mut self,
        keys: &[(u32, Vec<u8>)],
        told: bool,
        following: &mut Following<'_>,
    ) -> Result<(), ImportError> {
        let Some(db) = keys.first().map(|(db, _)| *db) else { return Ok(()) };
        let Some((_, source)) = self.dbs_mut().iter_mut().find(|(one, _)| *one == db) else { return Ok(()) };
        let names: Vec<Vec<u8>> = keys.iter().map(|(_, key)| key.clone()).collect();
        let shapes = source.shapes(&names).await?;
        for (key, shape) in names.iter().zip(shapes) {
            match shape.kind {
                Kind::Text | Kind::Hash if told => following.value(source, db, key, shape).await?,
                Kind::Stream => following.stream(source, db, key, shape).await?,
                Kind::List => following.list(source, db, key, shape).await?,
                Kind::SortedSet => following.sorted_set(source, db, key, shape, told).await?,
                _ => {}
            }
        }
        following.keep()
    }

    async fn notifies(&mut self) -> Result<bool, ImportError> {
        let Some((_, source)) = self.dbs_mut().first_mut() else { return Ok(false) };
        let flags = source.notifications().await?;
        // unknown, because the user may not ask: it can only be tried
        Ok(flags.is_none_or(|flags| flags.contains('K') && flags.contains(['A', 'h', '$', 'l', 'z', 't'])))
    }
}

/// What is followed, and what of it is not kept yet.
struct Following<'a> {
    recogniser: Recogniser<'a>,
    latest: Latest,
    records: Vec<Recognised>,
    changes: Changes,
    /// Whether anything was kept that is not published.
    appended: bool,
    log: LiveLog,
    positions: Positions,
    report: FollowReport,
}

impl Following<'_> {
    /// A text or a hash: what it holds now, unless that is what it held.
    async fn value(
        &mut self,
        source: &mut SourceDb,
        db: u32,
        key: &[u8],
        shape: Shape,
    ) -> Result<(), ImportError> {
        let (elements, _) = source.piece(key, shape, "").await?;
        let before = self.records.len();
        self.take(key, elements);
        let found = &self.records[before..];
        if !found.is_empty() && !self.latest.changes(db, key, found) {
            self.records.truncate(before);
        }
        self.keep_many()
    }

    async fn stream(
        &mut self,
        source: &mut SourceDb,
        db: u32,
        key: &[u8],
        shape: Shape,
    ) -> Result<(), ImportError> {
        let mut from = match self.positions.get(db, key)? {
            Some(Seen::Stream(id)) => Some(id),
            _ => Some(String::new()),
        };
        while let Some(at) = from {
            let (elements, next) = source.piece(key, shape, &at).await?;
            let last = elements.iter().rev().find_map(|element| match element {
                Element::Fields { id, .. } => id.clone(),
                _ => None,
            });
            self.take(key, elements);
            if let Some(id) = last {
                self.changes.push((db, key.to_vec(), Change::To(Seen::Stream(id))));
            }
            self.keep_many()?;
            from = next;
        }
        Ok(())
    }

    async fn list(
        &mut self,
        source: &mut SourceDb,
        db: u32,
        key: &[u8],
        shape: Shape,
    ) -> Result<(), ImportError> {
        let seen = match self.positions.get(db, key)? {
            Some(Seen::List(seen)) => Some(seen),
            _ => None,
        };
        let mut noted = seen.clone();
        let mut look = ListLook::new(key, shape.size, seen);
        loop {
            let texts = look.next(source).await?;
            let ended = texts.is_empty();
            self.take(key, texts.into_iter().map(|bytes| Element::Text { bytes, score: None }).collect());
            if noted.as_ref() != Some(&look.seen) {
                noted = Some(look.seen.clone());
                self.changes.push((db, key.to_vec(), Change::To(Seen::List(look.seen.clone()))));
            }
            if ended {
                return Ok(());
            }
            self.keep_many()?;
        }
    }

    async fn sorted_set(
        &mut self,
        source: &mut SourceDb,
        db: u32,
        key: &[u8],
        shape: Shape,
        told: bool,
    ) -> Result<(), ImportError> {
        let seen = match self.positions.get(db, key)? {
            Some(Seen::SortedSet(seen)) => Some(seen),
            _ => None,
        };
        let (size, floor) = seen.as_ref().map_or((0, None), |seen| (seen.size, seen.floor));
        let known = seen.is_some();
        let mut look = SetLook::new(key, shape.size, seen);
        if !told && look.is_unchanged(source).await? {
            return Ok(());
        }
        while let Some((members, change)) = look.next(source).await? {
            let elements =
                members.into_iter().map(|(bytes, score)| Element::Text { bytes, score: Some(score) });
            self.take(key, elements.collect());
            let as_it_was = known && change.added.is_empty() && change.removed.is_empty();
            if !as_it_was || (change.size, change.floor) != (size, floor) {
                self.changes.push((db, key.to_vec(), Change::SortedSet(change)));
            }
            self.keep_many()?;
        }
        self.report.missed += look.missed;
        Ok(())
    }

    /// Recognises elements of a key.
    fn take(&mut self, key: &[u8], elements: Vec<Element>) {
        let Ok(context) = self.recogniser.context_of(&String::from_utf8_lossy(key)) else {
            self.report.skipped += elements.len() as u64;
            return;
        };
        for element in elements {
            let (records, report) = (&mut self.records, &mut self.report);
            let mut found = |one: Result<Recognised, String>| match one {
                Ok(record) => records.push(record),
                Err(_) => report.skipped += 1,
            };
            let mut context = context.clone();
            match element {
                Element::Text { bytes, score } => {
                    context.at = score.and_then(time_of_score);
                    self.recogniser.text(&bytes, &context, &mut found);
                }
                Element::Fields { fields, at, .. } => {
                    context.at = at;
                    self.recogniser.fields(&fields, &context, &mut found);
                }
                Element::Refused(_) => report.skipped += 1,
            }
        }
    }

    /// Keeps what was found, once it is much.
    fn keep_many(&mut self) -> Result<(), ImportError> {
        if self.records.len() >= BATCH || self.changes.len() >= BATCH { self.keep() } else { Ok(()) }
    }

    /// Keeps what was found, and up to where it was read, both or neither.
    fn keep(&mut self) -> Result<(), ImportError> {
        if self.records.is_empty() && self.changes.is_empty() {
            return Ok(());
        }
        self.log.append(&self.records, &self.changes, &mut self.positions)?;
        self.report.records += self.records.len() as u64;
        self.appended |= !self.records.is_empty();
        self.records.clear();
        self.changes.clear();
        Ok(())
    }
}

/// Notes keys of one database that change, for ever; opens a lost connection again.
async fn listen(client: Client, db: u32, dirty: SharedDirty) {
    let prefix = format!("__keyspace@{db}__:");
    loop {
        let listening = async {
            let mut connection = client.get_async_pubsub().await?;
            connection.psubscribe(format!("{prefix}*")).await?;
            let mut messages = connection.on_message();
            while let Some(message) = messages.next().await {
                let channel: Vec<u8> = message.get_channel()?;
                let Some(key) = channel.strip_prefix(prefix.as_bytes()) else { continue };
                let event: String = message.get_payload().unwrap_or_default();
                if NO_CHANGE.contains(&event.as_str()) {
                    continue;
                }
                let mut dirty = dirty.lock().unwrap_or_else(PoisonError::into_inner);
                if dirty.keys.len() < DIRTY {
                    dirty.keys.insert((db, key.to_vec()));
                } else {
                    dirty.lost += 1;
                }
            }
            redis::RedisResult::Ok(())
        };
        if let Err(error) = listening.await {
            tracing::warn!(db, %error, "the source tells of no changes, trying again");
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}
