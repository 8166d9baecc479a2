//! Instruments as people look for them: by words, by tokens, and which underlyings have options.
//!
//! What enters: what somebody typed. What leaves: instruments of a day, the best first. What never happens here: typed text in a
//! statement.

use crate::instrument::{MASTER_COLUMNS, Row};
use crate::{Listed, ReadError, Reader, Statement};
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use tickhouse_model::Instrument;

/// Words that are looked for; further ones are left out.
const MOST_WORDS: usize = 8;

/// What to search for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstrumentSearch {
    /// Words, all of which must occur: in names, exchange, type, strike (`24000`) or expiry (`26NOV2026`).
    pub text: String,
    /// Only of this exchange; empty for all.
    pub exchange: String,
    /// India's date: what expired before it comes last.
    pub today: Date,
    /// At most so many.
    pub limit: u32,
}

/// What has options.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Underlying {
    /// Kite's name of it.
    pub underlying: String,
    /// Of the options.
    pub exchange: String,
    /// Rising.
    pub expiries: Vec<Date>,
}

impl Reader {
    /// Instruments by words, the best first: the symbol itself, what begins with it, its derivatives, names in which it occurs; of
    /// equals the index, the share, the nearest expiry.
    ///
    /// # Errors
    /// When the query fails.
    pub async fn search_instruments(&self, search: &InstrumentSearch) -> Result<Vec<Instrument>, ReadError> {
        const HAYSTACK: &str = "upper(concat(m.tradingsymbol, ' ', m.symbol, ' ', m.underlying, ' ', m.exchange, ' ', \
             m.instrument_type, ' ', toString(m.strike), ' ', formatDateTime(m.expiry, '%d%b%Y')))";
        let text = search.text.trim().to_uppercase();
        let words: Vec<&str> = text.split_whitespace().take(MOST_WORDS).collect();
        let found: Vec<String> = (0..words.len())
            .map(|at| format!(" AND position({HAYSTACK}, {{word_{at}:String}}) > 0"))
            .collect();
        let sql = format!(
            "SELECT {MASTER_COLUMNS}, toDate(0) AS valid_from, toDate(65535) AS valid_to, 0 AS has_derivatives \
             FROM token_metadata AS m FINAL \
             WHERE ({{exchange:String}} = '' OR m.exchange = {{exchange:String}}){} \
             ORDER BY m.expiry != toDate(0) AND m.expiry < {{today:Date}}, \
             multiIf(upper(m.symbol) = {{text:String}} OR upper(m.tradingsymbol) = {{text:String}}, 0, \
                     startsWith(upper(m.symbol), {{first:String}}) AND m.expiry = toDate(0), 1, \
                     upper(m.underlying) = {{first:String}}, 2, startsWith(upper(m.tradingsymbol), {{first:String}}), 3, \
                     startsWith(upper(m.underlying), {{first:String}}), 4, 5), \
             indexOf(['INDEX', 'EQ', 'FUT', 'CE', 'PE'], m.instrument_type), m.expiry, length(m.tradingsymbol), m.strike, \
             m.exchange != 'NSE', m.tradingsymbol LIMIT {{limit:UInt32}}",
            found.concat()
        );
        let mut statement = Statement::new(sql)
            .with("exchange", search.exchange.to_uppercase())
            .with("today", search.today)
            .with("text", text.as_str())
            .with("first", words.first().copied().unwrap_or(""))
            .with("limit", search.limit);
        for (at, word) in words.iter().enumerate() {
            statement = statement.with(format!("word_{at}"), *word);
        }
        self.listed(&statement).await
    }

    /// What these tokens mean on a day, in this order; those that mean nothing then are left out.
    ///
    /// # Errors
    /// When the query fails.
    pub async fn instruments_of(&self, tokens: &[u32], day: Date) -> Result<Vec<Instrument>, ReadError> {
        let sql = format!(
            "SELECT {MASTER_COLUMNS}, valid_from, valid_to, 0 AS has_derivatives FROM instruments FINAL \
             WHERE instrument_token IN {{tokens:Array(UInt32)}} AND valid_from <= {{day:Date}} AND valid_to >= {{day:Date}} \
             AND valid_to > toDate(0) ORDER BY indexOf({{tokens:Array(UInt32)}}, instrument_token)"
        );
        self.listed(&Statement::new(sql).with("tokens", tokens).with("day", day)).await
    }

    /// What has options on a day, with their expiries from then on.
    ///
    /// # Errors
    /// When the query fails.
    pub async fn underlyings(&self, day: Date) -> Result<Vec<Underlying>, ReadError> {
        let sql = "SELECT underlying, toString(exchange) AS exchange, arraySort(groupUniqArray(expiry)) AS expiries \
             FROM instruments FINAL \
             WHERE valid_from <= {day:Date} AND valid_to >= {day:Date} AND valid_to > toDate(0) \
                 AND instrument_type IN ('CE', 'PE') AND expiry >= {day:Date} AND underlying != '' \
             GROUP BY underlying, exchange ORDER BY count() DESC, underlying, exchange";
        self.rows(&Statement::new(sql).with("day", day)).await
    }

    async fn listed(&self, statement: &Statement) -> Result<Vec<Instrument>, ReadError> {
        let rows: Vec<Row> = self.rows(statement).await?;
        Ok(rows.into_iter().map(|row| Listed::from(row).instrument).collect())
    }
}
