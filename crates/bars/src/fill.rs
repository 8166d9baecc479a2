//! The broker's candles stand in for minutes that are incomplete or missing.

use crate::chain::{Chain, Slice};
use crate::sessions::{DAY_MILLIS, Day, Key};
use crate::spans::Spans;
use crate::{Candle, CandleLength, Interval, Source};
use std::collections::BTreeMap;

/// A day's slices, some of them from candles.
pub(crate) struct Filled {
    pub(crate) slices: Vec<Slice>,
    /// What candles were taken for.
    pub(crate) covered: Vec<(i64, i64)>,
    /// Nothing before this instant of this bar is missing, whatever the gaps.
    pub(crate) healed: Option<(Key, i64)>,
}

/// A slice, and how much of the running total the slices had that it replaced.
struct Entry {
    slice: Slice,
    replaced_volume: u64,
}

impl Filled {
    /// Whether volume and prices of a slice are known, given the gaps.
    pub(crate) fn is_whole(healed: Option<(Key, i64)>, slice: &Slice, gaps: &Spans) -> bool {
        let since = match healed {
            Some((key, at)) if key == slice.key && slice.at < at => return true,
            Some((key, at)) if key == slice.key && slice.at == at => at,
            _ => slice.since,
        };
        slice.sound && !gaps.touch(since, slice.until)
    }
}

/// Fills a day. `candles` are of that day, the shortest first, each length in order.
pub(crate) fn fill(
    Chain { slices, begins }: Chain,
    candles: &[Candle],
    day: &Day,
    gaps: &Spans,
    interval: Interval,
) -> Filled {
    let healed = slices.iter().rev().find(|slice| slice.heals).map(|slice| (slice.key, slice.at));
    let mut covered: Vec<(i64, i64)> = Vec::new();
    let mut entries: BTreeMap<i64, Entry> =
        slices.into_iter().map(|slice| (slice.at, Entry { replaced_volume: slice.volume, slice })).collect();
    for same in candles.chunk_by(|a, b| a.length == b.length) {
        let open = gaps.without(&covered.iter().copied().collect());
        for candle in same {
            let Some((key, until)) = place(candle, day, interval) else { continue };
            let at = candle.at.as_millis();
            if healed.is_some_and(|(bar, instant)| bar == key && until <= instant) {
                continue;
            }
            let within = || entries.range(at..until).map(|(_, entry)| &entry.slice);
            let is_missed = day.open_parts(at, until).any(|(from, until)| open.touch(from, until));
            let is_whole = within().all(|slice| Filled::is_whole(healed, slice, gaps));
            if within().next().is_some() && is_whole && !is_missed {
                continue;
            }
            let gone: Vec<i64> = within().map(|slice| slice.at).collect();
            let gone: Vec<Entry> = gone.iter().filter_map(|at| entries.remove(at)).collect();
            entries.insert(at, stand_in(candle, key, until, &gone));
            covered.push((at, until));
        }
    }
    Filled { slices: settle(entries, &begins), covered, healed }
}

/// The bar of a candle and the candle's end; `None` where it is longer than bars are.
fn place(candle: &Candle, day: &Day, interval: Interval) -> Option<(Key, i64)> {
    let at = candle.at.as_millis();
    let key = day.key(at, interval);
    let until = match candle.length {
        CandleLength::Day if interval.holds_days() => day.midnight + DAY_MILLIS,
        CandleLength::Day => return None,
        CandleLength::Minutes(minutes) => {
            // the last one of a session is short
            (at + i64::from(minutes) * 60_000).min(day.stretch(at).until)
        }
    };
    (at < until && until <= key.end).then_some((key, until))
}

fn stand_in(candle: &Candle, key: Key, until: i64, gone: &[Entry]) -> Entry {
    let at = candle.at.as_millis();
    let slice = Slice {
        at,
        until,
        key,
        prices: candle.prices,
        volume: candle.volume,
        turnover: (candle.prices.typical() * candle.volume as f64, candle.volume as f64),
        open_interest: match candle.open_interest {
            0 => gone.last().map_or(0, |entry| entry.slice.open_interest),
            open_interest => open_interest,
        },
        ticks: gone.iter().map(|entry| entry.slice.ticks).sum(),
        sound: true,
        since: until,
        heals: false,
        source: Source::Candles,
    };
    Entry { slice, replaced_volume: gone.iter().map(|entry| entry.replaced_volume).sum() }
}

/// Takes from the first slice of ticks after candles what the candles have counted already: its volume reaches back to the last
/// total that was seen, but never beyond where counting began.
fn settle(entries: BTreeMap<i64, Entry>, begins: &[i64]) -> Vec<Slice> {
    let mut begins = begins.iter().copied().peekable();
    let mut counted: u64 = 0;
    let mut open_interest = 0;
    let settled = entries.into_values().map(|Entry { mut slice, replaced_volume }| {
        let is_candle = slice.source == Source::Candles;
        let mut begun = None;
        while let Some(at) = begins.next_if(|at| *at < if is_candle { slice.until } else { slice.at + 1 }) {
            begun = Some(at);
            counted = 0;
        }
        if is_candle {
            // of a candle in which counting began most was traded before, so nothing of it is in what comes next
            if begun.is_none_or(|at| at < slice.at) {
                counted = (counted + slice.volume).saturating_sub(replaced_volume);
            }
            if slice.open_interest == 0 {
                slice.open_interest = open_interest;
            }
        } else if counted > 0 {
            slice.volume = slice.volume.saturating_sub(counted);
            let (value, volume) = slice.turnover;
            if volume > 0.0 {
                let share = (slice.volume as f64 / volume).min(1.0);
                slice.turnover = (value * share, volume * share);
            }
            counted = 0;
        }
        open_interest = slice.open_interest;
        slice
    });
    settled.collect()
}
