//! How a running system is doing: the numbers of its parts' status pages, and their rates.

use crate::process::{Usage, UsageReader};
use crate::system::status_of;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::time::Instant;
use tickhouse_telemetry::LatencySummary;

/// Rates are taken over this many looks.
const WINDOW: usize = 5;

/// Totals at one moment. What a part does not tell because it is being started again stays as it was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Totals {
    /// Binary messages received by the recorder's process.
    pub(crate) frames: u64,
    /// Packets in them.
    pub(crate) packets: u64,
    /// Records in its journals.
    pub(crate) journaled: u64,
    /// Entries in Redis.
    pub(crate) published: u64,
    /// Journal records stored by the loader's process.
    pub(crate) records_stored: u64,
    /// Rows of `tick_data`.
    pub(crate) ticks_stored: u64,
    /// Rows of `quarantine`.
    pub(crate) quarantined: u64,
    /// Gap records.
    pub(crate) gaps: u64,
    /// Packets that the demo's exchange sent.
    pub(crate) packets_sent: u64,
}

/// What a look at the parts found.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Progress {
    pub(crate) totals: Totals,
    /// The same per second, over the last seconds.
    pub(crate) rates: Totals,
    /// From the socket to the answer of Redis.
    pub(crate) socket_to_redis: LatencySummary,
    /// From the socket to queryable, per tick.
    pub(crate) socket_to_queryable: LatencySummary,
    /// Records in the journal that Redis does not have yet.
    pub(crate) publish_lag: u64,
    /// Records in Redis that are not stored yet, as of about a second ago.
    pub(crate) load_lag: u64,
    /// Connected sockets, of how many.
    pub(crate) sockets: (u64, u64),
    /// Subscribed instruments.
    pub(crate) instruments: u64,
    /// Why nothing moves, if anything says so.
    pub(crate) troubles: Vec<String>,
    /// Name and use of each process.
    pub(crate) usage: Vec<(String, Usage)>,
}

/// A process whose use is told.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Whose {
    /// By its id.
    Process(u32),
    /// By the port of 127.0.0.1 that it listens on: it may be another one after a restart.
    Listener(u16),
}

/// Looks at the parts again and again.
#[derive(Debug)]
pub(crate) struct Watcher {
    client: reqwest::Client,
    usage: UsageReader,
    /// Process ids of those that listen on a port.
    listeners: BTreeMap<u16, u32>,
    /// Process ids of the parts at the last look: one that was started again counts from zero.
    parts: BTreeMap<&'static str, u64>,
    /// What processes counted that are no more.
    gone: Totals,
    /// What the processes of now counted.
    counted: Totals,
    past: VecDeque<(Instant, Totals)>,
    now: Progress,
}

impl Watcher {
    pub(crate) fn new(client: reqwest::Client) -> Self {
        Self {
            client,
            usage: UsageReader::new(),
            listeners: BTreeMap::new(),
            parts: BTreeMap::new(),
            gone: Totals::default(),
            counted: Totals::default(),
            past: VecDeque::new(),
            now: Progress::default(),
        }
    }

    /// Asks the parts; `others` are further processes whose use is told, `packets_sent` what the exchange says.
    pub(crate) async fn look(
        &mut self,
        data_dir: &Path,
        others: &[(&str, Whose)],
        packets_sent: u64,
    ) -> &Progress {
        let (record, load) = tokio::join!(
            status_of(&self.client, data_dir, "record"),
            status_of(&self.client, data_dir, "load")
        );
        let usage = others.iter().map(|(name, whose)| ((*name).to_owned(), self.usage_of(*whose))).collect();
        let now = &mut self.now;
        now.troubles.clear();
        now.usage = usage;
        self.counted.packets_sent = packets_sent;
        match &record {
            Some(record) => {
                if changed(&mut self.parts, "record", record) {
                    self.gone.add_recorded(&self.counted);
                }
                read_record(record, now, &mut self.counted);
            }
            None => now.troubles.push("the recorder does not answer".to_owned()),
        }
        match &load {
            Some(load) => {
                if changed(&mut self.parts, "load", load) {
                    self.gone.add_stored(&self.counted);
                }
                read_load(load, now, &mut self.counted);
            }
            None => now.troubles.push("the loader does not answer".to_owned()),
        }
        now.totals = self.counted;
        now.totals.add_recorded(&self.gone);
        now.totals.add_stored(&self.gone);
        self.past.push_back((Instant::now(), now.totals));
        while self.past.len() > WINDOW {
            self.past.pop_front();
        }
        now.rates = rates(&self.past);
        now
    }
}

