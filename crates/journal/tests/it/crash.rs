//! Real processes: killed, and with a disk that refuses.

use crate::{number_of, observed, open, options, read_all, read_from, wait_for};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tickhouse_journal::{Fsync, JournalOptions};

const DIR: &str = "TICKHOUSE_JOURNAL_CHILD_DIR";
const COUNT: &str = "TICKHOUSE_JOURNAL_CHILD_COUNT";

/// Not a test by itself: what the other tests run as a process of its own. Prints each position that it was told.
#[test]
fn child() {
    let Ok(dir) = std::env::var(DIR) else { return };
    let count: u64 = std::env::var(COUNT).unwrap().parse().unwrap();
    let options =
        JournalOptions { segment_bytes: 200_000, compression: Some(1), fsync: Fsync::EachBatch, ..options() };
    let journal = open(Path::new(&dir), options);
    let socket = journal.start_socket(1).unwrap();
    let (sender, position) = (socket.sender.clone(), socket.position.clone());
    std::thread::spawn(move || {
        for number in 0..count {
            sender.blocking_send(observed(number, 100)).unwrap();
        }
    });
    let mut told = 0;
    let mut faulted = false;
    while told < count {
        let reached = position.borrow().sequence;
        if reached > told {
            told = reached;
            // the test's own output goes to the same pipe: lines of ours begin like nothing else
            println!("=at {told}");
        }
        if !faulted && journal.status().sockets[0].fault.is_some() {
            faulted = true;
            println!("=fault");
        }
        std::io::stdout().flush().unwrap();
        std::thread::sleep(Duration::from_millis(1));
    }
    println!("=errors {}", journal.status().sockets[0].write_errors);
    std::io::stdout().flush().unwrap();
}

fn spawn(mut command: Command, dir: &Path, count: u64) -> Child {
    command
        .args(["--exact", "crash::child", "--nocapture", "--test-threads=1"])
        .env(DIR, dir)
        .env(COUNT, count.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

fn lines(child: &mut Child) -> impl Iterator<Item = String> + use<> {
    let output = child.stdout.take().unwrap();
    BufReader::new(output)
        .lines()
        .map(Result::unwrap)
        .filter_map(|line| Some(line.split_once('=')?.1.to_owned()))
}

#[test]
fn a_killed_writer_loses_nothing_that_it_told() {
    for round in 0..4 {
        let dir = tempfile::tempdir().unwrap();
        let mut child = spawn(Command::new(std::env::current_exe().unwrap()), dir.path(), 10_000_000);
        let mut told = 0;
        for line in lines(&mut child).take(20 + round * 37) {
            told = line.strip_prefix("at ").unwrap().parse().unwrap();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let journal = open(dir.path(), options());
        assert_eq!(journal.recovery().damaged_bytes, 0);
        let numbers: Vec<u64> = read_all(dir.path(), 1).iter().map(number_of).collect();
        assert!(told > 0 && numbers.len() as u64 >= told, "{} of {told}", numbers.len());
        assert!(numbers.iter().copied().eq(0..numbers.len() as u64));
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_disk_that_refuses_makes_the_socket_wait_and_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = Command::new("sh");
    // a limit on the size of files refuses writes as a full disk does, in mid record, and can be lifted from outside
    command.args(["-c", "trap '' XFSZ; ulimit -S -f 37; exec \"$@\"", "sh"]);
    command.arg(std::env::current_exe().unwrap());
    let count = 30_000;
    let mut child = spawn(command, dir.path(), count);
    let pid = child.id().to_string();
    let mut lines = lines(&mut child);
    let fault = lines.by_ref().find(|line| line == "fault");
    assert!(fault.is_some(), "no write was refused");
    let before = read_all(dir.path(), 1).len() as u64;
    assert!((1..count).contains(&before), "{before} records before the disk refused");
    wait_for("the limit to be lifted", || {
        Command::new("prlimit").args(["--pid", &pid, "--fsize=unlimited"]).status().unwrap().success()
    });
    let errors = lines.find_map(|line| line.strip_prefix("errors ")?.parse::<u64>().ok()).unwrap();
    assert!(child.wait().unwrap().success() && errors > 0);
    let (entries, damaged) = read_from(dir.path(), 1, None);
    assert!(entries.iter().map(number_of).eq(0..count));
    assert_eq!(damaged, 0, "writing went on where it had stopped");
}
