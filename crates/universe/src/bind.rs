//! Rules bound to the instruments of a day: what does not depend on prices is found once.

use crate::chain::{Chain, Ladder, Strike};
use crate::members::read_members;
use regex::{Regex, RegexBuilder};
use rustc_hash::FxHashMap;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use tickhouse_config::{Choice, Chosen, Rule, Selection};
use tickhouse_enrich::{InstrumentRef, InstrumentTable};
use tickhouse_model::{InstrumentKind, Mode, Token};

/// Where derivatives are looked for when a rule names no exchange.
const DERIVATIVES: [&str; 2] = ["NFO", "BFO"];

/// Most memory of a compiled pattern, bytes.
const PATTERN_SIZE: usize = 1 << 20;

/// How many missing names a notice lists.
const NAMED: usize = 5;

/// Rules that can't be used, all of them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the universe has {} fault(s): {}", faults.len(), faults.join("; "))]
pub struct UniverseError {
    /// Each with the name of its rule.
    pub faults: Vec<String>,
}

/// The rules of a day.
#[derive(Debug)]
pub struct Universe {
    pub(crate) rules: Vec<BoundRule>,
    pub(crate) notices: Vec<String>,
}

#[derive(Debug)]
pub(crate) struct BoundRule {
    pub(crate) name: String,
    pub(crate) priority: u16,
    pub(crate) part: Part,
}

#[derive(Debug)]
pub(crate) enum Part {
    /// Whatever prices do.
    Fixed(Vec<(Token, Mode)>),
    /// Windows of so many strikes on either side.
    Around { chains: Vec<Chain>, strikes: usize, mode: Mode },
}

impl Universe {
    /// Finds what the rules mean among the instruments of a day (`today`: days since 1970-01-01 in India; contracts that
    /// expired before it are passed over). `read` reads a file of members. Rules come out in the order of their worth.
    ///
    /// # Errors
    /// With everything that makes a rule unusable: a pattern that is none, a file that can't be read. A rule that finds
    /// nothing is a notice, see [`Universe::notices`].
    pub fn bind(
        rules: &[Rule],
        table: &InstrumentTable,
        today: i32,
        read: impl Fn(&Path) -> std::io::Result<String>,
    ) -> Result<Self, UniverseError> {
        let mut binder = Binder {
            table,
            today: u16::try_from(today).unwrap_or(0),
            names: None,
            faults: Vec::new(),
            notices: Vec::new(),
            rule: String::new(),
        };
        let mut bound = Vec::with_capacity(rules.len());
        for rule in rules {
            binder.rule.clone_from(&rule.name);
            let part = binder.part(rule, &read);
            bound.push(BoundRule { name: rule.name.clone(), priority: rule.priority, part });
        }
        let Binder { faults, notices, .. } = binder;
        if !faults.is_empty() {
            return Err(UniverseError { faults });
        }
        // stable: rules of one priority stay in the order of the file
        bound.sort_by_key(|rule| rule.priority);
        Ok(Self { rules: bound, notices })
    }

    /// What is odd about the rules on this day: a rule that finds nothing, members that are not listed.
    pub fn notices(&self) -> &[String] {
        &self.notices
    }

    /// The tokens whose prices decide where the money is, rising. They are subscribed with their rule.
    pub fn spots(&self) -> Vec<Token> {
        let tokens: BTreeSet<Token> = self.chains().map(|chain| chain.spot).collect();
        tokens.into_iter().collect()
    }

    /// Most instruments that the rules can mean while the day lasts, whatever prices do; somewhat too many where rules
    /// overlap.
    pub fn most(&self) -> usize {
        let mut fixed = BTreeSet::new();
        let mut around = 0;
        for rule in &self.rules {
            match &rule.part {
                Part::Fixed(tokens) => fixed.extend(tokens.iter().map(|(token, _)| *token)),
                Part::Around { chains, strikes, .. } => {
                    let ladders = chains.iter().flat_map(|chain| &chain.ladders);
                    around += ladders.map(|ladder| ladder.most(*strikes)).sum::<usize>() + chains.len();
                }
            }
        }
        fixed.len() + around
    }

