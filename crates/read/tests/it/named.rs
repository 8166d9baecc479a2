//! The named queries on a small day, against values that are computed here from the same ticks.

mod odd_days;

use crate::{reader, run, store};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use tickhouse_embed::testkit::TestEngine;
use tickhouse_model::{DataQuality, FrameId, SessionType, Timestamp, Token};
use tickhouse_read::{NAMED, NamedQuery, Question, Reader, Session, Takes, WhyNothing, Window};
use tickhouse_store::{
    Deduplicate, InsertId, Partition, Store, Tick, TickColumns, TickIdentity, TickInstrument, TickLevel,
    create_users,
};
use uuid::Uuid;

/// Token, symbol, exchange, packet type.
const LISTED: [(u32, &str, &str, &str); 6] = [
    (256_265, "NIFTY", "NSE", "index_full"),
    (408_065, "INFY", "NSE", "full"),
    (128_053_508, "INFY", "BSE", "full"),
    (12_345_602, "NIFTY26NOV24000CE", "NFO", "full"),
    (738_561, "RELIANCE", "NSE", "quote"),
    (779_521, "SBIN", "NSE", "ltp"),
];
const DAY: &str = "2026-11-20";

fn at(time: &str) -> Timestamp {
    Timestamp::from_text(&format!("{DAY} {time}")).unwrap()
}

/// A die with a seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

/// Half an hour: a pre-open minute, then a tick of each instrument a second or so, with totals that run on.
fn ticks() -> Vec<Tick<'static>> {
    let mut dice = Dice(5);
    let mut ticks = Vec::new();
    let mut totals = [0_u64; LISTED.len()];
    let opening = at("09:14").as_millis();
    for second in 0..1_800_i64 {
        for (number, (token, symbol, exchange, packet_type)) in LISTED.into_iter().enumerate() {
            if dice.below(3) > 1 {
                continue;
            }
            let full = matches!(packet_type, "full" | "quote");
            let quantity = 1 + dice.below(40);
            totals[number] += if full && dice.below(2) == 0 { quantity } else { 0 };
            let now = opening + second * 1_000 + dice.below(1_000) as i64;
            let last = 100.0 + (number * 10) as f64 + dice.below(200) as f64 / 20.0;
            let depth = packet_type == "full";
            let level = |side: f64| {
                std::array::from_fn(|at| TickLevel {
                    price: if depth { last + side * (at + 1) as f64 * 0.05 } else { 0.0 },
                    quantity: if depth { 10 * (at as u32 + 1) } else { 0 },
                    orders: u16::from(depth),
                })
            };
            let timestamp = Timestamp::from_millis(now);
            ticks.push(Tick {
                token: Token(token),
                instrument: TickInstrument {
                    symbol,
                    exchange,
                    tradingsymbol: symbol,
                    ..TickInstrument::default()
                },
                timestamp,
                exchange_timestamp: Timestamp::from_millis(now / 1_000 * 1_000),
                last_price: last,
                open_price: 0.0,
                high_price: if packet_type == "ltp" { 0.0 } else { 120.0 + (number * 10) as f64 },
                low_price: if packet_type == "ltp" { 0.0 } else { 90.0 },
                close_price: if packet_type == "ltp" { 0.0 } else { 100.0 },
                average_traded_price: 0.0,
                net_change: 0.0,
                volume: totals[number],
                last_traded_quantity: 0,
                total_buy_quantity: if full { dice.below(900) } else { 0 },
                total_sell_quantity: if full { dice.below(900) } else { 0 },
                open_interest: if exchange == "NFO" { 5_000 + dice.below(300) } else { 0 },
                oi_day_high: 0,
                oi_day_low: 0,
                bids: level(-1.0),
                asks: level(1.0),
                packet_type,
                session_type: if second < 60 { SessionType::PreMarket } else { SessionType::Regular },
                data_quality: if number == 5 { DataQuality::Raw } else { DataQuality::Enriched },
                last_trade_time: timestamp,
                snapshot: false,
                identity: TickIdentity {
                    recorder: "test",
                    frame: FrameId { session: 1, socket: 0, sequence: ticks.len() as u64 + 1 },
                    packet_index: 0,
                    stream: "",
                    epoch: 0,
                },
            });
        }
    }
    ticks
}

