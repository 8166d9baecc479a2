//! Slices, gaps and candles of one token and some days, as the server has them.

use super::series::{Part, begin};
use crate::ticks::IS_TICK;
use crate::{ReadError, Reader, Statement, Window};
use clickhouse::Row;
use serde::Deserialize;
use std::collections::{HashMap, HashSet};
use tickhouse_bars::{Bucket, Candle, CandleLength, DayRange, Prices, SliceLength, Span, Totals, Turnover};
use tickhouse_enrich::{Calendar, Market};
use tickhouse_model::{SessionType, Timestamp};
use tickhouse_store::{BarSlice, bar_states};

/// Everything that bars are made of.
#[derive(Debug, Default)]
pub(super) struct Sliced {
    pub(super) buckets: Vec<Bucket>,
    pub(super) gaps: Vec<Span>,
    pub(super) candles: Vec<Candle>,
    pub(super) asked: Vec<Span>,
}

#[derive(Row, Deserialize)]
struct SliceRow {
    at: u32,
    ticks: i64,
    open: f64,
    high: f64,
    low: f64,
    close: f64,
    total_low: u64,
    total_high: u64,
    has_open_interest: u8,
    open_interest: u64,
    day_open: f64,
    day_high: f64,
    day_low: f64,
}

/// Out of states: the low half of `first` and `last` is the price, see migration 0003.
const SLICES: &str = "SELECT toUInt32(toUnixTimestamp(minute)) AS at, sum(slices.ticks) AS packets, \
     reinterpretAsFloat64(toUInt64(bitAnd(min(slices.first), 18446744073709551615))) AS open, \
     max(slices.high) AS top, min(slices.low) AS bottom, \
     reinterpretAsFloat64(toUInt64(bitAnd(max(slices.last), 18446744073709551615))) AS close, \
     min(slices.total_low) AS lowest, max(slices.total_high) AS highest, \
     toUInt8(max(slices.last_open_interest) > 0) AS has_open_interest, \
     toUInt64(bitAnd(max(slices.last_open_interest), 18446744073709551615)) AS open_interest, \
     max(slices.day_open) AS opened, max(slices.day_high) AS day_top, min(slices.day_low) AS day_bottom";

/// The time that places a tick, as migration 0003 has it.
const USED: &str = "if(snapshot OR abs(toUnixTimestamp64Milli(exchange_timestamp) - toUnixTimestamp64Milli(timestamp)) <= 600000, \
     exchange_timestamp, timestamp)";

/// Ticks of one token on some days by the time that places them; what a snapshot tells of another day is left out.
fn ticks_of() -> String {
    format!(
        "SELECT {USED} AS used, timestamp, session, sequence, packet_index, last_price, volume, last_traded_quantity, \
         open_interest, snapshot, \
         if(stream = '', packet_type IN ('quote', 'full'), volume > 0) AS carries_total, \
         if(stream = '', packet_type = 'full', open_interest > 0) AS carries_open_interest \
         FROM tick_data WHERE instrument_token = {{token:UInt32}} AND date BETWEEN {{first:Date}} - 1 AND {{last:Date}} + 1 \
         AND {IS_TICK} \
         AND (NOT snapshot OR (exchange_timestamp != timestamp AND toDate(exchange_timestamp) = toDate(timestamp)))"
    )
}

#[derive(Row, Deserialize)]
struct TurnoverRow {
    at: u32,
    value: f64,
    volume: f64,
    trades: u64,
    open: f64,
    high: f64,
    low: f64,
    close: f64,
}

#[derive(Row, Deserialize)]
struct GapRow {
    from: i64,
    to: i64,
    is_listed: u8,
    recorder: String,
    socket: u16,
    stream: String,
}

#[derive(Row, Deserialize)]
struct CandleRow {
    interval: String,
    at: u32,
    open: f64,
    high: f64,
    low: f64,
    close: f64,
    volume: u64,
    open_interest: u64,
    written_at: i64,
}

/// A tick for bars of ticks, volume and range.
#[derive(Row, Deserialize)]
pub(super) struct TickRow {
    pub(super) at: i64,
    pub(super) price: f64,
    pub(super) volume: u64,
    pub(super) last_traded_quantity: u32,
    pub(super) open_interest: u64,
    pub(super) carries_total: u8,
    pub(super) carries_open_interest: u8,
}

