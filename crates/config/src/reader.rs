//! Looks settings up: flag over environment over file over default. Collects every fault instead of stopping at the
//! first, and afterwards knows which names exist, so that what nobody asked for is reported as unknown.

use crate::fault::{ConfigError, Fault, Origin, nearest};
use crate::universe::tables_of;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;
use toml::Value;

/// Prefix of the environment variables: `TICKHOUSE_<SECTION>_<KEY>`.
pub const ENVIRONMENT_PREFIX: &str = "TICKHOUSE_";

/// Where settings come from. Build one, then [`crate::Config::read`] it.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    file: Option<(PathBuf, toml::Table)>,
    environment: BTreeMap<String, String>,
    flags: BTreeMap<String, (String, String)>,
}

impl Sources {
    /// No file, no environment, no flags: the defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a configuration file.
    ///
    /// # Errors
    /// When the file can't be read or is no TOML.
    pub fn with_file(self, path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| ConfigError::of_file(path, format!("can't be read: {error}")))?;
        self.with_text(path, &text)
    }

    /// Adds a configuration file's text; `path` is its name in messages, and relative paths in it start at its folder.
    ///
    /// # Errors
    /// When the text is no TOML.
    pub fn with_text(mut self, path: &Path, text: &str) -> Result<Self, ConfigError> {
        let table = text.parse::<toml::Table>().map_err(|error| {
            // the message only: the parser's own rendering quotes the line, which may hold a key
            let before = error.span().map_or("", |span| text.get(..span.start).unwrap_or(text));
            let line = before.matches('\n').count() + 1;
            ConfigError::of_file(path, format!("is no TOML: line {line}: {}", error.message()))
        })?;
        self.file = Some((path.to_owned(), table));
        Ok(self)
    }

    /// Adds environment variables; those without the prefix are left out, and so are empty ones.
    #[must_use]
    pub fn with_environment(mut self, variables: impl IntoIterator<Item = (String, String)>) -> Self {
        let ours = variables
            .into_iter()
            .filter(|(name, value)| name.starts_with(ENVIRONMENT_PREFIX) && !value.is_empty());
        self.environment.extend(ours);
        self
    }

    /// Adds a flag: `key` as `section.key`, `flag` as typed, its value as text. `None` is a flag that was not given.
    #[must_use]
    pub fn with_flag(mut self, key: &str, flag: &str, value: Option<impl fmt::Display>) -> Self {
        if let Some(value) = value {
            self.flags.insert(key.to_owned(), (flag.to_owned(), value.to_string()));
        }
        self
    }
}

