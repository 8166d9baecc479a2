//! Questions that people ask every day, each a statement in a file of `named/`.
//!
//! What enters: a name, a window, names of instruments. What leaves: a [`Statement`] with bound parameters, or its text for
//! clickhouse-client and Grafana. What never happens here: a user's text in a statement. docs/queries.md says what each one means.

mod nothing;
mod script;

use crate::{Statement, Window};
use std::collections::BTreeSet;

pub use nothing::WhyNothing;

/// Which ticks count, where a query asks for it: the session that Kite's packet came in, by the calendar.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Session {
    /// Before the market opens, its opening auction included.
    PreMarket,
    /// Continuous trading.
    #[default]
    Regular,
    /// After it.
    PostMarket,
    /// Hours in which nothing trades.
    Closed,
    /// All of them.
    Any,
}

impl Session {
    /// As parameters have it: the word of the column, or `any`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::PreMarket => "pre_market",
            Self::Regular => "regular",
            Self::PostMarket => "post_market",
            Self::Closed => "closed",
            Self::Any => "any",
        }
    }
}

/// What a query takes from a [`Question`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// `{date:Date}`: India's day in which the window begins.
    Date,
    /// `{from:DateTime64}` and `{to:DateTime64}`, the latter exclusive.
    Window,
    /// `{symbols:Array(String)}` and `{tokens:Array(UInt32)}`: instruments; all of them where both are empty.
    Instruments,
    /// The same, and at least one is needed.
    SomeInstruments,
    /// `{exchange:String}`, empty for all.
    Exchange,
    /// `{session:String}`: a [`Session`].
    Session,
    /// `{limit:UInt64}`: rows at most.
    Limit,
}

/// The stretch of time that a query is about unless somebody says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Span {
    /// Today so far.
    Day,
    /// The last hour.
    Hour,
}

/// A question with a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NamedQuery {
    /// What one types.
    pub name: &'static str,
    /// What it answers, in a line.
    pub about: &'static str,
    /// What it takes.
    pub takes: &'static [Takes],
    /// Its usual stretch of time.
    pub span: Span,
    /// Rows at most, unless somebody says otherwise: of a list of the first so many. `None`: all of them.
    pub limit: Option<u64>,
    /// Its usual session.
    pub session: Session,
    sql: &'static str,
    /// The statement for all instruments, where another one is better for that.
    sql_of_all: Option<&'static str>,
}

/// What somebody asks of a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The stretch of time; queries of a day take the one in which it begins.
    pub window: Window,
    /// Instruments: symbols as of the day (`NIFTY`, `NSE:INFY`) or tokens. None: all.
    pub instruments: Vec<String>,
    /// Only of this exchange.
    pub exchange: Option<String>,
    /// Only ticks of this session; `None` for the query's own.
    pub session: Option<Session>,
    /// Rows at most; `None` for the query's own.
    pub limit: Option<u64>,
}

/// A question that a query has no answer to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NamedError {
    /// It is about some instruments, and none was named.
    #[error("`{query}` is about single instruments: name one or more, as --symbol NIFTY")]
    NeedsInstrument {
        /// The query.
        query: &'static str,
    },
    /// It can't take that into account.
    #[error("`{query}` does not take {what}")]
    NotTaken {
        /// The query.
        query: &'static str,
        /// What was asked for.
        what: &'static str,
    },
    /// Exchanges that contradict each other.
    #[error("{name} is not of {exchange}: ask for one exchange at a time")]
    TwoExchanges {
        /// The instrument.
        name: String,
        /// The other exchange.
        exchange: String,
    },
}

/// A parameter of a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParameterSpec {
    /// Its name in the braces.
    pub name: &'static str,
    /// Its type there.
    pub kind: &'static str,
    /// What it means.
    pub about: &'static str,
}

const DATE: ParameterSpec = ParameterSpec { name: "date", kind: "Date", about: "India's day" };
const FROM: ParameterSpec =
    ParameterSpec { name: "from", kind: "DateTime64(3, 'Asia/Kolkata')", about: "begin of the window" };
const TO: ParameterSpec = ParameterSpec {
    name: "to",
    kind: "DateTime64(3, 'Asia/Kolkata')",
    about: "end of the window, which is not in it",
};
const SYMBOLS: ParameterSpec =
    ParameterSpec { name: "symbols", kind: "Array(String)", about: "instruments by symbol" };
