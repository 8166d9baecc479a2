//! `tickhouse calendar`: which hours markets keep, and what one's own file changes.

use crate::arguments::Common;
use crate::{endpoints, output, setup};
use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use jiff::civil::Date;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use tickhouse_config::{CalendarSource, Config};
use tickhouse_enrich::{Calendar, DayKind, Market, MarketDay};

/// From this month on the next year's holidays are missed: exchanges print them in December.
const MISSED_FROM: i8 = 11;

/// Which hours markets keep on which days.
#[derive(Debug, Args)]
pub(crate) struct CalendarCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Hours of a day, or the days of a month or year that are not like the others
    Show(Show),
    /// Check one's own calendar file, and that holidays are listed far enough ahead
    Check {
        /// The file [default: instruments.calendar]
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
        /// One JSON object
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Args)]
struct Show {
    /// An exchange or a market: NSE, NFO, NSE-CAS, MCX, … [default: all]
    #[arg(long, value_name = "NAME")]
    exchange: Option<String>,
    /// The day, as 2026-11-20 [default: today in India]
    #[arg(long, value_name = "DATE")]
    date: Option<Date>,
    /// A month, as 2026-11
    #[arg(long, value_name = "MONTH", value_parser = month, conflicts_with = "date")]
    month: Option<Date>,
    /// A year
    #[arg(long, value_name = "YEAR", value_parser = clap::value_parser!(i16).range(2000..2100), conflicts_with_all = ["date", "month"])]
    year: Option<i16>,
    /// Every market's every day with its phases, as one JSON object
    #[arg(long)]
    json: bool,
}

fn month(text: &str) -> Result<Date, String> {
    format!("{text}-01").parse().map_err(|_| "use YEAR-MONTH, as 2026-11".to_owned())
}

pub(crate) fn run(common: &Common, command: &CalendarCommand) -> anyhow::Result<()> {
    let config = setup::config(common)?;
    match &command.action {
        Action::Show(show) => run_show(&config, show),
        Action::Check { file, json } => check(&config, file.as_deref(), *json),
    }
}

/// Today in India, by the configured clock.
fn today(config: &Config) -> anyhow::Result<Date> {
    config.clock.now().ist().date_text().parse().context("the clock shows no date")
}

fn run_show(config: &Config, show: &Show) -> anyhow::Result<()> {
    let markets = markets(show.exchange.as_deref())?;
    let calendar = endpoints::calendar(config)?;
    let (first, last) = match (show.month, show.year) {
        (Some(month), _) => (month.first_of_month(), month.last_of_month()),
        (None, Some(year)) => (Date::constant(year, 1, 1), Date::constant(year, 12, 31)),
        (None, None) => {
            let day = show.date.map_or_else(|| today(config), Ok)?;
            (day, day)
        }
    };
    let days: Vec<MarketDay> = first
        .series(jiff::Span::new().days(1))
        .take_while(|date| *date <= last)
        .flat_map(|date| markets.iter().map(move |market| (*market, date)))
        .map(|(market, date)| calendar.day(market, date))
        .collect();
    if show.json {
        let days: Vec<Value> = days.iter().map(day_json).collect();
        return output::json(&json!({ "calendar": source(config), "days": days }));
    }
    let one_day = first == last;
    let mut lines = 0;
    for (day, names) in groups(&days) {
        if one_day || !matches!(day.kind, DayKind::Ordinary | DayKind::Weekend) {
            output::line(&line_of(day, &names))?;
            lines += 1;
        }
    }
    if lines == 0 {
        output::line("only ordinary days and weekends")?;
    }
    Ok(())
}

