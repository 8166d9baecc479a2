//! Instruments and sessions joined to packets.
//!
//! What enters: a [`Token`](tickhouse_model::Token) and a time. What leaves: the instrument behind the token as ids of
//! interned strings ([`InstrumentTable`]), and the phase of its market's day ([`Calendar`], [`SessionClock`]). What never
//! happens here: I/O in a look-up, async, reading a clock. Building a table reads from any `Read` that the caller opened.
//!
//! ```
//! use tickhouse_enrich::{Calendar, InstrumentTableBuilder, SessionClock};
//! use tickhouse_model::{Timestamp, Token};
//!
//! let csv = "instrument_token,exchange_token,tradingsymbol,name,last_price,expiry,strike,tick_size,lot_size,\
//!            instrument_type,segment,exchange\n\
//!            256265,1001,NIFTY 50,NIFTY 50,0,,0,0,0,EQ,INDICES,NSE\n";
//! let mut builder = InstrumentTableBuilder::new();
//! builder.read_kite_csv(csv.as_bytes())?;
//! let table = builder.finish();
//!
//! let nifty = table.get(Token(256_265)).expect("just added");
//! assert_eq!(table.text(nifty.symbol), "NIFTY");
//!
//! let mut clock = SessionClock::new(Calendar::builtin().into());
//! let at = Timestamp::from_millis(1_795_147_200_000); // 2026-11-20 10:50 in India
//! assert_eq!(clock.phase(nifty.market, at).name(), "regular");
//! # Ok::<(), tickhouse_enrich::ReadError>(())
//! ```

mod builder;
mod calendar;
mod kite_csv;
mod market;
mod python_json;
mod read;
mod rules;
mod session;
mod table;
mod titles;
mod token_lookup;

pub use builder::{InstrumentTableBuilder, MAX_INSTRUMENTS, MAX_TEXT_LEN, MasterFormat, TableFull};
pub use calendar::{Calendar, CalendarChange, CalendarError, DayKind, MarketDay, PhaseHours};
pub use kite_csv::read_kite_csv;
pub use market::Market;
pub use read::{Problem, ReadError, ReadReport};
pub use rules::{Rules, RulesError};
pub use session::{SessionClock, SessionSpan};
pub use table::{InstrumentRef, InstrumentTable, StrId, Texts};
pub use titles::TitleSymbols;
pub use token_lookup::read_token_lookup;