const TOKENS: ParameterSpec = ParameterSpec {
    name: "tokens",
    kind: "Array(UInt32)",
    about: "instruments by token; all if both are empty",
};
const EXCHANGE: ParameterSpec =
    ParameterSpec { name: "exchange", kind: "String", about: "exchange, empty for all" };
const SESSION: ParameterSpec = ParameterSpec {
    name: "session",
    kind: "String",
    about: "pre_market, regular, post_market, closed or any",
};
const LIMIT: ParameterSpec = ParameterSpec { name: "limit", kind: "UInt64", about: "rows at most" };

impl Takes {
    const fn parameters(self) -> &'static [ParameterSpec] {
        match self {
            Self::Date => &[DATE],
            Self::Window => &[FROM, TO],
            Self::Instruments | Self::SomeInstruments => &[SYMBOLS, TOKENS],
            Self::Exchange => &[EXCHANGE],
            Self::Session => &[SESSION],
            Self::Limit => &[LIMIT],
        }
    }
}

/// As good as no limit.
const ALL: u64 = 1_000_000_000_000;

macro_rules! named {
    ($name:literal, $about:literal, $span:ident, $session:ident, $limit:expr, [$($takes:ident),*]) => {
        named!($name, $about, $span, $session, $limit, [$($takes),*], None)
    };
    ($name:literal, $about:literal, $span:ident, $session:ident, $limit:expr, [$($takes:ident),*], $of_all:expr) => {
        NamedQuery {
            name: $name,
            about: $about,
            takes: &[$(Takes::$takes),*],
            span: Span::$span,
            limit: $limit,
            session: Session::$session,
            sql: include_str!(concat!("named/", $name, ".sql")),
            sql_of_all: $of_all,
        }
    };
}

/// All of them, in the order in which one learns them.
pub const NAMED: &[NamedQuery] = &[
    named!(
        "latest",
        "the last price of each instrument, its change from the previous close, volume and open interest",
        Day,
        Regular,
        None,
        [Date, Session, Instruments, Exchange, Limit]
    ),
    named!(
        "volume",
        "the day's volume by instrument, the busiest first, with what waits in the book and the number of ticks",
        Day,
        Regular,
        Some(20),
        [Date, Session, Instruments, Exchange, Limit]
    ),
    named!(
        "ohlc",
        "one-minute bars; of all instruments the newest 100",
        Day,
        Any,
        None,
        [Window, Instruments, Exchange, Limit],
        Some(include_str!("named/ohlc-newest.sql"))
    ),
    named!(
        "depth",
        "the order book of an instrument as last seen, five levels, with its spread",
        Day,
        Any,
        None,
        [Date, SomeInstruments, Exchange]
    ),
    named!(
        "oi",
        "open interest by minute, its change, and the highest and lowest of the day so far",
        Day,
        Any,
        None,
        [Window, Instruments, Exchange, Limit]
    ),
    named!(
        "range",
        "the ticks of an instrument in a window",
        Hour,
        Any,
        None,
        [Window, SomeInstruments, Exchange, Limit]
    ),
    named!(
        "quality",
        "how many rows of which quality and session a day has, first and last",
        Day,
        Any,
        None,
        [Date]
    ),
    named!(
        "gainers",
        "what rose most against the previous close",
        Day,
        Any,
        Some(10),
        [Date, Session, Instruments, Exchange, Limit]
    ),
    named!(
        "volume-by-minute",
        "what was traded in each minute",
        Day,
        Any,
        None,
        [Window, SomeInstruments, Exchange, Limit]
    ),
    named!(
        "spread",
        "the average spread of the best bid and ask, in rupees and percent",
        Hour,
        Any,
        None,
        [Window, Instruments, Exchange, Limit]
    ),
    named!("table-sizes", "what each table takes on disk", Day, Any, Some(100), [Limit]),
    named!("slow-queries", "the server's slowest statements", Day, Any, Some(10), [Window, Limit]),
    named!(
        "vwap",
        "the volume-weighted average price of an instrument in a window",
        Day,
        Any,
        None,
        [Window, SomeInstruments, Exchange]
    ),
    named!(
        "movers",
        "what moved most within a window, up or down",
        Hour,
        Any,
        Some(20),
        [Window, Instruments, Exchange, Limit]
    ),
    named!(
        "gaps",
        "when ticks may have been missed, why, and what was filled since",
        Day,
        Any,
        None,
        [Window, Limit]
    ),
    named!(
        "coverage",
        "how much of a day is recorded, by instrument, the poorest first",
        Day,
        Any,
        Some(50),
        [Date, Instruments, Exchange, Limit]
    ),
];

