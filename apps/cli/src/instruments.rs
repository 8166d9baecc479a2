//! The instruments of the day: from the exchange's master into `token_metadata`, and from there into memory.

use crate::http_query::HttpQuery;
use anyhow::Context as _;
use serde::Deserialize;
use serde_json::json;
use std::fmt::Write as _;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tickhouse_config::{CalendarSource, Config};
use tickhouse_enrich::{Calendar, InstrumentTable, InstrumentTableBuilder};
use tickhouse_model::{Instrument, InstrumentKind, Token};
use tickhouse_source::rest::Rest;
use tokio::sync::watch;

/// How often the loader looks whether `token_metadata` has changed.
const LOOK_EVERY: Duration = Duration::from_secs(30);
const SECONDS_OF_DAY: i64 = 86_400;

/// The calendar of this configuration.
pub(crate) fn calendar(config: &Config) -> anyhow::Result<Arc<Calendar>> {
    match &config.instruments.calendar {
        CalendarSource::Builtin => Ok(Calendar::builtin()),
        CalendarSource::AlwaysOpen => Ok(Arc::new(Calendar::always_open())),
        CalendarSource::File(path) => {
            let text = std::fs::read_to_string(path)
                .with_context(|| format!("instruments.calendar {} can't be read", path.display()))?;
            let mut calendar = Calendar::clone(&Calendar::builtin());
            calendar.merge_toml(&path.display().to_string(), &text)?;
            Ok(Arc::new(calendar))
        }
    }
}

/// The exchange's master, as a table.
pub(crate) async fn fetch(api_url: &str) -> anyhow::Result<InstrumentTable> {
    let csv = Rest::new(api_url)?.instruments_csv(None, None).await?;
    let mut builder = InstrumentTableBuilder::new();
    let report = builder.read_kite_csv(csv.as_ref())?;
    tracing::info!(api_url, rows = report.rows, bad = report.bad, "instruments fetched");
    Ok(builder.finish())
}

/// A file of instruments: a look-up in JSON, else a CSV of Kite's.
fn read_file(path: &Path) -> anyhow::Result<InstrumentTable> {
    let file =
        File::open(path).with_context(|| format!("instruments.file {} can't be read", path.display()))?;
    let mut builder = InstrumentTableBuilder::new();
    let is_json = path.extension().is_some_and(|extension| extension == "json");
    let report = if is_json { builder.read_token_lookup(file)? } else { builder.read_kite_csv(file)? };
    tracing::info!(file = %path.display(), rows = report.rows, bad = report.bad, "instruments read");
    Ok(builder.finish())
}

/// Writes a table into `token_metadata`; rows of tokens that it does not have stay.
pub(crate) async fn store(server: &HttpQuery, table: &InstrumentTable) -> anyhow::Result<usize> {
    let mut rows = String::new();
    for instrument in table.iter() {
        let text = |id| table.text(id);
        let row = json!({
            "instrument_token": instrument.token.0,
            "symbol": text(instrument.symbol),
            "tradingsymbol": text(instrument.tradingsymbol),
            "underlying": text(instrument.underlying),
            "exchange": text(instrument.exchange),
            "segment": text(instrument.segment),
            "sector": text(instrument.sector),
            "asset_class": text(instrument.asset_class),
            "instrument_type": text(instrument.instrument_type),
            "expiry": i64::from(instrument.expiry_days) * SECONDS_OF_DAY,
            "strike": instrument.strike,
            "tick_size": instrument.tick_size,
            "lot_size": instrument.lot_size,
        });
        // writing to a string can't fail
        writeln!(rows, "{row}").ok();
    }
    let settings = [("wait_end_of_query", "1"), ("async_insert", "0")];
    // dates are given as seconds of UTC's midnight, which the server's own time zone must not move
    let columns = "instrument_token, symbol, tradingsymbol, underlying, exchange, segment, sector, asset_class, \
                   instrument_type, expiry, strike, tick_size, lot_size";
    let input = "instrument_token UInt32, symbol String, tradingsymbol String, underlying String, exchange String, \
                 segment String, sector String, asset_class String, instrument_type String, expiry Int64, \
                 strike Float64, tick_size Float64, lot_size UInt32";
    let insert = format!(
        "INSERT INTO token_metadata ({columns}) SELECT * REPLACE (toDate(toUInt16(intDiv(expiry, {SECONDS_OF_DAY}))) AS expiry) \
         FROM input('{input}') FORMAT JSONEachRow"
    );
    server.send(&insert, Some(rows.into()), &settings).await?;
    server.text("OPTIMIZE TABLE token_metadata FINAL").await?;
    server.text("SYSTEM REFRESH VIEW hot_token_metadata").await?;
    Ok(table.iter().len())
}

