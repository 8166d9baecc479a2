//! `tickhouse status`: what runs here, how fast and how far behind.

use crate::arguments::Common;
use crate::process::{RunFile, fetch_status};
use crate::progress::{Progress, Watcher};
use crate::system::status_client;
use crate::{endpoints, output, setup};
use clap::Args;
use serde_json::{Map, Value, json};
use std::time::Duration;
use tickhouse_config::Config;
use tickhouse_embed::daemon;

/// Between the two looks that rates are taken from.
const APART: Duration = Duration::from_secs(1);
const ROLES: [&str; 6] = ["up", "demo", "sim", "record", "load", "serve"];

/// What runs on this data directory, how fast and how far behind.
#[derive(Debug, Args)]
pub(crate) struct Status {
    /// One JSON object with everything that the processes say
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(common: &Common, command: &Status) -> anyhow::Result<()> {
    let mut config = setup::config(common)?;
    config.data_dir = endpoints::of_what_runs(&config);
    setup::runtime(0)?.block_on(async {
        let statuses = statuses(&config).await?;
        if command.json {
            return output::json(&statuses);
        }
        show(&config, &statuses).await
    })
}

async fn statuses(config: &Config) -> anyhow::Result<Map<String, Value>> {
    let client = status_client()?;
    let run_dir = endpoints::run_dir(&config.data_dir);
    let mut found = Map::new();
    for role in ROLES {
        if let Some(file) = RunFile::read(&run_dir, role).filter(RunFile::is_alive) {
            let status = fetch_status(&client, &file).await;
            let silent = |_| json!({ "role": role, "pid": file.pid, "error": "it does not answer" });
            let mut status = status.unwrap_or_else(silent);
            if let (Some(ports), Some(status)) = (&file.ports, status.as_object_mut()) {
                status.insert("ports".to_owned(), json!(ports));
            }
            found.insert(role.to_owned(), status);
        }
    }
    for name in ["clickhouse", "redis"] {
        if let Some(state) = daemon::status(&run_dir, name)? {
            found.insert(name.to_owned(), json!(state));
        }
    }
    Ok(found)
}

async fn show(config: &Config, statuses: &Map<String, Value>) -> anyhow::Result<()> {
    if statuses.is_empty() {
        let place = config.data_dir.display();
        return Ok(output::line(&format!("nothing runs on {place}: `tickhouse demo` or `tickhouse up`"))?);
    }
    for (role, status) in statuses {
        output::line(&describe(role, status))?;
    }
    if statuses.contains_key("record") || statuses.contains_key("load") {
        let mut watcher = Watcher::new(status_client()?);
        watcher.look(&config.data_dir, &[], 0).await;
        tokio::time::sleep(APART).await;
        flow(watcher.look(&config.data_dir, &[], 0).await)?;
    }
    Ok(())
}

fn describe(role: &str, status: &Value) -> String {
    let pid = &status["pid"];
    if let Some(error) = status["error"].as_str() {
        return format!("{role:<11} process {pid}: {error}");
    }
    let uptime = Duration::from_secs_f64(status["uptime_seconds"].as_f64().unwrap_or(0.0));
    let memory = status["memory_bytes"].as_u64().unwrap_or(0);
    if memory == 0 {
        return format!("{role:<11} process {pid}, port {}", status["port"]);
    }
    format!("{role:<11} process {pid}, up {}, {}", crate::view::clock_text(uptime), output::bytes(memory))
}

fn flow(progress: &Progress) -> anyhow::Result<()> {
    let (totals, rates) = (&progress.totals, &progress.rates);
    let (open, all) = progress.sockets;
    let of = |total: u64, rate: u64| format!("{} ({}/s)", output::grouped(total), output::grouped(rate));
    let lines = [
        (
            "sockets",
            format!("{open} of {all} connected, {} instruments", output::grouped(progress.instruments)),
        ),
        ("packets", of(totals.packets, rates.packets)),
        (
            "redis",
            format!(
                "{} entries, {} behind, p50 {:.1} ms, p99 {:.1} ms",
                of(totals.published, rates.published),
                output::grouped(progress.publish_lag),
                progress.socket_to_redis.p50_ms,
                progress.socket_to_redis.p99_ms
            ),
        ),
        (
            "clickhouse",
            format!(
                "{} ticks, p50 {:.0} ms, p99 {:.0} ms",
                of(totals.ticks_stored, rates.ticks_stored),
                progress.socket_to_queryable.p50_ms,
                progress.socket_to_queryable.p99_ms
            ),
        ),
        ("faults", format!("{} gaps, {} quarantined", totals.gaps, totals.quarantined)),
    ];
    for (name, text) in lines {
        output::line(&format!("{name:<11} {text}"))?;
    }
    for trouble in &progress.troubles {
        output::line(&format!("{:<11} {trouble}", "trouble"))?;
    }
    Ok(())
}
