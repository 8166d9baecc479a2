//! Lists and sorted sets that go on growing.

use crate::follow::{notify, wait_for};
use crate::market::{Expected, Oracle, Writer, connect};
use crate::{assert_same, published, spawn};
use redis::aio::MultiplexedConnection;
use std::time::Duration;
use tickhouse_embed::testkit::TestRedis;

/// 2026-02-02 10:00 in India.
const AT: i64 = 1_770_006_600;

/// Adds records to keys of every such kind in turn: known from the import and new ones, trimmed and not.
struct Producer {
    source: MultiplexedConnection,
    oracle: Oracle,
    price: u64,
}

impl Producer {
    async fn add(&mut self, count: u64) {
        let mut pipe = redis::pipe();
        for _ in 0..count {
            self.price += 1;
            let (price, seconds) = (self.price, AT + (self.price - 10_000_000) as i64);
            let text = format!("{}.{:02}", price / 100, price % 100);
            let tick = format!("{{\"token\": 408065, \"lp\": {text}, \"time\": {seconds}}}");
            let mut token = 408_065;
            match price % 6 {
                0 => pipe.cmd("RPUSH").arg("ticks:list:2").arg(tick),
                1 => pipe
                    .cmd("RPUSH")
                    .arg("newest:last")
                    .arg(tick)
                    .cmd("LTRIM")
                    .arg("newest:last")
                    .arg(-120)
                    .arg(-1),
                2 => pipe
                    .cmd("LPUSH")
                    .arg("newest:first")
                    .arg(tick)
                    .cmd("LTRIM")
                    .arg("newest:first")
                    .arg(0)
                    .arg(119),
                // a consumer leaves the last ones
                3 => pipe
                    .cmd("LPUSH")
                    .arg(b"queue:\xff")
                    .arg(tick)
                    .cmd("LTRIM")
                    .arg(b"queue:\xff")
                    .arg(0)
                    .arg(99),
                4 => {
                    token = 738_561;
                    let member = format!("{{\"price\": {text}}}");
                    pipe.cmd("ZADD").arg("history:RELIANCE:3").arg(seconds).arg(member)
                }
                _ => {
                    let command = pipe
                        .cmd("ZADD")
                        .arg("window:INFY")
                        .arg(seconds)
                        .arg(format!("{{\"price\": {text}}}"));
                    command.cmd("ZREMRANGEBYRANK").arg("window:INFY").arg(0).arg(-121)
                }
            };
            self.oracle.insert(price, Expected { token, seconds, packet_type: String::new() });
        }
        let _: Vec<redis::Value> = pipe.query_async(&mut self.source).await.unwrap();
    }
}

async fn begin(old: &TestRedis, db: u32) -> Producer {
    let mut writer = Writer::new();
    writer.fill(&old.url(), 1_200).await;
    // both keys of the import in the database that changes
    let mut source = connect(&old.url(), db).await;
    let _: Vec<redis::Value> = redis::pipe()
        .cmd("RPUSH")
        .arg("ticks:list:2")
        .arg(format!("{{\"token\": 408065, \"lp\": 50000.01, \"time\": {AT}}}"))
        .cmd("ZADD")
        .arg("history:RELIANCE:3")
        .arg(AT)
        .arg("{\"price\": 50000.02}")
        .query_async(&mut source)
        .await
        .unwrap();
    let mut oracle = writer.oracle.clone();
    for (price, token) in [(5_000_001, 408_065), (5_000_002, 738_561)] {
        oracle.insert(price, Expected { token, seconds: AT, packet_type: String::new() });
    }
    Producer { source, oracle, price: 10_000_000 }
}

#[tokio::test]
async fn lists_and_sorted_sets_are_followed_over_kills() {
    let (old, new) = (TestRedis::start().await, TestRedis::start().await);
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("follow");
    let mut producer = begin(&old, 1).await;
    notify(&old.url()).await;
    for round in 0..4_u64 {
        let mut child = spawn(&old.url(), &new.url(), &place);
        // what is trimmed away before it was seen is lost: so the follower is there, and keeps up
        wait_for(&new.url(), producer.oracle.len()).await;
        for _ in 0..60 {
            producer.add(6).await;
            tokio::time::sleep(Duration::from_millis(10 + round * 2)).await;
        }
        wait_for(&new.url(), producer.oracle.len()).await;
        producer.add(30).await;
        child.kill().unwrap();
        child.wait().unwrap();
        // while nobody follows, less than stays
        producer.add(180).await;
    }
    let mut child = spawn(&old.url(), &new.url(), &place);
    wait_for(&new.url(), producer.oracle.len()).await;
    // written again as they were
    let texts: Vec<String> = redis::cmd("LRANGE")
        .arg("newest:first")
        .arg(0)
        .arg(-1)
        .query_async(&mut producer.source)
        .await
        .unwrap();
    let mut again = redis::pipe();
    again.cmd("DEL").arg("newest:first").cmd("RPUSH").arg("newest:first").arg(texts);
    again
        .cmd("ZADD")
        .arg("window:INFY")
        .arg(AT)
        .arg("{\"price\": 1}")
        .cmd("ZREM")
        .arg("window:INFY")
        .arg("{\"price\": 1}");
    let _: Vec<redis::Value> = again.query_async(&mut producer.source).await.unwrap();
    producer.add(6).await;
    wait_for(&new.url(), producer.oracle.len()).await;
    child.kill().unwrap();
    child.wait().unwrap();
    assert_same(&published(&new.url()).await, &producer.oracle);
}

/// The source tells nothing; keys that nobody knew come while nobody follows, one of them of hundreds of pieces.
#[tokio::test]
async fn without_being_told_they_are_looked_at_in_turn() {
    let (old, new) = (TestRedis::start().await, TestRedis::start().await);
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("follow");
    let mut producer = begin(&old, 2).await;
    let mut child = spawn(&old.url(), &new.url(), &place);
    wait_for(&new.url(), producer.oracle.len()).await;
    producer.add(60).await;
    wait_for(&new.url(), producer.oracle.len()).await;
    child.kill().unwrap();
    child.wait().unwrap();
    let mut pipe = redis::pipe();
    for price in 20_000_000..20_020_000_u64 {
        let text = format!("{}.{:02}", price / 100, price % 100);
        let tick = format!("{{\"token\": 408065, \"lp\": {text}, \"time\": {AT}}}");
        match price % 3 {
            0 => pipe.cmd("RPUSH").arg("late:list").arg(tick),
            1 => pipe.cmd("ZADD").arg("late:set").arg(AT).arg(tick),
            _ => pipe.cmd("XADD").arg("late:stream").arg("*").arg("data").arg(tick),
        };
        let expected = Expected { token: 408_065, seconds: AT, packet_type: String::new() };
        producer.oracle.insert(price, expected);
    }
    let _: Vec<redis::Value> = pipe.query_async(&mut producer.source).await.unwrap();
    // killed in the middle of them
    let known = published(&new.url()).await.len();
    let mut child = spawn(&old.url(), &new.url(), &place);
    wait_for(&new.url(), known + 1).await;
    child.kill().unwrap();
    child.wait().unwrap();
    let mut child = spawn(&old.url(), &new.url(), &place);
    wait_for(&new.url(), producer.oracle.len()).await;
    producer.add(12).await;
    wait_for(&new.url(), producer.oracle.len()).await;
    child.kill().unwrap();
    child.wait().unwrap();
    assert_same(&published(&new.url()).await, &producer.oracle);
}
