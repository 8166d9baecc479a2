//! What was known at an instant: last ticks, gaps of the feed, the open interest of the session before.

use super::contracts::Contracts;
use crate::ticks::IS_TICK;
use crate::window::date_of;
use crate::{ReadError, Reader, Statement, Window};
use clickhouse::Row;
use jiff::civil::Date;
use serde::Deserialize;
use std::collections::HashMap;
use std::time::Duration;
use tickhouse_model::Timestamp;

/// Last ticks are looked for in these minutes first, then in the rest of the day: nearly all are found at once, so that a day of
/// ticks is never read. (Fewer minutes read as much: the rows of an instrument and an hour lie together.)
const LOOK_BACK: Duration = Duration::from_mins(10);
/// A session was recorded to its end when anything of the chain was received in its last minutes.
const LAST_MINUTES: Duration = Duration::from_mins(15);

/// The last tick of an instrument.
#[derive(Clone, Debug, Row, Deserialize)]
pub(crate) struct LastTick {
    token: u32,
    /// Milliseconds.
    received: i64,
    /// Milliseconds.
    said: i64,
    pub(crate) last_price: f64,
    volume: u64,
    open_interest: u64,
    pub(crate) bid_price: f64,
    pub(crate) bid_quantity: u32,
    pub(crate) ask_price: f64,
    pub(crate) ask_quantity: u32,
    packet_type: String,
    snapshot: u8,
    /// Seconds; 0 for none.
    last_trade: u32,
    pub(crate) recorder: String,
    pub(crate) stream: String,
    pub(crate) socket: u16,
}

impl LastTick {
    /// When it was received.
    pub(crate) fn at(&self) -> Timestamp {
        Timestamp::from_millis(self.received)
    }

    pub(crate) fn is_snapshot(&self) -> bool {
        self.snapshot != 0
    }

    /// Whether its totals are of the day on which it was received: a snapshot may be of another.
    fn is_of_its_day(&self) -> bool {
        !self.is_snapshot()
            || (self.said != self.received
                && date_of(Timestamp::from_millis(self.said)) == date_of(self.at()))
    }

    /// The day's volume so far, where the packet carries it.
    pub(crate) fn volume(&self) -> Option<u64> {
        let carries = if self.stream.is_empty() {
            matches!(self.packet_type.as_str(), "quote" | "full")
        } else {
            self.volume > 0
        };
        (carries && self.is_of_its_day()).then_some(self.volume)
    }

    /// Open interest, where the packet carries it.
    pub(crate) fn open_interest(&self) -> Option<u64> {
        let carries =
            if self.stream.is_empty() { self.packet_type == "full" } else { self.open_interest > 0 };
        (carries && self.is_of_its_day()).then_some(self.open_interest)
    }

    /// When the last trade was: long ago where a full packet knows of none; at most the packet's own time where it does not say.
    pub(crate) fn traded_at(&self) -> Timestamp {
        let says = self.last_trade > 0 || (self.stream.is_empty() && self.packet_type == "full");
        if says { Timestamp::from_kite_seconds(self.last_trade).min(self.at()) } else { self.at() }
    }
}

/// Later rows first; what tells rows of one millisecond apart is their identity.
fn last_ticks_sql() -> String {
    format!(
        "SELECT instrument_token AS token, toUnixTimestamp64Milli(timestamp) AS received, \
             toUnixTimestamp64Milli(exchange_timestamp) AS said, last_price, volume, open_interest, \
             bid_1_price, bid_1_quantity, ask_1_price, ask_1_quantity, toString(packet_type), toUInt8(snapshot), \
             toUnixTimestamp(last_trade_time), toString(recorder), toString(stream), socket \
         FROM tick_data \
         WHERE date = {{day:Date}} AND hour >= {{first_hour:UInt8}} AND hour <= {{last_hour:UInt8}} \
             AND instrument_token IN {{tokens:Array(UInt32)}} \
             AND timestamp > {{after:DateTime64(3)}} AND timestamp <= {{at:DateTime64(3)}} AND {IS_TICK} \
         ORDER BY token DESC, timestamp DESC, session DESC, sequence DESC, packet_index DESC, recorder DESC, stream DESC \
         LIMIT 1 BY token"
    )
}

/// Of each instrument the last tick received by `at` on the same day.
pub(crate) async fn last_ticks(
    reader: &Reader,
    tokens: &[u32],
    at: Timestamp,
) -> Result<HashMap<u32, LastTick>, ReadError> {
    let day = date_of(at);
    let midnight = Window::day(day).from;
    let mut found: HashMap<u32, LastTick> = HashMap::new();
    let mut until = at;
    for after in [at.minus(LOOK_BACK), midnight.minus(Duration::from_millis(1))] {
        let missing: Vec<u32> = tokens.iter().copied().filter(|token| !found.contains_key(token)).collect();
        if missing.is_empty() || until < midnight {
            break;
        }
        let statement = Statement::new(last_ticks_sql())
            .with("day", day)
            .with("first_hour", after.max(midnight).ist().hour())
            .with("last_hour", until.ist().hour())
            .with("tokens", missing.as_slice())
            .with("after", after)
            .with("at", until);
        let rows: Vec<LastTick> = reader.fetch("last ticks", &statement).await?;
        found.extend(rows.into_iter().map(|row| (row.token, row)));
        until = after;
    }
    Ok(found)
}

/// A window in which ticks may have been missed.
#[derive(Clone, Debug, Row, Deserialize)]
pub(crate) struct FeedGap {
    recorder: String,
    stream: String,
    socket: u16,
    /// Milliseconds.
    from: i64,
    /// Milliseconds; 0 while it is open.
    to: i64,
    /// Whether it is of every instrument of its socket.
    is_whole: u8,
    tokens: Vec<u32>,
}

