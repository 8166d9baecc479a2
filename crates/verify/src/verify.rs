//! The steps of a proof.

use crate::chunk::{Chunk, Held, Place};
use crate::compare::{Wrong, differing, rows};
use crate::journal::{ChunkRows, Journal, Journaled, sockets};
use crate::ledger::imbalances;
use crate::stored::{Bounds, Table, Tables};
use crate::{FlatStream, GapSum, Report, SocketReport, Stop, VerifyError, WrongRow};
use clickhouse::Row;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tickhouse_model::{FrameId, Timestamp};
use tickhouse_read::{Reader, Statement, Window};

/// Chunks that differ whose rows are looked at one by one. Of the others only the difference is counted.
const MOST_LOOKED_AT: usize = 64;

/// What is proven.
#[derive(Clone, Debug)]
pub struct VerifyOptions {
    /// ClickHouse.
    pub reader: Reader,
    /// Where the journals of all recorders are. It need not exist: then the ledger alone is checked.
    pub journals: PathBuf,
    /// Times of receipt.
    pub window: Window,
    /// The present: how long something waits counts from it.
    pub now: Timestamp,
    /// Bytes of journals that were read, for who wants to see it go on.
    pub bytes_read: Arc<AtomicU64>,
    /// Ends it early.
    pub stop: Stop,
}

/// Compares journals and tables.
///
/// # Errors
/// When a journal can't be read, or ClickHouse does not answer.
///
/// # Cancel safety
/// Safe: it only reads. Threads that read journals end at the next look at `stop`.
pub async fn verify(options: &VerifyOptions) -> Result<Report, VerifyError> {
    // marks first: what is stored later than this look is not compared
    let marks = marks(&options.reader).await?;
    let mut of: BTreeMap<String, BTreeSet<u16>> = BTreeMap::new();
    for (recorder, sockets) in sockets(&options.journals)? {
        of.entry(recorder).or_default().extend(sockets);
    }
    for (recorder, socket) in marks.keys() {
        of.entry(recorder.clone()).or_default().insert(*socket);
    }
    let mut report = Report::default();
    for (recorder, sockets) in of {
        let mark = |socket: &u16| marks.get(&(recorder.clone(), *socket)).copied().unwrap_or_default();
        let journals = sockets.iter().map(|socket| Journal {
            directory: options.journals.clone(),
            recorder: recorder.clone(),
            socket: *socket,
            mark: mark(socket),
        });
        verify_recorder(options, &recorder, journals.collect(), &mut report).await?;
    }
    report.gaps = gaps(options).await?;
    report.flat_streams = flat_streams(options).await?;
    report.totals.duplicates += report.flat_streams.iter().map(|stream| stream.duplicates).sum::<u64>();
    Ok(report)
}

async fn verify_recorder(
    options: &VerifyOptions,
    recorder: &str,
    journals: Vec<Journal>,
    report: &mut Report,
) -> Result<(), VerifyError> {
    let mut read = Vec::with_capacity(journals.len());
    for task in journals.iter().map(|journal| read_journal(options, journal.clone())).collect::<Vec<_>>() {
        read.push(task.await??);
    }
    let bounds = Bounds {
        recorder: recorder.to_owned(),
        window: options.window,
        sockets: journals
            .iter()
            .zip(&read)
            .map(|(journal, read)| (journal.socket, (read.first, journal.mark)))
            .collect(),
    };
    let tables = bounds.read(&options.reader).await?;
    for (journal, read) in journals.iter().zip(&read) {
        count_journal(journal, read, options.now, report);
    }
    count_tables(&tables, report);
    let all: BTreeMap<_, _> =
        read.iter().flat_map(|read| read.chunks.iter().map(|(chunk, held)| (*chunk, *held))).collect();
    let differing = differing(&all, &tables.covered);
    for (place, (table, chunk)) in differing.iter().enumerate() {
        if place < MOST_LOOKED_AT {
            let journal = journals.iter().find(|journal| journal.socket == chunk.socket);
            let journal = journal.expect("only sockets of this recorder are compared");
            look_at(options, &bounds, journal, *table, *chunk, report).await?;
        } else {
            count_difference(&all, &tables, *table, *chunk, report);
        }
    }
    let lost = lost(options, recorder).await?;
    let found = imbalances(recorder, &tables.ledger).into_iter();
    // a hole that is a row of feed_gaps is named
    report.imbalances.extend(found.filter(|imbalance| !imbalance.is_named(&lost)));
    Ok(())
}