/// Bars of all instruments that are shown unless somebody says otherwise.
const BARS_OF_ALL: u64 = 100;

impl NamedQuery {
    /// The one of a name.
    pub fn find(name: &str) -> Option<&'static Self> {
        NAMED.iter().find(|query| query.name == name)
    }

    /// What its statement takes, in order.
    pub fn parameters(&self) -> impl Iterator<Item = &'static ParameterSpec> {
        self.takes.iter().flat_map(|takes| takes.parameters())
    }

    /// Whether it takes something.
    pub fn takes(&self, what: Takes) -> bool {
        self.takes.contains(&what)
    }

    /// Rows at most in the answer to a question that does not say how many; `None` for all.
    pub fn usual_limit(&self, question: &Question) -> Option<u64> {
        match self.sql_of_all {
            Some(_) if question.instruments.is_empty() => Some(BARS_OF_ALL),
            _ => self.limit,
        }
    }

    /// The statement that answers a question.
    ///
    /// # Errors
    /// When the query needs an instrument that was not named, or can't take something into account that was asked for.
    pub fn statement(&self, question: &Question) -> Result<Statement, NamedError> {
        self.check(question)?;
        let meant = Meant::of(question)?;
        let of_all = self.sql_of_all.filter(|_| question.instruments.is_empty());
        let limit = question.limit.or_else(|| self.usual_limit(question)).unwrap_or(ALL);
        let mut statement = Statement::new(of_all.unwrap_or(self.sql));
        for takes in self.takes {
            statement = match takes {
                Takes::Date => statement.with("date", question.window.first_day()),
                Takes::Window => statement.with("from", question.window.from).with("to", question.window.to),
                Takes::Instruments | Takes::SomeInstruments => {
                    statement.with("symbols", &meant.symbols[..]).with("tokens", &meant.tokens[..])
                }
                Takes::Exchange => statement.with("exchange", meant.exchange.as_str()),
                Takes::Session => statement.with("session", question.session.unwrap_or(self.session).name()),
                Takes::Limit => statement.with("limit", limit),
            };
        }
        Ok(statement)
    }

    fn check(&self, question: &Question) -> Result<(), NamedError> {
        let query = self.name;
        if self.takes(Takes::SomeInstruments) && question.instruments.is_empty() {
            return Err(NamedError::NeedsInstrument { query });
        }
        let about_instruments = self.takes(Takes::Instruments) || self.takes(Takes::SomeInstruments);
        let asked = [
            (!question.instruments.is_empty() && !about_instruments, "instruments"),
            (question.exchange.is_some() && !self.takes(Takes::Exchange), "an exchange"),
            (question.session.is_some() && !self.takes(Takes::Session), "a session"),
            (question.limit.is_some() && !self.takes(Takes::Limit), "a limit"),
        ];
        match asked.into_iter().find(|(wrong, _)| *wrong) {
            Some((_, what)) => Err(NamedError::NotTaken { query, what }),
            None => Ok(()),
        }
    }
}

/// Names of instruments as parameters.
struct Meant {
    symbols: Vec<String>,
    tokens: Vec<u32>,
    exchange: String,
}

impl Meant {
    fn of(question: &Question) -> Result<Self, NamedError> {
        let (mut symbols, mut tokens) = (BTreeSet::new(), BTreeSet::new());
        let mut exchange = question.exchange.as_deref().unwrap_or_default().trim().to_uppercase();
        for name in &question.instruments {
            let (its, symbol) = name.split_once(':').unwrap_or(("", name));
            let (its, symbol) = (its.trim().to_uppercase(), symbol.trim());
            if !its.is_empty() {
                let differs = |other: &str| !other.is_empty() && other != its;
                let plain = question.instruments.iter().any(|name| !name.contains(':'));
                if differs(&exchange) || (plain && exchange.is_empty()) {
                    let exchange =
                        if exchange.is_empty() { "the others' exchange".to_owned() } else { exchange };
                    return Err(NamedError::TwoExchanges { name: name.clone(), exchange });
                }
                exchange = its;
            }
            match symbol.parse() {
                Ok(token) => drop(tokens.insert(token)),
                Err(_) => symbols.extend([symbol.to_owned(), symbol.to_uppercase()]),
            }
        }
        Ok(Self { symbols: symbols.into_iter().collect(), tokens: tokens.into_iter().collect(), exchange })
    }
}

#[cfg(test)]
mod tests;
