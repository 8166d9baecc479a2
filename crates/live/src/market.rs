//! The newest state of every instrument, and the last ticks of those that somebody looks at closely.
//!
//! What enters: packets and flat ticks, in the order in which they are read; rows of `latest_prices`. What leaves: states with the
//! numbers of their changes. What never happens here: I/O; work that depends on how many look on; memory that grows with them but
//! for one ring of [`TICKS_KEPT`] ticks per instrument that is looked at closely.

use crate::{LiveTick, Quote};
use rustc_hash::FxHashMap;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use tickhouse_model::{Packet, Timestamp};
use tickhouse_stream::FlatTick;
use tokio::sync::watch;

/// Ticks of a focused instrument that wait for its viewers.
pub const TICKS_KEPT: usize = 512;
/// Instruments whose state is held, at about 100 bytes each; ticks of further ones are counted as unplaced. Anybody may write flat
/// entries with any token.
pub const MOST_INSTRUMENTS: usize = 400_000;

/// The newest state of every instrument.
#[derive(Debug)]
pub struct Market {
    state: RwLock<State>,
    changed: watch::Sender<u64>,
    ticks: AtomicU64,
    unplaced: AtomicU64,
    holes: AtomicU64,
    skipped: AtomicU64,
    viewers: AtomicUsize,
}

/// What was counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Counts {
    /// Instruments with a state.
    pub instruments: usize,
    /// Ticks read from the streams.
    pub ticks: u64,
    /// Ticks of more instruments than are held.
    pub unplaced: u64,
    /// How often entries were missing between two that were read.
    pub holes: u64,
    /// Focused ticks that viewers were too slow for.
    pub skipped: u64,
    /// Viewers now.
    pub viewers: usize,
}

#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) slots: Vec<Slot>,
    pub(crate) slot_of: FxHashMap<u32, u32>,
    /// The number of the last change.
    pub(crate) version: u64,
    pub(crate) focused: FxHashMap<u32, Focused>,
}

/// An instrument.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) quote: Quote,
    /// The number of its last change.
    pub(crate) version: u64,
}

/// The last ticks of an instrument, for all that look at it closely.
#[derive(Debug, Default)]
pub(crate) struct Focused {
    pub(crate) ticks: VecDeque<LiveTick>,
    /// The number of the first of them; those before are gone.
    pub(crate) first: u64,
    /// How often the feed had a hole: ticks that nobody has counted may be missing.
    pub(crate) holes: u64,
    pub(crate) viewers: usize,
}

impl Focused {
    /// The number that the next tick will have.
    pub(crate) fn next(&self) -> u64 {
        self.first + self.ticks.len() as u64
    }

    fn push(&mut self, tick: LiveTick) {
        if self.ticks.len() == TICKS_KEPT {
            self.ticks.pop_front();
            self.first += 1;
        }
        self.ticks.push_back(tick);
    }
}

impl State {
    fn slot(&mut self, token: u32) -> Option<&mut Slot> {
        let at = match self.slot_of.get(&token) {
            Some(at) => *at as usize,
            None if self.slots.len() >= MOST_INSTRUMENTS => return None,
            None => {
                self.slot_of.insert(token, self.slots.len() as u32);
                let quote = Quote { instrument_token: token, ..Quote::default() };
                self.slots.push(Slot { quote, version: 0 });
                self.slots.len() - 1
            }
        };
        self.slots.get_mut(at)
    }

    /// Changes a state; `None` when there is no place for another instrument.
    fn change(&mut self, token: u32, change: impl FnOnce(&mut Quote) -> bool) -> Option<()> {
        let version = self.version + 1;
        let slot = self.slot(token)?;
        if change(&mut slot.quote) {
            slot.version = version;
            self.version = version;
        }
        Some(())
    }
}

impl Default for Market {
    fn default() -> Self {
        Self {
            state: RwLock::default(),
            changed: watch::Sender::new(0),
            ticks: AtomicU64::new(0),
            unplaced: AtomicU64::new(0),
            holes: AtomicU64::new(0),
            skipped: AtomicU64::new(0),
            viewers: AtomicUsize::new(0),
        }
    }
}

impl Market {
    /// Takes packets of one record, in their order, each with whether it is a cached last value.
    pub fn take<'a>(&self, received_at: Timestamp, packets: impl Iterator<Item = (Packet, bool)> + 'a) {
        let mut state = self.write();
        let (mut ticks, mut unplaced) = (0, 0);
        for (packet, snapshot) in packets {
            ticks += 1;
            let token = packet.token.0;
            if state.change(token, |quote| quote.apply(&packet, received_at)).is_none() {
                unplaced += 1;
            }
            if let Some(focused) = state.focused.get_mut(&token) {
                focused.push(LiveTick::of(&packet, received_at, snapshot));
            }
        }
        drop(state);
        self.ticks.fetch_add(ticks, Ordering::Relaxed);
        self.unplaced.fetch_add(unplaced, Ordering::Relaxed);
    }

    /// Takes a flat tick.
    pub fn take_flat(&self, received_at: Timestamp, tick: &FlatTick) {
        let mut state = self.write();
        let token = tick.instrument_token;
        let placed = state.change(token, |quote| quote.apply_flat(tick, received_at)).is_some();
        if let Some(focused) = state.focused.get_mut(&token) {
            focused.push(LiveTick::of_flat(tick, received_at));
        }
        drop(state);
        self.ticks.fetch_add(1, Ordering::Relaxed);
        self.unplaced.fetch_add(u64::from(!placed), Ordering::Relaxed);
    }

    /// Takes what is stored, for instruments that have not ticked since, or have told less.
    pub fn complete(&self, stored: &[Quote]) {
        let mut state = self.write();
        let mut unplaced = 0;
        for quote in stored {
            let changed = state.change(quote.instrument_token, |known| known.complete(quote));
            unplaced += u64::from(changed.is_none());
        }
        drop(state);
        self.unplaced.fetch_add(unplaced, Ordering::Relaxed);
        self.tell();
    }

    /// Entries are missing between two that were read: viewers of single instruments are told that ticks may be.
    pub fn note_hole(&self) {
        self.write().focused.values_mut().for_each(|focused| focused.holes += 1);
        self.holes.fetch_add(1, Ordering::Relaxed);
        self.tell();
    }

    /// Wakes the viewers that wait for a change; once for everything that was taken since the last time.
    pub fn tell(&self) {
        let version = self.read().version;
        self.changed.send_replace(version);
    }

    /// What was counted.
    pub fn counts(&self) -> Counts {
        Counts {
            instruments: self.read().slots.len(),
            ticks: self.ticks.load(Ordering::Relaxed),
            unplaced: self.unplaced.load(Ordering::Relaxed),
            holes: self.holes.load(Ordering::Relaxed),
            skipped: self.skipped.load(Ordering::Relaxed),
            viewers: self.viewers.load(Ordering::Relaxed),
        }
    }

    pub(crate) fn read(&self) -> RwLockReadGuard<'_, State> {
        // nothing that holds it can panic half-way through a change
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    pub(crate) fn note_skipped(&self, ticks: u64) {
        self.skipped.fetch_add(ticks, Ordering::Relaxed);
    }

    pub(crate) fn viewer_comes(&self) {
        self.viewers.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn viewer_goes(&self) {
        self.viewers.fetch_sub(1, Ordering::Relaxed);
    }
}