async fn load(store: &Store, ticks: &[Tick<'_>]) {
    for (number, batch) in ticks.chunks(2_000).enumerate() {
        let id = Uuid::from_u128(number as u128 + 1);
        let mut columns = TickColumns::new(Partition::of(at("09:30")), id, at("09:30"));
        batch.iter().for_each(|tick| columns.push(tick));
        let id = InsertId { batch_id: id, part: "tick_data" };
        store.insert_block("tick_data", &columns.finish(), id, Deduplicate::ByToken).await.unwrap();
    }
    // a candle of history, and an old snapshot: neither is a tick of the day
    for (packet_type, snapshot) in [("candle_minute", false), ("full", true)] {
        run(
            store,
            &format!(
                "INSERT INTO tick_data (instrument_token, symbol, exchange, timestamp, exchange_timestamp, last_price, volume, \
                 packet_type, session_type, data_quality, snapshot) VALUES (408065, 'INFY', 'NSE', '{DAY} 09:43:59', \
                 '2026-11-17 15:29:59', 1, 999999999, '{packet_type}', 'regular', 'enriched', {snapshot})"
            ),
        )
        .await;
    }
}

fn question(instruments: &[&str], from: &str, to: &str) -> Question {
    Question {
        window: Window::new(at(from), at(to)).unwrap(),
        instruments: instruments.iter().map(ToString::to_string).collect(),
        exchange: None,
        session: None,
        limit: None,
    }
}

fn day(instruments: &[&str]) -> Question {
    question(instruments, "00:00", "23:59:59")
}

async fn ask(reader: &Reader, name: &str, question: &Question) -> Vec<Value> {
    let statement = NamedQuery::find(name).unwrap().statement(question).unwrap();
    match reader.rows(&statement).await {
        Ok(rows) => rows,
        Err(error) => panic!("{name}: {error}"),
    }
}

fn number(row: &Value, column: &str) -> f64 {
    row[column].as_f64().unwrap_or_else(|| panic!("{column} of {row}"))
}

fn text<'a>(row: &'a Value, column: &str) -> &'a str {
    row[column].as_str().unwrap_or_else(|| panic!("{column} of {row}"))
}

fn near(found: f64, expected: f64, what: &str) {
    assert!((found - expected).abs() <= 1e-9 * expected.abs().max(1.0), "{what}: {found}, not {expected}");
}

/// Ticks of an instrument in the order of their exchange and receive times.
fn of<'a>(ticks: &'a [Tick<'a>], token: u32) -> Vec<&'a Tick<'a>> {
    let mut own: Vec<&Tick<'_>> = ticks.iter().filter(|tick| tick.token.0 == token).collect();
    own.sort_by_key(|tick| (tick.exchange_timestamp, tick.timestamp, tick.identity.frame.sequence));
    own
}

fn regular<'a>(ticks: &'a [Tick<'a>], token: u32) -> Vec<&'a Tick<'a>> {
    of(ticks, token).into_iter().filter(|tick| tick.session_type == SessionType::Regular).collect()
}

