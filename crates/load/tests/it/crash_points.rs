//! What a killed loader leaves behind, made by hand at each point of docs/delivery.md, and what its successor makes of it.

use crate::world::World;
use std::time::Duration;
use tickhouse_load::{Loader, LoaderOptions};
use tickhouse_store::{Partition, Seal, SealRange};

/// Loads something, then stops: the state that each test takes apart.
async fn loaded(name: &str) -> World {
    let mut world = World::new(name).await;
    let loader = world.loader();
    world.send_frames(200, 5).await;
    world.wait_stored().await;
    loader.caught_up().await;
    loader.stop().await;
    world
}

/// Makes the last stored batch look unconfirmed, and forgets what Redis knew.
async fn forget_confirmation(world: &World) {
    let last = "(SELECT argMax(batch_id, (fence, number)) FROM loader_seals)";
    world.run(&format!("ALTER TABLE loader_seals DELETE WHERE state = 'stored' AND batch_id = {last} SETTINGS mutations_sync = 2")).await;
    // the successor may need the entries again: the publisher gives them, its mark forgotten
    let mut redis = world.redis().await;
    let marks = format!("{}:marks", world.redis.namespace);
    let _: u64 = redis::cmd("DEL").arg(marks).query_async(&mut redis).await.unwrap();
}

const LAST: &str = "(SELECT argMax(batch_id, (fence, number)) FROM loader_seals)";

async fn successor_makes_it_exact(mut world: World) {
    let loader: Loader = world.loader();
    world.send_frames(50, 5).await;
    world.wait_stored().await;
    loader.caught_up().await;
    world.assert_exact().await;
    assert_eq!(loader.counters().surplus_rows, 0);
    loader.stop().await;
}

#[tokio::test]
async fn sealed_and_not_inserted() {
    let world = loaded("crash_sealed").await;
    forget_confirmation(&world).await;
    for table in ["tick_data", "frames"] {
        // dropping the part would make the server forget its token: a mutation leaves it remembering
        world
            .run(&format!("ALTER TABLE {table} DELETE WHERE batch_id = {LAST} SETTINGS mutations_sync = 2"))
            .await;
    }
    successor_makes_it_exact(world).await;
}

#[tokio::test]
async fn inserted_and_not_recorded() {
    let world = loaded("crash_inserted").await;
    forget_confirmation(&world).await;
    successor_makes_it_exact(world).await;
}

#[tokio::test]
async fn some_parts_inserted() {
    let world = loaded("crash_parts").await;
    forget_confirmation(&world).await;
    world
        .run(&format!("ALTER TABLE frames DELETE WHERE batch_id = {LAST} SETTINGS mutations_sync = 2"))
        .await;
    successor_makes_it_exact(world).await;
}

#[tokio::test]
async fn half_a_part_inserted() {
    let world = loaded("crash_half").await;
    forget_confirmation(&world).await;
    world.run(&format!("ALTER TABLE tick_data DELETE WHERE batch_id = {LAST} AND packet_index > 2 SETTINGS mutations_sync = 2")).await;
    successor_makes_it_exact(world).await;
}

/// A retention has moved the partitions of an unconfirmed batch aside for the moment: its rows are stored. It puts them back.
#[tokio::test]
async fn moved_aside_while_they_are_counted() {
    let mut world = loaded("crash_aside").await;
    forget_confirmation(&world).await;
    world
        .run(&format!("ALTER TABLE frames DELETE WHERE batch_id = {LAST} SETTINGS mutations_sync = 2"))
        .await;
    let partitions = world.query("SELECT DISTINCT _partition_id FROM tick_data").await;
    world.run("CREATE TABLE tick_data_retired AS tick_data").await;
    for id in partitions.lines() {
        world
            .run(&format!("ALTER TABLE tick_data MOVE PARTITION ID '{id}' TO TABLE tick_data_retired"))
            .await;
    }
    let loader = world.loader();
    world.send_frames(20, 5).await;
    world.wait_stored().await;
    loader.caught_up().await;
    assert_eq!((loader.counters().batches_recovered, loader.counters().surplus_rows), (1, 0));
    for id in partitions.lines() {
        world
            .run(&format!("ALTER TABLE tick_data_retired MOVE PARTITION ID '{id}' TO TABLE tick_data"))
            .await;
    }
    loader.stop().await;
    successor_makes_it_exact(world).await;
}

