//! Refused handshakes and closes that mean the same: paused or patient, never hammering.

use crate::exchange::Exchange;
use crate::exchange::container;
use crate::recorder::{TOKEN, Wish};
use RecordKind::{Connect, Frame, Subscription};
use std::time::Duration;
use tickhouse_model::{GapCause, Mode, RecordKind};
use tickhouse_source::{AccessToken, Key, Secret, SocketState};
use tokio::time::Instant;

#[tokio::test]
async fn a_refused_token_pauses_the_key_until_it_changes() {
    let exchange = Exchange::open().await;
    let mut recorder = Wish::new(&exchange, &[(1, Mode::Quote)]).start();
    assert!(exchange.refuse("403 Forbidden").await.contains(TOKEN));
    let end = recorder.disconnect().await;
    assert_eq!(
        (end.cause, end.detail.as_str()),
        (GapCause::Unauthorised, "handshake refused with HTTP 403 Forbidden")
    );
    let stats = recorder.until("pause", |stats| stats.state == SocketState::Paused).await;
    assert_eq!(stats.reason.as_deref(), Some("the access token was refused: log in again"));
    assert!(recorder.key.is_paused());

    // a sister socket does not even try
    let mut sister = Wish::new(&exchange, &[(2, Mode::Quote)]);
    sister.key = Some(recorder.key.clone());
    let sister = sister.start();
    let stats = sister.until("pause", |stats| stats.state == SocketState::Paused).await;
    assert_eq!(stats.attempts, 0);
    assert_eq!(sister.stop().await, []);
    assert_eq!(recorder.stats().attempts, 1);

    recorder.token.send_replace(Secret::new("second"));
    let mut peer = exchange.accept().await;
    assert!(peer.uri.ends_with("access_token=second"));
    peer.binary(container(&[(1, 44)])).await;
    recorder.kinds(&[Connect, Subscription]).await;
    let gap = recorder.gap().await;
    assert_eq!(gap.cause, GapCause::Unauthorised, "missed from the start of the recorder");
    assert!(gap.from.is_some() && gap.from <= gap.to);
    recorder.expect(Frame).await;
    drop(peer);
    recorder.stop().await;
}

#[tokio::test]
async fn without_a_token_nobody_is_asked() {
    let exchange = Exchange::open().await;
    let (token, source) = AccessToken::changing(Secret::default());
    let mut wish = Wish::new(&exchange, &[(1, Mode::Quote)]);
    wish.key = Some(Key::new("key1", source));
    let recorder = wish.start();
    let stats = recorder.until("pause", |stats| stats.state == SocketState::Paused).await;
    assert_eq!((stats.attempts, stats.reason.as_deref()), (0, Some("there is no access token yet: log in")));
    token.send_replace(Secret::new("first"));
    assert!(exchange.accept().await.uri.ends_with("access_token=first"));
    recorder.stop().await;
}

#[tokio::test]
async fn with_a_sister_open_a_403_is_the_connection_limit() {
    let exchange = Exchange::open().await;
    let sister = Wish::new(&exchange, &[(1, Mode::Quote)]).start();
    let sister_peer = exchange.accept().await;
    sister.until("connection", |stats| stats.state == SocketState::Connected).await;

    let mut wish = Wish::new(&exchange, &[(2, Mode::Quote)]);
    wish.key = Some(sister.key.clone());
    let mut recorder = wish.start();
    exchange.refuse("403 Forbidden").await;
    let refused = Instant::now();
    let end = recorder.disconnect().await;
    assert_eq!(end.cause, GapCause::RateLimited);
    assert!(end.detail.ends_with("taken for the connection limit"), "{}", end.detail);
    assert!(!recorder.key.is_paused());
    let peer = exchange.accept().await;
    assert!(refused.elapsed() >= Duration::from_millis(250), "slowly: {:?}", refused.elapsed());
    recorder.expect(Connect).await;
    drop((peer, sister_peer));
    recorder.stop().await;
    sister.stop().await;
}

