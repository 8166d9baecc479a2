//! Instruments in ClickHouse: their columns, and reading them back.
//!
//! What enters: rows of `instruments` and `token_metadata`. What leaves: [`InstrumentVersion`]s, one by one. What never happens
//! here: more than one row and a buffer of the connection in memory.

use crate::native::{ColumnSpec, column};
use crate::{BlockBuilder, Store, StoreError};
use clickhouse::Row;
use clickhouse::query::RowCursor;
use serde::Deserialize;
use std::fmt;
use tickhouse_model::{Instrument, InstrumentKind, IstDateTime, Token};

/// What an instrument is, in both tables.
macro_rules! attributes {
    ($($more:expr),*) => {
        &[
            column("instrument_token", "UInt32"),
            column("symbol", "String"),
            column("tradingsymbol", "String"),
            column("underlying", "String"),
            column("exchange", "LowCardinality(String)"),
            column("segment", "LowCardinality(String)"),
            column("sector", "LowCardinality(String)"),
            column("asset_class", "LowCardinality(String)"),
            column("instrument_type", "LowCardinality(String)"),
            column("expiry", "Date"),
            column("strike", "Float64"),
            column("tick_size", "Float64"),
            column("lot_size", "UInt32"),
            $($more),*
        ]
    };
}

/// Columns of `token_metadata` that a load writes.
pub(crate) const METADATA_COLUMNS: &[ColumnSpec] = attributes!();

/// Columns of `instruments` that a load writes.
pub(crate) const VERSION_COLUMNS: &[ColumnSpec] =
    attributes!(column("valid_from", "Date"), column("valid_to", "Date"));

/// The columns of a [`StoredRow`] without its days.
pub(crate) const ATTRIBUTES: &str = "instrument_token, symbol, tradingsymbol, underlying, toString(exchange) AS exchange, \
     toString(segment) AS segment, toString(sector) AS sector, toString(asset_class) AS asset_class, \
     toString(instrument_type) AS instrument_type, expiry, strike, tick_size, lot_size";

/// The condition on rows of `instruments` that hold on some day. The others were withdrawn by a later master: they stay in the
/// table, because deleting them could uncover the rows that they replaced.
pub const HELD_VERSIONS: &str = "(valid_from <= valid_to AND valid_to > toDate(0))";

/// What a token meant from one day to another.
#[derive(Clone, Debug, PartialEq)]
pub struct InstrumentVersion {
    /// The instrument.
    pub instrument: Instrument,
    /// First day, as days since 1970-01-01; 0: before our first master.
    pub valid_from: u16,
    /// Last day; 65 535: until a later master says otherwise.
    pub valid_to: u16,
}

#[derive(Row, Deserialize)]
pub(crate) struct StoredRow {
    instrument_token: u32,
    symbol: String,
    tradingsymbol: String,
    underlying: String,
    exchange: String,
    segment: String,
    sector: String,
    asset_class: String,
    instrument_type: String,
    expiry: u16,
    strike: f64,
    tick_size: f64,
    lot_size: u32,
    valid_from: u16,
    valid_to: u16,
}

impl From<StoredRow> for InstrumentVersion {
    fn from(row: StoredRow) -> Self {
        let instrument = Instrument {
            token: Token(row.instrument_token),
            instrument_type: InstrumentKind::of(&row.instrument_type, &row.segment),
            symbol: row.symbol,
            tradingsymbol: row.tradingsymbol,
            underlying: row.underlying,
            exchange: row.exchange,
            segment: row.segment,
            sector: row.sector,
            asset_class: row.asset_class,
            expiry: (row.expiry != 0).then_some(i32::from(row.expiry)),
            strike: row.strike,
            tick_size: row.tick_size,
            lot_size: row.lot_size,
        };
        Self { instrument, valid_from: row.valid_from, valid_to: row.valid_to }
    }
}

/// Instruments on their way from the server.
pub struct InstrumentCursor {
    rows: RowCursor<StoredRow>,
}

impl fmt::Debug for InstrumentCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InstrumentCursor").finish_non_exhaustive()
    }
}

