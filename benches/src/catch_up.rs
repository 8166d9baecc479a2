//! Catching up: a stream of millions of full-depth ticks into ClickHouse by the loader, beside a bare insert of the same rows
//! and the brief's own consumer.
//!
//! Timed: (a) only the inserts, of blocks that were built before; the loader from its start to the last confirmed row,
//! reading, decoding, enriching, building, sealing, inserting and counting; the consumer from its start to its last
//! answer. Everything runs on the same processors, and merges of earlier parts go on meanwhile in all three.

use crate::market::{self, Feed, RECORDER};
use crate::rows::for_each_tick;
use crate::services::{self, ClickHouse, ask, drop_database};
use crate::usage::{cpu_seconds, machine, peak_memory};
use anyhow::{Context as _, bail, ensure};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tickhouse_embed::{Redis, RedisOptions};
use tickhouse_enrich::Calendar;
use tickhouse_journal::{Journal, JournalOptions};
use tickhouse_load::{Loader, LoaderOptions};
use tickhouse_model::{Observed, Timestamp};
use tickhouse_store::{Deduplicate, InsertId, NativeBlock, Partition, Store, TickColumns, batch_id};
use tickhouse_stream::{FlatLevel, FlatTick, Publisher, PublisherOptions, RedisOptions as StreamOptions};
use tickhouse_telemetry::Clock;
use tokio::sync::watch;

/// Entries for the brief's consumer.
const FLAT_ENTRIES: usize = 50_000;
/// The stream that the brief's consumer reads.
const FLAT_STREAM: &str = "zerodha_ticks";

pub(crate) async fn run(
    tickhouse: &Path,
    python: Option<&Path>,
    ticks: usize,
    batch_rows: usize,
) -> anyhow::Result<()> {
    println!("catch-up: {ticks} ticks, batches of {batch_rows} rows; {}", machine());
    let feed = market::record(ticks).await?;
    let clickhouse = ClickHouse::start(tickhouse).await?;
    let redis_dir = tempfile::tempdir()?;
    let options = RedisOptions { port: 0, memory_bytes: 0, ..RedisOptions::new(redis_dir.path()) };
    let redis = Redis::start(options).await?;
    let streams = StreamOptions { flat_streams: Vec::new(), ..StreamOptions::at(redis.url()) };
    publish(&feed, &streams).await?;

    let store = clickhouse.database("bare").await?;
    let before = cpu_seconds(clickhouse.engine.pid().unwrap_or(0));
    let bare = bare_insert(&store, &feed, batch_rows).await?;
    let used = cpu_seconds(clickhouse.engine.pid().unwrap_or(0)) - before;
    let sum = checksum(&store).await?;
    drop_database(&store).await?;
    println!("bare Native insert: {bare:.0} rows/s; clickhouse used {used:.1} processor seconds");

    let store = clickhouse.database("catch_up").await?;
    let pids = [std::process::id(), redis.pid().unwrap_or(0), clickhouse.engine.pid().unwrap_or(0)];
    let before = pids.map(cpu_seconds);
    let (loaded, seconds) = load(&store, &feed, streams, batch_rows).await?;
    let used: Vec<f64> = pids.iter().zip(before).map(|(pid, before)| cpu_seconds(*pid) - before).collect();
    ensure!(checksum(&store).await? == sum, "the loader stored other values than the bare insert");
    let statements = where_time_goes(&store).await?;
    drop_database(&store).await?;
    println!("loader: {loaded:.0} rows/s, {:.2} of the bare insert", loaded / bare);
    println!(
        "  processor seconds of {seconds:.1} s on the clock: loader {:.1}, redis {:.1}, clickhouse {:.1}; redis {} MB at most",
        used[0],
        used[1],
        used[2],
        peak_memory(pids[1]) / 1_000_000
    );

    println!("  statements of the loader (times, seconds on the clock, seconds of processor):\n{statements}");

    let Some(python) = python else {
        println!("no Python: the brief's consumer was not measured");
        return Ok(());
    };
    clickhouse.database("brief").await?;
    add_flat_entries(&feed, &redis.url()).await?;
    let brief = brief_consumer(python, redis.port(), clickhouse.engine.http_port())?;
    println!("the brief's consumer: {brief:.0} rows/s; the loader is {:.0} times as fast", loaded / brief);
    Ok(())
}

