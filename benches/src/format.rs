//! Insert formats: the same rows as Native, `RowBinary` and Arrow into the same table with the same views, by HTTP over one
//! connection, a batch a request.
//!
//! Timed: making the bytes from ticks (not for Arrow: there the engine made them, since this workspace keeps Arrow out) and,
//! apart from that, the requests. The median of the rounds, in which the formats take turns, each into an empty table.

use crate::market;
use crate::row_binary::{self, BatchValues};
use crate::rows::for_each_tick;
use crate::services::{ClickHouse, ask, drop_database};
use crate::usage::machine;
use anyhow::ensure;
use bytes::Bytes;
use std::path::Path;
use std::time::{Duration, Instant};
use tickhouse_model::Timestamp;
use tickhouse_store::{Partition, Store, TICK_COLUMNS, Tick, TickColumns, batch_id};

const ROUNDS: usize = 3;
const BATCH_ROWS: usize = 50_000;

/// Batches in one format, as the pieces that are sent.
struct Prepared {
    format: &'static str,
    batches: Vec<Vec<Bytes>>,
    made_in: Option<Duration>,
}

impl Prepared {
    fn bytes(&self) -> usize {
        self.batches.iter().flatten().map(Bytes::len).sum()
    }
}

pub(crate) async fn run(tickhouse: &Path, rows: usize) -> anyhow::Result<()> {
    println!("format: {rows} rows in batches of {BATCH_ROWS}, median of {ROUNDS} rounds; {}", machine());
    let feed = market::record(rows).await?;
    let clickhouse = ClickHouse::start(tickhouse).await?;
    let mut ticks = Vec::with_capacity(feed.packets);
    for_each_tick(&feed, |tick| ticks.push(tick))?;
    ticks.truncate(rows);
    let mut all = vec![native(&ticks), row_binary(&ticks)];
    let store = clickhouse.database("format_source").await?;
    insert(&store, &all[0]).await?;
    let expected = checksum(&store).await?;
    all.push(arrow(&store).await?);
    drop_database(&store).await?;

    let mut times = vec![Vec::new(); all.len()];
    for round in 0..ROUNDS {
        for (prepared, times) in all.iter().zip(&mut times) {
            let store = clickhouse.database(&format!("format_{round}_{}", prepared.format)).await?;
            times.push(insert(&store, prepared).await?);
            ensure!(checksum(&store).await? == expected, "{} stored other values", prepared.format);
            drop_database(&store).await?;
        }
    }
    println!("| format | bytes a row | rows/s inserted | rows/s made, one core |\n|---|---|---|---|");
    for (prepared, mut times) in all.iter().zip(times) {
        times.sort();
        let rate = |took: Duration| format!("{:.0}", rows as f64 / took.as_secs_f64());
        println!(
            "| {} | {} | {} | {} |",
            prepared.format,
            prepared.bytes() / rows,
            rate(times[ROUNDS / 2]),
            prepared.made_in.map_or("by the engine".to_owned(), rate)
        );
    }
    Ok(())
}

fn batch_values(number: usize, ticks: &[Tick<'_>]) -> BatchValues {
    let partition = Partition::of(ticks.first().map_or(Timestamp::NONE, |tick| tick.timestamp));
    BatchValues { partition, batch_id: batch_id("format", 1, number as u64), processed_at: Timestamp::NONE }
}

fn native(ticks: &[Tick<'_>]) -> Prepared {
    let started = Instant::now();
    let batches = ticks.chunks(BATCH_ROWS).enumerate().map(|(number, ticks)| {
        let values = batch_values(number, ticks);
        let mut columns = TickColumns::new(values.partition, values.batch_id, values.processed_at);
        ticks.iter().for_each(|tick| columns.push(tick));
        columns.finish().chunks().to_vec()
    });
    let batches = batches.collect();
    Prepared { format: "Native", batches, made_in: Some(started.elapsed()) }
}

fn row_binary(ticks: &[Tick<'_>]) -> Prepared {
    let started = Instant::now();
    let batches = ticks.chunks(BATCH_ROWS).enumerate().map(|(number, ticks)| {
        let values = batch_values(number, ticks);
        let mut bytes = Vec::new();
        ticks.iter().for_each(|tick| row_binary::push(&mut bytes, tick, &values));
        vec![Bytes::from(bytes)]
    });
    let batches = batches.collect();
    Prepared { format: "RowBinary", batches, made_in: Some(started.elapsed()) }
}

/// What the engine makes of the rows, batch by batch, in the order of their arrival.
async fn arrow(store: &Store) -> anyhow::Result<Prepared> {
    let mut batches = Vec::new();
    for id in ask(store, "SELECT DISTINCT batch_id FROM tick_data ORDER BY batch_id").await?.lines() {
        let sql = format!(
            "SELECT {} FROM tick_data WHERE batch_id = '{id}' ORDER BY timestamp, socket, sequence, packet_index \
             SETTINGS output_format_arrow_low_cardinality_as_dictionary = 1, \
             output_format_arrow_compression_method = 'none', max_block_size = {BATCH_ROWS}",
            column_names()
        );
        batches.push(vec![store.client().query_raw(&sql).fetch_bytes("Arrow")?.collect().await?]);
    }
    Ok(Prepared { format: "Arrow", batches, made_in: None })
}

fn column_names() -> String {
    TICK_COLUMNS.iter().map(|column| format!("`{}`", column.name)).collect::<Vec<_>>().join(", ")
}

/// How long the requests took.
async fn insert(store: &Store, prepared: &Prepared) -> anyhow::Result<Duration> {
    let sql = format!("INSERT INTO tick_data ({}) FORMAT {}", column_names(), prepared.format);
    let started = Instant::now();
    for batch in &prepared.batches {
        let mut insert = store.insert_client().insert_formatted_with(sql.clone());
        for chunk in batch {
            insert.send(chunk.clone()).await?;
        }
        insert.end().await?;
    }
    Ok(started.elapsed())
}

/// The same for the same rows in any order, all columns.
async fn checksum(store: &Store) -> anyhow::Result<String> {
    ask(store, "SELECT count(), sum(cityHash64(*)) FROM tick_data").await
}