fn of_days(sql: String, part: &Part) -> Statement {
    Statement::new(sql).with("token", part.token.0).with("first", part.first).with("last", part.last)
}

impl Reader {
    pub(super) async fn buckets_of(
        &self,
        part: &Part,
        slice: SliceLength,
        openings: &[i64],
    ) -> Result<Vec<Bucket>, ReadError> {
        let states = match slice {
            SliceLength::Minute => "tick_data_1min_state".to_owned(),
            SliceLength::Second => {
                let rows = "(SELECT * FROM tick_data WHERE instrument_token = {token:UInt32} \
                            AND date BETWEEN {first:Date} - 1 AND {last:Date} + 1)";
                format!("({})", bar_states(rows, BarSlice::Second))
            }
        };
        let sql = format!(
            "{SLICES} FROM {states} AS slices WHERE instrument_token = {{token:UInt32}} \
             AND date BETWEEN {{first:Date}} AND {{last:Date}} GROUP BY minute \
             HAVING packets > 0 OR lowest < 18446744073709551615 ORDER BY at"
        );
        let slices = of_days(sql, part);
        let (rows, turnover) = tokio::try_join!(
            self.fetch::<SliceRow>("slices of ticks", &slices),
            self.turnover_of(part, slice, openings)
        )?;
        Ok(rows.into_iter().map(|row| bucket(&row, turnover.get(&row.at).copied())).collect())
    }

    /// Σ price × volume since what was seen before, per slice, and the prices of the ticks that show a trade since; of the day's first tick
    /// only where it is the day's first trade. Before a day's opening (`openings`: its milliseconds, for each day of the part) packets
    /// show the day before; a total below the highest is late, and two in a row below half of the one before are a count that began anew.
    async fn turnover_of(
        &self,
        part: &Part,
        slice: SliceLength,
        openings: &[i64],
    ) -> Result<HashMap<u32, Turnover>, ReadError> {
        let at = match slice {
            SliceLength::Minute => "toStartOfMinute(used)",
            SliceLength::Second => "toDateTime(used)",
        };
        let ticks = ticks_of();
        let sql = format!(
            "SELECT toUInt32(toUnixTimestamp({at})) AS at, sum(last_price * traded) AS value, sum(traded) AS traded_volume, \
             countIf(is_trade) AS trades, argMinIf(last_price, place, is_trade) AS open, maxIf(last_price, is_trade) AS high, \
             minIf(last_price, is_trade) AS low, argMaxIf(last_price, place, is_trade) AS close FROM \
             (SELECT used, last_price, place, traded > 0 AND NOT snapshot AS is_trade, \
                 greatest(0, toFloat64(volume) - toFloat64(if(row_number() OVER counted = 1, \
                     if(volume = last_traded_quantity, 0, volume), max(volume) OVER earlier))) AS traded FROM \
              (SELECT *, sum(began_anew) OVER day AS count_number FROM \
               (SELECT used, timestamp, last_price, volume, last_traded_quantity, snapshot, row_number() OVER day AS place, \
                    place > 1 AND volume < intDiv(lagInFrame(volume) OVER day, 2) \
                    AND leadInFrame(volume) OVER following < intDiv(lagInFrame(volume) OVER day, 2) AS began_anew \
                FROM ({ticks}) WHERE carries_total AND toDate(used) BETWEEN {{first:Date}} AND {{last:Date}} \
                AND toUnixTimestamp64Milli(used) >= {{openings:Array(Int64)}}[toUInt32(toDate(used) - {{first:Date}} + 1)] \
                WINDOW day AS (PARTITION BY toDate(used) ORDER BY used, timestamp, session, sequence, packet_index \
                    ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW), \
                following AS (PARTITION BY toDate(used) ORDER BY used, timestamp, session, sequence, packet_index \
                    ROWS BETWEEN CURRENT ROW AND 1 FOLLOWING)) \
               WINDOW day AS (PARTITION BY toDate(used) ORDER BY place ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)) \
              WINDOW counted AS (PARTITION BY toDate(used), count_number ORDER BY place ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW), \
                  earlier AS (PARTITION BY toDate(used), count_number ORDER BY place ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)) \
             GROUP BY at"
        );
        let rows: Vec<TurnoverRow> =
            self.fetch("turnover", &of_days(sql, part).with("openings", openings)).await?;
        let turnover = |row: TurnoverRow| {
            let TurnoverRow { open, high, low, close, .. } = row;
            let trades = (row.trades > 0).then_some(Prices { open, high, low, close });
            (row.at, Turnover { value: row.value, volume: row.volume, trades })
        };
        Ok(rows.into_iter().map(turnover).collect())
    }