/// The feed into Redis the way of a recorder: journal, publisher.
async fn publish(feed: &Feed, streams: &StreamOptions) -> anyhow::Result<()> {
    let directory = tempfile::tempdir()?;
    let clock = Clock::system();
    let journal = Journal::open(directory.path(), RECORDER, JournalOptions::default(), clock.clone())?;
    let sockets = feed.records.iter().map(|record| record.id.socket).max().context("no records")?;
    let (mut senders, mut publishers) = (Vec::new(), Vec::new());
    for number in 0..=sockets {
        let socket = journal.start_socket(number)?;
        let options = PublisherOptions::default();
        let (dir, position) = (directory.path(), socket.position.clone());
        let (publisher, _) =
            Publisher::new(streams.clone(), options, dir, RECORDER, number, position, clock.clone())?;
        publishers.push(tokio::spawn(publisher.run(std::future::pending())));
        senders.push(socket.sender);
    }
    for record in &feed.records {
        let observed = Observed {
            received_at: record.received_at,
            kind: record.kind,
            snapshots: record.snapshots.clone(),
            payload: record.payload.clone(),
        };
        senders[usize::from(record.id.socket)].send(observed).await?;
    }
    drop(senders);
    drop(journal);
    for publisher in publishers {
        publisher.await?;
    }
    Ok(())
}

/// Rows per second of inserts over one connection, of blocks that are there.
async fn bare_insert(store: &Store, feed: &Feed, batch_rows: usize) -> anyhow::Result<f64> {
    let blocks = blocks(feed, batch_rows)?;
    let started = Instant::now();
    for (number, block) in blocks.iter().enumerate() {
        let id = InsertId { batch_id: batch_id("bare", 1, number as u64), part: "tick_data" };
        store.insert_block("tick_data", block, id, Deduplicate::ByToken).await?;
    }
    let seconds = started.elapsed().as_secs_f64();
    let rows: usize = blocks.iter().map(NativeBlock::rows).sum();
    ensure!(ask(store, "SELECT count() FROM tick_data").await? == rows.to_string(), "rows are missing");
    Ok(rows as f64 / seconds)
}

fn blocks(feed: &Feed, batch_rows: usize) -> anyhow::Result<Vec<NativeBlock>> {
    let mut blocks = Vec::new();
    let mut columns: Option<TickColumns> = None;
    for_each_tick(feed, |tick| {
        let partition = Partition::of(tick.timestamp);
        let columns_of_block = columns.get_or_insert_with(|| {
            TickColumns::new(partition, batch_id("bare", 1, blocks.len() as u64), Timestamp::NONE)
        });
        columns_of_block.push(&tick);
        if columns_of_block.rows() == batch_rows
            && let Some(full) = columns.take()
        {
            blocks.push(full.finish());
        }
    })?;
    blocks.extend(columns.map(TickColumns::finish));
    Ok(blocks)
}

/// The same for the same rows, whatever batch they came in.
async fn checksum(store: &Store) -> anyhow::Result<String> {
    let sql = "SELECT count(), sum(cityHash64(socket, sequence, packet_index, instrument_token, symbol, timestamp, last_price, \
               volume, bid_1_price, bid_5_quantity, ask_5_price, ask_5_orders, expiry, strike, exchange_timestamp)) FROM tick_data";
    ask(store, sql).await
}

