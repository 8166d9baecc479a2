//! 400,000 tokens from a 136 MB `token_lookup_enriched.json` into ClickHouse and into memory, beside the brief's way: `json.load`
//! and inserts of 1,000 rows.

use crate::services::{ClickHouse, ask};
use crate::{token_lookup, usage};
use anyhow::{Context as _, ensure};
use std::fs::File;
use std::hint::black_box;
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use tickhouse_enrich::{InstrumentTable, InstrumentTableBuilder};
use tickhouse_model::Token;
use tickhouse_store::Store;

/// Look-ups of a turn.
const LOOKUPS: usize = 5_000_000;
/// What the loader keeps.
const DAYS_BACK: u16 = 15;

/// Writes the file.
pub(crate) fn generate(out: &Path, count: usize) -> anyhow::Result<()> {
    let file = File::create(out).with_context(|| format!("{} can't be written", out.display()))?;
    let mut file = BufWriter::with_capacity(1 << 20, file);
    token_lookup::write(&mut file, u32::try_from(count)?)?;
    Ok(file.flush()?)
}

/// Measures everything.
pub(crate) async fn run(tickhouse: &Path, python: Option<&Path>, count: usize) -> anyhow::Result<()> {
    println!("{}", usage::machine());
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("token_lookup_enriched.json");
    generate(&file, count)?;
    println!("{count} tokens, {:.1} MB", std::fs::metadata(&file)?.len() as f64 / 1e6);
    let clickhouse = ClickHouse::start(tickhouse).await?;
    let store = clickhouse.database("trading").await?;
    for what in ["into empty tables", "again, nothing changed"] {
        let (took, peak) = load(tickhouse, &clickhouse.engine.url(), &file, directory.path())?;
        println!(
            "tickhouse instruments load, {what}: {:.2} s, peak {:.0} MB",
            took.as_secs_f64(),
            peak as f64 / 1e6
        );
        let stored =
            ask(&store, "SELECT (SELECT count() FROM token_metadata), (SELECT count() FROM instruments)")
                .await?;
        ensure!(stored == format!("{count}\t{count}"), "stored: {stored}");
    }
    in_memory(&store, count).await?;
    search(&store).await?;
    if let Some(python) = python {
        let store = clickhouse.database("brief").await?;
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/python/brief_token_metadata.py");
        let output = Command::new(python)
            .arg(script)
            .arg(clickhouse.engine.http_port().to_string())
            .arg("brief")
            .arg(&file)
            .output()?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        print!("{}", String::from_utf8_lossy(&output.stdout));
        let stored = ask(&store, "SELECT count() FROM token_metadata FINAL").await?;
        ensure!(stored == count.to_string(), "stored by Python: {stored}");
    }
    Ok(())
}

/// Runs the program, and gives its time and the most memory that it was seen to have.
fn load(tickhouse: &Path, url: &str, file: &Path, folder: &Path) -> anyhow::Result<(Duration, u64)> {
    let started = Instant::now();
    let mut child = Command::new(tickhouse)
        .args(["instruments", "load", "--date", "2026-11-20", "--json", "--clickhouse-url", url])
        .arg(file)
        .current_dir(folder)
        .stdout(Stdio::null())
        .spawn()?;
    let mut peak = 0;
    loop {
        peak = peak.max(usage::peak_memory(child.id()));
        if let Some(status) = child.try_wait()? {
            ensure!(status.success(), "tickhouse instruments load: {status}");
            return Ok((started.elapsed(), peak));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

async fn in_memory(store: &Store, count: usize) -> anyhow::Result<()> {
    let lately = read(store, token_lookup::TODAY - DAYS_BACK).await?;
    println!(
        "table of the last {DAYS_BACK} days from ClickHouse: {} instruments, {:.2} s",
        lately.0.len(),
        lately.1.as_secs_f64()
    );
    let (table, took) = read(store, 0).await?;
    ensure!(table.len() == count, "{} of {count} instruments", table.len());
    let bytes = table.memory_bytes() as f64 / count as f64;
    println!("table of all from ClickHouse: {:.2} s, {bytes:.1} bytes an instrument", took.as_secs_f64());
    let all: Vec<(Token, u16)> = table
        .iter()
        .map(|it| (it.token, if it.expiry_days == 0 { token_lookup::TODAY } else { it.expiry_days }))
        .collect();
    let key: Vec<_> = all.iter().copied().step_by((count / 9_000).max(1)).collect();
    for (what, tokens) in [("9,000 tokens", &key), ("all tokens", &all)] {
        println!("look-up by day, {what} at random: {:.1} ns", nanos(&table, tokens));
    }
    Ok(())
}

async fn read(store: &Store, since: u16) -> anyhow::Result<(InstrumentTable, Duration)> {
    let started = Instant::now();
    let mut builder = InstrumentTableBuilder::new();
    let mut cursor = store.instruments_since(since)?;
    while let Some(version) = cursor.next().await? {
        builder.add_version(version.instrument, version.valid_from, version.valid_to)?;
    }
    Ok((builder.finish(), started.elapsed()))
}

fn nanos(table: &InstrumentTable, tokens: &[(Token, u16)]) -> f64 {
    let mut state = 1_u64;
    let order: Vec<(Token, u16)> = (0..1 << 20)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            tokens[(state >> 33) as usize % tokens.len()]
        })
        .collect();
    let started = Instant::now();
    let mut found = 0;
    for number in 0..LOOKUPS {
        let (token, day) = black_box(order[number & (order.len() - 1)]);
        found += usize::from(table.get_on(token, day).is_some_and(|it| black_box(it).lot_size > 0));
    }
    assert_eq!(found, LOOKUPS, "every token is known on its day");
    started.elapsed().as_nanos() as f64 / LOOKUPS as f64
}

async fn search(store: &Store) -> anyhow::Result<()> {
    let search = tickhouse_store::InstrumentSearch {
        text: "nifty 26000 ce".to_owned(),
        today: token_lookup::TODAY,
        limit: 20,
        ..Default::default()
    };
    let started = Instant::now();
    let found = store.search_instruments(&search).await?;
    ensure!(!found.is_empty(), "the search found nothing");
    println!("search over all: {:.0} ms", started.elapsed().as_secs_f64() * 1e3);
    Ok(())
}
