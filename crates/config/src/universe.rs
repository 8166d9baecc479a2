//! What to record, as rules: `[[universe]]` tables, and the entries of `kite.subscribe` as rules of their own.

use crate::fault::Origin;
use crate::reader::{Reader, Setting, based};
use crate::{Chosen, Selection};
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use tickhouse_model::Mode;
use toml::Value;

/// Priority of a rule that names none, and of the entries of `kite.subscribe`.
const ORDINARY: u64 = 100;

/// Keys of a rule's table.
const KEYS: [&str; 12] = [
    "name",
    "subscribe",
    "members",
    "pattern",
    "options",
    "futures",
    "exchanges",
    "strikes",
    "expiries",
    "spot",
    "mode",
    "priority",
];
const CHOICES: [&str; 5] = ["subscribe", "members", "pattern", "options", "futures"];

/// One rule of what to record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// As reports call it.
    pub name: String,
    /// Which instruments.
    pub choice: Choice,
    /// Only those of these exchanges or segments, by Kite's names; empty for the choice's own default.
    pub exchanges: Vec<String>,
    /// How much of each instrument.
    pub mode: Mode,
    /// 1 is kept before 2 when not everything fits; rules of one priority in the order of the file.
    pub priority: u16,
}

/// Which instruments a rule means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// Entries as of `kite.subscribe`.
    Subscribe(Vec<Selection>),
    /// The members of an index: a file as NSE publishes it, with a column `Symbol`. On NSE, unless exchanges are named.
    Members(PathBuf),
    /// Trading symbols that a regular expression finds.
    Pattern(String),
    /// Options around the money. On NFO and BFO, unless exchanges are named.
    Options {
        /// Kite's names of the underlyings (`NIFTY`); `*` for all.
        underlyings: Vec<String>,
        /// Strikes on either side of the one at the money.
        strikes: usize,
        /// The nearest so many expiries.
        expiries: usize,
        /// Whose price is the underlying's, where that is not the index or share of the same name.
        spot: Option<(String, String)>,
    },
    /// Futures. On NFO and BFO, unless exchanges are named.
    Futures {
        /// As of options.
        underlyings: Vec<String>,
        /// The nearest so many expiries; `None` for all.
        expiries: Option<usize>,
    },
}

/// What happens when the rules mean more instruments than the keys carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnExcess {
    /// Nothing is recorded, and everything that does not fit is named.
    Refuse,
    /// What has the lowest priority is left out, and named.
    DropLowest,
}

impl FromStr for OnExcess {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "refuse" => Ok(Self::Refuse),
            "drop_lowest" => Ok(Self::DropLowest),
            other => Err(format!("`{other}` is no answer to an excess: use refuse or drop_lowest")),
        }
    }
}

impl fmt::Display for OnExcess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Refuse => "refuse",
            Self::DropLowest => "drop_lowest",
        })
    }
}

/// All rules, and what `kite.subscribe` then is: its default counts only where there are no tables, and as a flag it is
/// all there is.
pub(crate) fn rules(
    reader: &mut Reader<'_>,
    subscribe: Vec<Selection>,
    mode: Mode,
) -> (Vec<Rule>, Vec<Selection>) {
    let (tables, origin) = reader.tables("universe");
    let subscribe = match reader.origin("kite.subscribe") {
        Origin::Flag(_) => return (of_entries(&subscribe, mode), subscribe),
        Origin::Default if !tables.is_empty() => Vec::new(),
        _ => subscribe,
    };
    let mut rules = of_entries(&subscribe, mode);
    for (index, table) in tables.into_iter().enumerate() {
        let prefix = format!("universe[{}]", index + 1);
        let mut read = RuleReader { reader: &mut *reader, table, prefix, origin: origin.clone() };
        rules.extend(read.rule(mode));
    }
    for (index, rule) in rules.iter().enumerate() {
        if rules[..index].iter().any(|earlier| earlier.name == rule.name)
            && !subscribe.iter().any(|entry| entry.to_string() == rule.name)
        {
            reader.fault("universe", origin.clone(), format!("two rules are called `{}`", rule.name));
        }
    }
    (rules, subscribe)
}

/// Each entry is a rule, so that what is named first is kept first.
fn of_entries(entries: &[Selection], mode: Mode) -> Vec<Rule> {
    let rule = |entry: &Selection| Rule {
        name: entry.to_string(),
        choice: Choice::Subscribe(vec![entry.clone()]),
        exchanges: Vec::new(),
        mode: entry.mode.unwrap_or(mode),
        priority: ORDINARY as u16,
    };
    entries.iter().map(rule).collect()
}

