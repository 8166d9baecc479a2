//! What an instrument is: the metadata that enrichment joins to a packet.

use crate::Token;
use serde::{Deserialize, Serialize};

/// One instrument of one day's master.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Instrument {
    /// Kite's number, valid for the day of the master.
    pub token: Token,
    /// The trading symbol, with the names people use for indices: `NIFTY 50` is `NIFTY`, `NIFTY BANK` is `BANKNIFTY`.
    pub symbol: String,
    /// Kite's own trading symbol, e.g. `NIFTY26NOV24000CE`.
    pub tradingsymbol: String,
    /// Kite's `name`: of the company, or the underlying of a derivative.
    pub underlying: String,
    /// Kite's exchange, e.g. `NFO`.
    pub exchange: String,
    /// Kite's segment, e.g. `NFO-OPT` or `INDICES`.
    pub segment: String,
    /// What it is.
    pub instrument_type: InstrumentKind,
    /// Sector of a share, empty where unknown.
    pub sector: String,
    /// `EQ`, `FUT`, `CE`, `PE`, `INDEX`, …: the brief's asset class.
    pub asset_class: String,
    /// Days since 1970-01-01, `None` for what does not expire.
    pub expiry: Option<i32>,
    /// Strike in rupees, 0 where there is none.
    pub strike: f64,
    /// Smallest price step in rupees, 0 for indices.
    pub tick_size: f64,
    /// Units of a lot; 1 on MCX, 0 for indices.
    pub lot_size: u32,
}

/// Kite's `instrument_type`, with indices (which Kite calls EQ in segment INDICES) told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum InstrumentKind {
    /// A share, fund or bond.
    #[serde(rename = "EQ")]
    Equity,
    /// A future.
    #[serde(rename = "FUT")]
    Future,
    /// A call option.
    #[serde(rename = "CE")]
    Call,
    /// A put option.
    #[serde(rename = "PE")]
    Put,
    /// An index: a value, not tradable.
    #[serde(rename = "INDEX")]
    Index,
    /// A type that no rule knows.
    #[serde(rename = "")]
    Other,
}

impl InstrumentKind {
    /// The value of the column `instrument_type`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Equity => "EQ",
            Self::Future => "FUT",
            Self::Call => "CE",
            Self::Put => "PE",
            Self::Index => "INDEX",
            Self::Other => "",
        }
    }

    /// The kind of a row of Kite's master, from its `instrument_type` and `segment`.
    pub fn of(instrument_type: &str, segment: &str) -> Self {
        match (instrument_type, segment) {
            (_, "INDICES") => Self::Index,
            ("EQ", _) => Self::Equity,
            ("FUT", _) => Self::Future,
            ("CE", _) => Self::Call,
            ("PE", _) => Self::Put,
            _ => Self::Other,
        }
    }
}
