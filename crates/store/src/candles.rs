//! Historical candles: rows of `candles`, what is there already, and what `tick_data` lacks of them.

use crate::native::{BlockBuilder, ColumnSpec, NativeBlock, column};
use crate::{Store, StoreError};
use clickhouse::Row;
use clickhouse::query::RowCursor;
use serde::Deserialize;
use tickhouse_model::{Timestamp, Token};
use uuid::Uuid;

const TEXT: &str = "LowCardinality(String)";
const PRICE: &str = "Float64";

/// The columns of `candles`.
pub const CANDLE_COLUMNS: &[ColumnSpec] = &[
    column("instrument_token", "UInt32"),
    column("symbol", TEXT),
    column("exchange", TEXT),
    column("interval", TEXT),
    column("timestamp", "DateTime('Asia/Kolkata')"),
    column("open", PRICE),
    column("high", PRICE),
    column("low", PRICE),
    column("close", PRICE),
    column("volume", "UInt64"),
    column("open_interest", "UInt64"),
    column("date", "Date"),
    column("processed_at", "DateTime64(3, 'UTC')"),
];

/// The numbers of a candle, as they are stored. Prices in rupees.
#[derive(Clone, Copy, Debug, PartialEq, Row, Deserialize)]
pub struct StoredCandle {
    /// Kite's number of the instrument.
    pub instrument_token: u32,
    /// The candle's begin, seconds since 1970-01-01 UTC.
    pub at: u32,
    /// First price.
    pub open: f64,
    /// Highest price.
    pub high: f64,
    /// Lowest price.
    pub low: f64,
    /// Last price.
    pub close: f64,
    /// Traded in it.
    pub volume: u64,
    /// At its end, 0 where there is none.
    pub open_interest: u64,
}

impl StoredCandle {
    /// Its begin.
    pub const fn timestamp(&self) -> Timestamp {
        Timestamp::from_kite_seconds(self.at)
    }
}

/// Which candles: of one interval, of some instruments, from a time to a time, both included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CandleRange<'a> {
    /// Word of the column `interval`.
    pub interval: &'a str,
    /// Lowest and highest instrument token.
    pub tokens: (u32, u32),
    /// Only these of them, rising, where they are at most [`MOST_LISTED`]; empty for all.
    pub only: &'a [u32],
    /// First and last begin, seconds since 1970-01-01 UTC.
    pub times: (u32, u32),
}

/// More tokens than this are not listed in a query, whose length is limited: their lowest and highest have to do.
pub const MOST_LISTED: usize = 5_000;

impl CandleRange<'_> {
    /// The condition, without a text of a user in it but the interval, which is bound.
    fn condition(&self) -> String {
        let (low, high) = self.tokens;
        let (from, to) = self.times;
        let dates = format!(
            "date BETWEEN toDate(toDateTime({from}, 'Asia/Kolkata')) AND toDate(toDateTime({to}, 'Asia/Kolkata'))"
        );
        let mut text = format!(
            "instrument_token BETWEEN {low} AND {high} AND {dates} \
             AND timestamp BETWEEN toDateTime({from}) AND toDateTime({to})"
        );
        if (1..=MOST_LISTED).contains(&self.only.len()) {
            let list: Vec<String> = self.only.iter().map(u32::to_string).collect();
            text = format!("instrument_token IN ({}) AND {text}", list.join(","));
        }
        text
    }
}

/// Rows of `candles`, growing.
#[derive(Debug)]
pub struct CandleColumns {
    block: BlockBuilder,
    processed_at: Timestamp,
}

impl CandleColumns {
    /// No rows yet. Of two rows of the same candle the one with the later `processed_at` counts.
    pub fn new(processed_at: Timestamp) -> Self {
        Self { block: BlockBuilder::new(CANDLE_COLUMNS), processed_at }
    }

    /// Rows so far.
    pub const fn rows(&self) -> usize {
        self.block.rows()
    }

    /// Adds a row.
    pub fn push(&mut self, candle: &StoredCandle, interval: &str, symbol: &str, exchange: &str) {
        let date = candle.timestamp().ist().days_since_epoch.clamp(0, i32::from(u16::MAX)) as u16;
        self.block
            .row()
            .u32(Token(candle.instrument_token).0)
            .text(symbol)
            .text(exchange)
            .text(interval)
            .u32(candle.at)
            .f64(candle.open)
            .f64(candle.high)
            .f64(candle.low)
            .f64(candle.close)
            .u64(candle.volume)
            .u64(candle.open_interest)
            .u16(date)
            .i64(self.processed_at.as_millis())
            .end();
    }

