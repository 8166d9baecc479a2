//! Names into tokens, each for the days on which it meant them.

use crate::{Listed, ReadError, Reader, Statement, Window};
use jiff::ToSpan as _;
use jiff::civil::Date;
use serde::Deserialize;
use tickhouse_model::Token;

/// Most names of one selection. A server reads them from the address of its request, which is not endless.
pub const MOST_NAMES: usize = 4_000;

/// What a name meant on some days.
#[derive(Clone, Debug, PartialEq)]
pub struct Meant {
    /// The token.
    pub token: Token,
    /// First day, included.
    pub first: Date,
    /// Last day, included.
    pub last: Date,
    /// The instrument; none for a token that no master lists.
    pub listed: Option<Listed>,
}

/// Instruments, each for the days on which its name meant it; or all.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Selection {
    /// `None`: every instrument, on every day.
    meant: Option<Vec<Meant>>,
    /// Whether each token is meant on every day that was asked for.
    whole: bool,
}

impl Selection {
    /// Every instrument.
    pub const fn all() -> Self {
        Self { meant: None, whole: true }
    }

    /// What the names mean; `None` when everything is selected.
    pub fn meant(&self) -> Option<&[Meant]> {
        self.meant.as_deref()
    }

    /// Whether a tick of this token on this day is selected.
    pub fn has(&self, token: Token, day: Date) -> bool {
        let Some(meant) = &self.meant else { return true };
        meant.iter().any(|one| one.token == token && one.first <= day && day <= one.last)
    }

    /// The same, from now on: what holds on the last day goes on for as long as its master says. For those who follow.
    #[must_use]
    pub fn open_ended(mut self) -> Self {
        let Some(meant) = &mut self.meant else { return self };
        let last = meant.iter().map(|one| one.last).max();
        for one in meant.iter_mut().filter(|one| Some(one.last) == last) {
            one.last = one.listed.as_ref().map_or(Date::MAX, |listed| listed.valid_to);
        }
        self
    }

    /// The condition on rows of a table with `instrument_token` and `date`; its parameters are those of
    /// [`Selection::bind`].
    pub fn condition(&self) -> &'static str {
        match (&self.meant, self.whole) {
            (None, _) => "1",
            (Some(_), true) => "instrument_token IN {tokens:Array(UInt32)}",
            (Some(_), false) => {
                "(instrument_token IN {tokens:Array(UInt32)} AND arrayExists((token, first, last) -> \
                 token = instrument_token AND date BETWEEN toDate(first) AND toDate(last), \
                 {tokens:Array(UInt32)}, {firsts:Array(String)}, {lasts:Array(String)}))"
            }
        }
    }

    /// A statement with the parameters of [`Selection::condition`].
    pub fn bind(&self, statement: Statement) -> Statement {
        let Some(meant) = &self.meant else { return statement };
        let tokens: Vec<u32> = meant.iter().map(|one| one.token.0).collect();
        let statement = statement.with("tokens", tokens.as_slice());
        if self.whole {
            return statement;
        }
        let days = |day: fn(&Meant) -> Date| -> Vec<String> {
            meant.iter().map(|one| day(one).to_string()).collect()
        };
        statement
            .with("firsts", days(|one| one.first).as_slice())
            .with("lasts", days(|one| one.last).as_slice())
    }
}

const LATEST_BEFORE: &str = "SELECT max(valid_to) AS day FROM instruments FINAL \
     WHERE (symbol IN ({symbol:String}, upper({symbol:String})) OR tradingsymbol IN ({symbol:String}, upper({symbol:String}))) \
     AND ({exchange:String} = '' OR exchange = {exchange:String}) \
     AND valid_from <= valid_to AND valid_to >= {first:Date} AND valid_to < {day:Date}";

impl Reader {
    /// What names meant on the days of a window: a contract on the days that it lived, a share also under its token of before a
    /// change. A token that no master lists is taken as it is.
    ///
    /// # Errors
    /// When a name is unknown on all of the days, or means several instruments; or there are more than [`MOST_NAMES`].
    pub async fn select(&self, names: &[String], window: &Window) -> Result<Selection, ReadError> {
        if names.len() > MOST_NAMES {
            return Err(ReadError::TooMany { names: names.len(), most: MOST_NAMES });
        }
        let (first, last) = (window.first_day(), window.last_day());
        let mut meant: Vec<Meant> = Vec::with_capacity(names.len());
        for name in names {
            for one in self.meant_by(name, first, last).await? {
                if !meant.contains(&one) {
                    meant.push(one);
                }
            }
        }
        let whole = meant.iter().all(|one| one.first == first && one.last == last);
        Ok(Selection { meant: Some(meant), whole })
    }

    /// What one name meant, from the last day back to the first.
    async fn meant_by(&self, name: &str, first: Date, last: Date) -> Result<Vec<Meant>, ReadError> {
        let mut meant = Vec::new();
        let mut day = last;
        loop {
            match self.instrument(name, day).await {
                Ok(listed) => {
                    let from = listed.valid_from.max(first);
                    meant.push(Meant {
                        token: listed.instrument.token,
                        first: from,
                        last: day,
                        listed: Some(listed),
                    });
                    if from <= first {
                        return Ok(meant);
                    }
                    day = from.saturating_sub(1.day());
                }
                Err(ReadError::UnknownInstrument { name, day: asked, near }) => {
                    if let Some(earlier) = self.latest_before(&name, first, day).await? {
                        day = earlier;
                        continue;
                    }
                    if let (true, Ok(number)) = (meant.is_empty(), name.parse()) {
                        return Ok(vec![Meant { token: Token(number), first, last, listed: None }]);
                    }
                    if meant.is_empty() {
                        return Err(ReadError::UnknownInstrument { name, day: asked, near });
                    }
                    return Ok(meant);
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// The last day before `day`, from `first` on, on which the name meant anything.
    async fn latest_before(&self, name: &str, first: Date, day: Date) -> Result<Option<Date>, ReadError> {
        #[derive(Deserialize)]
        struct Row {
            day: Date,
        }
        let (exchange, symbol) = name.split_once(':').unwrap_or(("", name));
        let statement = Statement::new(LATEST_BEFORE)
            .with("symbol", symbol)
            .with("exchange", exchange.to_uppercase())
            .with("first", first)
            .with("day", day);
        let rows: Vec<Row> = self.rows(&statement).await?;
        Ok(rows.into_iter().map(|row| row.day).find(|found| *found >= first && *found < day))
    }
}
