//! Ticks, books, gaps and instruments as statements.
//!
//! What enters: a selection, a window, columns. What leaves: statements whose rows the server writes in any format. What never
//! happens here: a candle among ticks, a name of a user in a statement's text.

use crate::{ReadError, Selection, Statement, Window};
use jiff::civil::Date;

/// The condition on rows of `tick_data` that are ticks: imported candles lie in the same table, and `packet_type` tells them.
pub const IS_TICK: &str = "if(stream = '', packet_type IN ('ltp', 'quote', 'full', 'index_quote', 'index_full'), \
     NOT (packet_type LIKE 'candle%' OR packet_type LIKE '%minute' OR packet_type IN ('day', 'week', 'month', 'hour', 'import')))";

/// Whether a packet type of a flat entry is a tick's, as [`IS_TICK`] judges it.
pub fn is_tick_of_flat(packet_type: &str) -> bool {
    !(packet_type.starts_with("candle")
        || packet_type.ends_with("minute")
        || ["day", "week", "month", "hour", "import"].contains(&packet_type))
}

/// Columns of a tick that most people want.
pub const TICK_COLUMNS: &[&str] = &[
    "timestamp",
    "exchange_timestamp",
    "instrument_token",
    "symbol",
    "exchange",
    "last_price",
    "last_traded_quantity",
    "volume",
    "average_traded_price",
    "open_price",
    "high_price",
    "low_price",
    "close_price",
    "open_interest",
    "total_buy_quantity",
    "total_sell_quantity",
    "bid_1_price",
    "bid_1_quantity",
    "ask_1_price",
    "ask_1_quantity",
    "packet_type",
    "session_type",
    "snapshot",
];

/// The others, without the levels of the book.
const MORE_COLUMNS: &[&str] = &[
    "tradingsymbol",
    "underlying",
    "sector",
    "asset_class",
    "instrument_type",
    "expiry",
    "strike",
    "net_change",
    "last_trade_time",
    "oi_day_high",
    "oi_day_low",
    "data_quality",
    "processed_at",
    "batch_id",
    "date",
    "hour",
    "recorder",
    "session",
    "socket",
    "sequence",
    "packet_index",
    "stream",
    "epoch",
];

/// Levels of each side of a book.
pub const DEPTH_LEVELS: u8 = 5;

/// Columns that are written in another type than their table has: small words, for readers that don't know an enumeration or a
/// UUID.
const SPELLED: &[(&str, &str)] = &[
    ("session_type", "CAST(session_type, 'LowCardinality(String)') AS session_type"),
    ("data_quality", "CAST(data_quality, 'LowCardinality(String)') AS data_quality"),
    ("batch_id", "toString(batch_id) AS batch_id"),
    (
        "last_trade_time",
        "if(toUnixTimestamp(last_trade_time) = 0, NULL, toDateTime64(last_trade_time, 3)) AS last_trade_time",
    ),
    ("expiry", "if(expiry = toDate(0), NULL, toDate32(expiry)) AS expiry"),
    ("date", "toDate32(date) AS date"),
];

/// In which order ticks come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TickOrder {
    /// By the time of receipt.
    #[default]
    Time,
    /// By instrument, then by the time of receipt: as they are stored, so it costs the server nothing.
    Instrument,
}

/// Which ticks.
#[derive(Clone, Debug, PartialEq)]
pub struct Ticks {
    /// Of which instruments.
    pub selection: Selection,
    /// When they were received.
    pub window: Window,
    /// Columns by name, none for [`TICK_COLUMNS`]; the one name `*` stands for all.
    pub columns: Vec<String>,
    /// In which order.
    pub order: TickOrder,
}

impl Ticks {
    /// The rows.
    ///
    /// # Errors
    /// When there is no column of a name.
    pub fn statement(&self) -> Result<Statement, ReadError> {
        let columns = columns(&self.columns)?;
        let order = match self.order {
            TickOrder::Time => "timestamp, instrument_token",
            TickOrder::Instrument => "instrument_token, timestamp",
        };
        let sql = format!(
            "SELECT {} FROM tick_data WHERE {} AND {WITHIN} AND {IS_TICK} ORDER BY {order}, session, sequence, packet_index",
            spelled(&columns),
            self.selection.condition(),
        );
        Ok(within(self.selection.bind(Statement::new(sql)), &self.window))
    }
}

