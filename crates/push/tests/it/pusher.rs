//! The Rust interface.

use crate::world::{PATIENCE, journaled, no_redis, options, tick, until};
use std::sync::Arc;
use std::time::Duration;
use tickhouse_decode::{Item, decode};
use tickhouse_embed::testkit::TestRedis;
use tickhouse_model::{Record, Token};
use tickhouse_push::{PushError, Pusher};
use tickhouse_stream::RedisOptions;

fn tokens(record: &Record) -> Vec<Token> {
    let packets = decode(&record.payload);
    packets
        .map(
            |item| {
                if let Ok(Item::Packet { packet, .. }) = item { packet.token() } else { panic!("{item:?}") }
            },
        )
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_is_in_the_file_when_it_returns_and_numbers_have_no_hole() {
    let folder = tempfile::tempdir().unwrap();
    let pusher = Arc::new(Pusher::open(options(folder.path(), no_redis())).unwrap());
    let tasks: Vec<_> = (0..8_u32)
        .map(|task| {
            let (pusher, path) = (Arc::clone(&pusher), folder.path().to_owned());
            tokio::spawn(async move {
                for round in 0..25 {
                    let number = 1 + task * 1_000 + round * 2;
                    let receipt = pusher.push(&[tick(number), tick(number + 1)]).await.unwrap();
                    assert_eq!((receipt.accepted, receipt.record.session), (2, pusher.session()));
                    let records = journaled(&path);
                    let found = records.iter().find(|record| record.id == receipt.record).unwrap();
                    assert_eq!(
                        tokens(found),
                        [tick(number), tick(number + 1)].map(|tick| Token(tick.instrument_token))
                    );
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let sequences: Vec<_> = journaled(folder.path()).iter().map(|record| record.id.sequence).collect();
    assert_eq!(sequences, (1..=200).collect::<Vec<_>>());
    let status = pusher.status();
    assert_eq!((status.counters.pushes, status.counters.ticks), (200, 400));
    assert_eq!(status.journal.unwrap().records, 200);
}

#[test]
fn threads_without_a_runtime_push_and_what_was_submitted_is_flushed() {
    let folder = tempfile::tempdir().unwrap();
    let pusher = Pusher::open(options(folder.path(), no_redis())).unwrap();
    assert_eq!(pusher.push_blocking(&[tick(1)]).unwrap().record.sequence, 1);
    let mut submitted = 1;
    while submitted < 500 {
        match pusher.submit(&[tick(submitted + 1)]) {
            Ok(receipt) => {
                submitted += 1;
                assert_eq!(receipt.record.sequence, u64::from(submitted));
            }
            Err(PushError::QueueFull) => pusher.flush_blocking().unwrap(),
            Err(error) => panic!("{error}"),
        }
    }
    pusher.flush_blocking().unwrap();
    assert_eq!(journaled(folder.path()).len(), 500);
    let mut wrong = tick(7);
    wrong.last_price = 0.001;
    let error = pusher.push_blocking(&[tick(1), wrong]).unwrap_err().to_string();
    assert!(error.starts_with("refused: [1].last_price: 0.001 is no multiple of 1/100"), "{error}");
    let report = pusher.close(Duration::from_millis(300)).unwrap();
    assert_eq!((report.records, report.abandoned, report.published), (500, 0, false));
    assert!(matches!(pusher.push_blocking(&[tick(1)]), Err(PushError::Closed)));
    assert!(matches!(pusher.submit(&[tick(1)]), Err(PushError::Closed)));
    assert!(pusher.close(PATIENCE).is_none());
    assert_eq!(journaled(folder.path()).len(), 500, "nothing of what was refused");
}

#[test]
fn a_full_queue_turns_away_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut options = options(folder.path(), no_redis());
    options.journal.queue_len = 1;
    let pusher = Pusher::open(options).unwrap();
    let (mut accepted, mut turned_away) = (0, 0);
    while turned_away < 20 {
        match pusher.submit(&[tick(1)]) {
            Ok(_) => accepted += 1,
            Err(PushError::QueueFull) => turned_away += 1,
            Err(error) => panic!("{error}"),
        }
        assert!(accepted < 1_000_000, "a queue of one never got full");
    }
    assert_eq!(pusher.status().counters.queue_full, 20);
    pusher.close(PATIENCE.min(Duration::from_millis(200)));
    assert_eq!(journaled(folder.path()).len(), accepted);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_process_has_a_name_and_the_next_publishes_what_it_left() {
    let folder = tempfile::tempdir().unwrap();
    let pusher = Pusher::open(options(folder.path(), no_redis())).unwrap();
    let first = pusher.push(&[tick(1)]).await.unwrap().record;
    let second = Pusher::open(options(folder.path(), no_redis()));
    assert!(second.unwrap_err().to_string().contains("journal can't be opened"));
    drop(pusher);

    let redis = TestRedis::start().await;
    let pusher = Pusher::open(options(folder.path(), RedisOptions::at(redis.url()))).unwrap();
    let receipt = pusher.push(&[tick(2)]).await.unwrap();
    assert!(receipt.record.session > first.session);
    until("published", || pusher.status().publisher.published == 2).await;
    let pusher = Arc::new(pusher);
    let closing = Arc::clone(&pusher);
    let report = tokio::task::spawn_blocking(move || closing.close(PATIENCE)).await.unwrap().unwrap();
    assert_eq!((report.records, report.published), (1, true));
}
