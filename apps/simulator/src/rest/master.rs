//! `GET /instruments`: the master as gzipped CSV, with Kite's columns in Kite's order. Public, as Kite's is.

use super::{Answer, KiteError};
use crate::shared::Shared;
use crate::universe::Listing;
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::IntoResponse as _;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io;
use std::sync::Arc;

const COLUMNS: [&str; 12] = [
    "instrument_token",
    "exchange_token",
    "tradingsymbol",
    "name",
    "last_price",
    "expiry",
    "strike",
    "tick_size",
    "lot_size",
    "instrument_type",
    "segment",
    "exchange",
];

pub(super) async fn all(State(shared): State<Arc<Shared>>) -> Answer {
    dump(shared, None).await
}

pub(super) async fn of_exchange(State(shared): State<Arc<Shared>>, Path(exchange): Path<String>) -> Answer {
    dump(shared, Some(exchange)).await
}

async fn dump(shared: Arc<Shared>, exchange: Option<String>) -> Answer {
    // 120,000 rows take a while: not on a thread that sends ticks
    let write = move || {
        let of_exchange = |listing: &&Listing| exchange.as_ref().is_none_or(|only| listing.exchange == only);
        csv_of(shared.universe.listings().iter().filter(of_exchange))
    };
    let csv = tokio::task::spawn_blocking(write).await.map_err(|_| KiteError::closed())?;
    let csv = csv.map_err(|error| KiteError::input(error.to_string()))?;
    let headers = [(header::CONTENT_TYPE, "text/csv"), (header::CONTENT_ENCODING, "gzip")];
    Ok((headers, csv).into_response())
}

fn csv_of<'a>(listings: impl Iterator<Item = &'a Listing>) -> io::Result<Vec<u8>> {
    let mut rows = csv::Writer::from_writer(GzEncoder::new(Vec::new(), Compression::fast()));
    rows.write_record(COLUMNS)?;
    for listing in listings {
        rows.write_record(&[
            listing.token.to_string(),
            listing.token.exchange_token().to_string(),
            listing.tradingsymbol.clone(),
            listing.name.clone(),
            // Kite's dump is of the morning: prices of shares and indices are 0 there
            decimal(if listing.is_derivative() {
                f64::from(listing.base) / f64::from(listing.divisor())
            } else {
                0.0
            }),
            listing.expiry.map_or_else(String::new, |expiry| expiry.to_string()),
            decimal(listing.strike),
            decimal(listing.tick_size()),
            listing.lot_size.to_string(),
            listing.instrument_type.to_owned(),
            listing.segment.to_owned(),
            listing.exchange.to_owned(),
        ])?;
    }
    rows.into_inner().map_err(csv::IntoInnerError::into_error)?.finish()
}

/// With at least one decimal, as Python writes a float.
fn decimal(value: f64) -> String {
    format!("{value:?}")
}
