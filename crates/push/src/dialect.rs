//! How a program writes what Kite sent: what it divides prices by, how it reads integers, where its clock hangs.
//!
//! What enters: a program's name and version, a zone. What leaves: divisors and rules, from `data/sources.toml`. What never
//! happens here: guessing a divisor.

use jiff::tz::{Offset, TimeZone};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::OnceLock;
use tickhouse_model::{IST_OFFSET_SECONDS, Segment};

const RULES: &str = include_str!("../data/sources.toml");

/// How the pushing program writes ticks.
#[derive(Clone, Debug)]
pub struct Dialect {
    /// Which program made the dictionaries.
    pub source: Source,
    /// Where times without an offset were read from the clock: [`zone`] makes one. India by default.
    pub zone: TimeZone,
}

impl Default for Dialect {
    /// An undeclared source, in India.
    fn default() -> Self {
        Self { source: Source::default(), zone: ist() }
    }
}

fn ist() -> TimeZone {
    let offset = Offset::from_seconds(IST_OFFSET_SECONDS as i32).expect("an offset within a day");
    TimeZone::fixed(offset)
}

/// A zone by its text: `IST`, `UTC`, an offset as in `+05:30`, or a name as in `Europe/London`, which needs the system's zone
/// database.
///
/// # Errors
/// With the text, when it is none of these.
pub fn zone(text: &str) -> Result<TimeZone, SourceError> {
    let unknown = || SourceError::Zone(text.chars().take(64).collect());
    if text.eq_ignore_ascii_case("IST") {
        return Ok(ist());
    }
    if text.starts_with(['+', '-']) {
        // a text that ends in an offset is the parser's form of one
        let at: jiff::Timestamp = format!("2000-01-01T00:00:00{text}").parse().map_err(|_| unknown())?;
        let east = 946_684_800 - at.as_second();
        return Ok(TimeZone::fixed(Offset::from_seconds(east as i32).map_err(|_| unknown())?));
    }
    TimeZone::get(text).map_err(|_| unknown())
}

/// The program whose dictionaries are pushed.
///
/// As text: `pykiteconnect/5.2.2`, `kiteconnectjs/5.3.0`, or `rupees` for prices that are right in every segment. The default
/// is undeclared: as `rupees`, but segments in which programs disagree (NCO) are refused.
#[derive(Clone, Copy, Debug, Default)]
pub struct Source(Option<&'static Rule>);

impl Source {
    /// What the program divides a raw price of a segment by; `None` where that must be declared.
    pub(crate) fn divisor(self, segment: Segment) -> Option<u32> {
        let exchange = segment.divisor();
        match self.0 {
            Some(rule) => Some(rule.divisors.get(&segment.0).copied().unwrap_or(exchange)),
            None if rules().undeclared.refused_segments.contains(&segment.0) => None,
            None => Some(exchange),
        }
    }

    /// Whether a price below zero is written as 2^32 more.
    pub(crate) fn unsigned_prices(self) -> bool {
        self.0.is_some_and(|rule| rule.unsigned_prices)
    }

    /// Whether a quantity of 2^31 or more is written as 2^32 less.
    pub(crate) fn signed_quantities(self) -> bool {
        self.0.is_some_and(|rule| rule.signed_quantities)
    }
}

impl FromStr for Source {
    type Err = SourceError;

    fn from_str(text: &str) -> Result<Self, SourceError> {
        let shown = || text.chars().take(64).collect::<String>();
        let (name, version) = match text.split_once('/') {
            Some((name, version)) => {
                let parsed = Version::parse(version).ok_or_else(|| SourceError::Version(shown()))?;
                (name, Some(parsed))
            }
            None => (text, None),
        };
        let mut of_name = rules().source.iter().filter(|rule| rule.name == name).peekable();
        let Some(first) = of_name.peek() else { return Err(SourceError::Unknown(shown())) };
        if version.is_none() && first.from.is_some() {
            return Err(SourceError::VersionMissing(shown()));
        }
        let found = of_name.find(|rule| rule.covers(version));
        found.map(|rule| Self(Some(rule))).ok_or_else(|| SourceError::VersionUnknown(shown()))
    }
}

/// Why a source or zone is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// A program that no rule names.
    #[error("source `{0}` is not known: use {known}", known = known())]
    Unknown(String),
    /// A version is needed.
    #[error("source `{0}` needs its version, as in pykiteconnect/5.2.2: prices depend on it")]
    VersionMissing(String),
    /// No version.
    #[error("source `{0}` has no version of three numbers, as in pykiteconnect/5.2.2")]
    Version(String),
    /// A version that no rule covers.
    #[error(
        "source `{0}` is of a version whose divisors are not known; if its prices are rupees in every segment: `rupees`"
    )]
    VersionUnknown(String),
    /// No zone.
    #[error("zone `{0}` is not known: use IST, UTC, an offset as in +05:30, or a name as in Europe/London")]
    Zone(String),
}

