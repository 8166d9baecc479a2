//! What a set of rows is, in three numbers that do not depend on their order.
//!
//! ClickHouse computes them, from a table or from a file that is sent to it, so a copy is compared with what it was made of
//! without either leaving its place. Digests of disjoint sets add up: the parts of a day give the digest of the day.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::{Add, AddAssign};
use std::str::FromStr;

/// The columns of [`digest_columns`], in its order.
pub const DIGEST_COLUMNS: [&str; 3] = ["rows", "hash_sum", "hash_xor"];

/// Rows, and the sum (modulo 2^64) and exclusive or of `cityHash64` over all columns of each. The sum sees a row that is there
/// twice, which the exclusive or alone would not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct RowDigest {
    /// How many.
    pub rows: u64,
    /// Sum of the hashes.
    pub sum: u64,
    /// Exclusive or of the hashes.
    pub xor: u64,
}

impl RowDigest {
    /// The hashes as 32 hexadecimal digits: `digest` of a manifest.
    pub fn hashes(&self) -> String {
        format!("{:016x}{:016x}", self.sum, self.xor)
    }

    /// From the number of rows and [`RowDigest::hashes`]; `None` when the text is none.
    pub fn from_parts(rows: u64, hashes: &str) -> Option<Self> {
        let (sum, xor) = hashes.split_at_checked(16)?;
        let number = |text: &str| (text.len() == 16).then(|| u64::from_str_radix(text, 16).ok()).flatten();
        Some(Self { rows, sum: number(sum)?, xor: number(xor)? })
    }
}

impl Add for RowDigest {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            rows: self.rows + other.rows,
            sum: self.sum.wrapping_add(other.sum),
            xor: self.xor ^ other.xor,
        }
    }
}

impl AddAssign for RowDigest {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl std::iter::Sum for RowDigest {
    fn sum<I: Iterator<Item = Self>>(items: I) -> Self {
        items.fold(Self::default(), Add::add)
    }
}

impl fmt::Display for RowDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.rows, self.hashes())
    }
}

impl FromStr for RowDigest {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (rows, hashes) = text.split_once(':').ok_or(())?;
        Self::from_parts(rows.parse().map_err(|_| ())?, hashes).ok_or(())
    }
}

impl Serialize for RowDigest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for RowDigest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|()| serde::de::Error::custom(format!("`{text}` is no digest of rows")))
    }
}

/// The expressions of a SELECT that give [`DIGEST_COLUMNS`], each a `UInt64`, over these columns. The names come from the
/// server's own list of columns; they are quoted.
pub fn digest_columns<'a>(columns: impl IntoIterator<Item = &'a str>) -> String {
    let columns: Vec<String> = columns.into_iter().map(quoted).collect();
    let hash = format!("cityHash64({})", columns.join(", "));
    format!("count() AS rows, sum({hash}) AS hash_sum, groupBitXor({hash}) AS hash_xor")
}

/// A name in backquotes.
pub(crate) fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('\\', "\\\\").replace('`', "\\`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_survives_its_text() {
        let digest = RowDigest { rows: 7, sum: u64::MAX, xor: 1 };
        assert_eq!(digest.to_string(), "7:ffffffffffffffff0000000000000001");
        assert_eq!(digest.to_string().parse(), Ok(digest));
        for wrong in
            ["", "7", "7:ff", "x:ffffffffffffffff0000000000000001", "7:ffffffffffffffff00000000000000010"]
        {
            assert_eq!(wrong.parse::<RowDigest>(), Err(()), "{wrong}");
        }
    }

    #[test]
    fn parts_add_up_and_a_double_row_shows() {
        let row = RowDigest { rows: 1, sum: u64::MAX, xor: u64::MAX };
        let twice: RowDigest = [row, row].into_iter().sum();
        assert_eq!(twice, RowDigest { rows: 2, sum: u64::MAX - 1, xor: 0 });
    }
}
