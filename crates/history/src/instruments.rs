//! What an instrument was on a day.
//!
//! What enters: the names of a file. What leaves: for each name and day the instrument, from the tables `instruments` (which
//! knows each token's past) and `token_metadata` (the present). What never happens here: a contract joined to a day after its
//! expiry.

use crate::HistoryError;
use crate::file::Name;
use clickhouse::Row;
use rustc_hash::FxHashMap;
use serde::Deserialize;
use std::sync::Arc;
use tickhouse_enrich::{InstrumentTable, Market};
use tickhouse_model::{Instrument, InstrumentKind, Token};
use tickhouse_store::{HELD_VERSIONS, Store, StoreError, TickInstrument};

/// Names that one query asks for.
const AT_ONCE: usize = 2_000;
/// The last day that a `Date` column holds.
const FOR_EVER: u16 = u16::MAX;

/// What an instrument was from a day to a day.
#[derive(Debug)]
pub struct Known {
    /// First and last day that say so, since 1970-01-01.
    pub days: (u16, u16),
    /// The instrument.
    pub instrument: Instrument,
    /// Whose hours it keeps, where a table of all instruments says so.
    pub market: Option<Market>,
}

impl Known {
    fn new(instrument: Instrument, days: (u16, u16), market: Option<Market>) -> Arc<Self> {
        Arc::new(Self { days, instrument, market })
    }

    fn lives_on(&self, day: u16) -> bool {
        self.instrument.expiry.is_none_or(|expiry| expiry >= i32::from(day))
    }

    /// What it adds to a row.
    pub fn tick_instrument(&self) -> TickInstrument<'_> {
        let instrument = &self.instrument;
        TickInstrument {
            symbol: &instrument.symbol,
            exchange: &instrument.exchange,
            tradingsymbol: &instrument.tradingsymbol,
            underlying: &instrument.underlying,
            sector: &instrument.sector,
            asset_class: &instrument.asset_class,
            instrument_type: instrument.instrument_type.name(),
            expiry_days: instrument.expiry.and_then(|days| u16::try_from(days).ok()).unwrap_or(0),
            strike: instrument.strike,
        }
    }
}

/// Instruments that share a name or a token over time.
#[derive(Clone, Debug, Default)]
pub struct Candidates(Vec<Arc<Known>>);

impl Candidates {
    /// The one that the name meant on a day: whose days hold it; else the next one that became known after it, as an import
    /// of older candles than the first master needs; else the last known one. Never one that had expired before the day.
    pub fn on(&self, day: u16) -> Option<&Arc<Known>> {
        let living = || self.0.iter().filter(|known| known.lives_on(day));
        living()
            .filter(|known| known.days.0 <= day && day <= known.days.1)
            .max_by_key(|known| known.days.0)
            .or_else(|| living().filter(|known| known.days.0 > day).min_by_key(|known| known.days.0))
            .or_else(|| living().max_by_key(|known| known.days.1))
    }

    /// Every instrument that it may mean.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Known>> {
        self.0.iter()
    }

    fn add(&mut self, known: Arc<Known>) {
        self.0.push(known);
    }
}

/// Why a name means nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unknown {
    /// No instrument has it.
    NoMetadata,
    /// Instruments of several exchanges have it, and the file does not say which.
    SeveralExchanges,
}

/// What the names of a file mean, by their number.
pub type Resolved = Vec<Result<Candidates, Unknown>>;

#[derive(Debug, Row, Deserialize)]
struct InstrumentRow {
    instrument_token: u32,
    symbol: String,
    tradingsymbol: String,
    underlying: String,
    exchange: String,
    segment: String,
    sector: String,
    asset_class: String,
    instrument_type: String,
    expiry_days: u16,
    strike: f64,
    tick_size: f64,
    lot_size: u32,
    first_day: u16,
    last_day: u16,
}

impl InstrumentRow {
    fn known(self) -> Arc<Known> {
        let days = (self.first_day, self.last_day);
        let instrument = Instrument {
            token: Token(self.instrument_token),
            instrument_type: InstrumentKind::of(&self.instrument_type, &self.segment),
            symbol: self.symbol,
            tradingsymbol: self.tradingsymbol,
            underlying: self.underlying,
            exchange: self.exchange,
            segment: self.segment,
            sector: self.sector,
            asset_class: self.asset_class,
            expiry: (self.expiry_days != 0).then_some(i32::from(self.expiry_days)),
            strike: self.strike,
            tick_size: self.tick_size,
            lot_size: self.lot_size,
        };
        Known::new(instrument, days, None)
    }
}

