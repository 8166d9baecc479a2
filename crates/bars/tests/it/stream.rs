//! Bars of ticks, volume and range, and the comparison with the broker's.

use crate::{Case, at, calendar, candle, minute, span};
use tickhouse_bars::{Bar, Field, Reason, Span, StreamBars, StreamRule, TickSeen, Tolerance, reconcile};
use tickhouse_enrich::Market;

fn tick(time: &str, price: f64, total: u64) -> TickSeen {
    TickSeen {
        at: at(time),
        price,
        total: Some(total),
        is_first_trade: false,
        open_interest: Some(total * 2),
    }
}

fn run(rule: StreamRule, gaps: &[Span], ticks: &[TickSeen]) -> Vec<Bar> {
    let mut bars = StreamBars::new(rule, calendar(), Market::Nse, gaps);
    let mut found: Vec<Bar> = ticks.iter().flat_map(|tick| bars.push(tick)).flatten().collect();
    found.extend(bars.finish(at("2026-11-19 12:00")));
    found
}

fn shape(bars: &[Bar]) -> Vec<(u64, u64, bool)> {
    bars.iter().map(|bar| (bar.tick_count, bar.volume, bar.complete)).collect()
}

#[test]
fn ticks_volume_and_range_end_bars() {
    let ticks = [
        tick("09:07:00", 99.0, 0),
        tick("09:08:00", 100.0, 50),
        tick("09:15:00", 100.0, 60),
        tick("09:15:01", 100.5, 75),
        tick("09:15:01", 101.0, 80),
        tick("09:15:02", 100.0, 95),
        tick("09:15:03", 100.0, 100),
    ];
    // yesterday's price is no tick, and the auction is a bar of its own
    let bars = run(StreamRule::Ticks(2), &[], &ticks);
    assert_eq!(shape(&bars), [(1, 50, true), (2, 25, true), (2, 20, true), (1, 5, false)]);
    assert_eq!((bars[1].start, bars[1].end, bars[1].open_interest), (at("09:15:00"), at("09:15:01"), 150));
    assert_eq!(bars[2].vwap, Some((101.0 * 5.0 + 100.0 * 15.0) / 20.0));
    let bars = run(StreamRule::Volume(20), &[], &ticks);
    assert_eq!(shape(&bars), [(1, 50, true), (2, 25, true), (2, 20, true), (1, 5, false)]);
    let bars = run(StreamRule::Range(1.0), &[], &ticks);
    assert_eq!(shape(&bars), [(1, 50, true), (3, 30, true), (2, 20, false)]);
}

#[test]
fn the_last_bar_is_complete_once_its_phase_is_over() {
    let last = |now: &str| {
        let mut bars = StreamBars::new(StreamRule::Ticks(9), calendar(), Market::Nse, &[]);
        assert_eq!(bars.push(&tick("09:15:00", 100.0, 0)), [None, None]);
        assert_eq!(bars.push(&tick("15:29:59", 100.0, 7)), [None, None]);
        bars.finish(at(now)).unwrap()
    };
    assert_eq!(shape(&[last("15:29:59"), last("15:30")]), [(1, 7, false), (1, 7, true)]);
}

