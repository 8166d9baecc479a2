//! The rules, a function for each stage. Each begins with the worst and says the first that holds.

mod load;
mod source;

pub(crate) use source::socket;

use crate::said::{Load, Record, Serve};
use crate::thresholds::{DISK_BAD_BYTES, DISK_WARN_BYTES, LAG_BAD_SECONDS, LAG_RECORDS, LAG_WARN_SECONDS};
use crate::{Disk, MarketPhase, ProcessHealth, Progress, SocketHealth, Stage, StageName, State};
use tickhouse_model::Timestamp;

/// Everything that rules look at.
pub(crate) struct Seen<'a> {
    pub(crate) now: Timestamp,
    pub(crate) market: MarketPhase,
    pub(crate) record: Option<&'a Record>,
    pub(crate) load: Option<&'a Load>,
    pub(crate) serve: Option<&'a Serve>,
    pub(crate) progress: &'a Progress,
    pub(crate) sockets: &'a [SocketHealth],
    pub(crate) processes: &'a [ProcessHealth],
    pub(crate) disk: &'a [Disk],
    /// Messages to browsers, per second.
    pub(crate) messages: f64,
}

impl Seen<'_> {
    pub(crate) fn process(&self, name: &str) -> Option<&ProcessHealth> {
        self.processes.iter().find(|process| process.name == name)
    }

    /// Bad while markets trade, else a warning: it has to be mended before they do.
    pub(crate) fn worst(&self) -> State {
        if self.market == MarketPhase::Open { State::Bad } else { State::Warn }
    }

    /// A process that is part of the way and does not run.
    fn missing(&self, name: &str) -> Option<Verdict> {
        let process = self.process(name);
        if process.is_some_and(|process| process.state() == State::Ok) {
            return None;
        }
        let why = process.and_then(|process| process.error.as_deref());
        let summary = match (process, why) {
            (None, _) => format!("`tickhouse {name}` does not run"),
            (Some(_), Some(why)) => format!("{name}: {why}"),
            (Some(_), None) => format!("{name} does not answer"),
        };
        let restarts = process.map_or(0, |process| process.restarts);
        let advice = if restarts > 0 {
            format!("it was started again {restarts} times: see log/pipeline.log in the data directory")
        } else {
            "`tickhouse up` starts everything; see log/pipeline.log in the data directory".to_owned()
        };
        Some(Verdict::new(self.worst(), summary, advice))
    }

    /// A service that a supervisor says is down. What it does not supervise is somebody else's.
    fn down(&self, name: &str) -> Option<Verdict> {
        let process = self.process(name).filter(|process| process.state() != State::Ok)?;
        let why = process.error.as_deref().unwrap_or("it does not run");
        let advice = format!(
            "it is started again ({} times so far); nothing is lost meanwhile, the journal keeps all: see log/pipeline.log",
            process.restarts
        );
        Some(Verdict::new(State::Bad, format!("{name}: {why}"), advice))
    }
}

/// What a rule says.
#[derive(Clone, Debug)]
pub(crate) struct Verdict {
    pub(crate) state: State,
    pub(crate) summary: String,
    pub(crate) advice: Option<String>,
}

impl Verdict {
    pub(crate) fn new(state: State, summary: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { state, summary: summary.into(), advice: Some(advice.into()) }
    }

    pub(crate) fn ok(summary: impl Into<String>) -> Self {
        Self { state: State::Ok, summary: summary.into(), advice: None }
    }
}

/// All stages in the way of a tick.
pub(crate) fn all(seen: &Seen<'_>) -> Vec<Stage> {
    let rates = &seen.progress.rates;
    let publish_lag = lag(seen.progress.publish_lag, rates.journaled);
    let load_lag = load::lag_seconds(seen);
    let stage = |name, verdict: Verdict, rate: f64, unit: &str, lag_seconds: Option<f64>| Stage {
        name,
        state: verdict.state,
        summary: verdict.summary,
        advice: verdict.advice,
        rate,
        unit: unit.to_owned(),
        lag_seconds: lag_seconds.map(|lag| (lag * 100.0).round() / 100.0),
    };
    vec![
        stage(StageName::Source, source::verdict(seen), rates.packets as f64, "packets", None),
        stage(StageName::Journal, journal(seen), rates.journaled as f64, "records", None),
        stage(
            StageName::Stream,
            stream(seen, publish_lag),
            rates.published as f64,
            "entries",
            Some(publish_lag),
        ),
        stage(
            StageName::Load,
            load::verdict(seen, load_lag),
            rates.records_stored as f64,
            "records",
            Some(load_lag),
        ),
        stage(StageName::Store, load::store(seen), rates.ticks_stored as f64, "ticks", None),
        stage(StageName::Serve, serve(seen), seen.messages, "messages", None),
    ]
}