/// The steps that store a batch work on three at once: one is whole but for its last record, one has its ticks and no ledger,
/// one only its seal.
#[tokio::test]
async fn three_open_seals() {
    let mut world = World::new("crash_three").await;
    let loader = world.loader();
    for _ in 0..4 {
        world.send_frames(60, 5).await;
        world.wait_stored().await;
        loader.caught_up().await;
    }
    loader.stop().await;
    let newest = "SELECT batch_id FROM (SELECT DISTINCT batch_id, fence, number FROM loader_seals) ORDER BY (fence, number) DESC";
    for (table, batches) in [("frames", 2), ("tick_data", 1)] {
        let gone = format!("batch_id IN ({newest} LIMIT {batches})");
        world.run(&format!("ALTER TABLE {table} DELETE WHERE {gone} SETTINGS mutations_sync = 2")).await;
    }
    let unconfirmed = format!("state = 'stored' AND batch_id IN ({newest} LIMIT 3)");
    world
        .run(&format!("ALTER TABLE loader_seals DELETE WHERE {unconfirmed} SETTINGS mutations_sync = 2"))
        .await;
    let mut redis = world.redis().await;
    let marks = format!("{}:marks", world.redis.namespace);
    let _: u64 = redis::cmd("DEL").arg(marks).query_async(&mut redis).await.unwrap();
    successor_makes_it_exact(world).await;
}

#[tokio::test]
async fn recorded_and_not_acknowledged() {
    let world = loaded("crash_unacknowledged").await;
    let mut redis = world.redis().await;
    let stream = world.redis.frame_stream("r1", 0);
    // the group knows nothing of what was read, and Redis nothing of the mark
    let _: u64 = redis::cmd("XGROUP")
        .arg("DESTROY")
        .arg(stream.name())
        .arg(&world.redis.group)
        .query_async(&mut redis)
        .await
        .unwrap();
    let marks = format!("{}:marks", world.redis.namespace);
    let _: u64 = redis::cmd("DEL").arg(marks).query_async(&mut redis).await.unwrap();
    successor_makes_it_exact(world).await;
}

/// Dropping the task at any moment is what a kill does to the loader's own state.
#[tokio::test]
async fn loader_killed_again_and_again() {
    let mut world = World::new("crash_killed").await;
    for round in 0..12_u64 {
        let loader = world.loader();
        world.send_frames(60, 4).await;
        tokio::time::sleep(Duration::from_millis(37 * round % 400)).await;
        loader.kill();
    }
    successor_makes_it_exact(world).await;
}

/// Two loaders at once: one owns, the other waits, and takes over when the first is gone.
#[tokio::test]
async fn two_owners() {
    let mut world = World::new("crash_two").await;
    let (first, second) = (world.loader(), world.loader());
    world.send_frames(100, 4).await;
    world.wait_stored().await;
    let owners = [first.state().fence, second.state().fence];
    assert_eq!(owners.iter().flatten().count(), 1, "{owners:?}");
    let (owner, other) = if owners[0].is_some() { (first, second) } else { (second, first) };
    owner.kill();
    world.send_frames(100, 4).await;
    world.wait_stored().await;
    other.caught_up().await;
    world.assert_exact().await;
    other.stop().await;
}

/// An owner that slept through its lease wakes, and its seal arrives after its successor stored the entries.
#[tokio::test]
async fn a_seal_that_came_too_late() {
    let world = loaded("crash_late_seal").await;
    let session = world.session();
    let range = SealRange {
        origin: "r1/0".to_owned(),
        epoch: 0,
        first: (session, 11),
        last: (session, 60),
        entries: 50,
    };
    let late = Seal {
        loader: "loader".to_owned(),
        fence: 1,
        number: 1,
        ranges: vec![range],
        partitions: vec![(Partition::of(world.clock.now()), 250)],
        frames: 50,
        ..Seal::default()
    };
    world.store.record_sealed(&late, world.clock.now()).await.unwrap();
    successor_makes_it_exact(world).await;
}

