//! Recorders, their publishers, a loader, and a ledger of what was sent that none of them writes.

use bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tickhouse_decode::FrameBuilder;
use tickhouse_embed::testkit::{TestEngine, TestRedis};
use tickhouse_enrich::{Calendar, InstrumentTable, InstrumentTableBuilder};
use tickhouse_follow::{FollowOptions, FollowedTick, Follower};
use tickhouse_journal::{Journal, JournalOptions, SocketJournal};
use tickhouse_load::{Loader, LoaderOptions};
use tickhouse_model::{Level, Observed, Packet, PacketKind, RecordKind, SnapshotMarks, Timestamp, Token};
use tickhouse_read::{Reader, ReaderOptions, Selection};
use tickhouse_store::{SchemaOptions, Store, StoreOptions, migrate};
use tickhouse_stream::{Publisher, PublisherOptions, RedisOptions};
use tickhouse_telemetry::Clock;
use tokio::sync::{oneshot, watch};

/// Longest wait for anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(40);

/// Session, sequence, packet index.
pub(crate) type Id = (u64, u64, u16);

/// What is known of a tick that was sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Sent {
    pub(crate) id: Id,
    pub(crate) token: u32,
    pub(crate) price: f64,
    pub(crate) volume: u64,
    pub(crate) at_millis: i64,
}

/// Everything that was sent, by origin and in its order.
pub(crate) type Ledger = BTreeMap<String, Vec<Sent>>;

pub(crate) struct World {
    pub(crate) store: Store,
    pub(crate) redis: RedisOptions,
    pub(crate) clock: Clock,
    pub(crate) ledger: Arc<Mutex<Ledger>>,
    reader: Reader,
    own_redis: TestRedis,
}

impl World {
    pub(crate) async fn new(name: &str) -> Self {
        // with RUST_LOG=… the parts say in a failed test's output what they did
        let filter = tracing_subscriber::EnvFilter::from_default_env();
        drop(tracing_subscriber::fmt().with_env_filter(filter).with_test_writer().try_init());
        let own_redis = TestRedis::start().await;
        let url = TestEngine::shared().await.url();
        let store = Store::new(StoreOptions { database: name.to_owned(), ..StoreOptions::at(url) });
        migrate(&store, SchemaOptions::default(), false).await.unwrap();
        let redis = RedisOptions {
            prefix: format!("{name}:stream"),
            namespace: name.to_owned(),
            flat_streams: vec![format!("{name}:flat")],
            news_streams: Vec::new(),
            indices_streams: Vec::new(),
            ..RedisOptions::at(own_redis.url())
        };
        let options = store.options();
        let reader = Reader::new(ReaderOptions {
            database: options.database.clone(),
            ..ReaderOptions::at(options.url.as_str())
        });
        let world = Self { store, redis, clock: Clock::system(), ledger: Arc::default(), reader, own_redis };
        // Redis trims whole nodes only: with small ones it is always near to what the loader allows
        for limit in ["stream-node-max-entries", "stream-node-max-bytes"] {
            let mut command = redis::cmd("CONFIG");
            command.arg("SET").arg(limit).arg(if limit.ends_with("entries") { 2 } else { 0 });
            let _: () = command.query_async(&mut world.connection().await).await.unwrap();
        }
        world
    }

    pub(crate) fn redis_server(&mut self) -> &mut TestRedis {
        &mut self.own_redis
    }

    pub(crate) fn reader(&self) -> Reader {
        self.reader.clone()
    }

    /// A loader with short batches, which trims what is stored almost at once.
    pub(crate) fn loader(&self) -> Loader {
        let options = LoaderOptions {
            redis: self.redis.clone(),
            batch_time: Duration::from_millis(60),
            lease_ttl: Duration::from_secs(1),
            trim_grace: Duration::from_millis(50),
            ..LoaderOptions::default()
        };
        let (_, receiver) = watch::channel(Arc::new(instruments()));
        let calendar = Arc::new(Calendar::always_open());
        Loader::start(options, self.store.clone(), self.clock.clone(), receiver, calendar)
    }

    pub(crate) fn recorder(&self, name: &str, sockets: u16) -> Recorder {
        let directory = tempfile::tempdir().unwrap();
        let mut recorder = Recorder {
            name: name.to_owned(),
            redis: self.redis.clone(),
            clock: self.clock.clone(),
            ledger: Arc::clone(&self.ledger),
            directory,
            journal: None,
            sockets: Vec::new(),
            publishers: Vec::new(),
            count: sockets,
        };
        recorder.start();
        recorder
    }

    pub(crate) fn follow(
        &self,
        from: Option<Timestamp>,
        selection: Selection,
        queue_ticks: usize,
    ) -> Follower {
        let redis = self.redis.clone();
        let options = FollowOptions { redis, reader: self.reader(), selection, from, queue_ticks };
        Follower::start(options).unwrap()
    }

