//! Candles stand in for what is missing, and for nothing else.

use crate::{Case, at, candle, minute, span};
use tickhouse_bars::{Bucket, Source};
use tickhouse_enrich::Market;

/// 10:00 to 10:09 with 100 traded in each, a gap from 10:03:20 to 10:05:10 in which nothing was seen.
fn with_a_gap() -> Case {
    let minutes: Vec<_> = (0..10_u64)
        .filter(|number| *number != 4)
        .map(|number| {
            let mut bucket = minute("10:00", 100.0, (1_000 + number * 100, 1_100 + number * 100));
            if number == 3 {
                // cut off: 40 were seen
                bucket.totals = Some(tickhouse_bars::Totals { lowest: 1_310, highest: 1_340 });
            }
            bucket.at =
                tickhouse_model::Timestamp::from_millis(at("10:00").as_millis() + number as i64 * 60_000);
            bucket
        })
        .collect();
    let first = minute("09:59", 100.0, (900, 1_000));
    let mut case = Case::of(Market::Nse, &[&[first], &minutes[..]].concat());
    case.gaps = vec![span("10:03:20", "10:05:10")];
    case
}

#[test]
fn candles_fill_what_a_gap_took_and_volumes_still_add_up() {
    let mut case = with_a_gap();
    let bare: Vec<_> = case.bars("1m").iter().skip(1).map(|bar| (bar.volume, bar.complete)).collect();
    assert_eq!(
        bare,
        [
            (100, true),
            (100, true),
            (100, true),
            (40, false),
            (260, false),
            (100, true),
            (100, true),
            (100, true),
            (100, true)
        ]
    );
    case.candles = (0..10).map(|number| candle(&format!("10:{number:02}"), 1, 101.0, 100)).collect();
    let filled = case.bars("1m");
    let found: Vec<_> = filled.iter().skip(1).map(|bar| (bar.volume, bar.complete, bar.source)).collect();
    let ticks = (100, true, Source::Ticks);
    let candles = (100, true, Source::Candles);
    assert_eq!(found, [ticks, ticks, ticks, candles, candles, candles, ticks, ticks, ticks, ticks]);
    let ten = case.bars("10m");
    assert_eq!(ten.len(), 2);
    let last = ten[1];
    assert_eq!((last.volume, last.source, last.complete, last.gap_seconds), (500, Source::Both, true, 0));
    assert_eq!((last.high, last.tick_count), (101.0, 15), "packets of the minute 10:05 were seen");
}

#[test]
fn one_candle_of_three_leaves_the_rest_of_the_gap() {
    let mut case = with_a_gap();
    case.candles = vec![candle("10:04", 1, 101.0, 100)];
    let bars = case.bars("1m");
    let volumes: Vec<_> = bars.iter().skip(1).map(|bar| bar.volume).collect();
    // the jump of 10:05 is 260, of which the candle has 100
    assert_eq!(volumes, [100, 100, 100, 40, 100, 160, 100, 100, 100, 100]);
    let five = case.bars("5m");
    let found: Vec<_> = five.iter().map(|bar| (bar.gap_seconds, bar.complete)).collect();
    assert_eq!(found, [(0, false), (40, false), (10, false)]);
}

#[test]
fn a_minute_that_the_broker_was_asked_for_and_has_not_had_no_trade() {
    let mut case = with_a_gap();
    case.candles = vec![candle("10:03", 1, 101.0, 100), candle("10:05", 1, 101.0, 200)];
    let five = case.bars("5m");
    assert_eq!((five[1].gap_seconds, five[1].complete), (60, false));
    case.asked = vec![span("10:03:20", "10:05:10")];
    let five = case.bars("5m");
    assert_eq!((five[1].gap_seconds, five[1].complete, five[1].volume), (0, true, 400));
}

#[test]
fn complete_minutes_keep_their_ticks_and_short_candles_go_first() {
    let mut case = with_a_gap();
    case.gaps.clear();
    case.candles =
        vec![candle("10:00", 5, 90.0, 7), candle("10:04", 1, 101.0, 60), candle("10:01", 1, 95.0, 3)];
    let bars = case.bars("5m");
    // 10:04 has no ticks but a candle: the total's jump of 160 at 10:05 has its 60
    let found: Vec<_> = bars[1..].iter().map(|bar| (bar.low, bar.volume, bar.source)).collect();
    assert_eq!(found, [(100.0, 400, Source::Both), (100.0, 600, Source::Ticks)]);
    case.candles = vec![candle("10:00", 30, 90.0, 7)];
    assert_eq!(case.bars("5m")[1].source, Source::Ticks, "longer than a bar");
    // nothing but a candle of the bar's own length
    let bars = Case { candles: vec![candle("14:15", 60, 90.0, 7)], ..case.clone() }.bars("1h");
    let last = bars.last().unwrap();
    assert_eq!((last.start, last.volume, last.source), (at("14:15"), 7, Source::Candles));
    // the broker's hour of 15:15 is as short as ours
    let bars = Case { candles: vec![candle("15:15", 60, 90.0, 7)], ..case }.bars("1h");
    assert_eq!(bars.last().unwrap().end, at("15:30"));
}