/// A setting as it stands in its source.
enum Found<'a> {
    Text(&'a str),
    Toml(&'a Value),
}

/// Reads settings by key and keeps the faults.
pub(crate) struct Reader<'a> {
    sources: &'a Sources,
    known: BTreeSet<String>,
    faults: Vec<Fault>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(sources: &'a Sources) -> Self {
        Self { sources, known: BTreeSet::new(), faults: Vec::new() }
    }

    /// Any value; `expected` says in words what would be right.
    fn value<T: Setting>(&mut self, key: &str, default: T) -> (T, Origin) {
        let Some((found, origin)) = self.find(key) else { return (default, Origin::Default) };
        let value = match found {
            Found::Text(text) => T::from_text(text),
            Found::Toml(value) => T::from_toml(value),
        };
        if let Some(value) = value {
            return (value, origin);
        }
        self.fault(key, origin, format!("must be {}", T::EXPECTED));
        (default, Origin::Default)
    }

    fn find(&mut self, key: &str) -> Option<(Found<'a>, Origin)> {
        self.known.insert(key.to_owned());
        if let Some((flag, value)) = self.sources.flags.get(key) {
            return Some((Found::Text(value), Origin::Flag(flag.clone())));
        }
        let variable = variable_of(key);
        if let Some(value) = self.sources.environment.get(&variable) {
            return Some((Found::Text(value), Origin::Environment(variable)));
        }
        let (path, table) = self.sources.file.as_ref()?;
        let found = match key.split_once('.') {
            Some((section, name)) => table.get(section)?.as_table()?.get(name)?,
            None => table.get(key)?,
        };
        Some((Found::Toml(found), Origin::File(path.clone())))
    }

    pub(crate) fn fault(&mut self, key: &str, origin: Origin, problem: String) {
        self.faults.push(Fault { key: key.to_owned(), origin, problem });
    }

    /// Where the value of this key comes from.
    pub(crate) fn origin(&mut self, key: &str) -> Origin {
        self.find(key).map_or(Origin::Default, |(_, origin)| origin)
    }

    pub(crate) fn flag(&mut self, key: &str, default: bool) -> bool {
        self.value(key, default).0
    }

    pub(crate) fn text(&mut self, key: &str, default: &str) -> String {
        self.value(key, default.to_owned()).0
    }

    pub(crate) fn list(&mut self, key: &str, default: &[&str]) -> Vec<String> {
        self.value(key, default.iter().map(|item| (*item).to_owned()).collect()).0
    }

    /// A whole number within bounds.
    pub(crate) fn number(&mut self, key: &str, default: u64, range: RangeInclusive<u64>) -> u64 {
        let (number, origin) = self.value(key, default);
        if range.contains(&number) {
            return number;
        }
        let problem = format!("{number} is out of range: use {} to {}", range.start(), range.end());
        self.fault(key, origin, problem);
        default
    }

    pub(crate) fn port(&mut self, key: &str, default: u16) -> u16 {
        u16::try_from(self.number(key, u64::from(default), 0..=65_535)).unwrap_or(default)
    }

    pub(crate) fn millis(&mut self, key: &str, default: u64, range: RangeInclusive<u64>) -> Duration {
        Duration::from_millis(self.number(key, default, range))
    }

    /// A value with a text form of its own, e.g. a mode. The error of its parser says what would be right.
    pub(crate) fn parsed<T>(&mut self, key: &str, default: &str) -> T
    where
        T: FromStr,
        T::Err: fmt::Display,
    {
        let (text, origin) = self.value(key, default.to_owned());
        let error = match text.parse() {
            Ok(value) => return value,
            Err(error) => error.to_string(),
        };
        self.fault(key, origin, error);
        default.parse().ok().expect("a default parses: every test reads the defaults")
    }

    /// A list of values with a text form of their own; every faulty item is reported.
    pub(crate) fn parsed_list<T>(&mut self, key: &str, default: &[&str]) -> Vec<T>
    where
        T: FromStr,
        T::Err: fmt::Display,
    {
        let default = default.iter().map(|item| (*item).to_owned()).collect();
        let (items, origin): (Vec<String>, _) = self.value(key, default);
        let mut values = Vec::with_capacity(items.len());
        for item in items {
            match item.parse::<T>() {
                Ok(value) => values.push(value),
                Err(error) => self.fault(key, origin.clone(), error.to_string()),
            }
        }
        values
    }

    /// A path; a relative one in a file starts at the file's folder, elsewhere at the working directory. `None` when
    /// it is empty.
    pub(crate) fn path(&mut self, key: &str, default: &str) -> Option<PathBuf> {
        let (text, origin) = self.value(key, default.to_owned());
        (!text.is_empty()).then(|| based(&origin, &text))
    }

    /// The tables of `[[key]]`, which only a file can have.
    pub(crate) fn tables(&mut self, key: &str) -> (Vec<&'a toml::Table>, Origin) {
        match self.find(key) {
            None => (Vec::new(), Origin::Default),
            Some((Found::Toml(value), origin)) => {
                let tables = tables_of(value).unwrap_or_else(|| {
                    self.fault(key, origin.clone(), format!("must be tables: write [[{key}]] above each"));
                    Vec::new()
                });
                (tables, origin)
            }
            Some((Found::Text(_), origin)) => {
                self.fault(
                    key,
                    origin.clone(),
                    "can't be set here: write its tables into the file".to_owned(),
                );
                (Vec::new(), origin)
            }
        }
    }

    pub(crate) fn paths(&mut self, key: &str) -> Vec<PathBuf> {
        let (items, origin) = self.value(key, Vec::<String>::new());
        items.iter().map(|text| based(&origin, text)).collect()
    }

    /// Reports what stands in the file or the environment and was never asked for, then gives the faults and every
    /// key that exists.
    pub(crate) fn finish(mut self) -> (Vec<Fault>, BTreeSet<String>) {
        let mut unknown = self.unknown_in_file();
        unknown.extend(self.unknown_in_environment());
        let unknown_flags = self.sources.flags.iter().filter(|(key, _)| !self.known.contains(*key));
        unknown.extend(unknown_flags.map(|(key, (flag, _))| self.unknown(key, Origin::Flag(flag.clone()))));
        self.faults.extend(unknown);
        (self.faults, self.known)
    }

    fn unknown_in_file(&self) -> Vec<Fault> {
        let Some((path, table)) = &self.sources.file else { return Vec::new() };
        let mut faults = Vec::new();
        for (section, value) in table {
            let is_section =
                self.known.iter().any(|key| key.split_once('.').is_some_and(|(s, _)| s == section));
            match value {
                Value::Table(keys) if is_section => {
                    let names = keys.keys().map(|name| format!("{section}.{name}"));
                    let strangers = names.filter(|name| !self.known.contains(name));
                    faults.extend(strangers.map(|name| self.unknown(&name, Origin::File(path.clone()))));
                }
                _ if is_section => faults.push(Fault {
                    key: section.clone(),
                    origin: Origin::File(path.clone()),
                    problem: format!("must be a section: write [{section}] and its keys below"),
                }),
                _ if self.known.contains(section) => {}
                _ => faults.push(self.unknown(section, Origin::File(path.clone()))),
            }
        }
        faults
    }

    /// Variables of a section are ours for certain; others with the prefix only when they look mistyped.
    fn unknown_in_environment(&self) -> Vec<Fault> {
        let variables: BTreeMap<String, &str> =
            self.known.iter().map(|key| (variable_of(key), key.as_str())).collect();
        let sections: BTreeSet<&str> =
            self.known.iter().filter_map(|key| key.split_once('.')).map(|(section, _)| section).collect();
        let strangers = self.sources.environment.keys().filter(|name| !variables.contains_key(*name));
        strangers
            .filter_map(|name| {
                let bare = |name: &'_ str| name.strip_prefix(ENVIRONMENT_PREFIX).unwrap_or(name).to_owned();
                let names: Vec<String> = variables.keys().map(|known| bare(known)).collect();
                let guess = nearest(&bare(name), names.iter().map(String::as_str));
                let guess = guess.map(|guess| format!("{ENVIRONMENT_PREFIX}{guess}"));
                let in_section = sections.iter().any(|section| name.starts_with(&variable_of(section)));
                (guess.is_some() || in_section).then(|| Fault {
                    key: name.clone(),
                    origin: Origin::Environment("environment".to_owned()),
                    problem: suggestion("no such setting", guess.as_deref()),
                })
            })
            .collect()
    }

    fn unknown(&self, key: &str, origin: Origin) -> Fault {
        let sections =
            self.known.iter().filter_map(|known| known.split_once('.')).map(|(section, _)| section);
        let names = self.known.iter().map(String::as_str).chain(sections);
        // a right name in a wrong section helps more than a similar one in the same section
        let last = key.rsplit('.').next().unwrap_or(key);
        let moved = self.known.iter().find(|known| known.rsplit('.').next() == Some(last));
        let guess = nearest(key, names).or(moved.map(String::as_str));
        Fault { key: key.to_owned(), origin, problem: suggestion("no such setting", guess) }
    }
}