    pub(crate) async fn connection(&self) -> redis::aio::MultiplexedConnection {
        let client = redis::Client::open(self.redis.url.as_str()).unwrap();
        client.get_multiplexed_async_connection().await.unwrap()
    }

    pub(crate) fn flat_name(&self) -> String {
        self.redis.flat_streams[0].clone()
    }

    /// Adds a flat entry, and to the ledger; `more` are further arguments of `XADD`, such as a `MAXLEN`.
    pub(crate) async fn add_flat(
        &self,
        redis: &mut redis::aio::MultiplexedConnection,
        number: u32,
        more: &[&str],
    ) -> (u64, u64) {
        let (token, price, volume) =
            (408_065 + (number % 3) * 256, f64::from(number) + 0.25, u64::from(number));
        let at = self.clock.now().as_millis();
        let stream = self.flat_name();
        let mut command = redis::cmd("XADD");
        command.arg(&stream).arg(more).arg("*");
        command.arg("instrument_token").arg(token).arg("last_price").arg(price).arg("volume").arg(volume);
        command.arg("timestamp").arg(at.to_string()).arg("packet_type").arg("full");
        let id: String = command.query_async(redis).await.unwrap();
        let (ms, seq) = id.split_once('-').unwrap();
        let (ms, seq) = (ms.parse().unwrap(), seq.parse().unwrap());
        let sent = Sent { id: (ms, seq, 0), token, price, volume, at_millis: at };
        self.ledger.lock().unwrap().entry(stream).or_default().push(sent);
        (ms, seq)
    }

