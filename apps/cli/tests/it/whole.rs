//! The whole system: demos that are counted by identity, and that survive what kills their parts.

use super::{chain, last_json, run, stderr, succeed, tickhouse, web};
use serde_json::Value;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

const FREE_PORTS: [&str; 8] =
    ["--clickhouse-http-port", "0", "--clickhouse-tcp-port", "0", "--redis-port", "0", "--http-port", "0"];

fn demo(arguments: &[&str]) -> Vec<String> {
    let words = [&["demo", "--data-dir", "data", "--json"], arguments, &FREE_PORTS].concat();
    words.into_iter().map(str::to_owned).collect()
}

fn run_demo(folder: &Path, arguments: &[&str]) -> Output {
    let words = demo(arguments);
    run(&words.iter().map(String::as_str).collect::<Vec<_>>(), folder)
}

fn assert_whole(report: &Value, output: &Output) {
    let text = format!("{report:#}\n{}", stderr(output));
    assert!(output.status.success(), "{text}");
    for zero in ["missing", "duplicates", "quarantined"] {
        assert_eq!(report[zero], 0, "{zero}: {text}");
    }
    assert_eq!(report["ticks_stored"], report["packets_received"], "{text}");
    assert!(report["ticks_stored"].as_u64().is_some_and(|ticks| ticks > 0), "{text}");
}

#[test]
fn a_demo_is_counted_and_runs_again_on_its_data() {
    let folder = tempfile::tempdir().unwrap();
    let browsers = web::look_on(folder.path());
    let output = run_demo(folder.path(), &["--duration", "10s", "--rate", "2000", "--instruments", "500"]);
    let report = last_json(&output);
    assert_whole(&report, &output);
    assert_eq!(report["gaps"], 0, "{report:#}");
    assert_eq!(report["packets_sent"], report["packets_received"], "{report:#}");
    browsers.join().unwrap().check();
    let ticks = report["ticks_stored"].as_u64().unwrap();
    assert!(ticks > 15_000, "{ticks} ticks in 10 s at 2,000 a second");
    for latency in ["socket_to_redis", "socket_to_queryable"] {
        assert!(report["latencies"][latency]["p99_ms"].as_f64().unwrap() > 0.0, "{report:#}");
    }
    for version in ["tickhouse", "clickhouse", "redis"] {
        assert!(report["versions"][version].is_string(), "{report:#}");
    }

    let again = run_demo(folder.path(), &["--duration", "3s", "--rate", "1000", "--instruments", "500"]);
    let second = last_json(&again);
    assert_whole(&second, &again);
    assert_eq!(second["gaps"], 0, "the time between two demos is no gap of this one: {second:#}");
    assert!(second["ticks_stored"].as_u64().unwrap() < ticks, "it counts its own only: {second:#}");
    chain::of_what_was_recorded(folder.path());
}

/// A demo in the background, ended when a test fails.
struct Running(Option<Child>);

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take() {
            // parts end with it
            child.kill().ok();
            child.wait().ok();
        }
    }
}

fn status(folder: &Path) -> Value {
    let output = run(&["status", "--json", "--data-dir", "data"], folder);
    serde_json::from_str(&succeed(&output)).expect("status is JSON")
}

/// Asks for the status until it tells what is wanted.
fn wait_for<T>(folder: &Path, what: &str, wanted: impl Fn(&Value) -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        let status = status(folder);
        if let Some(found) = wanted(&status) {
            return found;
        }
        assert!(started.elapsed() < Duration::from_mins(1), "no {what}: {status:#}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

fn kill(pid: u64, signal: &str) {
    let killed = Command::new("kill").args([signal, &pid.to_string()]).status().expect("kill runs");
    assert!(killed.success());
}

#[test]
fn a_killed_loader_and_recorder_lose_nothing_but_a_gap() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let words = demo(&["--duration", "10m", "--rate", "3000", "--instruments", "500"]);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let child =
        tickhouse(&words).current_dir(here).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut running = Running(Some(child));
    let stored =
        |status: &Value| status["load"]["counters"]["ticks_stored"].as_u64().filter(|ticks| *ticks > 0);
    wait_for(here, "tick", stored);
    let pid = |status: &Value, role: &str| status[role]["pid"].as_u64();
    let now = status(here);
    let (load, record) = (pid(&now, "load").unwrap(), pid(&now, "record").unwrap());
    let serve = pid(&now, "serve").unwrap();
    kill(serve, "-KILL");
    wait_for(here, "other page", |status| pid(status, "serve").filter(|other| *other != serve));
    kill(load, "-KILL");
    wait_for(here, "other loader", |status| pid(status, "load").filter(|other| *other != load));
    kill(record, "-KILL");
    wait_for(here, "other recorder", |status| pid(status, "record").filter(|other| *other != record));
    wait_for(here, "tick of the other loader", stored);
    let child = running.0.take().unwrap();
    kill(u64::from(child.id()), "-INT");
    let output = child.wait_with_output().unwrap();
    let report = last_json(&output);
    assert_whole(&report, &output);
    assert!(report["gaps"].as_u64().unwrap() >= 1, "the recorder's death is a gap: {report:#}");
    for part in ["load", "record", "serve"] {
        assert_eq!(report["restarts"][part], 1, "{part}: {report:#}");
    }
}
