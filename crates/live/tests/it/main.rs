//! The feed on a real Redis: what comes after the start, on streams that were there and on new ones, and over a Redis that dies.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use bytes::BytesMut;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tickhouse_decode::FrameBuilder;
use tickhouse_embed::testkit::TestRedis;
use tickhouse_live::{Feed, FeedOptions, Look, Market, Viewer};
use tickhouse_model::{FrameId, Packet, PacketKind, Record, RecordKind, SnapshotMarks, Timestamp, Token};
use tickhouse_read::{Reader, ReaderOptions};
use tickhouse_stream::RedisOptions;

const PATIENCE: Duration = Duration::from_secs(30);
const SHARE: u32 = 408_065;

/// An entry of a frame stream, as the publisher writes it.
async fn publish(url: &str, stream: &str, (session, sequence): (u64, u64), paise: i32) {
    let mut frame = FrameBuilder::default();
    frame.push(&Packet { last_price: paise, ..Packet::empty(Token(SHARE), PacketKind::Ltp) });
    let record = Record {
        id: FrameId { session, socket: 0, sequence },
        received_at: Timestamp::from_millis(1_795_145_400_000 + (session * 1_000 + sequence) as i64),
        kind: RecordKind::Frame,
        snapshots: SnapshotMarks::None,
        payload: frame.take().into(),
        previous: (sequence == 1).then_some((0, 0)),
    };
    let mut bytes = BytesMut::new();
    record.encode(&mut bytes);
    let mut connection = connection(url).await;
    let mut both = redis::pipe();
    both.cmd("SADD").arg("ticks:streams").arg(stream).ignore();
    both.cmd("XADD").arg(stream).arg(format!("{session}-{sequence}")).arg("r").arg(&bytes[..]).ignore();
    both.query_async::<()>(&mut connection).await.unwrap();
}

async fn connection(url: &str) -> redis::aio::MultiplexedConnection {
    redis::Client::open(url).unwrap().get_multiplexed_async_connection().await.unwrap()
}

/// Looks until an instrument stands at a price.
async fn until_at(viewer: &mut Viewer, look: &mut Look, token: u32, price: f64) -> u64 {
    let (started, mut skipped) = (Instant::now(), 0);
    loop {
        viewer.look(look);
        skipped += look.skipped;
        let mut quotes = look.quotes.iter();
        if quotes
            .any(|quote| quote.instrument_token == token && quote.last_price.to_bits() == price.to_bits())
        {
            return skipped;
        }
        assert!(started.elapsed() < PATIENCE, "{token} does not come to {price}: {look:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn what_comes_after_the_start_and_over_a_redis_that_dies() {
    let mut server = TestRedis::start().await;
    let url = server.url();
    let (first, second) = ("ticks:stream:main:0", "ticks:stream:main:1");
    publish(&url, first, (5, 1), 100).await;
    let market = Arc::new(Market::default());
    // nobody answers there: only what ticks is shown
    let reader = Reader::new(ReaderOptions::at("http://127.0.0.1:1"));
    let options = FeedOptions { redis: RedisOptions::at(&url), reader };
    let now = || Timestamp::from_millis(1_795_145_400_000);
    let feed = Feed::start(options, Arc::clone(&market), now).unwrap();
    let mut viewer = Viewer::new(Arc::clone(&market));
    viewer.watch(&[SHARE, 77]);
    viewer.focus(Some(SHARE));
    let mut look = Look::default();
    let started = Instant::now();
    while feed.status().streams == 0 {
        assert!(started.elapsed() < PATIENCE, "{:?}", feed.status());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(market.counts().ticks, 0, "what was there at the start is not read");
    publish(&url, first, (5, 2), 200).await;
    assert_eq!(until_at(&mut viewer, &mut look, SHARE, 2.0).await, 0);
    publish(&url, second, (5, 1), 250).await;
    publish(&url, second, (5, 4), 300).await;
    assert_eq!(until_at(&mut viewer, &mut look, SHARE, 3.0).await, 1, "2 and 3 are missing");
    let mut flat = redis::cmd("XADD");
    flat.arg("ticks:stream").arg("*").arg("instrument_token").arg(77).arg("last_price").arg("9.5");
    flat.query_async::<String>(&mut connection(&url).await).await.unwrap();
    until_at(&mut viewer, &mut look, 77, 9.5).await;
    let mut bad = redis::cmd("XADD");
    bad.arg(first).arg("5-3").arg("r").arg("nothing that is a record");
    bad.query_async::<String>(&mut connection(&url).await).await.unwrap();

    server.kill();
    let started = Instant::now();
    while feed.status().error.is_none() {
        assert!(started.elapsed() < PATIENCE, "{:?}", feed.status());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    server.restart().await.unwrap();
    publish(&url, first, (6, 1), 1_000).await;
    until_at(&mut viewer, &mut look, SHARE, 10.0).await;
    let status = feed.status();
    assert_eq!((status.unreadable, status.error), (1, None));
    assert_eq!(market.counts().holes, 1);
}