    /// Waits until a query answers this.
    pub(crate) async fn wait_for(&self, sql: &str, expected: &str) {
        let deadline = Instant::now() + PATIENCE;
        let mut found = String::new();
        while Instant::now() < deadline {
            let mut cursor = self.store.client().query_raw(sql).fetch_bytes("TabSeparated").unwrap();
            if let Ok(bytes) = cursor.collect().await {
                String::from_utf8_lossy(&bytes).trim_end().clone_into(&mut found);
            }
            if found == expected {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("{sql} answers {found:?} instead of {expected:?}");
    }
}

/// A recorder: a journal, sockets, publishers.
pub(crate) struct Recorder {
    name: String,
    redis: RedisOptions,
    clock: Clock,
    ledger: Arc<Mutex<Ledger>>,
    directory: tempfile::TempDir,
    journal: Option<Journal>,
    /// With the sequence of the last record.
    sockets: Vec<(SocketJournal, u64)>,
    publishers: Vec<(oneshot::Sender<()>, tokio::task::JoinHandle<()>)>,
    count: u16,
}

impl Recorder {
    fn start(&mut self) {
        let dir = self.directory.path();
        let journal = Journal::open(dir, &self.name, JournalOptions::default(), self.clock.clone()).unwrap();
        for socket in 0..self.count {
            let opened = journal.start_socket(socket).unwrap();
            let options =
                PublisherOptions { check_every: Duration::from_millis(50), ..PublisherOptions::default() };
            let position = opened.position.clone();
            let made = Publisher::new(
                self.redis.clone(),
                options,
                dir,
                &self.name,
                socket,
                position,
                self.clock.clone(),
            );
            let (publisher, _) = made.unwrap();
            let (stop, stopped) = oneshot::channel();
            self.publishers.push((stop, tokio::spawn(publisher.run(async { drop(stopped.await) }))));
            self.sockets.push((opened, 0));
        }
        self.journal = Some(journal);
    }

    /// Ends it in order and starts it again: a new session.
    pub(crate) async fn restart(&mut self) {
        self.sockets.clear();
        let journal = self.journal.take().unwrap();
        tokio::task::spawn_blocking(move || journal.close(PATIENCE)).await.unwrap();
        for (_stop, task) in self.publishers.drain(..) {
            task.await.unwrap();
        }
        self.start();
    }

    /// Sends one record with full packets, different every time; without packets it is a text.
    pub(crate) async fn send(&mut self, socket: u16, numbers: &[u32]) {
        let received_at = self.clock.now();
        let packets: Vec<_> = numbers.iter().map(|number| packet(*number)).collect();
        let mut builder = FrameBuilder::default();
        packets.iter().for_each(|packet| builder.push(packet));
        let (kind, payload) = match numbers {
            [] => (RecordKind::Text, b"{\"type\":\"order\"}".to_vec()),
            [first, ..] if first % 5 == 0 => (RecordKind::Pushed, builder.take()),
            _ => (RecordKind::Frame, builder.take()),
        };
        let session = self.journal.as_ref().unwrap().session();
        let (opened, sequence) = &mut self.sockets[usize::from(socket)];
        *sequence += 1;
        let sequence = *sequence;
        let observed =
            Observed { received_at, kind, snapshots: SnapshotMarks::None, payload: Bytes::from(payload) };
        // in the ledger before anybody can see it
        let sent = packets.iter().enumerate().map(|(index, packet)| Sent {
            id: (session, sequence, index as u16),
            token: packet.token.0,
            price: f64::from(packet.last_price) / f64::from(packet.segment().divisor()),
            volume: packet.volume.into(),
            at_millis: received_at.as_millis(),
        });
        let origin = format!("{}/{socket}", self.name);
        self.ledger.lock().unwrap().entry(origin).or_default().extend(sent);
        opened.sender.send(observed).await.unwrap();
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        for (_, task) in &self.publishers {
            task.abort();
        }
    }
}

/// A full packet of one of twelve instruments.
pub(crate) fn packet(number: u32) -> Packet {
    let segment = [1, 2, 3][number as usize % 3];
    let level = |place: i32| Level { price: 100_000 + place * 5, quantity: number, orders: 7 };
    Packet {
        last_price: 100_000 + number.cast_signed() % 50_000,
        volume: number,
        bids: std::array::from_fn(|place| level(-(place as i32) - 1)),
        asks: std::array::from_fn(|place| level(place as i32 + 1)),
        ..Packet::empty(Token::new(1 + number % 12, segment), PacketKind::Full)
    }
}

/// INFY; everything else is unknown.
fn instruments() -> InstrumentTable {
    let csv = "instrument_token,exchange_token,tradingsymbol,name,last_price,expiry,strike,tick_size,lot_size,\
               instrument_type,segment,exchange\n\
               408065,1594,INFY,INFOSYS,0,,0,0.05,1,EQ,NSE,NSE\n";
    let mut builder = InstrumentTableBuilder::new();
    builder.read_kite_csv(csv.as_bytes()).unwrap();
    builder.finish()
}

/// The origin of a tick, as the ledger names it.
pub(crate) fn origin_of(tick: &FollowedTick) -> String {
    if tick.stream.is_empty() { format!("{}/{}", tick.recorder, tick.socket) } else { tick.stream.clone() }
}

/// A tick as the ledger knows it.
pub(crate) fn sent_of(tick: &FollowedTick) -> Sent {
    Sent {
        id: (tick.session, tick.sequence, tick.packet_index),
        token: tick.instrument_token,
        price: tick.last_price,
        volume: tick.volume,
        at_millis: tick.timestamp.as_millis(),
    }
}

/// Reads until everything of `target` from `from` on has come, and checks it against the ledger: of each origin exactly the
/// ticks that were sent, each once and in their order, whatever came beyond the target.
pub(crate) async fn read_to(
    follower: &mut Follower,
    target: &Ledger,
    wanted: impl Fn(&Sent) -> bool,
    mut slow: impl FnMut() -> Option<Duration>,
) -> Ledger {
    let mut got: Ledger = BTreeMap::new();
    let expected: BTreeMap<&String, usize> =
        target.iter().map(|(origin, sent)| (origin, sent.iter().filter(|one| wanted(one)).count())).collect();
    let deadline = Instant::now() + PATIENCE;
    while expected.iter().any(|(origin, count)| got.get(*origin).map_or(0, Vec::len) < *count) {
        let left = deadline.saturating_duration_since(Instant::now());
        let Ok(batch) = tokio::time::timeout(left, follower.next()).await else {
            let missing: Vec<_> = expected
                .iter()
                .filter(|(origin, count)| got.get(**origin).map_or(0, Vec::len) < **count)
                .map(|(origin, count)| {
                    format!("{origin}: {} of {count}", got.get(*origin).map_or(0, Vec::len))
                })
                .collect();
            panic!("missing: {missing:?}, {:?}", follower.status());
        };
        let batch = batch.unwrap().unwrap();
        assert!(!batch.is_empty());
        for tick in &batch {
            got.entry(origin_of(tick)).or_default().push(sent_of(tick));
        }
        if let Some(pause) = slow() {
            tokio::time::sleep(pause).await;
        }
    }
    got
}

/// What came of each origin is a beginning of what was sent and wanted, in its order: no hole, nothing twice.
pub(crate) fn assert_exact(got: &Ledger, ledger: &Ledger, wanted: impl Fn(&Sent) -> bool, what: &str) {
    for (origin, got) in got {
        let sent: Vec<Sent> = ledger[origin].iter().copied().filter(|one| wanted(one)).collect();
        assert!(got.len() <= sent.len(), "{what}: {origin} gave {} of {} ticks", got.len(), sent.len());
        if let Some(at) = (0..got.len()).find(|at| got[*at] != sent[*at]) {
            panic!(
                "{what}: {origin} differs at {at} of {}: {:?} instead of {:?}, after {:?}",
                got.len(),
                got[at],
                sent[at],
                &got[at.saturating_sub(3)..at]
            );
        }
    }
}
