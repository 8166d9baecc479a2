//! The schema on a real engine.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bars;
mod instruments;
mod latest;
mod schema;

use tickhouse_embed::testkit::TestEngine;
use tickhouse_model::{DataQuality, FrameId, SessionType, Timestamp, Token};
use tickhouse_store::{
    Deduplicate, InsertId, Partition, SchemaOptions, Store, StoreOptions, Tick, TickColumns, TickIdentity,
    TickInstrument, TickLevel, migrate,
};
use uuid::Uuid;

/// A database of its own in the shared engine, without tables.
pub(crate) async fn empty_store(database: &str) -> Store {
    let engine = TestEngine::shared().await;
    Store::new(StoreOptions { database: database.to_owned(), ..StoreOptions::at(engine.url()) })
}

/// A database of its own with the schema.
pub(crate) async fn store(database: &str) -> Store {
    let store = empty_store(database).await;
    migrate(&store, SchemaOptions::default(), false).await.unwrap();
    store
}

/// What a statement answers, tab-separated.
pub(crate) async fn ask(store: &Store, sql: &str) -> String {
    let answer = store.client().query_raw(sql).fetch_bytes("TabSeparated");
    let bytes = match answer {
        Ok(mut cursor) => cursor.collect().await,
        Err(error) => panic!("{sql}: {error}"),
    };
    match bytes {
        Ok(bytes) => String::from_utf8(bytes.to_vec()).unwrap().trim_end().to_owned(),
        Err(error) => panic!("{sql}: {error}"),
    }
}

pub(crate) async fn run(store: &Store, sql: &str) {
    store.client().query_raw(sql).execute().await.unwrap_or_else(|error| panic!("{sql}: {error}"));
}

/// A tick with everything that a test does not care about.
pub(crate) fn tick(token: u32, timestamp: Timestamp) -> Tick<'static> {
    Tick {
        token: Token(token),
        instrument: TickInstrument { symbol: "TEST", exchange: "NSE", ..TickInstrument::default() },
        timestamp,
        exchange_timestamp: timestamp,
        last_price: 100.0,
        open_price: 99.0,
        high_price: 101.0,
        low_price: 98.0,
        close_price: 97.0,
        average_traded_price: 100.0,
        net_change: 0.0,
        volume: 1_000,
        last_traded_quantity: 10,
        total_buy_quantity: 5,
        total_sell_quantity: 6,
        open_interest: 0,
        oi_day_high: 0,
        oi_day_low: 0,
        bids: [TickLevel { price: 99.95, quantity: 5, orders: 1 }; 5],
        asks: [TickLevel { price: 100.05, quantity: 6, orders: 1 }; 5],
        packet_type: "full",
        session_type: SessionType::Regular,
        data_quality: DataQuality::Enriched,
        last_trade_time: timestamp,
        snapshot: false,
        identity: TickIdentity {
            recorder: "test",
            frame: FrameId { session: 1, socket: 0, sequence: 1 },
            packet_index: 0,
            stream: "",
            epoch: 0,
        },
    }
}

/// Inserts ticks as a loader does: one batch, one block per partition. Returns the partitions with their rows.
pub(crate) async fn insert(
    store: &Store,
    batch_id: Uuid,
    ticks: &[Tick<'_>],
    deduplicate: Deduplicate,
) -> Vec<(Partition, u32)> {
    let mut partitions: Vec<Partition> = ticks.iter().map(|tick| Partition::of(tick.timestamp)).collect();
    partitions.sort_unstable();
    partitions.dedup();
    let mut counts = Vec::new();
    for partition in partitions {
        let mut columns = TickColumns::new(partition, batch_id, Timestamp::from_millis(1_700_000_000_000));
        for tick in ticks.iter().filter(|tick| Partition::of(tick.timestamp) == partition) {
            columns.push(tick);
        }
        counts.push((partition, columns.rows() as u32));
        let part = format!("tick_data/{}/{}", partition.date, partition.hour);
        let id = InsertId { batch_id, part: &part };
        store.insert_block("tick_data", &columns.finish(), id, deduplicate).await.unwrap();
    }
    counts
}
