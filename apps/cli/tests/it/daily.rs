//! What `up` does by itself: the instruments of each day, and news of the configured feeds.

use super::{run, succeed, tickhouse};
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tickhouse_model::Timestamp;
use tickhouse_telemetry::Clock;

const HEADER: &str = "instrument_token,exchange_token,tradingsymbol,name,last_price,expiry,strike,tick_size,lot_size,\
                      instrument_type,segment,exchange";

const FEED: &str = r#"<?xml version="1.0"?><rss version="2.0"><channel><title>Wire</title><link>http://example.org</link>
<item><guid>1</guid><title>Infosys wins an order</title><link>http://example.org/1</link><pubDate>Thu, 19 Nov 2026 10:00:00 +0530</pubDate></item>
<item><guid>2</guid><title>Rates stay</title><link>http://example.org/2</link><pubDate>Thu, 19 Nov 2026 11:00:00 +0530</pubDate></item>
</channel></rss>"#;

/// Serves a master of so many shares (of none: an error) and a feed.
fn serve(shares: &Arc<AtomicUsize>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let shares = Arc::clone(shares);
    // it ends with the test's process
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            answer(stream, shares.load(Ordering::SeqCst)).ok();
        }
    });
    address
}

fn answer(mut stream: TcpStream, shares: usize) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let request = lines.next().transpose()?.unwrap_or_default();
    lines.take_while(|line| line.as_ref().is_ok_and(|line| !line.is_empty())).for_each(drop);
    let master = || {
        let share = |n| format!("{},{n},SHARE{n},SHARE {n},0,,0,0.05,1,EQ,NSE,NSE\n", n * 256 + 1);
        format!("{HEADER}\n{}", (1..=shares).map(share).collect::<String>())
    };
    let (status, body) = match request.split(' ').nth(1) {
        Some("/feed") => ("200 OK", FEED.to_owned()),
        Some("/instruments") if shares > 0 => ("200 OK", master()),
        _ => ("503 Service Unavailable", String::new()),
    };
    write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
}

/// `up`, ended when the test ends.
struct Up(Child);

impl Drop for Up {
    fn drop(&mut self) {
        let ended = Command::new("kill").args(["-INT", &self.0.id().to_string()]).status();
        if !ended.is_ok_and(|status| status.success()) {
            self.0.kill().ok();
        }
        self.0.wait().ok();
    }
}

fn until(what: &str, here: &Path, sql: &str, wanted: &str) {
    let started = Instant::now();
    loop {
        let found = succeed(&run(&["sql", sql, "--data-dir", "data"], here));
        if found.trim_end() == wanted {
            return;
        }
        let log = std::fs::read_to_string(here.join("up")).unwrap_or_default();
        assert!(started.elapsed() < Duration::from_mins(1), "{what}: {found} instead of {wanted}\n{log}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn up_syncs_each_day_and_follows_feeds() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let shares = Arc::new(AtomicUsize::new(0));
    let address = serve(&shares);
    let settings = format!(
        "[kite]\nendpoint = \"ws://127.0.0.1:1\"\napi_url = \"http://{address}\"\nsubscribe = [\"257@full\"]\n\n\
         [news]\nfeeds = [\"http://{address}/feed\"]\npoll_seconds = 5\n"
    );
    std::fs::write(here.join("tickhouse.toml"), settings).unwrap();
    // four hours a second, from an evening on
    let clock = Clock::simulated(Timestamp::from_text("2026-11-19 20:00").unwrap(), 14_400.0);
    let words = ["up", "--data-dir", "data", "--clickhouse-http-port", "0", "--clickhouse-tcp-port", "0"];
    let ports = ["--redis-port", "0", "--http-port", "0"];
    // as systemd listens
    let manager = UnixDatagram::bind(here.join("notify")).unwrap();
    manager.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut up = tickhouse(&[&words[..], &ports].concat())
        .current_dir(here)
        .env("TICKHOUSE_CLOCK", clock.to_string())
        .env("NOTIFY_SOCKET", here.join("notify"))
        .stdout(Stdio::piped())
        .stderr(std::fs::File::create(here.join("up")).unwrap())
        .spawn()
        .map(Up)
        .unwrap();
    let mut out = BufReader::new(up.0.stdout.take().unwrap()).lines().map_while(Result::ok);
    let log = || std::fs::read_to_string(here.join("up")).unwrap_or_default();
    assert!(out.any(|line| line.starts_with("Tickhouse is up")), "{}", log());
    let mut word = [0; 64];
    let mut words = || {
        let length = manager.recv(&mut word).unwrap();
        String::from_utf8(word[..length].to_vec()).unwrap()
    };
    assert_eq!([words().trim(), words().trim(), words().trim()], ["READY=1", "WATCHDOG=1", "WATCHDOG=1"]);
    drop(manager);
    // the exchange has its master later than `up` was started
    shares.store(1, Ordering::SeqCst);
    until("the day's master", here, "SELECT count() FROM token_metadata FINAL", "1");
    shares.store(3, Ordering::SeqCst);
    until("the next day's master", here, "SELECT count() FROM token_metadata FINAL", "3");
    until("both news", here, "SELECT count(), uniqExact(title) FROM news_data", "2\t2");
}
