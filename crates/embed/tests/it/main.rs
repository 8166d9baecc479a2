//! The engine, Redis and the daemons as real processes.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};
use tickhouse_embed::daemon::{self, Daemon};
use tickhouse_embed::testkit::{TestEngine, TestRedis};
use tickhouse_embed::{EngineOptions, READER, Redis, RedisOptions, Service, Supervised, WRITER};

/// One statement over HTTP; the body, or the error's body.
fn ask(port: u16, login: &str, sql: &str) -> Result<String, String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).map_err(|error| error.to_string())?;
    let head = format!("POST /?{login} HTTP/1.0\r\nContent-Length: {}\r\n\r\n{sql}", sql.len());
    stream.write_all(head.as_bytes()).map_err(|error| error.to_string())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).map_err(|error| error.to_string())?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or("no head")?;
    if head.contains(" 200 ") { Ok(body.trim().to_owned()) } else { Err(body.trim().to_owned()) }
}

fn redis(port: u16, command: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.write_all(format!("{command}\r\nQUIT\r\n").as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

async fn until(what: &str, mut reached: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !reached() {
        assert!(Instant::now() < deadline, "{what} did not happen in time");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn the_engine_is_in_india_has_its_users_and_keeps_its_data_when_killed() {
    let mut engine = TestEngine::start().await;
    let port = engine.engine().http_port();
    assert_eq!(
        ask(port, "", "SELECT currentDatabase(), timezone(), user()").unwrap(),
        "trading\tAsia/Kolkata\tdefault"
    );
    ask(port, "", "SELECT count() FROM system.query_log").expect("the query log is there from the start");

    let credentials = engine.engine().credentials().clone();
    let writer = format!("user={WRITER}&password={}", credentials.writer_password);
    let reader = format!("user={READER}&password={}", credentials.reader_password);
    ask(port, &writer, "CREATE TABLE t (n UInt64) ENGINE = MergeTree ORDER BY n").unwrap();
    ask(port, &writer, "INSERT INTO t SETTINGS async_insert = 0 SELECT number FROM numbers(1000)").unwrap();
    assert_eq!(
        ask(port, &format!("{reader}&max_execution_time=7"), "SELECT count() FROM t").unwrap(),
        "1000"
    );
    assert!(ask(port, &reader, "INSERT INTO t VALUES (1)").unwrap_err().contains("ACCESS_DENIED"));
    assert!(ask(port, &format!("{reader}&max_memory_usage=7"), "SELECT 1").unwrap_err().contains("READONLY"));
    assert!(
        ask(port, &format!("user={WRITER}&password=no"), "SELECT 1")
            .unwrap_err()
            .contains("AUTHENTICATION_FAILED")
    );

    engine.kill();
    assert!(ask(port, "", "SELECT 1").is_err());
    engine.restart().await.unwrap();
    assert_eq!(ask(port, "", "SELECT sum(n) FROM t").unwrap(), "499500");
    ask(port, "", "SELECT count() FROM system.query_log").expect("the query log begins anew after a restart");
    let backup = "BACKUP TABLE t TO File('t') FORMAT Null";
    ask(port, "", backup).expect("backups have a directory");
}

#[tokio::test]
async fn a_supervised_redis_comes_back_with_its_data() {
    let directory = tempfile::tempdir().unwrap();
    let mut options = RedisOptions::new(directory.path());
    options.port = 0;
    let redis_server = Redis::start(options).await.unwrap();
    let (port, pid) = (redis_server.port(), redis_server.pid().unwrap());
    assert!(redis(port, "XADD s 5-1 f v").contains("5-1"));
    assert!(redis(port, "CONFIG GET maxmemory-policy").contains("noeviction"));

    let supervised = Supervised::new(redis_server);
    kill(pid);
    let mut watch = supervised.watch();
    tokio::time::timeout(Duration::from_secs(20), watch.wait_for(|state| state.restarts == 1 && state.alive))
        .await
        .expect("it is started again")
        .unwrap();
    assert!(redis(port, "XRANGE s - +").contains("5-1"), "what was acknowledged survives a SIGKILL");
    let mut stopped = supervised.stop().await.unwrap();
    assert!(!stopped.is_alive());
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
}

#[tokio::test]
async fn a_redis_left_behind_is_taken_over_and_a_strange_one_is_not() {
    let strange = TestRedis::start().await;
    let directory = tempfile::tempdir().unwrap();
    let mut options = RedisOptions::new(directory.path());
    options.port = strange.port();
    let error = Redis::start(options.clone()).await.unwrap_err().to_string();
    assert!(error.contains("redis-server") && error.contains("--redis-port"), "{error}");

    options.port = 0;
    let mut first = Redis::start(options.clone()).await.unwrap();
    options.port = first.port();
    let mut second = Redis::start(options).await.unwrap();
    assert_eq!(second.pid(), first.pid());
    // the first is this process's child, which has to be waited for before its process id is gone
    tokio::join!(second.stop(), until("its end", || !first.is_alive()));
    assert!(TcpStream::connect(("127.0.0.1", first.port())).is_err());
}

/// Two servers would write the same append-only file.
#[tokio::test]
async fn a_data_directory_has_one_redis_whatever_port_is_asked_for() {
    let directory = tempfile::tempdir().unwrap();
    let mut options = RedisOptions::new(directory.path());
    options.port = 0;
    let mut first = Redis::start(options.clone()).await.unwrap();
    let any = Redis::start(options.clone()).await.unwrap();
    assert_eq!((any.pid(), any.port()), (first.pid(), first.port()), "any port is the one that it has");
    std::mem::forget(any);

    assert!(redis(first.port(), "XADD s 5-1 f v").contains("5-1"));
    options.port = tickhouse_embed::port::free().unwrap();
    let (second, ()) = tokio::join!(Redis::start(options.clone()), until("its end", || !first.is_alive()));
    let second = second.unwrap();
    assert_eq!(second.port(), options.port);
    assert!(TcpStream::connect(("127.0.0.1", first.port())).is_err());
    assert!(redis(second.port(), "XRANGE s - +").contains("5-1"), "the data are there");
}

#[tokio::test]
async fn daemons_start_once_report_and_stop() {
    let directory = tempfile::tempdir().unwrap();
    let run = directory.path().join("run");
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_tickhouse-engine"));
    let mut options = EngineOptions::new(program, directory.path().join("clickhouse"));
    options.arguments = Vec::new();
    (options.http_port, options.tcp_port) = (0, 0);
    let daemon = Daemon::Clickhouse(options.clone());
    assert_eq!(daemon::status(&run, "clickhouse").unwrap(), None);
    let state = daemon::start(&run, &daemon, program, &["--supervise"]).await.unwrap();
    assert_eq!(ask(state.port, "", "SELECT 1").unwrap(), "1");
    assert_eq!(daemon::status(&run, "clickhouse").unwrap().as_ref(), Some(&state));
    let again = daemon::start(&run, &daemon, program, &["--supervise"]).await.unwrap_err().to_string();
    assert!(again.contains(&format!("already runs (process {})", state.pid)), "{again}");

    // a supervisor that is killed takes the engine along; its stale files do not matter
    kill(state.pid);
    until("the engine's end", || TcpStream::connect(("127.0.0.1", state.port)).is_err()).await;
    until("the lock's end", || daemon::status(&run, "clickhouse").unwrap().is_none()).await;
    options.http_port = state.port;
    let state = daemon::start(&run, &Daemon::Clickhouse(options), program, &["--supervise"]).await.unwrap();
    assert!(daemon::stop(&run, "clickhouse").await.unwrap());
    assert!(TcpStream::connect(("127.0.0.1", state.port)).is_err());
    assert!(!daemon::stop(&run, "clickhouse").await.unwrap());
}

#[tokio::test]
async fn a_daemon_that_can_not_start_says_why() {
    let directory = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut options = RedisOptions::new(directory.path());
    options.port = taken.local_addr().unwrap().port();
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_tickhouse-engine"));
    let run = directory.path().join("run");
    let error = daemon::start(&run, &Daemon::Redis(options), program, &["--supervise"])
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("--redis-port") && error.contains(&std::process::id().to_string()), "{error}");
}

fn kill(pid: u32) {
    let pid = nix::unistd::Pid::from_raw(i32::try_from(pid).unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).unwrap();
}
