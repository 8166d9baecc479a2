//! Each rule by an example.

use crate::{Case, at, minute, of_day, span, starts};
use tickhouse_bars::{Bucket, Source};
use tickhouse_enrich::Market;

/// Minutes of a day, each with a trade of 10: from the first to the last.
fn whole_day(from: &str, until: &str) -> Vec<Bucket> {
    let (from, until) = (at(from).as_seconds(), at(until).as_seconds());
    let minutes = (from..until).step_by(60).enumerate();
    minutes
        .map(|(number, second)| {
            let total = 10 * (number as u64 + 1);
            let lowest = if number == 0 { 0 } else { total };
            let bucket = minute("09:15", 100.0, (lowest, total));
            Bucket { at: tickhouse_model::Timestamp::from_millis(second * 1_000), ..bucket }
        })
        .collect()
}

#[test]
fn bars_begin_with_the_session_and_never_hold_two_phases() {
    // a share with derivatives: closing auction from 15:15 since 2026-08-03
    let case = Case::of(Market::NseAuction, &whole_day("09:00", "16:00"));
    let hours = case.bars("1h");
    assert_eq!(
        starts(&hours),
        [
            "09:00 pre_market",
            "09:15 regular",
            "10:15 regular",
            "11:15 regular",
            "12:15 regular",
            "13:15 regular",
            "14:15 regular",
            "15:15 post_market"
        ]
    );
    assert_eq!(hours[0].end, at("09:15"));
    assert_eq!(hours[7].end, at("16:00"));
    assert_eq!(hours.iter().map(|bar| bar.volume).sum::<u64>(), 4_200);
    assert!(hours.iter().all(|bar| bar.complete && bar.gap_seconds == 0 && bar.source == Source::Ticks));
    // without the auction continuous trading ends at 15:30: the last hour is short
    let plain = Case::of(Market::Nse, &whole_day("09:15", "15:30")).bars("1h");
    assert_eq!(starts(&plain)[6], "15:15 regular");
    assert_eq!((plain[6].end, plain[6].volume), (at("15:30"), 150));
    // commodities in the evening, to 23:55 while the USA have winter time
    let metals = Case::of(Market::Mcx, &whole_day("09:00", "23:55")).bars("1h");
    assert_eq!(
        (metals.len(), starts(&metals)[14].as_str(), metals[14].end),
        (15, "23:00 regular", at("23:55"))
    );
}

#[test]
fn days_weeks_and_months_hold_their_phases_and_lack_their_missing_days() {
    let mut case = Case::of(Market::Nse, &whole_day("09:00", "16:05"));
    let day = case.bars("1d")[0];
    // 16:00 to 16:05 is after the close
    assert_eq!((day.start, day.volume, day.complete), (at("2026-11-19 00:00"), 4_200, true));
    case.until = at("15:00");
    assert!(!case.bars("1d")[0].complete, "it is not over");
    case.until = at("2027-01-01 00:00");
    let week = case.bars("1w")[0];
    assert_eq!((week.start, week.complete), (at("2026-11-16 00:00"), false), "four days of it are unknown");
    let month = case.bars("1mo")[0];
    assert_eq!((month.start, month.end), (at("2026-11-01 00:00"), at("2026-12-01 00:00")));
}

#[test]
fn volume_is_a_difference_of_running_totals() {
    let minutes = [
        minute("10:00", 100.0, (500, 520)),
        minute("10:01", 101.0, (520, 560)),
        // nothing at 10:02
        minute("10:03", 102.0, (600, 610)),
        // the count began anew
        minute("10:04", 102.0, (5, 30)),
        minute("10:05", 102.0, (30, 45)),
    ];
    let bars = Case::of(Market::Nse, &minutes).bars("1m");
    let found: Vec<_> = bars.iter().map(|bar| (bar.volume, bar.complete)).collect();
    // the first observation does not say what was traded before it in its minute
    assert_eq!(found, [(20, false), (40, true), (50, true), (25, false), (15, true)]);
    assert_eq!(bars.len(), 5, "no bar where nothing was seen");
    // one packet that came late is no new count
    let late = [minutes[0], minutes[1], minute("10:02", 100.0, (20, 20)), minutes[2]];
    let volumes: Vec<_> = Case::of(Market::Nse, &late).bars("1m").iter().map(|bar| bar.volume).collect();
    assert_eq!(volumes, [20, 40, 0, 50]);
}

#[test]
fn a_bar_that_begins_with_the_day_has_all_of_its_volume_and_range() {
    // recorded from 09:40 on: an option, which has no auction
    let seen = of_day(minute("09:40", 105.0, (5_000, 5_100)), 90.0, 120.0, 80.0);
    let case = Case::of(Market::NfoOptions, &[seen]);
    let hour = case.bars("1h")[0];
    assert_eq!((hour.open, hour.high, hour.low, hour.close, hour.volume), (90.0, 120.0, 80.0, 105.0, 5_100));
    assert!(hour.complete, "the packet says what came before it");
    let minute = case.bars("1m")[0];
    assert_eq!((minute.open, minute.high, minute.volume, minute.complete), (105.0, 105.0, 100, false));
    let day = case.bars("1d")[0];
    assert_eq!((day.open, day.high, day.low, day.volume, day.complete), (90.0, 120.0, 80.0, 5_100, true));
}

