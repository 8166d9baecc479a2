//! What goes wrong on an open connection.

use crate::exchange::{Exchange, Peer, container, soon};
use crate::recorder::{Recorder, Wish};
use RecordKind::{Connect, Frame, Subscription, Text};
use std::sync::atomic::Ordering;
use std::time::Duration;
use tickhouse_model::{GapCause, Mode, RecordKind, SnapshotMarks, Token};

/// A connection that has delivered its snapshot and one live frame.
async fn flowing(exchange: &Exchange, recorder: &mut Recorder) -> Peer {
    let mut peer = exchange.accept().await;
    peer.requests(2).await;
    peer.binary(container(&[(1, 8), (2, 8)])).await;
    peer.binary(container(&[(1, 8)])).await;
    recorder.kinds(&[Connect, Subscription, Subscription, Frame, Frame]).await;
    peer
}

/// Ends that each lead to a disconnect, a reconnect with a full resubscribe, and one gap.
#[tokio::test]
async fn a_lost_connection_is_a_gap() {
    for (fault, cause) in [
        ("hang up", GapCause::Broken),
        ("reset", GapCause::Broken),
        ("close", GapCause::Closed),
        ("garbage", GapCause::Broken),
        ("huge", GapCause::Broken),
    ] {
        let exchange = Exchange::open().await;
        let mut wish = Wish::new(&exchange, &[(1, Mode::Ltp), (2, Mode::Ltp)]);
        wish.options.max_message_bytes = 100_000;
        let mut recorder = wish.start();
        let mut peer = flowing(&exchange, &mut recorder).await;
        let before = recorder.stats().last_data_at;
        match fault {
            "hang up" => peer.hang_up().await,
            "reset" => peer.reset(),
            "close" => peer.close(1000, "bye").await,
            "garbage" => peer.garbage().await,
            _ => peer.binary(vec![0; 100_001]).await,
        }
        let end = recorder.disconnect().await;
        assert_eq!((end.cause, end.last_frame_at), (cause, before), "{fault}: {}", end.detail);

        let mut peer = exchange.accept().await;
        let requests = [r#"{"a":"subscribe","v":[1,2]}"#, r#"{"a":"mode","v":["ltp",[1,2]]}"#];
        assert_eq!(peer.requests(2).await, requests, "{fault}");
        peer.binary(vec![0]).await;
        peer.binary(container(&[(2, 8)])).await;
        recorder.kinds(&[Connect, Subscription, Subscription, Frame]).await;
        let gap = recorder.gap().await;
        let first = recorder.expect(Frame).await;
        assert_eq!((gap.from, gap.to, gap.cause), (before, first.received_at, cause), "{fault}");
        assert_eq!(gap.tokens, [Token(1), Token(2)]);
        assert_eq!(first.snapshots, SnapshotMarks::All, "marked anew on every connection");
        assert_eq!(recorder.stats().reconnects, 1);
        drop(peer);
        recorder.stop().await;
    }
}

#[tokio::test]
async fn silence_ends_a_connection() {
    let exchange = Exchange::open().await;
    let mut wish = Wish::new(&exchange, &[(1, Mode::Ltp), (2, Mode::Ltp)]);
    wish.options.read_timeout = Duration::from_millis(500);
    let mut recorder = wish.start();
    // nobody reads at the other end, so pings stay unanswered
    let silent = flowing(&exchange, &mut recorder).await;
    let end = recorder.disconnect().await;
    assert_eq!((end.cause, end.detail.as_str()), (GapCause::ReadTimeout, "no frame for 500ms"));
    let _next = exchange.accept().await;
    recorder.expect(Connect).await;
    drop(silent);
    recorder.stop().await;
}

#[tokio::test]
async fn heartbeats_are_not_data_while_the_exchange_is_in_session() {
    let exchange = Exchange::open().await;
    let mut wish = Wish::new(&exchange, &[(1, Mode::Ltp), (2, Mode::Ltp)]);
    wish.options.data_timeout = Duration::from_millis(200);
    wish.in_session = false;
    let mut recorder = wish.start();
    let peer = flowing(&exchange, &mut recorder).await;
    let heartbeats = tokio::spawn(peer.heartbeats());

    // out of session heartbeats are enough: a hundred, 5 ms apart
    for _ in 0..100 {
        assert_eq!(recorder.frame().await, (vec![0], SnapshotMarks::None));
    }
    recorder.in_session.store(true, Ordering::Relaxed);
    let end = soon("disconnect", async {
        loop {
            let record = recorder.next().await;
            if record.kind != Frame {
                break serde_json::from_slice::<tickhouse_model::Disconnected>(&record.payload).unwrap();
            }
        }
    })
    .await;
    assert_eq!(end.cause, GapCause::HeartbeatsOnly, "{}", end.detail);
    heartbeats.await.unwrap();

    let mut peer = exchange.accept().await;
    peer.binary(container(&[(1, 8)])).await;
    recorder.kinds(&[Connect, Subscription, Subscription]).await;
    assert_eq!(recorder.gap().await.cause, GapCause::HeartbeatsOnly);
    recorder.expect(Frame).await;
    recorder.stop().await;
}

#[tokio::test]
async fn texts_are_passed_on_and_an_error_is_none() {
    let exchange = Exchange::open().await;
    let mut recorder = Wish::new(&exchange, &[(1, Mode::Ltp), (2, Mode::Ltp)]).start();
    let mut peer = flowing(&exchange, &mut recorder).await;
    let texts = [
        r#"{"type":"error","data":"Can't subscribe to more than 3000 instruments."}"#,
        r#"{"type":"error","data":"something else"}"#,
        r#"{"type":"order","data":{"order_id":"1","status":"COMPLETE"}}"#,
        r#"{"type":"message","data":"markets close early"}"#,
        r#"{"type":"surprise"}"#,
        "no json {",
    ];
    for text in texts {
        peer.text(text).await;
    }
    peer.binary(container(&[(1, 8)])).await;
    for text in texts {
        assert_eq!(recorder.expect(Text).await.payload, text.as_bytes());
    }
    recorder.expect(Frame).await;
    let stats = recorder.stats();
    assert_eq!((stats.error_texts, stats.over_limit, stats.orders, stats.broker_messages), (2, 1, 1, 1));
    assert_eq!((stats.texts, stats.disconnects), (6, 0));
    drop(peer);
    recorder.stop().await;
}

#[tokio::test]
async fn malformed_messages_are_passed_on_untouched() {
    let exchange = Exchange::open().await;
    let mut recorder = Wish::new(&exchange, &[(1, Mode::Ltp), (2, Mode::Ltp)]).start();
    let mut peer = exchange.accept().await;
    let cut = container(&[(1, 8), (2, 8)])[..15].to_vec();
    let overstated = [vec![0, 9], container(&[(7, 8)])[2..].to_vec()].concat();
    let unknown_length = container(&[(2, 50)]);
    let messages = [vec![], vec![0, 0], vec![9, 9, 9], vec![0xff; 64], cut, overstated, unknown_length];
    for message in &messages {
        peer.binary(message.clone()).await;
    }
    recorder.kinds(&[Connect, Subscription, Subscription]).await;
    let mut marks = Vec::new();
    for message in messages {
        let (payload, snapshots) = recorder.frame().await;
        assert_eq!(payload, message);
        marks.push(snapshots);
    }
    assert_eq!(marks[4], SnapshotMarks::Some(vec![0]), "the good packet before the cut");
    assert_eq!(marks[6], SnapshotMarks::All);
    assert_eq!(marks.iter().filter(|marks| **marks == SnapshotMarks::None).count(), 5);
    drop(peer);
    recorder.stop().await;
}

#[tokio::test]
async fn a_message_of_twelve_mebibytes_is_one_frame() {
    let exchange = Exchange::open().await;
    let mut recorder = Wish::new(&exchange, &[(1, Mode::Ltp), (2, Mode::Ltp)]).start();
    let mut peer = flowing(&exchange, &mut recorder).await;
    let packets: Vec<_> = (0..65_535).map(|token| (token, 184)).collect();
    let message = container(&packets);
    assert!(message.len() > 12_000_000);
    let sent = message.clone();
    let server = tokio::spawn(async move {
        peer.binary(sent).await;
        peer
    });
    assert!(recorder.frame().await.0 == message);
    assert_eq!(recorder.stats().packets, 65_538);
    drop(server.await.unwrap());
    recorder.stop().await;
}