/// The rows of `tick_data` within a window. Its days are those of partitions, so most of them are not looked at.
const WITHIN: &str = "timestamp >= {from:DateTime64(3)} AND timestamp < {to:DateTime64(3)} \
     AND tick_data.date >= toDate({from:DateTime64(3)}, 'Asia/Kolkata') AND tick_data.date <= toDate({to:DateTime64(3)}, 'Asia/Kolkata')";

fn within(statement: Statement, window: &Window) -> Statement {
    statement.with("from", window.from).with("to", window.to)
}

/// Books: ticks that have one, with `levels` (1 to 5) of each side.
pub fn depth(selection: &Selection, window: &Window, levels: u8) -> Statement {
    let mut columns: Vec<String> =
        ["timestamp", "exchange_timestamp", "instrument_token", "symbol", "last_price"]
            .map(str::to_owned)
            .into();
    columns.extend(book(levels.clamp(1, DEPTH_LEVELS)));
    columns.extend(["total_buy_quantity", "total_sell_quantity", "snapshot"].map(str::to_owned));
    let sql = format!(
        "SELECT {} FROM tick_data WHERE {} AND {WITHIN} AND {IS_TICK} AND (bid_1_price > 0 OR ask_1_price > 0) \
         ORDER BY timestamp, instrument_token, session, sequence, packet_index",
        spelled(&columns),
        selection.condition(),
    );
    within(selection.bind(Statement::new(sql)), window)
}

/// Windows of the feed in which ticks may have been missed, and that touch the given one. With a selection, those of its
/// instruments, and those of whole sockets. `to` is null while a gap is open.
pub fn gaps(selection: &Selection, window: &Window) -> Statement {
    let touched = match selection.meant() {
        None => "1",
        Some(_) => "(empty(tokens) OR hasAny(tokens, {tokens:Array(UInt32)}))",
    };
    let sql = format!(
        "SELECT `from`, if(toUnixTimestamp64Milli(`to`) = 0, NULL, `to`) AS `to`, \
         if(toUnixTimestamp64Milli(`to`) = 0, NULL, dateDiff('millisecond', `from`, `to`) / 1000) AS seconds, \
         cause, detail, tokens, recorder, socket, stream \
         FROM feed_gaps WHERE `from` < {{to:DateTime64(3)}} \
         AND (toUnixTimestamp64Milli(feed_gaps.`to`) = 0 OR feed_gaps.`to` >= {{from:DateTime64(3)}}) AND {touched} \
         ORDER BY `from`, recorder, stream, socket, session, sequence"
    );
    let statement = within(Statement::new(sql), window);
    let Some(meant) = selection.meant() else { return statement };
    let tokens: Vec<u32> = meant.iter().map(|one| one.token.0).collect();
    statement.with("tokens", tokens.as_slice())
}

/// Which instruments of a day's masters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Instruments {
    /// `NSE`, `NFO`, …; empty for all.
    pub exchange: String,
    /// `EQ`, `FUT`, `CE`, `PE`, `INDEX`; empty for all.
    pub instrument_type: String,
    /// Kite's name of the underlying (`NIFTY`, `RELIANCE`); empty for all.
    pub underlying: String,
    /// Symbols, trading symbols or tokens; empty for all.
    pub names: Vec<String>,
}

