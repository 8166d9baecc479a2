//! From a pushed dictionary to a row.

use crate::world::{PATIENCE, Server};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tickhouse_embed::testkit::{TestEngine, TestRedis};
use tickhouse_enrich::{Calendar, InstrumentTableBuilder};
use tickhouse_load::{Loader, LoaderOptions};
use tickhouse_store::{SchemaOptions, Store, StoreOptions, migrate};
use tickhouse_stream::RedisOptions;
use tickhouse_telemetry::Clock;

async fn query(store: &Store, sql: &str) -> String {
    let mut cursor = store.client().query_raw(sql).fetch_bytes("TabSeparated").unwrap();
    String::from_utf8_lossy(&cursor.collect().await.unwrap()).trim_end().to_owned()
}

fn loader(store: &Store, redis: &RedisOptions) -> Loader {
    let options = LoaderOptions {
        redis: redis.clone(),
        batch_time: Duration::from_millis(100),
        lease_ttl: Duration::from_secs(1),
        ..LoaderOptions::default()
    };
    let (_, table) = tokio::sync::watch::channel(Arc::new(InstrumentTableBuilder::new().finish()));
    Loader::start(options, store.clone(), Clock::system(), table, Arc::new(Calendar::always_open()))
}

fn full(token: u32) -> Value {
    let level = |number: u32| json!({ "quantity": number, "price": 1573.5 + f64::from(number), "orders": number + 10 });
    json!({
        "tradable": true, "mode": "full", "instrument_token": token, "last_price": 1573.7,
        "last_traded_quantity": 3, "average_traded_price": 1570.33, "volume_traded": 4_000_000_000_u64,
        "total_buy_quantity": 5, "total_sell_quantity": 6, "change": -0.5,
        "ohlc": { "open": 1575.1, "high": 1580.0, "low": 1560.05, "close": 1581.25 },
        "last_trade_time": "2026-11-20T09:15:00", "exchange_timestamp": "2026-11-20T09:15:01",
        "oi": 7, "oi_day_high": 8, "oi_day_low": 9,
        "depth": { "buy": (1..=5).map(level).collect::<Vec<_>>(), "sell": (6..=10).map(level).collect::<Vec<_>>() },
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dictionary_becomes_a_row_with_its_values() {
    let redis = TestRedis::start().await;
    let options = RedisOptions {
        prefix: "push:stream".to_owned(),
        namespace: "push".to_owned(),
        flat_streams: Vec::new(),
        ..RedisOptions::at(redis.url())
    };
    let url = TestEngine::shared().await.url();
    let store = Store::new(StoreOptions { database: "push_rows".to_owned(), ..StoreOptions::at(url) });
    migrate(&store, SchemaOptions::default(), false).await.unwrap();
    let loader = loader(&store, &options);
    let server = Server::start(options, |_| {}).await;

    let index = json!({ "tradable": false, "mode": "full", "instrument_token": 256_265, "last_price": 24000.05,
        "ohlc": { "open": 24010.0, "high": 24020.0, "low": 23990.0, "close": 24080.0 },
        "change": -0.33, "exchange_timestamp": "2026-11-20T09:15:02" });
    let crude = json!({ "tradable": true, "mode": "ltp", "instrument_token": 99 * 256 + 12, "last_price": 857_300.0 });
    let (status, receipt) =
        server.post("?source=pykiteconnect/5.0.1", &json!([full(408_065), index, crude])).await;
    assert_eq!(status, 200, "{receipt}");
    let started = Instant::now();
    while query(&store, "SELECT count() FROM frames").await != "1" {
        assert!(started.elapsed() < PATIENCE, "not stored: {:?}", loader.counters());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }

    let of_receipt = "recorder = 'p1' AND socket = 0 AND sequence = 1";
    let ledger =
        query(&store, &format!("SELECT kind, packets, ticks, quarantined FROM frames WHERE {of_receipt}"))
            .await;
    assert_eq!(ledger, "pushed\t3\t3\t0");
    let times = "toUnixTimestamp(exchange_timestamp), toUnixTimestamp(last_trade_time)";
    let sql = format!(
        "SELECT last_price, average_traded_price, open_price, high_price, low_price, close_price, volume, \
         last_traded_quantity, total_buy_quantity, total_sell_quantity, open_interest, oi_day_high, oi_day_low, \
         bid_1_price, bid_5_quantity, bid_5_orders, ask_1_price, ask_5_orders, packet_type, snapshot, {times} \
         FROM tick_data WHERE {of_receipt} AND packet_index = 0"
    );
    // 2026-11-20 09:15 in India
    let expected = "1573.7\t1570.33\t1575.1\t1580\t1560.05\t1581.25\t4000000000\t3\t5\t6\t7\t8\t9\t1574.5\t5\t15\t1579.5\t20\tfull\tfalse\t1795146301\t1795146300";
    assert_eq!(query(&store, &sql).await, expected);
    let others = format!(
        "SELECT packet_type, last_price, net_change, exchange FROM tick_data WHERE {of_receipt} AND packet_index > 0 ORDER BY packet_index"
    );
    assert_eq!(query(&store, &others).await, "index_full\t24000.05\t-79.95\t\nltp\t8573\t0\tNCO");
    loader.stop().await;
}
