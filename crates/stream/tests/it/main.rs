//! The publisher and the consumer against a real Redis that is emptied, killed, filled up and restored.

#![allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

mod consume;
mod publish;
mod trouble;

use std::future::Future;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tickhouse_journal::{Fsync, Journal, JournalError, JournalOptions, SocketJournal};
use tickhouse_model::{Observed, Record, RecordKind, SnapshotMarks};
use tickhouse_stream::{
    Consumer, Disposition, EntryId, EntryValue, GroupState, Publisher, PublisherHandle, PublisherOptions,
    ReadLimits, RedisOptions, Stream, StreamError,
};
use tickhouse_telemetry::Clock;
use tokio::task::JoinHandle;

pub(crate) const RECORDER: &str = "kite-1";
pub(crate) const SOCKET: u16 = 2;
pub(crate) const STREAM: &str = "ticks:stream:kite-1:2";

/// A redis-server of the test's own.
pub(crate) struct Redis {
    child: Child,
    dir: tempfile::TempDir,
    port: u16,
    args: Vec<String>,
}

impl Redis {
    pub(crate) async fn start(args: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        let child = spawn(dir.path(), port, &args);
        let redis = Self { child, dir, port, args };
        redis.wait_ready().await;
        redis
    }

    pub(crate) fn options(&self) -> RedisOptions {
        RedisOptions {
            response_timeout: Duration::from_secs(2),
            ..RedisOptions::at(format!("redis://127.0.0.1:{}", self.port))
        }
    }

    pub(crate) async fn connection(&self) -> redis::aio::MultiplexedConnection {
        let client = redis::Client::open(self.options().url).unwrap();
        client.get_multiplexed_async_connection().await.unwrap()
    }

    pub(crate) async fn run<T: redis::FromRedisValue>(&self, words: &str) -> T {
        let mut words = words.split(' ');
        let mut command = redis::cmd(words.next().unwrap());
        words.for_each(|word| {
            command.arg(word);
        });
        command.query_async(&mut self.connection().await).await.unwrap()
    }

    async fn wait_ready(&self) {
        eventually("redis answers", async || {
            let client = redis::Client::open(self.options().url).unwrap();
            let Ok(mut connection) = client.get_multiplexed_async_connection().await else { return false };
            redis::cmd("PING").query_async::<String>(&mut connection).await.is_ok()
        })
        .await;
    }

    /// SIGKILL: no time to write anything.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(crate) async fn restart(&mut self) {
        self.child = spawn(self.dir.path(), self.port, &self.args);
        self.wait_ready().await;
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn spawn(dir: &Path, port: u16, args: &[String]) -> Child {
    Command::new("redis-server")
        .args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--save", "", "--dir"])
        .arg(dir)
        .args(if args.iter().any(|arg| arg == "--appendonly") {
            &[][..]
        } else {
            &["--appendonly", "no"][..]
        })
        .args(args)
        .stdout(Stdio::null())
        .spawn()
        .expect("redis-server is installed")
}

/// Polls until the condition holds.
pub(crate) async fn eventually<F: Future<Output = bool>>(what: &str, mut condition: impl FnMut() -> F) {
    let deadline = Instant::now() + Duration::from_secs(15);
    while !condition().await {
        assert!(Instant::now() < deadline, "not within 15 s: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A recorder's journal with its publisher.
pub(crate) struct Feed {
    pub(crate) journal: Journal,
    pub(crate) socket: SocketJournal,
    pub(crate) publisher: JoinHandle<()>,
    pub(crate) handle: PublisherHandle,
    pub(crate) sent: u64,
}

/// Opens the journal. A `redis-server` that another test starts at this moment holds, between fork and exec, the lock of the
/// journal that was closed before.
fn opened(dir: &Path, options: &JournalOptions) -> Journal {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        match Journal::open(dir, RECORDER, options.clone(), Clock::system()) {
            Err(JournalError::Locked { .. }) if Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(10));
            }
            opened => return opened.unwrap(),
        }
    }
}

impl Feed {
    pub(crate) fn start(dir: &Path, redis: &Redis) -> Self {
        Self::with(dir, redis, &PublisherOptions::default())
    }

    pub(crate) fn with(dir: &Path, redis: &Redis, options: &PublisherOptions) -> Self {
        let journal_options =
            JournalOptions { fsync: Fsync::Never, segment_bytes: 30_000, ..JournalOptions::default() };
        let journal = opened(dir, &journal_options);
        let socket = journal.start_socket(SOCKET).unwrap();
        let options = PublisherOptions { check_every: Duration::from_millis(50), ..options.clone() };
        let (publisher, handle) = Publisher::new(
            redis.options(),
            options,
            dir,
            RECORDER,
            SOCKET,
            socket.position.clone(),
            Clock::system(),
        )
        .unwrap();
        let publisher = tokio::spawn(publisher.run(std::future::pending()));
        Self { journal, socket, publisher, handle, sent: 0 }
    }

