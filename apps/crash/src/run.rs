//! One seed, from an empty folder to a verdict.
//!
//! What enters: options. What leaves: a report. What never happens here: a folder of somebody else's that is removed.

use crate::attack::carry_out;
use crate::clickhouse::ClickHouse;
use crate::keeper::note;
use crate::memory::{Memory, resident};
use crate::oracle::{Verdict, judge};
use crate::report::Report;
use crate::schedule::{Schedule, Target};
use crate::sent;
use crate::system::System;
use anyhow::{Context as _, bail};
use serde_json::Value;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::PoisonError;
use std::time::{Duration, Instant};
use tickhouse_telemetry::Clock;

/// Until the first tick is stored.
const START_LIMIT: Duration = Duration::from_mins(1);
/// Without faults before the exchange pauses.
const CALM: Duration = Duration::from_secs(4);
/// Until everything that was sent is stored. A loader waits 30 s for records that it has asked for.
const DRAIN_LIMIT: Duration = Duration::from_mins(3);
const POLL: Duration = Duration::from_millis(250);
/// A heartbeat that was sent after the pause is at least so much younger.
const AFTER_PAUSE: i64 = 1_500;
const MIDNIGHT: i64 = 86_400_000;
const INDIA: i64 = 19_800_000;

/// What to run.
#[derive(Clone, Debug)]
pub struct Options {
    /// Decides everything that goes wrong.
    pub seed: u64,
    /// How long things go wrong.
    pub span: Duration,
    /// Packets per second of the market.
    pub rate: f64,
    /// The built `tickhouse`.
    pub program: PathBuf,
    /// An empty folder for data and logs.
    pub folder: PathBuf,
    /// Statements that spoil the tables once everything is judged, for a test that wants to see the oracle object.
    pub spoil: Vec<String>,
}

/// Runs a seed. The folder stays, whatever happens.
///
/// Cancel safety: when the future is dropped, every process ends.
///
/// # Errors
/// When the system does not start, or can't be looked at. What is wrong with its data is in the report.
pub async fn run(options: &Options) -> anyhow::Result<Report> {
    let schedule = Schedule::of(options.seed, options.span);
    let text = serde_json::to_vec_pretty(&schedule)?;
    std::fs::write(options.folder.join("schedule.json"), text)?;
    let mut system = System::start(options, clock_text(&schedule)).await?;
    let clickhouse = ClickHouse::at(&system.clickhouse_url)?;
    wait_for_ticks(&clickhouse).await.with_context(|| problems(&system))?;
    let mut memory = Memory::default();
    let done = tokio::select! {
        done = carry_out(&system, &schedule) => done,
        () = watch(&system, &mut memory) => bail!("watching ended"),
    };
    let ended = Instant::now();
    let mut wrong = Vec::new();
    let proof = settle(&mut system, &clickhouse, &mut memory, &mut wrong).await;
    let drained_after = ended.elapsed().as_secs_f64();
    let sent = sent::read(&options.folder.join("ledger"))?;
    let mut verdict = judge(&clickhouse, &sent).await?;
    look_into_logs(&options.folder.join("log"), &mut verdict)?;
    wrong.append(&mut verdict.violations);
    let objections = spoilt(&options.spoil, &clickhouse, &sent).await?;
    let proven = proof["proven"] == true;
    if !proven {
        wrong.push(format!("tickhouse verify does not prove it: {}", proof["totals"]));
    }
    let restarts = [Target::Redis, Target::ClickHouse].map(|target| {
        let name = if target == Target::Redis { "redis" } else { "clickhouse" };
        (name, system.keeper(target).map_or(0, crate::keeper::Keeper::restarts))
    });
    let notes = system.notes.lock().unwrap_or_else(PoisonError::into_inner).clone();
    wrong.extend(notes.iter().filter(|note| note.contains("badly") || note.contains("did not end")).cloned());
    Ok(Report {
        ok: wrong.is_empty(),
        seed: options.seed,
        seconds: options.span.as_secs_f64(),
        midnight: schedule.midnight_after.is_some(),
        rate: options.rate,
        done,
        restarts: restarts.into(),
        drained_after,
        totals: verdict.totals,
        memory: memory.peaks(),
        proven,
        violations: wrong,
        objections,
        notes,
        kept: None,
    })
}

/// The machine's clock, or one that shows midnight when the schedule says so.
fn clock_text(schedule: &Schedule) -> String {
    let Some(after) = schedule.midnight_after else { return "system".to_owned() };
    let now = Clock::system().now().as_millis();
    let midnight = ((now + INDIA) / MIDNIGHT + 1) * MIDNIGHT - INDIA;
    // what starts first, starts before the first fault
    let start = midnight - i64::try_from(after.as_millis()).unwrap_or(0) - 10_000;
    let start = jiff::Timestamp::from_millisecond(start).expect("the present is within the calendar");
    format!("{start}@{now}*1")
}

