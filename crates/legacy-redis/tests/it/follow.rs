//! Following a source that goes on changing.

use crate::market::{Expected, Writer, connect};
use crate::{assert_same, published, spawn};
use std::time::{Duration, Instant};
use tickhouse_embed::testkit::TestRedis;

/// 2026-02-02 10:00 in India.
const AT: i64 = 1_770_006_600;
const PATIENCE: Duration = Duration::from_secs(30);

/// Adds to a stream while the follower is killed again and again, and changes a hash while it listens.
#[tokio::test]
async fn streams_are_followed_over_kills_and_hashes_while_it_listens() {
    let (old, new) = (TestRedis::start().await, TestRedis::start().await);
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("follow");
    std::fs::create_dir(&place).unwrap();
    let mut writer = Writer::new();
    writer.fill(&old.url(), 1_200).await;
    let mut source = connect(&old.url(), 2).await;
    notify(&old.url()).await;
    let mut oracle = writer.oracle.clone();
    let mut price = 10_000_000_u64;
    let mut add = async |oracle: &mut crate::market::Oracle| {
        price += 1;
        let expected = Expected { token: 256_265, seconds: AT, packet_type: "index_full".to_owned() };
        oracle.insert(price, expected);
        let text = format!("{}.{:02}", price / 100, price % 100);
        // one stream that is known from the import, and one that is new
        let key = if price.is_multiple_of(2) { "stream:4" } else { "stream:new" };
        let mut command = redis::cmd("XADD");
        command
            .arg(key)
            .arg("*")
            .arg(&["token", "256265", "mode", "index_full", "ltp", text.as_str()])
            .arg("ts")
            .arg(AT);
        let _: String = command.query_async(&mut source).await.unwrap();
    };
    for round in 0..4_u64 {
        let mut child = spawn(&old.url(), &new.url(), &place);
        for _ in 0..120 {
            add(&mut oracle).await;
            tokio::time::sleep(Duration::from_millis(5 + round * 2)).await;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        // while nobody follows
        for _ in 0..50 {
            add(&mut oracle).await;
        }
    }
    let mut child = spawn(&old.url(), &new.url(), &place);
    wait_for(&new.url(), oracle.len()).await;
    // a hash that changes, each time seen before the next
    for change in 0..5_u64 {
        let price = 20_000_000 + change;
        let text = format!("{}.{:02}", price / 100, price % 100);
        oracle.insert(
            price,
            Expected { token: 408_065, seconds: AT + change as i64, packet_type: String::new() },
        );
        let mut command = redis::cmd("HSET");
        command.arg("ltp:INFY").arg("last_price").arg(text).arg("timestamp").arg(AT + change as i64);
        let _: u64 = command.query_async(&mut connect(&old.url(), 0).await).await.unwrap();
        wait_for(&new.url(), oracle.len()).await;
    }
    // what is written again as it was, or gets a time to live, is no change; the key after it tells that all was looked at
    let mut again = redis::pipe();
    again.cmd("EXPIRE").arg("ltp:INFY").arg(1_000);
    again.cmd("HSET").arg("ltp:INFY").arg("last_price").arg("200000.04").arg("timestamp").arg(AT + 4);
    again.cmd("PERSIST").arg("ltp:INFY");
    let last = format!("{{\"instrument_token\": 408065, \"last_price\": 300000, \"timestamp\": {AT}}}");
    again.cmd("SET").arg("quote:after").arg(last);
    oracle.insert(30_000_000, Expected { token: 408_065, seconds: AT, packet_type: String::new() });
    let _: Vec<redis::Value> = again.query_async(&mut connect(&old.url(), 0).await).await.unwrap();
    wait_for(&new.url(), oracle.len()).await;
    child.kill().unwrap();
    child.wait().unwrap();
    assert_same(&published(&new.url()).await, &oracle);
}

/// As the owner of a source does.
pub(crate) async fn notify(source: &str) {
    let mut connection = connect(source, 0).await;
    let mut set = redis::cmd("CONFIG");
    let _: () =
        set.arg("SET").arg("notify-keyspace-events").arg("KA").query_async(&mut connection).await.unwrap();
}

pub(crate) async fn wait_for(target: &str, records: usize) {
    let since = Instant::now();
    loop {
        let found = published(target).await.len();
        if found >= records {
            return;
        }
        assert!(since.elapsed() < PATIENCE, "{found} of {records} records");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
