//! Measures what each column of `tick_data` costs under each codec, the whole schema as it is, and what indexes, projection
//! and views cost at an insert. The results stand in docs/schema-codecs.md.
//!
//! `cargo run --release -p tickhouse-store --example codecs [-- INSTRUMENTS SECONDS [costs]]`

mod market;

use market::{Dice, Instrument};
use std::collections::BTreeMap;
use std::time::Instant;
use tickhouse_embed::testkit::TestEngine;
use tickhouse_model::Timestamp;
use tickhouse_store::{
    Deduplicate, InsertId, Partition, Partitioning, SchemaOptions, Store, StoreOptions, TickColumns,
    batch_id, migrate,
};

/// 2025-11-20, 10:00 India.
const BEGIN: i64 = 1_763_613_000;

const CODECS: [&str; 12] = [
    "LZ4",
    "ZSTD(1)",
    "ZSTD(3)",
    "ZSTD(6)",
    "Delta, ZSTD(1)",
    "Delta, ZSTD(3)",
    "DoubleDelta, ZSTD(1)",
    "T64, ZSTD(1)",
    "T64('bit'), ZSTD(1)",
    "GCD, ZSTD(1)",
    "GCD, T64, ZSTD(1)",
    "FPC(12), ZSTD(1)",
];

type AnyError = Box<dyn std::error::Error>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), AnyError> {
    let mut numbers = std::env::args().skip(1).take(2).map(|word| word.parse::<u32>());
    let instruments = numbers.next().transpose()?.unwrap_or(300);
    let seconds = i64::from(numbers.next().transpose()?.unwrap_or(3_600));
    let engine = TestEngine::start().await;
    let store = made(&engine, "codecs").await?;
    // bars are not what is measured here, and filling is quicker without
    run(&store, "DROP VIEW tick_data_1min_feed").await?;
    let rows = fill(&store, instruments, seconds).await?;
    optimise(&store, "tick_data").await?;
    println!("{rows} rows of {instruments} instruments over {seconds} s\n");

    let columns = ask(&store, "SELECT name, type, compression_codec FROM system.columns WHERE database = currentDatabase() AND table = 'tick_data' ORDER BY position").await?;
    let now = sizes(&store, "tick_data", rows).await?;
    let mut trials = Vec::new();
    for codec in CODECS {
        trials.push(trial(&store, &columns, codec, rows).await?);
    }
    println!("| column | schema | {} |", CODECS.join(" | "));
    println!("|---|---|{}", "---|".repeat(CODECS.len()));
    for line in columns.lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        let cells: Vec<String> = trials
            .iter()
            .map(|trial| trial.get(fields[0]).map_or(String::new(), |size| format!("{size:.3}")))
            .collect();
        println!("| {} | {:.3} {} | {} |", fields[0], now[fields[0]], fields[2], cells.join(" | "));
    }
    println!("\ncolumns together: {:.2} B/row", now.values().sum::<f64>());
    let whole = ask(&store, "SELECT sum(bytes_on_disk) FROM system.parts WHERE active AND database = currentDatabase() AND table = 'tick_data'").await?;
    println!("on disk with marks, indexes and projection: {:.2} B/row", whole.parse::<f64>()? / rows as f64);
    if std::env::args().nth(3).as_deref() == Some("costs") { insert_costs(&engine).await } else { Ok(()) }
}

async fn made(engine: &TestEngine, database: &str) -> Result<Store, AnyError> {
    let options = StoreOptions { database: database.to_owned(), ..StoreOptions::at(engine.url()) };
    let store = Store::new(options);
    migrate(&store, SchemaOptions { partitioning: Partitioning::Hour }, false).await?;
    Ok(store)
}

/// One batch a second, as a loader makes them.
async fn fill(store: &Store, instruments: u32, seconds: i64) -> Result<u64, AnyError> {
    let mut dice = Dice(7);
    let mut market: Vec<Instrument> =
        (0..instruments).map(|number| Instrument::new(number, &mut dice)).collect();
    let (mut rows, mut sequence) = (0, 1_000_000);
    for second in 0..seconds {
        let now = BEGIN + second;
        let begin = Timestamp::from_millis(now * 1000);
        let number = second as u64 + 1;
        let id = batch_id("main", 42, number);
        let processed = Timestamp::from_millis(now * 1000 + 1_000 + dice.roll(80) as i64);
        let mut columns = TickColumns::new(Partition::of(begin), id, processed);
        for (place, instrument) in market.iter_mut().enumerate() {
            if dice.roll(100) < 10 {
                continue;
            }
            instrument.step(now, &mut dice);
            if place % 20 == 0 {
                sequence += 1;
            }
            // the place of an instrument in its frames moves a little
            let packet = (place % 20) as u64 + dice.roll(3);
            columns.push(&instrument.tick(
                now * 1000 + (place as i64 * 900 / i64::from(instruments)) + dice.roll(60) as i64,
                sequence,
                packet as u16,
            ));
        }
        rows += columns.rows() as u64;
        store
            .insert_block(
                "tick_data",
                &columns.finish(),
                InsertId { batch_id: id, part: "t" },
                Deduplicate::ByToken,
            )
            .await?;
    }
    Ok(rows)
}

