//! Changing what a socket carries while it runs, and who does not answer.

use crate::exchange::{Exchange, container};
use crate::recorder::{Wish, list};
use Mode::{Full, Ltp, Quote};
use RecordKind::{Connect, Disconnect, Frame, Subscription};
use std::time::Duration;
use tickhouse_model::{GapCause, Mode, RecordKind, SnapshotMarks, Token};

#[tokio::test]
async fn only_the_difference_is_sent_and_marked() {
    let exchange = Exchange::open().await;
    let mut recorder = Wish::new(&exchange, &[(1, Quote), (2, Quote), (3, Quote)]).start();
    let mut peer = exchange.accept().await;
    peer.requests(1).await;
    peer.binary(container(&[(1, 44), (2, 44), (3, 44)])).await;
    recorder.kinds(&[Connect, Subscription]).await;
    assert_eq!(recorder.frame().await.1, SnapshotMarks::All);

    // 1 goes, 2 stays, 3 changes its mode, 4 comes
    recorder.handle.set(&list(&[(2, Quote), (3, Full), (4, Ltp)])).unwrap();
    let requests = peer.requests(4).await;
    assert_eq!(
        requests,
        [
            r#"{"a":"unsubscribe","v":[1]}"#,
            r#"{"a":"mode","v":["full",[3]]}"#,
            r#"{"a":"subscribe","v":[4]}"#,
            r#"{"a":"mode","v":["ltp",[4]]}"#,
        ]
    );
    for request in &requests {
        assert_eq!(recorder.expect(Subscription).await.payload, request.as_bytes());
    }
    peer.binary(container(&[(2, 44), (3, 184), (4, 8)])).await;
    peer.binary(container(&[(2, 44), (3, 184), (4, 8)])).await;
    assert_eq!(recorder.frame().await.1, SnapshotMarks::Some(vec![1, 2]));
    assert_eq!(recorder.frame().await.1, SnapshotMarks::None);
    assert_eq!(recorder.stats().subscribed, 3);

    // what goes before it answers is not awaited any more
    recorder.handle.subscribe(&list(&[(5, Quote)])).unwrap();
    recorder.expect(Subscription).await;
    assert_eq!(peer.requests(1).await, [r#"{"a":"subscribe","v":[5]}"#]);
    recorder.until("five", |stats| stats.awaiting_snapshot == 1).await;
    recorder.handle.unsubscribe(&[Token(5)]);
    recorder.expect(Subscription).await;
    assert_eq!(peer.requests(1).await, [r#"{"a":"unsubscribe","v":[5]}"#]);
    recorder.until("no five", |stats| stats.awaiting_snapshot == 0).await;

    // what is already so is not sent
    recorder.handle.subscribe(&list(&[(2, Quote), (3, Full)])).unwrap();
    recorder.handle.unsubscribe(&[Token(99)]);
    recorder.handle.unsubscribe(&[Token(4)]);
    assert_eq!(peer.requests(1).await, [r#"{"a":"unsubscribe","v":[4]}"#]);
    peer.hang_up().await;
    recorder.kinds(&[Subscription, Disconnect]).await;

    // a change between two connections is in the next one's first messages
    recorder.handle.unsubscribe(&[Token(3)]);
    let mut peer = exchange.accept().await;
    loop {
        match peer.requests(1).await[0].as_str() {
            r#"{"a":"subscribe","v":[2]}"# | r#"{"a":"unsubscribe","v":[3]}"# => break,
            r#"{"a":"subscribe","v":[3]}"# | r#"{"a":"mode","v":["full",[3]]}"# => {}
            other => panic!("{other}"),
        }
    }
    recorder.until("three gone", |stats| stats.subscribed == 1).await;
    drop(peer);
    recorder.stop().await;
}

#[tokio::test]
async fn instruments_that_do_not_answer_are_named_once() {
    let exchange = Exchange::open().await;
    let mut wish = Wish::new(&exchange, &[(1, Quote), (2, Quote), (3, Quote), (4, Quote)]);
    wish.options.snapshot_within = Duration::from_millis(300);
    let mut recorder = wish.start();
    let mut peer = exchange.accept().await;
    peer.binary(container(&[(1, 44), (3, 44)])).await;
    recorder.kinds(&[Connect, Subscription, Frame]).await;
    assert_eq!(recorder.stats().awaiting_snapshot, 2);
    let gap = recorder.gap().await;
    assert_eq!((gap.cause, gap.tokens), (GapCause::Silent, vec![Token(2), Token(4)]));
    assert_eq!(gap.detail, "2 of 4 instruments sent no snapshot within 300ms of their subscribe");
    assert!(gap.from < gap.to);

    // late, but still a cached value
    peer.binary(container(&[(1, 44), (2, 44)])).await;
    assert_eq!(recorder.frame().await.1, SnapshotMarks::Some(vec![1]));
    assert_eq!(recorder.stats().awaiting_snapshot, 1);

    // the next connection: 4 was named before, 3 is new
    peer.hang_up().await;
    recorder.expect(Disconnect).await;
    let mut peer = exchange.accept().await;
    peer.binary(container(&[(1, 44), (2, 44)])).await;
    recorder.kinds(&[Connect, Subscription]).await;
    assert_eq!(recorder.gap().await.cause, GapCause::Broken);
    recorder.expect(Frame).await;
    assert_eq!(recorder.gap().await.tokens, [Token(3)]);
    drop(peer);
    recorder.stop().await;
}

#[tokio::test]
async fn out_of_session_silence_is_only_counted() {
    let exchange = Exchange::open().await;
    let mut wish = Wish::new(&exchange, &[(1, Quote), (2, Quote)]);
    wish.options.snapshot_within = Duration::from_millis(50);
    wish.in_session = false;
    let mut recorder = wish.start();
    let mut peer = exchange.accept().await;
    peer.binary(container(&[(1, 44)])).await;
    recorder.kinds(&[Connect, Subscription, Frame]).await;
    let heartbeats = tokio::spawn(peer.heartbeats());
    for _ in 0..40 {
        recorder.expect(Frame).await;
    }
    assert_eq!((recorder.stats().awaiting_snapshot, recorder.stats().gaps), (1, 0));
    recorder.stop().await;
    heartbeats.await.unwrap();
}
