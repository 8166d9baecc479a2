use super::*;
use crate::seen::{Change, Seen};
use redis::aio::MultiplexedConnection;
use std::collections::HashSet;
use tickhouse_embed::testkit::TestRedis;

const KEY: &str = "history";

/// A sorted set in a real Redis.
struct Market {
    _redis: TestRedis,
    connection: MultiplexedConnection,
    source: SourceDb,
    seen: Option<Seen>,
    missed: u64,
}

impl Market {
    async fn open() -> Self {
        let redis = TestRedis::start().await;
        let client = redis::Client::open(redis.url()).unwrap();
        let connection = client.get_multiplexed_async_connection().await.unwrap();
        let source = SourceDb::new(&redis.url(), "test", 0).unwrap();
        Self { _redis: redis, connection, source, seen: None, missed: 0 }
    }

    async fn ask<T: redis::FromRedisValue>(&mut self, words: &[&str]) -> T {
        redis::cmd(words[0]).arg(KEY).arg(&words[1..]).query_async(&mut self.connection).await.unwrap()
    }

    async fn add(&mut self, members: &[(i64, String)]) {
        let scores: Vec<String> = members.iter().map(|(score, _)| score.to_string()).collect();
        for (part, scores) in members.chunks(500).zip(scores.chunks(500)) {
            let mut words = vec!["ZADD"];
            for ((_, member), score) in part.iter().zip(scores) {
                words.extend([score.as_str(), member.as_str()]);
            }
            let _: u64 = self.ask(&words).await;
        }
    }

    /// What a look finds.
    async fn look(&mut self) -> Vec<String> {
        let size = self.ask(&["ZCARD"]).await;
        let seen = match self.seen.clone() {
            Some(Seen::SortedSet(seen)) => Some(seen),
            _ => None,
        };
        let mut look = SetLook::new(KEY.as_bytes(), size, seen);
        let mut found = Vec::new();
        while let Some((members, change)) = look.next(&mut self.source).await.unwrap() {
            found.extend(members.into_iter().map(|(text, _)| String::from_utf8(text).unwrap()));
            self.seen = Some(Change::SortedSet(change).apply(self.seen.take()));
        }
        self.missed += look.missed;
        if let Some(Seen::SortedSet(seen)) = &self.seen {
            assert!(seen.known.len() <= 2 * HIGHEST, "{}", seen.known.len());
        }
        found
    }

    async fn check(&mut self, wanted: &[(i64, String)], what: &str) {
        let there: Vec<String> = self.ask(&["ZRANGE", "0", "-1"]).await;
        let there: HashSet<String> = there.into_iter().collect();
        let wanted: HashSet<String> =
            wanted.iter().map(|(_, member)| member.clone()).filter(|one| there.contains(one)).collect();
        let found = self.look().await;
        assert_eq!(found.len(), wanted.len(), "{what}");
        assert_eq!(found.into_iter().collect::<HashSet<_>>(), wanted, "{what}");
        assert!(self.look().await.is_empty(), "{what}: nothing twice");
    }
}

#[tokio::test]
async fn members_are_found_once_also_late_ones_and_those_of_one_score() {
    let mut market = Market::open().await;
    let (mut next, mut now, mut state) = (0_u64, 1_000_000_i64, 1_u64);
    let mut below = |most: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % most
    };
    for step in 0..200 {
        let count = if below(20) == 0 { 4_000 } else { below(60) };
        let late = step % 3 == 0;
        let mut members = Vec::new();
        for _ in 0..count {
            next += 1;
            // many of one score, some from before, below the largest ones that are there
            now += i64::from(below(5) == 0);
            let back = if late && count < 60 { below(8) as i64 } else { 0 };
            members.push((now - back, format!("{:08x}", next.wrapping_mul(2_654_435_761) as u32)));
        }
        market.add(&members).await;
        if below(3) == 0 {
            let keep = format!("-{}", 1_500 + below(500));
            let _: u64 = market.ask(&["ZREMRANGEBYRANK", "0", &keep]).await;
        }
        market.check(&members, &format!("step {step}")).await;
    }
    assert_eq!(market.missed, 0);
    assert!(next > 10_000);
}

#[tokio::test]
async fn what_comes_below_is_counted_and_another_set_is_another() {
    let mut market = Market::open().await;
    let members: Vec<(i64, String)> = (0..2_000).map(|n| (1_000 + n, format!("a{n}"))).collect();
    market.add(&members).await;
    market.check(&members, "a new one").await;
    let late: Vec<(i64, String)> = (0..7).map(|n| (10 + n, format!("late{n}"))).collect();
    market.add(&late).await;
    assert_eq!((market.look().await.len(), market.missed), (0, 7));
    assert_eq!((market.look().await.len(), market.missed), (0, 7), "counted once");
    // another score is another time
    market.add(&[(5_000, "a1999".to_owned())]).await;
    assert_eq!(market.look().await, ["a1999"]);
    // the highest goes
    let _: u64 = market.ask(&["ZREM", "a1999"]).await;
    assert!(market.look().await.is_empty());
    // the same again
    let _: u64 = market.ask(&["DEL"]).await;
    market.add(&members).await;
    assert_eq!(market.look().await, ["a1999"], "it had another score");
    // another day, with lower scores
    let _: u64 = market.ask(&["DEL"]).await;
    let lower: Vec<(i64, String)> = (0..100).map(|n| (n, format!("b{n}"))).collect();
    market.add(&lower).await;
    market.check(&lower, "lower scores").await;
    // now all of it is remembered: nothing is too late
    market.add(&[(-5, "c".to_owned())]).await;
    assert_eq!(market.look().await, ["c"]);
    let floats = "2.5 9007199254740993 -inf +inf 1e300";
    for (n, score) in floats.split(' ').enumerate() {
        let _: u64 = market.ask(&["ZADD", score, &format!("d{n}")]).await;
    }
    assert_eq!(market.look().await.len(), 5);
    assert!(market.look().await.is_empty());
}
