//! Futures one after the other: of each day the contract that expires next.

use super::series::{Part, Series};
use crate::{ReadError, Reader, Statement};
use jiff::ToSpan as _;
use jiff::civil::Date;
use serde::Deserialize;
use tickhouse_enrich::Market;
use tickhouse_model::{InstrumentKind, Token};

#[derive(Deserialize)]
struct Contract {
    token: u32,
    tradingsymbol: String,
    exchange: String,
    expires: Date,
}

/// The versions of a contract agree in what is asked here. `expires` is not called expiry: an alias would hide the column.
const CONTRACTS: &str = "SELECT any(instrument_token) AS token, tradingsymbol, toString(exchange) AS exchange, \
     toDate32(expiry) AS expires FROM instruments FINAL \
     WHERE instrument_type = 'FUT' AND valid_from <= valid_to AND valid_to > toDate(0) AND expiry >= {first:Date} \
     AND underlying IN ({name:String}, upper({name:String})) AND ({exchange:String} = '' OR exchange = {exchange:String}) \
     GROUP BY tradingsymbol, exchange, expiry ORDER BY exchange, instruments.expiry, tradingsymbol";

impl Reader {
    /// The futures on a name, from a day to a day: each until its expiry, from the day after the expiry before.
    pub(super) async fn continuous(&self, name: &str, first: Date, last: Date) -> Result<Series, ReadError> {
        let (place, symbol) = name.trim().split_once(':').unwrap_or(("", name.trim()));
        // a share's or an index's exchange, and where its futures are
        let exchange = match place.trim().to_uppercase().as_str() {
            "NSE" => "NFO".to_owned(),
            "BSE" => "BFO".to_owned(),
            other => other.to_owned(),
        };
        let mut contracts = self.contracts(symbol.trim(), &exchange, first).await?;
        if contracts.is_empty() {
            // one of the futures themselves, or an index or share by another name or its token
            let listed = self.instrument(name, last).await?;
            let underlying = match listed.instrument.instrument_type {
                InstrumentKind::Future => listed.instrument.underlying,
                // futures on 'NIFTY 50' are futures on NIFTY
                InstrumentKind::Index => listed.instrument.symbol,
                _ => listed.instrument.tradingsymbol,
            };
            contracts = self.contracts(&underlying, &exchange, first).await?;
        }
        let Some(one) = contracts.first() else {
            return Err(ReadError::NoFutures { name: name.to_owned(), day: first });
        };
        let mut exchanges: Vec<&str> = contracts.iter().map(|contract| contract.exchange.as_str()).collect();
        exchanges.dedup();
        if exchanges.len() > 1 {
            let among = exchanges.iter().map(|exchange| format!("{exchange}:{symbol}")).collect();
            return Err(ReadError::Ambiguous { name: name.to_owned(), among });
        }
        let market = Market::of_exchange(&one.exchange, InstrumentKind::Future);
        Ok(Series { market, parts: roll(contracts, first, last) })
    }

    async fn contracts(&self, name: &str, exchange: &str, first: Date) -> Result<Vec<Contract>, ReadError> {
        let statement =
            Statement::new(CONTRACTS).with("name", name).with("exchange", exchange).with("first", first);
        self.rows(&statement).await
    }
}

/// Contracts by expiry, into the days on which each is the one that expires next.
fn roll(contracts: Vec<Contract>, first: Date, last: Date) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    let mut from = first;
    for contract in contracts {
        // two of one expiry: a mini contract has an underlying of its own, so this is the same one by another name
        if contract.expires < from || from > last {
            continue;
        }
        parts.push(Part {
            token: Token(contract.token),
            tradingsymbol: contract.tradingsymbol,
            exchange: contract.exchange,
            first: from,
            last: contract.expires.min(last),
        });
        from = contract.expires.saturating_add(1.day());
    }
    parts
}