/// Recorded from 10:00 on: what came before in the hour is the broker's, though the packets state the day's range.
#[test]
fn a_recording_that_begins_within_a_bar_is_completed_by_candles() {
    let first = crate::of_day(minute("10:00", 100.0, (5_000, 5_100)), 90.0, 120.0, 80.0);
    let mut case = Case::of(Market::Nse, &[first]);
    let alone = case.bars("1h")[0];
    assert_eq!((alone.open, alone.high, alone.volume, alone.complete), (90.0, 100.0, 100, false));
    case.candles = vec![candle("09:59", 1, 95.0, 40), candle("10:00", 1, 101.0, 130)];
    let joined = case.bars("1h")[0];
    let found = (joined.open, joined.high, joined.volume, joined.complete, joined.source);
    assert_eq!(found, (95.0, 101.0, 170, true, Source::Candles));
}

/// Recorded from 11:00:30 on, and the broker has all of the day: what its candles count before is in no total's difference.
#[test]
fn candles_before_the_recording_take_nothing_from_ticks() {
    let candles = |last: &str| -> Vec<_> {
        (0..=105)
            .map(|number| format!("{:02}:{:02}", 9 + (15 + number) / 60, (15 + number) % 60))
            .map(|time| candle(&time, 1, 100.0, 1_300))
            .filter(|candle| candle.at <= at(last))
            .collect()
    };
    // 11:00 from its lowest total on, 11:01 and 11:02 whole
    let recorded = [
        minute("11:00", 100.0, (140_000, 140_500)),
        minute("11:01", 100.0, (140_510, 141_300)),
        minute("11:02", 100.0, (141_310, 141_900)),
    ];
    let found = |case: &Case| -> Vec<_> {
        let bars = case.bars("1m");
        let late = bars.iter().filter(|bar| bar.start >= at("11:00"));
        late.map(|bar| (bar.volume, bar.complete, bar.source)).collect()
    };
    let mut case = Case { candles: candles("11:00"), ..Case::of(Market::Nse, &recorded) };
    let ticks = |volume| (volume, true, Source::Ticks);
    assert_eq!(found(&case), [(1_300, true, Source::Candles), ticks(800), ticks(600)]);
    assert!(case.bars("1m").iter().all(|bar| bar.vwap == Some(100.0)));
    let hours: Vec<_> = case.bars("1h").iter().map(|bar| bar.volume).collect();
    assert_eq!(hours, [60 * 1_300, 46 * 1_300 + 1_400]);
    // without a candle of 11:00 its own volume stays
    case.candles = candles("10:59");
    assert_eq!(found(&case), [(500, false, Source::Ticks), ticks(800), ticks(600)]);
    // a cached value is where counting begins: what the candles count from there on is taken off, nothing before
    let cached = Bucket { prices: None, ticks: 0, ..minute("10:58", 100.0, (139_000, 139_000)) };
    case.buckets.insert(0, cached);
    case.candles = candles("10:59");
    assert_eq!(found(&case)[0].0, 1_500 - 1_300);
    // the same where the count of the day began anew
    let mut case = Case::of(Market::Nse, &recorded);
    case.candles = candles("11:00");
    case.buckets.insert(0, minute("10:00", 100.0, (900_000, 900_000)));
    assert_eq!(found(&case), [(1_300, true, Source::Candles), ticks(800), ticks(600)]);
}

#[test]
fn a_day_without_ticks_or_with_half_of_them_is_the_brokers() {
    let mut case = with_a_gap();
    case.candles = vec![candle("2026-11-18 00:00", 0, 90.0, 70), candle("2026-11-19 00:00", 0, 91.0, 80)];
    let days = case.bars("1d");
    let found: Vec<_> = days.iter().map(|bar| (bar.close, bar.volume, bar.source, bar.complete)).collect();
    assert_eq!(found, [(90.0, 70, Source::Candles, true), (91.0, 80, Source::Candles, true)]);
    assert!(
        case.bars("5m").iter().all(|bar| bar.source == Source::Ticks),
        "a day says nothing of its minutes"
    );
    let week = case.bars("1w");
    assert_eq!((week.len(), week[0].volume), (1, 150));
}

#[test]
fn a_volume_weighted_price_takes_ticks_over_typical_prices() {
    let mut case =
        Case::of(Market::Nse, &[minute("10:00", 100.0, (0, 10)), minute("10:01", 110.0, (10, 20))]);
    assert_eq!(case.bars("5m")[0].vwap, Some(105.0));
    case.buckets[1].turnover = Some(tickhouse_bars::Turnover { value: 1_080.0, volume: 10.0, trades: None });
    assert_eq!(case.bars("5m")[0].vwap, Some(104.0));
    let price = |price: f64| tickhouse_bars::Prices { open: price, high: price, low: price, close: price };
    let traded = tickhouse_bars::Turnover { value: 1_080.0, volume: 10.0, trades: Some(price(108.0)) };
    case.buckets[1].turnover = Some(traded);
    assert_eq!(case.bars("1m")[1].open, 108.0, "the price of the book's packets is that of a trade before");
    case.buckets.truncate(1);
    case.buckets[0].totals = Some(tickhouse_bars::Totals { lowest: 50, highest: 50 });
    assert_eq!(case.bars("5m")[0].vwap, None);
}
