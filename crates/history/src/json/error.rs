//! What is wrong with a file, and where.

use serde::Serialize;
use std::fmt;

/// What is wrong at one place of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// The value, as a path: `$.MCX.GOLD26DECFUT[3][4]`; keys that are no names in quotes, elements counted from 0.
    pub path: String,
    /// Line, from 1.
    pub line: u64,
    /// Byte of the file at which it was noticed, from 0.
    pub byte: u64,
    /// What is wrong.
    pub problem: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (line {}, byte {}): {}", self.path, self.line, self.byte, self.problem)
    }
}

/// Why reading did not go on.
#[derive(Debug)]
pub(crate) enum JsonError {
    /// No JSON from here: the reader stands where it was noticed.
    Broken(Fault),
    /// Whoever reads wants no more.
    Stopped,
    Io(std::io::Error),
}