/// How many seconds of the feed so many records are.
pub(crate) fn lag(records: u64, per_second: u64) -> f64 {
    if records <= LAG_RECORDS { 0.0 } else { records as f64 / per_second.max(1) as f64 }
}

/// What a lag means.
pub(crate) fn lag_state(seconds: f64) -> State {
    match seconds {
        seconds if seconds >= LAG_BAD_SECONDS => State::Bad,
        seconds if seconds >= LAG_WARN_SECONDS => State::Warn,
        _ => State::Ok,
    }
}

/// `1,234,567`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn gib(bytes: u64) -> String {
    format!("{:.1} GiB", bytes as f64 / (1_u64 << 30) as f64)
}

/// A disk that is nearly full.
pub(crate) fn full_disk(seen: &Seen<'_>, name: &str) -> Option<Verdict> {
    let disk = seen.disk.iter().find(|disk| disk.name == name)?;
    let state = match disk.free_bytes {
        free if free < DISK_BAD_BYTES => State::Bad,
        free if free < DISK_WARN_BYTES => State::Warn,
        _ => return None,
    };
    Some(Verdict::new(
        state,
        format!("{} are left on the disk of {name}", gib(disk.free_bytes)),
        "free space or move data_dir: see `tickhouse retention plan` and docs/retention.md, journal.keep_mib for the journal",
    ))
}

fn journal(seen: &Seen<'_>) -> Verdict {
    let Some(record) = seen.record else {
        return seen.missing("record").unwrap_or_else(|| Verdict::ok("no sockets"));
    };
    let journals = record.journal.as_ref().map(|journal| journal.sockets.as_slice()).unwrap_or_default();
    if let Some((socket, fault)) =
        journals.iter().find_map(|journal| Some((journal.socket, journal.fault.as_ref()?)))
    {
        return Verdict::new(
            State::Bad,
            format!("the journal of socket {socket} can't be written: {fault}"),
            "the sockets wait, nothing is dropped yet: free space on the disk of data_dir, or mend its permissions",
        );
    }
    let text = format!("{} records written", grouped(seen.progress.totals.journaled));
    full_disk(seen, "journal").unwrap_or_else(|| Verdict::ok(text))
}

fn stream(seen: &Seen<'_>, lag_seconds: f64) -> Verdict {
    if let Some(verdict) = seen.down("redis").or_else(|| load::full_redis(seen)) {
        return verdict;
    }
    let Some(record) = seen.record else {
        return seen.missing("record").unwrap_or_else(|| Verdict::ok("no sockets"));
    };
    let waiting = record.sockets.iter().find_map(|line| {
        let why = line.publisher.waiting_for.as_deref()?;
        Some(format!("socket {}: {why}", line.socket))
    });
    if let Some(why) = waiting {
        return Verdict::new(
            lag_state(lag_seconds).max(State::Warn),
            format!("{why}; {} records wait in the journal", grouped(seen.progress.publish_lag)),
            "nothing is lost: the journal keeps what Redis does not take; start Redis, or mend redis.url",
        );
    }
    let text = format!(
        "{} entries in Redis, {} behind",
        grouped(seen.progress.totals.published),
        grouped(seen.progress.publish_lag)
    );
    match lag_state(lag_seconds) {
        State::Ok => Verdict::ok(text),
        state => Verdict::new(
            state,
            format!("{text}: {lag_seconds:.0} s of the feed"),
            "Redis takes less than the sockets give: look at its CPU, its disk and the network to it",
        ),
    }
}

fn serve(seen: &Seen<'_>) -> Verdict {
    match (seen.serve, seen.process("serve")) {
        (Some(serve), _) => {
            let clients = serve.live.as_ref().map_or(0, |live| live.clients);
            Verdict::ok(format!("{clients} connected to the web page"))
        }
        (None, None) => Verdict::ok("does not run: `tickhouse serve` serves the web page"),
        (None, Some(_)) => seen.missing("serve").map_or_else(
            || Verdict::ok("starting"),
            // nothing of the tick's way depends on it
            |verdict| Verdict { state: State::Warn, ..verdict },
        ),
    }
}