fn suggestion(problem: &str, guess: Option<&str>) -> String {
    match guess {
        Some(guess) => format!("{problem}; did you mean {guess}?"),
        None => problem.to_owned(),
    }
}

/// `redis.port` as an environment variable.
pub(crate) fn variable_of(key: &str) -> String {
    format!("{ENVIRONMENT_PREFIX}{}", key.replace('.', "_").to_uppercase())
}

/// A path as its source means it: one of a file starts at the file's folder.
pub(crate) fn based(origin: &Origin, text: &str) -> PathBuf {
    let path = Path::new(text);
    match origin {
        Origin::File(file) => file.parent().unwrap_or(Path::new("")).join(path),
        _ => path.to_owned(),
    }
}

/// A type that a setting can have, in TOML and as the text of a variable or flag.
pub(crate) trait Setting: Sized {
    const EXPECTED: &str;
    fn from_toml(value: &Value) -> Option<Self>;
    fn from_text(text: &str) -> Option<Self>;
}

impl Setting for bool {
    const EXPECTED: &str = "true or false";
    fn from_toml(value: &Value) -> Option<Self> {
        value.as_bool()
    }
    fn from_text(text: &str) -> Option<Self> {
        match text {
            "true" | "1" | "yes" | "on" => Some(true),
            "false" | "0" | "no" | "off" => Some(false),
            _ => None,
        }
    }
}

impl Setting for u64 {
    const EXPECTED: &str = "a whole number, not negative";
    fn from_toml(value: &Value) -> Option<Self> {
        value.as_integer().and_then(|number| number.try_into().ok())
    }
    fn from_text(text: &str) -> Option<Self> {
        text.replace('_', "").parse().ok()
    }
}

impl Setting for String {
    const EXPECTED: &str = "text in quotes";
    fn from_toml(value: &Value) -> Option<Self> {
        value.as_str().map(str::to_owned)
    }
    fn from_text(text: &str) -> Option<Self> {
        Some(text.to_owned())
    }
}

impl Setting for Vec<String> {
    const EXPECTED: &str = "a list of texts, as in [\"a\", \"b\"] (in a variable or flag: a,b)";
    fn from_toml(value: &Value) -> Option<Self> {
        match value {
            // one item needs no brackets, and a token may stand as a number
            Value::String(text) => Some(vec![text.clone()]),
            Value::Array(items) => items
                .iter()
                .map(|item| match item {
                    Value::String(text) => Some(text.clone()),
                    Value::Integer(number) => Some(number.to_string()),
                    _ => None,
                })
                .collect(),
            _ => None,
        }
    }
    fn from_text(text: &str) -> Option<Self> {
        Some(text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect())
    }
}
