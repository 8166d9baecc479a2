//! What one connection subscribed to, and the frame that is being filled for it.

use crate::market::{Batch, Update};
use crate::universe::Universe;
use bytes::Bytes;
use rand::{Rng as _, SeedableRng as _};
use std::sync::Arc;
use tickhouse_decode::{FrameBuilder, Request};
use tickhouse_model::{Mode, PacketKind};

/// Packets in a frame when nobody asked for a number.
const NATURAL: u16 = 1_000;

/// Subscriptions and packets of one connection.
#[derive(Debug)]
pub(super) struct Feed {
    universe: Arc<Universe>,
    /// By place in the universe: `None`, or how much of a packet is wanted.
    modes: Vec<Option<Mode>>,
    subscribed: usize,
    most: usize,
    builder: FrameBuilder,
    /// Packets of a frame.
    full: u16,
    /// Whether frames wait until they have exactly that many.
    exactly: bool,
}

/// What a request leads to.
#[derive(Debug, Default)]
pub(super) struct Answer {
    /// Places in the snapshot of packets to send, with their mode.
    pub(super) due: Vec<(usize, Mode)>,
    /// An error text to send.
    pub(super) error: Option<String>,
}

impl Feed {
    pub(super) fn new(universe: Arc<Universe>, most: usize, packets_per_frame: Option<u16>) -> Self {
        let modes = vec![None; universe.listings().len()];
        Self {
            universe,
            modes,
            subscribed: 0,
            most,
            builder: FrameBuilder::default(),
            full: packets_per_frame.unwrap_or(NATURAL).max(1),
            exactly: packets_per_frame.is_some(),
        }
    }

    pub(super) const fn subscribed(&self) -> usize {
        self.subscribed
    }

    /// Takes a request into account.
    pub(super) fn answer(&mut self, request: &Request, snapshot: &Batch) -> Answer {
        let mode = match request {
            Request::Subscribe(_) => Mode::Quote,
            Request::Mode(mode, _) => *mode,
            Request::Unsubscribe(tokens) => {
                for index in tokens.iter().filter_map(|token| self.universe.index_of(*token)) {
                    self.subscribed -= usize::from(self.modes[index as usize].take().is_some());
                }
                return Answer::default();
            }
        };
        let mut answer = Answer::default();
        for (place, update) in snapshot.updates.iter().enumerate() {
            let known = &mut self.modes[update.index as usize];
            if known.is_none() {
                if self.subscribed == self.most {
                    answer.error.get_or_insert_with(|| over_limit(self.most));
                    continue;
                }
                self.subscribed += 1;
            }
            if known.replace(mode) != Some(mode) {
                answer.due.push((place, mode));
            }
        }
        answer
    }

    /// Adds the wanted ones of a batch's updates, from a place on, until the frame is full; gives the place to go on
    /// from.
    pub(super) fn add(&mut self, batch: &Batch, from: usize, muted: bool) -> usize {
        for (place, update) in batch.updates.iter().enumerate().skip(from) {
            let wanted = match self.modes[update.index as usize] {
                None => None,
                Some(mode @ Mode::Ltp) => update.changes.last_price.then_some(mode),
                Some(mode @ Mode::Quote) => update.changes.quote.then_some(mode),
                Some(mode @ Mode::Full) => Some(mode),
            };
            let Some(mode) = wanted else { continue };
            if muted && update.index % 2 == 1 {
                continue;
            }
            self.push(batch, update, mode);
            if self.builder.count() == self.full {
                return place + 1;
            }
        }
        batch.updates.len()
    }

    /// The same for the packets that an answer owes.
    pub(super) fn add_snapshot(&mut self, snapshot: &Batch, due: &[(usize, Mode)], from: usize) -> usize {
        for (done, (place, mode)) in due.iter().enumerate().skip(from) {
            self.push(snapshot, &snapshot.updates[*place], *mode);
            if self.builder.count() == self.full {
                return done + 1;
            }
        }
        due.len()
    }

    fn push(&mut self, batch: &Batch, update: &Update, mode: Mode) {
        let body = batch.body(update);
        let index = body.len() == PacketKind::IndexFull.body_len();
        let kind = match (mode, index) {
            (Mode::Ltp, _) => PacketKind::Ltp,
            (Mode::Quote, true) => PacketKind::IndexQuote,
            (Mode::Quote, false) => PacketKind::Quote,
            (Mode::Full, _) => return self.builder.push_raw(body),
        };
        self.builder.push_raw(&body[..kind.body_len()]);
    }

    /// The frame and its number of packets, when it is full, or may go as it is, or `everything` must.
    pub(super) fn take(&mut self, everything: bool) -> Option<(Vec<u8>, u16)> {
        let count = self.builder.count();
        let ready = count == self.full || (count > 0 && (everything || !self.exactly));
        ready.then(|| (self.builder.take(), count))
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.builder.count() == 0
    }

    /// Throws away what is waiting.
    pub(super) fn discard(&mut self) {
        if !self.is_empty() {
            drop(self.builder.take());
        }
    }
}

fn over_limit(most: usize) -> String {
    format!(r#"{{"type":"error","data":"Can't subscribe to more than {most} instruments."}}"#)
}

/// Bytes that mean nothing; the same for the same seed.
pub(super) fn noise(len: usize, seed: u64) -> Bytes {
    let mut bytes = vec![0; len];
    rand_chacha::ChaCha8Rng::seed_from_u64(seed).fill_bytes(&mut bytes);
    bytes.into()
}
