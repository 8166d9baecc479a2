//! Commands that need no service.

use super::{run, run_with, stderr, stdout, succeed, tickhouse};
use serde_json::Value;
use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

/// The quote packet of Kite's own mocks, as base64 of its 44 bytes: INFY at 1573.15.
const QUOTE: &str = "AAY6AQACZoMAAAABAAJlaQAR8bIAA+n/AAWANwACZPMAAmc8AAJhyQACZGw=";

#[test]
fn help_and_version() {
    let folder = tempfile::tempdir().unwrap();
    let help = succeed(&run(&["--help"], folder.path()));
    for command in [
        "demo",
        "up",
        "record",
        "load",
        "sim",
        "migrate",
        "status",
        "sql",
        "decode",
        "clickhouse",
        "redis",
        "doctor",
    ] {
        assert!(help.contains(command), "{command} is not in\n{help}");
        succeed(&run(&[command, "--help"], folder.path()));
    }
    assert!(succeed(&run(&["--version"], folder.path())).starts_with("tickhouse "));
    assert_eq!(run(&["dance"], folder.path()).status.code(), Some(2));
}

#[test]
fn flags_that_scripts_rely_on() {
    let folder = tempfile::tempdir().unwrap();
    let of = |command: &str| succeed(&run(&[command, "--help"], folder.path()));
    let wanted = [
        (
            "demo",
            "--duration --rate --instruments --seed --json --data-dir --clickhouse-http-port --clickhouse-tcp-port --redis-port --http-port",
        ),
        ("sim", "--listen --instruments --rate --seed --ledger --faults --credentials"),
        ("record", "--url --api-url"),
        ("sql", "--query --format --database"),
    ];
    for (command, flags) in wanted {
        let help = of(command);
        for flag in flags.split(' ') {
            assert!(help.contains(flag), "{command} has no {flag}\n{help}");
        }
    }
}

#[test]
fn decode_takes_bodies_and_messages_in_any_writing() {
    let folder = tempfile::tempdir().unwrap();
    let decode = |input: &[u8]| -> Vec<Value> {
        let text = succeed(&run_with(&["decode", "-"], folder.path(), input));
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let hex = "00063a0100026683000000010002656900";
    assert!(
        run_with(&["decode", "-"], folder.path(), hex.as_bytes()).status.code() == Some(1),
        "17 bytes are no packet"
    );
    let quote = decode(QUOTE.as_bytes());
    assert_eq!(quote.len(), 1);
    assert_eq!(quote[0]["instrument_token"], 408_065);
    assert_eq!(quote[0]["packet_type"], "quote");
    assert_eq!(quote[0]["raw"]["last_price"], 157_315);
    assert!((quote[0]["scaled"]["last_price"].as_f64().unwrap() - 1_573.15).abs() < 1e-9);
    // a message of two ltp packets and one of unknown length
    let mut message = vec![0, 3];
    let ltp = [0, 6, 0x3a, 1, 0, 2, 0x66, 0x83];
    for body in [&ltp[..], &[1, 2, 3], &ltp[..]] {
        message.extend_from_slice(&(body.len() as u16).to_be_bytes());
        message.extend_from_slice(body);
    }
    let items = decode(&message);
    assert_eq!(items.len(), 3);
    assert_eq!(
        (&items[0]["packet_type"], &items[2]["packet_type"]),
        (&Value::from("ltp"), &Value::from("ltp"))
    );
    assert_eq!(items[1]["body"], "010203");
    assert_eq!(decode(&[0])[0]["heartbeat"], true);
}

#[test]
fn a_damaged_message_keeps_its_good_packets_and_says_where() {
    let folder = tempfile::tempdir().unwrap();
    let message = [0, 2, 0, 8, 0, 6, 0x3a, 1, 0, 2, 0x66, 0x83, 0, 44, 1, 2, 3];
    let output = run_with(&["decode", "--encoding", "raw", "-"], folder.path(), &message);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(stdout(&output).lines().count(), 1);
    assert!(stderr(&output).contains("offset 12"), "{}", stderr(&output));
    let output = run(&["decode", "nowhere.bin"], folder.path());
    assert!(stderr(&output).contains("nowhere.bin can't be read"), "{}", stderr(&output));
}

#[test]
fn every_fault_of_a_configuration_is_shown_with_its_key() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("tickhouse.toml"), "[redis]\nprot = 1\nport = 99999\n").unwrap();
    let output = run(&["redis", "status"], folder.path());
    assert_eq!(output.status.code(), Some(1));
    let text = stderr(&output);
    for wanted in ["2 faults", "redis.prot", "did you mean redis.port?", "redis.port", "out of range"] {
        assert!(text.contains(wanted), "{wanted} is not in\n{text}");
    }
    let output = run(&["doctor", "--json"], folder.path());
    assert_eq!(output.status.code(), Some(1));
    let report: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(report["verdict"], "failure");
    assert_eq!(report["findings"][0]["what"], "configuration");
}

#[test]
fn a_pipe_that_closes_is_no_failure() {
    let folder = tempfile::tempdir().unwrap();
    let mut message = vec![0x4e, 0x20];
    for _ in 0..20_000 {
        message.extend_from_slice(&[0, 8, 0, 6, 0x3a, 1, 0, 2, 0x66, 0x83]);
    }
    let file = folder.path().join("message.bin");
    std::fs::write(&file, message).unwrap();
    let mut child = tickhouse(&["decode", file.to_str().unwrap()])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{} {}", output.status, stderr(&output));
    assert!(output.stderr.is_empty(), "{}", stderr(&output));
}

#[test]
fn completions_for_shells() {
    let folder = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish"] {
        assert!(succeed(&run(&["completions", shell], folder.path())).contains("tickhouse"));
    }
}

#[test]
fn recording_without_a_key_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let output = run(&["record"], folder.path());
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("kite.api_keys"), "{}", stderr(&output));
    let output = run(&["status"], folder.path());
    assert_eq!(output.status.code(), Some(4));
    assert!(stderr(&output).contains("tickhouse demo"), "{}", stderr(&output));
}
