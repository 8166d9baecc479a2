//! A running demo: its processes, its ClickHouse and Redis, its end.

use serde_json::Value;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Longest wait for anything.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);
const POLL: Duration = Duration::from_millis(50);
/// What the must-shows name.
const RATE: &str = "5000";

/// The program with nothing of the tester's own settings.
pub(crate) fn tickhouse() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tickhouse"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("TICKHOUSE_")) {
        if name != "TICKHOUSE_CHDB_LIB" {
            command.env_remove(name);
        }
    }
    command.env("XDG_CONFIG_HOME", "/nonexistent").stdin(Stdio::null());
    command
}

/// Waits until `look` gives something; panics with `what` when it does not in time.
pub(crate) fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "in vain: {what}");
        std::thread::sleep(POLL);
    }
}

/// A demo on free ports. Everything that it started is killed when it is dropped.
#[derive(Debug)]
pub(crate) struct Demo {
    child: Option<Child>,
    data_dir: PathBuf,
    errors: Arc<Mutex<String>>,
    /// Everything that was ever seen below it.
    seen: Vec<u32>,
}

/// How a demo ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    /// The last line of standard output; null when there is none.
    pub(crate) json: Value,
    pub(crate) errors: String,
}

impl Ended {
    /// A number of the JSON object.
    pub(crate) fn number(&self, name: &str) -> u64 {
        self.json[name].as_u64().unwrap_or_else(|| panic!("no {name} in {self:?}"))
    }

    /// Success, nothing missing, nothing double, and the sums agree.
    pub(crate) fn assert_exact(&self) {
        assert!(self.status.success(), "{self:#?}");
        assert_eq!((self.number("missing"), self.number("duplicates")), (0, 0), "{self:#?}");
        assert_eq!(self.json["ok"], true);
        assert!(self.number("ticks_stored") > 1_000, "{self:#?}");
        let accounted = self.number("ticks_stored") + self.number("quarantined");
        assert_eq!(self.number("packets_received"), accounted, "{self:#?}");
    }
}

impl Demo {
    /// Starts one and waits until its recorder and loader are there.
    pub(crate) fn start(data_dir: &Path, arguments: &[&str]) -> Self {
        let mut demo = Self::launch(data_dir, arguments, &[]);
        demo.wait_ready();
        demo
    }

    /// Starts one.
    pub(crate) fn launch(data_dir: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let mut command = tickhouse();
        command.args(["demo", "--json", "--rate", RATE, "--instruments", "1000", "--data-dir"]).arg(data_dir);
        for port in ["--redis-port", "--clickhouse-http-port", "--clickhouse-tcp-port", "--http-port"] {
            if !arguments.contains(&port) {
                command.args([port, "0"]);
            }
        }
        command.args(arguments).envs(environment.iter().copied()).current_dir(data_dir);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        let mut child = command.spawn().unwrap();
        let errors = Arc::new(Mutex::new(String::new()));
        let (lines, kept) = (BufReader::new(child.stderr.take().unwrap()), Arc::clone(&errors));
        std::thread::spawn(move || {
            for line in lines.lines().map_while(Result::ok) {
                let mut kept = kept.lock().unwrap();
                kept.push_str(&line);
                kept.push('\n');
            }
        });
        Self { child: Some(child), data_dir: data_dir.to_owned(), errors, seen: Vec::new() }
    }

    pub(crate) fn wait_ready(&mut self) {
        until("the recorder and the loader of the demo", || {
            self.note_processes();
            let ended = self.child.as_mut().unwrap().try_wait().unwrap();
            assert!(ended.is_none(), "it ended at its start: {}", self.errors.lock().unwrap());
            (self.try_pid("record").is_some() && self.try_pid("load").is_some()).then_some(())
        });
        self.note_processes();
    }

    /// Process id of the demo itself.
    pub(crate) fn own_pid(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    fn run_file(&self, role: &str) -> Option<Value> {
        let text = std::fs::read(self.data_dir.join(format!("run/{role}.json"))).ok()?;
        serde_json::from_slice(&text).ok()
    }

    fn try_pid(&self, role: &str) -> Option<u32> {
        self.run_file(role)?["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok())
    }

    /// Process id of `record`, `load`, `redis` or `clickhouse`.
    pub(crate) fn pid(&self, role: &str) -> u32 {
        if let "record" | "load" = role {
            return until(role, || self.try_pid(role));
        }
        until(role, || self.pid_if_there(role))
    }

    fn pid_if_there(&self, role: &str) -> Option<u32> {
        let word = if role == "redis" { "redis-server" } else { "launch.json" };
        let children = processes().into_iter().filter(|process| process.parent == self.own_pid());
        children.filter(|process| process.command.contains(word)).map(|process| process.pid).next()
    }

    /// Kills a process as nothing else can, and waits until its successor is there.
    pub(crate) fn kill(&mut self, role: &str) {
        self.note_processes();
        let pid = self.pid(role);
        signal(pid, nix::sys::signal::Signal::SIGKILL);
        until("a successor", || {
            let successor = match role {
                "record" | "load" => self.try_pid(role),
                _ => Some(self.pid(role)),
            };
            successor.filter(|next| *next != pid)
        });
        self.note_processes();
    }

    fn port(&self, name: &str) -> u16 {
        let file = until("the run file of the demo", || self.run_file("demo"));
        u16::try_from(file["ports"][name].as_u64().unwrap()).unwrap()
    }

    /// What ClickHouse answers, nothing while it does not.
    pub(crate) fn ask(&self, sql: &str) -> Option<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port("clickhouse_http"))).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let head = format!("POST /?database=trading HTTP/1.0\r\nContent-Length: {}\r\n\r\n", sql.len());
        stream.write_all(format!("{head}{sql}").as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        head.lines().next()?.contains(" 200 ").then(|| body.trim_end().to_owned())
    }

