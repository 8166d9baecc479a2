//! Five levels of bids and offers, and the few ways in which they change.
//!
//! Kept true by every method: prices on the grid, bids strictly falling, offers strictly rising, best bid below best
//! offer, an offer on every level, quantity and orders above zero where there is a price; missing bids (a price that
//! would not be positive) are all zeros, at the end.

use rand::{Rng, RngExt};
use tickhouse_model::{DEPTH_LEVELS, Level};

/// How an instrument's levels look.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    /// Price step, raw.
    pub(super) tick: i32,
    /// Quantities are multiples of this.
    pub(super) unit: u32,
    /// Typical number of units on a level.
    pub(super) units: u32,
    /// Widest usual spread, in ticks.
    pub(super) spread: i32,
    /// Widest usual distance between levels, in ticks.
    pub(super) gap: i32,
}

/// Both sides, as they stand in a packet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Book {
    pub(super) bids: [Level; DEPTH_LEVELS],
    pub(super) asks: [Level; DEPTH_LEVELS],
}

/// Which side of the book.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Bid,
    Ask,
}

impl Book {
    /// A book around a price.
    pub(super) fn around(price: i32, shape: &Shape, rng: &mut impl Rng) -> Self {
        let mut book =
            Self { bids: [Level::default(); DEPTH_LEVELS], asks: [Level::default(); DEPTH_LEVELS] };
        let ask = price.max(2 * shape.tick);
        book.asks[0] = level(ask, shape, rng);
        let best = ask - rng.random_range(1..=shape.spread) * shape.tick;
        book.bids[0] = if best > 0 { level(best, shape, rng) } else { level(ask - shape.tick, shape, rng) };
        for place in 1..DEPTH_LEVELS {
            book.asks[place] = next_ask(book.asks[place - 1].price, shape, rng);
            book.bids[place] = next_bid(book.bids[place - 1].price, shape, rng);
        }
        book
    }

    /// The price in the middle, not on the grid; the best offer when nobody bids.
    pub(super) fn middle(&self) -> i32 {
        if self.bids[0].price == 0 {
            self.asks[0].price
        } else {
            i32::midpoint(self.bids[0].price, self.asks[0].price)
        }
    }

    /// A trade against the best level of a side: takes at most `quantity`; gives price and quantity, `None` when the
    /// side is empty. A level that is used up makes way for the next.
    pub(super) fn trade(
        &mut self,
        side: Side,
        quantity: u32,
        shape: &Shape,
        rng: &mut impl Rng,
    ) -> Option<(i32, u32)> {
        let best = match side {
            Side::Bid => &mut self.bids[0],
            Side::Ask => &mut self.asks[0],
        };
        let price = best.price;
        if price == 0 {
            return None;
        }
        let traded = quantity.min(best.quantity);
        best.quantity -= traded;
        best.orders = best.orders.min(u16::try_from(best.quantity / shape.unit).unwrap_or(u16::MAX)).max(1);
        if best.quantity == 0 {
            self.remove_best(side, shape, rng);
            self.close_spread(side, shape, rng);
        }
        Some((price, traded))
    }

    fn remove_best(&mut self, side: Side, shape: &Shape, rng: &mut impl Rng) {
        let last = DEPTH_LEVELS - 1;
        match side {
            Side::Bid => {
                self.bids.rotate_left(1);
                self.bids[last] = next_bid(self.bids[last - 1].price, shape, rng);
            }
            Side::Ask => {
                self.asks.rotate_left(1);
                self.asks[last] = next_ask(self.asks[last - 1].price, shape, rng);
            }
        }
    }

    /// After `emptied` lost its best level, the other side follows when the spread is wider than usual.
    fn close_spread(&mut self, emptied: Side, shape: &Shape, rng: &mut impl Rng) {
        let (bid, ask) = (self.bids[0].price, self.asks[0].price);
        if ask - bid <= shape.spread * shape.tick {
            return;
        }
        match emptied {
            Side::Ask => {
                let price = ask - rng.random_range(1..=shape.spread) * shape.tick;
                if price > bid {
                    self.bids.rotate_right(1);
                    self.bids[0] = level(price, shape, rng);
                }
            }
            Side::Bid => {
                let price = bid.max(0) + rng.random_range(1..=shape.spread) * shape.tick;
                if price < ask {
                    self.asks.rotate_right(1);
                    self.asks[0] = level(price, shape, rng);
                }
            }
        }
    }

    /// Orders arrive at or leave one level: quantity changes, its price stays. Best levels change more often.
    pub(super) fn change_level(&mut self, shape: &Shape, rng: &mut impl Rng) {
        let pick: u32 = rng.random();
        let place = [0, 0, 0, 1, 1, 2, 3, 4][(pick & 7) as usize];
        let side = if pick & 8 == 0 { &mut self.bids } else { &mut self.asks };
        let level = &mut side[place];
        if level.price == 0 {
            return;
        }
        let units = rng.random_range(1..=shape.units.div_ceil(4).max(2)) * shape.unit;
        let leaves = pick & 16 != 0 && level.quantity > units;
        let crowded = level.quantity / shape.unit > shape.units.saturating_mul(4);
        if leaves || crowded {
            level.quantity =
                if leaves { level.quantity - units } else { level.quantity / 2 / shape.unit * shape.unit };
            level.orders = level.orders.saturating_sub(u16::from(pick & 32 != 0)).max(1);
        } else {
            level.quantity += units;
            level.orders = level.orders.saturating_add(u16::from(pick & 32 != 0));
        }
    }

    /// Moves every level by so many ticks, as market makers do when the underlying moved; never below one tick.
    pub(super) fn shift(&mut self, ticks: i32, shape: &Shape, rng: &mut impl Rng) {
        let by = ticks * shape.tick;
        let lowest = self.asks[0].price + by;
        if lowest < 2 * shape.tick {
            *self = Self::around(2 * shape.tick, shape, rng);
            return;
        }
        self.asks.iter_mut().for_each(|level| level.price += by);
        for place in 0..DEPTH_LEVELS {
            let moved = if self.bids[place].price == 0 { 0 } else { self.bids[place].price + by };
            if moved > 0 {
                self.bids[place].price = moved;
            } else if place > 0 {
                self.bids[place] = next_bid(self.bids[place - 1].price, shape, rng);
            } else {
                self.bids[0] = level(self.asks[0].price - shape.tick, shape, rng);
                self.bids[1..].fill(Level::default());
            }
        }
    }

    /// Quantity on a side's five levels.
    pub(super) fn total(levels: &[Level; DEPTH_LEVELS]) -> u32 {
        levels.iter().fold(0_u32, |sum, level| sum.saturating_add(level.quantity))
    }
}

fn level(price: i32, shape: &Shape, rng: &mut impl Rng) -> Level {
    let units = rng.random_range(1..=shape.units.max(1) * 2);
    let orders = 1 + rng.random_range(0..=units.min(64) / 3);
    Level { price, quantity: units * shape.unit, orders: orders as u16 }
}

fn next_ask(previous: i32, shape: &Shape, rng: &mut impl Rng) -> Level {
    level(previous + rng.random_range(1..=shape.gap) * shape.tick, shape, rng)
}

fn next_bid(previous: i32, shape: &Shape, rng: &mut impl Rng) -> Level {
    let price = previous - rng.random_range(1..=shape.gap) * shape.tick;
    if previous == 0 || price <= 0 { Level::default() } else { level(price, shape, rng) }
}
