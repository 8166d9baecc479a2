//! What holds for any ticks, gaps and candles.

use crate::{Case, at, candle, minute, of_day};
use proptest::prelude::*;
use std::collections::BTreeMap;
use tickhouse_bars::{Bar, Bucket, Candle, Interval, Prices, Source, Span};
use tickhouse_enrich::{Calendar, Market};
use tickhouse_model::{SessionType, Timestamp};

const MARKETS: [Market; 4] = [Market::Nse, Market::NseAuction, Market::NfoOptions, Market::Mcx];
const INTERVALS: [Interval; 6] = [
    Interval::Seconds(60),
    Interval::Seconds(300),
    Interval::Seconds(3_600),
    Interval::Day,
    Interval::Week,
    Interval::Month,
];

fn from_minutes(day: i64, minutes: i64) -> Timestamp {
    Timestamp::from_millis(at("2026-11-18 08:30").as_millis() + day * 86_400_000 + minutes * 60_000)
}

/// Minutes of three days, some without anything, with totals that rise.
fn buckets() -> impl Strategy<Value = Vec<Bucket>> {
    let step = (0_i64..3, 1_i64..40, 90_i32..110, 0_u64..50, any::<bool>());
    prop::collection::vec(step, 0..60).prop_map(|steps| {
        let mut at_minute = [0_i64; 3];
        let mut totals = [0_u64; 3];
        let mut range: [Option<(f64, f64, f64)>; 3] = [None; 3];
        let mut found = Vec::new();
        for (day, pause, price, volume, states) in steps {
            let index = day as usize;
            at_minute[index] += pause;
            let low = totals[index];
            totals[index] += volume;
            let price = f64::from(price);
            let mut bucket = minute("10:00", price, (low, totals[index]));
            bucket.at = from_minutes(day, at_minute[index]);
            if totals[index] > 0 {
                let (open, high, low) = range[index].unwrap_or((price, price, price));
                // now and then a trade that no packet showed
                let beyond = f64::from(u8::from(volume % 7 == 0));
                let now = (open, high.max(price + beyond), low.min(price - beyond));
                range[index] = Some(now);
                if states {
                    bucket = of_day(bucket, now.0, now.1, now.2);
                }
            }
            found.push(bucket);
        }
        found
    })
}

fn gaps() -> impl Strategy<Value = Vec<Span>> {
    let gap = (0_i64..3, 0_i64..900, 1_i64..40_000);
    prop::collection::vec(gap, 0..4).prop_map(|gaps| {
        let span = |(day, minute, seconds): (i64, i64, i64)| {
            let from = from_minutes(day, minute);
            Span { from, until: Timestamp::from_millis(from.as_millis() + seconds * 100) }
        };
        gaps.into_iter().map(span).collect()
    })
}

fn candles() -> impl Strategy<Value = Vec<Candle>> {
    let one = (0_i64..3, 0_i64..900, 90_i32..110, 0_u64..50);
    prop::collection::btree_map((0_i64..3, 0_i64..900), one, 0..40).prop_map(|found| {
        let place = |((day, number), (.., price, volume)): ((i64, i64), (i64, i64, i32, u64))| Candle {
            at: from_minutes(day, number),
            ..candle("10:00", 1, f64::from(price), volume)
        };
        found.into_iter().map(place).collect()
    })
}

fn case() -> impl Strategy<Value = Case> {
    (prop::sample::select(&MARKETS[..]), buckets(), gaps(), candles())
        .prop_map(|(market, buckets, gaps, candles)| Case { gaps, candles, ..Case::of(market, &buckets) })
}

