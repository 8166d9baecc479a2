use super::*;
use redis::aio::MultiplexedConnection;
use tickhouse_embed::testkit::TestRedis;

const KEY: &str = "ticks";

/// A list in a real Redis, and what was pushed to it since the last look.
struct Market {
    redis: TestRedis,
    connection: MultiplexedConnection,
    source: SourceDb,
    seen: Option<ListSeen>,
    next: u64,
    pushed: Vec<String>,
}

impl Market {
    async fn open() -> Self {
        let redis = TestRedis::start().await;
        let client = redis::Client::open(redis.url()).unwrap();
        let connection = client.get_multiplexed_async_connection().await.unwrap();
        let source = SourceDb::new(&redis.url(), "test", 0).unwrap();
        Self { redis, connection, source, seen: None, next: 0, pushed: Vec::new() }
    }

    async fn ask<T: redis::FromRedisValue>(&mut self, words: &[&str]) -> T {
        redis::cmd(words[0]).arg(KEY).arg(&words[1..]).query_async(&mut self.connection).await.unwrap()
    }

    async fn push(&mut self, command: &str, count: u64) {
        let texts: Vec<String> = (0..count).map(|more| format!("{}", self.next + more)).collect();
        self.next += count;
        for part in texts.chunks(500) {
            let mut words = vec![command];
            words.extend(part.iter().map(String::as_str));
            let _: u64 = self.ask(&words).await;
        }
        self.pushed.extend(texts);
    }

    /// What a look finds, from what it remembers in the form in which that is kept.
    async fn look(&mut self) -> Vec<String> {
        let length = self.ask(&["LLEN"]).await;
        let mut look = ListLook::new(KEY.as_bytes(), length, self.seen.clone());
        let mut found = Vec::new();
        loop {
            let texts = look.next(&mut self.source).await.unwrap();
            if texts.is_empty() {
                break;
            }
            found.extend(texts.into_iter().map(|text| String::from_utf8(text).unwrap()));
        }
        let kept = serde_json::to_string(&look.seen).unwrap();
        assert!(kept.len() < 1_000, "{kept}");
        self.seen = Some(serde_json::from_str(&kept).unwrap());
        found
    }

    /// A look finds what was pushed and is still there, each once, in the order of pushing.
    async fn check(&mut self, what: &str) {
        let there: Vec<String> = self.ask(&["LRANGE", "0", "-1"]).await;
        let there: std::collections::HashSet<String> = there.into_iter().collect();
        let wanted: Vec<String> = self.pushed.drain(..).filter(|one| there.contains(one)).collect();
        let found = self.look().await;
        assert_eq!(found, wanted, "{what} (redis at {})", self.redis.url());
        assert_eq!(self.look().await, Vec::<String>::new(), "{what}: nothing twice");
    }
}

/// Numbers that are the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % most
    }
}

#[tokio::test]
async fn what_is_pushed_is_found_once_wherever_the_list_is_cut() {
    for (seed, push, pop, other_pop, keep) in
        [(1, "RPUSH", "RPOP", "LPOP", ["-{}", "-1"]), (2, "LPUSH", "LPOP", "RPOP", ["0", "{}"])]
    {
        let (mut market, mut dice) = (Market::open().await, Dice(seed));
        // of a list that was never seen nobody knows which end is the newer one
        market.push(push, 1).await;
        market.check("the first one").await;
        market.push(push, 50).await;
        market.check("some more").await;
        for step in 0..300 {
            let what = format!("{push} {seed}, step {step}");
            let count = match dice.below(12) {
                0 => 0,
                1 => 3_500,
                2 => 900 + dice.below(300),
                _ => 1 + dice.below(30),
            };
            // consumers at either end, before or after it grows
            if dice.below(4) == 0 {
                let popped = dice.below(12).to_string();
                let _: Option<Vec<String>> = market.ask(&[pop, &popped]).await;
            }
            if dice.below(3) == 0 {
                let popped = dice.below(40).to_string();
                let _: Option<Vec<String>> = market.ask(&[other_pop, &popped]).await;
            }
            market.push(push, count).await;
            if dice.below(2) == 0 {
                let most = (1 + dice.below(2_500)).to_string();
                let bounds = keep.map(|bound| bound.replace("{}", &most));
                let _: () = market.ask(&["LTRIM", &bounds[0], &bounds[1]]).await;
            }
            market.check(&what).await;
        }
        assert!(market.next > 50_000);
    }
}

#[tokio::test]
async fn a_list_that_grows_at_both_ends_or_anew() {
    let mut market = Market::open().await;
    market.push("RPUSH", 3).await;
    market.check("a new one").await;
    market.push("LPUSH", 2).await;
    market.check("the other end").await;
    market.push("RPUSH", 40).await;
    market.check("this end").await;
    market.push("LPUSH", 5_000).await;
    market.check("much").await;
    // the same texts again are told from the first ones by the length
    for _ in 0..3 {
        let _: u64 = market.ask(&["RPUSH", "same", "same"]).await;
        assert_eq!(market.look().await, ["same", "same"]);
    }
    let texts: Vec<String> = market.ask(&["LRANGE", "0", "-1"]).await;
    let _: u64 = market.ask(&["DEL"]).await;
    for part in texts.chunks(500) {
        let mut words = vec!["RPUSH"];
        words.extend(part.iter().map(String::as_str));
        let _: u64 = market.ask(&words).await;
    }
    assert!(market.look().await.is_empty(), "written again as it was");
    let _: u64 = market.ask(&["DEL"]).await;
    market.push("RPUSH", 30).await;
    market.check("another list").await;
    let _: u64 = market.ask(&["DEL"]).await;
    market.push("RPUSH", 2).await;
    market.check("a short one instead").await;
}
