//! A recorder's journal and publisher, a loader, and an oracle that knows what was sent.

use bytes::Bytes;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tickhouse_decode::FrameBuilder;
use tickhouse_embed::testkit::{TestEngine, TestRedis};
use tickhouse_enrich::{Calendar, InstrumentTable, InstrumentTableBuilder};
use tickhouse_journal::{Journal, JournalOptions, SocketJournal};
use tickhouse_load::{Loader, LoaderOptions};
use tickhouse_model::{Level, Observed, Packet, PacketKind, RecordKind, SnapshotMarks, Token};
use tickhouse_store::{SchemaOptions, Store, StoreOptions, migrate};
use tickhouse_stream::{Publisher, PublisherOptions, RedisOptions};
use tickhouse_telemetry::Clock;
use tokio::sync::{oneshot, watch};

/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(40);

pub(crate) struct World {
    pub(crate) store: Store,
    pub(crate) redis: RedisOptions,
    pub(crate) clock: Clock,
    journal_dir: tempfile::TempDir,
    journal: Option<Journal>,
    socket: Option<SocketJournal>,
    publisher: Option<(oneshot::Sender<()>, tokio::task::JoinHandle<()>)>,
    /// Ends with this world, unless the test has one of its own.
    own_redis: Option<TestRedis>,
    /// Packets of each record that was sent, by sequence from 1; `None` for a record without packets.
    pub(crate) sent: Vec<Vec<Packet>>,
}

/// What a row of `tick_data` must say of a packet.
type Row = (u64, u16, u32, String, String, String, String);

impl World {
    /// On the engine that all tests share, with a database and a Redis of its own.
    pub(crate) async fn new(name: &str) -> Self {
        let redis = TestRedis::start().await;
        let mut world = Self::on(name, TestEngine::shared().await.url(), redis.url()).await;
        world.own_redis = Some(redis);
        world
    }

    pub(crate) async fn on(name: &str, clickhouse: String, redis: String) -> Self {
        // with RUST_LOG=… the loader says in a failed test's output why it started again
        let filter = tracing_subscriber::EnvFilter::from_default_env();
        drop(tracing_subscriber::fmt().with_env_filter(filter).with_test_writer().try_init());
        let store = Store::new(StoreOptions { database: name.to_owned(), ..StoreOptions::at(clickhouse) });
        migrate(&store, SchemaOptions::default(), false).await.unwrap();
        let redis = RedisOptions {
            prefix: format!("{name}:stream"),
            namespace: name.to_owned(),
            flat_streams: vec![format!("{name}:flat")],
            news_streams: vec![format!("{name}:news")],
            indices_streams: vec![format!("{name}:indices")],
            ..RedisOptions::at(redis)
        };
        let mut world = Self {
            store,
            redis,
            clock: Clock::system(),
            journal_dir: tempfile::tempdir().unwrap(),
            journal: None,
            socket: None,
            publisher: None,
            own_redis: None,
            sent: Vec::new(),
        };
        world.start_recorder();
        world
    }

    fn start_recorder(&mut self) {
        let dir = self.journal_dir.path();
        let journal = Journal::open(dir, "r1", JournalOptions::default(), self.clock.clone()).unwrap();
        let socket = journal.start_socket(0).unwrap();
        let options =
            PublisherOptions { check_every: Duration::from_millis(50), ..PublisherOptions::default() };
        let position = socket.position.clone();
        let (publisher, _) =
            Publisher::new(self.redis.clone(), options, dir, "r1", 0, position, self.clock.clone()).unwrap();
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(publisher.run(async { drop(stopped.await) }));
        self.publisher = Some((stop, task));
        (self.journal, self.socket) = (Some(journal), Some(socket));
    }

    /// Ends the recorder in order and starts it again: a new session, with sequences from 1.
    pub(crate) async fn restart_recorder(&mut self) {
        self.socket = None;
        let journal = self.journal.take().unwrap();
        tokio::task::spawn_blocking(move || journal.close(PATIENCE)).await.unwrap();
        if let Some((_stop, task)) = self.publisher.take() {
            task.await.unwrap();
        }
        self.start_recorder();
    }

    /// Ends the recorder and starts it with an empty journal, beside a Redis that is empty too: a new machine.
    pub(crate) async fn begin_journal_anew(&mut self) {
        self.socket = None;
        let journal = self.journal.take().unwrap();
        tokio::task::spawn_blocking(move || journal.close(PATIENCE)).await.unwrap();
        self.stop_publisher().await;
        self.journal_dir = tempfile::tempdir().unwrap();
        let mut redis = self.redis().await;
        let () = redis::cmd("FLUSHALL").query_async(&mut redis).await.unwrap();
        self.start_recorder();
    }

