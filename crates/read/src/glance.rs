//! What a page shows of instruments at a glance: the newest ticks, small lines of today, gaps of the feed.
//!
//! What enters: tokens, a window. What leaves: few rows. What never happens here: a candle among ticks.

use crate::ticks::IS_TICK;
use crate::{ReadError, Reader, Statement, Window};
use clickhouse::Row;
use jiff::civil::Date;
use serde::Deserialize;
use std::collections::BTreeMap;
use tickhouse_model::{Timestamp, Token};

/// Points of a small line.
pub const SPARKLINE_POINTS: u32 = 60;

/// When ticks may have been missed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedGap {
    /// Since when.
    pub from: Timestamp,
    /// Until when; `None` while it is open.
    pub to: Option<Timestamp>,
    /// Why: docs/data-dictionary.md lists the words.
    pub cause: String,
    /// Which socket, of the recorder.
    pub socket: u16,
    /// How many instruments; 0: all of the socket or stream.
    pub instruments: u64,
    /// For people.
    pub detail: String,
}

#[derive(Row, Deserialize)]
struct GapRow {
    begun: i64,
    ended: i64,
    cause: String,
    socket: u16,
    instruments: u64,
    detail: String,
}

#[derive(Row, Deserialize)]
struct LineRow {
    instrument_token: u32,
    closes: Vec<f64>,
}

/// The newest ticks of an instrument, of the last day on which it has any; the newest first.
pub fn newest_ticks(token: Token, limit: u64) -> Statement {
    let sql = format!(
        "SELECT timestamp, exchange_timestamp, last_price, last_traded_quantity, volume, open_interest, bid_1_price, ask_1_price \
         FROM tick_data WHERE instrument_token = {{token:UInt32}} AND {IS_TICK} \
         AND date >= (SELECT max(date) FROM latest_prices WHERE instrument_token = {{token:UInt32}}) \
         ORDER BY timestamp DESC, session DESC, sequence DESC, packet_index DESC LIMIT {{limit:UInt64}}"
    );
    Statement::new(sql).with("token", token.0).with("limit", limit)
}

/// Without an instrument every gap that touches the window; with one, those that name it, and those that name none of the ways on
/// which its ticks came in the window's days; where it has no ticks, of all ways. The rule of bars.
const GAPS: &str = "WITH ways AS (SELECT DISTINCT recorder, socket, stream FROM tick_data \
         WHERE instrument_token = {token:UInt32} AND date BETWEEN {first:Date} AND {last:Date}) \
     SELECT toUnixTimestamp64Milli(`from`) AS begun, toUnixTimestamp64Milli(`to`) AS ended, toString(cause), socket, \
         toUInt64(length(tokens)), toString(detail) \
     FROM feed_gaps WHERE `from` < {to:DateTime64(3)} AND begun > 0 AND (ended = 0 OR `to` >= {from:DateTime64(3)}) \
         AND ({token:UInt32} = 0 OR has(tokens, {token:UInt32}) OR (empty(tokens) \
             AND ((recorder, socket, stream) IN ways OR (SELECT count() FROM ways) = 0))) \
     ORDER BY begun DESC, recorder, socket, session, sequence LIMIT {limit:UInt64}";

impl Reader {
    /// Closes of a day for each token that has any, in order of time, at most [`SPARKLINE_POINTS`] each, the newest among them.
    ///
    /// # Errors
    /// When the query fails.
    pub async fn sparklines(&self, tokens: &[u32], day: Date) -> Result<BTreeMap<u32, Vec<f64>>, ReadError> {
        let sql = "SELECT instrument_token, arrayFilter((close, number) -> (length(closes) - number) % \
                 intDiv(length(closes) + {points:UInt32} - 1, {points:UInt32}) = 0, closes, arrayEnumerate(closes)) \
             FROM (SELECT instrument_token, groupArray(close) AS closes FROM \
                 (SELECT instrument_token, minute, reinterpretAsFloat64(toUInt64(bitAnd(max(last), 18446744073709551615))) AS close \
                 FROM tick_data_1min_state WHERE date = {day:Date} AND instrument_token IN {tokens:Array(UInt32)} \
                 GROUP BY instrument_token, minute HAVING max(last) > 0 ORDER BY instrument_token, minute) \
             GROUP BY instrument_token)";
        let statement =
            Statement::new(sql).with("points", SPARKLINE_POINTS).with("day", day).with("tokens", tokens);
        let rows: Vec<LineRow> = self.fetch("lines of the day", &statement).await?;
        Ok(rows.into_iter().map(|row| (row.instrument_token, row.closes)).collect())
    }

    /// The first day that has ticks or candles of an instrument; none where nothing of it is stored.
    ///
    /// # Errors
    /// When the query fails.
    pub async fn first_day(&self, token: Token) -> Result<Option<Date>, ReadError> {
        #[derive(Deserialize)]
        struct Found {
            day: Date,
        }
        let sql = "SELECT min(first) AS day FROM ( \
                 SELECT min(date) AS first FROM latest_prices WHERE instrument_token = {token:UInt32} HAVING count() > 0 \
                 UNION ALL \
                 SELECT min(toDate(timestamp)) AS first FROM candles WHERE instrument_token = {token:UInt32} HAVING count() > 0) \
             HAVING count() > 0";
        let found: Vec<Found> = self.rows(&Statement::new(sql).with("token", token.0)).await?;
        Ok(found.first().map(|found| found.day))
    }

    /// Gaps of the feed that touch a window, the newest first; of one instrument, or all.
    ///
    /// # Errors
    /// When the query fails.
    pub async fn feed_gaps(
        &self,
        window: &Window,
        of: Option<Token>,
        limit: u64,
    ) -> Result<Vec<FeedGap>, ReadError> {
        let statement = Statement::new(GAPS)
            .with("token", of.map_or(0, |token| token.0))
            .with("first", window.first_day())
            .with("last", window.last_day())
            .with("from", window.from)
            .with("to", window.to)
            .with("limit", limit);
        let rows: Vec<GapRow> = self.fetch("gaps of the feed", &statement).await?;
        Ok(rows.into_iter().map(FeedGap::from).collect())
    }
}

impl From<GapRow> for FeedGap {
    fn from(row: GapRow) -> Self {
        Self {
            from: Timestamp::from_millis(row.begun),
            to: (row.ended != 0).then(|| Timestamp::from_millis(row.ended)),
            cause: row.cause,
            socket: row.socket,
            instruments: row.instruments,
            detail: row.detail,
        }
    }
}
