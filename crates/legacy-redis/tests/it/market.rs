//! An older Redis full of mixed keys, and an oracle that knows which records are in it.

use redis::aio::MultiplexedConnection;
use std::collections::BTreeMap;
use tickhouse_enrich::{InstrumentTable, InstrumentTableBuilder};

/// 2026-02-02 09:00 in India.
const BEGIN: i64 = 1_770_003_000;

/// What a record must become, by its price in paise, which no two records share.
pub(crate) type Oracle = BTreeMap<u64, Expected>;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Expected {
    pub(crate) token: u32,
    pub(crate) seconds: i64,
    pub(crate) packet_type: String,
}

/// INFY, RELIANCE, NIFTY 50.
pub(crate) fn instruments() -> InstrumentTable {
    let csv = "instrument_token,exchange_token,tradingsymbol,name,last_price,expiry,strike,tick_size,lot_size,\
               instrument_type,segment,exchange\n\
               408065,1594,INFY,INFOSYS,0,,0,0.05,1,EQ,NSE,NSE\n\
               738561,2885,RELIANCE,RELIANCE INDUSTRIES,0,,0,0.05,1,EQ,NSE,NSE\n\
               256265,1001,NIFTY 50,NIFTY 50,0,,0,0,0,EQ,INDICES,NSE\n";
    let mut builder = InstrumentTableBuilder::new();
    builder.read_kite_csv(csv.as_bytes()).unwrap();
    builder.finish()
}

pub(crate) async fn connect(url: &str, db: u32) -> MultiplexedConnection {
    let client = redis::Client::open(format!("{url}/{db}")).unwrap();
    let config =
        redis::AsyncConnectionConfig::new().set_response_timeout(Some(std::time::Duration::from_mins(1)));
    client.get_multiplexed_async_connection_with_config(&config).await.unwrap()
}

/// Writes `keys` keys of every kind, and the oracle.
pub(crate) struct Writer {
    pub(crate) oracle: Oracle,
    /// Things that must be skipped.
    pub(crate) junk: u64,
    pub(crate) keys: u64,
    next: u64,
}

impl Writer {
    pub(crate) const fn new() -> Self {
        Self { oracle: Oracle::new(), junk: 0, keys: 0, next: 0 }
    }

    /// A new record: its price and its time, which jumps about over sixty days.
    fn record(&mut self, token: u32, packet_type: &str) -> (String, i64) {
        self.next += 1;
        let seconds = BEGIN + (self.next as i64 * 7_919 % 60) * 86_400 + (self.next as i64 * 31 % 22_500);
        let expected = Expected { token, seconds, packet_type: packet_type.to_owned() };
        self.oracle.insert(self.next, expected);
        (format!("{}.{:02}", self.next / 100, self.next % 100), seconds)
    }

    pub(crate) async fn fill(&mut self, url: &str, keys: u64) {
        let mut connections = [connect(url, 0).await, connect(url, 1).await, connect(url, 2).await];
        let mut pipes = [redis::pipe(), redis::pipe(), redis::pipe()];
        for number in 0..keys {
            self.key(number, &mut pipes);
            if number % 1_000 == 999 || number + 1 == keys {
                for (pipe, connection) in pipes.iter_mut().zip(&mut connections) {
                    let full = std::mem::replace(pipe, redis::pipe());
                    if !full.is_empty() {
                        let _: Vec<redis::Value> = full.query_async(connection).await.unwrap();
                    }
                }
            }
        }
        self.keys += keys;
    }

    fn key(&mut self, number: u64, pipes: &mut [redis::Pipeline; 3]) {
        if number % 97 == 96 {
            return self.junk(number, pipes);
        }
        match number % 6 {
            0 => {
                let (price, seconds) = self.record(408_065, "full");
                let command = pipes[0].cmd("HSET").arg(format!("tick:{number}"));
                command.arg(&[
                    "instrument_token",
                    "408065",
                    "packet_type",
                    "full",
                    "last_price",
                    price.as_str(),
                ]);
                command
                    .arg("timestamp")
                    .arg(iso(seconds))
                    .arg("volume")
                    .arg("12.0")
                    .arg("bid_1_price")
                    .arg("1.5");
            }
            1 => {
                let (price, seconds) = self.record(738_561, "quote");
                let tick = format!(
                    "{{\"tradable\": true, \"mode\": \"quote\", \"instrument_token\": 738561, \"last_price\": {price}, \
                     \"volume_traded\": 77, \"ohlc\": {{\"open\": 1, \"high\": 2, \"low\": 0.5, \"close\": 1.25}}, \
                     \"exchange_timestamp\": {seconds}, \"depth\": {{\"buy\": [{{\"price\": 1, \"quantity\": 5, \"orders\": 2}}], \"sell\": []}}}}"
                );
                pipes[1].cmd("SET").arg(format!("quote:{number}")).arg(tick);
            }
            2 => {
                let command = pipes[0].cmd("RPUSH").arg(format!("ticks:list:{number}"));
                for _ in 0..3 {
                    let (price, seconds) = self.record(408_065, "");
                    command.arg(format!(
                        "{{\"symbol\": \"NSE:INFY\", \"ltp\": \"{price}\", \"ts\": {}}}",
                        seconds * 1_000
                    ));
                }
            }
            kind => self.timed(kind, number, pipes),
        }
    }

