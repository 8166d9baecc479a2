//! Imports from a real Redis into a real Redis, killed on the way.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod folder;
mod follow;
mod grow;
mod large;
mod market;
mod recognise;

use market::{Expected, Oracle, Writer, connect, instruments};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use tickhouse_embed::testkit::TestRedis;
use tickhouse_legacy_redis::{Import, ImportError, ImportOptions, ImportReport, Names, Phase, Rules};
use tickhouse_stream::{Control, FlatTick, RedisOptions};

const CHILD: &str = "TICKHOUSE_IMPORT_CHILD";

pub(crate) fn options(source: &str, folder: &Path) -> ImportOptions {
    ImportOptions {
        source: source.to_owned(),
        dbs: vec![0, 1, 2],
        name: "old".to_owned(),
        folder: folder.to_owned(),
        rules: Rules::default(),
        dry_run: false,
        longest_stream: 10_000_000,
    }
}

pub(crate) async fn import(options: ImportOptions, target: &str) -> Result<ImportReport, ImportError> {
    let control = Control::new(RedisOptions::at(target)).unwrap();
    let names = Names::new(&instruments());
    Import::new(options)?.run(&control, &names, |_| {}).await
}

/// Not a test by itself: an import as a process of its own, which tells how far it is.
#[tokio::test]
async fn child() {
    let Ok(arguments) = std::env::var(CHILD) else { return };
    let [source, target, folder] = arguments.split(' ').collect::<Vec<_>>()[..] else {
        panic!("{arguments}")
    };
    let control = Control::new(RedisOptions::at(target)).unwrap();
    let names = Names::new(&instruments());
    let mut import = Import::new(options(source, Path::new(folder))).unwrap();
    let told = |progress: tickhouse_legacy_redis::Progress| {
        println!("={:?} {}", progress.phase, progress.done);
        std::io::stdout().flush().unwrap();
    };
    import.run(&control, &names, told).await.unwrap();
    if folder.ends_with("follow") {
        let told = |report: &tickhouse_legacy_redis::FollowReport| {
            println!("=Following {}", report.records);
            std::io::stdout().flush().unwrap();
        };
        import.follow(&control, &names, told).await.unwrap();
    }
}

pub(crate) fn spawn(source: &str, target: &str, folder: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture", "--test-threads=1"])
        .env(CHILD, format!("{source} {target} {}", folder.display()))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Kills an import in this phase, once it has done so much.
fn kill_in(phase: Phase, done: u64, source: &str, target: &str, folder: &Path) {
    let mut child = spawn(source, target, folder);
    let wanted = format!("={phase:?} ");
    let reached = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok).any(|line| {
        line.split_once(&wanted)
            .is_some_and(|(_, count)| count.trim().parse::<u64>().is_ok_and(|count| count >= done))
    });
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(reached, "the import ended before it was {phase:?} {done}");
}

/// Every entry of the stream of the import, read as the loader does; the same price twice is a fault.
pub(crate) async fn published(target: &str) -> Oracle {
    let mut connection = connect(target, 0).await;
    let mut found = Oracle::new();
    let mut from = "-".to_owned();
    loop {
        let chunk: redis::streams::StreamRangeReply = redis::cmd("XRANGE")
            .arg("ticks:stream:import:old")
            .arg(&from)
            .arg("+")
            .arg("COUNT")
            .arg(5_000)
            .query_async(&mut connection)
            .await
            .unwrap();
        let Some(last) = chunk.ids.last() else { return found };
        from = format!("({}", last.id);
        for entry in &chunk.ids {
            let fields = entry.map.iter().map(|(field, value)| {
                (field.clone(), redis::from_redis_value_ref::<Vec<u8>>(value).unwrap())
            });
            let tick = FlatTick::from_fields(fields).unwrap().tick;
            let hour = entry.id.split('-').next().unwrap().parse::<i64>().unwrap();
            let ist = tick.timestamp.ist();
            assert!(hour > 1 << 40 || hour == i64::from(ist.days_since_epoch) * 24 + i64::from(ist.hour()));
            let expected = Expected {
                token: tick.instrument_token,
                seconds: tick.timestamp.as_seconds(),
                packet_type: tick.packet_type,
            };
            let price = (tick.last_price * 100.0).round() as u64;
            assert_eq!(found.insert(price, expected), None, "{price} twice");
        }
    }
}