    pub(crate) async fn push(&mut self, count: u64) {
        for _ in 0..count {
            self.sent += 1;
            let observed = Observed {
                received_at: Clock::system().now(),
                kind: RecordKind::Frame,
                snapshots: SnapshotMarks::None,
                payload: [&self.sent.to_le_bytes()[..], &[7; 100]].concat().into(),
            };
            self.socket.sender.send(observed).await.unwrap();
        }
    }

    pub(crate) fn id(&self, sequence: u64) -> EntryId {
        EntryId::new(self.journal.session(), sequence)
    }

    pub(crate) async fn wait_published(&self) {
        let last = self.id(self.sent);
        eventually("everything published", async || self.handle.status().last_published == last).await;
    }

    /// Ends the recorder as a clean stop does.
    pub(crate) async fn end(self) {
        let Self { journal, socket, publisher, .. } = self;
        drop(socket);
        tokio::task::spawn_blocking(move || journal.close(Duration::from_secs(10))).await.unwrap();
        publisher.await.unwrap();
    }

    /// Ends it as a crash of the publisher does.
    pub(crate) async fn abort(self) {
        self.publisher.abort();
        let Self { journal, socket, .. } = self;
        drop(socket);
        tokio::task::spawn_blocking(move || journal.close(Duration::from_secs(10))).await.unwrap();
    }
}

/// What a loader does: reads, keeps the last id, makes the group again where it stood.
pub(crate) struct Loader {
    pub(crate) consumer: Consumer,
    pub(crate) stream: Stream,
    pub(crate) last: EntryId,
    /// Numbers of the records, in the order read.
    pub(crate) numbers: Vec<u64>,
    pub(crate) repeats: u64,
    ready: bool,
}

impl Loader {
    pub(crate) async fn connect(redis: &Redis) -> Self {
        let consumer = Consumer::connect(redis.options(), "loader").await.unwrap();
        let stream = redis.options().frame_stream(RECORDER, SOCKET);
        Self { consumer, stream, last: EntryId::ZERO, numbers: Vec::new(), repeats: 0, ready: false }
    }

    pub(crate) async fn read_once(&mut self) -> Result<usize, StreamError> {
        if !self.ready {
            self.ready = self.consumer.ensure_group(&self.stream, self.last).await? != GroupState::NoStream;
            if !self.ready {
                tokio::time::sleep(Duration::from_millis(5)).await;
                return Ok(0);
            }
        }
        let limits =
            ReadLimits { max_entries: 50, block: Duration::from_millis(50), ..ReadLimits::default() };
        let found = self.consumer.read(&[STREAM], limits).await?;
        let mut count = 0;
        for entry in found.into_iter().flat_map(|one| one.entries) {
            count += 1;
            if entry.id <= self.last {
                self.repeats += 1;
                continue;
            }
            let EntryValue::Record(bytes) = entry.value else { panic!("{entry:?}") };
            let record = Record::decode(&bytes).unwrap();
            assert_eq!(EntryId::from(record.id), entry.id);
            self.last = entry.id;
            self.numbers.push(u64::from_le_bytes(record.payload[..8].try_into().unwrap()));
        }
        Ok(count)
    }

    /// Reads through all trouble until `count` records came.
    pub(crate) async fn read_until(&mut self, count: u64) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while (self.numbers.len() as u64) < count {
            assert!(Instant::now() < deadline, "{} of {count} after 20 s", self.numbers.len());
            if let Err(error) = self.read_once().await {
                match error.disposition() {
                    Disposition::Regroup => self.ready = false,
                    Disposition::Retry => tokio::time::sleep(Duration::from_millis(20)).await,
                    Disposition::Stop => panic!("{error:?}"),
                }
            }
        }
    }

    /// Each record once, in order.
    pub(crate) fn assert_whole(&self, count: u64) {
        assert!(self.numbers.iter().copied().eq(1..=count), "{:?}", self.numbers);
    }

    pub(crate) async fn mark(&self, id: EntryId) {
        // the first command after a cut connection finds it cut
        eventually("the mark is written", async || {
            self.consumer.control().set_mark(&self.stream.origin(), id).await.is_ok()
        })
        .await;
    }
}
