//! Markets: groups of instruments that keep the same hours.

use crate::Rules;
use crate::rules::CommodityHours;
use std::fmt;
use tickhouse_model::{Instrument, InstrumentKind, Segment, Token};

/// A group of instruments that keep the same hours. Finer than an exchange, because since 2026-08-03 a share with
/// derivatives closes by auction, and because agricultural contracts of MCX close before metals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Market {
    /// Anything whose hours are not known: NSE IX, GLOBAL, a segment that Kite adds tomorrow.
    Other = 0,
    /// NSE cash, without derivatives.
    Nse,
    /// NSE cash, shares with derivatives: they have the closing auction.
    NseAuction,
    /// BSE cash, without derivatives.
    Bse,
    /// BSE cash, shares with derivatives.
    BseAuction,
    /// NSE futures, which have a pre-open since 2025-12-08.
    NfoFutures,
    /// NSE options.
    NfoOptions,
    /// BSE futures and options.
    Bfo,
    /// NSE currency.
    Cds,
    /// BSE currency.
    Bcd,
    /// MCX metals, energy and their indices' futures.
    Mcx,
    /// MCX agricultural contracts.
    McxAgri,
    /// MCX agricultural contracts with an international reference price.
    McxAgriLinked,
    /// NSE commodities.
    Nco,
    /// Indices of NSE.
    NseIndices,
    /// Indices of BSE.
    BseIndices,
    /// Indices of MCX.
    McxIndices,
}

impl Market {
    /// How many there are: `market as usize` is below this.
    pub const COUNT: usize = 17;

    /// All markets, in the order of their numbers.
    pub const ALL: [Self; Self::COUNT] = [
        Self::Other,
        Self::Nse,
        Self::NseAuction,
        Self::Bse,
        Self::BseAuction,
        Self::NfoFutures,
        Self::NfoOptions,
        Self::Bfo,
        Self::Cds,
        Self::Bcd,
        Self::Mcx,
        Self::McxAgri,
        Self::McxAgriLinked,
        Self::Nco,
        Self::NseIndices,
        Self::BseIndices,
        Self::McxIndices,
    ];

    /// The name that calendar files use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Other => "OTHER",
            Self::Nse => "NSE",
            Self::NseAuction => "NSE-CAS",
            Self::Bse => "BSE",
            Self::BseAuction => "BSE-CAS",
            Self::NfoFutures => "NFO-FUT",
            Self::NfoOptions => "NFO-OPT",
            Self::Bfo => "BFO",
            Self::Cds => "CDS",
            Self::Bcd => "BCD",
            Self::Mcx => "MCX",
            Self::McxAgri => "MCX-AGRI",
            Self::McxAgriLinked => "MCX-AGRI-LINKED",
            Self::Nco => "NCO",
            Self::NseIndices => "NSE-INDICES",
            Self::BseIndices => "BSE-INDICES",
            Self::McxIndices => "MCX-INDICES",
        }
    }

    /// The market of a name in a calendar file.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|market| market.name() == name)
    }

    /// The market of a token of which nothing else is known. Futures cannot be told from options, nor shares with
    /// derivatives from others, so this gives the longer continuous session; an index counts as NSE's.
    pub const fn of_token(token: Token) -> Self {
        match token.segment() {
            Segment::NSE => Self::Nse,
            Segment::NFO => Self::NfoOptions,
            Segment::CDS => Self::Cds,
            Segment::BSE => Self::Bse,
            Segment::BFO => Self::Bfo,
            Segment::BCD => Self::Bcd,
            Segment::MCX => Self::Mcx,
            Segment::INDICES => Self::NseIndices,
            Segment::NCO => Self::Nco,
            _ => Self::Other,
        }
    }

    /// The market of an instrument by Kite's exchange and its kind, before what only the whole master tells (see
    /// [`Market::with_auction`]).
    pub fn of_exchange(exchange: &str, kind: InstrumentKind) -> Self {
        match (exchange, kind) {
            ("NSE", InstrumentKind::Index) => Self::NseIndices,
            ("BSE", InstrumentKind::Index) => Self::BseIndices,
            ("MCX", InstrumentKind::Index) => Self::McxIndices,
            (_, InstrumentKind::Index) => Self::Other,
            ("NSE", _) => Self::Nse,
            ("BSE", _) => Self::Bse,
            ("NFO", InstrumentKind::Future) => Self::NfoFutures,
            ("NFO", _) => Self::NfoOptions,
            ("BFO", _) => Self::Bfo,
            ("CDS", _) => Self::Cds,
            ("BCD", _) => Self::Bcd,
            ("MCX", _) => Self::Mcx,
            ("NCO", _) => Self::Nco,
            _ => Self::Other,
        }
    }

    /// The market of an instrument with what these rules say of commodities, before what only the whole master tells.
    pub fn of_instrument(instrument: &Instrument, rules: &Rules) -> Self {
        match Self::of_exchange(&instrument.exchange, instrument.instrument_type) {
            Self::Mcx => match rules.commodity_hours(&instrument.underlying) {
                CommodityHours::Ordinary => Self::Mcx,
                CommodityHours::Agri => Self::McxAgri,
                CommodityHours::AgriLinked => Self::McxAgriLinked,
            },
            market => market,
        }
    }

    /// The market of a share of this one that has derivatives.
    #[must_use]
    pub const fn with_auction(self) -> Self {
        match self {
            Self::Nse => Self::NseAuction,
            Self::Bse => Self::BseAuction,
            other => other,
        }
    }
}

impl fmt::Display for Market {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names_are_dense_and_distinct() {
        for (number, market) in Market::ALL.into_iter().enumerate() {
            assert_eq!(market as usize, number);
            assert_eq!(Market::of_name(market.name()), Some(market));
        }
    }

    #[test]
    fn every_known_segment_but_the_dead_one_has_a_market() {
        let without: Vec<u8> =
            (1..=12).filter(|segment| Market::of_token(Token::new(1, *segment)) == Market::Other).collect();
        assert_eq!(without, [8, 10, 11]);
    }
}