struct RuleReader<'r, 'a> {
    reader: &'r mut Reader<'a>,
    table: &'a toml::Table,
    prefix: String,
    origin: Origin,
}

impl RuleReader<'_, '_> {
    /// `None` when it has a fault, which is reported.
    fn rule(&mut self, default_mode: Mode) -> Option<Rule> {
        for key in self.table.keys().filter(|key| !KEYS.contains(&key.as_str())) {
            let problem = format!("no such key of a rule: there are {}", KEYS.join(", "));
            self.fault(key, problem);
        }
        let name = self.value("name", self.prefix.clone());
        let mode = self.table.get("mode").map_or(Some(default_mode), |value| {
            let mode = value.as_str().and_then(|text| text.parse().ok());
            if mode.is_none() {
                self.fault("mode", "must be ltp, quote or full".to_owned());
            }
            mode
        });
        let priority = self.number("priority", ORDINARY, 1..=1_000);
        let exchanges = self.value("exchanges", Vec::new());
        let choice = self.choice();
        Some(Rule { name, choice: choice?, exchanges, mode: mode?, priority: priority as u16 })
    }

    fn choice(&mut self) -> Option<Choice> {
        let given: Vec<&str> = CHOICES.into_iter().filter(|key| self.table.contains_key(*key)).collect();
        let [given] = given[..] else {
            let found = if given.is_empty() { "none".to_owned() } else { given.join(" and ") };
            self.fault("", format!("needs exactly one of {}, has {found}", CHOICES.join(", ")));
            return None;
        };
        let allowed: &[&str] = match given {
            "options" => &["strikes", "expiries", "spot"],
            "futures" => &["expiries"],
            _ => &[],
        };
        for key in ["strikes", "expiries", "spot"] {
            if self.table.contains_key(key) && !allowed.contains(&key) {
                self.fault(key, format!("means nothing beside `{given}`"));
            }
        }
        Some(match given {
            "subscribe" => Choice::Subscribe(self.selections()?),
            "members" => {
                let file: String = self.value("members", String::new());
                Choice::Members(based(&self.origin, &file))
            }
            "pattern" => Choice::Pattern(self.value("pattern", String::new())),
            "options" => Choice::Options {
                underlyings: self.value("options", Vec::new()),
                strikes: self.number("strikes", 20, 0..=1_000) as usize,
                expiries: self.number("expiries", 2, 1..=100) as usize,
                spot: self.spot(),
            },
            _ => {
                let all = !self.table.contains_key("expiries");
                let expiries = self.number("expiries", 1, 1..=100) as usize;
                Choice::Futures {
                    underlyings: self.value("futures", Vec::new()),
                    expiries: (!all).then_some(expiries),
                }
            }
        })
    }

    fn selections(&mut self) -> Option<Vec<Selection>> {
        let entries: Vec<String> = self.value("subscribe", Vec::new());
        let mut selections = Vec::with_capacity(entries.len());
        for entry in &entries {
            match entry.parse() {
                Ok(selection) => selections.push(selection),
                Err(error) => self.fault("subscribe", error),
            }
        }
        (selections.len() == entries.len()).then_some(selections)
    }

    fn spot(&mut self) -> Option<(String, String)> {
        let text: String = self.table.get("spot").map(|_| self.value("spot", String::new()))?;
        if let Ok(Selection { chosen: Chosen::Symbol(exchange, symbol), mode: None }) =
            text.parse::<Selection>()
        {
            return Some((exchange, symbol));
        }
        self.fault("spot", format!("`{text}` is no instrument: use EXCHANGE:SYMBOL, as NSE:NIFTY 50"));
        None
    }

    fn value<T: Setting>(&mut self, key: &str, default: T) -> T {
        let Some(value) = self.table.get(key) else { return default };
        T::from_toml(value).unwrap_or_else(|| {
            self.fault(key, format!("must be {}", T::EXPECTED));
            default
        })
    }

    fn number(&mut self, key: &str, default: u64, range: std::ops::RangeInclusive<u64>) -> u64 {
        let number = self.value(key, default);
        if range.contains(&number) {
            return number;
        }
        self.fault(key, format!("{number} is out of range: use {} to {}", range.start(), range.end()));
        default
    }

    fn fault(&mut self, key: &str, problem: String) {
        let dot = if key.is_empty() { "" } else { "." };
        let place = format!("{}{dot}{key}", self.prefix);
        self.reader.fault(&place, self.origin.clone(), problem);
    }
}

/// The tables of an array of tables; `None` for anything else.
pub(crate) fn tables_of(value: &Value) -> Option<Vec<&toml::Table>> {
    value.as_array()?.iter().map(Value::as_table).collect()
}