fn problems(system: &System) -> String {
    let notes = system.notes.lock().unwrap_or_else(PoisonError::into_inner);
    format!("the system does not store ticks; {}", notes.join("; "))
}

async fn wait_for_ticks(clickhouse: &ClickHouse) -> anyhow::Result<()> {
    let deadline = Instant::now() + START_LIMIT;
    while !matches!(clickhouse.number("SELECT count() FROM tick_data").await, Ok(1..)) {
        if Instant::now() > deadline {
            bail!("no tick within {} s", START_LIMIT.as_secs());
        }
        tokio::time::sleep(POLL).await;
    }
    Ok(())
}

/// Notes memory until it is dropped.
async fn watch(system: &System, memory: &mut Memory) {
    loop {
        for (name, target) in
            [("record", Target::Record), ("load", Target::Load), ("standby", Target::Standby)]
        {
            if let Some(bytes) = system.pid(target).and_then(resident) {
                memory.note(name, bytes);
            }
        }
        tokio::time::sleep(POLL).await;
    }
}

/// Lets everything arrive and be stored; what `tickhouse verify` says then.
async fn settle(
    system: &mut System,
    clickhouse: &ClickHouse,
    memory: &mut Memory,
    wrong: &mut Vec<String>,
) -> Value {
    tokio::time::sleep(CALM).await;
    let deadline = Instant::now() + DRAIN_LIMIT;
    let all_arrived = async {
        pause(system, deadline).await?;
        let paused = system.clock.now().as_millis();
        arrived(clickhouse, paused + AFTER_PAUSE, deadline).await
    };
    let arrived = tokio::select! {
        arrived = all_arrived => arrived,
        () = watch(system, memory) => Ok(()),
    };
    if let Err(error) = arrived {
        wrong.push(format!("{error:#}"));
    }
    system.stop_recorder().await;
    let mut proof = Value::Null;
    while Instant::now() < deadline {
        match verify(system).await {
            Ok(found) => proof = found,
            Err(error) => note(&system.notes, format!("verify: {error:#}")),
        }
        if proof["totals"]["waiting"] == 0 {
            break;
        }
        tokio::time::sleep(POLL).await;
    }
    if proof["totals"]["waiting"] != 0 {
        wrong.push(format!("not everything was stored within {} s", DRAIN_LIMIT.as_secs()));
    }
    system.stop_loaders().await;
    proof
}

/// Stops the market; everything that was due is in the ledger then.
async fn pause(system: &System, deadline: Instant) -> anyhow::Result<()> {
    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(40)).build()?;
    let url = format!("http://127.0.0.1:{}/sim/pause", system.exchange_port);
    loop {
        let paused = client.post(&url).send().await;
        if paused.is_ok_and(|answer| answer.status().is_success()) {
            return Ok(());
        }
        if Instant::now() > deadline {
            bail!("the exchange does not pause: a client does not read");
        }
    }
}

/// Waits until every socket has a heartbeat that was sent after the pause: all before it on its connection has come too.
async fn arrived(clickhouse: &ClickHouse, after: i64, deadline: Instant) -> anyhow::Result<()> {
    let sql = format!(
        "SELECT (SELECT uniqExact(socket) FROM frames WHERE kind = 'frame' AND bytes <= 1 AND toUnixTimestamp64Milli(received_at) > {after}) \
         >= greatest((SELECT uniqExact(socket) FROM frames), 1)"
    );
    while !matches!(clickhouse.number(&sql).await, Ok(1)) {
        if Instant::now() > deadline {
            bail!("not every socket has read to its end within {} s", DRAIN_LIMIT.as_secs());
        }
        tokio::time::sleep(POLL).await;
    }
    Ok(())
}

async fn verify(system: &System) -> anyhow::Result<Value> {
    let mut command = tokio::process::Command::from(system.command());
    command.args(["verify", "--json", "--last", "3h"]).stdin(Stdio::null()).kill_on_drop(true);
    let output = command.output().await?;
    let text = String::from_utf8_lossy(&output.stdout);
    let last = text.lines().last().unwrap_or_default();
    serde_json::from_str(last).with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())
}

/// What the oracle says once the tables are spoilt.
async fn spoilt(
    statements: &[String],
    clickhouse: &ClickHouse,
    sent: &sent::Sent,
) -> anyhow::Result<Vec<String>> {
    if statements.is_empty() {
        return Ok(Vec::new());
    }
    for statement in statements {
        clickhouse.text(statement).await?;
    }
    Ok(judge(clickhouse, sent).await?.violations)
}

/// A panic is one, wherever it was caught.
fn look_into_logs(folder: &std::path::Path, verdict: &mut Verdict) -> anyhow::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let text = String::from_utf8_lossy(&std::fs::read(&path)?).into_owned();
        let bad =
            |line: &&str| line.contains("panicked at") || line.contains("rows are stored more than once");
        for line in text.lines().filter(bad) {
            verdict.wrong(format!("{}: {line}", path.display()));
        }
    }
    Ok(())
}
