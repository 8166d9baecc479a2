//! A Redis of mixed keys into ClickHouse, killed twice on the way: `cargo run --release -p tickhouse-legacy-redis --example
//! million [keys]`. Checks that every record is stored once, and prints times and memory.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "an example for the terminal")]

#[path = "../tests/it/market.rs"]
mod market;

use market::{Writer, instruments};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tickhouse_embed::testkit::{TestEngine, TestRedis};
use tickhouse_enrich::Calendar;
use tickhouse_legacy_redis::{Import, ImportOptions, Names, Phase, Progress, Rules};
use tickhouse_load::{Loader, LoaderOptions};
use tickhouse_store::{SchemaOptions, Store, StoreOptions, migrate};
use tickhouse_stream::{Control, RedisOptions};
use tickhouse_telemetry::Clock;
use tokio::sync::watch;

async fn import(source: &str, target: &str, folder: &Path) {
    let options = ImportOptions {
        source: source.to_owned(),
        dbs: vec![0, 1, 2],
        name: "old".to_owned(),
        folder: folder.to_owned(),
        rules: Rules::default(),
        dry_run: false,
        longest_stream: 200_000,
    };
    let control = Control::new(RedisOptions::at(target)).unwrap();
    let names = Names::new(&instruments());
    let mut last = (Phase::Scanning, Instant::now());
    let told = |Progress { phase, done, .. }: Progress| {
        if phase != last.0 || last.1.elapsed() > Duration::from_millis(100) {
            last = (phase, Instant::now());
            println!("={phase:?} {done}");
            std::io::stdout().flush().unwrap();
        }
    };
    let report = Import::new(options).unwrap().run(&control, &names, told).await.unwrap();
    let peak = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = peak.lines().find(|line| line.starts_with("VmHWM")).unwrap_or_default().to_owned();
    println!("=end {} records, {} skipped, {peak}", report.records, report.skipped);
}

/// Runs an import as a process, and kills it in this phase.
fn child(arguments: &[&str], kill_in: Option<(Phase, u64)>) {
    let began = Instant::now();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(arguments)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    for line in BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok) {
        let done = kill_in.and_then(|(phase, least)| {
            let done = line.strip_prefix(&format!("={phase:?} "))?.parse::<u64>().ok()?;
            (done >= least).then_some(done)
        });
        if let Some(done) = done {
            child.kill().unwrap();
            println!("killed after {:.1?}: {:?} {done}", began.elapsed(), kill_in.unwrap().0);
            break;
        }
        if line.starts_with("=end") {
            println!("{} after {:.1?}", &line[1..], began.elapsed());
        }
    }
    child.wait().unwrap();
}

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [source, target, folder] = &arguments[..] {
        return import(source, target, Path::new(folder)).await;
    }
    let keys: u64 = arguments.first().map_or(1_000_000, |text| text.parse().unwrap());
    let (old, new, folder) =
        (TestRedis::start().await, TestRedis::start().await, tempfile::tempdir().unwrap());
    let mut writer = Writer::new();
    writer.fill(&old.url(), keys).await;
    writer.large(&old.url()).await;
    println!(
        "{} keys with {} records and {} things that are none",
        writer.keys,
        writer.oracle.len(),
        writer.junk
    );

    let engine = TestEngine::start().await;
    let store = Store::new(StoreOptions { database: "import".to_owned(), ..StoreOptions::at(engine.url()) });
    migrate(&store, SchemaOptions::default(), false).await.unwrap();
    let (_sender, receiver) = watch::channel(Arc::new(instruments()));
    let options = LoaderOptions { redis: RedisOptions::at(new.url()), ..LoaderOptions::default() };
    let loader =
        Loader::start(options, store.clone(), Clock::system(), receiver, Arc::new(Calendar::always_open()));

    let (source, target, place) = (old.url(), new.url(), folder.path().display().to_string());
    let all = [source.as_str(), target.as_str(), place.as_str()];
    let records = writer.oracle.len() as u64;
    let began = Instant::now();
    for kill in [Some((Phase::Reading, keys / 2)), Some((Phase::Publishing, records / 2)), None] {
        tokio::task::block_in_place(|| child(&all, kill));
    }
    println!("published after {:.1?}", began.elapsed());
    let sql = "SELECT count(), uniqExact(last_price), sum(toUInt64(round(last_price * 100))), max(epoch) FROM tick_data";
    let wanted = format!("{records}\t{records}\t{}\t0", writer.oracle.keys().sum::<u64>());
    loop {
        let mut cursor = store.client().query_raw(sql).fetch_bytes("TabSeparated").unwrap();
        let found = String::from_utf8(cursor.collect().await.unwrap().to_vec()).unwrap();
        if found.trim() == wanted {
            break;
        }
        assert!(began.elapsed() < Duration::from_hours(1), "{found} instead of {wanted}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    println!("stored after {:.1?}: {records} rows, each once", began.elapsed());
    println!("{:?}", loader.counters());
    loader.stop().await;
}
