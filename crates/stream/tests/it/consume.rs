//! Reading as a consumer, and everything around it.

use crate::{Feed, Loader, Redis, STREAM, eventually};
use std::time::Duration;
use tickhouse_stream::{
    Consumer, Control, DeadLetter, Entry, EntryId, EntryValue, FlatTick, GroupState, Lease, ReadLimits,
    Stream, StreamError,
};

const FLAT: &str = "ticks:stream";

fn limits(block: u64) -> ReadLimits {
    ReadLimits { block: Duration::from_millis(block), ..ReadLimits::default() }
}

async fn xadd(redis: &Redis, count: u64) {
    for number in 1..=count {
        redis.run::<String>(&format!("XADD {FLAT} * instrument_token {number} symbol X")).await;
    }
}

fn tokens(entries: &[Entry]) -> Vec<u32> {
    let token = |entry: &Entry| match &entry.value {
        EntryValue::Flat(fields) => FlatTick::from_fields(fields.clone()).unwrap().tick.instrument_token,
        other => panic!("{other:?}"),
    };
    entries.iter().map(token).collect()
}

#[tokio::test]
async fn an_answer_that_nobody_waited_for_comes_with_the_next_read() {
    let redis = Redis::start(&[]).await;
    let mut consumer = Consumer::connect(redis.options(), "loader").await.unwrap();
    let stream = Stream::flat(FLAT);
    assert_eq!(consumer.ensure_group(&stream, EntryId::ZERO).await.unwrap(), GroupState::Created);
    assert_eq!(consumer.ensure_group(&stream, EntryId::ZERO).await.unwrap(), GroupState::Existed);
    xadd(&redis, 2).await;
    let first = consumer.read(&[FLAT], limits(1_000)).await.unwrap();
    assert_eq!((tokens(&first[0].entries), first[0].pending), (vec![1, 2], false));
    // the read is given up while Redis still waits to answer it
    let given_up =
        tokio::time::timeout(Duration::from_millis(100), consumer.read(&[FLAT], limits(5_000))).await;
    assert!(given_up.is_err());
    xadd(&redis, 1).await;
    eventually("it was delivered", async || {
        consumer.control().info(FLAT).await.unwrap().unwrap().group.unwrap().pending == 3
    })
    .await;
    let next = consumer.read(&[FLAT], limits(0)).await.unwrap();
    assert_eq!((tokens(&next[0].entries), next[0].pending), (vec![1], true));
    // and once only
    assert_eq!(consumer.read(&[FLAT], limits(0)).await.unwrap(), []);
    let ids: Vec<EntryId> = first[0].entries.iter().chain(&next[0].entries).map(|entry| entry.id).collect();
    assert_eq!(consumer.control().ack(FLAT, &ids).await.unwrap(), 3);
    assert_eq!(consumer.control().ack(FLAT, &ids).await.unwrap(), 0);
}

#[tokio::test]
async fn a_restarted_consumer_gets_what_it_had_not_acknowledged() {
    let redis = Redis::start(&[]).await;
    xadd(&redis, 10).await;
    let mut consumer = Consumer::connect(redis.options(), "loader").await.unwrap();
    consumer.ensure_group(&Stream::flat(FLAT), EntryId::ZERO).await.unwrap();
    let few = ReadLimits { max_entries: 6, ..limits(0) };
    let read = consumer.read(&[FLAT], few).await.unwrap();
    let ids: Vec<EntryId> = read[0].entries.iter().map(|entry| entry.id).collect();
    consumer.control().ack(FLAT, &ids[..2]).await.unwrap();
    redis.run::<u64>(&format!("XDEL {FLAT} {}", ids[3])).await;
    drop(consumer);
    let mut consumer = Consumer::connect(redis.options(), "loader").await.unwrap();
    let again = consumer.read(&[FLAT], limits(0)).await.unwrap();
    assert!(again[0].pending);
    let read: Vec<EntryId> = again[0].entries.iter().map(|entry| entry.id).collect();
    assert_eq!(read, ids[2..]);
    assert_eq!(again[0].entries[1].value, EntryValue::Gone);
    let new = consumer.read(&[FLAT], limits(0)).await.unwrap();
    assert_eq!((tokens(&new[0].entries), new[0].pending), (vec![7, 8, 9, 10], false));
    // another name takes over what this one left
    let mut heir = Consumer::connect(redis.options(), "heir").await.unwrap();
    assert_eq!(heir.take_over(FLAT, Duration::ZERO).await.unwrap(), 7);
    let taken = heir.read(&[FLAT], limits(0)).await.unwrap();
    assert_eq!(tokens(&taken[0].entries), [3, 5, 6, 7, 8, 9, 10]);
}

