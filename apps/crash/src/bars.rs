//! `tick_data_1min`, computed again by brute force from the rows of `tick_data` and `feed_gaps`, after the rules of docs/bars.md.
//!
//! What enters: rows of `tick_data` as they stand there, edges of gaps, the bars of the view. What leaves: the bars that differ. What
//! never happens here: a state that was written before, or SQL of the view.

use crate::clickhouse::ClickHouse;
use crate::oracle::{Row, Verdict};
use crate::system::RECORDER;
use std::collections::BTreeMap;

const MINUTE: i64 = 60_000;
const DAY: i64 = 24 * 60 * MINUTE;
/// India's time is ahead of UTC by this.
const INDIA: i64 = 330 * MINUTE;
/// An exchange's time farther than this from the receive time does not count.
const NEAR: i64 = 10 * MINUTE;

// places in the values of a row
const LAST: usize = 1;
const OPEN: usize = 2;
const HIGH: usize = 3;
const LOW: usize = 4;
const VOLUME: usize = 8;
const LAST_QUANTITY: usize = 9;
const OPEN_INTEREST: usize = 12;
const EXCHANGE_TIME: usize = 15;

/// What orders ticks: time used, receive time, session, sequence, packet.
type Order = (i64, i64, u64, u64, u16);

/// What is seen of an instrument in a minute.
#[derive(Clone, Debug, Default)]
struct Minute {
    first: Option<(Order, f64)>,
    last: Option<(Order, f64)>,
    high: f64,
    low: f64,
    /// Highest and lowest running total of the day; lowest is 0 where the first trade was seen.
    totals: Option<(f64, f64)>,
    open_interest: Option<(Order, f64)>,
    ticks: u64,
    gap: bool,
    /// The day's own, 0 where no packet states them.
    day_open: f64,
    day_high: f64,
    /// Infinite where no packet states it.
    day_low: f64,
}

/// A bar, as the view gives it.
#[derive(Clone, Debug, PartialEq)]
struct Bar {
    open: f64,
    high: f64,
    low: f64,
    last: f64,
    volume: f64,
    open_interest: f64,
    ticks: u64,
    complete: bool,
}

/// All minutes, by instrument, day and minute.
#[derive(Debug, Default)]
pub(crate) struct Bars(BTreeMap<(u32, i64), BTreeMap<i64, Minute>>);

fn day_of(at: i64) -> i64 {
    (at + INDIA).div_euclid(DAY)
}

impl Bars {
    fn minute(&mut self, token: u32, at: i64) -> &mut Minute {
        let minutes = self.0.entry((token, day_of(at))).or_default();
        let fresh = Minute {
            high: f64::NEG_INFINITY,
            low: f64::INFINITY,
            day_low: f64::INFINITY,
            ..Minute::default()
        };
        minutes.entry(at.div_euclid(MINUTE) * MINUTE).or_insert(fresh)
    }

    /// Takes a row.
    pub(crate) fn add(&mut self, row: &Row) {
        let (_, session, sequence, index) = row.key;
        let values = &row.values;
        let (exchange, received) = (values[EXCHANGE_TIME] as i64, row.timestamp);
        if row.snapshot && (exchange == received || day_of(exchange) != day_of(received)) {
            return;
        }
        let near = (exchange - received).abs() <= NEAR;
        let used = if row.snapshot || near { exchange } else { received };
        let order = (used, received, session, sequence, index);
        let minute = self.minute(values[0] as u32, used);
        if matches!(row.kind.as_str(), "quote" | "full") {
            let total = values[VOLUME];
            let least = if total.to_bits() == values[LAST_QUANTITY].to_bits() { 0.0 } else { total };
            let (high, low) = minute.totals.unwrap_or((total, least));
            minute.totals = Some((high.max(total), low.min(least)));
        }
        if row.snapshot {
            return;
        }
        let price = values[LAST];
        minute.ticks += 1;
        if minute.first.is_none_or(|(first, _)| order < first) {
            minute.first = Some((order, price));
        }
        if minute.last.is_none_or(|(last, _)| order > last) {
            minute.last = Some((order, price));
        }
        minute.high = minute.high.max(price);
        minute.low = minute.low.min(price);
        if row.kind == "full" && minute.open_interest.is_none_or(|(last, _)| order > last) {
            minute.open_interest = Some((order, values[OPEN_INTEREST]));
        }
        if values[OPEN] > 0.0 && (values[VOLUME] > 0.0 || row.kind.starts_with("index")) {
            minute.day_open = minute.day_open.max(values[OPEN]);
            minute.day_high = minute.day_high.max(values[HIGH]);
            if values[LOW] > 0.0 {
                minute.day_low = minute.day_low.min(values[LOW]);
            }
        }
    }

    async fn add_gaps(&mut self, clickhouse: &ClickHouse) -> anyhow::Result<()> {
        let sql = format!(
            "SELECT arrayJoin(tokens), toUnixTimestamp64Milli(arrayJoin([`from`, `to`])) AS edge FROM feed_gaps \
             WHERE recorder = '{RECORDER}' AND edge > 0"
        );
        let edge = |line: &str| {
            let words: Vec<&str> = line.split('\t').collect();
            self.minute(words[0].parse()?, words[1].parse()?).gap = true;
            Ok(())
        };
        clickhouse.lines(&sql, edge).await
    }

