//! Redis and ClickHouse killed and emptied while ticks flow.

use crate::world::World;
use std::time::{Duration, Instant};
use tickhouse_embed::testkit::{TestEngine, TestRedis};
use tickhouse_load::LoaderOptions;

async fn flushall(world: &World) {
    let mut redis = world.redis().await;
    let _: String = redis::cmd("FLUSHALL").query_async(&mut redis).await.unwrap();
}

#[tokio::test]
async fn flushall_in_mid_run() {
    let redis = TestRedis::start().await;
    let mut world = World::on("outage_flush", TestEngine::shared().await.url(), redis.url()).await;
    let loader = world.loader();
    for _ in 0..4 {
        world.send_frames(150, 4).await;
        tokio::time::sleep(Duration::from_millis(120)).await;
        flushall(&world).await;
        world.send_frames(50, 4).await;
    }
    world.wait_stored().await;
    loader.caught_up().await;
    world.assert_exact().await;
    let gaps = world.query("SELECT count() FROM feed_gaps").await;
    assert_eq!(gaps, "0", "nothing was lost, so nothing may be called a gap");
    loader.stop().await;
}

#[tokio::test]
async fn redis_killed() {
    let mut redis = TestRedis::start().await;
    let mut world = World::on("outage_redis", TestEngine::shared().await.url(), redis.url()).await;
    let loader = world.loader();
    for _ in 0..3 {
        world.send_frames(100, 4).await;
        tokio::time::sleep(Duration::from_millis(150)).await;
        redis.kill();
        world.send_frames(100, 4).await;
        redis.restart().await.unwrap();
    }
    world.wait_stored().await;
    loader.caught_up().await;
    world.assert_exact().await;
    loader.stop().await;
}

/// A loader that could not give its lease back, because Redis was away, does not wait for it to expire.
#[tokio::test]
async fn own_lease_is_no_obstacle_after_an_outage_of_redis() {
    let mut redis = TestRedis::start().await;
    let mut world = World::on("outage_lease", TestEngine::shared().await.url(), redis.url()).await;
    let loader = world.loader_leased(Duration::from_mins(2), LoaderOptions::default());
    world.send_frames(50, 4).await;
    world.wait_stored().await;
    // on the disk itself, as the lease of a loader that has run for a while is
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    redis.kill();
    let deadline = Instant::now() + Duration::from_secs(20);
    while loader.state().fence.is_some() {
        assert!(Instant::now() < deadline, "the ownership goes on without Redis");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    redis.restart().await.unwrap();
    world.send_frames(50, 4).await;
    world.wait_stored().await;
    loader.caught_up().await;
    world.assert_exact().await;
    loader.stop().await;
}

#[tokio::test]
async fn engine_killed() {
    let mut engine = TestEngine::start().await;
    let redis = TestRedis::start().await;
    let mut world = World::on("outage_engine", engine.url(), redis.url()).await;
    let loader = world.loader();
    for round in 0..3 {
        world.send_frames(150, 4).await;
        tokio::time::sleep(Duration::from_millis(140 + 40 * round)).await;
        engine.kill();
        world.send_frames(100, 4).await;
        engine.restart().await.unwrap();
    }
    world.wait_stored().await;
    loader.caught_up().await;
    world.assert_exact().await;
    loader.stop().await;
}
