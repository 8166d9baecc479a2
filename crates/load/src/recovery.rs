//! Batches that may or may not be stored: what a crash, a lost answer or a lost lease leaves behind.
//!
//! What enters: an open seal. What leaves: its rows, each stored exactly once, and the seal recorded as stored. What never
//! happens here: a seal that is given other entries than it names.

use crate::batch::Batch;
use crate::counters::Counters;
use crate::error::LoadError;
use crate::loader::Shared;
use crate::rows::RowMaker;
use crate::settle;
use crate::source::{Accepted, Source};
use rustc_hash::FxHashSet;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tickhouse_model::{FrameId, Gap, GapCause, Timestamp};
use tickhouse_store::{Mark, Origin, Partition, RowIdentity, Seal, SealRange};
use tickhouse_stream::{Control, Entry, EntryId, Stream};
use uuid::Uuid;

/// Entries per XRANGE.
const CHUNK: usize = 4_096;
/// Pause between looks for entries that a publisher is sending again.
const PAUSE: Duration = Duration::from_millis(200);

/// Settles the open seals, oldest first.
///
/// An owner makes its first seal only after it has settled every open one that it saw. So an open seal with a lower fence than
/// another's was not seen then: it arrived after its owner had lost the lease, and such an owner inserts nothing.
pub(crate) async fn settle_open(shared: &Shared, control: &Control) -> Result<(), LoadError> {
    let newest = shared.store.highest_fence().await?;
    for seal in shared.store.open_seals().await? {
        if seal.fence < newest {
            record_void(shared, &seal).await?;
        } else {
            let marks = shared.store.marks().await?;
            recover(shared, control, &seal, &marks).await?;
        }
    }
    Ok(())
}

/// Brings every row of an open seal into ClickHouse, once.
async fn recover(
    shared: &Shared,
    control: &Control,
    seal: &Seal,
    marks: &BTreeMap<String, Mark>,
) -> Result<(), LoadError> {
    let batch_id = seal.batch_id();
    Counters::add(&shared.counters.batches_recovered, 1);
    tracing::info!(%batch_id, ticks = seal.ticks(), frames = seal.frames, "counting a batch that was not confirmed");
    shared.store.kill_inserts(batch_id).await?;
    if is_whole(shared, seal).await? {
        shared.store.repair_batch(batch_id, &seal.partitions).await?;
        shared.store.record_stored(seal, shared.clock.now()).await?;
        return Ok(());
    }
    let mut entries = Vec::with_capacity(seal.ranges.len());
    let mut lost = Vec::new();
    for range in &seal.ranges {
        let stream = stream_of(control, &range.origin);
        let found = wait_for_range(shared, control, &stream, range, batch_id).await?;
        let missing = range.entries.saturating_sub(found.len() as u32);
        if missing > 0 {
            lost.push((range, missing));
        }
        entries.push((stream, range.epoch, found));
    }
    let batch = rebuild(shared, seal, &entries, marks, FxHashSet::default()).await?;
    let partial = settle::store_ambiguous(&shared.store, &batch, seal, &shared.counters).await?;
    if !partial.is_empty() {
        let stored = stored_in(shared, batch_id, &partial).await?;
        let rest = rebuild(shared, seal, &entries, marks, stored).await?;
        settle::store_rest(&shared.store, &rest, &partial, batch_id).await?;
    }
    declare_lost(shared, seal, &lost).await?;
    shared.store.repair_batch(batch_id, &seal.partitions).await?;
    shared.store.record_stored(seal, shared.clock.now()).await?;
    batch.note_queryable(&shared.counters, shared.clock.now());
    batch.count(&shared.counters);
    Ok(())
}

/// Records a seal of which no row was inserted, and none will be: its entries are in batches of a later owner, or will be.
async fn record_void(shared: &Shared, seal: &Seal) -> Result<(), LoadError> {
    tracing::info!(batch_id = %seal.batch_id(), "a seal that came too late: its entries are in batches of a later owner");
    let Seal { loader, fence, number, .. } = seal.clone();
    // without ranges: it must not move a mark
    let void = Seal { loader, fence, number, ..Seal::default() };
    Ok(shared.store.record_stored(&void, shared.clock.now()).await?)
}

