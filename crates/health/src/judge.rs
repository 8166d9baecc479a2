//! From what the processes say to a [`Health`].

use crate::flow::Flow;
use crate::said::{self, Load, Process, Record, Serve, Supervisor};
use crate::stages::{self, Seen};
use crate::{Between, Disk, Health, HealthTotals, MarketPhase, Percentiles, ProcessHealth, State};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::time::Duration;
use tickhouse_model::Timestamp;

/// Roles of processes, in the order in which they are told.
const ROLES: [&str; 8] = ["up", "demo", "sim", "record", "load", "serve", "clickhouse", "redis"];
const SERVICES: [&str; 2] = ["clickhouse", "redis"];

/// What is judged.
#[derive(Clone, Copy, Debug)]
pub struct Look<'a> {
    /// The present. What the recorder says of the present goes before it: a simulated day may be another.
    pub at: Timestamp,
    /// Real time since any fixed moment, rising from look to look: what rates are taken over.
    pub elapsed: Duration,
    /// The phase of the markets, for when the recorder does not say which it records.
    pub market: MarketPhase,
    /// What each process says, by role; what does not run is not there, what does not answer has an `error`.
    pub statuses: &'a Map<String, Value>,
    /// What takes space; none where nobody looked.
    pub disk: &'a [Disk],
}

/// Judges look after look: rates need the one before.
#[derive(Clone, Debug, Default)]
pub struct Judge {
    flow: Flow,
    sockets: BTreeMap<u16, Before>,
    messages: Option<Before>,
    cpu: BTreeMap<String, Before>,
}

/// A counter at the last look.
#[derive(Clone, Copy, Debug)]
struct Before {
    elapsed: Duration,
    count: f64,
}

impl Before {
    /// The rate since, and the counter as it is now; none for a counter that fell, because its process began anew.
    fn rate(before: Option<Self>, count: f64, elapsed: Duration) -> (f64, Self) {
        let rate = before.and_then(|before| {
            let seconds = elapsed.saturating_sub(before.elapsed).as_secs_f64();
            (seconds >= 0.1 && count >= before.count).then(|| (count - before.count) / seconds)
        });
        (rate.unwrap_or(0.0), Self { elapsed, count })
    }
}

impl Judge {
    /// What is to be said now.
    pub fn look(&mut self, look: &Look<'_>) -> Health {
        let record: Option<Record> = said::of(look.statuses, "record");
        let load: Option<Load> = said::of(look.statuses, "load");
        let serve: Option<Serve> = said::of(look.statuses, "serve");
        let progress = self.flow.take(record.as_ref(), load.as_ref(), 0, look.elapsed).clone();
        let now = record.as_ref().map(|record| record.now).filter(|now| now.is_some()).unwrap_or(look.at);
        let market = record.as_ref().and_then(|record| record.market).unwrap_or(look.market);
        let processes = self.processes(look);
        let frames = self.frame_rates(record.as_ref(), look.elapsed);
        let sockets: Vec<_> = record
            .iter()
            .flat_map(|record| &record.sockets)
            .map(|line| stages::socket(line, frames.get(&line.socket).copied().unwrap_or(0.0)))
            .collect();
        let messages = serve.as_ref().and_then(|serve| serve.live.as_ref()).map(|live| {
            let (rate, before) = Before::rate(self.messages, live.messages as f64, look.elapsed);
            self.messages = Some(before);
            rate
        });
        let seen = Seen {
            now,
            market,
            record: record.as_ref(),
            load: load.as_ref(),
            serve: serve.as_ref(),
            progress: &progress,
            sockets: &sockets,
            processes: &processes,
            disk: look.disk,
            messages: messages.unwrap_or(0.0),
        };
        let stages = stages::all(&seen);
        let state = stages.iter().map(|stage| stage.state).max().unwrap_or_default();
        let ticking = record.iter().flat_map(|record| &record.sockets).map(|line| &line.source);
        let ticking = ticking.map(|source| source.subscribed.saturating_sub(source.awaiting_snapshot)).sum();
        Health {
            at: now.as_millis(),
            state,
            market,
            stages,
            latency: latency(record.as_ref(), load.as_ref(), serve.as_ref()),
            totals: HealthTotals::of(&progress, ticking),
            sockets,
            processes,
            disk: look.disk.to_vec(),
        }
    }

    fn frame_rates(&mut self, record: Option<&Record>, elapsed: Duration) -> BTreeMap<u16, f64> {
        let mut rates = BTreeMap::new();
        for line in record.iter().flat_map(|record| &record.sockets) {
            let before = self.sockets.get(&line.socket).copied();
            let (rate, before) = Before::rate(before, line.source.frames as f64, elapsed);
            self.sockets.insert(line.socket, before);
            rates.insert(line.socket, rate);
        }
        rates
    }

    /// What answers, and what a supervisor says of its children.
    fn processes(&mut self, look: &Look<'_>) -> Vec<ProcessHealth> {
        let supervisor: Option<Supervisor> =
            said::of(look.statuses, "up").or_else(|| said::of(look.statuses, "demo"));
        let supervised = supervisor.map(|supervisor| supervisor.processes).unwrap_or_default();
        let mut found = Vec::new();
        for role in ROLES {
            let status = look.statuses.get(role);
            let child = supervised.iter().find(|child| child.name == role);
            let mut process: Process = match (status, child) {
                (None, None) => continue,
                (Some(status), _) => serde::Deserialize::deserialize(status).unwrap_or_default(),
                (None, Some(_)) => Process::default(),
            };
            let answers = status.is_some() && process.error.is_none() && process.ready != Some(false);
            if let Some(child) = child {
                process.restarts = child.restarts;
                process.error = process.error.or_else(|| child.error.clone());
                process.memory_bytes = process.memory_bytes.max(child.memory_bytes);
                process.cpu_seconds = process.cpu_seconds.max(child.cpu_seconds);
            }
            // a service has no status of its own under a supervisor, which knows it
            let is_service = SERVICES.contains(&role) && status.is_none();
            let alive = child.map_or(answers, |child| child.alive && (answers || is_service));
            let (cores, before) =
                Before::rate(self.cpu.get(role).copied(), process.cpu_seconds, look.elapsed);
            self.cpu.insert(role.to_owned(), before);
            found.push(ProcessHealth {
                name: role.to_owned(),
                alive,
                restarts: process.restarts,
                memory_bytes: process.memory_bytes,
                cpu_cores: (cores * 1_000.0).round() / 1_000.0,
                error: process.error.filter(|_| !alive),
            });
        }
        found
    }
}

fn latency(record: Option<&Record>, load: Option<&Load>, serve: Option<&Serve>) -> Vec<Between> {
    let live = serve.and_then(|serve| serve.live.as_ref());
    let found = [
        ("journal", record.map(|record| record.socket_to_journal)),
        ("redis", record.map(|record| record.socket_to_redis)),
        ("clickhouse", load.map(|load| load.counters.queryable)),
        ("browser", live.map(|live| live.socket_to_browser)),
    ];
    let between = |(to, percentiles): (&str, Option<Percentiles>)| {
        let Percentiles { count, p50_ms, p99_ms, .. } = percentiles?;
        (count > 0).then(|| Between { from: "socket".to_owned(), to: to.to_owned(), p50_ms, p99_ms })
    };
    found.into_iter().filter_map(between).collect()
}

impl ProcessHealth {
    /// The state of a process that should run.
    pub(crate) const fn state(&self) -> State {
        if self.alive { State::Ok } else { State::Bad }
    }
}

#[cfg(test)]
mod tests;