#[tokio::test]
async fn days_are_what_the_ticks_say() {
    let store = store("named_days").await;
    let (ticks, reader) = (ticks(), reader(&store));
    load(&store, &ticks).await;

    let latest = ask(&reader, "latest", &day(&[])).await;
    assert_eq!(latest.len(), LISTED.len());
    for row in &latest {
        let last = *regular(&ticks, number(row, "instrument_token") as u32).last().unwrap();
        near(number(row, "latest_price"), last.last_price, "latest price");
        near(number(row, "latest_volume"), last.volume as f64, "latest volume");
        near(number(row, "latest_open_interest"), last.open_interest as f64, "open interest");
        assert_eq!(text(row, "symbol"), last.instrument.symbol);
        if last.packet_type == "ltp" {
            assert!(row["change"].is_null(), "no change without a previous close");
        } else {
            near(number(row, "change_pct"), last.last_price - 100.0, "change");
        }
    }
    let early = Question { session: Some(Session::PreMarket), ..day(&["NSE:INFY"]) };
    let early = ask(&reader, "latest", &early).await;
    let auction =
        of(&ticks, 408_065).into_iter().rfind(|tick| tick.session_type == SessionType::PreMarket).unwrap();
    assert_eq!(early.len(), 1);
    near(number(&early[0], "latest_price"), auction.last_price, "price of the pre-open");

    let volume = ask(&reader, "volume", &day(&[])).await;
    let mut expected: Vec<(u64, usize, u32)> = LISTED
        .iter()
        .map(|listed| {
            let own = regular(&ticks, listed.0);
            (own.iter().map(|tick| tick.volume).max().unwrap(), own.len(), listed.0)
        })
        .collect();
    expected.sort_by_key(|(volume, _, token)| (std::cmp::Reverse(*volume), *token));
    for (row, (total, count, token)) in volume.iter().zip(&expected) {
        assert_eq!(number(row, "instrument_token") as u32, *token);
        near(number(row, "total_volume"), *total as f64, "total volume");
        // the old snapshot is stored as a tick of INFY
        near(number(row, "tick_count"), (*count + usize::from(*token == 408_065)) as f64, "ticks");
        near(
            number(row, "total_buy"),
            regular(&ticks, *token).last().unwrap().total_buy_quantity as f64,
            "buyers",
        );
    }

    let gainers = ask(&reader, "gainers", &day(&[])).await;
    let gains: Vec<f64> = gainers.iter().map(|row| number(row, "gain_pct")).collect();
    assert!(gains.is_sorted_by(|a, b| a >= b), "{gains:?}");
    assert_eq!(gainers.len(), LISTED.len() - 1, "one has no previous close");
    for row in &gainers {
        near(number(row, "gain_pct"), number(row, "current_price") - 100.0, "gain");
        near(number(row, "day_low"), 90.0, "the exchange's low of the day");
    }

    let quality = ask(&reader, "quality", &day(&[])).await;
    let raw = quality
        .iter()
        .filter(|row| row["data_quality"] == "raw")
        .map(|row| number(row, "count"))
        .sum::<f64>();
    near(raw, of(&ticks, 779_521).len() as f64, "raw ticks");
    let all = quality.iter().map(|row| number(row, "count")).sum::<f64>();
    near(all, ticks.len() as f64 + 2.0, "all rows");

    let coverage = ask(&reader, "coverage", &day(&["408065"])).await;
    let own = of(&ticks, 408_065);
    let minutes: BTreeSet<i64> = own.iter().map(|tick| tick.exchange_timestamp.as_seconds() / 60).collect();
    near(number(&coverage[0], "minutes"), minutes.len() as f64, "minutes");
    near(number(&coverage[0], "tick_count"), own.len() as f64, "ticks");
}

#[tokio::test]
async fn windows_are_what_the_ticks_say() {
    let store = store("named_windows").await;
    let (ticks, reader) = (ticks(), reader(&store));
    load(&store, &ticks).await;
    let (from, to) = ("09:20", "09:30");
    let within = |tick: &&&Tick<'_>| tick.timestamp >= at(from) && tick.timestamp < at(to);

    let range = ask(&reader, "range", &question(&["408065"], from, to)).await;
    let mut own: Vec<&Tick<'_>> = ticks.iter().filter(|tick| tick.token.0 == 408_065).collect();
    own.sort_by_key(|tick| (tick.timestamp, tick.identity.frame.sequence));
    let expected: Vec<f64> = own.iter().filter(within).map(|tick| tick.last_price).collect();
    let found: Vec<f64> = range.iter().map(|row| number(row, "last_price")).collect();
    assert_eq!(found, expected);

    let spread = ask(&reader, "spread", &question(&[], from, to)).await;
    assert_eq!(spread.len(), 3, "only full packets have a book");
    for row in &spread {
        let mine = |tick: &&Tick<'_>| {
            tick.instrument.symbol == text(row, "symbol") && tick.instrument.exchange == text(row, "exchange")
        };
        let all: Vec<&Tick<'_>> = ticks.iter().filter(mine).filter(|tick| within(&tick)).collect();
        let of_tick = |tick: &&Tick<'_>| tick.asks[0].price - tick.bids[0].price;
        near(number(row, "avg_spread"), all.iter().map(of_tick).sum::<f64>() / all.len() as f64, "spread");
    }

    let vwap = ask(&reader, "vwap", &question(&["408065"], from, to)).await;
    let (mut traded, mut turnover, mut before) = (0, 0.0, None);
    for tick in own.iter().filter(|tick| tick.volume > 0) {
        let step = before.map_or(0, |before| tick.volume - before);
        before = Some(tick.volume);
        if within(&tick) {
            traded += step;
            turnover += step as f64 * tick.last_price;
        }
    }
    near(number(&vwap[0], "traded_volume"), traded as f64, "traded");
    near(number(&vwap[0], "vwap"), turnover / traded as f64, "vwap");

    let movers = ask(&reader, "movers", &question(&[], from, to)).await;
    assert_eq!(movers.len(), LISTED.len());
    for row in &movers {
        let token =
            LISTED.iter().find(|it| it.1 == text(row, "symbol") && it.2 == text(row, "exchange")).unwrap().0;
        let own = of(&ticks, token);
        let mut own =
            own.iter().filter(|tick| tick.exchange_timestamp >= at(from) && tick.exchange_timestamp < at(to));
        let (first, last) = (own.next().unwrap(), own.next_back().unwrap());
        near(number(row, "first_price"), first.last_price, "first price");
        near(number(row, "last_price"), last.last_price, "last price");
    }
}