impl FeedGap {
    /// From when to when ticks may be missing between an instrument's last one and the instant; none when this gap is no matter of
    /// its.
    pub(crate) fn missed(&self, tick: &LastTick, at: Timestamp) -> Option<(Timestamp, Timestamp)> {
        let is_mine = self.recorder == tick.recorder
            && if self.is_whole != 0 {
                self.stream == tick.stream && self.socket == tick.socket
            } else {
                self.tokens.contains(&tick.token)
            };
        // an open gap ended for whoever had a tick after its begin
        let since = if self.to == 0 { self.from >= tick.received } else { self.to > tick.received };
        let from = Timestamp::from_millis(self.from.max(tick.received));
        let until = if self.to == 0 { at } else { Timestamp::from_millis(self.to).min(at) };
        (is_mine && since && from < until).then_some((from, until))
    }
}

const GAPS: &str = "SELECT toString(recorder), toString(stream), socket, toUnixTimestamp64Milli(`from`), \
         toUnixTimestamp64Milli(`to`), toUInt8(empty(tokens)), arrayIntersect(tokens, {tokens:Array(UInt32)}) \
     FROM feed_gaps \
     WHERE `from` <= {at:DateTime64(3)} \
         AND (toUnixTimestamp64Milli(`to`) = 0 AND `from` >= {day:DateTime64(3)} OR `to` > {day:DateTime64(3)}) \
         AND (empty(tokens) OR hasAny(tokens, {tokens:Array(UInt32)}))";

/// Gaps of the day up to `at` that can touch these instruments.
pub(crate) async fn gaps(reader: &Reader, tokens: &[u32], at: Timestamp) -> Result<Vec<FeedGap>, ReadError> {
    let statement =
        Statement::new(GAPS).with("tokens", tokens).with("at", at).with("day", Window::day(date_of(at)).from);
    reader.fetch("gaps of the feed", &statement).await
}

/// The open interest at the end of a session.
#[derive(Debug, Default)]
pub(crate) struct PreviousInterest {
    /// Which session; none when it was not recorded to its end.
    pub(crate) session: Option<Date>,
    pub(crate) by_token: HashMap<u32, u64>,
}

#[derive(Debug, Row, Deserialize)]
struct InterestRow {
    token: u32,
    interest: u64,
    has_interest: u8,
    /// Start of the last minute with a tick, seconds.
    seen: u32,
}

const INTEREST: &str = "SELECT instrument_token, \
         toUInt64(bitAnd(max(last_open_interest), toUInt256(18446744073709551615))), \
         toUInt8(max(last_open_interest) > 0), toUnixTimestamp(maxIf(minute, ticks > 0)) \
     FROM tick_data_1min_state WHERE date = {day:Date} AND instrument_token IN {tokens:Array(UInt32)} \
     GROUP BY instrument_token";

/// The last open interest of each instrument in a session, given with its close.
pub(crate) async fn last_open_interest(
    reader: &Reader,
    tokens: &[u32],
    session: Option<(Date, Timestamp)>,
) -> Result<PreviousInterest, ReadError> {
    let Some((day, close)) = session else { return Ok(PreviousInterest::default()) };
    let statement = Statement::new(INTEREST).with("day", day).with("tokens", tokens);
    let rows: Vec<InterestRow> = reader.fetch("open interest of the session before", &statement).await?;
    let enough = close.minus(LAST_MINUTES).as_seconds();
    if !rows.iter().any(|row| i64::from(row.seen) >= enough) {
        return Ok(PreviousInterest::default());
    }
    let known = rows.into_iter().filter(|row| row.has_interest != 0);
    Ok(PreviousInterest {
        session: Some(day),
        by_token: known.map(|row| (row.token, row.interest)).collect(),
    })
}

/// What there is instead of ticks: the first and last of the day, else the days around it.
pub(crate) async fn no_ticks(
    reader: &Reader,
    contracts: &Contracts,
    at: Timestamp,
) -> Result<ReadError, ReadError> {
    #[derive(Deserialize)]
    struct Edges {
        first: i64,
        last: i64,
        ticks: u64,
    }
    #[derive(Deserialize)]
    struct Days {
        before: Date,
        after: Date,
    }
    let day = date_of(at);
    let tokens: Vec<u32> = contracts.legs().map(|leg| leg.token).collect();
    let statement = Statement::new(format!(
        "SELECT toUnixTimestamp64Milli(min(timestamp)) AS first, toUnixTimestamp64Milli(max(timestamp)) AS last, \
             count() AS ticks \
         FROM tick_data WHERE date = {{day:Date}} AND instrument_token IN {{tokens:Array(UInt32)}} AND {IS_TICK}"
    ));
    let statement = statement.with("day", day).with("tokens", tokens.as_slice());
    let edges: Vec<Edges> = reader.rows(&statement).await?;
    let of_day = edges.into_iter().find(|edges| edges.ticks > 0);
    let statement = Statement::new(
        "SELECT maxIf(date, date < {day:Date}) AS before, minIf(date, date > {day:Date}) AS after \
         FROM tick_data_1min_state WHERE instrument_token IN {tokens:Array(UInt32)}",
    );
    let statement = statement.with("day", day).with("tokens", tokens.as_slice());
    let days: Vec<Days> = reader.rows(&statement).await?;
    let is_there = |date: Date| (date > Date::constant(1970, 1, 1)).then_some(date);
    Ok(ReadError::NoTicks {
        underlying: contracts.underlying.clone(),
        expiry: contracts.expiry,
        at,
        of_day: of_day.map(|edges| (Timestamp::from_millis(edges.first), Timestamp::from_millis(edges.last))),
        before: days.first().and_then(|days| is_there(days.before)),
        after: days.first().and_then(|days| is_there(days.after)),
    })
}