    /// The block.
    pub fn finish(self) -> NativeBlock {
        self.block.finish()
    }
}

const NUMBERS: &str = "instrument_token, toUInt32(toUnixTimestamp(timestamp)) AS at, open, high, low, close, volume, open_interest";

impl Store {
    /// The candles that are stored, in no order, each with its `processed_at` in milliseconds since 1970-01-01 UTC: what is
    /// to replace it needs a later one.
    ///
    /// # Errors
    /// When the query can't be sent; later failures come with the rows.
    pub fn candles(&self, range: &CandleRange<'_>) -> Result<RowCursor<(StoredCandle, i64)>, StoreError> {
        let condition = range.condition();
        let sql = format!(
            "SELECT {NUMBERS}, toUnixTimestamp64Milli(processed_at) AS written_at FROM candles FINAL \
             WHERE interval = ? AND {condition}"
        );
        let query = self.client().query(&sql).bind(range.interval);
        query.fetch().map_err(|source| StoreError::query("read candles", source))
    }

    /// How many candles each day has, rising by day (since 1970-01-01). Replaced ones may be counted too.
    ///
    /// # Errors
    /// When the query fails.
    pub async fn candle_days(&self, range: &CandleRange<'_>) -> Result<Vec<(u16, u64)>, StoreError> {
        let condition = range.condition();
        let sql = format!(
            "SELECT toUInt16(date) AS day, count() AS candles FROM candles WHERE interval = ? AND {condition} \
             GROUP BY day ORDER BY day"
        );
        let rows = self.client().query(&sql).bind(range.interval).fetch_all::<(u16, u64)>().await;
        rows.map_err(|source| StoreError::query("count candles", source))
    }

    /// The candles of which `tick_data` has no row with this packet type, ordered by partition, instrument and time.
    ///
    /// # Errors
    /// When the query can't be sent; later failures come with the rows.
    pub fn candles_without_tick(
        &self,
        range: &CandleRange<'_>,
        packet_type: &str,
    ) -> Result<RowCursor<StoredCandle>, StoreError> {
        let condition = range.condition();
        let sql = format!(
            "SELECT {NUMBERS} FROM candles FINAL WHERE interval = ? AND {condition} \
             AND (instrument_token, timestamp) NOT IN \
             (SELECT instrument_token, toDateTime(timestamp) FROM tick_data WHERE packet_type = ? AND {condition}) \
             ORDER BY date, toHour(timestamp), instrument_token, timestamp \
             SETTINGS max_bytes_before_external_sort = 500000000"
        );
        let query = self.client().query(&sql).bind(range.interval).bind(packet_type);
        query.fetch().map_err(|source| StoreError::query("read candles without ticks", source))
    }

    /// How many candles [`Store::candles_without_tick`] would give.
    ///
    /// # Errors
    /// When the query fails.
    pub async fn count_candles_without_tick(
        &self,
        range: &CandleRange<'_>,
        packet_type: &str,
    ) -> Result<u64, StoreError> {
        let condition = range.condition();
        let sql = format!(
            "SELECT count() FROM candles FINAL WHERE interval = ? AND {condition} \
             AND (instrument_token, timestamp) NOT IN \
             (SELECT instrument_token, toDateTime(timestamp) FROM tick_data WHERE packet_type = ? AND {condition})"
        );
        let query = self.client().query(&sql).bind(range.interval).bind(packet_type);
        let count = query.fetch_one::<u64>().await;
        count.map_err(|source| StoreError::query("count candles without ticks", source))
    }

    /// Inserts a block of candles. A repeat is harmless: the later row of a candle counts.
    ///
    /// # Errors
    /// Any failure is ambiguous: the rows may be there.
    pub async fn insert_candles(&self, block: &NativeBlock) -> Result<(), StoreError> {
        let id = crate::InsertId { batch_id: Uuid::new_v4(), part: "candles" };
        self.insert_block("candles", block, id, crate::Deduplicate::Never).await
    }
}
