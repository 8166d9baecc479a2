//! Rules, prices and capacity into the instruments that are recorded, in the order of their worth.

use crate::bind::{Part, Universe};
use crate::chain::Ladder;
use crate::report::{AtTheMoney, RuleReport, write_rules};
use rustc_hash::FxHashMap;
use serde::Serialize;
use std::fmt;
use tickhouse_model::{Mode, Token};

/// How many of those left out are kept by name.
const NAMED: usize = 5;

/// An instrument to record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Wanted {
    /// Which.
    pub token: Token,
    /// How much of it: as the first rule that names it says. One that is only there for its price has ltp.
    pub mode: Mode,
}

/// What is to be recorded now.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Resolution {
    /// What fits, the most worthy first.
    pub wanted: Vec<Wanted>,
    /// What does not fit.
    pub left_out: usize,
    /// The first of them.
    pub first_left_out: Vec<Token>,
    /// Instruments that the keys carry.
    pub capacity: usize,
    /// Each rule, the most worthy first.
    pub rules: Vec<RuleReport>,
}

impl Universe {
    /// Moves the money to where the prices are; whether it moved anywhere, so that resolving again can change something.
    pub fn follow(&mut self, price: impl Fn(Token) -> Option<f64>) -> bool {
        let mut moved = false;
        for chain in self.chains_mut() {
            moved |= chain.follow(price(chain.spot));
        }
        moved
    }

    /// Follows the prices (`price` gives the last one of a token in rupees), then ranks: by priority, by the order of the
    /// rules, within options by the distance from the money. An instrument counts once, at its first place.
    pub fn resolve(&mut self, price: impl Fn(Token) -> Option<f64>, capacity: usize) -> Resolution {
        let mut ranking = Ranking { capacity, ..Ranking::default() };
        let mut rules = Vec::with_capacity(self.rules.len());
        for rule in &mut self.rules {
            let mut report = RuleReport {
                name: rule.name.clone(),
                priority: rule.priority,
                selected: 0,
                fits: 0,
                repeated: 0,
                left_out: 0,
                at_the_money: Vec::new(),
                waiting: Vec::new(),
            };
            match &mut rule.part {
                Part::Fixed(tokens) => {
                    tokens.iter().for_each(|(token, mode)| ranking.add(*token, Some(*mode), &mut report));
                }
                Part::Around { chains, strikes, mode } => {
                    for chain in &mut *chains {
                        chain.follow(price(chain.spot));
                        ranking.add(chain.spot, None, &mut report);
                        if chain.price.is_none()
                            && chain.ladders.iter().all(|ladder| ladder.money().is_none())
                        {
                            report.waiting.push(chain.underlying.clone());
                            continue;
                        }
                        report.at_the_money.push(AtTheMoney {
                            underlying: chain.underlying.clone(),
                            spot: chain.spot,
                            price: chain.price,
                            strikes: chain.ladders.iter().filter_map(Ladder::money).collect(),
                        });
                    }
                    for chain in chains {
                        for token in chain.tokens(*strikes) {
                            ranking.add(token, Some(*mode), &mut report);
                        }
                    }
                }
            }
            rules.push(report);
        }
        let Ranking { wanted, left_out, .. } = ranking;
        Resolution {
            wanted: wanted
                .into_iter()
                .map(|(token, mode)| Wanted { token, mode: mode.unwrap_or(Mode::Ltp) })
                .collect(),
            left_out: left_out.len(),
            first_left_out: left_out.into_iter().take(NAMED).collect(),
            capacity,
            rules,
        }
    }
}

#[derive(Default)]
struct Ranking {
    capacity: usize,
    /// Token with its mode; without one while it is wanted for its price only.
    wanted: Vec<(Token, Option<Mode>)>,
    left_out: Vec<Token>,
    /// Place in `wanted`; beyond the capacity it does not matter which.
    place: FxHashMap<Token, usize>,
}

impl Ranking {
    fn add(&mut self, token: Token, mode: Option<Mode>, report: &mut RuleReport) {
        report.selected += 1;
        if let Some(place) = self.place.get(&token) {
            report.repeated += 1;
            if let Some((_, known)) = self.wanted.get_mut(*place) {
                *known = known.or(mode);
            }
            return;
        }
        self.place.insert(token, self.wanted.len().max(self.place.len()));
        if self.wanted.len() < self.capacity {
            self.wanted.push((token, mode));
            report.fits += 1;
        } else {
            self.left_out.push(token);
            report.left_out += 1;
        }
    }
}

impl Resolution {
    /// Whether everything fits.
    pub const fn fits(&self) -> bool {
        self.left_out == 0
    }
}

/// The refusal: how many too many, and rule by rule what fits and what does not.
impl fmt::Display for Resolution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = self.wanted.len() + self.left_out;
        if self.fits() {
            write!(f, "{all} instruments, {} fit", self.capacity)?;
        } else {
            write!(f, "{all} instruments, {} fit: {} too many", self.capacity, self.left_out)?;
        }
        f.write_str("\n")?;
        write_rules(f, &self.rules)
    }
}