    /// Takes over where the money was, so that another master of the same contracts moves nothing.
    pub fn inherit(&mut self, before: &Self) {
        let old: FxHashMap<(&str, Token, u16), &Ladder> = before
            .chains()
            .flat_map(|chain| {
                chain
                    .ladders
                    .iter()
                    .map(|ladder| ((chain.underlying.as_str(), chain.spot, ladder.expiry_days), ladder))
            })
            .collect();
        for chain in self.chains_mut() {
            for ladder in &mut chain.ladders {
                if let Some(before) = old.get(&(chain.underlying.as_str(), chain.spot, ladder.expiry_days)) {
                    ladder.inherit(before);
                }
            }
        }
    }

    pub(crate) fn chains(&self) -> impl Iterator<Item = &Chain> {
        self.rules.iter().flat_map(|rule| match &rule.part {
            Part::Fixed(_) => &[][..],
            Part::Around { chains, .. } => chains,
        })
    }

    pub(crate) fn chains_mut(&mut self) -> impl Iterator<Item = &mut Chain> {
        self.rules.iter_mut().flat_map(|rule| match &mut rule.part {
            Part::Fixed(_) => &mut [][..],
            Part::Around { chains, .. } => chains,
        })
    }
}

struct Binder<'a> {
    table: &'a InstrumentTable,
    today: u16,
    /// Exchange and trading symbol to the place in the table; made when it is first needed.
    names: Option<FxHashMap<(&'a str, &'a str), InstrumentRef>>,
    faults: Vec<String>,
    notices: Vec<String>,
    /// The rule that is being bound.
    rule: String,
}

impl<'a> Binder<'a> {
    fn part(&mut self, rule: &Rule, read: &impl Fn(&Path) -> std::io::Result<String>) -> Part {
        let mode = rule.mode;
        let tokens = match &rule.choice {
            Choice::Subscribe(entries) => {
                let tokens = entries.iter().flat_map(|entry| self.selected(entry, rule)).collect();
                return self.fixed(tokens);
            }
            Choice::Members(path) => {
                let text = read(path).map_err(|error| error.to_string());
                match text.and_then(|text| read_members(&text).map_err(|error| error.to_string())) {
                    Ok(symbols) => self.members(&symbols, rule),
                    Err(error) => {
                        self.fault(&format!("{}: {error}", path.display()));
                        Vec::new()
                    }
                }
            }
            Choice::Pattern(pattern) => match RegexBuilder::new(pattern).size_limit(PATTERN_SIZE).build() {
                Ok(pattern) => self.matching(&pattern, rule),
                Err(error) => {
                    self.fault(&format!("`{pattern}` is no pattern: {error}"));
                    Vec::new()
                }
            },
            Choice::Futures { underlyings, expiries } => self.futures(underlyings, *expiries, rule),
            Choice::Options { underlyings, strikes, expiries, spot } => {
                let chains = self.options(underlyings, *expiries, spot.as_ref(), rule);
                return Part::Around { chains, strikes: *strikes, mode };
            }
        };
        self.fixed(tokens.into_iter().map(|token| (token, mode)).collect())
    }

    fn fixed(&mut self, tokens: Vec<(Token, Mode)>) -> Part {
        if tokens.is_empty()
            && !self.faults.iter().any(|fault| fault.starts_with(&format!("{}: ", self.rule)))
        {
            self.notice("selects no instrument of this day");
        }
        Part::Fixed(tokens)
    }

