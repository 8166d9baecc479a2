//! Following the source: its streams entry by entry, its hashes and texts as they change.
//!
//! Streams are read from where they were left, so nothing is missed while the follower is away. What a hash or a text held is
//! gone when it is overwritten: each change is read as soon as the source tells of it, the latest of several in a row, and
//! what changed while nobody listened is not known. A value that is written again as it was is no change. Lists and sorted sets are not followed.

use crate::error::ImportError;
use crate::import::Import;
use crate::latest::Latest;
use crate::live::{LiveLog, Positions};
use crate::names::Names;
use crate::publish::Publisher;
use crate::recognise::{Recognised, Recogniser};
use crate::sorted;
use crate::source::{Element, Kind};
use crate::spool::checkpoint_of;
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
/// Rounds between two looks at every known stream, for those that no notification told of.
const ALL_STREAMS_EVERY: u64 = 25;
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
    /// Whether the source tells of changed keys; without, only streams are followed.
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
        let streams = checkpoint_of(&folder)?.streams;
        let sorted = sorted::found(&folder)?.unwrap_or_default();
        let mut log = LiveLog::open(&folder, || streams)?;
        let mut publisher = Publisher::new(control, &options.name, &folder, options.longest_stream)?;
        let recogniser = Recogniser::new(&options.rules, names);
        let (dirty, mut latest) = (SharedDirty::default(), Latest::default());
        let mut report = FollowReport { notified: self.notifies().await?, ..FollowReport::default() };
        let mut listeners = tokio::task::JoinSet::new();
        if report.notified {
            for (db, source) in self.dbs() {
                listeners.spawn(listen(source.client(), *db, Arc::clone(&dirty)));
            }
        } else {
            tracing::warn!(
                "the source does not tell of changed keys, so only streams are followed: its owner can set \
                 notify-keyspace-events to KA"
            );
        }
        // what an earlier follower kept and did not publish
        publisher.publish_live(&log, &sorted).await?;
        for round in 0_u64.. {
            let mut changed = {
                let mut dirty = dirty.lock().unwrap_or_else(PoisonError::into_inner);
                report.lost += std::mem::take(&mut dirty.lost);
                std::mem::take(&mut dirty.keys)
            };
            if round.is_multiple_of(ALL_STREAMS_EVERY) || !report.notified {
                changed.extend(log.positions.keys().filter_map(|name| key_of(name)));
            }
            let before = report.clone();
            let mut keys: Vec<_> = changed.into_iter().collect();
            keys.sort_unstable();
            for part in keys.chunk_by(|a, b| a.0 == b.0) {
                for chunk in part.chunks(512) {
                    self.round(chunk, &recogniser, &mut latest, &mut log, &mut report).await?;
                    publisher.publish_live(&log, &sorted).await?;
                }
            }
            if report != before {
                progress(&report);
            }
            tokio::time::sleep(EVERY).await;
        }
        Ok(())
    }

    /// Reads changed keys of one database, and keeps what was found.
    async fn round(
        &mut self,
        keys: &[(u32, Vec<u8>)],
        recogniser: &Recogniser<'_>,
        latest: &mut Latest,
        log: &mut LiveLog,
        report: &mut FollowReport,
    ) -> Result<(), ImportError> {
        let Some(db) = keys.first().map(|(db, _)| *db) else { return Ok(()) };
        let Some((_, source)) = self.dbs_mut().iter_mut().find(|(one, _)| *one == db) else { return Ok(()) };
        let names: Vec<Vec<u8>> = keys.iter().map(|(_, key)| key.clone()).collect();
        let shapes = source.shapes(&names).await?;
        let mut kept = Kept::default();
        for (key, shape) in names.iter().zip(shapes) {
            let mut from = match shape.kind {
                Kind::Text | Kind::Hash => String::new(),
                Kind::Stream => log.positions.get(&name_of(db, key)).cloned().unwrap_or_default(),
                _ => continue,
            };
            loop {
                let (elements, next) = source.piece(key, shape, &from).await?;
                let before = kept.records.len();
                kept.take(db, key, elements, recogniser, report);
                let found = &kept.records[before..];
                // entries of a stream are new by themselves
                if shape.kind != Kind::Stream && !found.is_empty() && !latest.changes(db, key, found) {
                    kept.records.truncate(before);
                }
                if kept.records.len() >= BATCH {
                    kept.keep(log, report)?;
                }
                match next {
                    Some(next) => from = next,
                    None => break,
                }
            }
        }
        kept.keep(log, report)
    }

    async fn notifies(&mut self) -> Result<bool, ImportError> {
        let Some((_, source)) = self.dbs_mut().first_mut() else { return Ok(false) };
        let flags = source.notifications().await?;
        // unknown, because the user may not ask: it can only be tried
        Ok(flags.is_none_or(|flags| flags.contains('K') && flags.contains(['A', 'h', '$'])))
    }
}

/// Records and positions of a round that are not kept yet.
#[derive(Debug, Default)]
struct Kept {
    records: Vec<Recognised>,
    positions: Positions,
}

impl Kept {
    fn take(
        &mut self,
        db: u32,
        key: &[u8],
        elements: Vec<Element>,
        recogniser: &Recogniser<'_>,
        report: &mut FollowReport,
    ) {
        let context = recogniser.context_of(&String::from_utf8_lossy(key));
        for element in elements {
            let mut found = |one: Result<Recognised, String>| match one {
                Ok(record) => self.records.push(record),
                Err(_) => report.skipped += 1,
            };
            let mut position = None;
            match (&context, element) {
                (Ok(context), Element::Text { bytes, score }) => {
                    let mut context = context.clone();
                    context.at = score;
                    recogniser.text(&bytes, &context, &mut found);
                }
                (Ok(context), Element::Fields { fields, at, id }) => {
                    let mut context = context.clone();
                    context.at = at;
                    recogniser.fields(&fields, &context, &mut found);
                    position = id;
                }
                (Err(_), Element::Fields { id, .. }) => {
                    report.skipped += 1;
                    position = id;
                }
                (_, Element::Refused(_)) | (Err(_), Element::Text { .. }) => report.skipped += 1,
            }
            if let Some(id) = position {
                self.positions.insert(name_of(db, key), id);
            }
        }
    }

    fn keep(&mut self, log: &mut LiveLog, report: &mut FollowReport) -> Result<(), ImportError> {
        if self.records.is_empty() && self.positions.is_empty() {
            return Ok(());
        }
        report.records += self.records.len() as u64;
        log.append(&self.records, std::mem::take(&mut self.positions))?;
        self.records.clear();
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

/// `<db>/<key>`; keys that are no text are not followed as streams over restarts.
pub(crate) fn name_of(db: u32, key: &[u8]) -> String {
    format!("{db}/{}", String::from_utf8_lossy(key))
}

fn key_of(name: &str) -> Option<(u32, Vec<u8>)> {
    let (db, key) = name.split_once('/')?;
    Some((db.parse().ok()?, key.as_bytes().to_vec()))
}