/// `data/sources.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rules {
    source: Vec<Rule>,
    undeclared: Undeclared,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    name: String,
    from: Option<Version>,
    before: Option<Version>,
    #[serde(default, deserialize_with = "divisors")]
    divisors: BTreeMap<u8, u32>,
    #[serde(default)]
    unsigned_prices: bool,
    #[serde(default)]
    signed_quantities: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Undeclared {
    refused_segments: Vec<u8>,
}

impl Rule {
    fn covers(&self, version: Option<Version>) -> bool {
        let from = self.from.is_none_or(|from| version.is_some_and(|version| version >= from));
        let before = self.before.is_none_or(|before| version.is_some_and(|version| version < before));
        from && before
    }
}

/// TOML's keys are texts.
fn divisors<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<u8, u32>, D::Error> {
    let texts = BTreeMap::<String, u32>::deserialize(deserializer)?;
    let number =
        |(segment, divisor): (String, u32)| Ok((segment.parse().map_err(serde::de::Error::custom)?, divisor));
    texts.into_iter().map(number).collect()
}

/// Three numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
struct Version([u16; 3]);

impl Version {
    fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.split('.');
        let mut next = || {
            let digits = numbers.next()?;
            digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
        };
        let version = [next()?, next()?, next()?];
        numbers.next().is_none().then_some(Self(version))
    }
}

impl TryFrom<String> for Version {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text).ok_or_else(|| format!("`{text}` is no version"))
    }
}

fn rules() -> &'static Rules {
    static PARSED: OnceLock<Rules> = OnceLock::new();
    PARSED.get_or_init(|| toml::from_str(RULES).expect("data/sources.toml is right: a test reads it"))
}

fn known() -> impl fmt::Display {
    let mut names: Vec<String> = Vec::new();
    for rule in &rules().source {
        let form = if rule.from.is_some() { format!("{}/VERSION", rule.name) } else { rule.name.clone() };
        if !names.contains(&form) {
            names.push(form);
        }
    }
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn divisors_of(text: &str) -> [Option<u32>; 4] {
        let source: Source = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
        [Segment::NSE, Segment::CDS, Segment::BCD, Segment::NCO].map(|segment| source.divisor(segment))
    }

    #[test]
    fn divisors_are_those_of_the_programs_code() {
        let right = [Some(100), Some(10_000_000), Some(10_000), Some(10_000)];
        let no_nco = [Some(100), Some(10_000_000), Some(10_000), Some(100)];
        let neither = [Some(100), Some(10_000_000), Some(100), Some(100)];
        for (source, expected) in [
            ("pykiteconnect/5.2.2", right),
            ("pykiteconnect/6.0.0", right),
            ("rupees", right),
            ("pykiteconnect/5.2.1", no_nco),
            ("pykiteconnect/5.0.1", no_nco),
            ("pykiteconnect/4.0.0", no_nco),
            ("pykiteconnect/3.9.5", no_nco),
            ("kiteconnectjs/5.3.0", no_nco),
            ("pykiteconnect/3.9.6", neither),
            ("pykiteconnect/3.9.0", neither),
        ] {
            assert_eq!(divisors_of(source), expected, "{source}");
        }
        let undeclared = [Segment::NSE, Segment::CDS, Segment::BCD, Segment::NCO];
        let undeclared = undeclared.map(|segment| Source::default().divisor(segment));
        assert_eq!(undeclared, [Some(100), Some(10_000_000), None, None]);
    }

    #[test]
    fn what_is_not_known_says_what_is() {
        for (source, part) in [
            ("gokiteconnect/4.0.0", "pykiteconnect/VERSION, kiteconnectjs/VERSION, rupees"),
            ("pykiteconnect", "needs its version"),
            ("pykiteconnect/5.2", "no version of three numbers"),
            ("pykiteconnect/5.2.2.1", "no version of three numbers"),
            ("pykiteconnect/+5.2.2", "no version of three numbers"),
            ("pykiteconnect/3.8.2", "not known"),
            ("kiteconnectjs/5.4.0", "not known"),
            ("", "not known"),
        ] {
            let error = source.parse::<Source>().unwrap_err().to_string();
            assert!(error.contains(part), "{source}: {error}");
        }
    }

    #[test]
    fn zones_as_people_write_them() {
        let at = |text: &str| {
            let local = jiff::civil::date(2026, 7, 1).at(12, 0, 0, 0);
            let found = zone(text).unwrap_or_else(|error| panic!("{error}"));
            found.to_timestamp(local).unwrap_or_else(|error| panic!("{error}")).as_second() - 1_782_907_200
        };
        assert_eq!((at("UTC"), at("IST"), at("+05:30"), at("-04:00")), (0, -19_800, -19_800, 14_400));
        for text in ["", "+", "+99:00", "Mars/Olympus", "+05:30junk"] {
            assert!(zone(text).is_err(), "{text}");
        }
    }
}