#[derive(Debug, Deserialize)]
struct MetadataRow {
    instrument_token: u32,
    symbol: String,
    tradingsymbol: String,
    underlying: String,
    exchange: String,
    segment: String,
    sector: String,
    asset_class: String,
    instrument_type: String,
    expiry_days: i32,
    strike: f64,
    tick_size: f64,
    lot_size: u32,
}

impl From<MetadataRow> for Instrument {
    fn from(row: MetadataRow) -> Self {
        Self {
            token: Token(row.instrument_token),
            instrument_type: InstrumentKind::of(&row.instrument_type, &row.segment),
            symbol: row.symbol,
            tradingsymbol: row.tradingsymbol,
            underlying: row.underlying,
            exchange: row.exchange,
            segment: row.segment,
            sector: row.sector,
            asset_class: row.asset_class,
            expiry: (row.expiry_days != 0).then_some(row.expiry_days),
            strike: row.strike,
            tick_size: row.tick_size,
            lot_size: row.lot_size,
        }
    }
}

async fn read_stored(server: &HttpQuery) -> anyhow::Result<InstrumentTable> {
    let rows: Vec<MetadataRow> = server
        .rows(
            "SELECT instrument_token, symbol, tradingsymbol, underlying, exchange, segment, sector, asset_class, \
             instrument_type, toInt32(toUInt16(expiry)) AS expiry_days, strike, tick_size, lot_size \
             FROM token_metadata FINAL",
        )
        .await?;
    let mut builder = InstrumentTableBuilder::new();
    for row in rows {
        builder.add(row.into())?;
    }
    Ok(builder.finish())
}

/// The table that the loader enriches with, kept up to date by a task for as long as somebody looks at it: from
/// `token_metadata`, and from the configured file while that is empty.
pub(crate) fn follow(
    config: &Config,
    server: HttpQuery,
) -> anyhow::Result<watch::Receiver<Arc<InstrumentTable>>> {
    let first = match &config.instruments.file {
        Some(path) => read_file(path)?,
        None => InstrumentTable::empty(),
    };
    let (sender, receiver) = watch::channel(Arc::new(first));
    tokio::spawn(async move {
        let mut seen = String::new();
        loop {
            match refresh(&server, &mut seen).await {
                Ok(Some(table)) => {
                    tracing::info!(instruments = table.iter().len(), "instruments loaded");
                    sender.send_replace(Arc::new(table));
                }
                Ok(None) => {}
                Err(error) => {
                    tracing::debug!(error = format!("{error:#}"), "token_metadata can't be read yet");
                }
            }
            // until there are any, a tick would be stored without its symbol
            let pause = if seen.is_empty() { Duration::from_secs(1) } else { LOOK_EVERY };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = sender.closed() => return,
            }
        }
    });
    Ok(receiver)
}

/// The table when it has changed since `seen`.
async fn refresh(server: &HttpQuery, seen: &mut String) -> anyhow::Result<Option<InstrumentTable>> {
    let state = server.text("SELECT count(), max(updated_at) FROM token_metadata").await?;
    if state.starts_with("0\t") || state == *seen {
        return Ok(None);
    }
    let table = read_stored(server).await?;
    *seen = state;
    Ok(Some(table))
}