pub(crate) fn assert_same(found: &Oracle, expected: &Oracle) {
    let missing: Vec<_> = expected.iter().filter(|(price, _)| !found.contains_key(price)).take(5).collect();
    let wrong: Vec<_> = expected
        .iter()
        .filter_map(|(price, right)| Some((price, right, found.get(price).filter(|one| *one != right)?)))
        .take(5)
        .collect();
    assert!(missing.is_empty() && wrong.is_empty(), "missing {missing:?}, wrong {wrong:?}");
    assert_eq!(found.len(), expected.len());
}

#[tokio::test]
async fn mixed_keys_killed_in_every_phase_come_once() {
    let (old, new) = (TestRedis::start().await, TestRedis::start().await);
    let folder = tempfile::tempdir().unwrap();
    let mut writer = Writer::new();
    writer.fill(&old.url(), 50_000).await;
    writer.large(&old.url()).await;
    let changes = changes(&old.url()).await;
    for (phase, done) in [
        (Phase::Scanning, 20_000),
        (Phase::Reading, 10_000),
        (Phase::Reading, 45_000),
        (Phase::Publishing, 30_000),
        (Phase::Publishing, 70_000),
    ] {
        kill_in(phase, done, &old.url(), &new.url(), folder.path());
    }
    let report = import(options(&old.url(), folder.path()), &new.url()).await.unwrap();
    assert_same(&published(&new.url()).await, &writer.oracle);
    let records = writer.oracle.len() as u64;
    assert_eq!((report.keys, report.keys_read), (writer.keys, writer.keys));
    assert_eq!((report.records, report.skipped, report.published), (records, writer.junk, Some(records)));
    let of = |pattern: &str| {
        report.patterns.get(pattern).unwrap_or_else(|| panic!("{pattern} in {:#?}", report.patterns))
    };
    assert_eq!(of("db0 session:* string").skipped.keys().collect::<Vec<_>>(), ["no JSON"]);
    assert!(of("db1 ohlc:* string").records > 0 && of("db2 history:* zset").records > 0);

    // again: nothing changes, here or there
    let again = import(options(&old.url(), folder.path()), &new.url()).await.unwrap();
    assert_eq!(again, report);
    assert_same(&published(&new.url()).await, &writer.oracle);
    assert_eq!(self::changes(&old.url()).await, changes, "the source was written");
}

/// Changes of data since the server was started.
async fn changes(url: &str) -> String {
    let info: String =
        redis::cmd("INFO").arg("persistence").query_async(&mut connect(url, 0).await).await.unwrap();
    info.lines().find(|line| line.starts_with("rdb_changes_since_last_save")).unwrap().to_owned()
}

#[tokio::test]
async fn a_user_who_may_only_read_is_enough() {
    let (old, new) = (TestRedis::start().await, TestRedis::start().await);
    let folder = tempfile::tempdir().unwrap();
    let mut writer = Writer::new();
    writer.fill(&old.url(), 600).await;
    writer.large(&old.url()).await;
    let rights = ["reader", "on", ">pw", "~*", "-@all", "+@read", "+select", "+ping"];
    let _: () = redis::cmd("ACL")
        .arg("SETUSER")
        .arg(&rights[..])
        .query_async(&mut connect(&old.url(), 0).await)
        .await
        .unwrap();
    let source = old.url().replace("redis://", "redis://reader:pw@");
    import(options(&source, folder.path()), &new.url()).await.unwrap();
    assert_same(&published(&new.url()).await, &writer.oracle);
    let shown = format!("{:?}", options(&source, folder.path()));
    assert!(!shown.contains("pw"), "{shown}");
}

/// Redis loses everything in the middle; the import writes it again, from what is stored.
#[tokio::test]
async fn a_lost_target_is_filled_again() {
    let (old, new) = (TestRedis::start().await, TestRedis::start().await);
    let folder = tempfile::tempdir().unwrap();
    let mut writer = Writer::new();
    writer.fill(&old.url(), 6_000).await;
    kill_in(Phase::Publishing, 4_000, &old.url(), &new.url(), folder.path());
    let _: () = redis::cmd("FLUSHALL").query_async(&mut connect(&new.url(), 0).await).await.unwrap();
    import(options(&old.url(), folder.path()), &new.url()).await.unwrap();
    assert_same(&published(&new.url()).await, &writer.oracle);
    let registered: bool = redis::cmd("SISMEMBER")
        .arg("ticks:streams")
        .arg("ticks:stream:import:old")
        .query_async(&mut connect(&new.url(), 0).await)
        .await
        .unwrap();
    assert!(registered);
}

