//! Which instruments make a chain: as they were listed on the day.

use super::Expiry;
use crate::window::date_of;
use crate::{ReadError, Reader, Statement};
use clickhouse::Row;
use jiff::ToSpan as _;
use jiff::civil::Date;
use serde::Deserialize;
use std::time::Duration;
use tickhouse_enrich::{Calendar, Market};
use tickhouse_model::{Instrument, InstrumentKind, SessionType, Timestamp, Token};
use tickhouse_options::Side;

/// Where derivatives of one name are looked for first.
const EXCHANGES: [&str; 6] = ["NFO", "BFO", "MCX", "NCO", "CDS", "BCD"];
/// As many near names as an error suggests.
const SUGGESTED: u8 = 5;
/// So many days a market may be closed on end before we stop looking for its last session.
const LONGEST_BREAK: i32 = 14;

/// Everything of one name: options and futures that have not expired, the index, the share.
const FIND: &str = "SELECT instrument_token, symbol, tradingsymbol, exchange, segment, instrument_type, expiry, strike, \
         tick_size, lot_size \
     FROM instruments FINAL \
     WHERE valid_from <= {day:Date} AND valid_to >= {day:Date} AND valid_to > toDate(0) \
         AND ((instrument_type IN ('CE', 'PE', 'FUT') AND underlying = {name:String} AND expiry >= {day:Date} \
                 AND ({exchange:String} = '' OR exchange = {exchange:String})) \
             OR (instrument_type IN ('INDEX', 'EQ') AND (symbol = {name:String} OR tradingsymbol = {name:String}))) \
     ORDER BY expiry, strike, instrument_type, instrument_token";

const NEAR: &str = "SELECT underlying FROM instruments FINAL \
     WHERE valid_from <= {day:Date} AND valid_to >= {day:Date} AND valid_to > toDate(0) AND instrument_type IN ('CE', 'PE') \
         AND (startsWith(underlying, {name:String}) OR damerauLevenshteinDistance(underlying, {name:String}) <= 2) \
     GROUP BY underlying ORDER BY damerauLevenshteinDistance(underlying, {name:String}), underlying LIMIT {limit:UInt8}";

#[derive(Debug, Row, Deserialize)]
struct InstrumentRow {
    instrument_token: u32,
    symbol: String,
    tradingsymbol: String,
    exchange: String,
    segment: String,
    instrument_type: String,
    /// Days since 1970-01-01.
    expiry: u16,
    strike: f64,
    tick_size: f64,
    lot_size: u32,
}

/// An instrument of a chain.
#[derive(Clone, Debug)]
pub(crate) struct Contract {
    pub(crate) token: u32,
    pub(crate) symbol: String,
    pub(crate) tradingsymbol: String,
    pub(crate) exchange: String,
    pub(crate) kind: InstrumentKind,
    pub(crate) market: Market,
    pub(crate) expiry: Option<Date>,
    pub(crate) strike: f64,
    pub(crate) tick_size: f64,
    pub(crate) lot_size: u32,
}

impl Contract {
    /// Which side, of an option.
    pub(crate) const fn side(&self) -> Side {
        match self.kind {
            InstrumentKind::Put => Side::Put,
            _ => Side::Call,
        }
    }
}

/// What makes one chain.
#[derive(Debug)]
pub(crate) struct Contracts {
    pub(crate) underlying: String,
    pub(crate) exchange: String,
    pub(crate) market: Market,
    pub(crate) expiry: Date,
    pub(crate) expires_at: Timestamp,
    /// By strike, rising; call before put.
    pub(crate) options: Vec<Contract>,
    pub(crate) spot: Option<Contract>,
    pub(crate) nearest_future: Option<Contract>,
    /// Whose price is the forward: the future of the same expiry, or of a commodity the first that expires with or after.
    pub(crate) matching_future: Option<Contract>,
}

