//! Bars against brute force over plain rows of `tick_data`, and what only a database has: candles, contracts, names.
#![allow(
    clippy::float_cmp,
    clippy::struct_field_names,
    reason = "prices are handed on, never computed; kind is a packet's, day a day's"
)]

mod brute_force;
mod market;

use crate::{reader, run, store};
use brute_force::{Expected, Hours, expected_bars};
use market::{DAYS, Dice, INSTRUMENTS, record_market};
use std::collections::BTreeMap;
use tickhouse_bars::{Interval, Reason, Source, StreamRule, Tolerance};
use tickhouse_model::{SessionType, Timestamp};
use tickhouse_read::{BarOptions, BarSources, NamedBar, ReadError, Reader, Reconciliation, Window};
use tickhouse_store::Store;

const INTERVALS: [&str; 12] = ["1s", "5s", "30s", "90s", "1m", "3m", "5m", "15m", "1h", "1d", "1w", "1mo"];
const DRAWS: usize = 1_000;
/// Draws that are asked at the same time.
const AT_ONCE: usize = 4;

fn at(text: &str) -> Timestamp {
    Timestamp::from_text(text).unwrap()
}

fn window(from: &str, to: &str) -> Window {
    Window::new(at(from), at(to)).unwrap()
}

async fn bars(
    reader: &Reader,
    name: &str,
    interval: &str,
    window: Window,
    options: &BarOptions,
) -> Vec<NamedBar> {
    reader.bars(name, interval.parse().unwrap(), &window, options).await.unwrap()
}

/// A random question.
#[derive(Debug)]
#[expect(dead_code, reason = "the number is for whoever reads a failure")]
struct Draw {
    number: usize,
    instrument: usize,
    interval: usize,
    name: String,
    window: Window,
}

impl Draw {
    fn of(number: usize, dice: &mut Dice) -> Self {
        let instrument = dice.roll(INSTRUMENTS.len() as u64) as usize;
        // seconds are made from the ticks themselves, which takes the server longest
        let interval = if dice.percent(12) { dice.roll(4) } else { 4 + dice.roll(8) } as usize;
        let from = DAYS[dice.roll(3) as usize] + dice.roll(86_400) as i64 - 1_800;
        // of seconds not more than a day
        let longest = [600, 7_200, 86_400, 4 * 86_400][dice.roll(if interval < 4 { 3 } else { 4 }) as usize];
        let to = from + dice.roll(longest) as i64;
        let at = |second: i64| Timestamp::from_millis(second * 1_000);
        let window = Window::new(at(from), at(to)).unwrap();
        Self { number, instrument, interval, name: INSTRUMENTS[instrument].token.to_string(), window }
    }
}

fn assert_same(found: &NamedBar, expected: &Expected, draw: &Draw) {
    let what = format!("{draw:?}");
    let bar = &found.bar;
    let numbers = |end: i64, prices: [f64; 4], counts: [u64; 4], complete: bool, phase: SessionType| {
        (end, prices, counts, complete, phase)
    };
    let ours = numbers(
        bar.end.as_millis(),
        [bar.open, bar.high, bar.low, bar.close],
        [bar.volume, bar.open_interest, bar.tick_count, u64::from(bar.gap_seconds)],
        bar.complete,
        bar.session,
    );
    let theirs = numbers(
        expected.end,
        [expected.open, expected.high, expected.low, expected.close],
        [expected.volume, expected.open_interest, expected.ticks, expected.gap_seconds],
        expected.complete,
        expected.phase,
    );
    assert_eq!(ours, theirs, "{what}, bar of {}: [volume, open interest, ticks, gap seconds]", bar.start);
    let (vwap, traded) = expected.traded;
    match bar.vwap {
        Some(found) => assert!((found - vwap / traded).abs() < 1e-7, "{what}, {}: {found}", bar.start),
        None => assert!(traded == 0.0, "{what}, {}", bar.start),
    }
}

