//! From what people call an instrument to what it was on a day.

use crate::{ReadError, Reader, Statement};
use jiff::civil::Date;
use serde::Deserialize;
use tickhouse_enrich::{InstrumentTableBuilder, Market};
use tickhouse_model::{Instrument, InstrumentKind, Token};

/// As many near names as an error suggests.
const SUGGESTED: u8 = 5;

/// An instrument, and the days on which its token meant it.
#[derive(Clone, Debug, PartialEq)]
pub struct Listed {
    /// The instrument.
    pub instrument: Instrument,
    /// First day; [`Date`] 1970-01-01: since before the first master.
    pub valid_from: Date,
    /// Last day; 2149-06-06: until a later master says otherwise.
    pub valid_to: Date,
    /// Which hours it keeps.
    pub market: Market,
}

/// A row of `instruments`, and whether a share has derivatives.
#[derive(Deserialize)]
pub(crate) struct Row {
    instrument_token: u32,
    symbol: String,
    tradingsymbol: String,
    underlying: String,
    exchange: String,
    segment: String,
    sector: String,
    asset_class: String,
    instrument_type: String,
    expiry: Date,
    strike: f64,
    tick_size: f64,
    lot_size: u32,
    valid_from: Date,
    valid_to: Date,
    has_derivatives: u8,
}

/// The columns of a [`Row`] that a master has.
pub(crate) const MASTER_COLUMNS: &str = "instrument_token, symbol, tradingsymbol, underlying, exchange, segment, sector, asset_class, \
     instrument_type, expiry, strike, tick_size, lot_size";

/// `rank` puts what people mean first: the index before the share before derivatives, NSE before BSE.
const FIND: &str = "SELECT instrument_token, symbol, tradingsymbol, underlying, exchange, segment, sector, asset_class, \
     instrument_type, expiry, strike, tick_size, lot_size, valid_from, valid_to, \
     instrument_type = 'EQ' AND symbol IN (SELECT underlying FROM instruments FINAL WHERE exchange IN ('NFO', 'BFO') \
         AND valid_from <= {day:Date} AND valid_to >= {day:Date} \
         AND (underlying = {symbol:String} OR underlying = {shouted:String})) AS has_derivatives \
     FROM instruments FINAL \
     WHERE (instrument_token = {token:UInt32} OR (({exchange:String} = '' OR exchange = {exchange:String}) \
         AND (symbol IN ({symbol:String}, {shouted:String}) OR tradingsymbol IN ({symbol:String}, {shouted:String})))) \
     AND valid_from <= {day:Date} AND valid_to >= {day:Date} \
     ORDER BY instrument_token = {token:UInt32} DESC, \
         indexOf(['INDEX', 'EQ', 'FUT', 'CE', 'PE'], toString(instrument_type)), \
         indexOf(['BSE', 'NSE'], toString(exchange)) DESC, instrument_token \
     LIMIT 20";

const NEAR: &str = "SELECT symbol FROM token_metadata FINAL \
     WHERE startsWith(upper(symbol), upper({symbol:String})) \
         OR damerauLevenshteinDistance(upper(symbol), upper({symbol:String})) <= 2 \
     GROUP BY symbol \
     ORDER BY min(expiry), damerauLevenshteinDistance(upper(symbol), upper({symbol:String})), length(symbol), symbol \
     LIMIT {limit:UInt8}";

impl Reader {
    /// The instrument that a name means on a day: a token, a symbol (`NIFTY`, `INFY`), a trading symbol (`NIFTY26NOV24000CE`), or
    /// either with its exchange (`BSE:INFY`). Of equals it is the index, then the share, NSE's before BSE's.
    ///
    /// # Errors
    /// When no instrument has the name on that day (with names that are near), or several that are equals.
    pub async fn instrument(&self, name: &str, day: Date) -> Result<Listed, ReadError> {
        let name = name.trim();
        let (exchange, symbol) = name.split_once(':').unwrap_or(("", name));
        let statement = Statement::new(FIND)
            .with("token", symbol.parse::<u32>().unwrap_or(0))
            .with("exchange", exchange.to_uppercase())
            .with("symbol", symbol)
            .with("shouted", symbol.to_uppercase())
            .with("day", day);
        let rows: Vec<Row> = self.rows(&statement).await?;
        if rows.is_empty() {
            return Err(self.unknown(name, symbol, day).await?);
        }
        let equals: Vec<&Row> = rows.iter().filter(|row| rank(row) == rank(&rows[0])).collect();
        if equals.len() > 1 && symbol.parse::<u32>().is_err() {
            let among = equals.iter().map(|row| format!("{}:{}", row.exchange, row.tradingsymbol)).collect();
            return Err(ReadError::Ambiguous { name: name.to_owned(), among });
        }
        Ok(rows.into_iter().next().map(Listed::from).expect("not empty"))
    }

    async fn unknown(&self, name: &str, symbol: &str, day: Date) -> Result<ReadError, ReadError> {
        #[derive(Deserialize)]
        struct Near {
            symbol: String,
        }
        let statement = Statement::new(NEAR).with("symbol", symbol).with("limit", SUGGESTED);
        let near: Vec<Near> = self.rows(&statement).await?;
        let near = near.into_iter().map(|row| row.symbol).collect();
        Ok(ReadError::UnknownInstrument { name: name.to_owned(), day, near })
    }
}

/// What orders instruments of one name, apart from their tokens.
fn rank(row: &Row) -> (&str, &str) {
    (&row.instrument_type, &row.exchange)
}

impl From<Row> for Listed {
    fn from(row: Row) -> Self {
        let epoch = Date::constant(1970, 1, 1);
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
            expiry: (row.expiry != epoch).then(|| (row.expiry - epoch).get_days()),
            strike: row.strike,
            tick_size: row.tick_size,
            lot_size: row.lot_size,
        };
        let market = market_of(&instrument, row.has_derivatives != 0);
        Self { instrument, valid_from: row.valid_from, valid_to: row.valid_to, market }
    }
}

/// The hours that an instrument keeps, by the same rules as those of its ticks.
pub(crate) fn market_of(instrument: &Instrument, has_derivatives: bool) -> Market {
    let token = instrument.token;
    let mut builder = InstrumentTableBuilder::new();
    let market = match builder.add(instrument.clone()) {
        Ok(_) => builder.finish().get(token).map_or(Market::of_token(token), |row| row.market),
        Err(_) => Market::of_token(token),
    };
    if has_derivatives { market.with_auction() } else { market }
}
