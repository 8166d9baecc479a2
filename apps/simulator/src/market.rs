//! The market model: every instrument's state as Kite would send it, and how it moves.
//!
//! What enters: a universe, a seed, the present, how many updates to make. What leaves: batches of updated states,
//! already encoded. The same seed, universe and sequence of steps give the same bytes. What never happens here: I/O,
//! reading a clock, an allocation per update.
//!
//! Shape of the model. Activity is heavy-tailed: a few names get most updates ([`sampler`]). About half of an active
//! name's updates are trades, the others change one or two levels of depth or the totals behind it ([`book`]); an
//! illiquid name hardly trades at all. Shares, indices and near futures without a spot walk on their tick grid within
//! circuit limits; other futures and options follow their underlying ([`pricing`]). When India's date changes, an
//! instrument's volume, average and day's open, high and low go back to zero and its last price becomes the previous
//! close.

mod book;
mod instrument;
mod minutes;
mod pricing;
mod sampler;

use crate::universe::{Pricing, Universe};
pub(crate) use instrument::CIRCUIT;
use instrument::Instrument;
use minutes::Minutes;
pub(crate) use minutes::{Minute, Traded};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sampler::Sampler;
use std::sync::Arc;
use tickhouse_decode::encode_packet;
use tickhouse_model::{Packet, Segment, Timestamp, Token};

/// Which segments trade at an instant, by segment number.
pub(crate) type OpenSegments = [bool; 16];

/// How often a pick may fall on a closed segment before it is given up.
const PICKS: usize = 64;

/// What a client in each mode would see differently after an update.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Changes {
    pub(crate) last_price: bool,
    /// Any field of the first 44 bytes (28 of an index).
    pub(crate) quote: bool,
}

/// One updated instrument of a [`Batch`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Update {
    /// Place in the universe.
    pub(crate) index: u32,
    pub(crate) changes: Changes,
    start: u32,
    len: u8,
}

/// Updates in the order in which they happened, each with the body of its full packet. A quote or ltp body is the
/// beginning of the full one, so one encoding serves every subscriber.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub(crate) updates: Vec<Update>,
    bytes: Vec<u8>,
}

impl Batch {
    pub(crate) fn with_capacity(updates: usize) -> Self {
        Self { updates: Vec::with_capacity(updates), bytes: Vec::with_capacity(updates * 184) }
    }

    /// The full body of one of this batch's updates.
    pub(crate) fn body(&self, update: &Update) -> &[u8] {
        &self.bytes[update.start as usize..][..usize::from(update.len)]
    }

    fn push(&mut self, index: u32, changes: Changes, packet: &Packet) {
        let start = self.bytes.len() as u32;
        encode_packet(packet, &mut self.bytes);
        let len = (self.bytes.len() as u32 - start) as u8;
        self.updates.push(Update { index, changes, start, len });
    }
}

/// All instruments and the chance that moves them.
#[derive(Debug)]
pub(crate) struct Market {
    universe: Arc<Universe>,
    instruments: Vec<Instrument>,
    sampler: Sampler,
    rng: ChaCha8Rng,
    minutes: Minutes,
}

impl Market {
    /// A market in the middle of its day at `now`.
    pub(crate) fn new(universe: Arc<Universe>, seed: u64, now: Timestamp) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed ^ 0x6d61_726b_6574);
        let listings = universe.listings();
        let mut instruments: Vec<Instrument> = Vec::with_capacity(listings.len());
        for listing in listings {
            let fair = match listing.pricing {
                Pricing::Walk => None,
                Pricing::Future { underlying, .. } | Pricing::Option { underlying, .. } => pricing::fair(
                    listing.pricing,
                    listing.tick,
                    instruments[underlying as usize].last_price(),
                ),
            };
            instruments.push(Instrument::open(listing, fair, now, &mut rng));
        }
        let sampler = Sampler::new(listings.iter().map(|listing| listing.weight));
        let minutes = Minutes::since(now, instruments.len());
        Self { universe, instruments, sampler, rng, minutes }
    }

    /// Makes up to `count` updates and appends them; fewer when hardly anything is open.
    pub(crate) fn step(&mut self, now: Timestamp, count: usize, open: &OpenSegments, batch: &mut Batch) {
        if !open.contains(&true) {
            return;
        }
        for _ in 0..count {
            let Some(index) = self.pick(open) else { continue };
            let before = *self.instruments[index as usize].packet();
            let changes = self.update(index, now);
            self.minutes.note(index, now, &before, self.instruments[index as usize].packet());
            batch.push(index, changes, self.instruments[index as usize].packet());
        }
    }

    fn pick(&mut self, open: &OpenSegments) -> Option<u32> {
        (0..PICKS).find_map(|_| {
            let index = self.sampler.pick(self.rng.random(), self.rng.random());
            open[self.instruments[index as usize].segment()].then_some(index)
        })
    }

    fn update(&mut self, index: u32, now: Timestamp) -> Changes {
        let instrument = &self.instruments[index as usize];
        let fair = instrument.underlying().and_then(|underlying| {
            let below = self.instruments[underlying as usize].last_price();
            pricing::fair(instrument.pricing(), instrument.tick(), below)
        });
        self.instruments[index as usize].update(fair, now, &mut self.rng)
    }

    /// The last value of an instrument, as a full packet; rolls it into the day of `now` first.
    pub(crate) fn last_value(&mut self, index: u32, now: Timestamp) -> &Packet {
        self.instruments[index as usize].roll(now);
        self.instruments[index as usize].packet()
    }

    /// What was traded of an instrument, minute by minute.
    pub(crate) fn traded(&self, index: u32) -> Traded {
        self.minutes.of(index)
    }

    /// The last values of those of these tokens that are listed, without changes that anybody waits for.
    pub(crate) fn snapshot(&mut self, tokens: &[Token], now: Timestamp) -> Batch {
        let mut batch = Batch::with_capacity(tokens.len());
        for token in tokens {
            if let Some(index) = self.universe.index_of(*token) {
                let packet = *self.last_value(index, now);
                batch.push(index, Changes { last_price: true, quote: true }, &packet);
            }
        }
        batch
    }
}

/// Every segment open: an exchange that is always in session.
pub(crate) const ALL_OPEN: OpenSegments = [true; 16];

/// The index of a segment in [`OpenSegments`].
pub(crate) fn slot(segment: Segment) -> usize {
    usize::from(segment.0 & 15)
}

#[cfg(test)]
mod tests;
