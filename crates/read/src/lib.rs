//! Reading: the one way from a question to rows.
//!
//! What enters: questions with bound parameters. What leaves: typed rows, or the server's bytes in a format. What never happens
//! here: writing (statements are sent read-only, whoever the user is), text of a user in a statement, an answer that broke off and
//! looks whole.

mod answer;
mod bars;
mod chain;
mod error;
mod format;
mod glance;
mod instrument;
mod listing;
mod named;
mod reader;
mod select;
mod statement;
mod stream;
pub mod ticks;
mod window;

pub use answer::{Answer, ComputedRows};
pub use bars::{BarOptions, BarSources, MOST_BARS, NamedBar, Reconciliation, difference_rows};
pub use chain::{
    Basis, ChainOptions, Expiry, ExpiryError, Forward, ForwardSource, Leg, NoVolatilityBecause, OptionChain,
    Reference, Stale, Strike, Totals,
};
pub use error::ReadError;
pub use format::Format;
pub use glance::{FeedGap, SPARKLINE_POINTS, newest_ticks};
pub use instrument::Listed;
pub use listing::{InstrumentSearch, Underlying};
pub use named::{NAMED, NamedError, NamedQuery, ParameterSpec, Question, Session, Span, Takes, WhyNothing};
pub use reader::{Reader, ReaderOptions};
pub use select::{MOST_NAMES, Meant, Selection};
pub use statement::{Parameter, Statement};
pub use stream::ByteStream;
pub use window::{Asked, Window, WindowError, duration, instant};
