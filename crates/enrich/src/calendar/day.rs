//! A market's day as a person reads it: what kind of day, and its phases.

use super::{Calendar, Day, MarketDays, Plan, SECONDS_PER_DAY, Special, clip, days_of, is_weekend};
use crate::Market;
use jiff::civil::Date;
use std::fmt;
use std::sync::Arc;
use tickhouse_model::SessionType;

/// What kind of day a market has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DayKind {
    /// The hours of every weekday.
    Ordinary,
    /// A Saturday or Sunday without a session.
    Weekend,
    /// A holiday of the whole day.
    Holiday,
    /// A part of the ordinary hours: MCX's evenings on holidays of the stock exchanges.
    Partial,
    /// A session of its own: Muhurat, a Budget on a weekend, a test of the disaster recovery site.
    Special,
    /// A session is held, or the market has hours, and the calendar does not know which.
    Unknown,
}

impl DayKind {
    /// The word in JSON and on the screen.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ordinary => "ordinary",
            Self::Weekend => "weekend",
            Self::Holiday => "holiday",
            Self::Partial => "partial",
            Self::Special => "special",
            Self::Unknown => "unknown",
        }
    }
}

/// A phase of a day; seconds after India's midnight, `until` exclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PhaseHours {
    /// Which phase.
    pub phase: SessionType,
    /// Its first second, 0 to 86,399.
    pub from: u32,
    /// The first second after it, up to 86,400.
    pub until: u32,
}

impl fmt::Display for PhaseHours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}-{}", self.phase.name(), clock_text(self.from), clock_text(self.until))
    }
}

/// A second of the day as `09:15`, with seconds only where there are any.
pub(super) fn clock_text(second: u32) -> String {
    let (hours, minutes, seconds) = (second / 3_600, second / 60 % 60, second % 60);
    match seconds {
        0 => format!("{hours:02}:{minutes:02}"),
        _ => format!("{hours:02}:{minutes:02}:{seconds:02}"),
    }
}

/// What a market does on a day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MarketDay {
    /// Which market.
    pub market: Market,
    /// Which day.
    pub date: Date,
    /// What kind of day.
    pub kind: DayKind,
    /// Why it is not like the others, where a file says so.
    pub name: Option<Arc<str>>,
    /// Its phases in order; between them the market is closed. Empty when it is closed all day, or unknown.
    pub phases: Vec<PhaseHours>,
}

impl MarketDay {
    /// Whether there is regular trading at some time of the day; `None` when that is not known.
    pub fn trades(&self) -> Option<bool> {
        let regular = self.phases.iter().any(|phase| phase.phase == SessionType::Regular);
        (self.kind != DayKind::Unknown).then_some(regular)
    }
}

impl fmt::Display for MarketDay {
    /// The phases in one line, without market, date and name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            DayKind::Unknown => f.write_str("hours not known"),
            _ => write_phases(f, &self.phases),
        }
    }
}

pub(super) fn write_phases(f: &mut impl fmt::Write, phases: &[PhaseHours]) -> fmt::Result {
    if phases.is_empty() {
        return f.write_str("closed");
    }
    for (index, phase) in phases.iter().enumerate() {
        let comma = if index == 0 { "" } else { ", " };
        write!(f, "{comma}{phase}")?;
    }
    Ok(())
}

impl Calendar {
    /// What a market does on a day of India.
    pub fn day(&self, market: Market, date: Date) -> MarketDay {
        let day = days_of(date);
        let days = &self.markets[market as usize];
        let (kind, plan) = if self.always_open {
            let all = PhaseHours { phase: SessionType::Regular, from: 0, until: SECONDS_PER_DAY };
            (DayKind::Ordinary, vec![all])
        } else {
            let plan = days.plan(day).unwrap_or_default();
            (days.kind(day), phases_of(&plan))
        };
        let exception = days.exceptions.get(&day).filter(|_| !self.always_open);
        MarketDay { market, date, kind, name: exception.map(|found| Arc::clone(&found.name)), phases: plan }
    }

    /// The years of which this market's holidays are listed, rising. In any other year each weekday counts as a trading
    /// day.
    pub fn listed_years(&self, market: Market) -> Vec<i16> {
        let days = &self.markets[market as usize];
        let listed = days.exceptions.iter().filter(|(_, found)| {
            matches!(&found.special, Special::Closed)
                || matches!(found.special, Special::Within(from, until) if (from, until) != (0, SECONDS_PER_DAY))
        });
        let mut years: Vec<i16> = listed.map(|(day, _)| date_of(*day).year()).collect();
        years.dedup();
        years
    }
}

impl MarketDays {
    fn kind(&self, day: Day) -> DayKind {
        let Some((_, regime)) = self.regimes.range(..=day).next_back() else { return DayKind::Unknown };
        match self.exceptions.get(&day).map(|found| &found.special) {
            None if is_weekend(day) => DayKind::Weekend,
            None => DayKind::Ordinary,
            Some(Special::Closed) => DayKind::Holiday,
            Some(Special::Hours(_) | Special::Within(0, SECONDS_PER_DAY)) => DayKind::Special,
            // an exchange's half session can lie outside all hours of one of its markets
            Some(Special::Within(from, until)) if clip(regime.plan_of(day), *from, *until).is_empty() => {
                DayKind::Holiday
            }
            Some(Special::Within(..)) => DayKind::Partial,
            Some(Special::Unknown) => DayKind::Unknown,
        }
    }
}

pub(super) fn phases_of(plan: &Plan) -> Vec<PhaseHours> {
    plan.iter()
        .map(|stretch| PhaseHours { phase: stretch.phase, from: stretch.from, until: stretch.until })
        .collect()
}

/// The date of a day since 1970-01-01.
pub(super) fn date_of(day: Day) -> Date {
    Date::constant(1970, 1, 1).saturating_add(jiff::Span::new().days(day.clamp(0, 100_000)))
}