impl InstrumentCursor {
    /// The next one, `None` at the end.
    ///
    /// # Errors
    /// When the connection breaks, or the server fails on the way.
    pub async fn next(&mut self) -> Result<Option<InstrumentVersion>, StoreError> {
        let row = self.rows.next().await.map_err(|source| StoreError::query("read instruments", source))?;
        Ok(row.map(InstrumentVersion::from))
    }
}

impl Store {
    /// What tokens meant on any day from `since` (days since 1970-01-01) on: from `instruments`, and for tokens that it does not
    /// have from `token_metadata`, which others may fill.
    ///
    /// # Errors
    /// When the query can't be sent.
    pub fn instruments_since(&self, since: u16) -> Result<InstrumentCursor, StoreError> {
        self.instrument_rows(&format!(
            "SELECT {ATTRIBUTES}, valid_from, valid_to FROM instruments FINAL \
             WHERE valid_to >= toDate({since}) AND {HELD_VERSIONS} \
             UNION ALL \
             SELECT {ATTRIBUTES}, toDate(0) AS valid_from, if(expiry = toDate(0), toDate(65535), expiry) AS valid_to \
             FROM token_metadata FINAL \
             WHERE instrument_token NOT IN (SELECT instrument_token FROM instruments FINAL WHERE {HELD_VERSIONS})"
        ))
    }

    /// All versions that hold on some day, by token and first day.
    pub(crate) fn versions_by_token(&self) -> Result<InstrumentCursor, StoreError> {
        self.instrument_rows(&format!(
            "SELECT {ATTRIBUTES}, valid_from, valid_to FROM instruments FINAL WHERE {HELD_VERSIONS} \
             ORDER BY instrument_token, valid_from"
        ))
    }

    /// The rows of `token_metadata`, by token.
    pub(crate) fn metadata_by_token(&self) -> Result<InstrumentCursor, StoreError> {
        self.instrument_rows(&format!(
            "SELECT {ATTRIBUTES}, toDate(0) AS valid_from, toDate(0) AS valid_to FROM token_metadata FINAL \
             ORDER BY instrument_token"
        ))
    }

    pub(crate) fn instrument_rows(&self, sql: &str) -> Result<InstrumentCursor, StoreError> {
        let rows = self.client().query_raw(sql).fetch::<StoredRow>();
        Ok(InstrumentCursor { rows: rows.map_err(|source| StoreError::query("read instruments", source))? })
    }

    /// When instruments changed last, in milliseconds since the epoch by the server's clock; 0 while there are none. Cheap
    /// enough to be asked every few seconds.
    ///
    /// # Errors
    /// When the query fails.
    pub async fn instruments_changed_at(&self) -> Result<i64, StoreError> {
        let sql = "SELECT toUnixTimestamp64Milli(greatest((SELECT max(updated_at) FROM token_metadata), \
                   (SELECT max(updated_at) FROM instruments)))";
        let query = self.client().query_raw(sql).fetch_one::<i64>();
        query.await.map_err(|source| StoreError::query("look whether instruments changed", source))
    }
}

/// Writes an instrument as a row of [`METADATA_COLUMNS`], or of [`VERSION_COLUMNS`] with its days.
pub(crate) fn push(block: &mut BlockBuilder, instrument: &Instrument, days: Option<(u16, u16)>) {
    let mut row = block.row();
    row.u32(instrument.token.0)
        .bytes(instrument.symbol.as_bytes())
        .bytes(instrument.tradingsymbol.as_bytes())
        .bytes(instrument.underlying.as_bytes())
        .text(&instrument.exchange)
        .text(&instrument.segment)
        .text(&instrument.sector)
        .text(&instrument.asset_class)
        .text(instrument.instrument_type.name())
        .u16(expiry_days(instrument))
        .f64(instrument.strike)
        .f64(instrument.tick_size)
        .u32(instrument.lot_size);
    if let Some((from, to)) = days {
        row.u16(from).u16(to);
    }
    row.end();
}

/// The expiry as a `Date` column holds it, 0 for none.
pub(crate) fn expiry_days(instrument: &Instrument) -> u16 {
    instrument.expiry.and_then(|days| u16::try_from(days).ok()).unwrap_or(0)
}

/// `2026-11-20` of a `Date`'s number.
pub(crate) fn date_text(days: u16) -> String {
    IstDateTime { days_since_epoch: i32::from(days), second_of_day: 0 }.date_text()
}