async fn trial(
    store: &Store,
    columns: &str,
    codec: &str,
    rows: u64,
) -> Result<BTreeMap<String, f64>, AnyError> {
    let mut definitions = Vec::new();
    let mut names = Vec::new();
    for line in columns.lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        let sql_type = fields[1].replace("\\'", "'");
        let applied =
            if sql_type == "UUID" { codec.replace("Delta,", "Delta(8),") } else { codec.to_owned() };
        let definition = format!("`{}` {sql_type} CODEC({applied})", fields[0]);
        let probe = format!("CREATE TABLE probe ({definition}) ENGINE = MergeTree ORDER BY tuple()");
        run(store, "DROP TABLE IF EXISTS probe").await?;
        if run(store, &probe).await.is_ok() {
            definitions.push(definition);
            names.push(fields[0]);
        }
    }
    run(store, "DROP TABLE IF EXISTS trial").await?;
    let definitions = definitions.join(", ");
    run(store, &format!("CREATE TABLE trial ({definitions}) ENGINE = MergeTree ORDER BY tuple()")).await?;
    let names = names.join(", ");
    run(
        store,
        &format!(
            "INSERT INTO trial SELECT {names} FROM tick_data ORDER BY instrument_token, timestamp, exchange_timestamp \
             SETTINGS async_insert = 0, max_insert_threads = 1, min_insert_block_size_rows = 1000000"
        ),
    )
    .await?;
    optimise(store, "trial").await?;
    sizes(store, "trial", rows).await
}

async fn sizes(store: &Store, table: &str, rows: u64) -> Result<BTreeMap<String, f64>, AnyError> {
    let sql = format!(
        "SELECT name, data_compressed_bytes FROM system.columns WHERE database = currentDatabase() AND table = '{table}'"
    );
    let mut sizes = BTreeMap::new();
    for line in ask(store, &sql).await?.lines() {
        let (name, bytes) = line.split_once('\t').ok_or("two columns were asked for")?;
        sizes.insert(name.to_owned(), bytes.parse::<f64>()? / rows as f64);
    }
    Ok(sizes)
}

/// What a batch of 9,000 ticks costs the engine, with everything and with less.
async fn insert_costs(engine: &TestEngine) -> Result<(), AnyError> {
    const LESS: [(&str, &[&str]); 4] = [
        ("everything", &[]),
        ("without views", &["DROP VIEW tick_data_1min_feed", "DROP VIEW indices_data_feed"]),
        ("and without the projection", &["ALTER TABLE tick_data DROP PROJECTION batch_rows"]),
        (
            "and without indexes",
            &[
                "ALTER TABLE tick_data DROP INDEX symbol_idx",
                "ALTER TABLE tick_data DROP INDEX timestamp_idx",
            ],
        ),
    ];
    println!("| insert of 9,000 ticks | ms, mean of 60 |\n|---|---|");
    for (upto, (what, _)) in LESS.iter().enumerate() {
        let store = made(engine, &format!("cost_{upto}")).await?;
        for statement in LESS[..=upto].iter().flat_map(|(_, statements)| *statements) {
            run(&store, statement).await?;
        }
        let start = Instant::now();
        fill(&store, 10_000, 60).await?;
        let all = start.elapsed();
        // the same without the engine: what making the rows costs here
        let start = Instant::now();
        make_only(10_000, 60);
        let took = all.saturating_sub(start.elapsed()).as_secs_f64() * 1000.0 / 60.0;
        println!("| {what} | {took:.1} |");
    }
    Ok(())
}

fn make_only(instruments: u32, seconds: i64) {
    let mut dice = Dice(7);
    let mut market: Vec<Instrument> =
        (0..instruments).map(|number| Instrument::new(number, &mut dice)).collect();
    for second in 0..seconds {
        let begin = Timestamp::from_millis((BEGIN + second) * 1000);
        let mut columns = TickColumns::new(Partition::of(begin), batch_id("main", 42, second as u64), begin);
        for instrument in market.iter_mut().take(instruments as usize * 9 / 10) {
            instrument.step(BEGIN + second, &mut dice);
            columns.push(&instrument.tick(begin.as_millis(), 1, 1));
        }
        std::hint::black_box(columns.finish());
    }
}

async fn optimise(store: &Store, table: &str) -> Result<(), AnyError> {
    run(store, &format!("OPTIMIZE TABLE {table} FINAL")).await
}

async fn run(store: &Store, sql: &str) -> Result<(), AnyError> {
    Ok(store.client().query_raw(sql).execute().await?)
}

async fn ask(store: &Store, sql: &str) -> Result<String, AnyError> {
    let bytes = store.client().query_raw(sql).fetch_bytes("TabSeparated")?.collect().await?;
    Ok(String::from_utf8(bytes.to_vec())?.trim_end().to_owned())
}
