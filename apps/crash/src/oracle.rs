//! The oracle: the exchange's ledger against `frames`, `tick_data` and `feed_gaps`, packet by packet.
//!
//! What enters: the ledger; ClickHouse. What leaves: totals, and what is wrong. What never happens here: a total that stands for an
//! identity: every packet of every message is looked for by its place and compared value by value.
//!
//! How a message is found: the recorder's records between two connects are the messages of one connection, in order and without a
//! hole, from its first to the last that was read. So each such run must be a beginning of one connection of the ledger: the same
//! lengths, the same first instrument in each message. Of several the one that was sent when the run was received is taken, and then
//! every value is compared. What its connection sent beyond it was never read: it must lie in a window of `feed_gaps`.

use crate::bars::Bars;
use crate::clickhouse::ClickHouse;
use crate::kite::{self, COLUMNS, EXCHANGE_TIME};
use crate::report::Totals;
use crate::sent::{Connection, Message, Sent};
use crate::system::RECORDER;
use crate::windows::{self, Place, Window};
use anyhow::Context as _;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

/// Violations that are kept in words.
const MOST: usize = 200;

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    pub(crate) totals: Totals,
    pub(crate) violations: Vec<String>,
}

impl Verdict {
    pub(crate) fn wrong(&mut self, text: String) {
        if self.violations.len() < MOST {
            self.violations.push(text);
        }
    }
}

/// A row of `frames`.
#[derive(Clone, Debug)]
struct Record {
    session: u64,
    socket: u16,
    sequence: u64,
    received_micros: i64,
    is_connect: bool,
    /// A binary message that is no heartbeat.
    is_data: bool,
    bytes: usize,
    /// The instrument of its first packet; `None` where there is no such row.
    token: Option<u32>,
}

/// Data messages between two connects.
#[derive(Debug, Default)]
struct Run {
    socket: u16,
    records: Vec<Record>,
}

/// Compares everything.
pub(crate) async fn judge(clickhouse: &ClickHouse, sent: &Sent) -> anyhow::Result<Verdict> {
    let mut verdict = Verdict::default();
    let records = records(clickhouse).await?;
    check_sequences(&records, &mut verdict);
    let runs = runs(&records);
    let matched = match_runs(&runs, sent, &mut verdict);
    let windows = windows::read(clickhouse).await?;
    for window in windows.iter().filter(|window| matches!(window.cause.as_str(), "lost" | "trimmed")) {
        verdict.wrong(format!("a gap that nothing here can cause: {} ({})", window.cause, window.detail));
    }
    verdict.totals.gaps = windows.len() as u64;
    account(&runs, &matched, sent, &windows, &mut verdict);
    let mut bars = Bars::default();
    compare_rows(clickhouse, &runs, &matched, sent, &mut bars, &mut verdict).await?;
    check_sums(clickhouse, &mut verdict).await?;
    bars.compare(clickhouse, &mut verdict).await?;
    Ok(verdict)
}

async fn records(clickhouse: &ClickHouse) -> anyhow::Result<Vec<Record>> {
    let sql = format!(
        "SELECT session, socket, sequence, toUnixTimestamp64Micro(received_at), kind, bytes FROM frames \
         WHERE recorder = '{RECORDER}' ORDER BY socket, session, sequence"
    );
    let tokens = first_tokens(clickhouse).await?;
    let mut records = Vec::new();
    let add = |line: &str| {
        let words: Vec<&str> = line.split('\t').collect();
        let [session, socket, sequence, received, kind, bytes] = words[..] else {
            anyhow::bail!("no record: {line}")
        };
        let (session, socket, sequence) = (session.parse()?, socket.parse()?, sequence.parse()?);
        let bytes = bytes.parse()?;
        records.push(Record {
            session,
            socket,
            sequence,
            received_micros: received.parse()?,
            is_connect: kind == "connect",
            is_data: kind == "frame" && bytes > 1,
            bytes,
            token: tokens.get(&(session, socket, sequence)).copied(),
        });
        Ok(())
    };
    clickhouse.lines(&sql, add).await?;
    Ok(records)
}