#[test]
fn what_is_shown_before_the_first_trade_is_of_the_day_before() {
    let minutes = [
        // orders are collected; the price is yesterday's
        minute("09:03", 99.0, (0, 0)),
        // matched at 103 in this minute: 99 was shown before
        of_day(
            Bucket {
                prices: Some(tickhouse_bars::Prices { open: 99.0, high: 103.0, low: 99.0, close: 103.0 }),
                ..minute("09:08", 103.0, (0, 700))
            },
            103.0,
            103.0,
            103.0,
        ),
        of_day(minute("09:15", 104.0, (800, 900)), 103.0, 104.5, 103.0),
    ];
    let bars = Case::of(Market::Nse, &minutes).bars("15m");
    assert_eq!(starts(&bars), ["09:00 pre_market", "09:15 regular"]);
    let auction = bars[0];
    assert_eq!((auction.open, auction.high, auction.low, auction.volume), (103.0, 103.0, 103.0, 700));
    // the auction was seen, so trading opens at its first price; the high of 104.5 was between two packets
    assert_eq!((bars[1].open, bars[1].high, bars[1].volume), (104.0, 104.5, 200));
    assert!(auction.complete && bars[1].complete);
    // the auction was not seen
    let late = Case::of(Market::Nse, &minutes[2..]).bars("15m")[0];
    assert_eq!((late.open, late.low, late.volume, late.complete), (103.0, 103.0, 100, false));
    // only what Kite still shows of the day before, ahead of the opening
    let stale = of_day(minute("08:50", 99.0, (9_000, 9_000)), 90.0, 100.0, 90.0);
    let with = Case::of(Market::Nse, &[&[stale], &minutes[..]].concat()).bars("15m");
    assert_eq!(with, bars);
}

#[test]
fn an_index_opens_trading_at_its_own_open() {
    let index = |start, price| Bucket { totals: None, ..minute(start, price, (0, 0)) };
    let minutes = [
        // indicative, with yesterday's range
        of_day(index("09:05", 24_050.0), 23_000.0, 25_000.0, 22_000.0),
        of_day(index("09:15", 24_060.0), 24_040.0, 24_070.0, 24_030.0),
        of_day(index("09:16", 24_062.0), 24_040.0, 24_090.0, 24_030.0),
    ];
    let case = Case::of(Market::NseIndices, &minutes);
    let bars = case.bars("1m");
    let found: Vec<_> = bars.iter().map(|bar| (bar.open, bar.high, bar.low)).collect();
    assert_eq!(
        found,
        [(24_050.0, 24_050.0, 24_050.0), (24_040.0, 24_070.0, 24_030.0), (24_062.0, 24_090.0, 24_062.0)]
    );
    let day = case.bars("1d")[0];
    assert_eq!((day.open, day.high, day.low, day.close), (24_040.0, 24_090.0, 24_030.0, 24_062.0));
}

#[test]
fn new_extremes_of_the_day_count_unless_there_was_a_gap() {
    let minutes = [
        of_day(minute("10:00", 100.0, (500, 520)), 99.0, 101.0, 98.0),
        of_day(minute("10:01", 100.0, (520, 560)), 99.0, 103.0, 98.0),
        of_day(minute("10:03", 100.0, (570, 580)), 99.0, 103.0, 97.0),
    ];
    let mut case = Case::of(Market::Nse, &minutes);
    let found: Vec<_> = case.bars("1m").iter().map(|bar| (bar.high, bar.low)).collect();
    assert_eq!(found, [(100.0, 100.0), (103.0, 100.0), (100.0, 97.0)]);
    case.gaps = vec![span("10:02:10", "10:02:20")];
    let bars = case.bars("1m");
    assert_eq!((bars[2].high, bars[2].low, bars[2].complete), (100.0, 100.0, false), "who knows when");
    assert_eq!(bars[2].gap_seconds, 0, "the gap lies before it");
    // a bar around the gap has the low for certain, but not what else was missed
    let five = case.bars("5m")[0];
    assert_eq!((five.low, five.high, five.gap_seconds, five.complete), (97.0, 103.0, 10, false));
}

#[test]
fn gaps_count_in_trading_hours_only() {
    let mut case = Case::of(Market::Nse, &whole_day("09:15", "15:30"));
    case.gaps = vec![span("2026-11-18 15:00", "2026-11-19 09:00"), span("15:29:30.500", "2026-11-20 09:00")];
    let bars = case.bars("1h");
    assert!(bars[..6].iter().all(|bar| bar.complete && bar.gap_seconds == 0));
    assert_eq!((bars[6].gap_seconds, bars[6].complete), (30, false));
    let day = case.bars("1d")[0];
    assert_eq!((day.gap_seconds, day.complete), (30 + 1_800, false), "and the post-close session");
}

#[test]
fn a_gap_in_the_middle_does_not_spoil_the_day() {
    let mut minutes = whole_day("09:15", "15:30");
    for bucket in &mut minutes {
        *bucket = of_day(*bucket, 100.0, 100.0, 100.0);
    }
    minutes.retain(|bucket| bucket.at < at("11:00") || bucket.at >= at("11:30"));
    let mut case = Case::of(Market::NfoOptions, &minutes);
    case.gaps = vec![span("10:59:30", "11:30:10")];
    case.until = at("18:00");
    // options trade to 15:40 on this day: nothing was seen in the last ten minutes, and no gap says why
    let day = case.bars("1d")[0];
    assert_eq!((day.volume, day.gap_seconds, day.complete), (3_750, 1_840, true));
    let hours: Vec<_> = case.bars("1h").iter().map(|bar| (bar.volume, bar.complete)).collect();
    assert_eq!(hours[..3], [(600, true), (450, false), (750, false)], "{hours:?}");
}
