//! The way from the document's root to a value.

use super::shortened;
use std::fmt::Write as _;

/// An object or array that is open.
#[derive(Debug)]
pub(super) struct Level {
    pub(super) array: bool,
    /// Members begun so far.
    pub(super) index: u64,
    /// Key of the present member of an object.
    pub(super) key: String,
    /// It is a candle: it holds values only.
    pub(super) candle: bool,
}

impl Level {
    pub(super) const fn new(array: bool) -> Self {
        Self { array, index: 0, key: String::new(), candle: false }
    }
}

/// `$.data["NSE:INFY"][7][2]`; of a long key its beginning.
pub(super) fn text(levels: &[Level]) -> String {
    let mut text = "$".to_owned();
    for level in levels.iter().filter(|level| level.index > 0) {
        let key = shortened(&level.key);
        let name = !key.is_empty()
            && key.chars().all(|char| char.is_ascii_alphanumeric() || char == '_')
            && !key.starts_with(|char: char| char.is_ascii_digit());
        if level.array {
            write!(text, "[{}]", level.index - 1)
        } else if name {
            write!(text, ".{key}")
        } else {
            write!(text, "[{key:?}]")
        }
        .expect("a string takes every text");
    }
    text
}
