//! The built program, as a user runs it.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod account;
mod bars;
mod chain;
mod commands;
mod daily;
mod export;
mod instruments;
mod killed;
mod monitoring;
mod parts;
mod publish;
mod push;
mod query;
mod service;
mod services;
mod universe;
mod web;
mod whole;

use serde_json::Value;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// The program with nothing of the tester's own settings.
fn tickhouse(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tickhouse"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("TICKHOUSE_")) {
        if name != "TICKHOUSE_CHDB_LIB" {
            command.env_remove(name);
        }
    }
    command.args(arguments).env("XDG_CONFIG_HOME", "/nonexistent").stdin(Stdio::null());
    command
}

/// Runs it to its end in a folder that has no `tickhouse.toml`.
fn run(arguments: &[&str], folder: &Path) -> Output {
    tickhouse(arguments).current_dir(folder).output().expect("the program runs")
}

/// Runs it with this standard input.
fn run_with(arguments: &[&str], folder: &Path, input: &[u8]) -> Output {
    let mut child = tickhouse(arguments)
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program runs");
    // it may end without reading everything
    child.stdin.take().expect("piped").write_all(input).ok();
    child.wait_with_output().expect("the program ends")
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("text")
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Standard output of a run that must succeed.
fn succeed(output: &Output) -> String {
    assert!(output.status.success(), "{}\n{}\n{}", output.status, stdout(output), stderr(output));
    stdout(output)
}

/// The last line of standard output, as JSON.
fn last_json(output: &Output) -> Value {
    let text = stdout(output);
    let line = text.lines().last().unwrap_or_default();
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}\n{}", stderr(output)))
}