impl Contracts {
    pub(crate) async fn find(
        reader: &Reader,
        asked: &str,
        expiry: Expiry,
        at: Timestamp,
        calendar: &Calendar,
    ) -> Result<Self, ReadError> {
        let day = date_of(at);
        let (exchange, name) = parts(asked);
        let mut rows = listed(reader, &exchange, &name, day).await?;
        // an index or share that options know by another name: 'NIFTY 50'
        let other = rows.iter().find(|row| row.symbol != name).map(|row| row.symbol.clone());
        if let Some(other) = other.filter(|_| !rows.iter().any(is_option)) {
            rows = listed(reader, &exchange, &other, day).await?;
        }
        if !rows.iter().any(is_option) {
            return Err(unknown(reader, asked, &name, day).await?);
        }
        let place =
            EXCHANGES.iter().find(|place| rows.iter().any(|row| is_option(row) && row.exchange == **place));
        let exchange = match place {
            Some(place) => (*place).to_owned(),
            None => {
                rows.iter().find(|row| is_option(row)).map(|row| row.exchange.clone()).unwrap_or_default()
            }
        };
        let underlying = name_of(&rows, name);
        let (options, others): (Vec<InstrumentRow>, Vec<InstrumentRow>) = rows
            .into_iter()
            .filter(|row| row.exchange == exchange || !is_derivative(row))
            .partition(is_option);
        let options: Vec<Contract> = options.into_iter().map(|row| Contract::of(row, &underlying)).collect();
        let market = options.first().map_or(Market::Other, |contract| contract.market);
        let expiry = chosen(&options, expiry, at, calendar, market)
            .map_err(|listed| ReadError::NoExpiry { underlying: underlying.clone(), day, listed })?;
        let others: Vec<Contract> = others.into_iter().map(|row| Contract::of(row, &underlying)).collect();
        let future = |wanted: &dyn Fn(Date) -> bool| {
            let of_kind =
                |one: &&Contract| one.kind == InstrumentKind::Future && one.expiry.is_some_and(wanted);
            others.iter().filter(of_kind).min_by_key(|one| (one.expiry, one.token)).cloned()
        };
        let is_commodity = matches!(exchange.as_str(), "MCX" | "NCO");
        Ok(Self {
            expires_at: close_of(calendar, market, expiry),
            spot: spot_of(&others, &underlying, &exchange),
            nearest_future: future(&|_| true),
            matching_future: future(&|date| if is_commodity { date >= expiry } else { date == expiry }),
            options: options.into_iter().filter(|contract| contract.expiry == Some(expiry)).collect(),
            underlying,
            exchange,
            market,
            expiry,
        })
    }

    /// The options.
    pub(crate) fn legs(&self) -> impl Iterator<Item = &Contract> {
        self.options.iter()
    }

    /// Whose ticks are wanted.
    pub(crate) fn tokens(&self) -> Vec<u32> {
        let others = [&self.spot, &self.nearest_future, &self.matching_future];
        let mut tokens: Vec<u32> =
            self.options.iter().chain(others.into_iter().flatten()).map(|one| one.token).collect();
        tokens.sort_unstable();
        tokens.dedup();
        tokens
    }

    /// The last day before `day` on which the options traded, by the calendar, with its close.
    pub(crate) fn previous_session(&self, calendar: &Calendar, day: Date) -> Option<(Date, Timestamp)> {
        (1..=LONGEST_BREAK)
            .map(|back| day.saturating_sub(back.days()))
            .find_map(|date| regular_close(calendar, self.market, date).map(|close| (date, close)))
    }
}

impl Contract {
    fn of(row: InstrumentRow, underlying: &str) -> Self {
        let epoch = Date::constant(1970, 1, 1);
        let kind = InstrumentKind::of(&row.instrument_type, &row.segment);
        let instrument = Instrument {
            token: Token(row.instrument_token),
            symbol: row.symbol,
            tradingsymbol: row.tradingsymbol,
            underlying: underlying.to_owned(),
            exchange: row.exchange,
            segment: row.segment,
            instrument_type: kind,
            sector: String::new(),
            asset_class: String::new(),
            expiry: (row.expiry > 0).then_some(i32::from(row.expiry)),
            strike: row.strike,
            tick_size: row.tick_size,
            lot_size: row.lot_size,
        };
        // a share with options here closes by auction
        let market = crate::instrument::market_of(&instrument, kind == InstrumentKind::Equity);
        Self {
            token: row.instrument_token,
            kind,
            market,
            expiry: instrument.expiry.map(|days| epoch.saturating_add(days.days())),
            symbol: instrument.symbol,
            tradingsymbol: instrument.tradingsymbol,
            exchange: instrument.exchange,
            strike: instrument.strike,
            tick_size: instrument.tick_size,
            lot_size: instrument.lot_size,
        }
    }
}

/// `MCX:CRUDEOIL` as exchange and name; the options of what trades on NSE are on NFO.
fn parts(asked: &str) -> (String, String) {
    let asked = asked.trim().to_uppercase();
    let (exchange, name) = asked.split_once(':').unwrap_or(("", &asked));
    let exchange = match exchange.trim() {
        "NSE" => "NFO",
        "BSE" => "BFO",
        other => other,
    };
    (exchange.to_owned(), name.trim().to_owned())
}

fn is_option(row: &InstrumentRow) -> bool {
    matches!(row.instrument_type.as_str(), "CE" | "PE")
}

fn is_derivative(row: &InstrumentRow) -> bool {
    is_option(row) || row.instrument_type == "FUT"
}

/// The name under which the rows were found: that of the index or share, where the options' own was another.
fn name_of(rows: &[InstrumentRow], asked: String) -> String {
    let is_there = |row: &&InstrumentRow| !is_derivative(row);
    let cash: Vec<&InstrumentRow> = rows.iter().filter(is_there).collect();
    match cash.first() {
        Some(first) if !cash.iter().any(|row| row.symbol == asked) => first.symbol.clone(),
        _ => asked,
    }
}

