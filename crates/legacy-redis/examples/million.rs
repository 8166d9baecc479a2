//! A Redis of mixed keys into ClickHouse, killed twice on the way: `cargo run --release -p tickhouse-legacy-redis --example
//! million [keys [small]]`. Checks that every record is stored once, and prints times and the importer's largest memory. `small` are
//! ten million keys in 2 GB: nine of ten are hashes and texts, the others lists, sorted sets and streams.
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
            println!("={phase:?} {done} {}", peak_kb());
            std::io::stdout().flush().unwrap();
        }
    };
    let report = Import::new(options).unwrap().run(&control, &names, told).await.unwrap();
    println!("=end {} records, {} skipped, at most {} kB", report.records, report.skipped, peak_kb());
}

/// The largest memory of this process so far.
fn peak_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse().unwrap_or_default()
}

/// Writes keys of one record each, whose prices are 0.01, 0.02 and so on.
async fn fill_small(url: &str, keys: u64) {
    let mut connection = market::connect(url, 0).await;
    let mut number = 0;
    while number < keys {
        let mut pipe = redis::pipe();
        for _ in 0..10_000.min(keys - number) {
            number += 1;
            let price = format!("{}.{:02}", number / 100, number % 100);
            let at = 1_770_003_000 + number % 20_000;
            let tick = format!("{{\"token\":408065,\"lp\":{price},\"time\":{at}}}");
            match number % 30 {
                0 => pipe.cmd("RPUSH").arg(format!("l:{number}")).arg(tick),
                1 => pipe.cmd("ZADD").arg(format!("z:{number}")).arg(at).arg(tick),
                2 => pipe.cmd("XADD").arg(format!("x:{number}")).arg("1-1").arg("data").arg(tick),
                3..15 => pipe.cmd("SET").arg(format!("t:{number}")).arg(tick),
                _ => {
                    let hash = pipe.cmd("HSET").arg(format!("h:{number}"));
                    hash.arg("token").arg("408065").arg("lp").arg(price).arg("time").arg(at)
                }
            };
        }
        let _: Vec<redis::Value> = pipe.query_async(&mut connection).await.unwrap();
    }
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
        let words: Vec<&str> = line.split(' ').collect();
        let done = kill_in.and_then(|(phase, least)| {
            let done =
                words[1..].first().filter(|_| words[0] == format!("={phase:?}"))?.parse::<u64>().ok()?;
            (done >= least).then_some(done)
        });
        if let Some(done) = done {
            child.kill().unwrap();
            let (phase, peak) = (kill_in.unwrap().0, words[2]);
            println!("killed after {:.1?}: {phase:?} {done}, at most {peak} kB", began.elapsed());
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
    let (records, prices) = if arguments.get(1).is_some_and(|word| word == "small") {
        fill_small(&old.url(), keys).await;
        println!("{keys} small keys");
        (keys, keys * (keys + 1) / 2)
    } else {
        let mut writer = Writer::new();
        writer.fill(&old.url(), keys).await;
        writer.large(&old.url()).await;
        let records = writer.oracle.len();
        println!("{} keys with {records} records and {} things that are none", writer.keys, writer.junk);
        (records as u64, writer.oracle.keys().sum::<u64>())
    };
    let mut connection = market::connect(&old.url(), 0).await;
    let memory: String = redis::cmd("INFO").arg("memory").query_async(&mut connection).await.unwrap();
    println!(
        "the source has {}",
        memory.lines().find(|line| line.starts_with("used_memory_human")).unwrap_or_default()
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
    let began = Instant::now();
    for kill in [Some((Phase::Reading, keys / 2)), Some((Phase::Publishing, records / 2)), None] {
        tokio::task::block_in_place(|| child(&all, kill));
    }
    println!("published after {:.1?}", began.elapsed());
    let sql = "SELECT count(), uniqExact(last_price), sum(toUInt64(round(last_price * 100))), max(epoch) FROM tick_data";
    let wanted = format!("{records}\t{records}\t{prices}\t0");
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