fn read_journal(
    options: &VerifyOptions,
    journal: Journal,
) -> tokio::task::JoinHandle<Result<Journaled, VerifyError>> {
    let (window, stop, bytes) = (options.window, options.stop.clone(), Arc::clone(&options.bytes_read));
    tokio::task::spawn_blocking(move || {
        let seen = |read| {
            bytes.fetch_add(read, Ordering::Relaxed);
        };
        journal.read(window, &seen, &stop)
    })
}

fn count_journal(journal: &Journal, read: &Journaled, now: Timestamp, report: &mut Report) {
    let sum = |pick: fn(&Held) -> u64| read.chunks.values().map(pick).sum::<u64>();
    let (records, packets) = (sum(|held| held.frames.rows), sum(|held| held.ticks.rows));
    report.waiting(read.waiting, read.waiting_since, now);
    let totals = &mut report.totals;
    totals.records += records;
    totals.frames += read.frames;
    totals.heartbeats += read.heartbeats;
    totals.packets += packets;
    totals.undecodable += sum(|held| held.quarantined.rows);
    if read.first.is_some() {
        report.sockets.push(SocketReport {
            recorder: journal.recorder.clone(),
            socket: journal.socket,
            records,
            packets,
            waiting: read.waiting,
            holes: read.holes,
            damaged_bytes: read.damaged_bytes,
        });
    }
}

fn count_tables(tables: &Tables, report: &mut Report) {
    let covered: u64 = tables.covered.values().map(|held| held.frames.rows).sum();
    let records: u64 = tables.ledger.values().map(|ledger| ledger.records).sum();
    report.totals.without_journal += records - covered;
    report.totals.ticks_stored += tables.ledger.values().map(|ledger| ledger.ticks.rows).sum::<u64>();
    report.totals.quarantined += tables.ledger.values().map(|ledger| ledger.quarantined.rows).sum::<u64>();
}

/// The rows of a chunk that differs.
async fn look_at(
    options: &VerifyOptions,
    bounds: &Bounds,
    journal: &Journal,
    table: Table,
    chunk: Chunk,
    report: &mut Report,
) -> Result<(), VerifyError> {
    let (window, of) = (options.window, journal.clone());
    let ChunkRows { frames, packets, quarantined } =
        tokio::task::spawn_blocking(move || of.rows(chunk, window)).await??;
    let expected: Vec<(u64, u16, u64)> = match table {
        Table::Frames => frames.into_iter().map(|(sequence, digest)| (sequence, 0, digest)).collect(),
        Table::Ticks => packets.iter().map(|row| (row.sequence, row.packet_index, row.digest)).collect(),
        Table::Quarantine => quarantined
            .into_iter()
            .map(|(sequence, index)| (sequence, index, crate::digest::place_digest(sequence, index)))
            .collect(),
    };
    let found = bounds.rows(&options.reader, table, chunk).await?;
    for Wrong { sequence, packet_index, verdict, rows } in rows(expected, found) {
        // as the journal has them, so in order: a whole chunk may be wrong
        let place =
            packets.binary_search_by_key(&(sequence, packet_index), |row| (row.sequence, row.packet_index));
        let packet = place.ok().map(|place| &packets[place]);
        report.wrong(WrongRow {
            table,
            verdict,
            recorder: journal.recorder.clone(),
            id: FrameId { session: chunk.session, socket: chunk.socket, sequence },
            packet_index,
            instrument_token: packet.filter(|_| table == Table::Ticks).map(|row| row.token),
            rows,
        });
    }
    Ok(())
}

