//! A thousand beginnings at random moments, while everything that can move moves.

use crate::world::{World, assert_exact, read_to};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use tickhouse_follow::FollowStatus;
use tickhouse_model::Timestamp;
use tickhouse_read::{Selection, Window};

const POINTS: usize = 1_000;
/// Followers at once.
const AT_ONCE: usize = 12;

/// Sends records and flat entries until told to stop: in bursts, with rests in which streams are trimmed empty; recorders end
/// their sessions, a second one appears later.
async fn send(world: Arc<World>, stop: Arc<AtomicBool>, seed: u64) {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut redis = world.connection().await;
    let mut recorders = vec![world.recorder("r1", 2)];
    let mut number = 0_u32;
    for step in 0_u32.. {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        if step == 60 {
            recorders.push(world.recorder("r2", 1));
        }
        let lanes = recorders.len() as u32 + 2;
        for _ in 0..random.random_range(1..6_u32) {
            number += 10;
            let numbers: Vec<u32> = (0..random.random_range(0..4_u32)).map(|at| number + at).collect();
            match random.random_range(0..lanes) {
                0 => recorders[0].send(0, &numbers).await,
                1 => recorders[0].send(1, &numbers).await,
                2 => drop(world.add_flat(&mut redis, number, &[]).await),
                _ => recorders[1].send(0, &numbers).await,
            }
        }
        if step % 150 == 149 {
            recorders[0].restart().await;
        }
        let pause = if random.random_range(0..50_u32) == 0 { 400 } else { random.random_range(1..30_u64) };
        tokio::time::sleep(Duration::from_millis(pause)).await;
    }
}

/// Loads, and is ended or killed after each hundred points. A killed one leaves its lease, so nothing is stored for a second.
async fn load(world: Arc<World>, stop: Arc<AtomicBool>, points: Arc<AtomicUsize>) {
    let mut round = 1;
    while !stop.load(Ordering::Relaxed) {
        let loader = world.loader();
        while !stop.load(Ordering::Relaxed) && points.load(Ordering::Relaxed) < round * 100 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        round += 1;
        if round % 2 == 0 { loader.kill() } else { loader.stop().await }
    }
}

/// One beginning: follows from some moment, of all or some instruments, at some speed, until everything that was sent when it
/// began, and something more, has come.
async fn point(world: &World, selections: &[(Selection, Vec<u32>)], seed: u64) -> FollowStatus {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    tokio::time::sleep(Duration::from_millis(random.random_range(0..100))).await;
    let (selection, tokens) = &selections[random.random_range(0..selections.len())];
    let back = Duration::from_millis(random.random_range(0..5_000));
    let from = world.clock.now().minus(back);
    let from = Timestamp::from_millis(from.as_millis());
    let mut follower =
        world.follow(Some(from), selection.clone(), [1, 50, 20_000][random.random_range(0..3)]);
    tokio::time::sleep(Duration::from_millis(random.random_range(0..150))).await;
    let target = world.ledger.lock().unwrap().clone();
    let wanted = |sent: &crate::world::Sent| {
        sent.at_millis >= from.as_millis() && (tokens.is_empty() || tokens.contains(&sent.token))
    };
    let slow = random.random_range(0..3_u32) == 0;
    let pause = || {
        (slow && random.random_range(0..8_u32) == 0)
            .then(|| Duration::from_millis(random.random_range(0..250)))
    };
    let got = read_to(&mut follower, &target, wanted, pause).await;
    let ledger = world.ledger.lock().unwrap().clone();
    assert_exact(&got, &ledger, wanted, &format!("point {seed} from {from}"));
    follower.status()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_switch_points() {
    let world = Arc::new(World::new("switch_points").await);
    let stop = Arc::new(AtomicBool::new(false));
    let sender = tokio::spawn(send(Arc::clone(&world), Arc::clone(&stop), 7));
    let next = Arc::new(AtomicUsize::new(0));
    let loader = tokio::spawn(load(Arc::clone(&world), Arc::clone(&stop), Arc::clone(&next)));
    world.wait_for("SELECT count() > 100 FROM tick_data", "1").await;
    let tokens: Vec<u32> = [1, 5, 12].map(|number| crate::world::packet(number).token.0).into();
    let names: Vec<String> = tokens.iter().map(ToString::to_string).collect();
    let today = Window::last(Duration::from_hours(1), world.clock.now());
    let some = world.reader().select(&names, &today).await.unwrap().open_ended();
    let selections = Arc::new([(Selection::all(), Vec::new()), (some, tokens)]);

    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..AT_ONCE {
        let (world, next, selections) = (Arc::clone(&world), Arc::clone(&next), Arc::clone(&selections));
        tasks.spawn(async move {
            let mut sum = FollowStatus::default();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= POINTS {
                    return sum;
                }
                let status = point(&world, &selections[..], number as u64).await;
                sum.from_history += status.from_history;
                sum.from_streams += status.from_streams;
                sum.caught_up += status.caught_up;
                sum.unverified += status.unverified;
            }
        });
    }
    let mut sum = FollowStatus::default();
    while let Some(one) = tasks.join_next().await {
        let one = one.unwrap();
        sum.from_history += one.from_history;
        sum.from_streams += one.from_streams;
        sum.caught_up += one.caught_up;
        sum.unverified += one.unverified;
    }
    stop.store(true, Ordering::Relaxed);
    sender.await.unwrap();
    loader.await.unwrap();
    // the seam was there to be found: both sides gave, and streams were behind what was trimmed
    assert!(sum.from_history > 10_000 && sum.from_streams > 10_000 && sum.caught_up > 10, "{sum:?}");
    assert_eq!(sum.unverified, 0, "{sum:?}");
}
