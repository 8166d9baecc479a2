//! Which tokens a name's bars are made of, day by day.

use super::date_of_bar;
use crate::{Meant, ReadError, Reader, Window};
use jiff::civil::Date;
use tickhouse_bars::Bar;
use tickhouse_enrich::Market;
use tickhouse_model::{Timestamp, Token};

/// A bar, and the instrument that it is of.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedBar {
    /// The instrument's trading symbol: of a continuous series the contract's.
    pub tradingsymbol: String,
    /// Its exchange.
    pub exchange: String,
    /// Its token.
    pub token: Token,
    /// The bar.
    pub bar: Bar,
}

/// Days on which a token is the series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) token: Token,
    pub(super) tradingsymbol: String,
    pub(super) exchange: String,
    pub(super) first: Date,
    pub(super) last: Date,
}

/// What bars are made of: one instrument, or one contract after the other. Parts rise and never share a day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Series {
    pub(super) market: Market,
    pub(super) parts: Vec<Part>,
}

impl Series {
    /// A bar with the instrument of its last day.
    pub(super) fn named(&self, bar: Bar) -> NamedBar {
        let day = date_of_bar(&bar);
        let part = self.parts.iter().rev().find(|part| part.first <= day).unwrap_or(&self.parts[0]);
        NamedBar {
            tradingsymbol: part.tradingsymbol.clone(),
            exchange: part.exchange.clone(),
            token: part.token,
            bar,
        }
    }
}

impl Reader {
    /// The series of a name on some days. More than one where a token meant several instruments.
    pub(super) async fn series(
        &self,
        name: &str,
        (first, last): (Date, Date),
        continuous: bool,
    ) -> Result<Vec<Series>, ReadError> {
        if continuous {
            return Ok(vec![self.continuous(name, first, last).await?]);
        }
        let window = Window { from: begin(first), to: Window::day(last).to };
        let selection = self.select(&[name.to_owned()], &window).await?;
        let mut series: Vec<Series> = Vec::new();
        let meant = selection.meant().unwrap_or_default();
        for one in meant.iter().rev() {
            let (market, part) = part_of(one);
            match series.last_mut() {
                Some(last) if last.market == market && last.parts[0].tradingsymbol == part.tradingsymbol => {
                    last.parts.push(part);
                }
                _ => series.push(Series { market, parts: vec![part] }),
            }
        }
        Ok(series)
    }
}

fn part_of(meant: &Meant) -> (Market, Part) {
    let token = meant.token;
    let (market, tradingsymbol, exchange) = if let Some(listed) = &meant.listed {
        (listed.market, listed.instrument.tradingsymbol.clone(), listed.instrument.exchange.clone())
    } else {
        (Market::of_token(token), token.to_string(), token.segment().name().to_owned())
    };
    (market, Part { token, tradingsymbol, exchange, first: meant.first, last: meant.last })
}

/// The first instant of a day of India.
pub(super) fn begin(day: Date) -> Timestamp {
    Window::day(day).from
}
