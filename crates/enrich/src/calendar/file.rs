//! The format of a calendar file, checked: every fault is reported at once.

use super::{Day, Exception, Plan, Regime, Special, Stretch, days_of};
use crate::Market;
use serde::Deserialize;
use std::collections::BTreeMap;
use tickhouse_model::SessionType;

/// A file whose every part was understood.
#[derive(Debug)]
pub(super) struct CalendarFile {
    pub(super) hours: Vec<Hours>,
    pub(super) exceptions: Vec<(Vec<Market>, Day, Exception)>,
}

/// The hours of some markets from a day on.
#[derive(Debug)]
pub(super) struct Hours {
    pub(super) markets: Vec<Market>,
    pub(super) from: Day,
    pub(super) regime: Regime,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile {
    format: u32,
    /// The markets to which closed and special days apply, unless they name their own.
    markets: Vec<String>,
    #[serde(default)]
    hours: Vec<RawHours>,
    /// Date to name of the holiday.
    #[serde(default)]
    closed: BTreeMap<String, String>,
    #[serde(default)]
    within: Vec<RawWithin>,
    #[serde(default)]
    special: Vec<RawSpecial>,
}

/// The three phases as a file gives them, in the order of a day.
type RawPhases<'a> = [(SessionType, &'a [String]); 3];

const fn phases<'a>(
    pre_market: &'a [String],
    regular: &'a [String],
    post_market: &'a [String],
) -> RawPhases<'a> {
    [
        (SessionType::PreMarket, pre_market),
        (SessionType::Regular, regular),
        (SessionType::PostMarket, post_market),
    ]
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawHours {
    markets: Vec<String>,
    from: String,
    #[serde(default)]
    pre_market: Vec<String>,
    #[serde(default)]
    regular: Vec<String>,
    #[serde(default)]
    post_market: Vec<String>,
    #[serde(default)]
    season: Vec<RawSeason>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSeason {
    days: Vec<String>,
    #[serde(default)]
    pre_market: Vec<String>,
    #[serde(default)]
    regular: Vec<String>,
    #[serde(default)]
    post_market: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawWithin {
    hours: String,
    days: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSpecial {
    date: String,
    name: String,
    markets: Option<Vec<String>>,
    #[serde(default)]
    pre_market: Vec<String>,
    #[serde(default)]
    regular: Vec<String>,
    #[serde(default)]
    post_market: Vec<String>,
    #[serde(default)]
    hours_unknown: bool,
}

impl CalendarFile {
    pub(super) fn parse(text: &str) -> Result<Self, Vec<String>> {
        let raw: RawFile = toml::from_str(text).map_err(|error| vec![error.to_string()])?;
        let mut faults = Faults(Vec::new());
        if raw.format != 1 {
            faults.0.push(format!("format {} is not known: this version reads 1", raw.format));
        }
        let shared = faults.markets("markets", &raw.markets);
        let hours = raw.hours.iter().map(|hours| faults.hours(hours)).collect();
        let mut exceptions = Vec::new();
        for (date, name) in &raw.closed {
            exceptions.push((shared.clone(), faults.day("closed", date), named(name, Special::Closed)));
        }
        for within in &raw.within {
            let (from, until) = faults.stretch("within", &within.hours);
            for (date, name) in &within.days {
                let day = faults.day("within.days", date);
                exceptions.push((shared.clone(), day, named(name, Special::Within(from, until))));
            }
        }
        for special in &raw.special {
            let place = format!("special {}", special.date);
            let markets = special
                .markets
                .as_ref()
                .map_or_else(|| shared.clone(), |markets| faults.markets(&place, markets));
            let plan =
                faults.plan(&place, phases(&special.pre_market, &special.regular, &special.post_market));
            let what = match (special.hours_unknown, plan.is_empty()) {
                (true, true) => Special::Unknown,
                (false, true) => Special::Within(0, super::SECONDS_PER_DAY),
                (unknown, false) => {
                    if unknown {
                        faults.0.push(format!("{place}: has hours and calls them unknown"));
                    }
                    Special::Hours(plan)
                }
            };
            exceptions.push((markets, faults.day("special", &special.date), named(&special.name, what)));
        }
        if faults.0.is_empty() { Ok(Self { hours, exceptions }) } else { Err(faults.0) }
    }
}

fn named(name: &str, special: Special) -> Exception {
    Exception { name: name.into(), special }
}

/// Collects faults and goes on with a stand-in.
struct Faults(Vec<String>);

impl Faults {
    fn hours(&mut self, raw: &RawHours) -> Hours {
        let place = format!("hours from {}", raw.from);
        let plan = self.plan(&place, phases(&raw.pre_market, &raw.regular, &raw.post_market));
        let mut seasons = Vec::new();
        for season in &raw.season {
            let plan = self.plan(
                &format!("{place}, season"),
                phases(&season.pre_market, &season.regular, &season.post_market),
            );
            for range in &season.days {
                let (first, last) = range.split_once("..").unwrap_or((range, range));
                let (first, last) = (self.day(&place, first), self.day(&place, last));
                if first > last {
                    self.0.push(format!("{place}: the season {range} ends before it begins"));
                }
                seasons.push((first, last, plan.clone()));
            }
        }
        Hours {
            markets: self.markets(&place, &raw.markets),
            from: self.day("hours", &raw.from),
            regime: Regime { plan, seasons },
        }
    }

    fn markets(&mut self, place: &str, names: &[String]) -> Vec<Market> {
        let mut markets = Vec::new();
        for name in names {
            match Market::of_name(name) {
                Some(market) => markets.push(market),
                None => self.0.push(format!("{place}: `{name}` is no market")),
            }
        }
        markets
    }

    fn day(&mut self, place: &str, text: &str) -> Day {
        if let Ok(date) = text.trim().parse() {
            return days_of(date);
        }
        self.0.push(format!("{place}: `{text}` is no date like 2026-01-26"));
        0
    }

    fn plan(&mut self, place: &str, raw: RawPhases<'_>) -> Plan {
        let mut plan = Plan::new();
        for (phase, stretches) in raw {
            for text in stretches {
                let (from, until) = self.stretch(place, text);
                plan.push(Stretch { from, until, phase });
            }
        }
        plan.sort_by_key(|stretch| stretch.from);
        if plan.windows(2).any(|pair| pair[0].until > pair[1].from) {
            self.0.push(format!("{place}: phases overlap"));
        }
        plan
    }

    /// `09:15-15:30`, seconds allowed, 24:00 the end of the day.
    fn stretch(&mut self, place: &str, text: &str) -> (u32, u32) {
        let ends = text.split_once('-').map(|(from, until)| (second_of_day(from), second_of_day(until)));
        match ends {
            Some((Some(from), Some(until))) if from < until => (from, until),
            _ => {
                self.0.push(format!("{place}: `{text}` is no stretch of a day like 09:15-15:30"));
                (0, 0)
            }
        }
    }
}

fn second_of_day(text: &str) -> Option<u32> {
    let mut parts = text.trim().split(':');
    let mut part = |limit| parts.next()?.parse().ok().filter(|value: &u32| *value < limit);
    let (hour, minute) = (part(25)?, part(60)?);
    let second = match parts.next() {
        None => 0,
        Some(second) => second.parse().ok().filter(|second: &u32| *second < 60)?,
    };
    let total = hour * 3_600 + minute * 60 + second;
    (parts.next().is_none() && total <= super::SECONDS_PER_DAY).then_some(total)
}
