//! Why a question has no rows.

use super::Question;
use crate::{ReadError, Reader, Statement};
use jiff::civil::Date;
use serde::Deserialize;
use std::fmt;

const NEWEST: &str = "SELECT max(date) AS newest FROM latest_prices";

/// Names that are near, of instruments that have ticks on the days.
const NEAR: &str = "SELECT symbol FROM latest_prices \
     WHERE date BETWEEN {first:Date} AND {last:Date} AND symbol != '' \
     GROUP BY symbol ORDER BY if(startsWith(symbol, {symbol:String}), 1, damerauLevenshteinDistance(symbol, {symbol:String})), length(symbol), symbol LIMIT 4";

#[derive(Deserialize)]
struct Newest {
    newest: Date,
}

#[derive(Deserialize)]
struct Near {
    symbol: String,
}

/// Why a question has no rows, as far as is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WhyNothing {
    /// No tick was ever stored.
    Empty,
    /// No tick on these days; the newest day with some.
    Day {
        /// First day asked about.
        first: Date,
        /// The newest with ticks.
        newest: Date,
    },
    /// Ticks there are; of what was asked for, none.
    Instruments {
        /// What was asked for.
        names: Vec<String>,
        /// Names near the first.
        near: Vec<String>,
    },
    /// Nothing more to say.
    Unknown,
}

impl fmt::Display for WhyNothing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("no tick is stored yet"),
            Self::Day { first, newest } => {
                write!(f, "no ticks of {first}: the newest are of {newest}, ask with --date {newest}")
            }
            Self::Instruments { names, near } => {
                write!(f, "nothing of {}; there is {}", names.join(", "), near.join(", "))
            }
            Self::Unknown => {
                f.write_str("there are ticks of that day, but none of this window, session or exchange")
            }
        }
    }
}

impl Reader {
    /// Why a question may have got no rows: asked afterwards, for the one who wonders.
    ///
    /// # Errors
    /// When the server can't be asked.
    pub async fn why_nothing(&self, question: &Question) -> Result<WhyNothing, ReadError> {
        let (first, last) = (question.window.first_day(), question.window.last_day());
        let newest: Vec<Newest> = self.rows(&Statement::new(NEWEST)).await?;
        let Some(newest) = newest.first().map(|row| row.newest).filter(|day| day.year() > 1970) else {
            return Ok(WhyNothing::Empty);
        };
        let symbol = question.instruments.first().map_or("", |name| name.rsplit(':').next().unwrap_or(name));
        let near = Statement::new(NEAR)
            .with("first", first)
            .with("last", last)
            .with("symbol", symbol.to_uppercase());
        let near: Vec<Near> = self.rows(&near).await?;
        Ok(if near.is_empty() {
            WhyNothing::Day { first, newest }
        } else if question.instruments.is_empty() {
            WhyNothing::Unknown
        } else {
            let near = near.into_iter().map(|row| row.symbol).collect();
            WhyNothing::Instruments { names: question.instruments.clone(), near }
        })
    }
}