impl Instruments {
    /// What they were on a day. Columns in the condition are the table's: an alias of the same name would be null where they are not.
    pub fn statement(&self, day: Date) -> Statement {
        let names: Vec<String> = self.names.iter().map(|name| name.to_uppercase()).collect();
        Statement::new(
            "SELECT instrument_token, symbol, tradingsymbol, underlying, exchange, segment, sector, asset_class, \
             instrument_type, if(expiry = toDate(0), NULL, toDate32(expiry)) AS expiry, strike, tick_size, lot_size, \
             if(valid_from = toDate(0), NULL, toDate32(valid_from)) AS valid_from, \
             if(valid_to = toDate(65535), NULL, toDate32(valid_to)) AS valid_to \
             FROM instruments FINAL WHERE instruments.valid_from <= {day:Date} AND instruments.valid_to >= {day:Date} \
             AND instruments.valid_to > toDate(0) \
             AND ({exchange:String} = '' OR exchange = {exchange:String}) \
             AND ({instrument_type:String} = '' OR instrument_type = {instrument_type:String}) \
             AND ({underlying:String} = '' OR underlying = {underlying:String}) \
             AND (empty({names:Array(String)}) OR upper(symbol) IN {names:Array(String)} \
                 OR upper(tradingsymbol) IN {names:Array(String)} OR toString(instrument_token) IN {names:Array(String)} \
                 OR concat(exchange, ':', upper(tradingsymbol)) IN {names:Array(String)}) \
             ORDER BY exchange, instruments.expiry, underlying, strike, instrument_type, tradingsymbol",
        )
        .with("day", day)
        .with("exchange", self.exchange.to_uppercase())
        .with("instrument_type", self.instrument_type.to_uppercase())
        .with("underlying", self.underlying.to_uppercase())
        .with("names", names.as_slice())
    }
}

/// Names of the columns of some levels, best first, bids before offers.
fn book(levels: u8) -> impl Iterator<Item = String> {
    let level = |side: &'static str, level: u8| {
        ["price", "quantity", "orders"].map(|what| format!("{side}_{level}_{what}"))
    };
    ["bid", "ask"].into_iter().flat_map(move |side| (1..=levels).flat_map(move |number| level(side, number)))
}

/// The columns of these names; the default ones for none, all for `*`.
fn columns(names: &[String]) -> Result<Vec<String>, ReadError> {
    let all = || {
        let known = TICK_COLUMNS.iter().chain(MORE_COLUMNS).map(|name| (*name).to_owned());
        let mut all: Vec<String> = known.collect();
        let rest = book(DEPTH_LEVELS).filter(|name| !TICK_COLUMNS.contains(&name.as_str()));
        all.extend(rest);
        all
    };
    match names {
        [] => return Ok(TICK_COLUMNS.iter().map(|name| (*name).to_owned()).collect()),
        [star] if star == "*" => return Ok(all()),
        _ => {}
    }
    let all = all();
    match names.iter().find(|name| !all.contains(name)) {
        Some(name) => Err(ReadError::UnknownColumn { name: name.clone(), known: all.join(", ") }),
        None => Ok(names.to_vec()),
    }
}

/// The columns as a list of a `SELECT`. Counts get a sign: in a frame the difference of two unsigned columns wraps around.
fn spelled(columns: &[String]) -> String {
    const COUNTS: &[&str] = &["volume", "open_interest", "oi_day_high", "oi_day_low"];
    let spelling = |column: &String| {
        if let Some((_, spelling)) = SPELLED.iter().find(|(name, _)| name == column) {
            return (*spelling).to_owned();
        }
        if COUNTS.contains(&column.as_str()) || column.ends_with("_quantity") {
            return format!("toInt64({column}) AS {column}");
        }
        if column.ends_with("_orders") { format!("toInt32({column}) AS {column}") } else { column.clone() }
    };
    columns.iter().map(spelling).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_those_of_the_table() {
        let mut ours = columns(&["*".to_owned()]).unwrap();
        let mut theirs: Vec<&str> = tickhouse_store::TICK_COLUMNS.iter().map(|column| column.name).collect();
        ours.sort_unstable();
        theirs.sort_unstable();
        assert_eq!(ours, theirs);
    }

    #[test]
    fn a_column_that_is_none_is_named() {
        let error = columns(&["last_price".to_owned(), "1; DROP".to_owned()]).unwrap_err().to_string();
        assert!(error.contains("\"1; DROP\"") && error.contains("bid_5_orders"), "{error}");
    }
}