#[tokio::test]
async fn a_sister_that_gets_through_ends_the_pause() {
    // both are at their handshake at once; the one is refused before the other is let in
    let (refusing, welcoming) = (Exchange::open().await, Exchange::open().await);
    let recorder = Wish::new(&refusing, &[(1, Mode::Quote)]).start();
    let mut wish = Wish::new(&welcoming, &[(2, Mode::Quote)]);
    wish.key = Some(recorder.key.clone());
    let sister = wish.start();
    let knock = welcoming.knock().await;
    refusing.refuse("403 Forbidden").await;
    recorder.until("pause", |stats| stats.state == SocketState::Paused).await;

    let _sister_peer = knock.let_in().await;
    let _peer = refusing.accept().await;
    let stats = recorder.until("connection", |stats| stats.state == SocketState::Connected).await;
    assert_eq!((stats.attempts, recorder.key.open_sockets()), (2, 2));
    recorder.stop().await;
    sister.stop().await;
}

#[tokio::test]
async fn refusals_are_answered_slowly_and_recorded_once() {
    let exchange = Exchange::open().await;
    let mut recorder = Wish::new(&exchange, &[(1, Mode::Quote)]).start();
    for _ in 0..2 {
        exchange.refuse("429 Too Many Requests").await;
    }
    let refused = Instant::now();
    let peer = exchange.accept().await;
    assert!(refused.elapsed() >= Duration::from_millis(250), "slowly: {:?}", refused.elapsed());
    assert_eq!(recorder.disconnect().await.cause, GapCause::RateLimited);
    recorder.kinds(&[Connect, Subscription]).await;
    drop(peer);
    recorder.stop().await;

    for code in [1008, 1011, 1013] {
        let mut recorder = Wish::new(&exchange, &[(1, Mode::Quote)]).start();
        exchange.accept().await.close(code, "go away").await;
        let closed = Instant::now();
        recorder.kinds(&[Connect, Subscription]).await;
        let end = recorder.disconnect().await;
        assert_eq!(
            (end.cause, end.detail),
            (GapCause::Closed, format!("closed by the server: {code} go away"))
        );
        let peer = exchange.accept().await;
        assert!(closed.elapsed() >= Duration::from_millis(250), "{code}: {:?}", closed.elapsed());
        drop(peer);
        recorder.stop().await;
    }
}

#[tokio::test]
async fn an_outage_is_retried_with_backoff() {
    let exchange = Exchange::open().await;
    let mut recorder = Wish::new(&exchange, &[(1, Mode::Quote)]).start();
    for _ in 0..5 {
        exchange.refuse("502 Bad Gateway").await;
    }
    let peer = exchange.accept().await;
    let end = recorder.disconnect().await;
    assert_eq!(
        (end.cause, end.detail.as_str()),
        (GapCause::Broken, "handshake refused with HTTP 502 Bad Gateway")
    );
    let connect = recorder.expect(Connect).await;
    let connect: tickhouse_model::Connected = serde_json::from_slice(&connect.payload).unwrap();
    assert_eq!((connect.attempt, recorder.stats().attempts), (6, 6));
    drop(peer);
    recorder.stop().await;
}

#[tokio::test]
async fn only_a_healthy_connection_earns_a_quick_reconnect() {
    for healthy_after in [Duration::ZERO, Duration::from_mins(1)] {
        let exchange = Exchange::open().await;
        let mut wish = Wish::new(&exchange, &[(1, Mode::Quote)]);
        wish.options.backoff = (Duration::from_millis(20), Duration::from_mins(1));
        wish.options.healthy_after = healthy_after;
        let recorder = wish.start();
        for _ in 0..4 {
            exchange.accept().await.hang_up().await;
        }
        // the fifth delay: 20 ms × 2⁵, at least half of it; after a healthy one 20 ms × 2 at most
        recorder.until("end", |stats| stats.disconnects == 4).await;
        exchange.accept().await.hang_up().await;
        recorder.until("end", |stats| stats.disconnects == 5).await;
        let closed = Instant::now();
        exchange.knock().await;
        if healthy_after.is_zero() {
            assert!(closed.elapsed() < Duration::from_millis(300), "{:?}", closed.elapsed());
        } else {
            assert!(closed.elapsed() > Duration::from_millis(300), "{:?}", closed.elapsed());
        }
        recorder.stop().await;
    }
}