    /// Compares with the view.
    pub(crate) async fn compare(
        mut self,
        clickhouse: &ClickHouse,
        verdict: &mut Verdict,
    ) -> anyhow::Result<()> {
        self.add_gaps(clickhouse).await?;
        let mut expected = BTreeMap::new();
        for ((token, _), minutes) in &self.0 {
            let minutes: Vec<(i64, &Minute)> = minutes.iter().map(|(at, minute)| (*at, minute)).collect();
            for at in 0..minutes.len() {
                if minutes[at].1.ticks > 0 {
                    expected.insert((*token, minutes[at].0), bar(&minutes, at));
                }
            }
        }
        let sql = "SELECT instrument_token, toUnixTimestamp(timestamp), open, high, low, last_price, volume, open_interest, tick_count, \
                   complete FROM tick_data_1min ORDER BY instrument_token, timestamp";
        let each = |line: &str| {
            let words: Vec<&str> = line.split('\t').collect();
            anyhow::ensure!(words.len() == 10, "no bar: {line}");
            let number = |at: usize| words[at].parse::<f64>();
            let found = Bar {
                open: number(2)?,
                high: number(3)?,
                low: number(4)?,
                last: number(5)?,
                volume: number(6)?,
                open_interest: number(7)?,
                ticks: words[8].parse()?,
                complete: words[9] == "1",
            };
            let key = (words[0].parse()?, words[1].parse::<i64>()? * 1_000);
            verdict.totals.bars += 1;
            let wanted = expected.remove(&key);
            if wanted.as_ref() != Some(&found) {
                verdict.totals.bars_wrong += 1;
                verdict.wrong(format!("tick_data_1min: {key:?} is {found:?} and must be {wanted:?}"));
            }
            Ok(())
        };
        clickhouse.lines(sql, each).await?;
        for (key, bar) in expected {
            verdict.totals.bars_wrong += 1;
            verdict.wrong(format!("tick_data_1min: {key:?} is missing: {bar:?}"));
        }
        Ok(())
    }
}

/// The bar of a minute of a day of an instrument.
fn bar(minutes: &[(i64, &Minute)], at: usize) -> Bar {
    let (earlier, minute) = (&minutes[..at], minutes[at].1);
    let highest_total = |at: Option<usize>| {
        at.and_then(|at| minutes.get(at)).and_then(|(_, minute)| minute.totals).map_or(0.0, |(high, _)| high)
    };
    let previous_total = earlier.iter().rev().find_map(|(_, minute)| minute.totals).map(|(high, _)| high);
    // a total below the one before, and the next one too: the count began anew
    let begins_anew = minute
        .totals
        .zip(previous_total)
        .is_some_and(|((high, _), previous)| high < previous && highest_total(Some(at + 1)) < previous);
    let previous_total = previous_total.filter(|_| !begins_anew);
    let before_that = highest_total(at.checked_sub(2));
    let baseline = match (previous_total, minute.totals) {
        (None, totals) => totals.map(|(_, low)| low),
        // the minute before held late packets only
        (Some(previous), totals) => {
            let high = totals.map_or(0.0, |(high, _)| high);
            Some(if before_that > previous && high >= before_that { before_that } else { previous })
        }
    };
    let previous_minute = earlier.iter().rev().find(|(_, minute)| minute.ticks > 0).map_or(0, |(at, _)| *at);
    let so_far = &minutes[..=at];
    let last_gap = so_far.iter().rev().find(|(_, minute)| minute.gap).map_or(0, |(at, _)| *at);
    let uncut = last_gap <= previous_minute;
    let (first, last) =
        (minute.first.map_or(0.0, |(_, price)| price), minute.last.map_or(0.0, |(_, price)| price));
    let sees_first_trade = minute.totals.is_some_and(|(_, low)| low == 0.0);
    let opens_day = minute.totals.is_some_and(|(high, _)| high > 0.0)
        && baseline == Some(0.0)
        && (sees_first_trade || uncut)
        && minute.day_open > 0.0
        && (minute.day_low..=minute.day_high).contains(&last);
    let stated = |of: fn(&Minute) -> f64| earlier.iter().map(move |(_, minute)| of(minute));
    let earlier_open = stated(|minute| minute.day_open).rfind(|open| *open > 0.0).unwrap_or(0.0);
    let earlier_high = stated(|minute| minute.day_high).fold(0.0, f64::max);
    let earlier_low = stated(|minute| minute.day_low).fold(f64::INFINITY, f64::min);
    let same_day = uncut && minute.day_open > 0.0 && minute.day_open.to_bits() == earlier_open.to_bits();
    let open_interest =
        so_far.iter().filter_map(|(_, minute)| minute.open_interest).max_by_key(|(order, _)| *order);
    Bar {
        open: if opens_day { minute.day_open } else { first },
        high: if opens_day {
            minute.day_high
        } else if same_day && minute.day_high > earlier_high {
            minute.high.max(minute.day_high)
        } else {
            minute.high
        },
        low: if opens_day {
            minute.day_low
        } else if same_day && minute.day_low < earlier_low {
            minute.low.min(minute.day_low)
        } else {
            minute.low
        },
        last,
        volume: minute
            .totals
            .zip(baseline)
            .map_or(0.0, |((high, _), baseline)| high.max(baseline) - baseline),
        open_interest: open_interest.map_or(0.0, |(_, value)| value),
        ticks: minute.ticks,
        complete: uncut
            && (previous_total.is_some()
                || sees_first_trade
                || (minute.totals.is_none() && previous_minute > 0)),
    }
}
