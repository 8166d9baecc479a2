//! A loader reads while Redis is emptied, killed, filled up and cut off.

use crate::{Feed, Loader, Redis, STREAM, eventually};
use std::time::Duration;
use tickhouse_stream::EntryId;

/// Feeds and reads at once; `disturb` is called in between.
async fn through(
    redis: &mut Redis,
    disturb: impl AsyncFn(&mut Redis, u32),
) -> (Feed, Loader, tempfile::TempDir) {
    const ROUNDS: u32 = 4;
    let dir = tempfile::tempdir().unwrap();
    let mut feed = Feed::start(dir.path(), redis);
    let mut loader = Loader::connect(redis).await;
    for round in 0..ROUNDS {
        feed.push(400).await;
        let half = feed.sent - 200;
        loader.read_until(half).await;
        loader.mark(EntryId::new(loader.last.ms, loader.last.seq / 2)).await;
        feed.push(400).await;
        disturb(redis, round).await;
        feed.push(400).await;
    }
    loader.read_until(feed.sent).await;
    loader.assert_whole(feed.sent);
    (feed, loader, dir)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flushall_loses_nothing() {
    let mut redis = Redis::start(&[]).await;
    let (feed, _, _dir) = through(&mut redis, async |redis, _| redis.run("FLUSHALL").await).await;
    assert!(feed.handle.status().vanished >= 1, "{:?}", feed.handle.status());
    feed.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_stream_loses_nothing() {
    let mut redis = Redis::start(&[]).await;
    let (feed, ..) = through(&mut redis, async |redis, _| {
        redis.run::<u64>(&format!("DEL {STREAM}")).await;
    })
    .await;
    assert!(feed.handle.status().vanished >= 1);
    feed.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_redis_that_lost_its_tail_loses_nothing() {
    let mut redis = Redis::start(&["--appendonly", "yes", "--appendfsync", "everysec"]).await;
    let (feed, ..) = through(&mut redis, async |redis, _| {
        redis.kill();
        redis.restart().await;
    })
    .await;
    assert!(feed.handle.status().restarts >= 1);
    feed.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_redis_without_any_file_loses_nothing() {
    let mut redis = Redis::start(&[]).await;
    let (feed, ..) = through(&mut redis, async |redis, _| {
        redis.kill();
        redis.restart().await;
    })
    .await;
    feed.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cut_connections_lose_nothing_and_repeat_nothing() {
    let mut redis = Redis::start(&[]).await;
    let (feed, loader, _dir) = through(&mut redis, async |redis, _| {
        redis.run::<u64>("CLIENT KILL TYPE normal SKIPME yes").await;
    })
    .await;
    assert_eq!(loader.repeats, 0);
    assert_eq!(redis.run::<u64>(&format!("XLEN {STREAM}")).await, feed.sent);
    feed.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_hangs_loses_nothing_and_repeats_nothing() {
    let mut redis = Redis::start(&[]).await;
    let (feed, loader, _dir) = through(&mut redis, async |redis, round| {
        if round < 2 {
            // longer than the response timeout of 2 s: commands are carried out after their sender gave up
            redis.run::<String>("CLIENT PAUSE 2200 ALL").await;
        }
    })
    .await;
    assert_eq!(loader.repeats, 0);
    assert_eq!(redis.run::<u64>(&format!("XLEN {STREAM}")).await, feed.sent);
    feed.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_redis_makes_the_publisher_wait_without_a_hole() {
    let redis = Redis::start(&["--maxmemory", "3mb", "--maxmemory-policy", "noeviction"]).await;
    let dir = tempfile::tempdir().unwrap();
    let mut feed = Feed::start(dir.path(), &redis);
    feed.push(40_000).await;
    eventually("redis is full", async || {
        feed.handle.status().waiting_for.is_some_and(|why| why.contains("no memory left"))
    })
    .await;
    let first = feed.handle.status().published;
    assert!((1..40_000).contains(&first), "{first}");
    // the loader frees memory by trimming what it read, as it does all day
    let mut loader = Loader::connect(&redis).await;
    redis.run::<String>("CONFIG SET maxmemory 4mb").await;
    while loader.numbers.len() < 40_000 {
        let next = (loader.numbers.len() as u64 + 1_000).min(40_000);
        loader.read_until(next).await;
        let ids: Vec<EntryId> = (1..=loader.last.seq).rev().take(1_100).map(|seq| feed.id(seq)).collect();
        loader.consumer.control().ack(STREAM, &ids).await.unwrap();
        loader.consumer.control().trim(STREAM, loader.last.next()).await.unwrap();
    }
    loader.assert_whole(40_000);
    tokio::time::timeout(Duration::from_secs(5), feed.wait_published()).await.unwrap();
    feed.end().await;
}