    /// Waits until a count in ClickHouse reaches `least`.
    pub(crate) fn wait_count(&self, sql: &str, least: u64) -> u64 {
        until(sql, || self.ask(sql)?.parse().ok().filter(|count| *count >= least))
    }

    /// Waits until ClickHouse has so many ticks more than now.
    pub(crate) fn wait_ticks(&self, more: u64) {
        let sql = "SELECT count() FROM tick_data";
        let before = until("a count", || self.ask(sql)?.parse::<u64>().ok());
        self.wait_count(sql, before + more);
    }

    /// Sends a command to Redis.
    pub(crate) fn redis(&self, command: &str) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port("redis"))).unwrap();
        stream.write_all(format!("{command}\r\n").as_bytes()).unwrap();
        let mut answer = String::new();
        BufReader::new(stream).read_line(&mut answer).unwrap();
        assert_eq!(answer.trim_end(), "+OK", "{command}");
    }

    /// Asks it to end as a service manager does, and waits.
    pub(crate) fn terminate(self) -> Ended {
        self.end_by(nix::sys::signal::Signal::SIGTERM)
    }

    pub(crate) fn end_by(mut self, with: nix::sys::signal::Signal) -> Ended {
        self.note_processes();
        signal(self.own_pid(), with);
        self.wait()
    }

    /// Waits for its end, and that nothing of it is left.
    pub(crate) fn wait(mut self) -> Ended {
        let mut child = self.child.take().unwrap();
        let mut output = child.stdout.take().unwrap();
        let lines = std::thread::spawn(move || {
            let mut text = String::new();
            output.read_to_string(&mut text).ok();
            text
        });
        let own = child.id();
        let status = until("the end of the demo", || {
            self.note_children_of(own);
            child.try_wait().unwrap()
        });
        let text = lines.join().unwrap();
        let last = text.lines().last().unwrap_or_default();
        let json = serde_json::from_str(last).unwrap_or(Value::Null);
        let left: Vec<_> =
            processes().into_iter().filter(|process| self.seen.contains(&process.pid)).collect();
        let errors = self.errors.lock().unwrap().clone();
        assert!(left.is_empty(), "still running: {left:?}\n{errors}");
        Ended { status, json, errors }
    }

    fn note_processes(&mut self) {
        if let Some(child) = &self.child {
            let own = child.id();
            self.note_children_of(own);
        }
    }

    fn note_children_of(&mut self, parent: u32) {
        let children = processes().into_iter().filter(|process| process.parent == parent);
        self.seen.extend(children.map(|process| process.pid));
        self.seen.sort_unstable();
        self.seen.dedup();
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        self.note_processes();
        if let Some(mut child) = self.child.take() {
            child.kill().ok();
            child.wait().ok();
            // only what still is what it was: a pid may be another's by now
            let ours = processes().into_iter().filter(|process| self.seen.contains(&process.pid));
            for process in ours.filter(|process| process.command.contains(&*self.data_dir.to_string_lossy()))
            {
                signal(process.pid, nix::sys::signal::Signal::SIGKILL);
            }
        }
    }
}

pub(crate) fn signal(pid: u32, signal: nix::sys::signal::Signal) {
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid.cast_signed()), signal).ok();
}

/// A line of `ps`.
#[derive(Clone, Debug)]
pub(crate) struct Process {
    pub(crate) pid: u32,
    pub(crate) parent: u32,
    pub(crate) command: String,
}

/// What runs, without what has ended and only waits for its parent to notice.
pub(crate) fn processes() -> Vec<Process> {
    let output = Command::new("ps").args(["-axo", "pid=,ppid=,stat=,command="]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let process = |line: &str| {
        let mut words = line.split_whitespace();
        let (pid, parent) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        let alive = !words.next()?.starts_with('Z');
        alive.then(|| Process { pid, parent, command: words.collect::<Vec<_>>().join(" ") })
    };
    text.lines().filter_map(process).collect()
}
