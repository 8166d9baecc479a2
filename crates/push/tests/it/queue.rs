//! Ticks of single calls: gathered, bounded, each journaled once.

use crate::world::{PATIENCE, journaled, no_redis, options, tick};
use std::collections::BTreeMap;
use std::time::Duration;
use tickhouse_decode::{Item, decode};
use tickhouse_push::{Dialect, NoPlace, Pusher, QueueOptions, TickQueue, to_packet};

fn queue(folder: &tempfile::TempDir, options_of_queue: QueueOptions) -> TickQueue {
    let pusher = Pusher::open(options(folder.path(), no_redis())).unwrap();
    TickQueue::new(pusher, options_of_queue).unwrap()
}

/// The tokens of every record of the journal.
fn tokens(folder: &tempfile::TempDir) -> Vec<Vec<u32>> {
    let of = |item| match item {
        Ok(Item::Packet { packet, .. }) => packet.token().0 >> 8,
        other => panic!("{other:?}"),
    };
    let records = journaled(folder.path());
    assert!(records.windows(2).all(|two| two[0].received_at <= two[1].received_at));
    records.iter().map(|record| decode(&record.payload).map(of).collect()).collect()
}

#[test]
fn ticks_of_many_threads_are_journaled_once_and_in_the_order_of_each() {
    const EACH: u32 = 20_000;
    let folder = tempfile::tempdir().unwrap();
    let queue = queue(&folder, QueueOptions { capacity: 3_000, ..QueueOptions::default() });
    std::thread::scope(|scope| {
        for thread in 0..3_u32 {
            let queue = &queue;
            scope.spawn(move || {
                for number in 1..=EACH {
                    let packet = to_packet(&tick(thread << 20 | number), &Dialect::default()).unwrap();
                    while let Err(refused) = queue.offer(&packet) {
                        assert_eq!(refused, NoPlace::Full);
                        assert!(queue.wait_for_place(PATIENCE));
                    }
                    assert!(queue.counters().waiting <= 3_000);
                    if number == EACH / 2 {
                        assert!(queue.wait_journaled(queue.accepted(), PATIENCE).unwrap());
                    }
                }
            });
        }
    });
    assert!(queue.wait_journaled(u64::from(EACH) * 3, PATIENCE).unwrap());
    let records = tokens(&folder);
    assert!(records.len() < 6_000, "{} records: nothing was gathered", records.len());
    let mut of_thread = BTreeMap::<u32, Vec<u32>>::new();
    for number in records.iter().flatten() {
        of_thread.entry(number >> 20).or_default().push(number & 0xf_ffff);
    }
    let each: Vec<u32> = (1..=EACH).collect();
    assert!(of_thread.len() == 3 && of_thread.values().all(|numbers| *numbers == each));
    let counters = queue.counters();
    assert_eq!((counters.accepted, counters.journaled, counters.waiting), (60_000, 60_000, 0));
}

#[test]
fn a_full_queue_says_so_and_a_flush_waits_for_no_gathering() {
    let folder = tempfile::tempdir().unwrap();
    let hour = Duration::from_hours(1);
    let queue = queue(&folder, QueueOptions { capacity: 3, gather: hour });
    let packet = to_packet(&tick(7), &Dialect::default()).unwrap();
    assert_eq!([(); 4].map(|()| queue.offer(&packet).is_ok()), [true, true, true, false]);
    assert_eq!(queue.offer(&packet), Err(NoPlace::Full));
    assert!(!queue.wait_for_place(Duration::from_millis(30)), "an hour has not passed");
    assert!(tokens(&folder).is_empty());
    assert!(queue.wait_journaled(3, PATIENCE).unwrap());
    assert_eq!(tokens(&folder), [[7, 7, 7]]);
    assert!(queue.wait_for_place(Duration::ZERO));
    assert_eq!(queue.counters().full, 2);
    // what nobody flushed is journaled at the end
    queue.offer(&packet).unwrap();
    let drained = queue.close(Duration::from_millis(200)).unwrap();
    assert_eq!((drained.lost, drained.journal.records, drained.journal.abandoned), (0, 2, 0));
    assert_eq!(queue.offer(&packet), Err(NoPlace::Closed));
    assert_eq!(queue.close(Duration::ZERO), None);
    assert_eq!(tokens(&folder).len(), 2);
    assert!(queue.wait_journaled(5, Duration::ZERO).is_err(), "a fifth tick never comes");
}

#[test]
fn a_batch_is_no_larger_than_a_push_and_a_dropped_queue_keeps_what_it_took() {
    let folder = tempfile::tempdir().unwrap();
    let queue = queue(&folder, QueueOptions { gather: Duration::from_hours(1), ..QueueOptions::default() });
    for number in 1..=12_345 {
        queue.offer(&to_packet(&tick(number), &Dialect::default()).unwrap()).unwrap();
    }
    drop(queue);
    let records = tokens(&folder);
    assert_eq!(records.iter().map(Vec::len).collect::<Vec<_>>(), [5_000, 5_000, 2_345]);
    assert!(records.into_iter().flatten().eq(1..=12_345));
}
