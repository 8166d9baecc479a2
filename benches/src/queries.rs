//! Every query of the brief over a day of ticks: the brief's statement on the brief's tables, beside the named query on ours.
//!
//! The same rows, the same engine, asked through the same client, the whole answer fetched as Arrow; rounds in turn, medians. The
//! brief's statements are as it prints them, but for `today()` and `now()`, which are constants of the simulated day, and for the book, which
//! is asked of a share: the token that it names is NIFTY's, which has none. Its `tick_data_1min` is refused as written (an alias hides a
//! column), so its columns are qualified; what it computes stays. Answers are compared where the brief's statement is right.

use crate::day::{self, Day};
use crate::services::{ClickHouse, ask, run as execute};
use crate::usage::machine;
use anyhow::{Context as _, ensure};
use serde_json::Value;
use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::time::{Duration, Instant};
use tickhouse_model::Timestamp;
use tickhouse_read::{Format, NamedQuery, Question, Reader, ReaderOptions, Statement, Window};
use tickhouse_store::Store;

const ROUNDS: usize = 9;
/// An answer of millions of rows is asked for less often.
const FEW_ROUNDS: usize = 3;
/// A statement that takes this long is to be five times faster; a shorter one at most [`SLOWER`] slower.
const SLOW: Duration = Duration::from_millis(100);
const SLOWER: Duration = Duration::from_millis(5);
const LATEST: Duration = Duration::from_millis(20);
const TABLE: &str = include_str!("brief_tick_data.sql");
const BARS: &str = include_str!("brief_tick_data_1min.sql");
/// INFY on NSE.
const SHARE: &str = "408065";

/// Columns that name a row, and those that are the same in both answers: the brief's name and ours.
type Same = (&'static [&'static str], &'static [(&'static str, &'static str)]);

/// A statement of the brief, and what is asked of a named query for the same purpose.
struct Case {
    name: &'static str,
    brief: &'static str,
    instruments: &'static [&'static str],
    last_hour: bool,
    limit: Option<u64>,
    /// Where the brief's statement is right.
    same: Option<Same>,
}

macro_rules! case {
    ($name:literal, $file:literal, $instruments:expr, $last_hour:expr, $limit:expr, $same:expr) => {
        Case {
            name: $name,
            brief: include_str!(concat!("brief/", $file, ".sql")),
            instruments: $instruments,
            last_hour: $last_hour,
            limit: $limit,
            same: $same,
        }
    };
}

const CASES: &[Case] = &[
    case!(
        "latest",
        "latest",
        &[],
        false,
        None,
        Some((&["symbol", "exchange"], &[("last_update", "last_update")]))
    ),
    case!("volume", "volume", &[], false, Some(20), None),
    case!("ohlc", "ohlc_newest", &[], false, Some(100), None),
    case!("ohlc", "ohlc", &["NIFTY"], false, None, None),
    case!("depth", "depth", &[SHARE], false, None, None),
    case!("oi", "oi", &[], false, Some(100_000_000), None),
    case!(
        "range",
        "range",
        &["256265"],
        true,
        None,
        Some((&["timestamp", "exchange_timestamp", "last_price"], &[("volume", "volume")]))
    ),
    case!(
        "quality",
        "quality",
        &[],
        false,
        None,
        Some((
            &["data_quality", "session_type"],
            &[("count", "count"), ("first_tick", "first_tick"), ("last_tick", "last_tick")]
        ))
    ),
    case!("gainers", "gainers", &[], false, None, None),
    case!("volume-by-minute", "volume_by_minute", &["RELIANCE", "INFY", "HDFC"], false, None, None),
    case!("spread", "spread", &[], true, None, None),
    case!("table-sizes", "table_sizes", &[], false, None, None),
    case!("slow-queries", "slow_queries", &[], false, None, None),
];