const COLUMNS: &str = "instrument_token, symbol, tradingsymbol, underlying, toString(exchange) AS exchange, \
    toString(segment) AS segment, toString(sector) AS sector, toString(asset_class) AS asset_class, \
    toString(instrument_type) AS instrument_type, toUInt16(expiry) AS expiry_days, strike, tick_size, lot_size";

/// Asks ClickHouse what the names mean; `fallback` is asked where both tables are empty.
///
/// # Errors
/// When a query fails, or nothing at all is known of any instrument.
pub async fn resolve(
    store: &Store,
    names: &[Name],
    fallback: Option<&InstrumentTable>,
) -> Result<Resolved, HistoryError> {
    let mut found = Found::default();
    for names in names.chunks(AT_ONCE) {
        let tokens: Vec<u32> = names
            .iter()
            .filter_map(|name| match name {
                Name::Token(token) => Some(*token),
                Name::Symbol { .. } => None,
            })
            .collect();
        let symbols: Vec<&str> = names
            .iter()
            .filter_map(|name| match name {
                Name::Token(_) => None,
                Name::Symbol { symbol, .. } => Some(symbol.as_ref()),
            })
            .collect();
        for (table, days, held) in [
            (
                "instruments",
                "toUInt16(valid_from) AS first_day, toUInt16(valid_to) AS last_day".to_owned(),
                HELD_VERSIONS,
            ),
            // the present one: of which days it is true is not said, so it stands behind the others
            (
                "token_metadata",
                format!("toUInt16({FOR_EVER}) AS first_day, toUInt16({FOR_EVER}) AS last_day"),
                "true",
            ),
        ] {
            let select = format!("SELECT {COLUMNS}, {days} FROM {table} FINAL WHERE {held} AND");
            if !tokens.is_empty() {
                let query = store.client().query(&format!("{select} instrument_token IN ?")).bind(&tokens);
                found.add_all(query.fetch_all::<InstrumentRow>().await, |known, found| {
                    found.by_token(known);
                })?;
            }
            if !symbols.is_empty() {
                let sql = format!("{select} (tradingsymbol IN ? OR symbol IN ?)");
                let query = store.client().query(&sql).bind(&symbols).bind(&symbols);
                found.add_all(query.fetch_all::<InstrumentRow>().await, |known, found| {
                    found.by_symbol(known);
                })?;
            }
        }
    }
    if found.is_empty() && !any_metadata(store).await? {
        let table = fallback.filter(|table| !table.is_empty()).ok_or(HistoryError::NoInstruments)?;
        for reference in table.iter() {
            let known =
                Known::new(table.instrument(&reference), (FOR_EVER, FOR_EVER), Some(reference.market));
            found.by_token(Arc::clone(&known));
            found.by_symbol(known);
        }
    }
    Ok(names.iter().map(|name| found.candidates(name)).collect())
}

/// Every instrument of `token_metadata` that `choose` wants, by token, exchange and Kite's trading symbol.
///
/// # Errors
/// When the query fails, or the table is empty.
pub async fn current(
    store: &Store,
    choose: impl Fn(Token, &str, &str) -> bool,
) -> Result<Vec<Arc<Known>>, HistoryError> {
    let days = format!("toUInt16({FOR_EVER}) AS first_day, toUInt16({FOR_EVER}) AS last_day");
    let sql = format!("SELECT {COLUMNS}, {days} FROM token_metadata FINAL ORDER BY instrument_token");
    let failed = |source| StoreError::query("read the instruments", source);
    let mut rows = store.client().query(&sql).fetch::<InstrumentRow>().map_err(failed)?;
    let (mut chosen, mut any) = (Vec::new(), false);
    while let Some(row) = rows.next().await.map_err(failed)? {
        any = true;
        if choose(Token(row.instrument_token), &row.exchange, &row.tradingsymbol) {
            chosen.push(row.known());
        }
    }
    if any { Ok(chosen) } else { Err(HistoryError::NoInstruments) }
}

async fn any_metadata(store: &Store) -> Result<bool, StoreError> {
    let count = store.client().query("SELECT count() FROM token_metadata").fetch_one::<u64>().await;
    Ok(count.map_err(|source| StoreError::query("count the known instruments", source))? > 0)
}