#[tokio::test]
async fn a_thousand_draws_are_what_brute_force_makes_of_the_ticks() {
    let store = store("read_bars").await;
    record_market(&store).await;
    run(&store, "OPTIMIZE TABLE tick_data_1min_state FINAL").await;
    let reader = reader(&store);
    let now = at("2026-11-23 15:20");
    let options = BarOptions::at(now);
    let mut expected: BTreeMap<(usize, usize), Vec<Expected>> = BTreeMap::new();
    for (number, instrument) in INSTRUMENTS.iter().enumerate() {
        let (rows, gaps) = brute_force::read(&store, instrument.token).await;
        for (length, text) in INTERVALS.iter().enumerate() {
            let hours = Hours::of(instrument.hours);
            let interval: Interval = text.parse().unwrap();
            expected.insert((number, length), expected_bars(&rows, &gaps, &hours, interval, now.as_millis()));
        }
    }
    let mut dice = Dice(20_261_123);
    let (mut compared, mut incomplete, mut in_gap) = (0, 0, 0);
    let draws: Vec<Draw> = (0..DRAWS).map(|number| Draw::of(number, &mut dice)).collect();
    for some in draws.chunks(AT_ONCE) {
        let asked = some
            .iter()
            .map(|draw| bars(&reader, &draw.name, INTERVALS[draw.interval], draw.window, &options));
        for (draw, found) in some.iter().zip(futures_util::future::join_all(asked).await) {
            let within = |bar: &&Expected| {
                draw.window.from.as_millis() <= bar.start && bar.start < draw.window.to.as_millis()
            };
            let wanted: Vec<&Expected> =
                expected[&(draw.instrument, draw.interval)].iter().filter(within).collect();
            let begins: Vec<i64> = found.iter().map(|bar| bar.bar.start.as_millis()).collect();
            assert_eq!(begins, wanted.iter().map(|bar| bar.start).collect::<Vec<_>>(), "{draw:?}: begins");
            for (found, wanted) in found.iter().zip(wanted) {
                assert_same(found, wanted, draw);
                compared += 1;
                incomplete += usize::from(!found.bar.complete);
                in_gap += usize::from(found.bar.gap_seconds > 0);
            }
        }
    }
    // the draws saw everything
    assert!(compared > 10_000 && incomplete > 500 && in_gap > 100, "{compared} {incomplete} {in_gap}");
    let whole: Vec<&Expected> = expected.values().flatten().collect();
    for phase in SessionType::ALL {
        assert!(whole.iter().any(|bar| bar.phase == phase), "no bar is {phase}");
    }
    assert!(whole.iter().any(|bar| bar.repaired), "no bar was repaired");
    the_view_has_the_same_minutes(&store, &reader).await;
}

/// `tick_data_1min` knows no calendar; where a minute is complete in both, it has the same volume, and our prices within its own.
async fn the_view_has_the_same_minutes(store: &Store, reader: &Reader) {
    let sql = "SELECT toInt64(toUnixTimestamp(timestamp)) AS at, open, high, low, last_price, volume, tick_count FROM tick_data_1min \
               WHERE instrument_token = ? AND complete";
    let mut same = 0;
    for instrument in INSTRUMENTS.iter().filter(|instrument| instrument.kind == "full") {
        let query = store.client().query(sql).bind(instrument.token);
        let rows: Vec<(i64, f64, f64, f64, f64, u64, u64)> = query.fetch_all().await.unwrap();
        let view: BTreeMap<i64, _> = rows.into_iter().map(|row| (row.0 * 1_000, row)).collect();
        let options = BarOptions::at(at("2026-11-24 10:00"));
        let name = instrument.token.to_string();
        // on the third day a count begins anew, which the view does not see
        let made = bars(reader, &name, "1m", window("2026-11-19", "2026-11-21"), &options).await;
        for bar in made.iter().map(|named| named.bar).filter(|bar| bar.complete) {
            let Some(row) = view.get(&bar.start.as_millis()) else { continue };
            // the view can't tell a packet that a trade made from one of the book
            assert_eq!((bar.volume, bar.tick_count), (row.5, row.6), "{}", bar.start);
            assert!(row.2 >= bar.high && row.3 <= bar.low, "{}: {bar:?} {row:?}", bar.start);
            same += 1;
        }
    }
    assert!(same > 500, "{same}");
}

