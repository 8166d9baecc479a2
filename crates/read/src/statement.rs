//! A question: SQL with named parameters, and their values beside it.

use jiff::civil::Date;
use std::borrow::Cow;
use tickhouse_model::Timestamp;

/// SQL with parameters like `{symbol:String}`, and their values. The server puts the values in, by type; they never become part
/// of the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    sql: Cow<'static, str>,
    parameters: Vec<(Cow<'static, str>, String)>,
}

impl Statement {
    /// A statement without parameters yet. The text is the program's own, never a user's.
    pub fn new(sql: impl Into<Cow<'static, str>>) -> Self {
        Self { sql: sql.into(), parameters: Vec::new() }
    }

    /// With a parameter's value.
    #[must_use]
    pub fn with(mut self, name: impl Into<Cow<'static, str>>, value: impl Parameter) -> Self {
        self.parameters.push((name.into(), value.text()));
        self
    }

    /// The statement that counts the rows of this one.
    pub(crate) fn counted(&self) -> Self {
        let sql = format!("SELECT count() AS rows FROM\n(\n{}\n)", self.sql.trim_end());
        Self { sql: sql.into(), parameters: self.parameters.clone() }
    }

    /// The text.
    pub fn sql(&self) -> &str {
        &self.sql
    }

    /// Names and values, as the server reads them: what `--param_name=value` takes.
    pub fn parameters(&self) -> impl Iterator<Item = (&str, &str)> {
        self.parameters.iter().map(|(name, value)| (&**name, value.as_str()))
    }
}

/// What can be a parameter's value.
pub trait Parameter {
    /// The value as the server reads it: escaped like a field of tab-separated text.
    fn text(self) -> String;
}

impl Parameter for &str {
    fn text(self) -> String {
        escaped(self)
    }
}

impl Parameter for String {
    fn text(self) -> String {
        escaped(&self)
    }
}

/// For `Date`.
impl Parameter for Date {
    fn text(self) -> String {
        self.to_string()
    }
}

/// For `DateTime64(3, …)`: milliseconds, so that no time zone is involved. Anything finer is cut off.
impl Parameter for Timestamp {
    fn text(self) -> String {
        let millis = self.as_millis();
        format!("{}.{:03}", millis.div_euclid(1_000), millis.rem_euclid(1_000))
    }
}

macro_rules! numbers {
    ($($number:ty),*) => {
        $(
            impl Parameter for $number {
                fn text(self) -> String {
                    self.to_string()
                }
            }

            impl Parameter for &[$number] {
                fn text(self) -> String {
                    let numbers: Vec<String> = self.iter().map(ToString::to_string).collect();
                    format!("[{}]", numbers.join(","))
                }
            }
        )*
    };
}

numbers!(u8, u16, u32, u64, i32, i64, f64);

impl Parameter for &[String] {
    fn text(self) -> String {
        let quoted: Vec<String> =
            self.iter().map(|text| format!("'{}'", escaped(text).replace('\'', "\\'"))).collect();
        format!("[{}]", quoted.join(","))
    }
}

/// Escapes that tab-separated text knows.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\\' => out.push_str("\\\\"),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\0' => out.push_str("\\0"),
            other => out.push(other),
        }
    }
    out
}
