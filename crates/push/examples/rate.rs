//! How many ticks one thread can push: one full tick per call, and in lists as `on_ticks` gives them.
//!
//! `cargo run --release -p tickhouse-push --example rate`. No Redis is needed: the journal takes what is pushed.

use std::time::{Duration, Instant};
use tickhouse_journal::JournalOptions;
use tickhouse_model::Mode;
use tickhouse_push::{
    Dialect, Format, PushError, PushedDepth, PushedLevel, PushedOhlc, PushedTick, PushedTime, Pusher,
    PusherOptions, read,
};
use tickhouse_stream::{PublisherOptions, RedisOptions};
use tickhouse_telemetry::Clock;

const TICKS: usize = 400_000;

fn main() {
    let folder = std::env::temp_dir().join(format!("tickhouse-push-{}", std::process::id()));
    let pusher = Pusher::open(PusherOptions {
        journal_dir: folder.clone(),
        name: "rate".to_owned(),
        journal: JournalOptions::default(),
        redis: RedisOptions::at("redis://127.0.0.1:1"),
        publisher: PublisherOptions::default(),
        clock: Clock::system(),
        dialect: Dialect::default(),
    })
    .expect("the journal opens");
    let tick = full();
    for size in [1, 20, 200] {
        let list = vec![tick.clone(); size];
        let started = Instant::now();
        for _ in 0..TICKS / size {
            while let Err(error) = pusher.submit(&list) {
                assert!(matches!(error, PushError::QueueFull), "{error}");
                pusher.flush_blocking().expect("the journal goes on");
            }
        }
        pusher.flush_blocking().expect("the journal goes on");
        report(&format!("submit, {size} a call"), TICKS, started.elapsed());
    }
    let list = vec![tick; 200];
    let started = Instant::now();
    for _ in 0..500 {
        pusher.push_blocking(&list).expect("journaled");
    }
    report("push, 200 a call, each awaited", 100_000, started.elapsed());
    let text = format!("[{}]", vec![JSON; 200].join(","));
    let started = Instant::now();
    for _ in 0..200 {
        assert_eq!(read(text.as_bytes(), Format::Json).expect("a list").len(), 200);
    }
    report("reading JSON", 40_000, started.elapsed());
    pusher.close(Duration::ZERO);
    std::fs::remove_dir_all(folder).ok();
}

fn report(what: &str, ticks: usize, took: Duration) {
    println!("{what:<32} {:>10.0} ticks/s", ticks as f64 / took.as_secs_f64());
}

fn full() -> PushedTick {
    let level = PushedLevel { quantity: 75, price: 1573.65, orders: 3 };
    PushedTick {
        last_traded_quantity: Some(3),
        average_traded_price: Some(1570.33),
        volume_traded: Some(1_192_471),
        total_buy_quantity: Some(5),
        total_sell_quantity: Some(6),
        ohlc: Some(PushedOhlc { open: 1575.1, high: 1580.0, low: 1560.05, close: 1581.25 }),
        last_trade_time: PushedTime::Unix(1_795_146_300),
        exchange_timestamp: PushedTime::Unix(1_795_146_301),
        depth: Some(PushedDepth { buy: [level; 5], sell: [level; 5] }),
        ..PushedTick::new(408_065, Mode::Full, 1573.7)
    }
}

const JSON: &str = r#"{"tradable":true,"mode":"full","instrument_token":408065,"last_price":1573.7,"last_traded_quantity":3,
"average_traded_price":1570.33,"volume_traded":1192471,"total_buy_quantity":5,"total_sell_quantity":6,"ohlc":{"open":1575.1,
"high":1580.0,"low":1560.05,"close":1581.25},"change":-0.477,"last_trade_time":"2026-11-20T09:15:00","oi":0,"oi_day_high":0,
"oi_day_low":0,"exchange_timestamp":"2026-11-20T09:15:01","depth":{"buy":[{"quantity":75,"price":1573.65,"orders":3},
{"quantity":75,"price":1573.65,"orders":3},{"quantity":75,"price":1573.65,"orders":3},{"quantity":75,"price":1573.65,"orders":3},
{"quantity":75,"price":1573.65,"orders":3}],"sell":[{"quantity":75,"price":1573.7,"orders":3},{"quantity":75,"price":1573.7,
"orders":3},{"quantity":75,"price":1573.7,"orders":3},{"quantity":75,"price":1573.7,"orders":3},{"quantity":75,"price":1573.7,
"orders":3}]}}"#;
