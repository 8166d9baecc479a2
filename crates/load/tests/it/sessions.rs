//! Where one session ends and the next begins.

use crate::world::World;
use tickhouse_load::Loader;

/// A session whose last ten records never reached Redis, and the session after it, which has not sent anything yet.
async fn a_session_cut_short(name: &str) -> (World, Loader, u64) {
    let mut world = World::new(name).await;
    let loader = world.loader();
    world.send_frames(20, 2).await;
    world.wait_stored().await;
    loader.caught_up().await;
    world.stop_publisher().await;
    world.send_frames(10, 2).await;
    let session = world.session();
    // Redis believes that it had all of the session: the next publisher goes on after it
    let mut redis = world.redis().await;
    let stream = world.redis.frame_stream("r1", 0);
    let mut command = redis::cmd("XSETID");
    command.arg(stream.name()).arg(format!("{session}-{}", u64::MAX));
    let () = command.query_async(&mut redis).await.unwrap();
    world.restart_recorder().await;
    (world, loader, session)
}

const LEDGER: &str = "SELECT count(), uniqExact(session, sequence), uniqExact(session) FROM frames";

#[tokio::test]
async fn the_end_of_a_session_that_redis_never_had_is_asked_for() {
    let (mut world, loader, _) = a_session_cut_short("session_end").await;
    world.send_frames(5, 2).await;
    world.wait_for(LEDGER, "35\t35\t2").await;
    loader.caught_up().await;
    assert_eq!(world.query("SELECT count() FROM tick_data").await, "70");
    assert_eq!(world.query("SELECT count() FROM feed_gaps").await, "0");
    assert_eq!((loader.counters().holes, loader.counters().surplus_rows), (1, 0));
    loader.stop().await;
}

#[tokio::test]
async fn the_end_of_a_session_that_nobody_has_is_a_gap() {
    let (mut world, loader, session) = a_session_cut_short("session_lost").await;
    world.lose_earlier_sessions().await;
    world.send_frames(5, 2).await;
    world.wait_for(LEDGER, "25\t25\t2").await;
    let gap =
        "SELECT cause, sequence, session > {session}, position(detail, '{session}-20') > 0 FROM feed_gaps";
    let gap = gap.replace("{session}", &session.to_string());
    world.wait_for(&gap, "lost\t1\t1\t1").await;
    loader.caught_up().await;
    assert_eq!((loader.counters().holes, loader.counters().gaps_stored), (1, 1));
    loader.stop().await;
}

/// A journal that was deleted, or a new machine beside a restored store: what the old journal held beyond the mark is nowhere.
#[tokio::test]
async fn a_journal_that_begins_anew_is_a_gap_since_the_last_record() {
    let mut world = World::new("session_anew").await;
    let loader = world.loader();
    world.send_frames(20, 2).await;
    world.wait_stored().await;
    loader.caught_up().await;
    let first = world.session();
    world.begin_journal_anew().await;
    world.send_frames(5, 2).await;
    world.wait_for(LEDGER, "25\t25\t2").await;
    loader.caught_up().await;
    let gaps = format!(
        "SELECT cause, sequence, position(detail, 'after {first}-20 ') > 0, \
         `from` = (SELECT toDateTime64(max(received_at), 3) FROM frames WHERE session = {first}), \
         `to` = (SELECT toDateTime64(min(received_at), 3) FROM frames WHERE session > {first}) FROM feed_gaps"
    );
    world.wait_for(&gaps, "lost\t1\t1\t1\t1").await;
    loader.stop().await;

    // whoever makes these batches again from their entries finds the same gap
    let again = format!("(SELECT batch_id FROM frames WHERE session > {first})");
    for table in ["tick_data", "feed_gaps", "loader_seals", "frames"] {
        let only = if table == "loader_seals" { "state = 'stored' AND" } else { "" };
        let sql = format!(
            "ALTER TABLE {table} DELETE WHERE {only} batch_id IN {again} SETTINGS mutations_sync = 2"
        );
        world.run(&sql).await;
    }
    let loader = world.loader();
    world.wait_for(LEDGER, "25\t25\t2").await;
    world.wait_for(&gaps, "lost\t1\t1\t1\t1").await;
    assert!(loader.counters().batches_recovered > 0);
    loader.stop().await;
}
