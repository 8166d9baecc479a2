//! How much flows: the totals of the recorder and the loader, across their restarts, and their rates.

use crate::Percentiles;
use crate::said::{self, Load, Record, Stream};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::VecDeque;
use std::time::Duration;

/// Rates are taken over this many looks.
const WINDOW: usize = 5;

/// Totals at one moment. What a part does not tell because it is being started again stays as it was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Binary messages received by the recorder's process.
    pub frames: u64,
    /// Packets in them.
    pub packets: u64,
    /// Records in its journals.
    pub journaled: u64,
    /// Entries in Redis.
    pub published: u64,
    /// Journal records stored by the loader's process.
    pub records_stored: u64,
    /// Rows of `tick_data`.
    pub ticks_stored: u64,
    /// Rows of `quarantine`.
    pub quarantined: u64,
    /// Gap records.
    pub gaps: u64,
    /// Packets that the demo's exchange sent.
    pub packets_sent: u64,
}

impl Totals {
    fn add_recorded(&mut self, other: &Self) {
        self.frames += other.frames;
        self.packets += other.packets;
        self.journaled += other.journaled;
        self.published += other.published;
        self.gaps += other.gaps;
    }

    fn add_stored(&mut self, other: &Self) {
        self.records_stored += other.records_stored;
        self.ticks_stored += other.ticks_stored;
        self.quarantined += other.quarantined;
    }

    fn per_second(&self, before: &Self, seconds: f64) -> Self {
        let rate = |before: u64, after: u64| {
            if seconds < 0.1 { 0 } else { (after.saturating_sub(before) as f64 / seconds).round() as u64 }
        };
        Self {
            frames: rate(before.frames, self.frames),
            packets: rate(before.packets, self.packets),
            journaled: rate(before.journaled, self.journaled),
            published: rate(before.published, self.published),
            records_stored: rate(before.records_stored, self.records_stored),
            ticks_stored: rate(before.ticks_stored, self.ticks_stored),
            quarantined: rate(before.quarantined, self.quarantined),
            gaps: rate(before.gaps, self.gaps),
            packets_sent: rate(before.packets_sent, self.packets_sent),
        }
    }
}

/// What a look at the recorder and the loader found.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Progress {
    /// So far.
    pub totals: Totals,
    /// The same per second, over the last seconds.
    pub rates: Totals,
    /// From the socket to the answer of Redis.
    pub socket_to_redis: Percentiles,
    /// From the socket to queryable, per tick.
    pub socket_to_queryable: Percentiles,
    /// Records in the journal that Redis does not have yet.
    pub publish_lag: u64,
    /// Records in Redis that are not stored yet, as of about a second ago.
    pub load_lag: u64,
    /// Connected sockets, of how many.
    pub sockets: (u64, u64),
    /// Subscribed instruments.
    pub instruments: u64,
    /// Why nothing moves, if anything says so.
    pub troubles: Vec<String>,
}

/// Follows totals from look to look.
#[derive(Clone, Debug, Default)]
pub struct Flow {
    /// Process ids at the last look: a part that was started again counts from zero.
    recorder: Option<u64>,
    loader: Option<u64>,
    /// What processes counted that are no more.
    gone: Totals,
    /// What the processes of now counted.
    counted: Totals,
    past: VecDeque<(Duration, Totals)>,
    now: Progress,
}

impl Flow {
    /// Takes in what the processes say, by role. `elapsed` is real time since any fixed moment, `packets_sent` what a simulated
    /// exchange says.
    pub fn look(&mut self, statuses: &Map<String, Value>, packets_sent: u64, elapsed: Duration) -> &Progress {
        let (record, load) = (said::of(statuses, "record"), said::of(statuses, "load"));
        self.take(record.as_ref(), load.as_ref(), packets_sent, elapsed)
    }

    pub(crate) fn take(
        &mut self,
        record: Option<&Record>,
        load: Option<&Load>,
        packets_sent: u64,
        elapsed: Duration,
    ) -> &Progress {
        let now = &mut self.now;
        now.troubles.clear();
        self.counted.packets_sent = packets_sent;
        match record {
            Some(record) => {
                if self.recorder.replace(record.pid).is_some_and(|before| before != record.pid) {
                    self.gone.add_recorded(&self.counted);
                }
                read_record(record, now, &mut self.counted);
            }
            None => now.troubles.push("the recorder does not answer".to_owned()),
        }
        match load {
            Some(load) => {
                if self.loader.replace(load.pid).is_some_and(|before| before != load.pid) {
                    self.gone.add_stored(&self.counted);
                }
                read_load(load, now, &mut self.counted);
            }
            None => now.troubles.push("the loader does not answer".to_owned()),
        }
        now.totals = self.counted;
        now.totals.add_recorded(&self.gone);
        now.totals.add_stored(&self.gone);
        self.past.push_back((elapsed, now.totals));
        while self.past.len() > WINDOW {
            self.past.pop_front();
        }
        now.rates = rates(&self.past);
        now
    }
}

