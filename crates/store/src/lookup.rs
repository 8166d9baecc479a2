//! Instruments as people look for them: by token, by symbol, by words, by what changed.
//!
//! What enters: what somebody typed, as bound parameters. What leaves: a few lines. What never happens here: typed text in a
//! statement.

use crate::{Store, StoreError};
use clickhouse::Row;
use clickhouse::query::Query;
use serde::{Deserialize, Serialize};

/// An instrument for reading: dates are texts, empty where there is none.
#[derive(Clone, Debug, PartialEq, Row, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields are columns: docs/data-dictionary.md describes each")]
pub struct InstrumentLine {
    pub instrument_token: u32,
    pub symbol: String,
    pub tradingsymbol: String,
    pub underlying: String,
    pub exchange: String,
    pub segment: String,
    pub sector: String,
    pub asset_class: String,
    pub instrument_type: String,
    pub expiry: String,
    pub strike: f64,
    pub tick_size: f64,
    pub lot_size: u32,
    /// First day; empty: since before our first master.
    pub valid_from: String,
    /// Last day; empty: until a later master says otherwise.
    pub valid_to: String,
}

/// What to search for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InstrumentSearch {
    /// Words, all of which must occur: in names, exchange, type, strike (`24000`) or expiry (`26NOV2026`).
    pub text: String,
    /// Only of this exchange.
    pub exchange: Option<String>,
    /// Only of this type: EQ, FUT, CE, PE, INDEX.
    pub instrument_type: Option<String>,
    /// Only with this expiry: `2026-11-26`, `2026-11` or `2026`.
    pub expiry: Option<String>,
    /// Today, as days since 1970-01-01: what expired before it comes last.
    pub today: u16,
    /// At most so many.
    pub limit: u32,
}

/// One difference between two days.
#[derive(Clone, Debug, PartialEq, Eq, Row, Serialize, Deserialize)]
pub struct InstrumentChange {
    /// `added`, `expired`, `removed`, `reused` (another contract) or `changed`.
    pub what: String,
    /// Token.
    pub instrument_token: u32,
    /// Exchange.
    pub exchange: String,
    /// Trading symbol after; before, for what is not there any more.
    pub tradingsymbol: String,
    /// What differs, with the values before and after.
    pub detail: String,
}

/// The columns of an [`InstrumentLine`] but the last two.
const LINE: &str = "instrument_token, symbol, tradingsymbol, underlying, toString(exchange) AS exchange, \
     toString(segment) AS segment, toString(sector) AS sector, toString(asset_class) AS asset_class, \
     toString(instrument_type) AS instrument_type, if(expiry = toDate(0), '', toString(expiry)) AS expiry, strike, \
     tick_size, lot_size";
/// [`crate::HELD_VERSIONS`] beside [`DAYS`], which are texts of the same names.
const HELD: &str = "i.valid_from <= i.valid_to AND i.valid_to > toDate(0)";
const DAYS: &str = "if(valid_from = toDate(0), '', toString(valid_from)) AS valid_from, \
     if(valid_to = toDate(65535), '', toString(valid_to)) AS valid_to";

impl Store {
    /// What a token means and meant, oldest first; with `at` (days since 1970-01-01) only what it meant on that day.
    ///
    /// # Errors
    /// When the query fails.
    pub async fn instruments_of_token(
        &self,
        token: u32,
        at: Option<u16>,
    ) -> Result<Vec<InstrumentLine>, StoreError> {
        let sql = format!(
            "SELECT {LINE}, {DAYS} FROM instruments AS i FINAL WHERE instrument_token = ? AND {HELD} \
             AND i.valid_from <= toDate(?) AND i.valid_to >= toDate(?) ORDER BY i.valid_from"
        );
        let (from, to) = at.map_or((u16::MAX, 0), |at| (at, at));
        lines(self.client().query(&sql).bind(token).bind(from).bind(to)).await
    }