#[tokio::test]
async fn candles_join_ticks_and_are_compared_with_them() {
    let store = store("read_bars_candles").await;
    record_market(&store).await;
    let reader = reader(&store);
    let options = BarOptions::at(at("2026-11-24 10:00"));
    let (name, day) = (INSTRUMENTS[0].token.to_string(), window("2026-11-19", "2026-11-20"));
    let bare = bars(&reader, &name, "1m", day, &options).await;
    // the broker's candles are our own bars, but for one price; one was asked for before it was over
    let row = |named: &NamedBar| {
        let (bar, begin) = (&named.bar, named.bar.start.as_seconds());
        let high = bar.high + if bar.start == at("2026-11-19 10:30") { 1.0 } else { 0.0 };
        let written = begin + if bar.start.ist().hour() == 15 { 30 } else { 3_600 };
        let (open, low, close, volume) = (bar.open, bar.low, bar.close, bar.volume);
        format!("({name}, 'minute', {begin}, {open}, {high}, {low}, {close}, {volume}, {written}000)")
    };
    let rows: Vec<String> = bare.iter().filter(|bar| bar.bar.start.ist().hour() >= 10).map(row).collect();
    let columns = "instrument_token, interval, timestamp, open, high, low, close, volume, processed_at";
    let insert =
        format!("INSERT INTO candles ({columns}) SETTINGS async_insert = 0 VALUES {}", rows.join(", "));
    run(&store, &insert).await;
    let filled = bars(&reader, &name, "1m", day, &options).await;
    let starts = |bars: &[NamedBar]| -> Vec<Timestamp> { bars.iter().map(|bar| bar.bar.start).collect() };
    assert_eq!(starts(&filled), starts(&bare), "candles of the same minutes add none");
    let hour = |bar: &NamedBar| bar.bar.start.ist().hour();
    for (before, after) in bare.iter().zip(&filled) {
        let covered = (10..15).contains(&hour(before));
        let expected = if before.bar.complete || !covered { Source::Ticks } else { Source::Candles };
        assert_eq!(after.bar.source, expected, "{}", before.bar.start);
        assert!(after.bar.complete || !covered, "{}", before.bar.start);
    }
    assert!(filled.iter().any(|bar| bar.bar.source == Source::Candles));
    let found = reader
        .reconcile_bars(&name, "1m".parse().unwrap(), &day, &options, Tolerance::default())
        .await
        .unwrap();
    let told: Vec<String> = found
        .found
        .differences
        .iter()
        .map(|difference| format!("{:?} {} {:?}", difference.field, difference.difference, difference.reason))
        .filter(|text| text.starts_with("High"))
        .collect();
    assert_eq!(
        (found.days_with_candles, told.as_slice()),
        (1, ["High -1 Unexplained".to_owned()].as_slice())
    );
    // of most minutes nobody asked for a candle
    let without = |found: &Reconciliation| {
        let differences = found.found.differences.iter();
        differences.filter(|told| told.reason == Reason::NoCandle).map(|told| told.start).collect::<Vec<_>>()
    };
    assert_eq!(without(&found), []);
    run(
        &store,
        &format!(
            "INSERT INTO backfill_progress (instrument_token, interval, `from`, `to`) SETTINGS async_insert = 0 \
             VALUES ({name}, 'minute', '2026-11-19', '2026-11-19')"
        ),
    )
    .await;
    let minute = "1m".parse().unwrap();
    let found = reader.reconcile_bars(&name, minute, &day, &options, Tolerance::default()).await.unwrap();
    let missing = without(&found);
    let is_known = |start: &Timestamp| (10..15).contains(&start.ist().hour());
    assert!(missing.len() > 20 && !missing.iter().any(is_known), "{missing:?}");
    let only = BarOptions { sources: BarSources::Candles, ..options };
    let candles = bars(&reader, &name, "1m", day, &only).await;
    assert!(candles.iter().all(|bar| bar.bar.source == Source::Candles && bar.bar.complete));
    // ... and of seconds there are none
    assert_eq!(bars(&reader, &name, "1s", day, &only).await, []);
}

#[tokio::test]
async fn bars_of_ticks_are_the_ticks() {
    let store = store("read_bars_stream").await;
    record_market(&store).await;
    let reader = reader(&store);
    let options = BarOptions::at(at("2026-11-24 10:00"));
    let name = INSTRUMENTS[1].token.to_string();
    let day = window("2026-11-20", "2026-11-21");
    let made = reader.stream_bars(&name, StreamRule::Ticks(7), &day, &options).await.unwrap();
    let (rows, _) = brute_force::read(&store, INSTRUMENTS[1].token).await;
    let hours = Hours::of(INSTRUMENTS[1].hours);
    let ticks = brute_force::ticks_of(&rows, &hours, at("2026-11-20").as_millis());
    let mut number = 0;
    for phase in ticks.chunk_by(|a, b| hours.phase(a.0) == hours.phase(b.0)) {
        for chunk in phase.chunks(7) {
            let bar = made[number].bar;
            assert_eq!((bar.start.as_millis(), bar.end.as_millis()), (chunk[0].0, chunk[chunk.len() - 1].0));
            assert_eq!((bar.open, bar.close), (chunk[0].1, chunk[chunk.len() - 1].1), "{}", bar.start);
            assert_eq!(bar.high, chunk.iter().map(|tick| tick.1).fold(f64::MIN, f64::max));
            number += 1;
        }
    }
    assert_eq!((made.len(), number > 200), (number, true));
    // a window in the middle has the same bars
    let part = window("2026-11-20 10:00", "2026-11-20 11:00");
    let inside = reader.stream_bars(&name, StreamRule::Ticks(7), &part, &options).await.unwrap();
    let wanted: Vec<_> =
        made.iter().filter(|bar| part.from <= bar.bar.start && bar.bar.start < part.to).cloned().collect();
    assert_eq!(inside, wanted);
    let volume = reader.stream_bars(&name, StreamRule::Volume(500), &day, &options).await.unwrap();
    assert!(volume.len() > 5 && volume.len() < made.len());
}

