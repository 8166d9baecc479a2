//! Bytes per stored tick on the simulator's market, beside the brief's table with the same rows.
//!
//! The market of three sockets at 20,000 packets a second, stored as a loader does: one batch a second of the market's time.
//! Then both tables are brought to one part each by OPTIMIZE FINAL.

use crate::market;
use crate::rows::for_each_tick;
use crate::services::{ClickHouse, ask, run as execute};
use crate::usage::machine;
use anyhow::{Context as _, ensure};
use std::path::Path;
use tickhouse_model::Timestamp;
use tickhouse_store::{Deduplicate, InsertId, Partition, Store, TickColumns, batch_id};

/// The brief's own, without `SETTINGS compression = 'lz4'`, which no server knows; LZ4 is the default.
const BRIEF: &str = include_str!("brief_tick_data.sql");

pub(crate) async fn run(tickhouse: &Path, ticks: usize) -> anyhow::Result<()> {
    println!("bytes: {ticks} ticks; {}", machine());
    let feed = market::record(ticks).await?;
    let clickhouse = ClickHouse::start(tickhouse).await?;
    let store = clickhouse.database("bytes").await?;
    // bars are not what is measured here
    execute(&store, "DROP VIEW tick_data_1min_feed").await?;
    fill(&store, &feed).await?;
    execute(&store, BRIEF).await?;
    let columns = ask(
        &store,
        "SELECT arrayStringConcat(groupArray(name), ', ') FROM (SELECT name FROM system.columns \
         WHERE database = currentDatabase() AND table = 'brief' ORDER BY position)",
    )
    .await?;
    let copy = format!("INSERT INTO brief ({columns}) SELECT {columns} FROM tick_data");
    execute(&store, &copy).await?;
    println!("| table | bytes a tick on disk | of columns only | rows | parts |\n|---|---|---|---|---|");
    for table in ["tick_data", "brief"] {
        execute(&store, &format!("OPTIMIZE TABLE {table} FINAL")).await?;
        let sql = format!(
            "SELECT sum(bytes_on_disk) / sum(rows), sum(data_compressed_bytes) / sum(rows), sum(rows), count() \
             FROM system.parts WHERE active AND database = currentDatabase() AND table = '{table}'"
        );
        let answer = ask(&store, &sql).await?;
        let cells: Vec<&str> = answer.split('\t').collect();
        let number = |cell: &str| cell.parse::<f64>().context("no number of bytes");
        println!(
            "| {table} | {:.2} | {:.2} | {} | {} |",
            number(cells[0])?,
            number(cells[1])?,
            cells[2],
            cells[3]
        );
        ensure!(cells[2] == feed.packets.to_string(), "{table} has {} rows of {}", cells[2], feed.packets);
    }
    let sql = "SELECT name, round(data_compressed_bytes / (SELECT count() FROM tick_data), 2) AS bytes FROM system.columns \
               WHERE database = currentDatabase() AND table = 'tick_data' ORDER BY data_compressed_bytes DESC LIMIT 12";
    println!("largest columns of tick_data:\n{}", ask(&store, sql).await?);
    Ok(())
}

async fn fill(store: &Store, feed: &market::Feed) -> anyhow::Result<()> {
    let mut blocks = Vec::new();
    let mut columns: Option<(i64, TickColumns)> = None;
    for_each_tick(feed, |tick| {
        let second = tick.timestamp.as_seconds();
        if columns.as_ref().is_none_or(|(of, _)| *of != second) {
            blocks.extend(columns.take().map(|(_, columns)| columns.finish()));
            let id = batch_id("bytes", 1, blocks.len() as u64 + 1);
            let processed_at = Timestamp::from_millis(second * 1_000 + 1_000);
            columns = Some((second, TickColumns::new(Partition::of(tick.timestamp), id, processed_at)));
        }
        if let Some((_, columns)) = &mut columns {
            columns.push(&tick);
        }
    })?;
    blocks.extend(columns.map(|(_, columns)| columns.finish()));
    for (number, block) in blocks.iter().enumerate() {
        let id = InsertId { batch_id: batch_id("bytes", 1, number as u64 + 1), part: "tick_data" };
        store.insert_block("tick_data", block, id, Deduplicate::ByToken).await?;
    }
    Ok(())
}
