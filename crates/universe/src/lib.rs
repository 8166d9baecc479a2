//! What to record: rules, the instruments of the day and prices give tokens with modes, and the sockets that carry them.
//!
//! What enters: the rules of the configuration, an [`InstrumentTable`](tickhouse_enrich::InstrumentTable), a day, last
//! prices of underlyings, how much the API keys carry. What leaves: [`Resolution`], the wanted instruments in the order of
//! their worth with what does not fit; [`Placement`], which socket takes what is new. What never happens here: I/O (files
//! of members are read by the caller), async, a clock, touching an instrument that stays.
//!
//! ```text
//! rules ─┐                              frames ─▶ Prices
//! table ─┴ Universe::bind ─▶ Universe ─ resolve(prices, capacity) ─▶ Resolution ─ Placement::apply ─▶ changes per socket
//! ```
//!
//! The strike at the money follows a price with inertia: it moves to the neighbour only when the price is
//! [`INERTIA`] of their distance beyond the middle between them, so that a price which wobbles there changes nothing.

mod bind;
mod chain;
mod members;
mod place;
mod prices;
mod report;
mod resolve;

pub use bind::{Universe, UniverseError};
pub use chain::INERTIA;
pub use members::{MembersError, read_members};
pub use place::{Placement, SocketChange};
pub use prices::Prices;
pub use report::{AtTheMoney, RuleReport};
pub use resolve::{Resolution, Wanted};
