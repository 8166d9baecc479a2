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
    /// There is no such column.
    #[error("there is no column {name:?}: the columns are {known}")]
    UnknownColumn {
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
    /// A selection is too long.
    #[error("{names} names are too many for one question ({most} at most): ask for all, or in parts")]
    TooMany {
        /// How many were asked for.
        names: usize,
        /// How many can be.
        most: usize,
    },
    /// More bars than stand in memory.
    #[error("that would be more than {most} bars: ask for fewer days, or a longer interval")]
    TooManyBars {
        /// How many there can be.
        most: u64,
    },
    /// There are no futures on that name.
    #[error(
        "no futures on {name:?} are listed from {day} on: is that day's master loaded? `tickhouse instruments sync`"
    )]
    NoFutures {
        /// What was asked for.
        name: String,
        /// From which day on.
        day: jiff::civil::Date,
    },
    /// There are no options on that name on that day.
    #[error("there are no options on {name:?} on {day}{}", underlyings(near))]
    UnknownUnderlying {
        /// What was asked for.
        name: String,
        /// On which day.
        day: jiff::civil::Date,
        /// Underlyings with options whose names are near.
        near: Vec<String>,
    },
    /// There is no such expiry.
    #[error("{underlying} has no such expiry on {day}: there are {}", dates(listed))]
    NoExpiry {
        /// Of what.
        underlying: String,
        /// On which day.
        day: jiff::civil::Date,
        /// The expiries listed on that day, rising.
        listed: Vec<jiff::civil::Date>,
    },
    /// None of a chain's contracts had a tick by then.
    #[error("no option on {underlying} of {expiry} had a tick on its day by {at}{}", instead(*of_day, *before, *after))]
    NoTicks {
        /// Of what.
        underlying: String,
        /// Which expiry.
        expiry: jiff::civil::Date,
        /// The instant.
        at: tickhouse_model::Timestamp,
        /// First and last tick of the day.
        of_day: Option<(tickhouse_model::Timestamp, tickhouse_model::Timestamp)>,
        /// The last day before with ticks.
        before: Option<jiff::civil::Date>,
        /// The first day after with ticks.
        after: Option<jiff::civil::Date>,
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

fn underlyings(near: &[String]) -> String {
    match near {
        [] => ": is that day's master loaded? `tickhouse instruments sync`".to_owned(),
        near => format!(": did you mean {}?", near.join(", ")),
    }
}

fn dates(listed: &[jiff::civil::Date]) -> String {
    let listed: Vec<String> = listed.iter().map(ToString::to_string).collect();
    listed.join(", ")
}

fn instead(
    of_day: Option<(tickhouse_model::Timestamp, tickhouse_model::Timestamp)>,
    before: Option<jiff::civil::Date>,
    after: Option<jiff::civil::Date>,
) -> String {
    if let Some((first, last)) = of_day {
        return format!(": the first of that day came at {first}, the last at {last}");
    }
    match (before, after) {
        (Some(before), Some(after)) => format!(": there are ticks of {before} and of {after}"),
        (Some(day), None) | (None, Some(day)) => format!(": there are ticks of {day}"),
        (None, None) => ": none of these contracts was ever recorded".to_owned(),
    }
}