#[derive(Default)]
struct Found {
    tokens: FxHashMap<u32, Candidates>,
    symbols: FxHashMap<String, Candidates>,
}

impl Found {
    fn is_empty(&self) -> bool {
        self.tokens.is_empty() && self.symbols.is_empty()
    }

    fn add_all(
        &mut self,
        rows: Result<Vec<InstrumentRow>, clickhouse::error::Error>,
        add: impl Fn(Arc<Known>, &mut Self),
    ) -> Result<(), StoreError> {
        let rows = rows.map_err(|source| StoreError::query("look up instruments", source))?;
        rows.into_iter().for_each(|row| add(row.known(), self));
        Ok(())
    }

    fn by_token(&mut self, known: Arc<Known>) {
        self.tokens.entry(known.instrument.token.0).or_default().add(known);
    }

    fn by_symbol(&mut self, known: Arc<Known>) {
        let instrument = &known.instrument;
        if instrument.symbol != instrument.tradingsymbol {
            self.symbols.entry(instrument.symbol.clone()).or_default().add(Arc::clone(&known));
        }
        self.symbols.entry(instrument.tradingsymbol.clone()).or_default().add(known);
    }

    fn candidates(&self, name: &Name) -> Result<Candidates, Unknown> {
        match name {
            Name::Token(token) => self.tokens.get(token).cloned().ok_or(Unknown::NoMetadata),
            Name::Symbol { exchange, symbol } => {
                let all = self.symbols.get(symbol.as_ref()).ok_or(Unknown::NoMetadata)?;
                let here = all
                    .iter()
                    .filter(|known| exchange.is_empty() || *known.instrument.exchange == **exchange);
                let mut here: Vec<_> = here.cloned().collect();
                // Kite's own trading symbol means more than a name that people use
                if here.iter().any(|known| *known.instrument.tradingsymbol == **symbol) {
                    here.retain(|known| *known.instrument.tradingsymbol == **symbol);
                }
                let first = here.first().ok_or(Unknown::NoMetadata)?;
                let same = here.iter().all(|known| known.instrument.exchange == first.instrument.exchange);
                if same { Ok(Candidates(here)) } else { Err(Unknown::SeveralExchanges) }
            }
        }
    }
}

/// What is known of each token that the names may mean.
pub fn by_token(resolved: &Resolved) -> FxHashMap<u32, Candidates> {
    let mut tokens: FxHashMap<u32, Candidates> = FxHashMap::default();
    for known in resolved.iter().flatten().flat_map(Candidates::iter) {
        let candidates = tokens.entry(known.instrument.token.0).or_default();
        if !candidates.iter().any(|other| Arc::ptr_eq(other, known)) {
            candidates.add(Arc::clone(known));
        }
    }
    tokens
}

/// The same of instruments that were chosen.
pub fn instruments_by_token(chosen: &[Arc<Known>]) -> Arc<FxHashMap<u32, Candidates>> {
    let one = |known: &Arc<Known>| (known.instrument.token.0, Candidates(vec![Arc::clone(known)]));
    Arc::new(chosen.iter().map(one).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(symbol: &str, expiry: Option<i32>, days: (u16, u16)) -> Arc<Known> {
        let instrument = Instrument {
            token: Token(1),
            symbol: symbol.to_owned(),
            tradingsymbol: symbol.to_owned(),
            underlying: String::new(),
            exchange: "NFO".to_owned(),
            segment: "NFO-FUT".to_owned(),
            instrument_type: InstrumentKind::Future,
            sector: String::new(),
            asset_class: "FUT".to_owned(),
            expiry,
            strike: 0.0,
            tick_size: 0.05,
            lot_size: 1,
        };
        Known::new(instrument, days, None)
    }

    #[test]
    fn a_token_that_is_used_again_means_the_contract_of_the_day() {
        let candidates = Candidates(vec![
            known("OLD", Some(105), (100, 105)),
            known("NEW", Some(150), (110, 150)),
            known("NEW", Some(150), (FOR_EVER, FOR_EVER)),
        ]);
        let on = |day| candidates.on(day).map(|known| known.instrument.symbol.as_str());
        assert_eq!([on(90), on(100), on(105)], [Some("OLD"); 3]);
        assert_eq!([on(106), on(110), on(150)], [Some("NEW"); 3]);
        assert_eq!(on(151), None, "expired");
        let share = Candidates(vec![known("SHARE", None, (100, 105))]);
        assert!(share.on(200).is_some() && share.on(1).is_some());
    }
}