/// The source is killed and started again while it is read.
#[tokio::test]
async fn a_source_that_goes_away_and_comes_back_is_read_on() {
    let (mut old, new) = (TestRedis::start().await, TestRedis::start().await);
    let folder = tempfile::tempdir().unwrap();
    let mut writer = Writer::new();
    writer.fill(&old.url(), 20_000).await;
    let (source, target) = (old.url(), new.url());
    let control = Control::new(RedisOptions::at(&target)).unwrap();
    let names = Names::new(&instruments());
    let mut importing = Import::new(options(&source, folder.path())).unwrap();
    let (sender, mut receiver) = tokio::sync::watch::channel(0);
    let task = tokio::spawn(async move {
        let told = |progress: tickhouse_legacy_redis::Progress| {
            if progress.phase == Phase::Reading {
                sender.send_replace(progress.done);
            }
        };
        importing.run(&control, &names, told).await
    });
    receiver.wait_for(|done| *done > 3_000).await.unwrap();
    old.kill();
    old.restart().await.unwrap();
    task.await.unwrap().unwrap();
    assert_same(&published(&target).await, &writer.oracle);
}

#[tokio::test]
async fn a_dry_run_reports_and_leaves_nothing() {
    let (old, new) = (TestRedis::start().await, TestRedis::start().await);
    let folder = tempfile::tempdir().unwrap();
    let mut writer = Writer::new();
    writer.fill(&old.url(), 3_000).await;
    let dry = ImportOptions { dry_run: true, ..options(&old.url(), folder.path()) };
    let report = import(dry, &new.url()).await.unwrap();
    assert_eq!((report.records, report.published), (writer.oracle.len() as u64, None));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    let keys: u64 = redis::cmd("DBSIZE").query_async(&mut connect(&new.url(), 0).await).await.unwrap();
    assert_eq!(keys, 0);
}

#[tokio::test]
async fn the_stream_does_not_grow_beyond_its_limit() {
    let (old, new) = (TestRedis::start().await, TestRedis::start().await);
    let folder = tempfile::tempdir().unwrap();
    let mut writer = Writer::new();
    writer.fill(&old.url(), 6_000).await;
    let limited = ImportOptions { longest_stream: 2_000, ..options(&old.url(), folder.path()) };
    let target = new.url();
    let task = tokio::spawn(async move { import(limited, &target).await });
    // a loader that stores everything, but takes its time
    let mut connection = connect(&new.url(), 0).await;
    let (mut longest, mut seen, mut stored) = (0_u64, Oracle::new(), 0);
    while !task.is_finished() {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        let length: u64 =
            redis::cmd("XLEN").arg("ticks:stream:import:old").query_async(&mut connection).await.unwrap();
        longest = longest.max(length);
        let last: redis::streams::StreamRangeReply = redis::cmd("XREVRANGE")
            .arg("ticks:stream:import:old")
            .arg("+")
            .arg("-")
            .arg("COUNT")
            .arg(1)
            .query_async(&mut connection)
            .await
            .unwrap();
        // what came after the last one is read, but not stored yet
        seen.extend(published(&new.url()).await);
        if let Some(last) = last.ids.first() {
            let _: u64 = redis::cmd("HSET")
                .arg("ticks:marks")
                .arg("ticks:stream:import:old")
                .arg(&last.id)
                .query_async(&mut connection)
                .await
                .unwrap();
            stored += 1;
        }
    }
    task.await.unwrap().unwrap();
    seen.extend(published(&new.url()).await);
    assert_same(&seen, &writer.oracle);
    // a batch may come on top
    assert!(stored > 1 && longest <= 3_000, "{longest} entries at once, {stored} looks");
}

#[tokio::test]
async fn names_folders_and_streams_of_others_are_refused() {
    let (old, new) = (TestRedis::start().await, TestRedis::start().await);
    let folder = tempfile::tempdir().unwrap();
    for name in ["", "0", "a b", "a:b", "../x"] {
        let named = ImportOptions { name: name.to_owned(), ..options(&old.url(), folder.path()) };
        assert!(matches!(import(named, &new.url()).await, Err(ImportError::Name(_))), "{name}");
    }
    let mut writer = Writer::new();
    writer.fill(&old.url(), 10).await;
    import(options(&old.url(), folder.path()), &new.url()).await.unwrap();
    let fewer = ImportOptions { dbs: vec![0], ..options(&old.url(), folder.path()) };
    assert!(matches!(import(fewer, &new.url()).await, Err(ImportError::OtherSource { .. })));
    let elsewhere = tempfile::tempdir().unwrap();
    let stranger = import(options(&old.url(), elsewhere.path()), &new.url()).await;
    assert!(matches!(stranger, Err(ImportError::Stranger { .. })), "{stranger:?}");
}
