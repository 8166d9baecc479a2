//! Index values as columns, and how those of a batch are counted.
//!
//! `indices_data` has two sources: the view that takes index packets out of `tick_data`, whose rows have an empty `stream`, and
//! what is published to a stream of index values. Both may stand in one batch, so counting looks at the second kind only.

use crate::ledger::Origin;
use crate::native::{BlockBuilder, ColumnSpec, NativeBlock, column};
use crate::{Store, StoreError};
use tickhouse_model::{IstDateTime, Timestamp};
use uuid::Uuid;

const TEXT: &str = "LowCardinality(String)";

/// The columns of `indices_data`.
pub const INDEX_COLUMNS: &[ColumnSpec] = &[
    column("instrument_token", "UInt32"),
    column("symbol", TEXT),
    column("timestamp", "DateTime64(3, 'Asia/Kolkata')"),
    column("last_price", "Float64"),
    column("net_change", "Float64"),
    column("percent_change", "Float64"),
    column("open", "Float64"),
    column("high", "Float64"),
    column("low", "Float64"),
    column("close", "Float64"),
    column("volume", "UInt64"),
    column("date", "Date"),
    column("hour", "UInt8"),
    column("batch_id", "UUID"),
    column("stream", TEXT),
    column("epoch", "UInt32"),
    column("session", "UInt64"),
    column("sequence", "UInt64"),
];

/// A row of `indices_data`.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "the fields are columns: docs/data-dictionary.md describes each")]
pub struct IndexRow<'a> {
    pub origin: Origin<'a>,
    pub instrument_token: u32,
    pub symbol: &'a str,
    pub timestamp: Timestamp,
    pub last_price: f64,
    pub net_change: f64,
    pub percent_change: f64,
    pub open: f64,
    pub high: f64,
    pub low: f64,
    pub close: f64,
    pub volume: u64,
}

/// A partition of `indices_data`: India's year and month as 202611.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Month(pub u32);

impl Month {
    /// Of a row with this timestamp.
    pub fn of(timestamp: Timestamp) -> Self {
        let days_since_epoch = i32::from(date(timestamp));
        let (year, month, _) = IstDateTime { days_since_epoch, second_of_day: 0 }.date();
        Self(year.unsigned_abs() * 100 + u32::from(month))
    }
}

/// Index values of one month: what one insert carries.
#[derive(Debug)]
pub struct IndexColumns {
    batch_id: Uuid,
    block: BlockBuilder,
}

impl IndexColumns {
    /// No rows yet.
    pub fn new(batch_id: Uuid) -> Self {
        Self { batch_id, block: BlockBuilder::new(INDEX_COLUMNS) }
    }

    /// Rows so far.
    pub const fn rows(&self) -> usize {
        self.block.rows()
    }

    /// Adds a value. Those of one block must be of one month.
    pub fn push(&mut self, index: &IndexRow<'_>) {
        self.block
            .row()
            .u32(index.instrument_token)
            .text(index.symbol)
            .i64(index.timestamp.as_millis())
            .f64(index.last_price)
            .f64(index.net_change)
            .f64(index.percent_change)
            .f64(index.open)
            .f64(index.high)
            .f64(index.low)
            .f64(index.close)
            .u64(index.volume)
            .u16(date(index.timestamp))
            .u8(index.timestamp.ist().hour())
            .uuid(self.batch_id)
            .text(index.origin.stream)
            .u32(index.origin.epoch)
            .u64(index.origin.id.session)
            .u64(index.origin.id.sequence)
            .end();
    }

    /// The block.
    pub fn finish(self) -> NativeBlock {
        self.block.finish()
    }
}

impl Store {
    /// Rows of a batch in `indices_data` that came from a stream of index values: of one month, or of all.
    ///
    /// # Errors
    /// When the query fails.
    pub async fn count_index_values(&self, batch_id: Uuid, month: Option<Month>) -> Result<u64, StoreError> {
        let month = month.map_or_else(String::new, |Month(month)| format!(" AND toYYYYMM(date) = {month}"));
        let sql = format!("SELECT count() FROM indices_data WHERE batch_id = ? AND stream != ''{month}");
        let query = self.client().query(&sql).bind(batch_id.to_string());
        query
            .fetch_one::<u64>()
            .await
            .map_err(|source| StoreError::query("count the index values of a batch", source))
    }
}

fn date(at: Timestamp) -> u16 {
    at.ist().days_since_epoch.clamp(0, i32::from(u16::MAX)) as u16
}
