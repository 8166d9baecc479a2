//! The table, the rules of alerts and the runbook against Prometheus' own tools and against each other.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use serde_json::json;
use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tickhouse_metrics::{TABLE, exposition};

fn deploy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/prometheus")
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A program of Prometheus: where `cargo xtask install` unpacks it, else on the path.
fn program(name: &str) -> Command {
    let unpacked =
        Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().join("monitoring/usr/bin").join(name);
    let program = if unpacked.exists() { unpacked } else { name.into() };
    let mut command = Command::new(program);
    command.current_dir(deploy());
    command
}

fn succeed(name: &str, arguments: &[&str]) -> String {
    let output = program(name).args(arguments).output();
    let output = output.unwrap_or_else(|error| panic!("{name}: {error}; `cargo xtask install` installs it"));
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name} {arguments:?}: {text}");
    text.into_owned()
}

#[test]
fn rules_and_configurations_are_sound_and_every_alert_fires_and_clears() {
    let checked = succeed("promtool", &["check", "rules", "tickhouse.rules.yml"]);
    assert!(checked.contains(&format!("{} rules found", alerts().len())), "{checked}");
    succeed("promtool", &["check", "config", "prometheus.yml"]);
    succeed("promtool", &["test", "rules", "tickhouse.rules.test.yml"]);
    succeed("amtool", &["check-config", "alertmanager.yml"]);
    let tests = read(&deploy().join("tickhouse.rules.test.yml"));
    for alert in alerts() {
        let fires =
            tests.contains(&format!("alertname: {alert}\n        exp_alerts:\n          - exp_labels"));
        let clears = tests.contains(&format!("alertname: {alert} }}"));
        assert!(fires && clears, "{alert} fires: {fires}, clears: {clears}");
    }
}

fn alerts() -> Vec<String> {
    let rules = read(&deploy().join("tickhouse.rules.yml"));
    rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).map(str::to_owned).collect()
}

#[test]
fn alerts_are_made_of_metrics_that_exist_and_lead_to_the_runbook() {
    let names: BTreeSet<&str> = TABLE.iter().flat_map(|part| part.iter()).map(|metric| metric.name).collect();
    let rules = read(&deploy().join("tickhouse.rules.yml"));
    let words = rules.split(|char: char| !char.is_ascii_alphanumeric() && char != '_');
    let used: BTreeSet<&str> = words.filter(|word| word.starts_with("tickhouse_")).collect();
    assert!(used.len() > 15, "{used:?}");
    for word in used {
        let name = word.strip_suffix("_bucket").unwrap_or(word);
        assert!(names.contains(name), "{word} is no metric");
    }
    let runbook = read(&deploy().join("../../docs/runbook.md"));
    let anchor = |heading: &str| heading.to_lowercase().replace(' ', "-");
    let anchors: BTreeSet<String> =
        runbook.lines().filter_map(|line| line.strip_prefix("## ")).map(anchor).collect();
    let linked: Vec<&str> =
        rules.lines().filter_map(|line| line.trim().strip_prefix("runbook: docs/runbook.md#")).collect();
    assert_eq!(linked.len(), alerts().len());
    for link in &linked {
        assert!(anchors.contains(*link), "the runbook has no section {link}: {anchors:?}");
    }
    assert_eq!(rules.matches("          action: '").count(), alerts().len(), "each alert says what to do");
}

#[test]
fn promtool_has_nothing_against_the_text() {
    let histogram = json!({ "count": 1, "sum_seconds": 0.5, "buckets": [[0.1, 0], [1.0, 1]] });
    let status = json!({
        "version": "1", "sockets": [{ "socket": 0 }], "journal": { "sockets": [{ "socket": 0 }] },
        "stores": { "streams": [{ "stream": "ticks:stream:main:0" }], "clickhouse": { "tables": [{ "table": "tick_data" }] } },
        "processes": [{ "name": "load" }],
        "histograms": { "socket_to_journal": histogram, "socket_to_redis": histogram, "socket_to_clickhouse": histogram,
            "socket_to_browser": histogram },
    });
    for role in ["record", "load", "serve", "up", "demo", "sim"] {
        let text = exposition(role, &status).text;
        for metric in TABLE.iter().flat_map(|part| part.iter()).filter(|metric| metric.is_of(role)) {
            assert!(
                text.contains(&format!("# TYPE {} {}\n", metric.name, metric.kind.name())),
                "{}",
                metric.name
            );
        }
        let mut command = program("promtool");
        command
            .args(["check", "metrics"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("promtool runs: `cargo xtask install` installs it");
        child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr) + String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && said.trim().is_empty(), "{role}: {said}");
    }
}