#[tokio::test]
async fn reads_are_bounded_by_entries_and_bytes() {
    let redis = Redis::start(&[]).await;
    for _ in 0..200 {
        redis.run::<String>(&format!("XADD {FLAT} * instrument_token 1 symbol {}", "x".repeat(10_000))).await;
    }
    let mut consumer = Consumer::connect(redis.options(), "loader").await.unwrap();
    consumer.ensure_group(&Stream::flat(FLAT), EntryId::ZERO).await.unwrap();
    let bounded = ReadLimits { max_entries: 20, max_bytes: 100_000, ..limits(0) };
    let mut sizes = Vec::new();
    loop {
        let found = consumer.read(&[FLAT], bounded).await.unwrap();
        let Some(one) = found.first() else { break };
        sizes.push(one.entries.len());
    }
    assert_eq!(sizes.iter().sum::<usize>(), 200);
    assert_eq!(sizes[0], 20);
    assert!(sizes[1..].iter().all(|size| *size <= 9), "{sizes:?}");
}

#[tokio::test]
async fn a_frame_stream_is_never_made_by_its_reader() {
    let redis = Redis::start(&[]).await;
    let mut consumer = Consumer::connect(redis.options(), "loader").await.unwrap();
    let stream = redis.options().frame_stream("kite-1", 2);
    assert_eq!(consumer.ensure_group(&stream, EntryId::ZERO).await.unwrap(), GroupState::NoStream);
    let error = consumer.read(&[STREAM], limits(0)).await.unwrap_err();
    assert!(matches!(&error, StreamError::NoGroup { stream: Some(name) } if name == STREAM), "{error:?}");
    assert_eq!(consumer.control().info(STREAM).await.unwrap(), None);
    // gone while a read waits
    consumer.ensure_group(&Stream::flat(FLAT), EntryId::ZERO).await.unwrap();
    let deleting = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        redis.run::<u64>(&format!("DEL {FLAT}")).await;
    };
    let (read, ()) = tokio::join!(consumer.read(&[FLAT], limits(1_500)), deleting);
    // 7.0 wakes the reader or lets it wait on, others wake it
    assert!(matches!(read, Err(StreamError::NoGroup { .. })) || read.is_ok_and(|found| found.is_empty()));
}

