//! Whose hours an instrument keeps, as the table of live ticks tells it.
//!
//! What enters: every future that is or was stored. What leaves: for an instrument its market: a share with derivatives closes by
//! auction, agricultural contracts of MCX close before metals.

use crate::instruments::Known;
use clickhouse::Row;
use rustc_hash::FxHashSet;
use serde::Deserialize;
use std::sync::Arc;
use tickhouse_enrich::{Market, Rules};
use tickhouse_store::{HELD_VERSIONS, Store, StoreError};

/// What it takes beside the instrument itself.
#[derive(Debug)]
pub(crate) struct Markets {
    rules: Arc<Rules>,
    /// Trading symbols of shares that have or had futures.
    with_futures: FxHashSet<String>,
}

#[derive(Debug, Row, Deserialize)]
struct Underlying {
    underlying: String,
}

impl Markets {
    /// As ClickHouse knows them now.
    pub(crate) async fn read(store: &Store, rules: Arc<Rules>) -> Result<Self, StoreError> {
        let futures = "instrument_type = 'FUT' AND exchange IN ('NFO', 'BFO')";
        let sql = format!(
            "SELECT DISTINCT underlying FROM (SELECT underlying FROM instruments FINAL WHERE {HELD_VERSIONS} AND {futures} \
             UNION ALL SELECT underlying FROM token_metadata FINAL WHERE {futures})"
        );
        let read = store.client().query(&sql).fetch_all::<Underlying>().await;
        let read = read.map_err(|source| StoreError::query("read which shares have futures", source))?;
        Ok(Self { rules, with_futures: read.into_iter().map(|row| row.underlying).collect() })
    }

    /// The market of an instrument.
    pub(crate) fn of(&self, known: &Known) -> Market {
        if let Some(market) = known.market {
            return market;
        }
        let market = Market::of_instrument(&known.instrument, &self.rules);
        if self.with_futures.contains(&known.instrument.tradingsymbol) {
            market.with_auction()
        } else {
            market
        }
    }
}
