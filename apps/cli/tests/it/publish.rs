//! News, index values and an older Redis, against the Redis that the program itself starts.

use super::{last_json, run, run_with, stderr, succeed};
use serde_json::json;
use std::path::Path;

struct Redis<'a>(&'a Path, String);

impl<'a> Redis<'a> {
    /// Of the data directory `data` of a folder.
    fn start(folder: &'a Path) -> Self {
        succeed(&run(&["redis", "start", "--port", "0", "--data-dir", "data"], folder));
        let status = last_json(&run(&["redis", "status", "--json", "--data-dir", "data"], folder));
        Self(folder, format!("redis://127.0.0.1:{}", status["state"]["port"]))
    }

    fn ask<T: redis::FromRedisValue>(&self, arguments: &[&str]) -> T {
        let client = redis::Client::open(self.1.as_str()).expect("an address");
        let mut connection = client.get_connection().expect("Redis answers");
        redis::cmd(arguments[0]).arg(&arguments[1..]).query(&mut connection).expect("the command is right")
    }
}

impl Drop for Redis<'_> {
    fn drop(&mut self) {
        run(&["redis", "stop", "--data-dir", "data"], self.0);
    }
}

#[test]
fn lines_are_published_once_and_bad_ones_named() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let redis = Redis::start(here);
    let lines = "{\"id\": 1, \"title\": \"a\"}\nnonsense\n{\"id\": 2, \"title\": \"b\"}\n";
    std::fs::write(here.join("news.jsonl"), lines).unwrap();
    let publish = |arguments: &[&str]| run(&[&["publish", "--data-dir", "data"], arguments].concat(), here);
    let dry = publish(&["news", "news.jsonl", "--dry-run", "--json"]);
    assert_eq!(last_json(&dry)["bad_lines"][0]["line"], 2);
    assert_eq!(redis.ask::<u64>(&["XLEN", "news:stream"]), 0);
    let first = publish(&["news", "news.jsonl", "--json"]);
    assert_eq!((last_json(&first)["published"].clone(), first.status.code()), (json!(2), Some(1)));
    assert!(stderr(&first).contains("line 2: no JSON"), "{}", stderr(&first));
    assert_eq!(last_json(&publish(&["news", "news.jsonl", "--json"]))["repeats"], 2);
    let input = b"{\"symbol\": \"NIFTY\", \"last_price\": 24000}\n";
    let piped = run_with(&["publish", "indices", "-", "--data-dir", "data"], here, input);
    assert!(succeed(&piped).contains("1 lines: 1 published"));
    assert_eq!(
        redis.ask::<[u64; 2]>(&[
            "EVAL",
            "return {redis.call('XLEN', 'news:stream'), redis.call('XLEN', 'indices:stream')}",
            "0"
        ]),
        [2, 1]
    );
    // a file of index values: wholly or not at all
    let values = "{\"symbol\": \"NIFTY\", \"last_price\": 24000}\n{\"symbol\": \"NIFTY\"}\n";
    std::fs::write(here.join("indices.jsonl"), values).unwrap();
    let refused = publish(&["indices", "indices.jsonl", "--json"]);
    assert_eq!((last_json(&refused)["published"].clone(), refused.status.code()), (json!(0), Some(1)));
    assert!(stderr(&refused).contains("none of the file is published"), "{}", stderr(&refused));
    assert_eq!(redis.ask::<u64>(&["XLEN", "indices:stream"]), 1);
    let nothing = publish(&["news", "--poll", "--once"]);
    assert!(stderr(&nothing).contains("news.feeds"), "{}", stderr(&nothing));
}

#[test]
fn an_older_redis_is_imported_once() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (folder.path().join("old"), folder.path().join("new"));
    std::fs::create_dir(&old).unwrap();
    std::fs::create_dir(&new).unwrap();
    let (source, target) = (Redis::start(&old), Redis::start(&new));
    for number in 0..50 {
        let tick =
            format!("{{\"instrument_token\": 408065, \"last_price\": {number}, \"timestamp\": 1770003000}}");
        source.ask::<()>(&["SET", &format!("tick:{number}"), &tick]);
    }
    source.ask::<()>(&["SET", "greeting", "hello"]);
    let import = |arguments: &[&str]| {
        run(
            &[&["import", "redis", "--url", source.1.as_str(), "--data-dir", "data"], arguments].concat(),
            &new,
        )
    };
    let dry = import(&["--historical", "--dry-run", "--json"]);
    assert_eq!(last_json(&dry)["records"], 50, "{}", stderr(&dry));
    for _ in 0..2 {
        let report = last_json(&import(&["--historical", "--json"]));
        assert_eq!((report["published"].clone(), report["skipped"].clone()), (json!(50), json!(1)));
        assert_eq!(report["patterns"]["db0 greeting string"]["skipped"]["no JSON"], 1);
        assert_eq!(target.ask::<u64>(&["XLEN", "ticks:stream:import:redis"]), 50);
    }
    let secret = run(
        &["import", "redis", "--url", "redis://me:s3cret@127.0.0.1:1", "--historical", "--data-dir", "data"],
        &new,
    );
    assert!(stderr(&secret).contains("--password-file") && !stderr(&secret).contains("s3cret"));
    assert!(stderr(&import(&[])).contains("--historical"));
}
