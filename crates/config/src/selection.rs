//! What to subscribe to, as a user writes it.

use std::fmt;
use std::str::FromStr;
use tickhouse_model::{Mode, Token};

/// Which instruments an entry of `kite.subscribe` means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Chosen {
    /// Every instrument of the master.
    All,
    /// Every instrument of one exchange, by Kite's name: `NFO`.
    Exchange(String),
    /// One instrument by exchange and trading symbol: `NSE`, `INFY`.
    Symbol(String, String),
    /// One instrument by its number.
    Token(Token),
}

/// An entry of `kite.subscribe`: `all`, `NFO:*`, `NSE:INFY` or `408065`, each with `@ltp`, `@quote` or `@full` after it
/// where the mode differs from `kite.mode`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    /// Which instruments.
    pub chosen: Chosen,
    /// The mode, `None` for the default one.
    pub mode: Option<Mode>,
}

impl Selection {
    /// Whether the list of instruments is needed to find the tokens.
    pub fn needs_instruments(&self) -> bool {
        !matches!(self.chosen, Chosen::Token(_))
    }

    /// Whether this entry means the instrument. `symbol` is Kite's own trading symbol.
    pub fn matches(&self, token: Token, exchange: &str, symbol: &str) -> bool {
        match &self.chosen {
            Chosen::All => true,
            Chosen::Exchange(name) => name == exchange,
            Chosen::Symbol(name, wanted) => name == exchange && wanted == symbol,
            Chosen::Token(wanted) => *wanted == token,
        }
    }
}

impl FromStr for Selection {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (what, mode) = match text.rsplit_once('@') {
            Some((what, mode)) => (what, Some(mode.parse()?)),
            None => (text, None),
        };
        let chosen = match what.split_once(':') {
            None if what == "all" => Chosen::All,
            None => Chosen::Token(Token(what.parse().map_err(|_| {
                format!("`{text}` selects nothing: use all, EXCHANGE:*, EXCHANGE:SYMBOL or a token, with @ltp, @quote or @full after it")
            })?)),
            Some((exchange, "*")) => Chosen::Exchange(exchange.to_owned()),
            Some((exchange, symbol)) => Chosen::Symbol(exchange.to_owned(), symbol.to_owned()),
        };
        Ok(Self { chosen, mode })
    }
}

impl fmt::Display for Selection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.chosen {
            Chosen::All => f.write_str("all")?,
            Chosen::Exchange(exchange) => write!(f, "{exchange}:*")?,
            Chosen::Symbol(exchange, symbol) => write!(f, "{exchange}:{symbol}")?,
            Chosen::Token(token) => token.fmt(f)?,
        }
        self.mode.map_or(Ok(()), |mode| write!(f, "@{mode}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_read_what_they_write() {
        for text in
            ["all", "all@ltp", "NFO:*@full", "NSE:INFY", "NSE:M&M@quote", "NSE:NIFTY 50", "408065@full"]
        {
            assert_eq!(text.parse::<Selection>().unwrap().to_string(), text);
        }
        for text in ["", "INFY", "NSE:INFY@FULL", "-1", "99999999999"] {
            assert!(text.parse::<Selection>().is_err(), "{text}");
        }
    }

    #[test]
    fn entries_choose() {
        let matches =
            |entry: &str| entry.parse::<Selection>().unwrap().matches(Token(408_065), "NSE", "INFY");
        assert!(matches("all") && matches("NSE:*") && matches("NSE:INFY@ltp") && matches("408065"));
        assert!(!matches("BSE:*") && !matches("NSE:TCS") && !matches("408066"));
    }
}
