//! The state of instruments that have not ticked since we look: from `latest_prices`.
//!
//! What enters: a reader. What leaves: rows in the market. What never happens here: asking more often than every few seconds.

use crate::{Market, Quote};
use clickhouse::Row;
use serde::Deserialize;
use std::sync::Arc;
use std::time::Duration;
use tickhouse_model::Timestamp;
use tickhouse_read::{ReadError, Reader, Statement};
use tokio::sync::Notify;

/// Days back in which an instrument must have ticked: over the longest break of the markets.
const DAYS_BACK: u64 = 10;
/// What is under way to the tables when they are first read is there by then.
const AGAIN_AFTER: Duration = Duration::from_secs(3);
/// Between attempts while ClickHouse is away.
const RETRY_AFTER: Duration = Duration::from_secs(2);

const SQL: &str = "SELECT instrument_token, toUnixTimestamp64Milli(argMax(timestamp, place)), argMax(last_price, place), \
     argMaxIf(close_price, place, close_price != 0), \
     argMaxIf(volume, place, volume > 0), argMaxIf(open_interest, place, open_interest > 0), \
     argMaxIf(open_price, place, open_price != 0), argMaxIf(high_price, place, high_price != 0), \
     argMaxIf(low_price, place, low_price != 0) \
     FROM latest_prices WHERE (instrument_token, date) IN \
         (SELECT instrument_token, max(date) FROM latest_prices WHERE date >= {since:Date} GROUP BY instrument_token) \
     GROUP BY instrument_token LIMIT {limit:UInt64}";

#[derive(Row, Deserialize)]
struct LatestRow {
    instrument_token: u32,
    timestamp: i64,
    last_price: f64,
    close_price: f64,
    volume: u64,
    open_interest: u64,
    open: f64,
    high: f64,
    low: f64,
}

impl From<LatestRow> for Quote {
    fn from(row: LatestRow) -> Self {
        Self {
            instrument_token: row.instrument_token,
            timestamp: Timestamp::from_millis(row.timestamp),
            last_price: row.last_price,
            close_price: row.close_price,
            volume: row.volume,
            open_interest: row.open_interest,
            open: row.open,
            high: row.high,
            low: row.low,
            ..Self::default()
        }
    }
}

/// Reads `latest_prices` when something may be missing.
#[derive(Clone, Debug)]
pub struct Latest {
    reader: Reader,
    market: Arc<Market>,
    wanted: Arc<Notify>,
}

impl Latest {
    /// Of a market.
    pub fn new(reader: Reader, market: Arc<Market>) -> Self {
        Self { reader, market, wanted: Arc::new(Notify::new()) }
    }

    /// Ticks may be missing that are stored: reads soon.
    pub fn want(&self) {
        self.wanted.notify_one();
    }

    /// Reads at the begin, shortly after, and whenever somebody wants it. `now` tells the day.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn run(&self, now: impl Fn() -> Timestamp + Send) {
        loop {
            self.until_read(&now).await;
            tokio::time::sleep(AGAIN_AFTER).await;
            self.until_read(&now).await;
            self.wanted.notified().await;
            tokio::time::sleep(AGAIN_AFTER).await;
        }
    }

    async fn until_read(&self, now: &(impl Fn() -> Timestamp + Send)) {
        let mut told = false;
        while let Err(error) = self.read(now()).await {
            if !told {
                tracing::warn!(%error, "the latest prices can't be read yet: only what ticks is shown");
                told = true;
            }
            tokio::time::sleep(RETRY_AFTER).await;
        }
    }

    /// Reads once.
    ///
    /// # Errors
    /// When the query fails.
    pub async fn read(&self, now: Timestamp) -> Result<(), ReadError> {
        let since = now.minus(Duration::from_hours(24 * DAYS_BACK)).ist().date_text();
        let statement =
            Statement::new(SQL).with("since", since).with("limit", crate::MOST_INSTRUMENTS as u64);
        let rows: Vec<LatestRow> = self.reader.fetch("the latest prices", &statement).await?;
        let quotes: Vec<Quote> = rows.into_iter().map(Quote::from).collect();
        tracing::debug!(instruments = quotes.len(), "latest prices read");
        self.market.complete(&quotes);
        Ok(())
    }
}
