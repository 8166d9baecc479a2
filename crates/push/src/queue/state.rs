//! What callers and the feeder share.

use super::{NoPlace, QueueOptions, is_whole};
use crate::PushedMessage;
use crate::pusher::lock;
use serde::Serialize;
use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tickhouse_decode::FrameBuilder;
use tickhouse_model::{Packet, Timestamp};
use tickhouse_telemetry::Clock;

/// Counters of a queue. `accepted = journaled + waiting`, and what is lost at the end counts as waiting.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct QueueCounters {
    /// Ticks taken.
    pub accepted: u64,
    /// Those of them that are in the journal's file.
    pub journaled: u64,
    /// Those that are not yet.
    pub waiting: u64,
    /// Times that a tick found no place; it may have been offered again.
    pub full: u64,
}

/// Ticks that become one record.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) received_at: Timestamp,
    pub(super) message: PushedMessage,
}

/// The batch that still grows.
#[derive(Debug)]
struct Open {
    frame: FrameBuilder,
    received_at: Timestamp,
    since: Instant,
}

#[derive(Debug)]
pub(super) struct State {
    open: Open,
    whole: VecDeque<Batch>,
    pub(super) accepted: u64,
    pub(super) journaled: u64,
    full: u64,
    /// Somebody waits until so many are journaled: they are not gathered any longer.
    wanted: u64,
    /// Nothing more is taken.
    pub(super) ended: bool,
    /// The feeder is gone: what is not journaled will not be.
    pub(super) finished: bool,
    /// The feeder sleeps without a time at which it wakes up.
    asleep: bool,
}

impl State {
    pub(super) fn has_place(&self, capacity: u64) -> bool {
        self.accepted - self.journaled < capacity
    }

    pub(super) fn counters(&self) -> QueueCounters {
        let Self { accepted, journaled, full, .. } = *self;
        QueueCounters { accepted, journaled, waiting: accepted - journaled, full }
    }

    fn close_open(&mut self) {
        let ticks = usize::from(self.open.frame.count());
        if ticks > 0 {
            let message = PushedMessage::new(self.open.frame.take(), ticks);
            self.whole.push_back(Batch { received_at: self.open.received_at, message });
        }
    }

    /// Whether ticks of the open batch are waited for.
    fn is_wanted(&self) -> bool {
        self.wanted > self.accepted - u64::from(self.open.frame.count())
    }
}

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) state: Mutex<State>,
    /// The feeder waits for ticks.
    work: Condvar,
    /// Callers wait for place, for the journal, for the end.
    progress: Condvar,
    options: QueueOptions,
    clock: Clock,
}

impl Shared {
    pub(super) fn new(options: QueueOptions, clock: Clock) -> Self {
        let open = Open { frame: FrameBuilder::default(), received_at: clock.now(), since: Instant::now() };
        let state = State {
            open,
            whole: VecDeque::new(),
            accepted: 0,
            journaled: 0,
            full: 0,
            wanted: 0,
            ended: false,
            finished: false,
            asleep: false,
        };
        Self { state: Mutex::new(state), work: Condvar::new(), progress: Condvar::new(), options, clock }
    }

    pub(super) const fn capacity(&self) -> u64 {
        self.options.capacity as u64
    }

    pub(super) fn offer(&self, packet: &Packet) -> Result<(), NoPlace> {
        let mut guard = lock(&self.state);
        let state = &mut *guard;
        if state.ended {
            return Err(NoPlace::Closed);
        }
        if !state.has_place(self.capacity()) {
            state.full += 1;
            return Err(NoPlace::Full);
        }
        // while the disk is slow a batch is not taken: the next one has a receive time of its own all the same
        if state.open.frame.count() > 0 && state.open.since.elapsed() >= self.options.gather {
            state.close_open();
        }
        if state.open.frame.count() == 0 {
            state.open.received_at = self.clock.now();
            state.open.since = Instant::now();
        }
        state.open.frame.push(packet);
        state.accepted += 1;
        let whole = is_whole(usize::from(state.open.frame.count()));
        if whole {
            state.close_open();
        }
        if state.asleep || whole {
            state.asleep = false;
            self.work.notify_one();
        }
        Ok(())
    }

    /// Everything that is to be journaled now, waiting for it; `None` at the end.
    pub(super) fn take(&self) -> Option<VecDeque<Batch>> {
        let mut state = lock(&self.state);
        loop {
            let gathering = self.options.gather.saturating_sub(state.open.since.elapsed());
            let open = state.open.frame.count() > 0;
            if open && (gathering.is_zero() || state.ended || state.is_wanted()) {
                state.close_open();
            }
            if !state.whole.is_empty() {
                return Some(std::mem::take(&mut state.whole));
            }
            if state.ended {
                return None;
            }
            state = if open { wait_timeout(&self.work, state, gathering) } else { self.sleep(state) };
        }
    }

    fn sleep<'a>(&self, mut state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        state.asleep = true;
        self.work.wait(state).unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn note_journaled(&self, ticks: u64) {
        lock(&self.state).journaled += ticks;
        self.progress.notify_all();
    }

    pub(super) fn note_finished(&self) {
        let mut state = lock(&self.state);
        state.ended = true;
        state.finished = true;
        drop(state);
        self.progress.notify_all();
    }

    pub(super) fn want(&self, accepted: u64) {
        let mut state = lock(&self.state);
        state.wanted = state.wanted.max(accepted);
        if state.is_wanted() {
            self.work.notify_one();
        }
    }

    pub(super) fn end(&self) {
        lock(&self.state).ended = true;
        self.work.notify_one();
        self.progress.notify_all();
    }

    /// Waits until it is so; `false` when it was not in time.
    pub(super) fn wait(&self, deadline: Instant, so: impl Fn(&State) -> bool) -> bool {
        let mut state = lock(&self.state);
        while !so(&state) {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            state = wait_timeout(&self.progress, state, left);
        }
        true
    }
}

fn wait_timeout<'a>(on: &Condvar, state: MutexGuard<'a, State>, patience: Duration) -> MutexGuard<'a, State> {
    on.wait_timeout(state, patience).unwrap_or_else(PoisonError::into_inner).0
}