    /// Instruments with this symbol or trading symbol, in any case, `NSE:` before it if only that exchange is meant; the
    /// newest first; with `at` only those of that day.
    ///
    /// # Errors
    /// When the query fails.
    pub async fn instruments_of_symbol(
        &self,
        symbol: &str,
        at: Option<u16>,
    ) -> Result<Vec<InstrumentLine>, StoreError> {
        let (exchange, symbol) = symbol.split_once(':').unwrap_or(("", symbol));
        let sql = format!(
            "SELECT {LINE}, {DAYS} FROM instruments AS i FINAL \
             WHERE (upper(i.symbol) = upper(?) OR upper(i.tradingsymbol) = upper(?)) AND (? = '' OR i.exchange = upper(?)) \
             AND {HELD} AND i.valid_from <= toDate(?) AND i.valid_to >= toDate(?) ORDER BY i.valid_from DESC, i.exchange LIMIT 100"
        );
        let (from, to) = at.map_or((u16::MAX, 0), |at| (at, at));
        let query = self.client().query(&sql).bind(symbol).bind(symbol).bind(exchange).bind(exchange);
        lines(query.bind(from).bind(to)).await
    }

    /// Instruments by words, the best first: the symbol itself, what begins with it, its derivatives, names in which it occurs; of
    /// equals the index, the share, the nearest expiry.
    ///
    /// # Errors
    /// When the query fails.
    pub async fn search_instruments(
        &self,
        search: &InstrumentSearch,
    ) -> Result<Vec<InstrumentLine>, StoreError> {
        let text = search.text.trim().to_uppercase();
        let terms: Vec<&str> = text.split_whitespace().collect();
        let haystack = "upper(concat(m.tradingsymbol, ' ', m.symbol, ' ', m.underlying, ' ', m.exchange, ' ', \
                        m.instrument_type, ' ', toString(m.strike), ' ', formatDateTime(m.expiry, '%d%b%Y')))";
        let matches = vec![format!("position({haystack}, ?) > 0"); terms.len()].join(" AND ");
        let matches = if matches.is_empty() { "true" } else { &matches };
        let sql = format!(
            "SELECT {LINE}, '' AS valid_from, '' AS valid_to FROM token_metadata AS m FINAL \
             WHERE (? = '' OR m.exchange = upper(?)) AND (? = '' OR m.instrument_type = upper(?)) \
             AND (? = '' OR (m.expiry != toDate(0) AND startsWith(toString(m.expiry), ?))) AND {matches} \
             ORDER BY m.expiry != toDate(0) AND m.expiry < toDate(?), \
             multiIf(upper(m.symbol) = ? OR upper(m.tradingsymbol) = ?, 0, \
                     startsWith(upper(m.symbol), ?) AND m.expiry = toDate(0), 1, upper(m.underlying) = ?, 2, \
                     startsWith(upper(m.tradingsymbol), ?), 3, startsWith(upper(m.underlying), ?), 4, 5), \
             indexOf(['INDEX', 'EQ', 'FUT', 'CE', 'PE'], m.instrument_type), m.expiry, length(m.tradingsymbol), m.strike, \
             m.exchange != 'NSE', m.tradingsymbol LIMIT ?"
        );
        let mut query = self.client().query(&sql);
        for filter in [&search.exchange, &search.instrument_type, &search.expiry] {
            let filter = filter.as_deref().unwrap_or("");
            query = query.bind(filter).bind(filter);
        }
        for term in &terms {
            query = query.bind(*term);
        }
        let first = terms.first().copied().unwrap_or("");
        query = query.bind(search.today).bind(&text).bind(&text);
        for _ in 0..4 {
            query = query.bind(first);
        }
        lines(query.bind(search.limit)).await
    }

    /// The days of whole masters, the newest first.
    ///
    /// # Errors
    /// When the query fails.
    pub async fn master_days(&self) -> Result<Vec<u16>, StoreError> {
        let sql = "SELECT DISTINCT day FROM instrument_masters WHERE whole ORDER BY day DESC";
        let query = self.client().query_raw(sql).fetch_all::<u16>();
        query.await.map_err(|source| StoreError::query("read which masters there are", source))
    }

