//! One connection from its first subscribe to its end.

use crate::exchange::{DEADLINE, Exchange, container, soon};
use crate::recorder::{Recorder, Wish};
use RecordKind::{Connect, Disconnect, Frame, Subscription, Text};
use std::time::Duration;
use tickhouse_model::{Connected, GapCause, Mode, RecordKind, SnapshotMarks, Timestamp};
use tickhouse_source::{PreviousSession, SocketState, SourceError};
use tokio_tungstenite::tungstenite::Message;

const META: &str = r#"{"type":"instruments_meta","data":{"count":86481,"etag":"W/\"68907d60-55bf\""}}"#;
const CODE: &str = r#"{"type":"app_code","timestamp":"2025-08-04T13:50:28+05:30"}"#;

#[tokio::test]
async fn everything_that_happens_is_recorded_in_order() {
    let exchange = Exchange::open().await;
    let mut wish =
        Wish::new(&exchange, &[(408_065, Mode::Full), (256_265, Mode::Full), (738_561, Mode::Full)]);
    wish.options.batch = 2;
    let mut recorder = wish.start();
    let mut peer = exchange.accept().await;
    assert_eq!((peer.uri.as_str(), peer.version.as_str()), ("/?api_key=key1&access_token=s3cr3t-first", "3"));
    peer.text(META).await;
    peer.text(CODE).await;
    let requests = peer.requests(4).await;
    assert_eq!(requests[0], r#"{"a":"subscribe","v":[256265,408065]}"#);
    assert_eq!(requests[3], r#"{"a":"mode","v":["full",[738561]]}"#);
    let snapshot = container(&[(256_265, 32), (408_065, 184), (738_561, 184)]);
    let live = container(&[(408_065, 184), (999, 184)]);
    for message in [vec![0], snapshot.clone(), live.clone()] {
        peer.binary(message).await;
    }

    let connect = recorder.expect(Connect).await;
    let connect: Connected = serde_json::from_slice(&connect.payload).unwrap();
    assert_eq!((format!("ws://{}", connect.endpoint), connect.attempt), (exchange.url(), 1));
    for request in requests {
        assert_eq!(recorder.expect(Subscription).await.payload, request.as_bytes());
    }
    assert_eq!(recorder.expect(Text).await.payload, META.as_bytes());
    assert_eq!(recorder.expect(Text).await.payload, CODE.as_bytes());
    assert_eq!(recorder.frame().await, (vec![0], SnapshotMarks::None));
    assert_eq!(recorder.frame().await, (snapshot, SnapshotMarks::All));
    assert_eq!(recorder.frame().await, (live, SnapshotMarks::None));

    let stats = recorder.stats();
    assert_eq!(
        (stats.state, stats.frames, stats.data_frames, stats.heartbeats),
        (SocketState::Connected, 3, 2, 1)
    );
    assert_eq!((stats.texts, stats.packets, stats.subscribed, stats.awaiting_snapshot), (2, 5, 3, 0));
    assert_eq!((stats.records, stats.connects, stats.reconnects), (10, 1, 0));

    let closing = tokio::spawn(async move {
        let close = loop {
            match peer.next().await {
                Some(Message::Close(_)) => break true,
                Some(_) => {}
                None => break false,
            }
        };
        (close, peer)
    });
    let last = recorder.stop().await;
    assert!(closing.await.unwrap().0, "a close frame");
    assert_eq!(last.iter().map(|record| record.kind).collect::<Vec<_>>(), [Disconnect]);
    let end: tickhouse_model::Disconnected = serde_json::from_slice(&last[0].payload).unwrap();
    assert_eq!((end.cause, end.last_frame_at), (GapCause::RecorderDown, stats.last_data_at));
}

#[tokio::test]
async fn what_was_sent_before_the_close_is_kept() {
    let exchange = Exchange::open().await;
    let recorder = Wish::new(&exchange, &[(1, Mode::Ltp)]).start();
    let mut peer = exchange.accept().await;
    peer.requests(2).await;
    let late = tokio::spawn(async move {
        recorder.until("connection", |stats| stats.subscribed == 1).await;
        for _ in 0..50 {
            peer.binary(container(&[(1, 8)])).await;
        }
        let stop = recorder.stop();
        let (records, ()) = tokio::join!(stop, async { while peer.next().await.is_some() {} });
        records
    });
    let records = soon("end", late).await.unwrap();
    let frames = records.iter().filter(|record| record.kind == Frame).count();
    assert_eq!((frames, records.last().map(|record| record.kind)), (50, Some(Disconnect)));
}

#[tokio::test]
async fn pings_are_sent_and_answered() {
    let exchange = Exchange::open().await;
    let recorder = Wish::new(&exchange, &[(1, Mode::Quote)]).start();
    let mut peer = exchange.accept().await;
    peer.ping().await;
    let (mut pings, mut answers) = (0, 0);
    while pings < 3 || answers < 1 {
        match peer.next().await.unwrap() {
            Message::Ping(_) => pings += 1,
            Message::Pong(mark) => answers += usize::from(&*mark == b"mark"),
            _ => {}
        }
    }
    recorder.stop().await;
}

#[tokio::test]
async fn a_full_queue_stalls_the_socket_and_loses_nothing() {
    let exchange = Exchange::open().await;
    let mut wish = Wish::new(&exchange, &[(1, Mode::Ltp)]);
    wish.queue = 2;
    wish.options.read_timeout = Duration::from_millis(200);
    let mut recorder = wish.start();
    let mut peer = exchange.accept().await;
    let server = tokio::spawn(async move {
        for number in 0..500_u32 {
            peer.binary(container(&[(number, 8)])).await;
        }
        peer.heartbeats().await;
    });
    recorder.until("stall", |stats| stats.queue_stalls == 1).await;
    // the journal's pause, longer than the read timeout: our own silence is not the server's
    tokio::time::sleep(Duration::from_millis(400)).await;

    recorder.kinds(&[Connect, Subscription, Subscription]).await;
    for number in 0..500_u32 {
        assert_eq!(recorder.frame().await.0, container(&[(number, 8)]));
    }
    assert_eq!(recorder.frame().await.0, [0]);
    let stats = recorder.stats();
    assert_eq!((stats.connects, stats.disconnects), (1, 0));
    assert!(stats.queue_stalled_ms >= 300, "{stats:?}");
    recorder.stop().await;
    server.await.unwrap();
}

#[tokio::test]
async fn without_a_journal_the_socket_ends() {
    let exchange = Exchange::open().await;
    let Recorder { observed, task, handle, .. } = Wish::new(&exchange, &[(1, Mode::Ltp)]).start();
    drop(observed);
    let mut peer = exchange.accept().await;
    assert_eq!(soon("end", task).await.unwrap(), Err(SourceError::QueueClosed { socket: 7 }));
    while peer.next().await.is_some() {}
    assert!(handle.stats().snapshot().reason.unwrap().contains("journal queue of socket 7 is closed"));
}

#[tokio::test]
async fn a_restart_of_the_recorder_is_a_gap() {
    let exchange = Exchange::open().await;
    let mut wish = Wish::new(&exchange, &[(1, Mode::Quote), (2, Mode::Quote)]);
    let last_frame_at = Timestamp::from_millis(1_763_607_600_000);
    wish.previous = Some(PreviousSession { last_frame_at });
    let mut recorder = wish.start();
    let mut peer = exchange.accept().await;
    for message in [vec![0], container(&[(1, 44)]), container(&[(1, 44)])] {
        peer.binary(message).await;
    }
    recorder.kinds(&[Connect, Subscription, Frame]).await;
    let gap = recorder.gap().await;
    let first = recorder.expect(Frame).await;
    assert_eq!((gap.from, gap.to, gap.cause), (last_frame_at, first.received_at, GapCause::RecorderDown));
    assert_eq!(gap.tokens.len(), 2);
    recorder.expect(Frame).await;
    assert!(recorder.stop().await.iter().all(|record| record.kind == Disconnect));
}

#[tokio::test]
async fn shutting_down_while_nobody_answers_is_quick() {
    let exchange = Exchange::open().await;
    let mut wish = Wish::new(&exchange, &[(1, Mode::Quote)]);
    wish.options.backoff = (Duration::from_mins(1), Duration::from_mins(1));
    drop(exchange);
    let mut recorder = wish.start();
    assert_eq!(recorder.disconnect().await.cause, GapCause::Broken);
    let began = tokio::time::Instant::now();
    assert_eq!(recorder.stop().await, []);
    assert!(began.elapsed() < DEADLINE / 2);
}