/// At least so much is wrong with a chunk whose rows are not looked at.
fn count_difference(
    journal: &BTreeMap<Chunk, Held>,
    tables: &Tables,
    table: Table,
    chunk: Chunk,
    report: &mut Report,
) {
    let of = |side: &BTreeMap<Chunk, Held>| {
        let held = side.get(&chunk).copied().unwrap_or_default();
        match table {
            Table::Frames => held.frames.rows,
            Table::Ticks => held.ticks.rows,
            Table::Quarantine => held.quarantined.rows,
        }
    };
    let (here, there) = (of(journal), of(&tables.covered));
    report.totals.missing += here.saturating_sub(there);
    report.totals.duplicates += there.saturating_sub(here);
    report.totals.altered += u64::from(here == there);
}

/// Up to where each socket is stored, as the loader has recorded it.
async fn marks(reader: &Reader) -> Result<BTreeMap<(String, u16), Place>, VerifyError> {
    #[derive(Row, Deserialize)]
    struct MarkRow {
        origin: String,
        last: (u64, u64),
    }
    let sql = "SELECT toString(range.1) AS origin, max((range.5, range.6)) FROM loader_seals ARRAY JOIN ranges AS range \
               WHERE state = 'stored' AND position(range.1, '/') > 0 GROUP BY origin";
    let rows: Vec<MarkRow> = reader.fetch("marks", &Statement::new(sql)).await?;
    let socket = |row: MarkRow| {
        let (recorder, socket) = row.origin.rsplit_once('/')?;
        Some(((recorder.to_owned(), socket.parse().ok()?), row.last))
    };
    Ok(rows.into_iter().filter_map(socket).collect())
}

/// Where a hole was passed: session, socket and sequence of the record after it.
async fn lost(options: &VerifyOptions, recorder: &str) -> Result<Vec<(u64, u16, u64)>, VerifyError> {
    let sql = "SELECT session, socket, sequence FROM feed_gaps WHERE recorder = {recorder:String} AND cause = 'lost'";
    Ok(options.reader.fetch("gaps", &Statement::new(sql).with("recorder", recorder)).await?)
}

async fn gaps(options: &VerifyOptions) -> Result<Vec<GapSum>, VerifyError> {
    let sql = "SELECT cause, count() AS gaps, countIf(`from` >= {from:DateTime64(3)}) AS begun, sum(greatest(0, toUnixTimestamp64Milli(least(end, {to:DateTime64(3)})) \
                 - toUnixTimestamp64Milli(greatest(`from`, {from:DateTime64(3)})))) / 1000 AS seconds \
               FROM (SELECT cause, `from`, if(toUnixTimestamp64Milli(`to`) = 0, {now:DateTime64(3)}, `to`) AS end FROM feed_gaps) \
               WHERE `from` < {to:DateTime64(3)} AND end >= {from:DateTime64(3)} GROUP BY cause ORDER BY cause";
    let statement = Statement::new(sql)
        .with("from", options.window.from)
        .with("to", options.window.to)
        .with("now", options.now);
    Ok(options.reader.rows(&statement).await?)
}

async fn flat_streams(options: &VerifyOptions) -> Result<Vec<FlatStream>, VerifyError> {
    #[derive(Deserialize)]
    struct StreamRow {
        stream: String,
        epoch: u32,
        rows: u64,
        entries: u64,
    }
    let sql = "SELECT stream, epoch, count() AS rows, uniqExact((session, sequence)) AS entries FROM tick_data \
               WHERE stream != '' AND date >= toDate({from:DateTime64(3)}, 'Asia/Kolkata') AND date <= toDate({to:DateTime64(3)}, 'Asia/Kolkata') \
                 AND timestamp >= {from:DateTime64(3)} AND timestamp < {to:DateTime64(3)} GROUP BY stream, epoch ORDER BY stream, epoch";
    let statement = Statement::new(sql).with("from", options.window.from).with("to", options.window.to);
    let rows: Vec<StreamRow> = options.reader.rows(&statement).await?;
    let of = |row: StreamRow| FlatStream {
        stream: row.stream,
        epoch: row.epoch,
        rows: row.rows,
        duplicates: row.rows - row.entries,
    };
    Ok(rows.into_iter().map(of).collect())
}
