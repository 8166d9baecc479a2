//! What streams go through: trimmed by their producers, lost, begun anew, without a loader.

use crate::world::{World, assert_exact, read_to};
use std::time::Duration;
use tickhouse_follow::{FollowError, FollowOptions, Follower, Phase};
use tickhouse_model::Timestamp;
use tickhouse_read::{ReaderOptions, Selection};
use tickhouse_stream::RedisOptions;

async fn live(follower: &Follower) {
    let deadline = std::time::Instant::now() + crate::world::PATIENCE;
    while follower.status().phase != Phase::Live {
        assert!(std::time::Instant::now() < deadline, "{:?}", follower.status());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A producer's `MAXLEN` takes what the loader has read and a slow reader has not.
#[tokio::test]
async fn what_a_producer_trims_comes_from_the_store() {
    let world = World::new("follow_maxlen").await;
    let loader = world.loader();
    let mut redis = world.connection().await;
    let mut follower = world.follow(Some(Timestamp::NONE), Selection::all(), 1);
    live(&follower).await;
    let mut sent = 0;
    for round in 0..5 {
        for _ in 0..40 {
            sent += 1;
            world.add_flat(&mut redis, sent, &[]).await;
        }
        // read by the loader, then all but two are trimmed
        world.wait_for("SELECT count() FROM tick_data", &sent.to_string()).await;
        sent += 1;
        world.add_flat(&mut redis, sent, &["MAXLEN", "2"]).await;
        if round == 4 {
            world.wait_for("SELECT count() FROM tick_data", &sent.to_string()).await;
        }
    }
    let target = world.ledger.lock().unwrap().clone();
    let got = read_to(&mut follower, &target, |_| true, || Some(Duration::from_millis(30))).await;
    assert_exact(&got, &target, |_| true, "trimmed");
    loader.stop().await;
}

/// Redis forgets everything; journals fill it again.
#[tokio::test]
async fn a_redis_that_forgot_is_waited_for() {
    let world = World::new("follow_flushall").await;
    let mut loader = world.loader();
    let mut recorder = world.recorder("r1", 1);
    let mut follower = world.follow(Some(Timestamp::NONE), Selection::all(), 1_000);
    let mut redis = world.connection().await;
    for round in 0..6_u32 {
        for number in 0..30 {
            recorder.send(0, &[round * 1_000 + number * 10]).await;
        }
        if round % 2 == 1 {
            let _: () = redis::cmd("FLUSHALL").query_async(&mut redis).await.unwrap();
        }
        if round == 3 {
            loader.kill();
            loader = world.loader();
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let target = world.ledger.lock().unwrap().clone();
    let got = read_to(&mut follower, &target, |_| true, || None).await;
    assert_exact(&got, &target, |_| true, "flushed");
    loader.stop().await;
}

/// A flat stream is deleted and begins anew: its entries are those of the next epoch.
#[tokio::test]
async fn a_stream_that_begins_anew() {
    // noticed between two looks at an idle stream, or before it was ever seen to be away
    for (name, away) in [("follow_anew", 700), ("follow_anew_at_once", 50)] {
        let world = World::new(name).await;
        let loader = world.loader();
        let mut redis = world.connection().await;
        let mut follower = world.follow(Some(Timestamp::NONE), Selection::all(), 1_000);
        live(&follower).await;
        for number in 0..10 {
            world.add_flat(&mut redis, number, &[]).await;
        }
        let first = world.ledger.lock().unwrap().clone();
        let mut got = read_to(&mut follower, &first, |_| true, || None).await;
        loader.caught_up().await;
        let _: () = redis::cmd("DEL").arg(world.flat_name()).query_async(&mut redis).await.unwrap();
        tokio::time::sleep(Duration::from_millis(away)).await;
        for number in 10..20 {
            world.add_flat(&mut redis, number, &[]).await;
        }
        let all = world.ledger.lock().unwrap().clone();
        let rest: crate::world::Ledger =
            all.iter().map(|(origin, sent)| (origin.clone(), sent[10..].to_vec())).collect();
        for (origin, more) in read_to(&mut follower, &rest, |_| true, || None).await {
            got.get_mut(&origin).unwrap().extend(more);
        }
        assert_exact(&got, &all, |_| true, name);
        world.wait_for("SELECT count(), uniqExact(session, sequence) FROM tick_data", "20\t20").await;
        loader.stop().await;
    }
}

/// The same while a slow reader holds the follower up: what was stored before the stream went is not in the new one.
#[tokio::test]
async fn a_stream_that_begins_anew_behind_a_slow_reader() {
    let world = World::new("follow_anew_slow").await;
    let loader = world.loader();
    let mut redis = world.connection().await;
    let mut follower = world.follow(Some(Timestamp::NONE), Selection::all(), 1);
    live(&follower).await;
    for number in 0..40 {
        world.add_flat(&mut redis, number, &[]).await;
        // a few entries a read: it waits for its reader long before the last one
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    world.wait_for("SELECT count() FROM tick_data", "40").await;
    loader.caught_up().await;
    let _: () = redis::cmd("DEL").arg(world.flat_name()).query_async(&mut redis).await.unwrap();
    for number in 40..60 {
        world.add_flat(&mut redis, number, &[]).await;
    }
    let all = world.ledger.lock().unwrap().clone();
    let got = read_to(&mut follower, &all, |_| true, || None).await;
    assert_exact(&got, &all, |_| true, "begun anew, slow");
    loader.stop().await;
}

/// Without a loader everything comes from Redis; with one that comes later nothing comes again.
#[tokio::test]
async fn a_loader_that_comes_later() {
    let world = World::new("follow_no_loader").await;
    let mut recorder = world.recorder("r1", 1);
    let mut redis = world.connection().await;
    for number in 0..50 {
        recorder.send(0, &[number * 10, number * 10 + 1]).await;
        world.add_flat(&mut redis, number, &[]).await;
    }
    let mut follower = world.follow(Some(Timestamp::NONE), Selection::all(), 1_000);
    let target = world.ledger.lock().unwrap().clone();
    let mut got = read_to(&mut follower, &target, |_| true, || None).await;
    assert_eq!(follower.status().from_history, 0);
    let loader = world.loader();
    for number in 50..60 {
        recorder.send(0, &[number * 10]).await;
    }
    world.wait_for("SELECT count() FROM tick_data", "160").await;
    loader.caught_up().await;
    let all = world.ledger.lock().unwrap().clone();
    let rest =
        all.iter().map(|(origin, sent)| (origin.clone(), sent[target[origin].len()..].to_vec())).collect();
    for (origin, more) in read_to(&mut follower, &rest, |_| true, || None).await {
        got.get_mut(&origin).unwrap().extend(more);
    }
    assert_exact(&got, &all, |_| true, "loaded later");
    loader.stop().await;
}

/// Without a begin nothing that is there is given, in neither place.
#[tokio::test]
async fn from_now_on() {
    let world = World::new("follow_now").await;
    let loader = world.loader();
    let mut recorder = world.recorder("r1", 1);
    for number in 0..20 {
        recorder.send(0, &[number * 10 + 1]).await;
    }
    world.wait_for("SELECT count() FROM tick_data", "20").await;
    let mut follower = world.follow(None, Selection::all(), 1_000);
    live(&follower).await;
    recorder.send(0, &[777]).await;
    let ticks = follower.next().await.unwrap().unwrap();
    assert_eq!(ticks.iter().map(|tick| tick.volume).collect::<Vec<_>>(), [777]);
    assert_eq!(follower.status().from_history, 0);
    loader.stop().await;
}

#[tokio::test]
async fn a_redis_that_is_not_there_is_said() {
    let world = World::new("follow_nobody").await;
    let options = FollowOptions {
        redis: RedisOptions::at("redis://127.0.0.1:1"),
        reader: world.reader(),
        selection: Selection::all(),
        from: Some(Timestamp::NONE),
        queue_ticks: 1,
    };
    let mut follower = Follower::start(options).unwrap();
    let error = follower.next().await.unwrap().unwrap_err();
    assert!(matches!(error, FollowError::Stream(_)), "{error}");
    let mut options = FollowOptions {
        redis: world.redis.clone(),
        reader: world.reader(),
        selection: Selection::all(),
        from: Some(Timestamp::NONE),
        queue_ticks: 1,
    };
    options.reader = tickhouse_read::Reader::new(ReaderOptions::at("http://127.0.0.1:1"));
    let error = Follower::start(options).unwrap().next().await.unwrap().unwrap_err();
    assert!(matches!(error, FollowError::Read(_)), "{error}");
}

/// Redis away for a while: nothing is lost, nothing twice.
#[tokio::test]
async fn redis_killed_and_started_again() {
    let mut world = World::new("follow_redis_killed").await;
    let loader = world.loader();
    let mut recorder = world.recorder("r1", 1);
    let mut follower = world.follow(Some(Timestamp::NONE), Selection::all(), 1_000);
    for number in 0..30 {
        recorder.send(0, &[number * 10 + 1]).await;
    }
    live(&follower).await;
    world.redis_server().kill();
    for number in 30..60 {
        recorder.send(0, &[number * 10 + 1]).await;
    }
    world.redis_server().restart().await.unwrap();
    let target = world.ledger.lock().unwrap().clone();
    let got = read_to(&mut follower, &target, |_| true, || None).await;
    assert_exact(&got, &target, |_| true, "killed");
    loader.stop().await;
}