#[tokio::test]
async fn a_group_can_be_put_back() {
    let redis = Redis::start(&[]).await;
    xadd(&redis, 5).await;
    let mut consumer = Consumer::connect(redis.options(), "loader").await.unwrap();
    consumer.ensure_group(&Stream::flat(FLAT), EntryId::ZERO).await.unwrap();
    let read = consumer.read(&[FLAT], limits(0)).await.unwrap();
    let ids: Vec<EntryId> = read[0].entries.iter().map(|entry| entry.id).collect();
    consumer.control().ack(FLAT, &ids).await.unwrap();
    consumer.seek(FLAT, ids[1]).await.unwrap();
    let again = consumer.read(&[FLAT], limits(0)).await.unwrap();
    assert_eq!(tokens(&again[0].entries), [3, 4, 5]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn trimming_and_information() {
    let redis = Redis::start(&[]).await;
    let dir = tempfile::tempdir().unwrap();
    let mut feed = Feed::start(dir.path(), &redis);
    feed.push(30_000).await;
    feed.wait_published().await;
    let mut loader = Loader::connect(&redis).await;
    loader.read_until(25_000).await;
    let control = loader.consumer.control().clone();
    let removed = control.trim(STREAM, feed.id(20_001)).await.unwrap();
    assert!((19_900..=20_000).contains(&removed), "{removed}");
    let info = control.info(STREAM).await.unwrap().unwrap();
    assert_eq!((info.length, info.entries_added), (30_000 - removed, 30_000));
    assert_eq!((info.first_id, info.last_generated_id), (Some(feed.id(removed + 1)), feed.id(30_000)));
    assert!(!info.regressed_below(feed.id(30_000)) && info.regressed_below(feed.id(30_001)));
    let group = info.group.unwrap();
    assert_eq!((group.last_delivered_id, group.pending), (loader.last, loader.last.seq));
    assert_eq!(group.lag, Some(30_000 - loader.last.seq));
    let range = control.range(STREAM, feed.id(21_000), feed.id(21_010), 100).await.unwrap();
    assert!(range.iter().map(|entry| entry.id).eq((21_000..=21_010).map(|seq| feed.id(seq))));
    feed.end().await;
}

#[tokio::test]
async fn marks_letters_and_the_server() {
    let redis = Redis::start(&[]).await;
    let control = Control::new(redis.options()).unwrap();
    control.set_mark("kite-1/2", EntryId::new(5, 6)).await.unwrap();
    redis.run::<u64>("HSET ticks:marks broken yesterday").await;
    let marks = control.marks().await.unwrap();
    assert_eq!((marks.len(), marks["kite-1/2"]), (1, EntryId::new(5, 6)));
    let letter = DeadLetter { origin: FLAT, id: EntryId::new(1, 2), reason: "no token", payload: b"\0\xff" };
    let id = control.dead(letter).await.unwrap();
    let letters = control.range("ticks:dead", id, id, 10).await.unwrap();
    let EntryValue::Flat(fields) = &letters[0].value else { panic!("{letters:?}") };
    let fields: Vec<(&[u8], &[u8])> = fields.iter().map(|(field, value)| (&field[..], &value[..])).collect();
    let expected: [(&[u8], &[u8]); 4] =
        [(b"origin", b"ticks:stream"), (b"id", b"1-2"), (b"reason", b"no token"), (b"payload", b"\0\xff")];
    assert_eq!(fields, expected);
    let server = control.server().await.unwrap();
    assert!(server.version.starts_with(char::is_numeric) && server.run_id.len() == 40, "{server:?}");
    assert!(server.used_memory > 100_000 && server.max_memory_policy == "noeviction", "{server:?}");
    redis.run::<String>("SET plain x").await;
    assert!(matches!(control.info("plain").await, Err(StreamError::Refused { .. })));
}

#[tokio::test]
async fn a_lease_has_one_owner_and_a_rising_fence() {
    let redis = Redis::start(&[]).await;
    let control = Control::new(redis.options()).unwrap();
    let minute = Duration::from_mins(1);
    let first = Lease::acquire(&control, "loader", minute, 1_763_700_000_000_001).await.unwrap();
    assert_eq!(first.fence(), 1_763_700_000_000_001, "not rounded by a script");
    assert!(first.is_held(Duration::from_secs(50)) && !first.is_held(Duration::from_secs(61)));
    match Lease::acquire(&control, "loader", minute, 0).await {
        Err(StreamError::LeaseHeld { holder, .. }) => {
            assert_eq!(holder, format!("process {}", std::process::id()));
        }
        other => panic!("{other:?}"),
    }
    let other = Lease::acquire(&control, "other", minute, 0).await.unwrap();
    assert_eq!(other.fence(), 1);
    first.renew().await.unwrap();
    first.release().await.unwrap();
    let short = Lease::acquire(&control, "loader", Duration::from_millis(150), 0).await.unwrap();
    assert_eq!(short.fence(), 1_763_700_000_000_002);
    assert!(short.is_held(Duration::ZERO));
    eventually("it expires", async || !short.is_held(Duration::ZERO)).await;
    let mut third = None;
    while third.is_none() {
        third = Lease::acquire(&control, "loader", minute, 0).await.ok();
    }
    let third = third.unwrap();
    assert!(third.fence() > short.fence());
    assert!(
        matches!(short.renew().await, Err(StreamError::LeaseLost { fence, .. }) if fence == short.fence())
    );
    // the late one can't take it from its successor
    short.release().await.unwrap();
    third.renew().await.unwrap();
    redis.run::<()>("FLUSHALL").await;
    assert!(matches!(third.renew().await, Err(StreamError::LeaseLost { .. })));
    assert!(!third.is_held(Duration::ZERO));
    let after = Lease::acquire(&control, "loader", minute, third.fence() + 1).await.unwrap();
    assert!(after.fence() > third.fence());
}
