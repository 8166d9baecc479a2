//! Last prices of the few tokens that decide where the money is, from frames that pass by.

use rustc_hash::FxHashMap;
use tickhouse_decode::{Item, decode};
use tickhouse_model::Token;

/// Last prices in rupees; of other tokens nothing is kept.
#[derive(Clone, Debug, Default)]
pub struct Prices(FxHashMap<Token, Option<f64>>);

impl Prices {
    /// Follows these tokens. What is known of them stays, others are forgotten.
    pub fn follow(&mut self, tokens: &[Token]) {
        self.0 = tokens.iter().map(|token| (*token, self.get(*token))).collect();
    }

    /// The last price of a token, `None` while there was none.
    pub fn get(&self, token: Token) -> Option<f64> {
        self.0.get(&token).copied().flatten()
    }

    /// Notes a price, if the token is followed and the price is one.
    pub fn note(&mut self, token: Token, price: f64) -> bool {
        let known = self.0.get_mut(&token).filter(|_| price.is_finite() && price > 0.0);
        known.is_some_and(|known| known.replace(price) != Some(price))
    }

    /// Notes the prices of a binary message; whether any changed. Damage ends it silently: the journal keeps the message
    /// and the loader judges it.
    pub fn note_frame(&mut self, message: &[u8]) -> bool {
        if self.0.is_empty() {
            return false;
        }
        let mut changed = false;
        for item in decode(message) {
            if let Ok(Item::Packet { packet, .. }) = item
                && self.0.contains_key(&packet.token())
            {
                let token = packet.token();
                changed |= self.note(token, token.segment().rupees(packet.to_packet().last_price));
            }
        }
        changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tickhouse_decode::FrameBuilder;
    use tickhouse_model::{Packet, PacketKind};

    #[test]
    fn only_what_is_followed_is_kept() {
        let (nifty, usdinr, infy) = (Token(256_265), Token::new(1, 3), Token(408_065));
        let mut frame = FrameBuilder::default();
        for (token, kind, price) in [
            (nifty, PacketKind::IndexFull, 2_400_050),
            (usdinr, PacketKind::Ltp, 886_450_000),
            (infy, PacketKind::Quote, 150_000),
        ] {
            frame.push(&Packet { last_price: price, ..Packet::empty(token, kind) });
        }
        let message = frame.take();
        let mut prices = Prices::default();
        assert!(!prices.note_frame(&message));
        prices.follow(&[nifty, usdinr]);
        assert!(prices.note_frame(&message) && !prices.note_frame(&message), "the same again is no change");
        assert_eq!(
            (prices.get(nifty), prices.get(usdinr), prices.get(infy)),
            (Some(24_000.5), Some(88.645), None)
        );
        assert!(!prices.note(nifty, 0.0) && !prices.note(nifty, f64::NAN) && !prices.note(infy, 1.0));
        prices.follow(&[nifty, infy]);
        assert_eq!((prices.get(nifty), prices.get(usdinr)), (Some(24_000.5), None));
        prices.note_frame(&message[..message.len() - 3]);
        assert_eq!(prices.get(infy), None, "a cut packet is none");
    }
}
