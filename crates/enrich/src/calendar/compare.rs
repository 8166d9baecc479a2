//! What one calendar says differently from another: what an override file changes.

use super::day::{date_of, phases_of, write_phases};
use super::{Calendar, Day, Plan, Regime};
use crate::Market;
use jiff::civil::Date;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// Something that a file laid over a calendar changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CalendarChange {
    /// The day, or the first day of the hours.
    pub date: Date,
    /// Whether it is the hours from this day on, else this day alone.
    pub lasts: bool,
    /// For whom.
    pub markets: Vec<Market>,
    /// Name of the day, empty for hours.
    pub name: String,
    /// What was said before.
    pub before: String,
    /// What is said now.
    pub after: String,
}

impl fmt::Display for CalendarChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { date, lasts, markets, name, before, after } = self;
        let from = if *lasts { "from " } else { "" };
        let markets: Vec<&str> = markets.iter().map(|market| market.name()).collect();
        let name = if name.is_empty() { String::new() } else { format!(" ({name})") };
        write!(f, "{from}{date} {}{name}: {before} -> {after}", markets.join(", "))
    }
}

impl Calendar {
    /// What this calendar says differently from `base`, by date. What both say alike is left out.
    pub fn changes_from(&self, base: &Self) -> Vec<CalendarChange> {
        // (day, whether it lasts, name, before, after) to the markets for which it is so
        let mut found: BTreeMap<(Day, bool, String, String, String), Vec<Market>> = BTreeMap::new();
        for market in Market::ALL {
            let (now, then) = (&self.markets[market as usize], &base.markets[market as usize]);
            for (day, regime) in &now.regimes {
                let before = then.regimes.range(..=*day).next_back().map(|(_, regime)| regime);
                let texts =
                    (before.map_or_else(|| "hours not known".to_owned(), hours_text), hours_text(regime));
                if before != Some(regime) {
                    found.entry((*day, true, String::new(), texts.0, texts.1)).or_default().push(market);
                }
            }
            for (day, exception) in &now.exceptions {
                let date = date_of(*day);
                let (before, after) = (base.day(market, date), self.day(market, date));
                if before.phases != after.phases || before.kind != after.kind {
                    let key =
                        (*day, false, exception.name.to_string(), before.to_string(), after.to_string());
                    found.entry(key).or_default().push(market);
                }
            }
        }
        found
            .into_iter()
            .map(|((day, lasts, name, before, after), markets)| CalendarChange {
                date: date_of(day),
                lasts,
                markets,
                name,
                before,
                after,
            })
            .collect()
    }

    /// Days from `from` on whose session's hours are not known, with their names and markets.
    pub fn unknown_from(&self, from: Date) -> Vec<(Date, Arc<str>, Vec<Market>)> {
        let mut found: BTreeMap<(Day, Arc<str>), Vec<Market>> = BTreeMap::new();
        for market in Market::ALL {
            let days = &self.markets[market as usize];
            for (day, exception) in days.exceptions.range(super::days_of(from)..) {
                if exception.special == super::Special::Unknown {
                    found.entry((*day, Arc::clone(&exception.name))).or_default().push(market);
                }
            }
        }
        found.into_iter().map(|((day, name), markets)| (date_of(day), name, markets)).collect()
    }
}

fn hours_text(regime: &Regime) -> String {
    let mut text = plan_text(&regime.plan);
    let others: std::collections::BTreeSet<String> =
        regime.seasons.iter().map(|(_, _, plan)| plan_text(plan)).collect();
    for other in others {
        text.push_str("; in a season ");
        text.push_str(&other);
    }
    text
}

fn plan_text(plan: &Plan) -> String {
    let mut text = String::new();
    write_phases(&mut text, &phases_of(plan)).expect("a string takes every text");
    text
}
