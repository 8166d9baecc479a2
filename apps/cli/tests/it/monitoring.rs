//! One demo whose feed goes silent, seen by everybody who is to see it: `/metrics`, a real Prometheus and Alertmanager,
//! `tickhouse status`, `tickhouse alert` to Telegram, a mail server and a webhook.

use super::{run, stderr, stdout, tickhouse};
use serde_json::Value;
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_mins(2);
const POLL: Duration = Duration::from_millis(200);
/// The feed is silent for so long, again and again: whenever everybody is ready, the next silence comes soon.
const SILENT_SECONDS: u32 = 16;
const EVERY_SECONDS: u32 = 36;

/// Programs that end with the test.
#[derive(Default)]
struct Running(Vec<Child>);

impl Running {
    fn start(&mut self, command: &mut Command) {
        let log = tempfile::tempfile().unwrap();
        let errors = log.try_clone().unwrap();
        let child = command.stdin(Stdio::null()).stdout(log).stderr(errors).spawn();
        self.0.push(child.unwrap_or_else(|error| panic!("{command:?}: {error}; `cargo xtask install`")));
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        for child in &mut self.0 {
            // parts of a demo end with it
            child.kill().ok();
            child.wait().ok();
        }
    }
}

fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "in vain: {what}");
        std::thread::sleep(POLL);
    }
}

/// What somebody said to a server of ours, one text each.
type Heard = Arc<Mutex<Vec<String>>>;

fn heard(texts: &Heard) -> Vec<String> {
    texts.lock().unwrap().clone()
}

/// Answers every POST with `{}` and keeps its path and body.
fn http_server() -> (u16, Heard) {
    listen(|stream, texts| {
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let (mut line, mut length, mut path) = (String::new(), 0_usize, String::new());
        while reader.read_line(&mut line).is_ok_and(|count| count > 2) {
            if path.is_empty() {
                line.split(' ').nth(1).unwrap_or_default().clone_into(&mut path);
            }
            let (name, value) = line.split_once(':').unwrap_or_default();
            if name.eq_ignore_ascii_case("content-length") {
                length = value.trim().parse().unwrap_or(0);
            }
            line.clear();
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok();
        texts.lock().unwrap().push(format!("{path} {}", String::from_utf8_lossy(&body)));
        let mut stream = stream;
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}").ok();
    })
}

/// A mail server that takes everything; keeps each letter with its sender and receivers.
fn smtp_server() -> (u16, Heard) {
    listen(|stream, texts| {
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let mut stream = stream;
        let mut letter = String::new();
        let mut say = |text: &str| stream.write_all(text.as_bytes()).is_ok();
        say("220 here\r\n");
        let (mut line, mut in_data) = (String::new(), false);
        while reader.read_line(&mut line).is_ok_and(|count| count > 0) {
            letter.push_str(&line);
            let word = line.split([' ', '\r']).next().unwrap_or_default().to_uppercase();
            match word.as_str() {
                _ if in_data && line != ".\r\n" => {}
                _ if in_data => {
                    in_data = false;
                    say("250 taken\r\n");
                    texts.lock().unwrap().push(std::mem::take(&mut letter));
                }
                "DATA" => {
                    in_data = true;
                    say("354 go on\r\n");
                }
                "EHLO" | "HELO" => drop(say("250 here\r\n")),
                "QUIT" => drop(say("221 bye\r\n")),
                _ => drop(say("250 ok\r\n")),
            }
            line.clear();
        }
    })
}

fn listen(serve: impl Fn(TcpStream, &Heard) + Send + Sync + Copy + 'static) -> (u16, Heard) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let texts = Heard::default();
    let kept = Arc::clone(&texts);
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let texts = Arc::clone(&kept);
            std::thread::spawn(move || serve(stream, &texts));
        }
    });
    (port, texts)
}

fn get(port: u16, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    head.starts_with("HTTP/1.1 200")
        .then(|| body.to_owned())
        .or_else(|| head.starts_with("HTTP/1.0 200").then(|| body.to_owned()))
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn program(name: &str) -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let unpacked = target.join("monitoring/usr/bin").join(name);
    if unpacked.exists() { unpacked } else { name.into() }
}

/// The port of a process' status, and that it lives.
fn port_of(here: &Path, role: &str) -> Option<u16> {
    let text = std::fs::read(here.join("data/run").join(format!("{role}.json"))).ok()?;
    let file: Value = serde_json::from_slice(&text).ok()?;
    u16::try_from(file["port"].as_u64()?).ok()
}