/// Days that are alike, next to each other, with the markets that have them.
fn groups(days: &[MarketDay]) -> Vec<(&MarketDay, Vec<&'static str>)> {
    let mut groups: Vec<(&MarketDay, Vec<&'static str>)> = Vec::new();
    for day in days {
        let alike = |other: &&mut (&MarketDay, Vec<_>)| {
            let other = other.0;
            (other.date, other.kind, &other.name, &other.phases)
                == (day.date, day.kind, &day.name, &day.phases)
        };
        match groups.iter_mut().rev().take_while(|other| other.0.date == day.date).find(alike) {
            Some((_, names)) => names.push(day.market.name()),
            None => groups.push((day, vec![day.market.name()])),
        }
    }
    groups
}

fn line_of(day: &MarketDay, markets: &[&str]) -> String {
    let why = match (&day.name, day.kind) {
        (Some(name), _) => format!("  ({name})"),
        (None, DayKind::Weekend) => "  (weekend)".to_owned(),
        (None, _) => String::new(),
    };
    format!("{} {}  {}{why}\n    {}", day.date, weekday(day.date), markets.join(" "), day)
}

fn weekday(date: Date) -> String {
    date.strftime("%a").to_string()
}

fn day_json(day: &MarketDay) -> Value {
    let clock = |second: u32| format!("{:02}:{:02}:{:02}", second / 3_600, second / 60 % 60, second % 60);
    let phases: Vec<Value> = day
        .phases
        .iter()
        .map(|phase| {
            json!({ "phase": phase.phase.name(), "from": clock(phase.from), "until": clock(phase.until) })
        })
        .collect();
    json!({
        "date": day.date,
        "weekday": weekday(day.date),
        "market": day.market.name(),
        "kind": day.kind.name(),
        "name": day.name.as_deref(),
        "trades": day.trades(),
        "phases": phases,
    })
}

fn source(config: &Config) -> Value {
    match &config.instruments.calendar {
        CalendarSource::Builtin => json!("builtin"),
        CalendarSource::AlwaysOpen => json!("always_open"),
        CalendarSource::File(path) => json!(path),
    }
}

/// Those whose name is this, or begins with it and a dash; without a name all that have hours.
fn markets(name: Option<&str>) -> anyhow::Result<Vec<Market>> {
    let all = Market::ALL.into_iter().filter(|market| *market != Market::Other);
    let Some(wanted) = name else { return Ok(all.collect()) };
    let wanted = wanted.to_uppercase();
    let rest_of = |market: &Market| market.name().strip_prefix(wanted.as_str());
    let found: Vec<Market> = all
        .clone()
        .filter(|market| rest_of(market).is_some_and(|rest| rest.is_empty() || rest.starts_with('-')))
        .collect();
    if found.is_empty() {
        let names: Vec<&str> = all.map(Market::name).collect();
        bail!("no exchange `{wanted}`: use the beginning of one of {}", names.join(", "));
    }
    Ok(found)
}

fn check(config: &Config, file: Option<&Path>, as_json: bool) -> anyhow::Result<()> {
    let file = file.or(match &config.instruments.calendar {
        CalendarSource::File(path) => Some(path.as_path()),
        CalendarSource::Builtin | CalendarSource::AlwaysOpen => None,
    });
    let mut calendar = Calendar::clone(&Calendar::builtin());
    let mut faults = Vec::new();
    if let Some(path) = file {
        let text =
            std::fs::read_to_string(path).with_context(|| format!("{} can't be read", path.display()))?;
        if let Err(error) = calendar.merge_toml(&path.display().to_string(), &text) {
            faults = error.faults;
        }
    }
    let changes: Vec<String> =
        calendar.changes_from(&Calendar::builtin()).iter().map(ToString::to_string).collect();
    let today = today(config)?;
    let missing = unlisted(&calendar, today.year());
    let mut warnings = Vec::new();
    if today.month() >= MISSED_FROM {
        warnings.extend(missing_text(today.year() + 1, &unlisted(&calendar, today.year() + 1)));
    }
    for (date, name, markets) in calendar.unknown_from(today) {
        warnings.push(format!("{date} {}: the hours of `{name}` are not known", join(&markets)));
    }
    faults.extend(missing_text(today.year(), &missing));
    if as_json {
        let report = json!({
            "file": file, "valid": faults.is_empty(), "faults": faults, "changes": changes, "warnings": warnings,
        });
        output::json(&report)?;
    } else {
        let name = file.map_or_else(|| "built in".to_owned(), |path| path.display().to_string());
        output::line(&format!("calendar: {name}, {} changes of what is built in", changes.len()))?;
        let marked = |mark: &str, lines: &[String]| {
            lines.iter().try_for_each(|line| output::line(&format!("  {mark}{line}")))
        };
        marked("", &changes)?;
        marked("warning: ", &warnings)?;
        marked("fault: ", &faults)?;
    }
    if !faults.is_empty() {
        bail!("the calendar has {} faults", faults.len());
    }
    Ok(())
}

/// Markets whose holidays of this year nobody has listed.
fn unlisted(calendar: &Calendar, year: i16) -> Vec<Market> {
    let markets = Market::ALL.into_iter().filter(|market| *market != Market::Other);
    markets.filter(|market| !calendar.lists_year(*market, year)).collect()
}

fn missing_text(year: i16, markets: &[Market]) -> Option<String> {
    (!markets.is_empty()).then(|| {
        format!(
            "no holidays of {year} are listed for {}: every weekday counts as a trading day; upgrade, or lay a file over \
             (instruments.calendar) once the exchanges have printed them",
            join(markets)
        )
    })
}

fn join(markets: &[Market]) -> String {
    if markets.len() == Market::COUNT - 1 {
        return "any market".to_owned();
    }
    markets.iter().map(|market| market.name()).collect::<Vec<_>>().join(", ")
}
