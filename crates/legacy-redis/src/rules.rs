//! What fields and keys mean: data, which a file may extend.

use rustc_hash::{FxHashMap, FxHashSet};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

const BUILTIN: &str = include_str!("../data/fields.toml");

/// A file of rules can't be used.
#[derive(Debug, thiserror::Error)]
#[error("{file}: {what}")]
pub struct RulesError {
    file: String,
    what: String,
}

/// What fields and keys mean.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Name in a record, in small letters → column and how much it is preferred (0 first).
    pub(crate) columns: FxHashMap<String, (String, usize)>,
    pub(crate) intervals: FxHashMap<String, String>,
    pub(crate) exchanges: FxHashSet<String>,
    pub(crate) containers: FxHashSet<String>,
    pub(crate) keys: Vec<KeyPattern>,
    /// What was added to the built-in ones, in this order.
    pub(crate) added: Vec<RulesFile>,
}

/// What a key of this form tells.
#[derive(Clone, Debug)]
pub(crate) struct KeyPattern {
    parts: Vec<Part>,
    pub(crate) skip: bool,
}

#[derive(Clone, Debug)]
enum Part {
    Text(String),
    Any,
    Named(Named),
}

/// What a part of a key may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Named {
    Token,
    Symbol,
    Exchange,
    Interval,
}

/// A file of rules.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RulesFile {
    #[serde(default)]
    fields: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    intervals: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    exchanges: Vec<String>,
    #[serde(default)]
    containers: Vec<String>,
    #[serde(default)]
    keys: Vec<KeyRule>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyRule {
    pattern: String,
    #[serde(default)]
    skip: bool,
}

impl Default for Rules {
    fn default() -> Self {
        let empty = Self {
            columns: FxHashMap::default(),
            intervals: FxHashMap::default(),
            exchanges: FxHashSet::default(),
            containers: FxHashSet::default(),
            keys: Vec::new(),
            added: Vec::new(),
        };
        empty.with_toml("the built-in rules", BUILTIN).expect("a test reads the built-in rules")
    }
}

impl Rules {
    /// These rules and those of a text in TOML, which come first:
    ///
    /// ```toml
    /// [fields]
    /// last_price = ["px"]
    /// [[keys]]
    /// pattern = "md:{exchange}:{symbol}:{interval}"   # also {token}, and {*} for anything
    /// [[keys]]
    /// pattern = "session:{*}"
    /// skip = true
    /// ```
    ///
    /// # Errors
    /// When the text is no TOML, a key is unknown, or a column or a part of a pattern does not exist.
    pub fn with_toml(mut self, file: &str, text: &str) -> Result<Self, RulesError> {
        let fault = |what: String| RulesError { file: file.to_owned(), what };
        let rules: RulesFile = toml::from_str(text).map_err(|error| fault(error.message().to_owned()))?;
        let builtin = self.columns.is_empty();
        if !builtin {
            self.added.push(rules.clone());
        }
        let known: FxHashSet<String> = self.columns.values().map(|(column, _)| column.clone()).collect();
        for (column, names) in rules.fields {
            if !builtin && !known.contains(&column) {
                return Err(fault(format!("no column `{column}`: there are {}", sorted(&known))));
            }
            // those of a file before the built-in ones
            for (_, preference) in self.columns.values_mut().filter(|(other, _)| *other == column) {
                *preference += names.len();
            }
            for (preference, name) in names.into_iter().enumerate() {
                self.columns.insert(name.to_lowercase(), (column.clone(), preference));
            }
        }
        for (interval, names) in rules.intervals {
            self.intervals.extend(names.into_iter().map(|name| (name.to_lowercase(), interval.clone())));
        }
        self.exchanges.extend(rules.exchanges);
        self.containers.extend(rules.containers);
        let mut keys = Vec::new();
        for KeyRule { pattern, skip } in rules.keys {
            let parts = pattern.split(':').map(part).collect::<Option<_>>();
            let parts = parts.ok_or_else(|| {
                fault(format!(
                    "`{pattern}`: parts are texts, {{token}}, {{symbol}}, {{exchange}}, {{interval}} or {{*}}"
                ))
            })?;
            keys.push(KeyPattern { parts, skip });
        }
        keys.append(&mut self.keys);
        self.keys = keys;
        Ok(self)
    }
}

fn sorted(words: &FxHashSet<String>) -> String {
    let mut words: Vec<&str> = words.iter().map(String::as_str).collect();
    words.sort_unstable();
    words.join(", ")
}

fn part(text: &str) -> Option<Part> {
    Some(match text {
        "{token}" => Part::Named(Named::Token),
        "{symbol}" => Part::Named(Named::Symbol),
        "{exchange}" => Part::Named(Named::Exchange),
        "{interval}" => Part::Named(Named::Interval),
        "{*}" => Part::Any,
        text if text.contains(['{', '}']) => return None,
        text => Part::Text(text.to_owned()),
    })
}

impl KeyPattern {
    /// What the parts of a key are, when it has this form.
    pub(crate) fn matches<'a>(&self, key: &'a str) -> Option<Vec<(Named, &'a str)>> {
        let mut found = Vec::new();
        let mut parts = key.split(':');
        for wanted in &self.parts {
            let part = parts.next()?;
            match wanted {
                Part::Text(text) if text != part => return None,
                Part::Named(named) => found.push((*named, part)),
                Part::Text(_) | Part::Any => {}
            }
        }
        parts.next().is_none().then_some(found)
    }
}