async fn first_tokens(clickhouse: &ClickHouse) -> anyhow::Result<HashMap<(u64, u16, u64), u32>> {
    let sql = format!(
        "SELECT session, socket, sequence, any(instrument_token) FROM tick_data \
         WHERE recorder = '{RECORDER}' AND packet_index = 0 GROUP BY session, socket, sequence"
    );
    let mut tokens = HashMap::new();
    let add = |line: &str| {
        let words: Vec<&str> = line.split('\t').collect();
        let [session, socket, sequence, token] = words[..] else { anyhow::bail!("no row: {line}") };
        tokens.insert((session.parse()?, socket.parse()?, sequence.parse()?), token.parse()?);
        Ok(())
    };
    clickhouse.lines(&sql, add).await?;
    Ok(tokens)
}

/// 1, 2, 3, … in each session of each socket.
fn check_sequences(records: &[Record], verdict: &mut Verdict) {
    let mut last = (u16::MAX, 0, 0);
    for record in records {
        let before = if (last.0, last.1) == (record.socket, record.session) { last.2 } else { 0 };
        if record.sequence != before + 1 {
            verdict.wrong(format!(
                "frames: record {}/{}/{} follows {before}",
                record.session, record.socket, record.sequence
            ));
        }
        last = (record.socket, record.session, record.sequence);
    }
}

fn runs(records: &[Record]) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    let mut place = None;
    for record in records {
        let here = Some((record.socket, record.session));
        if record.is_connect || place != here {
            runs.push(Run { socket: record.socket, records: Vec::new() });
            place = here;
        }
        if record.is_data
            && let Some(run) = runs.last_mut()
        {
            run.records.push(record.clone());
        }
    }
    runs.retain(|run| !run.records.is_empty());
    runs
}

/// The connection of each run.
fn match_runs(runs: &[Run], sent: &Sent, verdict: &mut Verdict) -> Vec<Option<u64>> {
    let mut taken = BTreeSet::new();
    let begins_with = |connection: &Connection, run: &Run| {
        let same = |(message, record): (&Message, &Record)| {
            message.bytes.len() == record.bytes
                && record.token.is_none_or(|token| Some(token) == message.token())
        };
        connection.messages.len() >= run.records.len()
            && connection.messages.iter().zip(&run.records).all(same)
    };
    let mut found = Vec::with_capacity(runs.len());
    for run in runs {
        let first = &run.records[0];
        let candidates = sent
            .iter()
            .filter(|(number, connection)| !taken.contains(*number) && begins_with(connection, run));
        let delay = |connection: &Connection| {
            let sent = Duration::from_millis(connection.messages[0].at_ms.unsigned_abs());
            Duration::from_micros(first.received_micros.unsigned_abs()).abs_diff(sent)
        };
        let number = candidates.min_by_key(|(_, connection)| delay(connection)).map(|(number, _)| *number);
        if let Some(number) = number {
            taken.insert(number);
        } else {
            verdict.wrong(format!(
                "{} messages from {}/{}/{} on are no beginning of what a connection was sent",
                run.records.len(),
                first.session,
                first.socket,
                first.sequence
            ));
        }
        found.push(number);
    }
    found
}

