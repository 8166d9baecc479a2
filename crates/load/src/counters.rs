//! What a loader has done. The sums that must agree:
//!
//! * entries read = repeats + frames stored + flat entries stored + what is in batches now;
//! * packets of stored frames = ticks stored from frames + quarantined packets.

use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use tickhouse_telemetry::{Latency, LatencySummary};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        /// Counters of a loader; shared, cheap to raise once a batch.
        #[derive(Debug, Default)]
        pub(crate) struct Counters {
            $(pub(crate) $name: AtomicU64,)*
            queryable: Mutex<Latency>,
        }

        /// What a loader has done since its process began.
        #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
        pub struct LoaderCounters {
            $($(#[$doc])* pub $name: u64,)*
            /// From the socket to queryable, per tick.
            pub queryable: LatencySummary,
        }

        impl Counters {
            pub(crate) fn snapshot(&self) -> LoaderCounters {
                LoaderCounters {
                    $($name: self.$name.load(Ordering::Relaxed),)*
                    queryable: self.queryable.lock().unwrap_or_else(PoisonError::into_inner).summary(),
                }
            }
        }
    };
}

counters! {
    /// Entries read from Redis, repeats included.
    entries_read,
    /// Entries that were stored before, or in a batch already: dropped.
    repeats,
    /// Journal records stored.
    frames_stored,
    /// Packets of stored frames, as their containers count them.
    packets,
    /// Rows of `tick_data` stored.
    ticks_stored,
    /// Of those, from flat entries.
    flat_ticks_stored,
    /// Of those, whose token was in no table of instruments.
    raw_ticks_stored,
    /// Rows of `quarantine` stored.
    quarantined,
    /// Rows of `news_data` stored.
    news_stored,
    /// Rows of `indices_data` stored that were published as such, not taken from ticks.
    index_values_stored,
    /// Rows of `feed_gaps` stored.
    gaps_stored,
    /// Batches confirmed.
    batches,
    /// Batches whose rows had to be counted before anything else, because an answer was lost.
    batches_recovered,
    /// Blocks that were not there after a clean answer, or after a lost one, and were inserted again.
    blocks_reinserted,
    /// Rows that were there more often than they should: never seen, and an alarm.
    surplus_rows,
    /// Entries trimmed from Redis after they were stored.
    trimmed,
    /// Holes in the sequence of a stream.
    holes,
    /// Holes that no publisher could fill: recorded as gaps.
    holes_accepted,
    /// Stored ticks published as flat entries, see [`FlatOutlet`](crate::FlatOutlet); repeats are not counted twice.
    flat_published,
    /// Stored ticks that were to be published and were left out: Redis refused them, or was slower than the feed.
    flat_skipped,
    /// Attempts to publish that failed and were repeated.
    flat_retries,
    /// Times the loader started again from what is durable: after an error of Redis or ClickHouse, or a lost lease.
    restarts,
}

impl Counters {
    pub(crate) fn add(counter: &AtomicU64, by: u64) {
        counter.fetch_add(by, Ordering::Relaxed);
    }

    /// From the socket to queryable, per tick.
    pub(crate) fn latency(&self) -> Latency {
        self.queryable.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Adds a batch's latencies.
    pub(crate) fn queryable(&self, latency: &Latency) {
        self.queryable.lock().unwrap_or_else(PoisonError::into_inner).add(latency);
    }
}