/// Measures everything on `ticks` ticks. `keep` names a folder that keeps them: the next run finds them there, brings the schema up to
/// date and asks at once. `only` leaves the other queries out.
pub(crate) async fn run(
    tickhouse: &Path,
    ticks: usize,
    keep: Option<&Path>,
    only: Option<&str>,
) -> anyhow::Result<()> {
    println!("queries: a day of {ticks} ticks of {} instruments; {}", day::INSTRUMENTS, machine());
    let clickhouse = match keep {
        Some(directory) => ClickHouse::start_in(tickhouse, directory).await?,
        None => ClickHouse::start(tickhouse).await?,
    };
    let ours = clickhouse.database("ours").await?;
    let brief = match kept(&ours).await? {
        Some(brief) => brief,
        None => load(&ours, ticks).await?,
    };
    for store in [&ours, &brief] {
        settle(store).await?;
    }
    let sizes = "SELECT database, table, sum(rows), count(), formatReadableSize(sum(bytes_on_disk)) FROM system.parts \
                 WHERE active AND database IN ('ours', 'brief') GROUP BY ALL ORDER BY 1, 2";
    println!("database, table, rows, parts, size:\n{}", ask(&ours, sizes).await?);
    println!(
        "| query | the brief's statement, ms | named query, ms | faster by | aim | met |\n|---|---|---|---|---|---|"
    );
    for case in CASES.iter().filter(|case| only.is_none_or(|only| only == case.name)) {
        println!("{}", measure(&ours, &brief, case).await?);
    }
    Ok(())
}

/// Loads the day into both.
async fn load(ours: &Store, ticks: usize) -> anyhow::Result<Store> {
    let started = Instant::now();
    let rows = Day::new(ticks).await?.insert(ours).await?;
    println!("{rows} rows by batches of a minute in {:.0} s", started.elapsed().as_secs_f64());
    brief_tables(ours, rows).await
}

/// The brief's tables of an earlier run, where both have the same rows.
async fn kept(ours: &Store) -> anyhow::Result<Option<Store>> {
    let own = ask(ours, "SELECT count() FROM tick_data").await?;
    let has_brief = "SELECT count() FROM system.tables WHERE database = 'brief' AND name = 'tick_data'";
    if own == "0" {
        return Ok(None);
    }
    let theirs = match ask(ours, has_brief).await?.as_str() {
        "0" => "0".to_owned(),
        _ => ask(ours, "SELECT count() FROM brief.tick_data").await?,
    };
    ensure!(own == theirs, "the folder was left half loaded ({own} and {theirs} rows): remove it");
    println!("{own} rows of an earlier run");
    Ok(Some(brief_store(ours)))
}

fn brief_store(ours: &Store) -> Store {
    let mut options = ours.options().clone();
    "brief".clone_into(&mut options.database);
    Store::new(options)
}

/// The brief's tables with the same rows.
async fn brief_tables(ours: &Store, rows: u64) -> anyhow::Result<Store> {
    execute(ours, "CREATE DATABASE brief").await?;
    let brief = brief_store(ours);
    execute(&brief, &TABLE.replacen("brief", "tick_data", 1)).await?;
    execute(&brief, BARS.trim_end().trim_end_matches(';')).await?;
    let columns = ask(
        &brief,
        "SELECT arrayStringConcat(groupArray(name), ', ') FROM (SELECT name FROM system.columns \
         WHERE database = 'brief' AND table = 'tick_data' ORDER BY position)",
    )
    .await?;
    for hour in ask(ours, "SELECT DISTINCT hour FROM tick_data ORDER BY hour").await?.lines() {
        let copy = format!(
            "INSERT INTO tick_data ({columns}) SELECT {columns} FROM ours.tick_data WHERE hour = {hour} ORDER BY timestamp"
        );
        execute(&brief, &copy).await?;
    }
    let copied = ask(&brief, "SELECT count() FROM tick_data").await?;
    ensure!(copied == rows.to_string(), "the brief's table has {copied} rows of {rows}");
    Ok(brief)
}

