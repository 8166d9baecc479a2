//! Stored ticks as the brief's flat entries, for programs written to it.

use crate::world::World;
use std::collections::HashMap;
use std::time::{Duration, Instant};
use tickhouse_decode::FrameBuilder;
use tickhouse_load::{FlatOutlet, Loader, LoaderOptions};
use tickhouse_model::{Packet, PacketKind, RecordKind, Token};

/// What `redis-py` gives for `xrange` with `decode_responses=True`.
type Entries = Vec<(String, HashMap<String, String>)>;

fn publishing(world: &World, stream: &str, keep: u64) -> Loader {
    let publish_flat = Some(FlatOutlet { stream: stream.to_owned(), keep });
    world.loader_with(LoaderOptions { publish_flat, ..LoaderOptions::default() })
}

async fn entries(world: &World, stream: &str) -> Entries {
    let mut redis = world.redis().await;
    redis::cmd("XRANGE").arg(stream).arg("-").arg("+").query_async(&mut redis).await.unwrap()
}

async fn wait_published(loader: &Loader, expected: u64) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while loader.counters().flat_published + loader.counters().flat_skipped < expected {
        assert!(Instant::now() < deadline, "{:?}", loader.counters());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The columns that the brief's programs index.
const COLUMNS: [&str; 48] = [
    "instrument_token",
    "symbol",
    "exchange",
    "timestamp",
    "exchange_timestamp",
    "last_price",
    "open_price",
    "high_price",
    "low_price",
    "close_price",
    "average_traded_price",
    "volume",
    "last_traded_quantity",
    "total_buy_quantity",
    "total_sell_quantity",
    "open_interest",
    "oi_day_high",
    "oi_day_low",
    "bid_1_price",
    "bid_1_quantity",
    "bid_1_orders",
    "bid_2_price",
    "bid_2_quantity",
    "bid_2_orders",
    "bid_3_price",
    "bid_3_quantity",
    "bid_3_orders",
    "bid_4_price",
    "bid_4_quantity",
    "bid_4_orders",
    "bid_5_price",
    "bid_5_quantity",
    "bid_5_orders",
    "ask_1_price",
    "ask_1_quantity",
    "ask_1_orders",
    "ask_2_price",
    "ask_2_quantity",
    "ask_2_orders",
    "ask_3_price",
    "ask_3_quantity",
    "ask_3_orders",
    "ask_5_price",
    "ask_5_quantity",
    "ask_5_orders",
    "packet_type",
    "session_type",
    "data_quality",
];

#[tokio::test]
async fn a_stored_tick_is_published_as_the_brief_writes_it_and_read_as_it_was() {
    let mut world = World::new("outlet").await;
    let loader = publishing(&world, "outlet:enriched", 100_000);
    let infy = Packet {
        last_price: 157_370,
        volume: 1_192_471,
        ..Packet { token: Token(408_065), ..crate::world::packet(8) }
    };
    let nifty = Packet { last_price: 2_400_005, ..Packet::empty(Token(256_265), PacketKind::IndexFull) };
    let mut builder = FrameBuilder::default();
    [infy, nifty].iter().for_each(|packet| builder.push(packet));
    world.send(RecordKind::Frame, builder.take(), vec![infy, nifty]).await;
    world.send_frames(40, 5).await;
    world.wait_stored().await;
    wait_published(&loader, 202).await;
    let published = entries(&world, "outlet:enriched").await;
    assert_eq!((published.len(), loader.counters().flat_skipped), (202, 0));
    for (_, fields) in &published {
        let missing: Vec<_> = COLUMNS.iter().filter(|name| !fields.contains_key(**name)).collect();
        assert!(missing.is_empty(), "{missing:?}");
    }
    let (_, first) = &published[0];
    let texts = ["symbol", "exchange", "instrument_type", "packet_type", "session_type", "data_quality"];
    assert_eq!(texts.map(|name| first[name].as_str()), ["INFY", "NSE", "EQ", "full", "regular", "enriched"]);
    let numbers = ["instrument_token", "last_price", "volume", "bid_1_price", "ask_5_orders"];
    assert_eq!(numbers.map(|name| first[name].as_str()), ["408065", "1573.7", "1192471", "1000.03", "8"]);
    let at = world.query("SELECT toString(timestamp) FROM tick_data WHERE symbol = 'INFY'").await;
    let iso = first["timestamp"].replace('T', " ");
    assert!(iso.starts_with(&at) && iso.ends_with("+05:30"), "{iso} against {at}");

    // a loader elsewhere reads the same ticks from it
    let other = World::new("outlet_back").await;
    let mut redis = other.redis().await;
    for (_, fields) in &published {
        let mut command = redis::cmd("XADD");
        command.arg("outlet_back:flat").arg("*");
        fields.iter().for_each(|(field, value)| {
            command.arg(field).arg(value);
        });
        let _: String = command.query_async(&mut redis).await.unwrap();
    }
    let second = other.loader();
    let rows = "SELECT count(), sum(cityHash64(instrument_token, symbol, exchange, tradingsymbol, instrument_type, timestamp, \
                exchange_timestamp, last_price, close_price, volume, open_interest, bid_1_price, bid_3_quantity, ask_5_price, \
                ask_5_orders, packet_type, session_type, data_quality)) FROM tick_data";
    other.wait_for(rows, &world.query(rows).await).await;
    assert_eq!(other.query("SELECT count() FROM quarantine").await, "0");
    second.stop().await;
    loader.stop().await;
}

#[tokio::test]
async fn the_stream_is_kept_short_and_what_was_stored_is_published_before_the_end() {
    let mut world = World::new("outlet_short").await;
    let loader = publishing(&world, "outlet_short:enriched", 200);
    world.send_frames(200, 10).await;
    world.wait_stored().await;
    loader.caught_up().await;
    loader.stop().await;
    let published = entries(&world, "outlet_short:enriched").await;
    assert!((200..400).contains(&published.len()), "{} entries", published.len());
    let last = world
        .query("SELECT toString(volume) FROM tick_data ORDER BY sequence DESC, packet_index DESC LIMIT 1")
        .await;
    assert_eq!(published.last().unwrap().1["volume"], last);
}

#[tokio::test]
async fn storage_goes_on_where_publishing_cannot() {
    let mut world = World::new("outlet_refused").await;
    let mut redis = world.redis().await;
    let () = redis::cmd("SET").arg("outlet_refused:enriched").arg("x").query_async(&mut redis).await.unwrap();
    let loader = publishing(&world, "outlet_refused:enriched", 1_000);
    for _ in 0..5 {
        world.send_frames(20, 5).await;
        world.wait_stored().await;
    }
    loader.caught_up().await;
    world.assert_exact().await;
    wait_published(&loader, 500).await;
    let counters = loader.counters();
    assert_eq!((counters.flat_published, counters.flat_skipped, counters.restarts), (0, 500, 0));
    assert!(counters.flat_retries > 0);
    loader.stop().await;
}