/// Rows per second of the loader, and how long it took.
async fn load(
    store: &Store,
    feed: &Feed,
    redis: StreamOptions,
    batch_rows: usize,
) -> anyhow::Result<(f64, f64)> {
    let (_keep, instruments) = watch::channel(Arc::clone(&feed.instruments));
    let options = LoaderOptions { redis, batch_rows, ..LoaderOptions::default() };
    let started = Instant::now();
    let calendar = Arc::new(Calendar::always_open());
    let loader = Loader::start(options, store.clone(), Clock::system(), instruments, calendar);
    while loader.counters().ticks_stored < feed.packets as u64 {
        if started.elapsed() > Duration::from_mins(10) {
            bail!("the loader does not end: {:?} {:?}", loader.counters(), loader.state());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let seconds = started.elapsed().as_secs_f64();
    loader.stop().await;
    Ok((feed.packets as f64 / seconds, seconds))
}

/// What the engine was asked, from its query log.
async fn where_time_goes(store: &Store) -> anyhow::Result<String> {
    services::run(store, "SYSTEM FLUSH LOGS").await?;
    let sql = "SELECT '    ' || replaceRegexpOne(substring(normalizeQuery(query), 1, 60), '\\\\s*\\\\(.*', '') AS statement, \
               count(), round(sum(query_duration_ms) / 1000, 2) AS seconds, \
               round(sum(ProfileEvents['OSCPUVirtualTimeMicroseconds']) / 1e6, 2) \
               FROM system.query_log WHERE type = 'QueryFinish' AND current_database = currentDatabase() \
               AND query_kind IN ('Insert', 'Select') GROUP BY statement ORDER BY seconds DESC LIMIT 8";
    ask(store, sql).await
}

/// The first ticks of the feed as the brief's crawler adds them.
async fn add_flat_entries(feed: &Feed, url: &str) -> anyhow::Result<()> {
    let mut entries = Vec::with_capacity(FLAT_ENTRIES);
    for_each_tick(feed, |tick| {
        if entries.len() < FLAT_ENTRIES {
            entries.push(flat(&tick).to_fields());
        }
    })?;
    let mut connection = redis::Client::open(url)?.get_multiplexed_async_connection().await?;
    for some in entries.chunks(500) {
        let mut pipe = redis::pipe();
        for fields in some {
            pipe.cmd("XADD").arg(FLAT_STREAM).arg("*");
            fields.iter().for_each(|(name, value)| {
                pipe.arg(name).arg(value);
            });
            pipe.ignore();
        }
        pipe.query_async::<()>(&mut connection).await?;
    }
    Ok(())
}

fn flat(tick: &tickhouse_store::Tick<'_>) -> FlatTick {
    let level = |level: tickhouse_store::TickLevel| FlatLevel {
        price: level.price,
        quantity: level.quantity,
        orders: level.orders,
    };
    FlatTick {
        instrument_token: tick.token.0,
        symbol: tick.instrument.symbol.to_owned(),
        exchange: tick.instrument.exchange.to_owned(),
        timestamp: tick.timestamp,
        exchange_timestamp: tick.exchange_timestamp,
        last_price: tick.last_price,
        open_price: tick.open_price,
        high_price: tick.high_price,
        low_price: tick.low_price,
        close_price: tick.close_price,
        average_traded_price: tick.average_traded_price,
        volume: tick.volume,
        last_traded_quantity: tick.last_traded_quantity,
        total_buy_quantity: tick.total_buy_quantity,
        total_sell_quantity: tick.total_sell_quantity,
        open_interest: tick.open_interest,
        oi_day_high: tick.oi_day_high,
        oi_day_low: tick.oi_day_low,
        bids: tick.bids.map(level),
        asks: tick.asks.map(level),
        packet_type: tick.packet_type.to_owned(),
        session_type: tick.session_type,
        data_quality: tick.data_quality,
        ..FlatTick::default()
    }
}

/// Rows per second of the brief's consumer, repaired.
fn brief_consumer(python: &Path, redis_port: u16, clickhouse_port: u16) -> anyhow::Result<f64> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/python/brief_consumer.py");
    let output = Command::new(python)
        .arg(script)
        .args([redis_port.to_string(), clickhouse_port.to_string(), "brief".to_owned()])
        .args([FLAT_STREAM.to_owned(), FLAT_ENTRIES.to_string()])
        .stderr(std::process::Stdio::inherit())
        .output()
        .with_context(|| format!("{} can't be run", python.display()))?;
    ensure!(output.status.success(), "the brief's consumer failed");
    String::from_utf8(output.stdout)?.trim().parse().context("the brief's consumer printed no rate")
}