fn rates(past: &VecDeque<(Duration, Totals)>) -> Totals {
    let (Some((since, before)), Some((until, after))) = (past.front(), past.back()) else {
        return Totals::default();
    };
    after.per_second(before, until.saturating_sub(*since).as_secs_f64())
}

fn read_record(record: &Record, now: &mut Progress, counted: &mut Totals) {
    let sources = || record.sockets.iter().map(|line| &line.source);
    counted.frames = sources().map(|source| source.frames).sum();
    counted.packets = sources().map(|source| source.packets).sum();
    counted.gaps = sources().map(|source| source.gaps).sum();
    counted.published =
        record.sockets.iter().map(|line| line.publisher.published + line.publisher.already_there).sum();
    let journals = record.journal.as_ref().map(|journal| journal.sockets.as_slice()).unwrap_or_default();
    counted.journaled = journals.iter().map(|journal| journal.records).sum();
    now.publish_lag = counted.journaled.saturating_sub(counted.published);
    let connected = sources().filter(|source| source.state == "connected").count();
    now.sockets = (connected as u64, record.sockets.len() as u64);
    now.instruments = record.instruments;
    now.socket_to_redis = record.socket_to_redis;
    let reasons = record.sockets.iter().flat_map(|line| {
        [&line.source.reason, &line.publisher.waiting_for]
            .into_iter()
            .flatten()
            .map(|reason| format!("socket {}: {reason}", line.socket))
    });
    now.troubles.extend(reasons);
    now.troubles.extend(journals.iter().filter_map(|journal| journal.fault.clone()));
}

fn read_load(load: &Load, now: &mut Progress, counted: &mut Totals) {
    counted.records_stored = load.counters.frames_stored;
    counted.ticks_stored = load.counters.ticks_stored;
    counted.quarantined = load.counters.quarantined;
    now.load_lag = load.state.streams.iter().map(lag_of).sum();
    now.socket_to_queryable = load.counters.queryable;
    now.troubles.extend(load.state.error.as_ref().map(|error| format!("loader: {error}")));
}

/// Entries between what is in a stream of frames and what is stored. Ids of a session are numbers without a hole; those of
/// other streams are times, which tell no count.
fn lag_of(stream: &Stream) -> u64 {
    let id = |text: &str| -> Option<(u64, u64)> {
        let (ms, number) = text.split_once('-')?;
        Some((ms.parse().ok()?, number.parse().ok()?))
    };
    match (id(&stream.last_id), id(&stream.stored_id)) {
        (Some((session, last)), Some((stored_session, stored))) if session == stored_session => {
            last.saturating_sub(stored)
        }
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn statuses(value: Value) -> Map<String, Value> {
        let Value::Object(statuses) = value else { panic!("an object") };
        statuses
    }

    #[test]
    fn status_pages_add_up() {
        let said = statuses(json!({ "record": {
            "sockets": [
                { "socket": 0, "source": { "frames": 5, "packets": 50, "state": "connected" }, "publisher": { "published": 6 } },
                { "socket": 1, "source": { "frames": 7, "packets": 70, "state": "waiting", "reason": "403" },
                  "publisher": { "published": 1, "already_there": 2 } },
            ],
            "journal": { "sockets": [{ "records": 8 }, { "records": 9 }] },
            "instruments": 3, "memory_bytes": 10, "cpu_seconds": 1.5,
            "socket_to_redis": { "count": 1, "p50_ms": 1.0, "p99_ms": 2.0, "max_ms": 3.0 },
        }}));
        let mut flow = Flow::default();
        let now = flow.look(&said, 0, Duration::ZERO);
        assert_eq!((now.totals.frames, now.totals.packets, now.totals.journaled), (12, 120, 17));
        assert_eq!((now.publish_lag, now.sockets), (8, (1, 2)));
        assert_eq!(now.troubles, ["socket 1: 403", "the loader does not answer"]);
        assert!((now.socket_to_redis.p99_ms - 2.0).abs() < f64::EPSILON);
    }

    #[test]
    fn lag_is_counted_within_a_session_only() {
        let lag = |last: &str, stored: &str| {
            lag_of(&Stream { last_id: last.to_owned(), stored_id: stored.to_owned() })
        };
        assert_eq!(lag("1763712900000-42", "1763712900000-40"), 2);
        assert_eq!(lag("1763712900001-42", "1763712900000-40"), 0);
        assert_eq!(lag("", ""), 0);
    }

    #[test]
    fn a_part_that_is_started_again_goes_on_counting_and_rates_are_over_the_window() {
        let mut flow = Flow::default();
        let mut look = |second: u64, pid: u64, ticks: u64| {
            let said = statuses(json!({ "load": { "pid": pid, "counters": { "ticks_stored": ticks } } }));
            let now = flow.look(&said, 0, Duration::from_secs(second));
            (now.totals.ticks_stored, now.rates.ticks_stored)
        };
        assert_eq!(look(0, 7, 100), (100, 0));
        assert_eq!(look(2, 7, 500), (500, 200));
        assert_eq!(look(4, 8, 100), (600, 125));
        assert_eq!(look(6, 8, 100), (600, 83));
    }
}