/// Whether all rows of a seal are counted, so that nothing has to be read again.
async fn is_whole(shared: &Shared, seal: &Seal) -> Result<bool, LoadError> {
    let batch_id = seal.batch_id();
    let counts = shared.store.count_ticks(batch_id, &seal.partitions).await?;
    let mut ticks = true;
    for (at, rows) in &seal.partitions {
        let found = counts.get(at).copied().unwrap_or(0);
        settle::alarm("tick_data", batch_id, found, (*rows).into(), &shared.counters);
        ticks &= found >= u64::from(*rows);
    }
    if seal.indices > 0 && shared.store.count_index_values(batch_id, None).await? < u64::from(seal.indices) {
        return Ok(false);
    }
    let tables = [
        ("frames", seal.frames),
        ("quarantine", seal.quarantined),
        ("feed_gaps", seal.gaps),
        ("news_data", seal.news),
    ];
    for (table, expected) in tables {
        if expected > 0 && shared.store.count_rows(table, batch_id).await? < u64::from(expected) {
            return Ok(false);
        }
    }
    Ok(ticks)
}

async fn stored_in(
    shared: &Shared,
    batch_id: Uuid,
    partitions: &[Partition],
) -> Result<FxHashSet<RowIdentity>, LoadError> {
    let mut stored = FxHashSet::default();
    for partition in partitions {
        stored.extend(shared.store.stored_identities(batch_id, *partition).await?);
    }
    Ok(stored)
}

pub(crate) fn stream_of(control: &Control, origin: &str) -> Stream {
    let frames =
        origin.rsplit_once('/').and_then(|(recorder, socket)| Some((recorder, socket.parse().ok()?)));
    match frames {
        Some((recorder, socket)) => control.options().frame_stream(recorder, socket),
        None => control.options().stream(origin),
    }
}