/// As above, while the batch of the later owner that has the same entries is inserted and not confirmed.
#[tokio::test]
async fn a_seal_that_came_too_late_beside_an_open_one() {
    let mut world = loaded("crash_late_and_open").await;
    let loader = world.loader();
    world.send_frames(60, 5).await;
    world.wait_stored().await;
    loader.caught_up().await;
    loader.stop().await;
    forget_confirmation(&world).await;
    let newest = world.store.open_seals().await.unwrap().remove(0);
    let mut ranges = newest.ranges.clone();
    ranges[0].entries += 10;
    ranges[0].first.1 -= 10;
    let late = Seal { fence: 1, number: 1, frames: ranges[0].entries, ranges, ..newest };
    world.store.record_sealed(&late, world.clock.now()).await.unwrap();
    successor_makes_it_exact(world).await;
}

/// A batch holds entries of two streams. Nothing of it is inserted, and Redis loses everything: frames come back from the
/// journal, flat entries are nowhere. Only they are lost, and said to be.
#[tokio::test]
async fn a_seal_of_which_one_stream_is_gone() {
    let mut world = World::new("crash_one_gone").await;
    let mut redis = world.redis().await;
    for price in 1..=5 {
        let mut add = redis::cmd("XADD");
        add.arg("crash_one_gone:flat")
            .arg("*")
            .arg("instrument_token")
            .arg(408_065)
            .arg("last_price")
            .arg(price);
        let _: String = add.query_async(&mut redis).await.unwrap();
    }
    world.send_frames(60, 5).await;
    let frames = world.redis.frame_stream("r1", 0);
    let published = || async {
        let mut redis = world.redis().await;
        redis::cmd("XLEN").arg(frames.name()).query_async::<usize>(&mut redis).await.unwrap()
            >= world.sent.len()
    };
    while !published().await {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let options = LoaderOptions { resend_patience: Duration::from_secs(3), ..LoaderOptions::default() };
    let loader = world.loader_with(options.clone());
    world.wait_stored().await;
    loader.caught_up().await;
    loader.stop().await;
    assert_eq!(
        world.query("SELECT max(length(ranges)) FROM loader_seals").await,
        "2",
        "a batch of both streams"
    );
    for gone in [
        "tick_data DELETE WHERE 1",
        "tick_data_1min_state DELETE WHERE 1",
        "frames DELETE WHERE 1",
        "loader_seals DELETE WHERE state = 'stored'",
    ] {
        world.run(&format!("ALTER TABLE {gone} SETTINGS mutations_sync = 2")).await;
    }
    let _: () = redis::cmd("FLUSHALL").query_async(&mut redis).await.unwrap();
    let loader = world.loader_with(options);
    world.send_frames(20, 5).await;
    world.wait_stored().await;
    loader.caught_up().await;
    world.assert_exact().await;
    let gaps = "SELECT count(), any(stream) FROM feed_gaps WHERE cause = 'lost'";
    assert_eq!(world.query(gaps).await, "1\tcrash_one_gone:flat");
    assert_eq!(loader.counters().surplus_rows, 0);
    loader.stop().await;
}

/// ClickHouse restored from a copy that lacks the last batches, Redis not, and meanwhile the recorder has begun a new session:
/// its first record follows anything.
#[tokio::test]
async fn a_store_restored_older_is_filled_from_the_journal() {
    let mut world = loaded("crash_restored").await;
    let sent = world.sent.len();
    let first = world.session();
    for table in ["tick_data", "frames", "loader_seals", "tick_data_1min_state"] {
        world.run(&format!("TRUNCATE TABLE {table}")).await;
    }
    // as the loader does once the grace is over
    let (mut redis, stream) = (world.redis().await, world.redis.frame_stream("r1", 0));
    let trim = redis::cmd("XTRIM").arg(stream.name()).arg("MAXLEN").arg(0).query_async(&mut redis).await;
    let _: u64 = trim.unwrap();
    world.restart_recorder().await;
    let loader = world.loader();
    world.send_frames(50, 5).await;
    world
        .wait_for("SELECT count(), uniqExact(session, sequence) FROM frames", &format!("{0}\t{0}", sent + 50))
        .await;
    let ticks =
        format!("SELECT count(), uniqExact(sequence, packet_index) FROM tick_data WHERE session = {first}");
    assert_eq!(world.query(&ticks).await, format!("{0}\t{0}", sent * 5));
    assert_eq!(world.query("SELECT count() FROM feed_gaps").await, "0");
    loader.stop().await;
}