/// What was sent and not read: in a window, or gone.
fn account(runs: &[Run], matched: &[Option<u64>], sent: &Sent, windows: &[Window], verdict: &mut Verdict) {
    let of_connection: BTreeMap<u64, &Run> =
        runs.iter().zip(matched).filter_map(|(run, number)| Some(((*number)?, run))).collect();
    // the socket that carries an instrument
    let mut sockets = HashMap::new();
    // when each connection of a socket that was read began to send
    let mut begins: HashMap<u16, Vec<(u64, i64)>> = HashMap::new();
    for (number, run) in &of_connection {
        let messages = &sent[number].messages;
        begins.entry(run.socket).or_default().push((*number, messages[0].at_ms));
        sockets.extend(messages.iter().filter_map(Message::token).map(|token| (token, run.socket)));
    }
    verdict.totals.connections = sent.len() as u64;
    for (number, connection) in sent {
        let run = of_connection.get(number);
        let read = run.map_or(0, |run| run.records.len());
        let last_read = run.and_then(|run| run.records.last()).map(|record| record.received_micros / 1_000);
        let lost = &connection.messages[read..];
        verdict.totals.sent += connection.messages.iter().map(Message::packets).sum::<u64>();
        let mut outside = 0;
        for message in lost {
            let by_token = || message.token().and_then(|token| sockets.get(&token).copied());
            let socket = run.map(|run| run.socket).or_else(by_token);
            let others = socket.and_then(|socket| begins.get(&socket)).into_iter().flatten();
            let superseded = others.clone().any(|(other, at)| other > number && *at <= message.at_ms);
            let place = |socket| windows::place(windows, socket, message.at_ms, last_read);
            let (totals, packets) = (&mut verdict.totals, message.packets());
            match socket.map_or(Place::Outside, place) {
                Place::Within => totals.in_gaps += packets,
                Place::Late => {
                    totals.in_gaps += packets;
                    totals.in_gaps_late += packets;
                }
                Place::Outside if superseded => totals.superseded += packets,
                Place::Outside => {
                    totals.missing += packets;
                    outside += packets;
                }
            }
        }
        if outside > 0 {
            verdict.wrong(format!(
                "{outside} packets of connection {number}, after message {read} of {}, are in no window: the last that was read came at \
                 {last_read:?}, lost are those sent from {:?} to {:?}",
                connection.messages.len(),
                lost.first().map(|message| message.at_ms),
                lost.last().map(|message| message.at_ms)
            ));
        }
    }
}

/// A place in `tick_data`: session, socket, sequence, packet.
type Key = (u16, u64, u64, u16);

/// What must be in `tick_data`, in order.
fn expected<'a>(
    runs: &'a [Run],
    matched: &'a [Option<u64>],
    sent: &'a Sent,
) -> impl Iterator<Item = (Key, i64, Result<kite::Packet, String>)> + 'a {
    let messages = runs.iter().zip(matched).filter_map(|(run, number)| Some((run, &sent[&(*number)?])));
    messages.flat_map(|(run, connection)| {
        run.records.iter().zip(&connection.messages).flat_map(|(record, message)| {
            let packets = match kite::packets(&message.bytes) {
                Ok(packets) => packets.into_iter().map(Ok).collect(),
                Err(error) => vec![Err(error)],
            };
            let key = move |index| (record.socket, record.session, record.sequence, index);
            (0..).zip(packets).map(move |(index, packet)| (key(index), record.received_micros, packet))
        })
    })
}

/// A row of `tick_data`.
pub(crate) struct Row {
    pub(crate) key: Key,
    /// Milliseconds.
    pub(crate) timestamp: i64,
    pub(crate) kind: String,
    pub(crate) snapshot: bool,
    pub(crate) values: [f64; COLUMNS.len()],
}

impl Row {
    fn of(line: &str) -> anyhow::Result<Self> {
        let mut words = line.split('\t');
        let mut next = || words.next().context("a row of tick_data that is cut");
        let key = (next()?.parse()?, next()?.parse()?, next()?.parse()?, next()?.parse()?);
        let timestamp = next()?.parse()?;
        let (kind, snapshot) = (next()?.to_owned(), next()? == "true");
        let mut values = [0.0; COLUMNS.len()];
        for value in &mut values {
            *value = next()?.parse()?;
        }
        Ok(Self { key, timestamp, kind, snapshot, values })
    }

    /// Columns that differ from a packet that was received at some microsecond.
    fn differs(&self, packet: &kite::Packet, received_micros: i64) -> Vec<&'static str> {
        let received = received_micros.div_euclid(1_000);
        let mut values = packet.values;
        if values[EXCHANGE_TIME] == 0.0 {
            values[EXCHANGE_TIME] = received as f64;
        }
        let pairs = COLUMNS.iter().zip(self.values.iter().zip(&values));
        let differ = pairs.filter(|(_, (stored, sent))| stored.to_bits() != sent.to_bits());
        let mut wrong: Vec<_> = differ.map(|(name, _)| *name).collect();
        if self.kind != packet.kind {
            wrong.push("packet_type");
        }
        if self.timestamp != received {
            wrong.push("timestamp");
        }
        wrong
    }
}