    fn selected(&mut self, entry: &Selection, rule: &Rule) -> Vec<(Token, Mode)> {
        let mode = entry.mode.unwrap_or(rule.mode);
        let instruments: Vec<InstrumentRef> = match &entry.chosen {
            // not looked up: a token may be wanted that the master does not have
            Chosen::Token(token) => return vec![(*token, mode)],
            Chosen::Symbol(exchange, symbol) => self.named(exchange, symbol).into_iter().collect(),
            Chosen::All => self.table.iter().collect(),
            Chosen::Exchange(name) => {
                let is_there = |found: &InstrumentRef| self.is_of(found, name);
                self.table.iter().filter(is_there).collect()
            }
        };
        let within: Vec<_> = instruments
            .into_iter()
            .filter(|found| self.is_within(found, &rule.exchanges, &[]))
            .map(|found| (found.token, mode))
            .collect();
        if within.is_empty() {
            self.notice(&format!("{entry} is not listed on this day"));
        }
        within
    }

    fn members(&mut self, symbols: &[String], rule: &Rule) -> Vec<Token> {
        let mut missing = Vec::new();
        let mut found = Vec::new();
        let exchanges =
            if rule.exchanges.is_empty() { vec!["NSE".to_owned()] } else { rule.exchanges.clone() };
        for symbol in symbols {
            let before = found.len();
            for exchange in &exchanges {
                found.extend(self.named(exchange, symbol).map(|instrument| instrument.token));
            }
            if found.len() == before {
                missing.push(symbol.as_str());
            }
        }
        if !missing.is_empty() {
            let first = missing[..missing.len().min(NAMED)].join(", ");
            self.notice(&format!("{} of {} members are not listed: {first}", missing.len(), symbols.len()));
        }
        found
    }

    fn matching(&self, pattern: &Regex, rule: &Rule) -> Vec<Token> {
        self.table
            .iter()
            .filter(|found| self.is_within(found, &rule.exchanges, &[]))
            .filter(|found| pattern.is_match(self.table.text(found.tradingsymbol)))
            .map(|found| found.token)
            .collect()
    }

    fn futures(&mut self, underlyings: &[String], expiries: Option<usize>, rule: &Rule) -> Vec<Token> {
        let mut by_underlying: BTreeMap<(&str, &str), BTreeMap<u16, Vec<Token>>> = BTreeMap::new();
        for found in self.live(&rule.exchanges, &[InstrumentKind::Future]) {
            let key = (self.table.text(found.underlying), self.table.text(found.exchange));
            by_underlying.entry(key).or_default().entry(found.expiry_days).or_default().push(found.token);
        }
        by_underlying.retain(|(underlying, _), _| is_wanted(underlyings, underlying));
        self.missing(underlyings, by_underlying.keys().map(|(underlying, _)| *underlying), "futures");
        let nearest = expiries.unwrap_or(usize::MAX);
        by_underlying
            .into_values()
            .flat_map(|contracts| contracts.into_values().take(nearest).flatten())
            .collect()
    }

    fn options(
        &mut self,
        underlyings: &[String],
        expiries: usize,
        spot: Option<&(String, String)>,
        rule: &Rule,
    ) -> Vec<Chain> {
        type Ladders = BTreeMap<u16, BTreeMap<u64, Vec<Token>>>;
        let mut by_underlying: BTreeMap<(&'a str, &'a str), Ladders> = BTreeMap::new();
        for found in self.live(&rule.exchanges, &[InstrumentKind::Call, InstrumentKind::Put]) {
            let key = (self.table.text(found.underlying), self.table.text(found.exchange));
            if is_wanted(underlyings, key.0) && found.strike > 0.0 {
                let ladder = by_underlying.entry(key).or_default().entry(found.expiry_days).or_default();
                // positive doubles are ordered as their bits
                ladder.entry(found.strike.to_bits()).or_default().push(found.token);
            }
        }
        self.missing(underlyings, by_underlying.keys().map(|(underlying, _)| *underlying), "options");
        let mut chains = Vec::new();
        for ((underlying, exchange), ladders) in by_underlying {
            let token = match spot {
                Some((exchange, symbol)) => self.named(exchange, symbol).map(|found| found.token),
                None => self.spot_of(underlying, exchange),
            };
            let Some(spot) = token else {
                self.notice(&format!(
                    "no index, share or future tells the price of {underlying}: name it with `spot`"
                ));
                continue;
            };
            let ladders = ladders.into_iter().take(expiries).map(|(expiry_days, strikes)| {
                let strike = |(bits, tokens)| Strike { price: f64::from_bits(bits), tokens };
                Ladder::new(expiry_days, strikes.into_iter().map(strike).collect())
            });
            let ladders = ladders.collect();
            chains.push(Chain { underlying: underlying.to_owned(), spot, ladders, price: None });
        }
        chains
    }