async fn listed(
    reader: &Reader,
    exchange: &str,
    name: &str,
    day: Date,
) -> Result<Vec<InstrumentRow>, ReadError> {
    let statement = Statement::new(FIND).with("day", day).with("name", name).with("exchange", exchange);
    reader.fetch("the contracts of an underlying", &statement).await
}

async fn unknown(reader: &Reader, asked: &str, name: &str, day: Date) -> Result<ReadError, ReadError> {
    #[derive(Deserialize)]
    struct Near {
        underlying: String,
    }
    let statement = Statement::new(NEAR).with("day", day).with("name", name).with("limit", SUGGESTED);
    let near: Vec<Near> = reader.rows(&statement).await?;
    Ok(ReadError::UnknownUnderlying {
        name: asked.to_owned(),
        day,
        near: near.into_iter().map(|row| row.underlying).collect(),
    })
}

/// The expiry that was asked for, or those that there are.
fn chosen(
    options: &[Contract],
    expiry: Expiry,
    at: Timestamp,
    calendar: &Calendar,
    market: Market,
) -> Result<Date, Vec<Date>> {
    let mut listed: Vec<Date> = options.iter().filter_map(|contract| contract.expiry).collect();
    listed.sort_unstable();
    listed.dedup();
    let found = match expiry {
        Expiry::On(date) => listed.iter().find(|one| **one == date).copied(),
        Expiry::Nth(number) => {
            let live = listed.iter().filter(|date| close_of(calendar, market, **date) > at);
            live.copied().nth(usize::from(number).saturating_sub(1))
        }
    };
    found.ok_or(listed)
}

/// The index of that name, else the share.
fn spot_of(others: &[Contract], underlying: &str, exchange: &str) -> Option<Contract> {
    let cash = match exchange {
        "NFO" => "NSE",
        "BFO" => "BSE",
        other => other,
    };
    let is_index = |one: &&Contract| {
        one.kind == InstrumentKind::Index && one.exchange == cash && one.symbol == underlying
    };
    let is_share = |place: &str, one: &&Contract| {
        one.kind == InstrumentKind::Equity && one.exchange == place && one.tradingsymbol == underlying
    };
    let share = |place: &str| others.iter().find(|one| is_share(place, one));
    let found = others.iter().find(is_index).or_else(|| share(cash));
    found.or_else(|| if cash == "BSE" { share("NSE") } else { None }).cloned()
}

/// The close of a market's regular trading on a day on which there is some.
fn regular_close(calendar: &Calendar, market: Market, date: Date) -> Option<Timestamp> {
    let day = calendar.day(market, date);
    let regular = day.phases.iter().filter(|phase| phase.phase == SessionType::Regular);
    regular.map(|phase| second_of(date, phase.until)).max()
}

/// When what expires on a day expires: the close of regular trading; where the calendar has none on that day, at the hour of the
/// last session before, else when the day ends.
fn close_of(calendar: &Calendar, market: Market, date: Date) -> Timestamp {
    if let Some(close) = regular_close(calendar, market, date) {
        return close;
    }
    let hour = (1..=LONGEST_BREAK).find_map(|back| {
        let before = date.saturating_sub(back.days());
        let close = regular_close(calendar, market, before)?;
        Some(close.since(second_of(before, 0)))
    });
    second_of(date, 0).plus(hour.unwrap_or(Duration::from_hours(24)))
}

/// A second of a day of India.
fn second_of(date: Date, second: u32) -> Timestamp {
    crate::Window::day(date).from.plus(Duration::from_secs(u64::from(second)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expiry_comes_with_the_close_of_its_market() {
        let calendar = Calendar::builtin();
        let close = |market, date: &str| close_of(&calendar, market, date.parse().unwrap()).to_string();
        assert_eq!(close(Market::NfoOptions, "2025-11-25"), "2025-11-25T15:30:00.000+05:30");
        assert_eq!(close(Market::NfoOptions, "2026-11-17"), "2026-11-17T15:40:00.000+05:30");
        assert_eq!(close(Market::NfoOptions, "2026-12-29"), "2026-12-29T15:45:00.000+05:30");
        assert_eq!(close(Market::Mcx, "2026-11-17"), "2026-11-17T23:55:00.000+05:30");
        assert_eq!(close(Market::Mcx, "2026-10-15"), "2026-10-15T23:30:00.000+05:30");
        // a holiday: a master that still has it
        assert_eq!(close(Market::NfoOptions, "2026-11-24"), "2026-11-24T15:40:00.000+05:30");
        assert_eq!(close(Market::Other, "2026-11-20"), "2026-11-21T00:00:00.000+05:30");
    }

    #[test]
    fn names_with_and_without_an_exchange() {
        assert_eq!(parts(" nifty 50 "), (String::new(), "NIFTY 50".to_owned()));
        assert_eq!(parts("nse:nifty"), ("NFO".to_owned(), "NIFTY".to_owned()));
        assert_eq!(parts("MCX:CRUDEOIL"), ("MCX".to_owned(), "CRUDEOIL".to_owned()));
    }
}
