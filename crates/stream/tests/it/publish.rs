//! Publishing, and going on after everything that can happen to it.

use crate::{Feed, Loader, RECORDER, Redis, SOCKET, STREAM, eventually};
use std::time::Duration;
use tickhouse_journal::{Fsync, Journal, JournalOptions};
use tickhouse_stream::{Control, EntryId, Publisher, PublisherOptions};
use tickhouse_telemetry::Clock;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_record_arrives_once_and_in_order() {
    let redis = Redis::start(&[]).await;
    let dir = tempfile::tempdir().unwrap();
    let mut feed = Feed::start(dir.path(), &redis);
    feed.push(5_000).await;
    feed.wait_published().await;
    let status = feed.handle.status();
    assert_eq!((status.published, status.already_there, status.damaged_bytes), (5_000, 0, 0));
    assert_eq!((status.latency.count, status.waiting_for), (5_000, None));
    let mut loader = Loader::connect(&redis).await;
    assert_eq!(loader.consumer.discover().await.unwrap()[0].name(), STREAM);
    loader.read_until(5_000).await;
    loader.assert_whole(5_000);
    assert_eq!(loader.repeats, 0);
    feed.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_closed_journal_is_published_to_its_end() {
    let redis = Redis::start(&[]).await;
    let dir = tempfile::tempdir().unwrap();
    let mut feed = Feed::start(dir.path(), &redis);
    feed.push(3_000).await;
    feed.end().await;
    assert_eq!(redis.run::<u64>(&format!("XLEN {STREAM}")).await, 3_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_publisher_goes_on_where_redis_says() {
    let redis = Redis::start(&[]).await;
    let dir = tempfile::tempdir().unwrap();
    let mut total = 0;
    for round in 0..4 {
        let mut feed = Feed::start(dir.path(), &redis);
        feed.sent = total;
        feed.push(1_500).await;
        total = feed.sent;
        if round % 2 == 0 {
            feed.abort().await;
        } else {
            feed.end().await;
        }
    }
    let mut loader = Loader::connect(&redis).await;
    let feed = Feed::start(dir.path(), &redis);
    loader.read_until(total).await;
    loader.assert_whole(total);
    assert_eq!(redis.run::<u64>(&format!("XLEN {STREAM}")).await, total);
    feed.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_stored_is_not_published_again_after_flushall_and_restart() {
    let redis = Redis::start(&[]).await;
    let dir = tempfile::tempdir().unwrap();
    let mut feed = Feed::start(dir.path(), &redis);
    feed.push(1_000).await;
    feed.wait_published().await;
    let loader = Loader::connect(&redis).await;
    let mark = feed.id(700);
    loader.mark(mark).await;
    eventually("the mark is seen", async || *feed.handle.mark().borrow() == mark).await;
    feed.abort().await;
    redis.run::<()>("FLUSHALL").await;
    let feed = Feed::start(dir.path(), &redis);
    eventually("the rest is there", async || redis.run::<u64>(&format!("XLEN {STREAM}")).await == 300).await;
    let entries = loader.consumer.control().range(STREAM, EntryId::ZERO, EntryId::MAX, 1).await.unwrap();
    assert_eq!(entries[0].id, mark.next());
    feed.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_loaders_wish_for_a_resend_is_granted() {
    let redis = Redis::start(&[]).await;
    let dir = tempfile::tempdir().unwrap();
    let mut feed = Feed::start(dir.path(), &redis);
    feed.push(500).await;
    feed.wait_published().await;
    let mut loader = Loader::connect(&redis).await;
    loader.mark(feed.id(400)).await;
    // entries that nobody read are gone: a hole that only the journal can fill
    redis.run::<u64>(&format!("XTRIM {STREAM} MAXLEN = 100")).await;
    let control = loader.consumer.control().clone();
    control.request_resend(STREAM, feed.id(0)).await.unwrap();
    eventually("the wish is granted", async || !control.resend_pending(STREAM).await.unwrap()).await;
    feed.push(10).await;
    loader.read_until(510).await;
    loader.assert_whole(510);
    assert_eq!(feed.handle.status().resends, 1);
    let marks = control.marks().await.unwrap();
    assert_eq!(marks["kite-1/2"], feed.id(0), "a crash now would begin no later than the wish");
    // a wish above the mark brings what follows the wish, not the mark
    control.request_resend(STREAM, feed.id(450)).await.unwrap();
    eventually("only the rest", async || redis.run::<u64>(&format!("XLEN {STREAM}")).await == 60).await;
    feed.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_ahead_of_the_journal_is_an_alarm() {
    let redis = Redis::start(&[]).await;
    redis.run::<String>(&format!("XADD {STREAM} 9999999999999-5 r x")).await;
    let dir = tempfile::tempdir().unwrap();
    let mut feed = Feed::start(dir.path(), &redis);
    feed.push(10).await;
    eventually("the status says so", async || {
        feed.handle.status().waiting_for.is_some_and(|why| why.contains("two recorders of one name"))
    })
    .await;
    redis.run::<u64>(&format!("DEL {STREAM}")).await;
    feed.wait_published().await;
    feed.end().await;
}

/// Going on after such a mark would publish nothing, and let the journal be pruned up to it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mark_ahead_of_the_journal_is_an_alarm() {
    let redis = Redis::start(&[]).await;
    redis.run::<u64>("HSET ticks:marks kite-1/2 9999999999999-5").await;
    let dir = tempfile::tempdir().unwrap();
    let mut feed = Feed::start(dir.path(), &redis);
    feed.push(10).await;
    eventually("the status says so", async || {
        feed.handle.status().waiting_for.is_some_and(|why| why.contains("two recorders of one name"))
    })
    .await;
    assert_eq!(*feed.handle.mark().borrow(), EntryId::ZERO, "nothing may be pruned by it");
    redis.run::<u64>("HDEL ticks:marks kite-1/2").await;
    feed.wait_published().await;
    feed.end().await;
}

/// Somebody's `XADD *` has an id past all of the session; a loader that came upon it wishes for a clean stream.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wish_is_granted_although_the_stream_is_ahead_of_the_journal() {
    let redis = Redis::start(&[]).await;
    redis.run::<String>(&format!("XADD {STREAM} 9999999999999-5 field value")).await;
    let dir = tempfile::tempdir().unwrap();
    let mut feed = Feed::start(dir.path(), &redis);
    feed.push(10).await;
    eventually("it waits", async || feed.handle.status().waiting_for.is_some()).await;
    let control = Control::new(redis.options()).unwrap();
    control.request_resend(STREAM, EntryId::ZERO).await.unwrap();
    feed.wait_published().await;
    assert_eq!(redis.run::<u64>(&format!("XLEN {STREAM}")).await, 10);
    feed.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn publishing_waits_above_the_high_water_mark() {
    let redis = Redis::start(&[]).await;
    let dir = tempfile::tempdir().unwrap();
    let control = Control::new(redis.options()).unwrap();
    let limit = control.server().await.unwrap().used_memory + 4_000_000;
    redis.run::<()>(&format!("SET ballast {}", "x".repeat(8_000_000))).await;
    let mut feed = Feed::with(
        dir.path(),
        &redis,
        &PublisherOptions { high_water_bytes: Some(limit), ..PublisherOptions::default() },
    );
    eventually("it waits", async || feed.handle.status().waiting_for.is_some()).await;
    let before = feed.handle.status().published;
    feed.push(2_000).await;
    assert_eq!(feed.handle.status().published, before);
    redis.run::<u64>("DEL ballast").await;
    feed.wait_published().await;
    feed.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_may_come_later_than_the_recorder() {
    let mut redis = Redis::start(&[]).await;
    redis.kill();
    let dir = tempfile::tempdir().unwrap();
    let mut feed = Feed::start(dir.path(), &redis);
    feed.push(3_000).await;
    eventually("the status says so", async || {
        let status = feed.handle.status();
        status.errors > 0 && !status.connected && status.waiting_for.is_some()
    })
    .await;
    redis.restart().await;
    feed.wait_published().await;
    assert!(feed.handle.status().connected);
    let mut loader = Loader::connect(&redis).await;
    loader.read_until(3_000).await;
    loader.assert_whole(3_000);
    feed.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stop_ends_a_publisher_that_waits() {
    let mut redis = Redis::start(&[]).await;
    redis.kill();
    let dir = tempfile::tempdir().unwrap();
    let options = JournalOptions { fsync: Fsync::Never, ..JournalOptions::default() };
    let journal = Journal::open(dir.path(), RECORDER, options, Clock::system()).unwrap();
    let socket = journal.start_socket(SOCKET).unwrap();
    let (publisher, _) = Publisher::new(
        redis.options(),
        PublisherOptions::default(),
        dir.path(),
        RECORDER,
        SOCKET,
        socket.position.clone(),
        Clock::system(),
    )
    .unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let task = tokio::spawn(publisher.run(async {
        drop(stopped.await);
    }));
    stop.send(()).unwrap();
    tokio::time::timeout(Duration::from_secs(5), task).await.unwrap().unwrap();
}