#[test]
fn days_end_bars_and_gaps_spoil_them() {
    let mut ticks = vec![
        tick("10:00:00", 100.0, 50),
        tick("10:00:05", 100.0, 60),
        tick("10:00:20", 100.0, 90),
        tick("10:00:21", 100.0, 85),
        tick("10:00:22", 100.0, 95),
    ];
    ticks.push(TickSeen { at: at("2026-11-20 10:00"), is_first_trade: true, ..tick("10:00", 100.0, 7) });
    let gaps = [span("10:00:10", "10:00:12")];
    let bars = run(StreamRule::Ticks(2), &gaps, &ticks);
    // the first tick of a day does not say what was traded before it; a late total adds nothing
    assert_eq!(shape(&bars), [(2, 10, false), (2, 30, false), (1, 5, true), (1, 7, false)]);
    assert_eq!(bars[1].gap_seconds, 2);
    // the count began anew
    ticks.truncate(3);
    ticks.extend([
        tick("10:00:30", 100.0, 10),
        tick("10:00:31", 100.0, 15),
        tick("10:00:32", 100.0, 22),
        // late
        tick("10:00:33", 100.0, 2),
        tick("10:00:34", 100.0, 25),
    ]);
    assert_eq!(
        shape(&run(StreamRule::Ticks(1), &[], &ticks))[2..],
        [(1, 30, true), (1, 0, false), (1, 5, false), (1, 7, true), (1, 0, false), (1, 3, true)]
    );
}

#[test]
fn differences_are_told_with_what_they_come_from() {
    let ours: Vec<_> =
        (0..6).map(|n| minute(&format!("10:{n:02}"), 100.0, (n * 100, n * 100 + 100))).collect();
    let mut case = Case::of(Market::Nse, &ours);
    case.buckets.retain(|bucket| bucket.at != at("10:04"));
    case.gaps = vec![span("10:03:30", "10:05:10")];
    let theirs = [100, 110, 90, 100, 100, 100];
    let candles: Vec<_> = theirs
        .iter()
        .enumerate()
        .map(|(n, volume)| candle(&format!("10:{n:02}"), 1, 100.0, *volume))
        .collect();
    let broker = Case { candles, ..Case::of(Market::Nse, &[]) }.bars("1m");
    let found = reconcile(&case.bars("1m"), &broker, &case.gaps, &[], Tolerance::default());
    assert_eq!((found.compared, found.equal), (5, 2));
    let told: Vec<_> = found.differences.iter().map(|d| (d.field, d.difference, d.reason)).collect();
    assert_eq!(
        told,
        [
            (Field::Volume, -10.0, Reason::Boundary),
            (Field::Volume, 10.0, Reason::Boundary),
            (Field::Bar, -100.0, Reason::Gap),
            (Field::Volume, 100.0, Reason::Gap),
        ]
    );
    let lenient = Tolerance { price: 0.0, volume_percent: 12.0 };
    assert_eq!(reconcile(&case.bars("1m"), &broker, &case.gaps, &[], lenient).differences.len(), 2);
    let more =
        Case { candles: vec![candle("10:00", 1, 100.05, 100)], ..Case::of(Market::Nse, &[]) }.bars("1m");
    let close = Tolerance { price: 0.05, volume_percent: 0.0 };
    let found = reconcile(&case.bars("1m")[..1], &more, &[], &[], close);
    assert_eq!(found.differences, []);
    assert_eq!(reconcile(&case.bars("1m")[..1], &more, &[], &[], Tolerance::default()).differences.len(), 4);
}

/// A gap was filled: of the other minutes nobody asked for a candle.
#[test]
fn a_candle_is_missing_only_where_the_broker_was_asked() {
    let ours: Vec<_> =
        (0..6).map(|n| minute(&format!("10:{n:02}"), 100.0, (n * 100, n * 100 + 100))).collect();
    let ours = Case::of(Market::Nse, &ours).bars("1m");
    let theirs = Case { candles: vec![candle("10:03", 1, 100.0, 100)], ..Case::of(Market::Nse, &[]) };
    let missing = |asked: &[Span]| -> Vec<_> {
        let found = reconcile(&ours, &theirs.bars("1m"), &[], asked, Tolerance::default());
        assert_eq!((found.compared, found.equal), (1, 1));
        found.differences.iter().map(|told| (told.start, told.reason)).collect()
    };
    assert_eq!(missing(&[]), []);
    let asked = [span("10:02:30", "10:05")];
    assert_eq!(missing(&asked), [(at("10:04"), Reason::NoCandle)], "of 10:02 only half was asked");
}
