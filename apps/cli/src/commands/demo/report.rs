//! The end of a demo: what arrived, counted by identity, in one JSON object.

use super::{Before, RECORDER};
use crate::endpoints::journal_dir;
use crate::http_query::HttpQuery;
use crate::output;
use crate::progress::Progress;
use crate::system::ProcessState;
use crate::verify::{Journaled, Tables, Verdict, compare, read_journal};
use anyhow::{Context as _, bail};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tickhouse_config::Config;
use tickhouse_model::Timestamp;
use tickhouse_simulator::Counters;
use tickhouse_stream::{Control, RedisOptions};

/// How long nothing more may arrive in ClickHouse before it is taken for missing.
const STALL_LIMIT: Duration = Duration::from_mins(1);
const POLL: Duration = Duration::from_millis(200);

/// A run that has come to rest.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settled {
    verdict: Verdict,
    gaps: u64,
}

/// Everything that is known of a run.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) settled: Settled,
    /// As of before the recorder ended.
    pub(super) progress: Progress,
    pub(super) exchange: Counters,
    pub(super) restarts: Vec<ProcessState>,
    pub(super) elapsed: Duration,
    pub(super) versions: Value,
}

/// Reads the journals and waits until ClickHouse has as many records, or gets no further ones.
pub(super) async fn settle(
    config: &Config,
    server: &HttpQuery,
    before: &Before,
    started: Timestamp,
) -> anyhow::Result<Settled> {
    let (directory, before) = (journal_dir(&config.data_dir), before.clone());
    let read = move || {
        let mut all: BTreeMap<(u64, u16), Journaled> = BTreeMap::new();
        for (socket, after) in before {
            all.extend(read_journal(&directory, RECORDER, socket, after)?);
        }
        anyhow::Ok(all)
    };
    let journal = tokio::task::spawn_blocking(read).await.context("reading the journals failed")??;
    let sessions: Vec<u64> = journal.keys().map(|(session, _)| *session).collect();
    let expected: u64 = journal.values().map(|journaled| journaled.records).sum();
    let (mut best, mut moved) = (0, Instant::now());
    let tables = loop {
        // ClickHouse may be on its way back from a kill
        let tables = Tables::read(server, RECORDER, &sessions).await;
        let rows = tables.as_ref().map_or(0, Tables::frame_rows);
        if rows > best {
            (best, moved) = (rows, Instant::now());
        }
        match tables {
            Ok(tables) if rows >= expected || moved.elapsed() > STALL_LIMIT => break tables,
            Err(error) if moved.elapsed() > STALL_LIMIT => return Err(error),
            Ok(_) | Err(_) => tokio::time::sleep(POLL).await,
        }
    };
    // the time between two demos is a gap too, and not one of this run
    let gaps = format!(
        "SELECT count() FROM feed_gaps WHERE recorder = '{RECORDER}' AND toUnixTimestamp64Milli(`from`) >= {}",
        started.as_millis()
    );
    let gaps = server.text(&gaps).await?;
    Ok(Settled { verdict: compare(&journal, &tables), gaps: gaps.parse().context("no count of gaps")? })
}

/// Versions of what took part.
pub(super) async fn versions(server: &HttpQuery, redis_url: &str) -> Value {
    let clickhouse = server.text("SELECT version()").await.ok();
    let redis = async { Control::new(RedisOptions::at(redis_url)).ok()?.server().await.ok() };
    json!({
        "tickhouse": env!("CARGO_PKG_VERSION"),
        "clickhouse": clickhouse,
        "redis": redis.await.map(|info| info.version),
    })
}

impl Outcome {
    /// What the exchange sent and no journal has, unless a gap says so.
    fn lost_before_journal(&self) -> u64 {
        self.exchange.packets_sent.saturating_sub(
            self.settled.verdict.journaled.packets + self.settled.verdict.journaled.undecodable,
        )
    }

    fn missing(&self) -> u64 {
        let unexplained = if self.settled.gaps == 0 { self.lost_before_journal() } else { 0 };
        self.settled.verdict.missing + unexplained
    }

    fn json(&self) -> Value {
        let verdict = &self.settled.verdict;
        let journaled = &verdict.journaled;
        let seconds = self.elapsed.as_secs_f64();
        let rate = |count: u64| (count as f64 / seconds.max(0.001) * 10.0).round() / 10.0;
        let restarts: BTreeMap<&str, u64> =
            self.restarts.iter().map(|process| (process.name, process.restarts)).collect();
        let usage: BTreeMap<&str, _> =
            self.progress.usage.iter().map(|(name, usage)| (name.as_str(), usage)).collect();
        json!({
            "ok": self.missing() == 0 && verdict.duplicates == 0,
            "frames_received": journaled.frames,
            "heartbeats_received": journaled.heartbeats,
            "records_journaled": journaled.records,
            "packets_sent": self.exchange.packets_sent,
            "packets_received": journaled.packets + journaled.undecodable,
            "ticks_stored": verdict.ticks_stored,
            "quarantined": verdict.quarantined,
            "gaps": self.settled.gaps,
            "lost_in_gaps": if self.settled.gaps > 0 { self.lost_before_journal() } else { 0 },
            "missing": self.missing(),
            "duplicates": verdict.duplicates,
            "seconds": (seconds * 1_000.0).round() / 1_000.0,
            "rates": {
                "frames_per_second": rate(journaled.frames),
                "packets_per_second": rate(journaled.packets + journaled.undecodable),
                "ticks_per_second": rate(verdict.ticks_stored),
            },
            "latencies": {
                "socket_to_redis": self.progress.socket_to_redis,
                "socket_to_queryable": self.progress.socket_to_queryable,
            },
            "restarts": restarts,
            "usage": usage,
            "versions": self.versions,
        })
    }

    /// One JSON object as the last line, or the same for people.
    pub(super) fn print(&self, as_json: bool) -> anyhow::Result<()> {
        if as_json {
            return output::json(&self.json());
        }
        let verdict = &self.settled.verdict;
        let number = output::grouped;
        output::line(&format!(
            "verified by identity: {} packets sent, {} ticks stored, {} quarantined, {} missing, {} duplicates, {} gaps",
            number(self.exchange.packets_sent),
            number(verdict.ticks_stored),
            number(verdict.quarantined),
            number(self.missing()),
            number(verdict.duplicates),
            number(self.settled.gaps),
        ))?;
        let (redis, store) = (&self.progress.socket_to_redis, &self.progress.socket_to_queryable);
        Ok(output::line(&format!(
            "socket to Redis p50 {:.1} ms, p99 {:.1} ms; socket to queryable p50 {:.0} ms, p99 {:.0} ms",
            redis.p50_ms, redis.p99_ms, store.p50_ms, store.p99_ms
        ))?)
    }

    /// An error when anything is missing or double.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        let (missing, duplicates) = (self.missing(), self.settled.verdict.duplicates);
        if missing > 0 || duplicates > 0 {
            bail!(
                "{missing} missing and {duplicates} duplicates: please report this with the data directory"
            );
        }
        Ok(())
    }
}