    /// When ticks of the instrument may have been missed. A gap that names no instruments is one of those whose ticks came the same
    /// way: the same recorder and socket, or the same stream; where there are no ticks, of all.
    pub(super) async fn gaps_of(&self, part: &Part, now: Timestamp) -> Result<Vec<Span>, ReadError> {
        #[derive(Row, Deserialize)]
        struct Way {
            recorder: String,
            socket: u16,
            stream: String,
        }
        let ways = "SELECT toString(recorder) AS way, socket, toString(stream) AS entries FROM tick_data \
                    WHERE instrument_token = {token:UInt32} AND date BETWEEN {first:Date} AND {last:Date} \
                    GROUP BY way, socket, entries";
        let gaps = "SELECT toUnixTimestamp64Milli(`from`) AS begun, toUnixTimestamp64Milli(`to`) AS ended, \
                    has(tokens, {token:UInt32}) AS is_listed, toString(recorder) AS way, socket, toString(stream) AS entries \
                    FROM feed_gaps WHERE `from` < {until:DateTime64(3)} AND begun > 0 \
                    AND (ended = 0 OR `to` >= {since:DateTime64(3)}) AND (is_listed OR empty(tokens)) ORDER BY begun";
        let until = Window::day(part.last).to;
        let statement = of_days(gaps.to_owned(), part).with("since", begin(part.first)).with("until", until);
        let rows: Vec<GapRow> = self.fetch("gaps of the feed", &statement).await?;
        let ways: Vec<Way> = if rows.iter().all(|gap| gap.is_listed != 0) {
            Vec::new()
        } else {
            self.fetch("ways of ticks", &of_days(ways.to_owned(), part)).await?
        };
        let ways: HashSet<(String, u16, String)> =
            ways.into_iter().map(|way| (way.recorder, way.socket, way.stream)).collect();
        let concerned = rows.into_iter().filter(|gap| {
            gap.is_listed != 0
                || ways.is_empty()
                || ways.contains(&(gap.recorder.clone(), gap.socket, gap.stream.clone()))
        });
        Ok(concerned
            .map(|gap| {
                // an open one lasts; one of a single instant still cuts
                let to = if gap.to == 0 { now.as_millis() } else { gap.to }.max(gap.from + 1);
                Span { from: Timestamp::from_millis(gap.from), until: Timestamp::from_millis(to) }
            })
            .collect())
    }

    /// The candles of the days that were over when they were written.
    pub(super) async fn candles_of(
        &self,
        part: &Part,
        calendar: &Calendar,
        market: Market,
    ) -> Result<Vec<Candle>, ReadError> {
        let sql = "SELECT toString(interval) AS length, toUInt32(toUnixTimestamp(timestamp)) AS at, open, high, low, close, volume, \
                   open_interest, toUnixTimestamp64Milli(processed_at) AS written_at FROM candles FINAL \
                   WHERE instrument_token = {token:UInt32} AND date BETWEEN {first:Date} AND {last:Date} \
                   AND interval IN ('minute', '3minute', '5minute', '10minute', '15minute', '30minute', '60minute', 'day') \
                   ORDER BY at";
        let rows: Vec<CandleRow> = self.fetch("candles", &of_days(sql.to_owned(), part)).await?;
        Ok(rows.iter().filter_map(|row| candle(row, calendar, market)).collect())
    }

