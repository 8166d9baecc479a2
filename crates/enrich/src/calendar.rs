//! Which hours a market keeps on which day, from dated files.
//!
//! The files are `calendar/*.toml`, embedded; their format is described in `calendar/README.md`. A user's own file in the
//! same format is merged over them, for holidays that are declared at short notice. What no file says is *regular*:
//! a tick must not be called closed because we know nothing of its market.

mod compare;
mod day;
mod file;

pub use compare::CalendarChange;
pub use day::{DayKind, MarketDay, PhaseHours};

use crate::{Market, SessionSpan};
use file::{CalendarFile, Hours};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, LazyLock};
use tickhouse_model::SessionType;
use tickhouse_model::{IST_OFFSET_SECONDS, Timestamp};

const SECONDS_PER_DAY: u32 = 86_400;
const NANOS_PER_SECOND: i64 = 1_000_000_000;

const BUILTIN: [(&str, &str); 3] = [
    ("calendar/equity.toml", include_str!("../calendar/equity.toml")),
    ("calendar/currency.toml", include_str!("../calendar/currency.toml")),
    ("calendar/commodity.toml", include_str!("../calendar/commodity.toml")),
];

/// A calendar file with everything that is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct CalendarError {
    /// Which file.
    pub file: String,
    /// Every fault, each with its place.
    pub faults: Vec<String>,
}

impl fmt::Display for CalendarError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the calendar {} is not usable: {}", self.file, self.faults.join("; "))
    }
}

/// Days since 1970-01-01.
type Day = i32;

/// The phases of one day, in order, without overlap; between them the market is closed.
type Plan = Vec<Stretch>;

/// A phase from one second of the day up to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stretch {
    from: u32,
    until: u32,
    phase: SessionType,
}

/// What is special about a day.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Special {
    /// A holiday.
    Closed,
    /// The ordinary hours, also on a weekend, as far as they lie within these seconds of the day.
    Within(u32, u32),
    /// Hours of its own.
    Hours(Plan),
    /// A session was held, but its hours are not known.
    Unknown,
}

/// A day that is not like the others.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Exception {
    /// As its file calls it.
    name: Arc<str>,
    special: Special,
}

/// The hours from a day on.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Regime {
    plan: Plan,
    /// Other hours within ranges of days, first and last included: the US daylight saving time of MCX.
    seasons: Vec<(Day, Day, Plan)>,
}

#[derive(Clone, Debug, Default)]
struct MarketDays {
    regimes: BTreeMap<Day, Regime>,
    exceptions: BTreeMap<Day, Exception>,
}

/// The hours of all markets.
#[derive(Clone, Debug)]
pub struct Calendar {
    markets: Vec<MarketDays>,
    always_open: bool,
}

impl Calendar {
    /// A calendar that knows nothing: everything is regular.
    pub fn empty() -> Self {
        Self { markets: vec![MarketDays::default(); Market::COUNT], always_open: false }
    }

    /// The calendar that comes with the program.
    pub fn builtin() -> Arc<Self> {
        static CALENDAR: LazyLock<Arc<Calendar>> = LazyLock::new(|| {
            let mut calendar = Calendar::empty();
            for (file, text) in BUILTIN {
                calendar.merge_toml(file, text).expect("a test reads the embedded calendar");
            }
            Arc::new(calendar)
        });
        Arc::clone(&CALENDAR)
    }

    /// A calendar of markets that are in regular trading at any time: the demo's.
    pub fn always_open() -> Self {
        Self { always_open: true, ..Self::empty() }
    }

    /// Lays a file over this calendar: hours from the same day on and special days of the same date are replaced. `file`
    /// is named in errors.
    ///
    /// # Errors
    /// With every fault of the file; then nothing has changed.
    pub fn merge_toml(&mut self, file: &str, text: &str) -> Result<(), CalendarError> {
        let read =
            CalendarFile::parse(text).map_err(|faults| CalendarError { file: file.to_owned(), faults })?;
        for Hours { markets, from, regime } in read.hours {
            for market in markets {
                self.markets[market as usize].regimes.insert(from, regime.clone());
            }
        }
        for (markets, day, exception) in read.exceptions {
            for market in markets {
                self.markets[market as usize].exceptions.insert(day, exception.clone());
            }
        }
        Ok(())
    }

