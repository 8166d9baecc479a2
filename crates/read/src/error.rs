//! What can go wrong while reading.

use crate::WindowError;

/// What can go wrong while reading.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// Nobody answers.
    #[error(
        "ClickHouse at {url} does not answer: is it running? `tickhouse up` or `tickhouse clickhouse start`"
    )]
    Unreachable {
        /// Where it was looked for.
        url: String,
        /// Why.
        #[source]
        source: reqwest::Error,
    },
    /// The server refused the question; its own words.
    #[error("{words}{}", advice(words))]
    Refused {
        /// What the server said.
        words: String,
    },
    /// The server failed after its first rows: what came before is not the whole answer.
    #[error("the query failed after its first rows: {words}")]
    Late {
        /// What the server said.
        words: String,
    },
    /// The connection ended within the answer.
    #[error("the answer broke off")]
    BrokenOff(#[source] reqwest::Error),
    /// Typed rows could not be read.
    #[error("could not read {what}")]
    Typed {
        /// Rows of what.
        what: &'static str,
        /// Why.
        #[source]
        source: clickhouse::error::Error,
    },
    /// A row is not what this program expects: an older or newer schema.
    #[error("a row is not as expected ({row}): was the schema made by another version? `tickhouse migrate`")]
    Row {
        /// The row, cut.
        row: String,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// There is no such instrument on that day.
    #[error("no instrument is called {name:?} on {day}{}", suggested(near))]
    UnknownInstrument {
        /// What was asked for.
        name: String,
        /// On which day.
        day: jiff::civil::Date,
        /// Names that are near.
        near: Vec<String>,
    },
    /// A name means several instruments.
    #[error("{name:?} means several instruments: say which of {}", among.join(", "))]
    Ambiguous {
        /// What was asked for.
        name: String,
        /// What it can mean, as `EXCHANGE:SYMBOL`.
        among: Vec<String>,
    },
    /// A time or window that is none.
    #[error(transparent)]
    Window(#[from] WindowError),
}

/// What to do about refusals that a newcomer meets.
fn advice(words: &str) -> &'static str {
    if words.contains("UNKNOWN_DATABASE") || words.contains("UNKNOWN_TABLE") {
        return "\nIs the schema there? `tickhouse migrate` creates it.";
    }
    ""
}

fn suggested(near: &[String]) -> String {
    match near {
        [] => ": `tickhouse instruments search` finds them".to_owned(),
        near => format!(": did you mean {}?", near.join(", ")),
    }
}