impl Watcher {
    /// Zeros while the process is not there. Who listens on a port is looked up again only when that one is gone.
    fn usage_of(&mut self, whose: Whose) -> Usage {
        let port = match whose {
            Whose::Process(pid) => return self.usage.of(pid),
            Whose::Listener(port) => port,
        };
        if let Some(pid) = self.listeners.get(&port) {
            let usage = self.usage.of(*pid);
            if usage != Usage::default() {
                return usage;
            }
        }
        let Some(holder) = tickhouse_embed::port::holder(port) else { return Usage::default() };
        self.listeners.insert(port, holder.pid);
        self.usage.of(holder.pid)
    }
}

fn rates(past: &VecDeque<(Instant, Totals)>) -> Totals {
    let (Some((since, before)), Some((until, after))) = (past.front(), past.back()) else {
        return Totals::default();
    };
    let seconds = until.duration_since(*since).as_secs_f64();
    let rate = |before: u64, after: u64| {
        if seconds < 0.1 { 0 } else { (after.saturating_sub(before) as f64 / seconds).round() as u64 }
    };
    Totals {
        frames: rate(before.frames, after.frames),
        packets: rate(before.packets, after.packets),
        journaled: rate(before.journaled, after.journaled),
        published: rate(before.published, after.published),
        records_stored: rate(before.records_stored, after.records_stored),
        ticks_stored: rate(before.ticks_stored, after.ticks_stored),
        quarantined: rate(before.quarantined, after.quarantined),
        gaps: rate(before.gaps, after.gaps),
        packets_sent: rate(before.packets_sent, after.packets_sent),
    }
}

/// Whether a part is another process than at the last look.
fn changed(parts: &mut BTreeMap<&'static str, u64>, name: &'static str, status: &Value) -> bool {
    let pid = number(status, "pid");
    parts.insert(name, pid).is_some_and(|before| before != pid)
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
}

fn number(value: &Value, key: &str) -> u64 {
    value[key].as_u64().unwrap_or(0)
}

fn own_usage(status: &Value) -> Usage {
    Usage {
        memory_bytes: number(status, "memory_bytes"),
        cpu_seconds: status["cpu_seconds"].as_f64().unwrap_or(0.0),
    }
}

fn latency(value: &Value) -> LatencySummary {
    serde_json::from_value(value.clone()).unwrap_or_default()
}

fn read_record(status: &Value, now: &mut Progress, counted: &mut Totals) {
    let sockets = status["sockets"].as_array().map(Vec::as_slice).unwrap_or_default();
    let sum = |part: &str, key: &str| sockets.iter().map(|socket| number(&socket[part], key)).sum::<u64>();
    counted.frames = sum("source", "frames");
    counted.packets = sum("source", "packets");
    counted.gaps = sum("source", "gaps");
    counted.published = sum("publisher", "published") + sum("publisher", "already_there");
    let journals = status["journal"]["sockets"].as_array().map(Vec::as_slice).unwrap_or_default();
    counted.journaled = journals.iter().map(|journal| number(journal, "records")).sum();
    now.publish_lag = counted.journaled.saturating_sub(counted.published);
    let connected = sockets.iter().filter(|socket| socket["source"]["state"] == "connected").count();
    now.sockets = (connected as u64, sockets.len() as u64);
    now.instruments = number(status, "instruments");
    now.socket_to_redis = latency(&status["socket_to_redis"]);
    let reasons = sockets.iter().flat_map(|socket| {
        let socket_number = &socket["socket"];
        [&socket["source"]["reason"], &socket["publisher"]["waiting_for"]]
            .into_iter()
            .filter_map(|reason| reason.as_str())
            .map(move |reason| format!("socket {socket_number}: {reason}"))
    });
    now.troubles.extend(reasons);
    now.troubles.extend(journals.iter().filter_map(|journal| journal["fault"].as_str()).map(str::to_owned));
    now.usage.push(("record".to_owned(), own_usage(status)));
}

