//! An option chain: strikes by expiry, and the window around the money that follows the price.

use tickhouse_model::Token;

/// How far beyond the middle between two strikes a price must be before the strike at the money changes, as a fraction of
/// their distance.
pub const INERTIA: f64 = 0.2;

/// One strike of one expiry.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Strike {
    pub(crate) price: f64,
    /// Call and put, or what there is of them.
    pub(crate) tokens: Vec<Token>,
}

/// The strikes of one expiry, rising, and where the money is.
#[derive(Clone, Debug)]
pub(crate) struct Ladder {
    /// Days since 1970-01-01.
    pub(crate) expiry_days: u16,
    strikes: Vec<Strike>,
    at: Option<usize>,
}

impl Ladder {
    /// `strikes` rising, without a price twice, not empty.
    pub(crate) fn new(expiry_days: u16, strikes: Vec<Strike>) -> Self {
        debug_assert!(!strikes.is_empty() && strikes.is_sorted_by(|a, b| a.price < b.price));
        Self { expiry_days, strikes, at: None }
    }

    /// Moves the money to where this price is, with inertia; whether it moved.
    pub(crate) fn follow(&mut self, price: f64) -> bool {
        let nearest = self.nearest(price);
        let before = self.at;
        self.at = Some(match self.at {
            Some(at) if at.abs_diff(nearest) == 1 && !self.is_beyond(price, at, nearest) => at,
            _ => nearest,
        });
        self.at != before
    }

    /// Takes over where the money was on another ladder of the same expiry, so that a new master moves nothing.
    pub(crate) fn inherit(&mut self, before: &Self) {
        let money = before.money().map(f64::to_bits);
        self.at = self.strikes.iter().position(|strike| Some(strike.price.to_bits()) == money);
    }

    /// The strike at the money.
    pub(crate) fn money(&self) -> Option<f64> {
        self.at.map(|at| self.strikes[at].price)
    }

    /// The strikes within `half` of the money with their distance from it; none before there was a price.
    pub(crate) fn window(&self, half: usize) -> impl Iterator<Item = (usize, &Strike)> {
        let strikes = self.at.map_or(0..0, |at| {
            at.saturating_sub(half)..self.strikes.len().min(at.saturating_add(half).saturating_add(1))
        });
        let at = self.at.unwrap_or(0);
        strikes.map(move |index| (index.abs_diff(at), &self.strikes[index]))
    }

    /// Most tokens that a window can have.
    pub(crate) fn most(&self, half: usize) -> usize {
        let mut sizes: Vec<usize> = self.strikes.iter().map(|strike| strike.tokens.len()).collect();
        sizes.sort_unstable_by(|a, b| b.cmp(a));
        sizes.iter().take(half.saturating_mul(2).saturating_add(1)).sum()
    }

    /// The strike next to a price, the lower of two.
    fn nearest(&self, price: f64) -> usize {
        let above = self.strikes.partition_point(|strike| strike.price < price);
        let last = self.strikes.len() - 1;
        if above == 0 {
            return 0;
        }
        if above > last {
            return last;
        }
        let (low, high) = (self.strikes[above - 1].price, self.strikes[above].price);
        if price - low <= high - price { above - 1 } else { above }
    }

    /// Whether the price is far enough on the side of `nearest`, the neighbour of `at`.
    fn is_beyond(&self, price: f64, at: usize, nearest: usize) -> bool {
        let (from, to) = (self.strikes[at].price, self.strikes[nearest].price);
        (price - from) / (to - from) > 0.5 + INERTIA
    }
}

/// The options of one underlying.
#[derive(Clone, Debug)]
pub(crate) struct Chain {
    pub(crate) underlying: String,
    /// Whose price decides where the money is.
    pub(crate) spot: Token,
    /// Nearest expiry first.
    pub(crate) ladders: Vec<Ladder>,
    /// The last price that was followed.
    pub(crate) price: Option<f64>,
}

impl Chain {
    /// Moves the money of every expiry; whether any moved.
    pub(crate) fn follow(&mut self, price: Option<f64>) -> bool {
        let Some(price) = price.filter(|price| price.is_finite() && *price > 0.0) else { return false };
        self.price = Some(price);
        let mut moved = false;
        for ladder in &mut self.ladders {
            moved |= ladder.follow(price);
        }
        moved
    }

