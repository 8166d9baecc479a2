//! The end of a demo: what arrived, counted by identity, in one JSON object.

use crate::commands::verify;
use crate::http_query::HttpQuery;
use crate::output;
use crate::progress::Progress;
use crate::system::ProcessState;
use anyhow::bail;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tickhouse_config::Config;
use tickhouse_model::Timestamp;
use tickhouse_read::Window;
use tickhouse_simulator::Counters;
use tickhouse_stream::{Control, RedisOptions};
use tickhouse_verify::Report;

/// How long nothing more may arrive in ClickHouse before it is taken for missing.
const STALL_LIMIT: Duration = Duration::from_mins(1);
const POLL: Duration = Duration::from_millis(200);
const A_MINUTE: Duration = Duration::from_mins(1);

/// A run that has come to rest.
#[derive(Clone, Debug)]
pub(super) struct Settled {
    proof: Report,
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

/// Waits until everything in the journals is stored, or no more of it gets stored, and compares.
pub(super) async fn settle(config: &Config, started: Timestamp) -> anyhow::Result<Settled> {
    // no record of this run is younger than its end
    let window = Window::new(started, config.clock.now().plus(A_MINUTE))?;
    let (mut least, mut moved) = (u64::MAX, Instant::now());
    loop {
        // ClickHouse may be on its way back from a kill
        let proof = tickhouse_verify::verify(&verify::options(config, window)?).await;
        let waiting = proof.as_ref().map_or(u64::MAX, |proof| proof.totals.waiting);
        if waiting < least {
            (least, moved) = (waiting, Instant::now());
        }
        match proof {
            Ok(proof) if waiting == 0 || moved.elapsed() > STALL_LIMIT => {
                // the time between two demos is a gap too, and not one of this run
                let gaps = proof.gaps.iter().map(|gap| gap.begun).sum();
                return Ok(Settled { proof, gaps });
            }
            Err(error) if moved.elapsed() > STALL_LIMIT => return Err(error.into()),
            Ok(_) | Err(_) => tokio::time::sleep(POLL).await,
        }
    }
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
        let journaled = &self.settled.proof.totals;
        self.exchange.packets_sent.saturating_sub(journaled.packets + journaled.undecodable)
    }

    /// Rows that are double, or that no journal has, or have another content.
    fn surplus(&self) -> u64 {
        let totals = &self.settled.proof.totals;
        totals.duplicates + totals.unknown + totals.altered
    }

    fn missing(&self) -> u64 {
        let unexplained = if self.settled.gaps == 0 { self.lost_before_journal() } else { 0 };
        let proof = &self.settled.proof;
        proof.totals.missing + proof.totals.waiting + proof.imbalances.len() as u64 + unexplained
    }

    fn json(&self) -> Value {
        let totals = &self.settled.proof.totals;
        let seconds = self.elapsed.as_secs_f64();
        let rate = |count: u64| (count as f64 / seconds.max(0.001) * 10.0).round() / 10.0;
        let restarts: BTreeMap<&str, u64> =
            self.restarts.iter().map(|process| (process.name, process.restarts)).collect();
        let usage: BTreeMap<&str, _> =
            self.progress.usage.iter().map(|(name, usage)| (name.as_str(), usage)).collect();
        json!({
            "ok": self.missing() + self.surplus() == 0,
            "frames_received": totals.frames,
            "heartbeats_received": totals.heartbeats,
            "records_journaled": totals.records,
            "packets_sent": self.exchange.packets_sent,
            "packets_received": totals.packets + totals.undecodable,
            "ticks_stored": totals.ticks_stored,
            "quarantined": totals.quarantined,
            "gaps": self.settled.gaps,
            "lost_in_gaps": if self.settled.gaps > 0 { self.lost_before_journal() } else { 0 },
            "missing": self.missing(),
            "duplicates": self.surplus(),
            "seconds": (seconds * 1_000.0).round() / 1_000.0,
            "rates": {
                "frames_per_second": rate(totals.frames),
                "packets_per_second": rate(totals.packets + totals.undecodable),
                "ticks_per_second": rate(totals.ticks_stored),
            },
            "latencies": {
                "socket_to_redis": self.progress.flow.socket_to_redis,
                "socket_to_queryable": self.progress.flow.socket_to_queryable,
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
        let totals = &self.settled.proof.totals;
        let number = output::grouped;
        output::line(&format!(
            "verified by identity: {} packets sent, {} ticks stored, {} quarantined, {} missing, {} duplicates, {} gaps",
            number(self.exchange.packets_sent),
            number(totals.ticks_stored),
            number(totals.quarantined),
            number(self.missing()),
            number(self.surplus()),
            number(self.settled.gaps),
        ))?;
        let (redis, store) = (&self.progress.flow.socket_to_redis, &self.progress.flow.socket_to_queryable);
        Ok(output::line(&format!(
            "socket to Redis p50 {:.1} ms, p99 {:.1} ms; socket to queryable p50 {:.0} ms, p99 {:.0} ms",
            redis.p50_ms, redis.p99_ms, store.p50_ms, store.p99_ms
        ))?)
    }

    /// An error when anything is missing or double.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        let (missing, duplicates) = (self.missing(), self.surplus());
        if missing > 0 || duplicates > 0 {
            bail!(
                "{missing} missing and {duplicates} duplicates: please report this with the data directory"
            );
        }
        Ok(())
    }
}