#[tokio::test]
async fn minutes_are_what_the_ticks_say() {
    let store = store("named_minutes").await;
    let (ticks, reader) = (ticks(), reader(&store));
    load(&store, &ticks).await;
    let mut minutes: BTreeMap<i64, Vec<&Tick<'_>>> = BTreeMap::new();
    for tick in of(&ticks, 408_065) {
        minutes.entry(tick.exchange_timestamp.as_seconds() / 60).or_default().push(tick);
    }
    let bars = ask(&reader, "ohlc", &day(&["408065"])).await;
    assert_eq!(bars.len(), minutes.len());
    let mut before = None;
    let mut volumes = Vec::new();
    for (bar, (_, own)) in bars.iter().zip(&minutes) {
        let prices = || own.iter().map(|tick| tick.last_price);
        near(number(bar, "open"), own[0].last_price, "open");
        near(number(bar, "close"), own[own.len() - 1].last_price, "close");
        near(number(bar, "high"), prices().fold(f64::MIN, f64::max), "high");
        near(number(bar, "low"), prices().fold(f64::MAX, f64::min), "low");
        let total = own.iter().map(|tick| tick.volume).max().unwrap();
        let first = own.iter().map(|tick| if tick.volume == 0 { 0 } else { tick.volume }).min().unwrap();
        volumes.push((total - before.unwrap_or(first)) as f64);
        near(number(bar, "volume"), volumes[volumes.len() - 1], "volume");
        before = Some(total);
    }
    let newest = ask(&reader, "ohlc", &day(&[])).await;
    assert_eq!(newest.len(), 100, "of all instruments the newest bars");
    assert!(newest.iter().all(|bar| text(bar, "minute") >= "2026-11-20 09:20"), "{newest:?}");
    let by_minute = ask(&reader, "volume-by-minute", &day(&["408065"])).await;
    let found: Vec<f64> = by_minute.iter().rev().map(|row| number(row, "total_volume")).collect();
    assert_eq!(found, volumes);

    let depth = ask(&reader, "depth", &day(&["408065", "NIFTY"])).await;
    assert_eq!(depth.len(), 5, "an index has no book");
    let last = *of(&ticks, 408_065).last().unwrap();
    for (row, (bid, ask)) in depth.iter().zip(last.bids.iter().zip(&last.asks)) {
        near(number(row, "bid_price"), bid.price, "bid");
        near(number(row, "ask_quantity"), f64::from(ask.quantity), "quantity");
        near(number(row, "spread"), last.asks[0].price - last.bids[0].price, "spread");
    }

    let oi = ask(&reader, "oi", &day(&[])).await;
    let mut own: BTreeMap<i64, u64> = BTreeMap::new();
    for tick in of(&ticks, 12_345_602) {
        own.insert(tick.exchange_timestamp.as_seconds() / 60, tick.open_interest);
    }
    let expected: Vec<u64> = own.values().rev().copied().collect();
    let found: Vec<u64> = oi.iter().map(|row| number(row, "current_oi") as u64).collect();
    assert_eq!(found, expected);
    near(number(&oi[0], "change"), expected[0] as f64 - expected[1] as f64, "change");
    near(number(&oi[0], "day_high_oi"), *expected.iter().max().unwrap() as f64, "highest");
    assert!(oi[oi.len() - 1]["change"].is_null());
}