    /// Whose price is that of an underlying: the index of that name, else the share, else the nearest future beside the
    /// options.
    fn spot_of(&mut self, underlying: &str, exchange: &str) -> Option<Token> {
        self.make_names();
        let cash = if exchange == "BFO" { "BSE" } else { "NSE" };
        let index = self.table.iter().find(|found| {
            found.kind == InstrumentKind::Index
                && self.table.text(found.exchange) == cash
                && self.table.text(found.symbol) == underlying
        });
        let share = || {
            let is_share = |found: &InstrumentRef| found.kind == InstrumentKind::Equity;
            self.names()
                .get(&(cash, underlying))
                .or_else(|| self.names().get(&("NSE", underlying)))
                .copied()
                .filter(is_share)
        };
        let shares = DERIVATIVES.contains(&exchange);
        let found = index.or_else(|| if shares { share() } else { None });
        let future = || {
            let here = [exchange.to_owned()];
            let futures = self.live(&here, &[InstrumentKind::Future]);
            futures
                .filter(|found| self.table.text(found.underlying) == underlying)
                .min_by_key(|found| (found.expiry_days, found.token))
        };
        found.or_else(future).map(|found| found.token)
    }

    /// Contracts of these kinds that have not expired.
    fn live<'s>(
        &'s self,
        exchanges: &'s [String],
        kinds: &'s [InstrumentKind],
    ) -> impl Iterator<Item = InstrumentRef> + use<'a, 's> {
        self.table.iter().filter(|found| {
            kinds.contains(&found.kind)
                && found.expiry_days >= self.today
                && self.is_within(found, exchanges, &DERIVATIVES)
        })
    }

    fn is_within(&self, found: &InstrumentRef, exchanges: &[String], default: &[&str]) -> bool {
        if exchanges.is_empty() {
            return default.is_empty() || default.contains(&self.table.text(found.exchange));
        }
        exchanges.iter().any(|name| self.is_of(found, name))
    }

    fn is_of(&self, found: &InstrumentRef, name: &str) -> bool {
        self.table.text(found.exchange) == name || self.table.text(found.segment) == name
    }

    fn named(&mut self, exchange: &str, symbol: &str) -> Option<InstrumentRef> {
        self.make_names();
        self.names().get(&(exchange, symbol)).copied()
    }

    fn make_names(&mut self) {
        if self.names.is_none() {
            let table = self.table;
            let name = |found: &InstrumentRef| (table.text(found.exchange), table.text(found.tradingsymbol));
            self.names = Some(table.iter().map(|found| (name(&found), found)).collect());
        }
    }

    fn names(&self) -> &FxHashMap<(&'a str, &'a str), InstrumentRef> {
        self.names.as_ref().expect("every way here made it")
    }

    fn missing<'s>(&mut self, wanted: &[String], found: impl Iterator<Item = &'s str>, what: &str) {
        let found: BTreeSet<&str> = found.collect();
        let absent: Vec<&str> =
            wanted.iter().map(String::as_str).filter(|name| *name != "*" && !found.contains(name)).collect();
        if !absent.is_empty() {
            self.notice(&format!("there are no {what} of {} on this day", absent.join(", ")));
        } else if found.is_empty() {
            self.notice(&format!("there are no {what} on this day"));
        }
    }

    fn fault(&mut self, problem: &str) {
        self.faults.push(format!("{}: {problem}", self.rule));
    }

    fn notice(&mut self, text: &str) {
        self.notices.push(format!("{}: {text}", self.rule));
    }
}

fn is_wanted(underlyings: &[String], underlying: &str) -> bool {
    underlyings.iter().any(|wanted| wanted == "*" || wanted == underlying)
}
