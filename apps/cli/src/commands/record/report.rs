//! What a recorder says of itself in `/status`.

use super::following::View;
use super::lines::{Line, Lines, Recorder, phase};
use crate::process::Report;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tickhouse_config::Config;
use tickhouse_enrich::Calendar;
use tickhouse_health::MarketPhase;
use tickhouse_journal::JournalStatus;
use tickhouse_model::Timestamp;
use tickhouse_source::rest::Rest;
use tickhouse_telemetry::{Clock, Latency};

/// Between two looks at Kite's clock, and after one that failed.
const SKEW_EVERY: (Duration, Duration) = (Duration::from_mins(10), Duration::from_mins(1));
/// A time in whole seconds, cut, is half a second early on average.
const HALF_SECOND: Duration = Duration::from_millis(500);

/// Our clock minus Kite's, seconds; none before the first look.
pub(super) type Skew = Arc<Mutex<Option<f64>>>;

/// Looks at Kite's clock now and then, unless ours is a simulated one. It runs until the process ends.
pub(super) fn watch_clock(config: &Config) -> Skew {
    let skew = Skew::default();
    let (noted, clock, api_url) = (Arc::clone(&skew), config.clock.clone(), config.kite.api_url.clone());
    if clock.to_string() == Clock::system().to_string() {
        tokio::spawn(async move {
            loop {
                let found = skew_now(&api_url, &clock).await;
                let pause = if found.is_some() { SKEW_EVERY.0 } else { SKEW_EVERY.1 };
                if found.is_some() {
                    *noted.lock().unwrap_or_else(PoisonError::into_inner) = found;
                }
                tokio::time::sleep(pause).await;
            }
        });
    }
    skew
}

async fn skew_now(api_url: &str, clock: &Clock) -> Option<f64> {
    let rest = Rest::new(api_url).ok()?;
    let before = clock.now();
    let theirs = rest.server_time().await.ok()?.plus(HALF_SECOND);
    let ours = before.plus(clock.now().since(before) / 2);
    Some((ours.as_millis() - theirs.as_millis()) as f64 / 1_000.0)
}

/// The recorder's part of its status.
pub(super) fn report(config: &Config, recorder: &Recorder, view: View, skew: Skew) -> Report {
    let journal = Arc::downgrade(&recorder.journal);
    let lines: Lines = recorder.lines.clone();
    let (name, session) = (config.recorder.clone(), recorder.journal.session());
    let (clock, calendar) = (config.clock.clone(), recorder.calendar());
    let began = clock.now();
    Arc::new(move || {
        let (now, lines, journal) = (clock.now(), lines.all(), journal.upgrade());
        let status = journal.as_ref().map(|journal| journal.status());
        let journaled = status.as_ref().map(records_of).unwrap_or_default();
        let mut to_redis = Latency::default();
        lines.values().for_each(|line| to_redis.add(&line.publisher.latency()));
        let to_journal = journal.map(|journal| journal.latency()).unwrap_or_default();
        let times = Times { now, began, calendar: &calendar };
        let (mut market, mut sockets) = (MarketPhase::Closed, Vec::with_capacity(lines.len()));
        for (socket, line) in lines.iter() {
            let records = journaled.get(socket).copied().unwrap_or(0);
            let (phase, value) = socket_report(*socket, line, records, times);
            market = market.max(phase);
            sockets.push(value);
        }
        let (instruments, left_out, universe) = view.json();
        json!({
            "recorder": name,
            "session": session,
            "now": now,
            "market": market,
            "instruments": instruments,
            "left_out": left_out,
            "universe": universe,
            "sockets": sockets,
            "journal": status,
            "socket_to_journal": to_journal.summary(),
            "socket_to_redis": to_redis.summary(),
            "clock_skew_seconds": *skew.lock().unwrap_or_else(PoisonError::into_inner),
            "histograms": { "socket_to_journal": to_journal.histogram(), "socket_to_redis": to_redis.histogram() },
        })
    })
}

#[derive(Clone, Copy)]
struct Times<'a> {
    now: Timestamp,
    /// When the recorder began: before it nothing was silent.
    began: Timestamp,
    calendar: &'a Calendar,
}

fn records_of(status: &JournalStatus) -> BTreeMap<u16, u64> {
    status.sockets.iter().map(|socket| (socket.socket, socket.records)).collect()
}

/// The phase of a socket's markets, and what is said of it.
fn socket_report(socket: u16, line: &Line, records: u64, times: Times<'_>) -> (MarketPhase, Value) {
    let (source, publisher) = (line.handle.stats().snapshot(), line.publisher.status());
    let phase = phase(times.calendar, &line.handle, times.now);
    let age = |at: Timestamp| times.now.since(at.max(times.began)).as_secs_f64();
    let value = json!({
        "socket": socket,
        "key": line.key,
        "expects_data": phase == MarketPhase::Open,
        "data_age_seconds": age(source.last_data_at),
        "frame_age_seconds": age(source.last_frame_at),
        "backlog_records": records.saturating_sub(publisher.published + publisher.already_there),
        "source": source,
        "publisher": publisher,
    });
    (phase, value)
}