    /// Ends the publisher: what is sent from now on stays in the journal.
    pub(crate) async fn stop_publisher(&mut self) {
        let (stop, task) = self.publisher.take().unwrap();
        drop(stop);
        task.await.unwrap();
    }

    /// Removes what the journal has of earlier sessions, once it is compressed so that nothing makes it anew.
    pub(crate) async fn lose_earlier_sessions(&self) {
        let directory = self.journal_dir.path().join("r1").join("0");
        let segments = || -> Vec<_> {
            let entries = std::fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().path());
            entries.filter(|path| path.to_string_lossy().contains(".journal")).collect()
        };
        let deadline = Instant::now() + PATIENCE;
        while segments().iter().any(|path| path.extension().is_none_or(|extension| extension != "zst")) {
            assert!(Instant::now() < deadline, "the closed segments are not compressed");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        segments().iter().for_each(|path| std::fs::remove_file(path).unwrap());
    }

    pub(crate) fn session(&self) -> u64 {
        self.journal.as_ref().unwrap().session()
    }

    pub(crate) fn loader(&self) -> Loader {
        self.loader_with(LoaderOptions::default())
    }

    /// A loader with short batches and leases.
    pub(crate) fn loader_with(&self, options: LoaderOptions) -> Loader {
        self.loader_leased(Duration::from_secs(1), options)
    }

    /// A loader with short batches and this lease.
    pub(crate) fn loader_leased(&self, lease_ttl: Duration, options: LoaderOptions) -> Loader {
        let short = options.trim_grace == LoaderOptions::default().trim_grace;
        let trim_grace = if short { Duration::from_millis(200) } else { options.trim_grace };
        let options = LoaderOptions {
            redis: self.redis.clone(),
            batch_time: Duration::from_millis(100),
            lease_ttl,
            trim_grace,
            ..options
        };
        let instruments: Arc<InstrumentTable> = Arc::new(instruments());
        let (_, receiver) = watch::channel(instruments);
        let calendar = Arc::new(Calendar::always_open());
        Loader::start(options, self.store.clone(), self.clock.clone(), receiver, calendar)
    }

    /// Sends one record.
    pub(crate) async fn send(&mut self, kind: RecordKind, payload: Vec<u8>, packets: Vec<Packet>) {
        self.send_marked(kind, payload, packets, SnapshotMarks::None).await;
    }

    pub(crate) async fn send_marked(
        &mut self,
        kind: RecordKind,
        payload: Vec<u8>,
        packets: Vec<Packet>,
        snapshots: SnapshotMarks,
    ) {
        let received_at = self.clock.now();
        let observed = Observed { received_at, kind, snapshots, payload: Bytes::from(payload) };
        self.socket.as_ref().unwrap().sender.send(observed).await.unwrap();
        self.sent.push(packets);
    }

    /// Sends frames of full packets, different every time.
    pub(crate) async fn send_frames(&mut self, frames: u32, packets_each: u32) {
        for _ in 0..frames {
            let number = self.sent.len() as u32;
            let packets: Vec<_> = (0..packets_each).map(|index| packet(number * 100 + index)).collect();
            let mut builder = FrameBuilder::default();
            packets.iter().for_each(|packet| builder.push(packet));
            self.send(RecordKind::Frame, builder.take(), packets).await;
        }
    }

    pub(crate) async fn query(&self, sql: &str) -> String {
        let mut cursor = self.store.client().query_raw(sql).fetch_bytes("TabSeparated").unwrap();
        match cursor.collect().await {
            Ok(bytes) => String::from_utf8_lossy(&bytes).trim_end().to_owned(),
            Err(error) => panic!("{sql}: {error}"),
        }
    }