/// Reads the entries of a range; where some are missing, asks the publisher and waits as long as the options say. What is
/// there then is all there is.
async fn wait_for_range(
    shared: &Shared,
    control: &Control,
    stream: &Stream,
    range: &SealRange,
    batch_id: Uuid,
) -> Result<Vec<Entry>, LoadError> {
    let since = Instant::now();
    let mut asked = false;
    loop {
        let entries = read_range(control, stream, range).await?;
        // more than were sealed: a hole that was accepted then is filled now
        if entries.len() >= range.entries as usize {
            return Ok(entries);
        }
        if since.elapsed() >= shared.options.resend_patience {
            let (found, expected) = (entries.len(), range.entries);
            tracing::error!(%batch_id, stream = stream.name(), found, expected, "entries of a sealed batch are lost");
            return Ok(entries);
        }
        if stream.is_frames() && !asked {
            // everything before this seal is stored: the mark is just below its first entry
            control.request_resend(stream.name(), before(range.first)).await?;
            asked = true;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// The largest id below `first`.
fn before(first: (u64, u64)) -> EntryId {
    match first {
        (session, 0) => EntryId::new(session.saturating_sub(1), u64::MAX),
        (session, sequence) => EntryId::new(session, sequence - 1),
    }
}

async fn read_range(control: &Control, stream: &Stream, range: &SealRange) -> Result<Vec<Entry>, LoadError> {
    let (mut first, last) = (EntryId::from(range.first), EntryId::from(range.last));
    let mut entries = Vec::with_capacity(range.entries as usize);
    loop {
        let chunk = control.range(stream.name(), first, last, CHUNK).await?;
        let Some(highest) = chunk.last().map(|entry| entry.id) else { return Ok(entries) };
        entries.extend(chunk);
        if highest >= last {
            return Ok(entries);
        }
        first = highest.next();
    }
}

/// The batch of a seal again, from its entries, without the rows in `skip`.
async fn rebuild(
    shared: &Shared,
    seal: &Seal,
    entries: &[(Stream, u32, Vec<Entry>)],
    marks: &BTreeMap<String, Mark>,
    skip: FxHashSet<RowIdentity>,
) -> Result<crate::batch::SealedBatch, LoadError> {
    let mut rows = RowMaker::new(shared.instruments.clone(), shared.calendar.clone());
    let mut batch = Batch::without(seal.batch_id(), shared.clock.now(), skip);
    for (stream, epoch, entries) in entries {
        let mark = marks.get(&stream.origin()).filter(|mark| mark.epoch == *epoch).copied();
        let mut source =
            Source::behind(&shared.store, stream.clone(), *epoch, mark.unwrap_or_default()).await?;
        // what was accepted across a hole then is accepted across it now
        for entry in entries {
            source.give_up_after = Some(source.last);
            let accepted = source.accept(entry, &mut batch, &mut rows);
            // a repeat: a part of a seal that came late, stored by a successor
            debug_assert!(matches!(accepted, Accepted::Taken | Accepted::Repeat), "{accepted:?}");
        }
    }
    Ok(batch.seal(&seal.loader, seal.fence, seal.number))
}

/// Records which entries of a seal are nowhere any more: a gap for each range that lacks some. The rest of the seal is stored.
async fn declare_lost(shared: &Shared, seal: &Seal, lost: &[(&SealRange, u32)]) -> Result<(), LoadError> {
    if lost.is_empty() {
        return Ok(());
    }
    // a batch of its own: the gaps of the seal are counted under the seal's
    let batch_id = tickhouse_store::batch_id(&format!("{}/lost", seal.loader), seal.fence, seal.number);
    let mut ledger = tickhouse_store::LedgerColumns::new(batch_id);
    let now = shared.clock.now();
    for (range, missing) in lost {
        let (recorder, socket) = range.origin.rsplit_once('/').unwrap_or(("", ""));
        let id =
            FrameId { session: range.first.0, socket: socket.parse().unwrap_or(0), sequence: range.first.1 };
        let stream = if recorder.is_empty() { range.origin.as_str() } else { "" };
        let at = |id: (u64, u64)| Timestamp::from_millis(i64::try_from(id.0).unwrap_or(i64::MAX));
        let gap = Gap {
            from: at(range.first).max(Timestamp::from_nanos(1)),
            to: now,
            cause: GapCause::Lost,
            detail: format!(
                "{missing} of {} entries up to {}-{} were sealed and lost before they were stored",
                range.entries, range.last.0, range.last.1
            ),
            tokens: Vec::new(),
        };
        ledger.push_gap(&Origin { recorder, id, stream, epoch: range.epoch }, &gap);
    }
    Counters::add(&shared.counters.holes_accepted, lost.len() as u64);
    for (table, block) in ledger.finish() {
        if shared.store.count_rows(table, batch_id).await? == 0 {
            let id = tickhouse_store::InsertId { batch_id, part: "lost" };
            shared.store.insert_block(table, &block, id, tickhouse_store::Deduplicate::ByToken).await?;
        }
    }
    Ok(())
}

/// Records what a store that was restored older, or emptied, forgot of a stream of flat entries, and Redis has no more: a gap, as
/// nobody else has them.
pub(crate) async fn declare_forgotten(
    shared: &Shared,
    control: &Control,
    stream: &Stream,
    mark: Mark,
    known: EntryId,
) -> Result<(), LoadError> {
    let stored = EntryId::from(mark.last);
    // entries are trimmed oldest first: while one of those that are stored is there, so are all that follow it
    let first = control.range(stream.name(), EntryId::ZERO, EntryId::new(u64::MAX, u64::MAX), 1).await?.pop();
    if first.as_ref().is_some_and(|first| first.id <= stored) {
        return Ok(());
    }
    let batch_id = tickhouse_store::batch_id(&format!("{}/forgotten", stream.name()), known.ms, known.seq);
    if shared.store.count_rows("feed_gaps", batch_id).await? > 0 {
        return Ok(());
    }
    let now = shared.clock.now();
    // the ids of an import say nothing of the time
    let of_time = stream.ids_may_begin_anew();
    let at = |id: EntryId| {
        if of_time { Timestamp::from_millis(i64::try_from(id.ms).unwrap_or(i64::MAX)) } else { now }
    };
    let next = first.map_or(known, |first| first.id.min(known));
    let gap = Gap {
        from: at(stored).max(Timestamp::from_nanos(1_000_000)),
        to: at(next),
        cause: GapCause::Lost,
        detail: format!(
            "ClickHouse was restored older, or emptied: entries after {stored} up to {known} were stored once, and of those \
             Redis has none before {next}"
        ),
        tokens: Vec::new(),
    };
    let id = FrameId { session: stored.ms, socket: 0, sequence: stored.seq };
    let mut ledger = tickhouse_store::LedgerColumns::new(batch_id);
    ledger.push_gap(&Origin { recorder: "", id, stream: stream.name(), epoch: mark.epoch }, &gap);
    for (table, block) in ledger.finish() {
        let id = tickhouse_store::InsertId { batch_id, part: "forgotten" };
        shared.store.insert_block(table, &block, id, tickhouse_store::Deduplicate::ByToken).await?;
    }
    Counters::add(&shared.counters.holes_accepted, 1);
    Ok(())
}