    /// Of which times the broker was asked for candles of these lengths.
    pub(super) async fn asked_of(&self, part: &Part, lengths: &[String]) -> Result<Vec<Span>, ReadError> {
        #[derive(Row, Deserialize)]
        struct Asked {
            from: i64,
            until: i64,
        }
        let sql = "SELECT toUnixTimestamp64Milli(`from`) AS begun, toUnixTimestamp64Milli(`to`) AS ended FROM gap_fills FINAL \
                   WHERE instrument_token = {token:UInt32} AND has({lengths:Array(String)}, interval) \
                   AND toDate(`to`) >= {first:Date} AND toDate(`from`) <= {last:Date} \
                   UNION ALL SELECT toInt64(toUnixTimestamp(toDateTime(`from`, 'Asia/Kolkata'))) * 1000, \
                   toInt64(toUnixTimestamp(toDateTime(`to` + 1, 'Asia/Kolkata'))) * 1000 FROM backfill_progress FINAL \
                   WHERE instrument_token = {token:UInt32} AND has({lengths:Array(String)}, interval) AND `to` >= {first:Date} AND `from` <= {last:Date}";
        let statement = of_days(sql.to_owned(), part).with("lengths", lengths);
        let rows: Vec<Asked> = self.fetch("what the broker was asked", &statement).await?;
        let span = |row: Asked| Span {
            from: Timestamp::from_millis(row.from),
            until: Timestamp::from_millis(row.until.max(row.from + 1)),
        };
        Ok(rows.into_iter().map(span).collect())
    }

    /// The ticks of one day, in order; cached values left out.
    pub(super) async fn ticks_of_day(&self, part: &Part) -> Result<Vec<TickRow>, ReadError> {
        let ticks = ticks_of();
        let sql = format!(
            "SELECT toUnixTimestamp64Milli(used) AS at, last_price, volume, last_traded_quantity, open_interest, \
             toUInt8(carries_total), toUInt8(carries_open_interest) FROM ({ticks}) \
             WHERE NOT snapshot AND toDate(used) BETWEEN {{first:Date}} AND {{last:Date}} \
             ORDER BY used, timestamp, session, sequence, packet_index"
        );
        self.fetch("ticks", &of_days(sql, part)).await
    }
}

fn bucket(row: &SliceRow, turnover: Option<Turnover>) -> Bucket {
    let prices = Prices { open: row.open, high: row.high, low: row.low, close: row.close };
    let day = DayRange { open: row.day_open, high: row.day_high, low: row.day_low };
    Bucket {
        at: Timestamp::from_kite_seconds(row.at),
        prices: (row.ticks > 0).then_some(prices),
        totals: (row.total_low < u64::MAX)
            .then_some(Totals { lowest: row.total_low, highest: row.total_high }),
        open_interest: (row.has_open_interest != 0).then_some(row.open_interest),
        ticks: u64::try_from(row.ticks).unwrap_or(0),
        day: (row.day_open > 0.0 && row.day_high > 0.0 && row.day_low.is_finite()).then_some(day),
        turnover,
    }
}

fn candle(row: &CandleRow, calendar: &Calendar, market: Market) -> Option<Candle> {
    let at = Timestamp::from_kite_seconds(row.at);
    let length = match row.interval.strip_suffix("minute") {
        Some("") => CandleLength::Minutes(1),
        Some(minutes) => CandleLength::Minutes(minutes.parse().ok()?),
        None => CandleLength::Day,
    };
    let end = match length {
        CandleLength::Minutes(minutes) => {
            let end = at.plus(std::time::Duration::from_mins(u64::from(minutes)));
            end.min(calendar.span(market, at).until)
        }
        CandleLength::Day => close_of(calendar, market, at),
    };
    (row.written_at >= end.as_millis()).then_some(Candle {
        at,
        length,
        prices: Prices { open: row.open, high: row.high, low: row.low, close: row.close },
        volume: row.volume,
        open_interest: row.open_interest,
    })
}

/// When continuous trading ends on the day of an instant; its midnight where there is none.
fn close_of(calendar: &Calendar, market: Market, day: Timestamp) -> Timestamp {
    let number = day.ist().days_since_epoch;
    let mut at = day;
    let mut close = day;
    while at.ist().days_since_epoch == number {
        let span = calendar.span(market, at);
        if span.phase == SessionType::Regular {
            close = span.until;
        }
        at = span.until.max(at.plus(std::time::Duration::from_secs(1)));
    }
    close
}
