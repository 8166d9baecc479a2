//! Keys whose elements are large, and the words in which they are asked for.

use crate::market::{Expected, Oracle, connect};
use crate::{assert_same, import, options, published};
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use tickhouse_embed::testkit::TestRedis;

/// 2026-02-02 10:00 in India.
const AT: i64 = 1_770_006_600;
/// More than are read with the keys beside them.
const ELEMENTS: u64 = 300;

/// What the server is asked, until somebody says `the end`.
fn listen(url: &str) -> std::thread::JoinHandle<Vec<String>> {
    let mut stream = TcpStream::connect(url.trim_start_matches("redis://")).unwrap();
    stream.write_all(b"MONITOR\r\n").unwrap();
    let mut lines = BufReader::new(stream).lines().map(Result::unwrap);
    assert_eq!(lines.next().as_deref(), Some("+OK"));
    std::thread::spawn(move || lines.take_while(|line| !line.contains("the end")).collect())
}

#[tokio::test]
async fn large_keys_are_read_in_small_pieces_by_old_words() {
    let (old, new) = (TestRedis::start().await, TestRedis::start().await);
    let folder = tempfile::tempdir().unwrap();
    let mut connection = connect(&old.url(), 0).await;
    let mut oracle = Oracle::new();
    let mut record = |price: u64, padding: usize| {
        let expected = Expected { token: 408_065, seconds: AT, packet_type: String::new() };
        oracle.insert(price, expected);
        let (whole, part) = (price / 100, price % 100);
        let padding = "x".repeat(padding);
        format!(
            "{{\"token\": 408065, \"lp\": {whole}.{part:02}, \"time\": {AT}, \"remarks\": \"{padding}\"}}"
        )
    };
    for price in 1..=ELEMENTS {
        let mut add = redis::pipe();
        add.cmd("RPUSH").arg("all:ticks").arg(record(price, 200_000));
        add.cmd("XADD").arg("all:stream").arg(format!("{price}-1")).arg("data").arg(record(1_000 + price, 0));
        let _: Vec<redis::Value> = add.query_async(&mut connection).await.unwrap();
    }
    let large = format!("\"{}\"", "x".repeat(9 << 20));
    let _: () = redis::cmd("SET").arg("blob").arg(large).query_async(&mut connection).await.unwrap();

    let asked = listen(&old.url());
    let report = import(options(&old.url(), folder.path()), &new.url()).await.unwrap();
    let _: String = redis::cmd("ECHO").arg("the end").query_async(&mut connection).await.unwrap();
    assert_same(&published(&new.url()).await, &oracle);
    assert_eq!(report.patterns["db0 blob string"].skipped["larger than 8 MiB"], 1);
    let asked = asked.join().unwrap();
    let of = |name: &str| asked.iter().filter(|line| line.contains(name)).cloned().collect::<Vec<_>>();
    let ranges = of("\"XRANGE\"");
    assert!(ranges.len() > 1 && ranges.iter().all(|line| !line.contains("\"(")), "{ranges:?}");
    // 4 MiB of them at once
    assert!(of("\"LRANGE\"").len() > 10, "{:?}", of("\"LRANGE\""));
}