#[tokio::test]
async fn contracts_are_not_mixed_and_roll_at_expiry() {
    let store = store("read_bars_contracts").await;
    // one token, two contracts: it was used again after the expiry of the first
    run(
        &store,
        "INSERT INTO instruments (instrument_token, symbol, tradingsymbol, underlying, exchange, segment, instrument_type, \
         expiry, lot_size, valid_from, valid_to) SETTINGS async_insert = 0 VALUES \
         (1026, 'NIFTY26OCTFUT', 'NIFTY26OCTFUT', 'NIFTY', 'NFO', 'NFO-FUT', 'FUT', '2026-10-27', 65, '2026-08-01', '2026-10-27'), \
         (1026, 'NIFTY27JANFUT', 'NIFTY27JANFUT', 'NIFTY', 'NFO', 'NFO-FUT', 'FUT', '2027-01-28', 65, '2026-10-28', '2027-01-28'), \
         (1282, 'NIFTY26NOVFUT', 'NIFTY26NOVFUT', 'NIFTY', 'NFO', 'NFO-FUT', 'FUT', '2026-11-24', 65, '2026-08-01', '2026-11-24'), \
         (256265, 'NIFTY', 'NIFTY 50', '', 'NSE', 'INDICES', 'INDEX', '1970-01-01', 0, '1970-01-01', '2149-06-06')",
    )
    .await;
    let candle = |token: u32, time: &str, price: f64| {
        format!(
            "({token}, 'minute', '{time}', {price}, {price}, {price}, {price}, 10, '2026-12-01 00:00:00')"
        )
    };
    run(
        &store,
        &format!(
            "INSERT INTO candles (instrument_token, interval, timestamp, open, high, low, close, volume, processed_at) \
             SETTINGS async_insert = 0 VALUES {}",
            [
                candle(1_026, "2026-10-27 15:00:00", 1.0),
                candle(1_282, "2026-10-27 15:00:00", 2.0),
                candle(1_282, "2026-10-28 09:15:00", 3.0),
                candle(1_026, "2026-10-28 09:15:00", 4.0),
            ]
            .join(", ")
        ),
    )
    .await;
    let reader = reader(&store);
    let options = BarOptions::at(at("2026-12-02 10:00"));
    let days = window("2026-10-27", "2026-10-29");
    let shown = |bars: Vec<NamedBar>| -> Vec<String> {
        bars.into_iter()
            .map(|bar| format!("{} {} {}", bar.bar.start.ist().date_text(), bar.tradingsymbol, bar.bar.close))
            .collect()
    };
    let october = shown(bars(&reader, "NIFTY26OCTFUT", "1d", days, &options).await);
    assert_eq!(october, ["2026-10-27 NIFTY26OCTFUT 1"]);
    let by_token = shown(bars(&reader, "1026", "1d", days, &options).await);
    assert_eq!(by_token, ["2026-10-27 NIFTY26OCTFUT 1", "2026-10-28 NIFTY27JANFUT 4"]);
    let rolling = BarOptions { continuous: true, ..options.clone() };
    for name in
        ["NIFTY", "NFO:NIFTY", "nse:NIFTY", "NIFTY26NOVFUT", "nifty", "NIFTY 50", "NSE:NIFTY 50", "256265"]
    {
        let found = shown(bars(&reader, name, "1d", days, &rolling).await);
        assert_eq!(found, ["2026-10-27 NIFTY26OCTFUT 1", "2026-10-28 NIFTY26NOVFUT 3"], "{name}");
    }
    // a week across the roll is one bar, named after the contract of its last day
    let week = shown(bars(&reader, "NIFTY", "1w", window("2026-10-26", "2026-10-27"), &rolling).await);
    assert_eq!(week, ["2026-10-26 NIFTY26NOVFUT 3"]);
    let error = reader.bars("GOLD", Interval::Day, &days, &rolling).await.unwrap_err();
    assert!(matches!(error, ReadError::NoFutures { .. } | ReadError::UnknownInstrument { .. }), "{error}");
    let year = window("2000-01-01", "2026-11-01");
    let error = reader.bars("1026", Interval::Seconds(1), &year, &options).await.unwrap_err();
    assert!(matches!(error, ReadError::TooManyBars { .. }), "{error}");
}
