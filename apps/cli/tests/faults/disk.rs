//! A disk that takes no more: the recorder waits, says so, and goes on when there is room.
#![cfg(target_os = "linux")]

use crate::demo::{processes, signal, tickhouse, until};
use crate::ledger::{frames, packets};
use nix::sys::signal::Signal;
use serde_json::Value;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Bytes that a file may have, in blocks of 1 KiB: a few seconds of the feed.
const BLOCKS: &str = "1024";

/// A process that ends with the test.
struct Part(Child);

impl Drop for Part {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

impl Part {
    fn end(mut self) {
        signal(self.0.id(), Signal::SIGTERM);
        let status = until("the end of a part", || self.0.try_wait().unwrap());
        assert!(status.success(), "{status}");
    }
}

fn status(data: &Path) -> Option<Value> {
    let mut command = tickhouse();
    let output = command.args(["status", "--json", "--data-dir"]).arg(data).output().unwrap();
    serde_json::from_slice(&output.stdout).ok()
}

#[test]
fn a_full_disk_stops_no_recorder_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (ledger, data) = (folder.path().join("ledger"), folder.path().join("data"));
    let mut command = tickhouse();
    command.args(["sim", "--listen", "127.0.0.1:0", "--instruments", "500", "--rate", "5000", "--ledger"]);
    command.arg(&ledger).arg("--data-dir").arg(folder.path().join("sim")).current_dir(folder.path());
    let mut exchange = Part(command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap());
    let mut line = String::new();
    BufReader::new(exchange.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let url = line.split_whitespace().find(|word| word.starts_with("ws://")).unwrap().to_owned();

    // a limit on the size of files answers a write like a full disk does, but for the number of the error
    let program = tickhouse();
    let mut shell = Command::new("sh");
    let script = format!("trap '' XFSZ; ulimit -S -f {BLOCKS}; exec \"$@\"");
    shell.args(["-c", &script, "sh"]).arg(program.get_program());
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("TICKHOUSE_")) {
        shell.env_remove(name);
    }
    // no Redis anywhere: the journal is all there is
    shell.args(["record", "--url", &url, "--redis-url", "redis://127.0.0.1:1", "--recorder", "full"]);
    shell.arg("--data-dir").arg(&data).current_dir(folder.path());
    shell
        .env("XDG_CONFIG_HOME", "/nonexistent")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let recorder = Part(shell.spawn().unwrap());

    let fault = until("the fault in the status", || {
        let status = status(&data)?;
        status["record"]["journal"]["sockets"][0]["fault"].as_str().map(str::to_owned)
    });
    assert!(!fault.is_empty());
    let pid = recorder.0.id();
    assert!(processes().iter().any(|process| process.pid == pid), "the recorder ended");
    let raised = Command::new("prlimit").arg(format!("--pid={pid}")).arg("--fsize=unlimited").status();
    assert!(raised.expect("prlimit is part of util-linux").success());
    until("the end of the fault", || {
        let status = status(&data)?;
        let socket = &status["record"]["journal"]["sockets"][0];
        assert!(socket["write_errors"].as_u64() > Some(0), "{socket}");
        let more = socket["frames"].as_u64() > Some(100) && socket["bytes"].as_u64() > Some(2 << 20);
        (socket["fault"].is_null() && more).then_some(())
    });
    exchange.end();
    recorder.end();

    let mut reader = tickhouse_journal::JournalReader::open(&data.join("journal"), "full", 0, None).unwrap();
    let mut entries = Vec::new();
    while reader.next_batch(4 << 20, &mut entries).unwrap() > 0 {}
    assert_eq!(reader.damaged_bytes(), 0);
    let sequences: Vec<u64> = entries.iter().map(|entry| entry.id.sequence).collect();
    assert_eq!(sequences, (1..=entries.len() as u64).collect::<Vec<_>>());
    let sent: Vec<_> = frames(&ledger).into_iter().filter(|frame| frame.connection == 1).collect();
    let kept: Vec<_> = entries
        .iter()
        .filter_map(|entry| {
            let record = tickhouse_model::Record::decode(&entry.bytes).unwrap();
            let is_data = record.kind == tickhouse_model::RecordKind::Frame && record.payload.len() > 1;
            is_data.then(|| u64::from(u16::from_be_bytes([record.payload[0], record.payload[1]])))
        })
        .collect();
    // a socket that waited for the disk may have lost its connection: then what was under way is gone, and a gap
    assert!(kept.len() > 100 && kept.iter().sum::<u64>() <= packets(&frames(&ledger)));
    let first = kept.len().min(sent.len());
    assert!(kept[..first].iter().copied().eq(sent[..first].iter().map(|frame| frame.packets)));
}