#[tokio::test]
async fn hostile_names_find_nothing_and_change_nothing() {
    let store = store("named_hostile").await;
    let (ticks, reader) = (ticks(), reader(&store));
    load(&store, &ticks[..3_000]).await;
    let before = count(&reader).await;
    let hostile = [
        "'; DROP TABLE tick_data; --",
        "') OR 1 = 1 OR ('",
        "{date:Date}",
        "\\",
        "\\'",
        "a\0b\tc\nd",
        "$$",
        "INFY'",
        "\u{1f980}\"`",
        "",
        "NSE:'",
    ];
    for query in NAMED {
        for name in hostile {
            let takes_names = query.takes(Takes::Instruments) || query.takes(Takes::SomeInstruments);
            if !takes_names {
                continue;
            }
            let asked = Question { instruments: vec![name.to_owned()], ..day(&[]) };
            let statement = query.statement(&asked).unwrap();
            let rows: Vec<Value> =
                reader.rows(&statement).await.unwrap_or_else(|error| panic!("{}: {error}", query.name));
            assert!(rows.is_empty(), "{} of {name:?}: {rows:?}", query.name);
            let exchange = Question { exchange: Some(name.to_owned()), ..day(&["INFY"]) };
            let statement = query.statement(&exchange).unwrap();
            reader.rows::<Value>(&statement).await.unwrap_or_else(|error| panic!("{}: {error}", query.name));
        }
    }
    assert_eq!(count(&reader).await, before);
    let why = reader.why_nothing(&day(&["INFI"])).await.unwrap();
    let WhyNothing::Instruments { near, .. } = &why else { panic!("{why:?}") };
    assert_eq!(near[0], "INFY");
    let other = Question { window: Window::day("2026-11-18".parse().unwrap()), ..day(&[]) };
    assert!(reader.why_nothing(&other).await.unwrap().to_string().contains(DAY));
}

async fn count(reader: &Reader) -> Vec<Value> {
    reader.rows(&tickhouse_read::Statement::new("SELECT count() AS n FROM tick_data")).await.unwrap()
}

/// As people run it: `SET` and the statement in a session, as clickhouse-client sends them.
#[tokio::test]
async fn scripts_run_as_they_stand_and_all_queries_as_the_reading_user() {
    let store = store("named_scripts").await;
    load(&store, &ticks()[..4_000]).await;
    let http = reqwest::Client::new();
    let url = format!("{}/?database=named_scripts&session_id=named", TestEngine::shared().await.url());
    let post = async |sql: String| {
        let answer = http.post(&url).body(sql.clone()).send().await.unwrap();
        let is_fine = answer.status().is_success();
        let text = answer.text().await.unwrap();
        assert!(is_fine, "{sql}: {text}");
        text
    };
    for query in NAMED {
        let asked = if query.takes(Takes::SomeInstruments) { day(&["INFY", "a'b\\c"]) } else { day(&[]) };
        let statement = query.statement(&asked).unwrap();
        let script = query.client_script(&statement);
        let (settings, sql) = script.split_once("\n\n").unwrap();
        for line in settings.lines() {
            post(line.split("; --").next().unwrap().to_owned()).await;
        }
        let answer = post(sql.trim_end().trim_end_matches(';').to_owned()).await;
        if !["gaps", "slow-queries"].contains(&query.name) {
            assert!(!answer.is_empty(), "{} has rows", query.name);
        }
    }
    // an embedded engine has its users in a file: where it can make none, the reader's own limits are what holds
    let reader = match create_users(&store, "w-secret", "r-secret").await {
        Ok(()) => {
            let mut options = reader(&store).options().clone();
            options.user = "tickhouse_reader".to_owned();
            options.password = "r-secret".to_owned();
            Reader::new(options)
        }
        Err(_) => reader(&store),
    };
    for query in NAMED {
        let asked = if query.takes(Takes::SomeInstruments) { day(&["INFY"]) } else { day(&[]) };
        ask(&reader, query.name, &asked).await;
    }
    for sql in [
        "INSERT INTO tick_data (instrument_token) VALUES (1)",
        "DROP TABLE latest_prices",
        "CREATE TABLE x (a UInt8) ENGINE = Memory",
    ] {
        let refused = reader.rows::<Value>(&tickhouse_read::Statement::new(sql)).await;
        assert!(refused.is_err(), "{sql}");
    }
}
