//! The whole system at 20,000 packets a second: `tickhouse demo`, which measures itself and verifies what it stored.

use crate::usage;
use anyhow::{Context as _, bail};
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Stdio};

/// Packets in a frame: as Kite sends them, and the worst case.
const PACKETS_PER_FRAME: [u16; 2] = [20, 1];
/// Three sockets of 3,000.
const INSTRUMENTS: &str = "9000";
const RATE: &str = "20000";

/// Runs the demo for so many seconds with each grouping.
pub(crate) fn run(tickhouse: &Path, seconds: usize) -> anyhow::Result<()> {
    println!("live: {RATE} packets/s of {INSTRUMENTS} instruments for {seconds} s; {}", usage::machine());
    println!(
        "| packets a frame | record: cores, MB | load: cores, MB | redis: cores, MB | clickhouse: cores, MB \
         | socket to Redis p50, p99 ms | socket to queryable p50, p99 ms | ticks stored |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for grouping in PACKETS_PER_FRAME {
        let result = demo(tickhouse, seconds, grouping)?;
        let seconds = result["seconds"].as_f64().context("no seconds")?;
        let used = |name: &str| {
            let usage = &result["usage"][name];
            let cores = usage["cpu_seconds"].as_f64().unwrap_or(f64::NAN) / seconds;
            let megabytes = usage["memory_bytes"].as_f64().unwrap_or(f64::NAN) / 1e6;
            format!("{cores:.2}, {megabytes:.0}")
        };
        let latency = |name: &str| {
            let latency = &result["latencies"][name];
            let of = |quantile: &str| latency[quantile].as_f64().unwrap_or(f64::NAN);
            format!("{:.1}, {:.1}", of("p50_ms"), of("p99_ms"))
        };
        println!(
            "| {grouping} | {} | {} | {} | {} | {} | {} | {} |",
            used("record"),
            used("load"),
            used("redis"),
            used("clickhouse"),
            latency("socket_to_redis"),
            latency("socket_to_queryable"),
            result["ticks_stored"],
        );
    }
    Ok(())
}

/// Processor seconds of `record` and `load` are those since their start, so they include starting.
fn demo(tickhouse: &Path, seconds: usize, grouping: u16) -> anyhow::Result<Value> {
    let directory = tempfile::tempdir()?;
    let output = Command::new(tickhouse)
        .args(["demo", "--json", "--rate", RATE, "--instruments", INSTRUMENTS])
        .args(["--duration", &format!("{seconds}s"), "--packets-per-frame", &grouping.to_string()])
        .args(["--clickhouse-http-port", "0", "--clickhouse-tcp-port", "0", "--redis-port", "0"])
        .args(["--http-port", "0"])
        .arg("--data-dir")
        .arg(directory.path())
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("{} can't be run", tickhouse.display()))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let result = text.lines().last().and_then(|line| serde_json::from_str::<Value>(line).ok());
    let result = result.with_context(|| format!("the demo printed no result: {text}"))?;
    if result["ok"] != true {
        bail!("the demo lost or doubled ticks: {result}");
    }
    Ok(result)
}