fn start_demo(here: &Path, running: &mut Running) {
    let mut script = String::new();
    for number in 0..12 {
        let at = 25 + number * EVERY_SECONDS;
        writeln!(script, "[[fault]]\nkind = \"heartbeats_only\"\nat = {at}\nduration = {SILENT_SECONDS}")
            .unwrap();
    }
    std::fs::write(here.join("faults.toml"), script).unwrap();
    let words = [
        "demo",
        "--data-dir",
        "data",
        "--json",
        "--rate",
        "2000",
        "--instruments",
        "500",
        "--duration",
        "10m",
        "--faults",
        "faults.toml",
        "--clickhouse-http-port",
        "0",
        "--clickhouse-tcp-port",
        "0",
        "--redis-port",
        "0",
        "--http-port",
        "0",
    ];
    running.start(tickhouse(&words).current_dir(here));
    until("the recorder and the loader", || port_of(here, "record").and(port_of(here, "load")).map(drop));
}

/// The files of `deploy/prometheus`, with seconds for a test instead of those for people.
fn start_prometheus(here: &Path, running: &mut Running) -> (u16, Heard) {
    let deploy = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/prometheus");
    let read = |name: &str| std::fs::read_to_string(deploy.join(name)).unwrap();
    let (prometheus, alertmanager) = (free_port(), free_port());
    let (webhook, told) = http_server();
    let run_dir = here.join("data/run").display().to_string();
    let config = read("prometheus.yml")
        .replace("_interval: 5s", "_interval: 1s")
        .replace("127.0.0.1:9093", &format!("127.0.0.1:{alertmanager}"))
        .replace("/var/lib/tickhouse/run", &run_dir);
    assert!(config.contains(&run_dir) && config.contains("scrape_interval: 1s"));
    std::fs::write(here.join("prometheus.yml"), config).unwrap();
    let rules =
        read("tickhouse.rules.yml").replace("_seconds > 15", "_seconds > 4").replace("for: 10s", "for: 1s");
    assert!(rules.contains("tickhouse_source_data_age_seconds > 4"));
    std::fs::write(here.join("tickhouse.rules.yml"), rules).unwrap();
    let receivers = read("alertmanager.yml")
        .replace("127.0.0.1:9099", &format!("127.0.0.1:{webhook}"))
        .replace("group_wait: 10s", "group_wait: 1s")
        .replace("group_interval: 1m", "group_interval: 1s");
    assert!(receivers.contains(&webhook.to_string()) && receivers.contains("group_interval: 1s"));
    std::fs::write(here.join("alertmanager.yml"), receivers).unwrap();
    let alertmanager_program = ["prometheus-alertmanager", "alertmanager"].map(program);
    let found =
        alertmanager_program.iter().find(|path| path.is_absolute()).unwrap_or(&alertmanager_program[1]);
    running.start(Command::new(found).current_dir(here).args([
        "--config.file=alertmanager.yml",
        "--storage.path=alertmanager",
        "--cluster.listen-address=",
        &format!("--web.listen-address=127.0.0.1:{alertmanager}"),
    ]));
    running.start(Command::new(program("prometheus")).current_dir(here).args([
        "--config.file=prometheus.yml",
        "--storage.tsdb.path=prometheus",
        &format!("--web.listen-address=127.0.0.1:{prometheus}"),
    ]));
    (prometheus, told)
}

/// Bots, mail and a webhook, all on this machine.
fn start_alert(here: &Path, running: &mut Running) -> [Heard; 3] {
    let ((telegram, bot), (smtp, letters), (webhook, posts)) = (http_server(), smtp_server(), http_server());
    std::fs::write(here.join("bot-token"), "12:s3cret\n").unwrap();
    std::fs::write(here.join("hook"), format!("http://127.0.0.1:{webhook}/hooks/s3cret\n")).unwrap();
    let config = format!(
        "[alert]\ntelegram_token_file = \"bot-token\"\ntelegram_chat_id = \"-7\"\ntelegram_api_url = \"http://127.0.0.1:{telegram}\"\n\
         webhook_url_file = \"hook\"\nsmtp_host = \"127.0.0.1\"\nsmtp_port = {smtp}\nsmtp_security = \"none\"\n\
         email_from = \"Tickhouse <t@example.com>\"\nemail_to = [\"me@example.com\"]\nlook_seconds = 1\nafter_seconds = 1\n"
    );
    std::fs::write(here.join("alert.toml"), config).unwrap();
    let test = run(&["alert", "--test", "--config", "alert.toml", "--data-dir", "data"], here);
    let said = stdout(&test);
    assert!(test.status.success(), "{said}\n{}", stderr(&test));
    assert_eq!(said, "telegram: sent\ne-mail: sent\nwebhook: sent\n");
    assert!(
        heard(&bot)[0].starts_with("/bot12:s3cret/sendMessage {")
            && heard(&bot)[0].contains("\"chat_id\":\"-7\"")
    );
    let letter = heard(&letters)[0].clone();
    assert!(
        letter.contains("RCPT TO:<me@example.com>") && letter.contains("Subject: Tickhouse says hello"),
        "{letter}"
    );
    assert!(heard(&posts)[0].starts_with("/hooks/s3cret {"));
    running.start(tickhouse(&["alert", "--config", "alert.toml", "--data-dir", "data"]).current_dir(here));
    [bot, letters, posts]
}