fn read_load(status: &Value, now: &mut Progress, counted: &mut Totals) {
    let counters = &status["counters"];
    counted.records_stored = number(counters, "frames_stored");
    counted.ticks_stored = number(counters, "ticks_stored");
    counted.quarantined = number(counters, "quarantined");
    let streams = status["state"]["streams"].as_array().map(Vec::as_slice).unwrap_or_default();
    now.load_lag = streams.iter().map(lag_of).sum();
    now.socket_to_queryable = latency(&counters["queryable"]);
    now.troubles.extend(status["state"]["error"].as_str().map(|error| format!("loader: {error}")));
    now.usage.push(("load".to_owned(), own_usage(status)));
}

/// Entries between what is in a stream of frames and what is stored. Ids of a session are numbers without a hole; those of
/// other streams are times, which tell no count.
fn lag_of(stream: &Value) -> u64 {
    let id = |key: &str| -> Option<(u64, u64)> {
        let (ms, number) = stream[key].as_str()?.split_once('-')?;
        Some((ms.parse().ok()?, number.parse().ok()?))
    };
    match (id("last_id"), id("stored_id")) {
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
    use std::time::Duration;

    #[test]
    fn status_pages_add_up() {
        let record = json!({
            "sockets": [
                { "socket": 0, "source": { "frames": 5, "packets": 50, "state": "connected" }, "publisher": { "published": 6 } },
                { "socket": 1, "source": { "frames": 7, "packets": 70, "state": "waiting", "reason": "403" },
                  "publisher": { "published": 1, "already_there": 2 } },
            ],
            "journal": { "sockets": [{ "records": 8 }, { "records": 9 }] },
            "instruments": 3, "memory_bytes": 10, "cpu_seconds": 1.5,
            "socket_to_redis": { "count": 1, "p50_ms": 1.0, "p99_ms": 2.0, "max_ms": 3.0 },
        });
        let (mut now, mut counted) = (Progress::default(), Totals::default());
        read_record(&record, &mut now, &mut counted);
        assert_eq!((counted.frames, counted.packets, counted.journaled), (12, 120, 17));
        assert_eq!((now.publish_lag, now.sockets), (8, (1, 2)));
        assert_eq!(now.troubles, ["socket 1: 403"]);
        assert!((now.socket_to_redis.p99_ms - 2.0).abs() < f64::EPSILON);
    }

    #[test]
    fn lag_is_counted_within_a_session_only() {
        let stream = |last: &str, stored: &str| lag_of(&json!({ "last_id": last, "stored_id": stored }));
        assert_eq!(stream("1763712900000-42", "1763712900000-40"), 2);
        assert_eq!(stream("1763712900001-42", "1763712900000-40"), 0);
        assert_eq!(stream("", ""), 0);
    }

    #[test]
    fn a_part_that_is_started_again_goes_on_counting() {
        let mut parts = BTreeMap::new();
        assert!(!changed(&mut parts, "load", &json!({ "pid": 7 })));
        assert!(!changed(&mut parts, "load", &json!({ "pid": 7 })));
        assert!(changed(&mut parts, "load", &json!({ "pid": 8 })));
    }

    #[test]
    fn rates_are_over_the_window() {
        let start = Instant::now();
        let totals = |packets| Totals { packets, ..Totals::default() };
        let past = VecDeque::from([(start, totals(100)), (start + Duration::from_secs(2), totals(500))]);
        assert_eq!(rates(&past).packets, 200);
        assert_eq!(rates(&VecDeque::new()), Totals::default());
    }
}