/// Waits until nothing is merged any more.
async fn settle(store: &Store) -> anyhow::Result<()> {
    while ask(store, "SELECT count() FROM system.merges").await? != "0" {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    Ok(())
}

fn question(case: &Case) -> anyhow::Result<Question> {
    let at = |time: &str| Timestamp::from_text(&format!("{} {time}", day::DATE)).context("a time");
    let window = if case.last_hour {
        Window::new(at("14:50")?, at("15:50")?)
    } else if case.name == "slow-queries" {
        Ok(Window {
            from: Timestamp::from_millis(0),
            to: at("15:50")?.plus(Duration::from_hours(24 * 3_650)),
        })
    } else {
        Ok(Window::day(day::DATE.parse()?))
    };
    Ok(Question {
        window: window?,
        instruments: case.instruments.iter().map(ToString::to_string).collect(),
        exchange: None,
        session: None,
        limit: case.limit,
    })
}

/// The brief's words, with the day's constants.
fn words(case: &Case) -> String {
    let mut sql = case.brief.trim_end().trim_end_matches(';').to_owned();
    sql = sql.replace("today()", &format!("toDate('{}')", day::DATE));
    sql = sql.replace("now()", &format!("toDateTime64('{} 15:50:00', 3, 'Asia/Kolkata')", day::DATE));
    if case.name == "depth" { sql.replace("256265", SHARE) } else { sql }
}

async fn measure(ours: &Store, brief: &Store, case: &Case) -> anyhow::Result<String> {
    let reader = |store: &Store| {
        let options = store.options();
        Reader::new(ReaderOptions {
            database: options.database.clone(),
            ..ReaderOptions::at(options.url.as_str())
        })
    };
    let (ours, brief) = (reader(ours), reader(brief));
    let query = NamedQuery::find(case.name).context("a named query")?;
    let statements = [(&brief, Statement::new(words(case))), (&ours, query.statement(&question(case)?)?)];
    let rounds = if case.name == "oi" { FEW_ROUNDS } else { ROUNDS };
    let mut times = [Vec::new(), Vec::new()];
    // the first round fills caches
    for round in 0..=rounds {
        for ((reader, statement), times) in statements.iter().zip(&mut times) {
            let started = Instant::now();
            let bytes = reader.stream(statement, Format::ArrowStream).await?.collect().await;
            let bytes = bytes.with_context(|| case.name)?;
            ensure!(!bytes.is_empty(), "an answer to {}", case.name);
            if round > 0 {
                times.push(started.elapsed());
            }
        }
    }
    if let Some(same) = case.same {
        compare(case.name, same, &statements).await?;
    }
    let [brief, ours] = times.map(median);
    let ratio = brief.as_secs_f64() / ours.as_secs_f64();
    let (aim, mut met) = if brief > SLOW {
        ("5 times", ratio >= 5.0)
    } else {
        ("at most 5 ms slower", ours <= brief + SLOWER)
    };
    let latest = if case.name == "latest" { ", 20 ms" } else { "" };
    met &= latest.is_empty() || ours <= LATEST;
    let of = if case.instruments.is_empty() { "" } else { " of some" };
    let millis = |time: Duration| time.as_secs_f64() * 1_000.0;
    let met = if met { "yes" } else { "**no**" };
    Ok(format!(
        "| {}{of} | {:.1} | {:.1} | {ratio:.1} | {aim}{latest} | {met} |",
        case.name,
        millis(brief),
        millis(ours)
    ))
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

/// Both answers have the same rows, as far as the columns go that both have.
async fn compare(
    name: &str,
    (keys, columns): Same,
    statements: &[(&Reader, Statement); 2],
) -> anyhow::Result<()> {
    let [(brief, theirs), (ours, own)] = statements;
    let theirs: Vec<Value> = brief.rows(theirs).await?;
    let own: Vec<Value> = ours.rows(own).await?;
    let key = |row: &Value| keys.iter().map(|key| row[*key].to_string()).collect::<Vec<_>>();
    let theirs: HashMap<_, &Value> = theirs.iter().map(|row| (key(row), row)).collect();
    let mut seen = HashSet::new();
    for row in &own {
        let other = theirs.get(&key(row)).with_context(|| format!("{name}: the brief has no {row}"))?;
        for (theirs, own) in columns {
            ensure!(other[*theirs] == row[*own], "{name}: {other} and {row}");
        }
        seen.insert(key(row));
    }
    ensure!(seen.len() == theirs.len(), "{name}: {} rows of {}", seen.len(), theirs.len());
    Ok(())
}