async fn compare_rows(
    clickhouse: &ClickHouse,
    runs: &[Run],
    matched: &[Option<u64>],
    sent: &Sent,
    bars: &mut Bars,
    verdict: &mut Verdict,
) -> anyhow::Result<()> {
    let sql = format!(
        "SELECT socket, session, sequence, packet_index, toUnixTimestamp64Milli(timestamp), packet_type, snapshot, {} \
         FROM tick_data WHERE recorder = '{RECORDER}' ORDER BY socket, session, sequence, packet_index",
        COLUMNS.join(", ")
    );
    let mut expected = expected(runs, matched, sent).peekable();
    let missing = |key: Key, verdict: &mut Verdict| {
        verdict.totals.missing += 1;
        verdict.wrong(format!("tick_data: packet {key:?} was read and is missing"));
    };
    let each = |line: &str| {
        let row = Row::of(line)?;
        bars.add(&row);
        while let Some((key, ..)) = expected.next_if(|(key, ..)| *key < row.key) {
            missing(key, verdict);
        }
        let Some((_, received, packet)) = expected.next_if(|(key, ..)| *key == row.key) else {
            verdict.totals.duplicates += 1;
            verdict.wrong(format!("tick_data: a row more than there may be of packet {:?}", row.key));
            return Ok(());
        };
        let wrong = packet.map_or_else(
            |error| vec![error],
            |packet| row.differs(&packet, received).into_iter().map(str::to_owned).collect(),
        );
        if wrong.is_empty() {
            verdict.totals.stored += 1;
        } else {
            verdict.totals.altered += 1;
            verdict.wrong(format!("tick_data: packet {:?} differs in {}", row.key, wrong.join(", ")));
        }
        Ok(())
    };
    clickhouse.lines(&sql, each).await?;
    for (key, ..) in expected {
        missing(key, verdict);
    }
    Ok(())
}

/// What is right at a glance or not at all.
async fn check_sums(clickhouse: &ClickHouse, verdict: &mut Verdict) -> anyhow::Result<()> {
    let none = [
        ("rows of tick_data of another recorder or stream", format!("SELECT count() FROM tick_data WHERE recorder != '{RECORDER}' OR stream != ''")),
        ("rows of tick_data in a partition of another time", "SELECT count() FROM tick_data WHERE date != toDate(timestamp) OR hour != toHour(timestamp)".to_owned()),
        ("rows of quarantine, where nothing was spoilt", "SELECT count() FROM quarantine".to_owned()),
        ("rows of feed_gaps that are there twice", "SELECT count() - uniqExact(recorder, session, socket, sequence, stream, epoch, cause, `from`) FROM feed_gaps".to_owned()),
        ("seals that are open", "SELECT count() FROM loader_seals WHERE state = 'sealed' AND batch_id NOT IN (SELECT batch_id FROM loader_seals WHERE state = 'stored')".to_owned()),
        ("index values that are missing or double", "SELECT abs((SELECT toInt64(count()) FROM tick_data WHERE packet_type IN ('index_quote', 'index_full')) - (SELECT toInt64(count()) FROM indices_data WHERE stream = ''))".to_owned()),
        ("instruments whose latest price is older than a tick", "SELECT count() FROM \
            (SELECT instrument_token, max((exchange_timestamp, timestamp)) AS last FROM tick_data WHERE NOT snapshot GROUP BY instrument_token) AS ticks \
            LEFT JOIN (SELECT instrument_token, max((exchange_timestamp, timestamp)) AS last FROM latest_prices GROUP BY instrument_token) AS latest \
            USING (instrument_token) WHERE latest.last < ticks.last".to_owned()),
    ];
    for (what, sql) in none {
        let count = clickhouse.number(&sql).await?;
        if count > 0 {
            verdict.wrong(format!("{count} {what}"));
        }
    }
    Ok(())
}
