//! What a killed loader leaves behind, made by hand at each point of docs/delivery.md, and what its successor makes of it.

use crate::world::World;
use tickhouse_load::Loader;

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
        tokio::time::sleep(std::time::Duration::from_millis(37 * round % 400)).await;
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
