//! Instrument tokens and what their last byte tells.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Kite's number of an instrument: `exchange_token << 8 | segment`. Tokens are reused after expiry, so a token names
/// an instrument only together with a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Token(pub u32);

impl Token {
    /// The token of an exchange's own number in a segment. `exchange_token` must be below 2^24.
    pub const fn new(exchange_token: u32, segment: u8) -> Self {
        Self(exchange_token << 8 | segment as u32)
    }

    /// The market segment, the token's last byte.
    #[inline]
    pub const fn segment(self) -> Segment {
        Segment(self.0 as u8)
    }

    /// The exchange's own number of the instrument.
    pub const fn exchange_token(self) -> u32 {
        self.0 >> 8
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A market segment of Kite: it fixes the price divisor and whether packets have the layout of an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Segment(pub u8);

impl Segment {
    /// NSE cash.
    pub const NSE: Self = Self(1);
    /// NSE futures and options.
    pub const NFO: Self = Self(2);
    /// NSE currency.
    pub const CDS: Self = Self(3);
    /// BSE cash.
    pub const BSE: Self = Self(4);
    /// BSE futures and options.
    pub const BFO: Self = Self(5);
    /// BSE currency.
    pub const BCD: Self = Self(6);
    /// MCX commodities.
    pub const MCX: Self = Self(7);
    /// MCX-SX, a dead exchange whose number is still reserved.
    pub const MCXSX: Self = Self(8);
    /// Indices of every exchange.
    pub const INDICES: Self = Self(9);
    /// NSE commodity derivatives. Of the official clients only Python's, since 5.2.2, has this divisor.
    pub const NCO: Self = Self(12);

    /// What a raw price is divided by to give rupees (or index points). An unknown segment counts as 100, as most do;
    /// see [`Segment::is_known`].
    #[inline]
    pub const fn divisor(self) -> u32 {
        match self {
            Self::CDS => 10_000_000,
            Self::BCD | Self::NCO => 10_000,
            _ => 100,
        }
    }

    /// Whether packets of this segment are index packets (28 and 32 bytes, no volume, no depth).
    pub const fn is_index(self) -> bool {
        self.0 == Self::INDICES.0
    }

    /// Whether Tickhouse knows this segment's divisor, or assumes one.
    pub const fn is_known(self) -> bool {
        matches!(self.0, 1..=9 | 12)
    }

    /// Kite's name of the exchange, as the instruments master writes it; indices carry their owner's name there, so
    /// this gives `INDICES`. Empty for an unknown segment.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NSE => "NSE",
            Self::NFO => "NFO",
            Self::CDS => "CDS",
            Self::BSE => "BSE",
            Self::BFO => "BFO",
            Self::BCD => "BCD",
            Self::MCX => "MCX",
            Self::MCXSX => "MCXSX",
            Self::INDICES => "INDICES",
            Self::NCO => "NCO",
            _ => "",
        }
    }

    /// What turns raw prices into rupees, for many prices of one instrument.
    #[inline]
    pub fn scale(self) -> Scale {
        Scale(f64::from(self.divisor()))
    }

    /// A raw price in rupees; see [`Scale::rupees`].
    #[inline]
    pub fn rupees(self, raw: i32) -> f64 {
        self.scale().rupees(raw)
    }
}

/// Turns raw prices of one segment into rupees. Choosing the divisor once lets the compiler divide several prices at a time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scale(f64);

impl Scale {
    /// A raw price in rupees: the double nearest to the decimal value, because both operands are exact.
    #[inline]
    pub fn rupees(self, raw: i32) -> f64 {
        f64::from(raw) / self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_split_as_the_master_says() {
        assert_eq!((Token(408_065).exchange_token(), Token(408_065).segment()), (1_594, Segment::NSE));
        assert_eq!((Token(256_265).exchange_token(), Token(256_265).segment()), (1_001, Segment::INDICES));
        assert_eq!(Token::new(208_021, 7), Token(53_253_383));
    }

    #[test]
    fn divisors_of_every_segment() {
        let divisors: Vec<_> = (0..=13).map(|segment| Segment(segment).divisor()).collect();
        assert_eq!(
            divisors,
            [100, 100, 100, 10_000_000, 100, 100, 10_000, 100, 100, 100, 100, 100, 10_000, 100]
        );
        // crude on NCO, compared with /quote: 85 730 000 is 8 573 rupees
        assert!((Segment::NCO.rupees(85_730_000) - 8_573.0).abs() < f64::EPSILON);
    }
}