fn check_shape(case: &Case, interval: Interval, bars: &[Bar]) -> Result<(), TestCaseError> {
    prop_assert!(
        bars.windows(2).all(|pair| pair[0].end <= pair[1].start || pair[0].session != pair[1].session)
    );
    let calendar = Calendar::builtin();
    for bar in bars {
        prop_assert!(bar.low <= bar.open && bar.open <= bar.high, "{bar:?}");
        prop_assert!(bar.low <= bar.close && bar.close <= bar.high, "{bar:?}");
        let within = |at: Timestamp| bar.start <= at && at < bar.end;
        let seen = case.buckets.iter().any(|bucket| within(bucket.at));
        prop_assert!(seen || case.candles.iter().any(|candle| within(candle.at)), "invented: {bar:?}");
        if !interval.holds_days() {
            let spans = [bar.start, Timestamp::from_millis(bar.end.as_millis() - 1)];
            prop_assert!(spans.iter().all(|at| calendar.session(case.market, *at) == bar.session), "{bar:?}");
        }
        // second by second: trading, in a gap, in no minute that a candle fills
        if bar.source == Source::Ticks && bar.end.since(bar.start).as_secs() < 4_000 {
            let tenths = (bar.start.as_millis()..bar.end.as_millis()).step_by(100).filter(|at| {
                let at = Timestamp::from_millis(*at);
                case.gaps.iter().any(|gap| gap.from <= at && at < gap.until)
                    && calendar.session(case.market, at) != SessionType::Closed
            });
            prop_assert_eq!(u64::from(bar.gap_seconds), (tenths.count() as u64).div_ceil(10), "{:?}", bar);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn bars_hold_together(case in case(), interval in prop::sample::select(&INTERVALS[..])) {
        let bars = case.bars_of(interval);
        check_shape(&case, interval, &bars)?;
        // neither the order of what is given nor asking twice changes anything
        let mut turned = case.clone();
        turned.buckets.reverse();
        turned.candles.reverse();
        turned.gaps.reverse();
        prop_assert_eq!(&turned.bars_of(interval), &bars);
        // a gap never makes a bar complete, and takes none away
        let without = Case { gaps: Vec::new(), candles: Vec::new(), ..case.clone() }.bars_of(interval);
        let with = Case { candles: Vec::new(), ..case.clone() }.bars_of(interval);
        prop_assert_eq!(without.len(), with.len());
        for (without, with) in without.iter().zip(&with) {
            prop_assert!(without.complete || !with.complete);
            prop_assert_eq!((without.start, without.volume, without.close), (with.start, with.volume, with.close));
        }
    }

    #[test]
    fn long_bars_are_made_of_short_ones(case in case()) {
        let case = Case { candles: Vec::new(), gaps: Vec::new(), ..case };
        let short = case.bars_of(Interval::Seconds(60));
        let mut within: BTreeMap<Timestamp, Vec<&Bar>> = BTreeMap::new();
        let long = case.bars_of(Interval::Seconds(900));
        for bar in &short {
            let holder = long.iter().find(|long| long.start <= bar.start && bar.start < long.end).unwrap();
            within.entry(holder.start).or_default().push(bar);
        }
        for bar in &long {
            let parts = &within[&bar.start];
            prop_assert_eq!(bar.close, parts.last().unwrap().close);
            prop_assert!(bar.high >= parts.iter().map(|part| part.high).fold(f64::MIN, f64::max));
            prop_assert!(bar.low <= parts.iter().map(|part| part.low).fold(f64::MAX, f64::min));
            prop_assert!(bar.volume >= parts.iter().map(|part| part.volume).sum::<u64>());
            prop_assert_eq!(bar.tick_count, parts.iter().map(|part| part.tick_count).sum::<u64>());
        }
        // the day's volume is the last total of its trading hours
        for day in case.bars_of(Interval::Day) {
            let calendar = Calendar::builtin();
            let last = case.buckets.iter().filter(|bucket| {
                day.start <= bucket.at && bucket.at < day.end
                    && calendar.session(case.market, bucket.at) != SessionType::Closed
            }).map(|bucket| bucket.totals.unwrap().highest).max();
            if day.session == SessionType::Regular {
                prop_assert_eq!(Some(day.volume), last);
            }
        }
    }

    #[test]
    fn candles_alone_add_up(candles in candles(), market in prop::sample::select(&MARKETS[..])) {
        let case = Case { candles: candles.clone(), ..Case::of(market, &[]) };
        for interval in INTERVALS {
            let bars = case.bars_of(interval);
            prop_assert_eq!(bars.iter().map(|bar| bar.volume).sum::<u64>(), candles.iter().map(|c| c.volume).sum::<u64>());
            for bar in bars {
                let mut inside: Vec<&Candle> =
                    candles.iter().filter(|candle| bar.start <= candle.at && candle.at < bar.end).collect();
                inside.sort_by_key(|candle| candle.at);
                let prices: Vec<Prices> = inside.iter().map(|candle| candle.prices).collect();
                prop_assert_eq!(bar.open, prices[0].open);
                prop_assert_eq!(bar.close, prices[prices.len() - 1].close);
                prop_assert_eq!(bar.source, Source::Candles);
                prop_assert_eq!(bar.tick_count, 0);
            }
        }
    }
}
