//! The phase of a market's day, and the small cache that makes it cost nothing per tick.

use crate::{Calendar, Market};
use std::fmt;
use std::sync::Arc;
use tickhouse_model::Timestamp;

/// The value of the column `session_type`; the numbers are those of its Enum8.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum SessionPhase {
    /// The call auction before trading, up to its first second.
    PreMarket = 1,
    /// Continuous trading, or hours that are not known.
    Regular = 2,
    /// From the end of continuous trading to the end of the post-close session: closing auction included.
    PostMarket = 3,
    /// Known to be closed.
    Closed = 4,
}

impl SessionPhase {
    /// All phases, by number.
    pub const ALL: [Self; 4] = [Self::PreMarket, Self::Regular, Self::PostMarket, Self::Closed];

    /// The value's name in ClickHouse.
    pub const fn name(self) -> &'static str {
        match self {
            Self::PreMarket => "pre_market",
            Self::Regular => "regular",
            Self::PostMarket => "post_market",
            Self::Closed => "closed",
        }
    }

    /// The phase of a name, as flat entries carry it.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|phase| phase.name() == name)
    }
}

impl fmt::Display for SessionPhase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A stretch of time in which a market's phase does not change. Never longer than a day of India.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionSpan {
    /// Its first instant.
    pub from: Timestamp,
    /// The first instant after it.
    pub until: Timestamp,
    /// The phase.
    pub phase: SessionPhase,
    /// Whether the calendar knows this, or assumes [`SessionPhase::Regular`] because it knows nothing.
    pub known: bool,
}

impl SessionSpan {
    const NEVER: Self =
        Self { from: Timestamp::NONE, until: Timestamp::NONE, phase: SessionPhase::Closed, known: false };

    #[inline]
    fn contains(&self, at: Timestamp) -> bool {
        self.from <= at && at < self.until
    }
}

/// Remembers each market's current span, so that a phase is two comparisons per tick. Pure: times come from the caller,
/// in any order.
#[derive(Clone, Debug)]
pub struct SessionClock {
    calendar: Arc<Calendar>,
    spans: [SessionSpan; Market::COUNT],
}

impl SessionClock {
    /// A clock on this calendar. For another calendar make another clock.
    pub const fn new(calendar: Arc<Calendar>) -> Self {
        Self { calendar, spans: [SessionSpan::NEVER; Market::COUNT] }
    }

    /// The phase of `market` at `at`.
    #[inline]
    pub fn phase(&mut self, market: Market, at: Timestamp) -> SessionPhase {
        let span = &mut self.spans[market as usize];
        if !span.contains(at) {
            *span = self.calendar.span(market, at);
        }
        span.phase
    }
}
