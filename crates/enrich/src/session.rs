//! The phase of a market's day, and the small cache that makes it cost nothing per tick.

use crate::{Calendar, Market};
use std::sync::Arc;
use tickhouse_model::{SessionType, Timestamp};

/// A stretch of time in which a market's phase does not change. Never longer than a day of India.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionSpan {
    /// Its first instant.
    pub from: Timestamp,
    /// The first instant after it.
    pub until: Timestamp,
    /// The phase.
    pub phase: SessionType,
    /// Whether the calendar knows this, or assumes [`SessionType::Regular`] because it knows nothing.
    pub known: bool,
}

impl SessionSpan {
    const NEVER: Self =
        Self { from: Timestamp::NONE, until: Timestamp::NONE, phase: SessionType::Closed, known: false };

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
    pub fn phase(&mut self, market: Market, at: Timestamp) -> SessionType {
        let span = &mut self.spans[market as usize];
        if !span.contains(at) {
            *span = self.calendar.span(market, at);
        }
        span.phase
    }
}