    /// The windows' tokens, nearest to the money first, of these the nearest expiry.
    pub(crate) fn tokens(&self, half: usize) -> Vec<Token> {
        let mut found: Vec<(usize, usize, &[Token])> = Vec::new();
        for (expiry, ladder) in self.ladders.iter().enumerate() {
            found
                .extend(ladder.window(half).map(|(distance, strike)| (distance, expiry, &strike.tokens[..])));
        }
        // stable: of two strikes at one distance the lower comes first
        found.sort_by_key(|(distance, expiry, _)| (*distance, *expiry));
        found.into_iter().flat_map(|(_, _, tokens)| tokens.iter().copied()).collect()
    }
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "strikes are handed through, not computed")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ladder(strikes: &[f64]) -> Ladder {
        let strike = |price: &f64| Strike { price: *price, tokens: vec![Token(*price as u32)] };
        Ladder::new(20_000, strikes.iter().map(strike).collect())
    }

    #[test]
    fn a_price_that_wobbles_between_two_strikes_moves_nothing() {
        let mut ladder = ladder(&[100.0, 150.0, 200.0, 250.0]);
        let mut at = |price: f64| {
            ladder.follow(price);
            ladder.money().unwrap()
        };
        assert_eq!(at(151.0), 150.0);
        for price in [174.0, 176.0, 184.9, 175.0, 185.0] {
            assert_eq!(at(price), 150.0, "{price}");
        }
        assert_eq!(at(185.1), 200.0);
        for price in [176.0, 170.0, 165.0] {
            assert_eq!(at(price), 200.0, "{price}");
        }
        assert_eq!(at(164.9), 150.0);
        assert_eq!(at(249.0), 250.0, "a jump over a strike goes at once");
        assert_eq!(at(1.0), 100.0);
        assert_eq!(at(10_000.0), 250.0);
    }

    #[test]
    fn windows_end_where_the_strikes_end() {
        let mut ladder = ladder(&[100.0, 150.0, 200.0, 250.0]);
        assert_eq!(ladder.window(9).count(), 0, "no price yet");
        ladder.follow(110.0);
        let window: Vec<_> = ladder.window(2).map(|(distance, strike)| (distance, strike.price)).collect();
        assert_eq!(window, [(0, 100.0), (1, 150.0), (2, 200.0)]);
        assert_eq!((ladder.most(0), ladder.most(1), ladder.most(usize::MAX)), (1, 3, 4));
    }

    proptest! {
        #[test]
        fn the_money_is_where_brute_force_puts_it(
            strikes in prop::collection::btree_set(1_u32..500, 1..30),
            prices in prop::collection::vec(0.5_f64..520.0, 1..60),
        ) {
            let strikes: Vec<f64> = strikes.into_iter().map(f64::from).collect();
            let mut ladder = ladder(&strikes);
            let mut before: Option<f64> = None;
            for price in prices {
                ladder.follow(price);
                let distance = |strike: f64| (strike - price).abs();
                let nearest = strikes.iter().copied().fold(f64::MAX, |best, strike| {
                    if distance(strike) < distance(best) { strike } else { best }
                });
                let money = ladder.money().unwrap();
                let place = |strike: f64| strikes.iter().position(|other| *other == strike).unwrap();
                let beyond = |from: f64, to: f64| (price - from) / (to - from);
                if money != nearest {
                    // it stayed: a neighbour of the nearest, and the price is not far beyond the middle
                    prop_assert_eq!(Some(money), before);
                    prop_assert_eq!(place(money).abs_diff(place(nearest)), 1);
                    prop_assert!(beyond(money, nearest) <= 0.5 + INERTIA + 1e-9);
                } else if let Some(before) = before.filter(|before| place(*before).abs_diff(place(money)) == 1) {
                    // it moved to a neighbour: not for a price within the inertia of where it was
                    prop_assert!(beyond(before, money) > 0.5 + INERTIA - 1e-9);
                }
                before = Some(money);
            }
        }
    }
}