    /// How many tokens differ between two days, by [`InstrumentChange::what`].
    ///
    /// # Errors
    /// When the query fails.
    pub async fn count_instrument_changes(
        &self,
        from: u16,
        to: u16,
    ) -> Result<Vec<(String, u64)>, StoreError> {
        let sql = format!("SELECT what, count() FROM ({DIFFERENCE}) GROUP BY what ORDER BY what");
        let query = self.client().query(&sql).bind(to).bind(from).bind(from).bind(to).bind(to);
        let rows = query.fetch_all::<(String, u64)>().await;
        rows.map_err(|source| StoreError::query("compare two days' instruments", source))
    }

    /// What differs between two days, at most `limit` tokens.
    ///
    /// # Errors
    /// When the query fails.
    pub async fn instrument_changes(
        &self,
        from: u16,
        to: u16,
        limit: u32,
    ) -> Result<Vec<InstrumentChange>, StoreError> {
        let sql = format!("{DIFFERENCE} ORDER BY what, exchange, tradingsymbol LIMIT ?");
        let query = self.client().query(&sql).bind(to).bind(from).bind(from).bind(to).bind(to);
        let rows = query.bind(limit).fetch_all::<InstrumentChange>().await;
        rows.map_err(|source| StoreError::query("compare two days' instruments", source))
    }
}

/// Binds: the later day; the earlier twice; the later twice.
const DIFFERENCE: &str = "SELECT multiIf(old.tradingsymbol = '', 'added', \
     new.tradingsymbol = '' AND old.expiry != toDate(0) AND old.expiry < toDate(?), 'expired', \
     new.tradingsymbol = '', 'removed', \
     old.tradingsymbol != new.tradingsymbol OR old.exchange != new.exchange OR old.expiry != new.expiry, 'reused', \
     'changed') AS what, \
     if(new.instrument_token = 0, old.instrument_token, new.instrument_token) AS instrument_token, \
     toString(if(new.exchange = '', old.exchange, new.exchange)) AS exchange, \
     if(new.tradingsymbol = '', old.tradingsymbol, new.tradingsymbol) AS tradingsymbol, \
     if(what NOT IN ('reused', 'changed'), '', arrayStringConcat(arrayFilter(text -> text != '', [ \
         if(old.tradingsymbol != new.tradingsymbol, concat('was ', old.tradingsymbol), ''), \
         if(old.expiry != new.expiry, concat('expiry ', toString(old.expiry), ' > ', toString(new.expiry)), ''), \
         if(old.symbol != new.symbol AND what = 'changed', concat('symbol ', old.symbol, ' > ', new.symbol), ''), \
         if(old.underlying != new.underlying, concat('name ', old.underlying, ' > ', new.underlying), ''), \
         if(old.strike != new.strike, concat('strike ', toString(old.strike), ' > ', toString(new.strike)), ''), \
         if(old.lot_size != new.lot_size, concat('lot size ', toString(old.lot_size), ' > ', toString(new.lot_size)), ''), \
         if(old.tick_size != new.tick_size, concat('tick size ', toString(old.tick_size), ' > ', toString(new.tick_size)), ''), \
         if(old.sector != new.sector, concat('sector ', old.sector, ' > ', new.sector), ''), \
         if(old.segment != new.segment, concat('segment ', old.segment, ' > ', new.segment), '')]), ', ')) AS detail \
     FROM (SELECT * EXCEPT (valid_from, valid_to, updated_at) FROM instruments FINAL \
           WHERE valid_from <= toDate(?) AND valid_to >= toDate(?)) AS old \
     FULL OUTER JOIN (SELECT * EXCEPT (valid_from, valid_to, updated_at) FROM instruments FINAL \
           WHERE valid_from <= toDate(?) AND valid_to >= toDate(?)) AS new \
     ON old.instrument_token = new.instrument_token \
     WHERE (old.symbol, old.tradingsymbol, old.underlying, old.exchange, old.segment, old.sector, old.asset_class, \
            old.instrument_type, old.expiry, old.strike, old.tick_size, old.lot_size) \
        != (new.symbol, new.tradingsymbol, new.underlying, new.exchange, new.segment, new.sector, new.asset_class, \
            new.instrument_type, new.expiry, new.strike, new.tick_size, new.lot_size)";

async fn lines(query: Query) -> Result<Vec<InstrumentLine>, StoreError> {
    let rows = query.fetch_all::<InstrumentLine>().await;
    rows.map_err(|source| StoreError::query("look for instruments", source))
}