    /// The phase of a market's day at an instant. Looks the day up; per tick use a [`SessionClock`](crate::SessionClock).
    pub fn session(&self, market: Market, at: Timestamp) -> SessionType {
        self.span(market, at).phase
    }

    /// Whether regular trading is known to be on, so that data must flow: for watchdogs. `false` where hours are not
    /// known, for an alarm at night would reconnect a healthy socket for ever.
    pub fn in_session(&self, market: Market, at: Timestamp) -> bool {
        let span = self.span(market, at);
        span.known && span.phase == SessionType::Regular
    }

    /// Whether holidays of this market are listed for this year. Where they are not, every weekday counts as a trading
    /// day.
    pub fn lists_year(&self, market: Market, year: i16) -> bool {
        self.listed_years(market).contains(&year)
    }

    /// The stretch around `at` in which the market's phase does not change.
    pub fn span(&self, market: Market, at: Timestamp) -> SessionSpan {
        let day = at.ist().days_since_epoch;
        let second = at.ist().second_of_day;
        let mut span = Stretch { from: 0, until: SECONDS_PER_DAY, phase: SessionType::Regular };
        let plan = if self.always_open { None } else { self.markets[market as usize].plan(day) };
        if let Some(plan) = &plan {
            span.phase = SessionType::Closed;
            for stretch in plan {
                if second >= stretch.until {
                    span.from = stretch.until;
                } else if second >= stretch.from {
                    span = *stretch;
                    break;
                } else {
                    span.until = stretch.from;
                    break;
                }
            }
        }
        SessionSpan {
            from: instant(day, span.from),
            until: instant(day, span.until),
            phase: span.phase,
            known: plan.is_some() || self.always_open,
        }
    }
}

impl MarketDays {
    /// The phases of a day, `None` when they are not known.
    fn plan(&self, day: Day) -> Option<Plan> {
        let (_, regime) = self.regimes.range(..=day).next_back()?;
        let ordinary = regime.plan_of(day);
        match self.exceptions.get(&day).map(|found| &found.special) {
            None if is_weekend(day) => Some(Plan::new()),
            None => Some(ordinary.clone()),
            Some(Special::Closed) => Some(Plan::new()),
            Some(Special::Hours(plan)) => Some(plan.clone()),
            Some(Special::Within(from, until)) => Some(clip(ordinary, *from, *until)),
            Some(Special::Unknown) => None,
        }
    }
}

impl Regime {
    /// The ordinary hours of a day.
    fn plan_of(&self, day: Day) -> &Plan {
        let season = self.seasons.iter().find(|(first, last, _)| (*first..=*last).contains(&day));
        season.map_or(&self.plan, |(_, _, plan)| plan)
    }
}

fn clip(plan: &Plan, from: u32, until: u32) -> Plan {
    plan.iter()
        .map(|stretch| Stretch { from: stretch.from.max(from), until: stretch.until.min(until), ..*stretch })
        .filter(|stretch| stretch.from < stretch.until)
        .collect()
}

/// 1970-01-01 was a Thursday.
const fn is_weekend(day: Day) -> bool {
    matches!((day + 3).rem_euclid(7), 5 | 6)
}

/// The instant at which a second of a day begins in India; saturates at the ends of [`Timestamp`].
fn instant(day: Day, second: u32) -> Timestamp {
    let seconds = i64::from(day) * i64::from(SECONDS_PER_DAY) + i64::from(second) - IST_OFFSET_SECONDS;
    Timestamp::from_nanos(seconds.saturating_mul(NANOS_PER_SECOND))
}

/// Days since 1970-01-01.
pub(crate) fn days_of(date: jiff::civil::Date) -> Day {
    let epoch = jiff::civil::Date::constant(1970, 1, 1);
    (date.duration_since(epoch).as_hours() / 24) as Day
}

#[cfg(test)]
mod tests;