    /// Keys with a time beside the record, and candles.
    fn timed(&mut self, kind: u64, number: u64, pipes: &mut [redis::Pipeline; 3]) {
        match kind {
            3 => {
                let command = pipes[2].cmd("ZADD").arg(format!("history:RELIANCE:{number}"));
                for _ in 0..2 {
                    let (price, seconds) = self.record(738_561, "");
                    command.arg(seconds).arg(format!("{{\"price\": {price}}}"));
                }
            }
            4 => {
                for entry in 0..2 {
                    let (price, seconds) = self.record(256_265, "index_full");
                    let command = pipes[2]
                        .cmd("XADD")
                        .arg(format!("stream:{number}"))
                        .arg(format!("{}-{entry}", 1_000 + entry));
                    command.arg(&[
                        "instrument_token",
                        "256265",
                        "packet_type",
                        "index_full",
                        "last_price",
                        price.as_str(),
                    ]);
                    command.arg("timestamp").arg(iso(seconds));
                }
            }
            _ => {
                let candles = [(); 3].map(|()| {
                    let (price, seconds) = self.record(408_065, "5minute");
                    format!("[\"{}+0530\", 1, 2, 0.5, {price}, 1000]", iso(seconds))
                });
                let candles = candles.join(",");
                let key = format!("ohlc:NSE:INFY:5minute:{number}");
                pipes[1]
                    .cmd("SET")
                    .arg(key)
                    .arg(format!("{{\"status\": \"success\", \"data\": {{\"candles\": [{candles}]}}}}"));
            }
        }
    }

    /// Keys without a record.
    fn junk(&mut self, number: u64, pipes: &mut [redis::Pipeline; 3]) {
        self.junk += 1;
        match number % 4 {
            0 => pipes[0].cmd("SET").arg(format!("session:{number}")).arg("abc"),
            1 => pipes[1].cmd("SADD").arg(format!("watch:{number}")).arg("INFY"),
            2 => pipes[2].cmd("HSET").arg(format!("settings:{number}")).arg("theme").arg("dark"),
            _ => pipes[0]
                .cmd("SET")
                .arg(format!("quote:NSE:NOSUCH:{number}"))
                .arg("{\"symbol\": \"NOSUCH\", \"last_price\": 5, \"timestamp\": 1770003000}"),
        };
    }

    /// Keys that are too large to be read at once.
    pub(crate) async fn large(&mut self, url: &str) {
        let mut connection = connect(url, 1).await;
        let mut pipe = redis::pipe();
        let hash = pipe.cmd("HSET").arg("latest");
        for number in 0..3_000 {
            let (price, seconds) = self.record(408_065, "");
            hash.arg(format!("f{number}"))
                .arg(format!("{{\"token\": 408065, \"lp\": {price}, \"time\": {seconds}}}"));
        }
        let list = pipe.cmd("RPUSH").arg("all:ticks");
        for _ in 0..4_321 {
            let (price, seconds) = self.record(738_561, "");
            list.arg(format!("{{\"token\": 738561, \"lp\": {price}, \"time\": {seconds}}}"));
        }
        let set = pipe.cmd("ZADD").arg("all:INFY");
        for _ in 0..2_000 {
            let (price, seconds) = self.record(408_065, "");
            set.arg(seconds).arg(format!("{{\"lp\": {price}}}"));
        }
        for number in 0..2_500 {
            let (price, seconds) = self.record(408_065, "");
            let add = pipe.cmd("XADD").arg("all:stream").arg(format!("{}-1", 5 + number));
            add.arg("data").arg(format!("{{\"token\": 408065, \"lp\": {price}, \"time\": {seconds}}}"));
        }
        let _: Vec<redis::Value> = pipe.query_async(&mut connection).await.unwrap();
        self.keys += 4;
    }
}

/// India's time without offset.
fn iso(seconds: i64) -> String {
    let text = tickhouse_model::Timestamp::from_millis(seconds * 1_000).to_string();
    text[..19].to_owned()
}