    pub(crate) async fn run(&self, sql: &str) {
        self.store.client().query_raw(sql).execute().await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    /// Waits until the ledger has every record that was sent.
    pub(crate) async fn wait_stored(&self) {
        let expected = self.sent.len().to_string();
        let sql = "SELECT uniqExact(session, socket, sequence) FROM frames";
        self.wait_for(sql, &expected).await;
    }

    /// Waits until a query answers this; an error of the query counts as another answer.
    pub(crate) async fn wait_for(&self, sql: &str, expected: &str) {
        let deadline = Instant::now() + PATIENCE;
        let mut found = String::new();
        while Instant::now() < deadline {
            let cursor = self.store.client().query_raw(sql).fetch_bytes("TabSeparated");
            if let Ok(mut cursor) = cursor
                && let Ok(bytes) = cursor.collect().await
            {
                String::from_utf8_lossy(&bytes).trim_end().clone_into(&mut found);
            }
            if found == expected {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{sql} answers {found:?} instead of {expected:?}");
    }

    /// Asserts that `tick_data` and `frames` hold exactly what was sent: nothing missing, nothing double, every value.
    pub(crate) async fn assert_exact(&self) {
        let session = self.session();
        let mut expected: Vec<Row> = Vec::new();
        for (record, packets) in self.sent.iter().enumerate() {
            for (index, packet) in packets.iter().enumerate() {
                expected.push(row_of(record as u64 + 1, index as u16, packet));
            }
        }
        let sql = format!(
            "SELECT sequence, packet_index, instrument_token, toString(last_price), toString(volume), \
             toString(ask_5_price), toString(net_change) FROM tick_data \
             WHERE recorder = 'r1' AND session = {session} AND socket = 0 ORDER BY sequence, packet_index"
        );
        let query = self.store.client().query_raw(&sql);
        let found: Vec<Row> = query.fetch_all().await.unwrap();
        assert_eq!(found.len(), expected.len(), "rows of tick_data");
        assert_eq!(found, expected);
        let ledger = "SELECT count(), uniqExact(session, socket, sequence), max(sequence) FROM frames";
        let records = self.sent.len();
        assert_eq!(self.query(ledger).await, format!("{records}\t{records}\t{records}"));
        let open = "SELECT countIf(state = 'sealed') - countIf(state = 'stored') FROM \
                    (SELECT DISTINCT batch_id, state FROM loader_seals)";
        assert_eq!(self.query(open).await, "0", "seals without their confirmation");
        self.assert_bars().await;
    }

    /// The minute bars count what `tick_data` holds, also after batches were inserted twice or in parts.
    async fn assert_bars(&self) {
        let bars = "SELECT instrument_token, sum(tick_count), max(high), min(low) FROM tick_data_1min \
                    GROUP BY instrument_token ORDER BY instrument_token";
        let ticks = "SELECT instrument_token, count(), max(last_price), min(last_price) FROM tick_data \
                     WHERE NOT snapshot AND stream = '' GROUP BY instrument_token ORDER BY instrument_token";
        assert_eq!(self.query(bars).await, self.query(ticks).await, "tick_data_1min against tick_data");
    }

    /// A connection for what tests do to Redis behind everybody's back.
    pub(crate) async fn redis(&self) -> redis::aio::MultiplexedConnection {
        let client = redis::Client::open(self.redis.url.as_str()).unwrap();
        client.get_multiplexed_async_connection().await.unwrap()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some((_, task)) = self.publisher.take() {
            task.abort();
        }
    }
}

fn row_of(sequence: u64, index: u16, packet: &Packet) -> Row {
    let segment = packet.segment();
    let rupees = |raw: i32| (f64::from(raw) / f64::from(segment.divisor())).to_string();
    (
        sequence,
        index,
        packet.token.0,
        rupees(packet.last_price),
        packet.volume.to_string(),
        rupees(packet.asks[4].price),
        rupees(packet.net_change),
    )
}

/// A full packet with values that depend on `number`, of one of fifty instruments in several segments.
pub(crate) fn packet(number: u32) -> Packet {
    let segments = [1, 2, 3, 6, 7, 12];
    let segment = segments[number as usize % segments.len()];
    let level = |place: i32| Level {
        price: 100_000 + number.cast_signed() % 5_000 + place * 5,
        quantity: number + place.unsigned_abs(),
        orders: (number % 50) as u16,
    };
    Packet {
        last_price: 100_000 + number.cast_signed() % 5_000,
        volume: number * 3 + 1,
        bids: std::array::from_fn(|place| level(-(place as i32) - 1)),
        asks: std::array::from_fn(|place| level(place as i32 + 1)),
        ..Packet::empty(Token::new(1 + number % 50, segment), PacketKind::Full)
    }
}

/// INFY and NIFTY 50; everything else is unknown.
fn instruments() -> InstrumentTable {
    let csv = "instrument_token,exchange_token,tradingsymbol,name,last_price,expiry,strike,tick_size,lot_size,\
               instrument_type,segment,exchange\n\
               408065,1594,INFY,INFOSYS,0,,0,0.05,1,EQ,NSE,NSE\n\
               256265,1001,NIFTY 50,NIFTY 50,0,,0,0,0,EQ,INDICES,NSE\n";
    let mut builder = InstrumentTableBuilder::new();
    builder.read_kite_csv(csv.as_bytes()).unwrap();
    builder.finish()
}