/// Every row of the table finds its number in the status of a process that runs.
fn assert_every_metric_is_there(here: &Path) {
    for role in ["record", "load", "serve", "demo"] {
        let port = until(role, || port_of(here, role));
        until(&format!("all metrics of {role}"), || {
            let status: Value = serde_json::from_str(&get(port, "/status")?).unwrap();
            let missing = tickhouse_metrics::exposition(role, &status).missing;
            let text = get(port, "/metrics")?;
            // a page that takes no pushes counts none
            let missing: Vec<_> = missing.iter().filter(|path| !path.starts_with("/requests/")).collect();
            (missing.is_empty() && text.contains("\ntickhouse_build_info{version=")).then_some(())
        });
    }
    let text = get(port_of(here, "record").unwrap(), "/metrics").unwrap();
    for secret in ["demo-access-token", "access_token", "demo1"] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
    let frames =
        text.lines().find_map(|line| line.strip_prefix("tickhouse_source_frames_total{socket=\"0\"} "));
    assert!(frames.unwrap().parse::<f64>().unwrap() > 0.0);
    for latency in ["tickhouse_journal_latency_seconds", "tickhouse_stream_latency_seconds"] {
        let count = text.lines().find_map(|line| line.strip_prefix(&format!("{latency}_count ")));
        assert!(count.unwrap().parse::<f64>().unwrap() > 0.0, "{latency}");
    }
}

/// What Alertmanager told of heartbeats-only: `firing` or `resolved`.
fn notified(told: &Heard, status: &str) -> Option<Value> {
    heard(told).iter().find_map(|text| {
        let body: Value = serde_json::from_str(text.split_once(' ')?.1).ok()?;
        let alerts = body["alerts"].as_array()?.clone();
        alerts.into_iter().find(|alert| {
            alert["labels"]["alertname"] == "TickhouseHeartbeatsOnly" && alert["status"] == status
        })
    })
}

#[test]
fn a_silent_feed_is_seen_by_prometheus_told_to_people_and_well_again() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let mut running = Running::default();
    start_demo(here, &mut running);
    let (prometheus, told) = start_prometheus(here, &mut running);
    let [bot, letters, posts] = start_alert(here, &mut running);
    assert_every_metric_is_there(here);
    // a small disk is a warning of its own
    let well = |text: &str| {
        text.contains("source   ok ") && text.contains("load     ok ") && text.lines().count() <= 12
    };
    until("all is well", || {
        let output = run(&["status", "--data-dir", "data"], here);
        well(&stdout(&output)).then_some(())
    });

    let firing = until("Prometheus' alert", || notified(&told, "firing"));
    assert_eq!(firing["labels"]["socket"], "0", "{firing}");
    assert_eq!(firing["annotations"]["runbook"], "docs/runbook.md#heartbeats-only", "{firing}");
    let bad = until("a status that is bad", || {
        let output = run(&["status", "--data-dir", "data"], here);
        let text = stdout(&output);
        (output.status.code() >= Some(3) && !text.contains("source   ok ")).then_some(text)
    });
    assert!(
        bad.contains("heartbeats only, no data for") && bad.contains("→ the recorder connects again"),
        "{bad}"
    );
    until("its end", || notified(&told, "resolved"));
    for (name, texts) in [("Telegram", &bot), ("e-mail", &letters), ("webhook", &posts)] {
        let has = |words: &str| heard(texts).iter().any(|text| text.replace("=\r\n", "").contains(words));
        until(name, || (has("heartbeats only, no data for") && has("well again")).then_some(()));
        // one that is said once and worsens once, its end, the hole: a look every second said no more
        assert!(heard(texts).len() <= 14, "{name}: {:#?}", heard(texts));
    }
    let down: Value = serde_json::from_str(
        &get(prometheus, "/api/v1/query?query=up%7Bjob%3D%22tickhouse%22%7D%3D%3D0").unwrap(),
    )
    .unwrap();
    assert_eq!(down["data"]["result"], Value::Array(Vec::new()), "all targets are scraped");
    let log = std::fs::read_to_string(here.join("data/log/pipeline.log")).unwrap();
    for target in ["tickhouse::commands::record", "tickhouse::commands::load", "tickhouse_source::"] {
        assert!(log.contains(target), "no line of {target} in\n{log}");
    }
}
