//! The phase of several markets together.

use serde::{Deserialize, Serialize};
use tickhouse_enrich::{Calendar, Market};
use tickhouse_model::{SessionType, Timestamp};

/// What the markets do that are recorded: the busiest phase of them. Outside of [`MarketPhase::Open`] silence is no fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MarketPhase {
    /// All are known to be closed.
    Closed,
    /// Nothing is known of their hours: as closed, for an alarm at night helps nobody.
    #[default]
    Unknown,
    /// One is in its post-close session, none trades.
    PostClose,
    /// One is in its pre-open auction, none trades.
    PreOpen,
    /// One trades: data must flow.
    Open,
}

impl MarketPhase {
    /// The phase of these markets at an instant.
    pub fn of(calendar: &Calendar, markets: impl IntoIterator<Item = Market>, at: Timestamp) -> Self {
        let phase = |market| match calendar.session(market, at) {
            SessionType::Regular if calendar.in_session(market, at) => Self::Open,
            SessionType::Regular => Self::Unknown,
            SessionType::PreMarket => Self::PreOpen,
            SessionType::PostMarket => Self::PostClose,
            SessionType::Closed => Self::Closed,
        };
        markets.into_iter().map(phase).max().unwrap_or_default()
    }

    /// Its word in a status.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Unknown => "unknown",
            Self::PostClose => "post_close",
            Self::PreOpen => "pre_open",
            Self::Open => "open",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_trades_opens_them_all() {
        let calendar = Calendar::builtin();
        let of = |markets: &[Market], text| {
            let at = Timestamp::from_text(text).unwrap();
            MarketPhase::of(&calendar, markets.iter().copied(), at).name()
        };
        // Friday, 20 November 2026
        assert_eq!(of(&[Market::Nse], "2026-11-20 09:05"), "pre_open");
        assert_eq!(of(&[Market::Nse, Market::Mcx], "2026-11-20 09:05"), "open");
        assert_eq!(of(&[Market::Nse], "2026-11-20 10:00"), "open");
        assert_eq!(of(&[Market::Nse], "2026-11-20 20:00"), "closed");
        assert_eq!(of(&[Market::Nse, Market::Mcx], "2026-11-20 20:00"), "open");
        assert_eq!(of(&[Market::Nse, Market::Mcx], "2026-11-21 12:00"), "closed", "a Saturday");
        assert_eq!(of(&[Market::Other], "2026-11-20 10:00"), "unknown");
        assert_eq!(of(&[], "2026-11-20 10:00"), "unknown");
        let open = Calendar::always_open();
        let at = Timestamp::from_text("2026-11-21 12:00").unwrap();
        assert_eq!(MarketPhase::of(&open, [Market::Nse], at), MarketPhase::Open);
    }
}
