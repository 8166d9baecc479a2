//! Somebody who looks at some instruments, at his own pace.
//!
//! What enters: which instruments, and which of them closely. What leaves: what changed since the last look. What never happens
//! here: an older state after a newer one; a tick twice, or missing without being counted.

use crate::market::Market;
use crate::{LiveTick, Quote};
use std::sync::Arc;
use tokio::sync::watch;

/// No state yet.
const NOWHERE: u32 = u32::MAX;

/// Somebody who looks at some instruments.
#[derive(Debug)]
pub struct Viewer {
    market: Arc<Market>,
    watched: Vec<Watched>,
    /// The number of the last change that was seen.
    seen: u64,
    /// Instruments that had a state when those without one were last looked for.
    placed_among: usize,
    focus: Option<Focus>,
    changes: watch::Receiver<u64>,
}

#[derive(Clone, Copy, Debug)]
struct Watched {
    token: u32,
    slot: u32,
}

#[derive(Clone, Copy, Debug)]
struct Focus {
    token: u32,
    /// The number of the next tick.
    next: u64,
    /// Holes that were told.
    holes: u64,
}

/// What a look found. The same one is used again: it holds its memory.
#[derive(Clone, Debug, Default)]
pub struct Look {
    /// States that changed.
    pub quotes: Vec<Quote>,
    /// Ticks of the focused instrument, in their order.
    pub ticks: Vec<LiveTick>,
    /// Ticks of it that came and went since the last look, at least.
    pub skipped: u64,
}

impl Look {
    /// Whether there is nothing to tell.
    pub const fn is_empty(&self) -> bool {
        self.quotes.is_empty() && self.ticks.is_empty() && self.skipped == 0
    }
}

impl Viewer {
    /// Somebody who looks at nothing yet.
    pub fn new(market: Arc<Market>) -> Self {
        market.viewer_comes();
        let changes = market.changes();
        Self { market, watched: Vec::new(), seen: 0, placed_among: 0, focus: None, changes }
    }

    /// Looks at these from now on: the next look has the newest state of each, those after it what changed.
    pub fn watch(&mut self, tokens: &[u32]) {
        self.watched.clear();
        self.watched.extend(tokens.iter().map(|token| Watched { token: *token, slot: NOWHERE }));
        self.watched.sort_unstable_by_key(|watched| watched.token);
        self.watched.dedup_by_key(|watched| watched.token);
        self.seen = 0;
        self.placed_among = 0;
        self.changes.mark_changed();
    }

    /// Looks at every tick of this one from now on.
    pub fn focus(&mut self, token: Option<u32>) {
        let mut state = self.market.write();
        if let Some(before) = self.focus.take()
            && let Some(focused) = state.focused.get_mut(&before.token)
        {
            focused.viewers -= 1;
            if focused.viewers == 0 {
                state.focused.remove(&before.token);
            }
        }
        let Some(token) = token else { return };
        let focused = state.focused.entry(token).or_default();
        focused.viewers += 1;
        self.focus = Some(Focus { token, next: focused.next(), holes: focused.holes });
    }

    /// The instrument whose every tick is looked at.
    pub fn focused(&self) -> Option<u32> {
        self.focus.map(|focus| focus.token)
    }

    /// Looks: fills `found` with what changed since the last time.
    pub fn look(&mut self, found: &mut Look) {
        found.quotes.clear();
        found.ticks.clear();
        found.skipped = 0;
        self.changes.mark_unchanged();
        let state = self.market.read();
        if self.placed_among != state.slots.len() {
            for watched in self.watched.iter_mut().filter(|watched| watched.slot == NOWHERE) {
                watched.slot = state.slot_of.get(&watched.token).copied().unwrap_or(NOWHERE);
            }
            self.placed_among = state.slots.len();
        }
        let slots = self.watched.iter().filter_map(|watched| state.slots.get(watched.slot as usize));
        found.quotes.extend(slots.filter(|slot| slot.version > self.seen).map(|slot| slot.quote));
        self.seen = state.version;
        if let Some(focus) = &mut self.focus
            && let Some(focused) = state.focused.get(&focus.token)
        {
            let missed = focused.first.saturating_sub(focus.next);
            let from = (focus.next + missed - focused.first) as usize;
            found.ticks.extend(focused.ticks.range(from..));
            found.skipped = missed + (focused.holes - focus.holes);
            (focus.next, focus.holes) = (focused.next(), focused.holes);
            self.market.note_skipped(missed);
        }
    }

    /// Resolves when something may have changed since the last look; also for what is not looked at. Cancel safe.
    pub async fn changed(&mut self) {
        if self.changes.changed().await.is_err() {
            // the market is ours: it is never gone
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for Viewer {
    fn drop(&mut self) {
        self.focus(None);
        self.market.viewer_goes();
    }
}

#[cfg(test)]
mod tests;
