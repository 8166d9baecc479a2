//! `tick_data_1min` against brute force: every tick of a day sorted in memory, bar by bar.

use crate::{ask, empty_store, insert, run, store, tick};
use std::collections::{BTreeMap, BTreeSet};
use tickhouse_model::{FrameId, Gap, GapCause, IST_OFFSET_SECONDS, Timestamp, Token};
use tickhouse_store::{
    Deduplicate, InsertId, LedgerColumns, MIGRATIONS, Origin, Partition, Partitioning, SchemaOptions, Store,
    Tick, TickIdentity, migrate,
};
use uuid::Uuid;

/// A die with a seed: `SplitMix64`.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    /// 0 to `below` - 1.
    pub(crate) fn roll(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % below
    }

    fn percent(&mut self, chance: u64) -> bool {
        self.roll(100) < chance
    }
}

/// 2025-11-18 to 20, 09:15 India.
pub(crate) const DAYS: [i64; 3] = [1_763_437_500, 1_763_523_900, 1_763_610_300];
const TOKENS: u32 = 25;
const MINUTES: i64 = 40;

pub(crate) fn ticks_of_a_day(dice: &mut Dice, opening: i64, session: u64) -> Vec<Tick<'static>> {
    let mut ticks = Vec::new();
    let mut totals = [0_u64; TOKENS as usize];
    // the day's high and low go through trades that no packet shows, too
    let mut range = [(110.0_f64, 110.0_f64); TOKENS as usize];
    let mut sequence = 0;
    for second in 0..MINUTES * 60 {
        for token in 0..TOKENS {
            // the rare ones leave minutes without a tick
            if !dice.percent(if token % 5 == 4 { 1 } else { 130 - u64::from(token) * 2 }) {
                continue;
            }
            sequence += 1;
            let now = (opening + second) * 1000 + dice.roll(1000) as i64;
            let lot = 1 + dice.roll(50) as u32;
            if dice.percent(80) {
                totals[token as usize] += u64::from(lot);
            }
            let delay = match dice.roll(100) {
                0..3 => dice.roll(590) as i64,
                3 => 605 + dice.roll(100_000) as i64,
                4 => -(dice.roll(20) as i64),
                _ => dice.roll(3) as i64,
            };
            let mut tick = tick(token * 256 + 1, Timestamp::from_millis(now));
            tick.exchange_timestamp = match dice.roll(50) {
                0 => tick.timestamp,
                _ => Timestamp::from_millis((now / 1000 - delay) * 1000),
            };
            tick.snapshot = dice.percent(1);
            if tick.snapshot {
                let old = [0, 3_600, 86_400, 300][dice.roll(4) as usize];
                tick.exchange_timestamp = Timestamp::from_millis((now / 1000 - old) * 1000);
            }
            let (top, bottom) = &mut range[token as usize];
            tick.last_price = *bottom + dice.roll(101) as f64 / 100.0 * (*top - *bottom);
            match dice.roll(200) {
                0 => *top += 0.05,
                1 => *bottom -= 0.05,
                2..6 => (*top, tick.last_price) = (*top + 0.1, *top + 0.1),
                6..10 => (*bottom, tick.last_price) = (*bottom - 0.1, *bottom - 0.1),
                _ => {}
            }
            (tick.open_price, tick.high_price, tick.low_price) = (110.0, *top, *bottom);
            tick.packet_type = match token % 5 {
                0 => "index_full",
                1 => ["quote", "full", "ltp"][dice.roll(3) as usize],
                2 => "quote",
                _ => "full",
            };
            let carries = matches!(tick.packet_type, "quote" | "full");
            tick.volume =
                if carries { totals[token as usize].saturating_sub(delay.unsigned_abs() / 10) } else { 0 };
            tick.last_traded_quantity = if carries { lot } else { 0 };
            tick.open_interest = if tick.packet_type == "full" { dice.roll(1_000) } else { 0 };
            if dice.percent(1) {
                // a candle of history: no live tick
                tick.packet_type = "5minute";
            }
            tick.identity = TickIdentity {
                frame: FrameId { session, socket: 0, sequence: sequence / 8 },
                packet_index: (sequence % 8) as u16,
                ..tick.identity
            };
            ticks.push(tick);
        }
    }
    ticks
}

#[derive(Clone, Debug, PartialEq)]
struct Bar {
    open: f64,
    high: f64,
    low: f64,
    close: f64,
    volume: u64,
    open_interest: u64,
    ticks: u64,
    complete: bool,
}

type Bars = BTreeMap<(u32, i64, i64), Bar>;

fn india_day(millis: i64) -> i64 {
    (millis + IST_OFFSET_SECONDS * 1000).div_euclid(86_400_000)
}

/// The rules in words of their own: see `migrations/0003_bars.sql`, `0007_bar_extremes.sql` and `0009_count_anew.sql`.
#[expect(clippy::too_many_lines, reason = "one rule after the other")]
fn brute_force(ticks: &[Tick<'_>], gaps: &[(u32, i64)]) -> Bars {
    let live = ["ltp", "quote", "full", "index_quote", "index_full"];
    let mut days: BTreeMap<(u32, i64), Vec<(i64, &Tick<'_>)>> = BTreeMap::new();
    for tick in ticks.iter().filter(|tick| live.contains(&tick.packet_type)) {
        let (received, said) = (tick.timestamp.as_millis(), tick.exchange_timestamp.as_millis());
        let used = if tick.snapshot {
            if said == received || india_day(said) != india_day(received) {
                continue;
            }
            said
        } else if (received - said).abs() <= 600_000 {
            said
        } else {
            received
        };
        days.entry((tick.token.0, india_day(used))).or_default().push((used, tick));
    }
    let mut bars = Bars::new();
    for ((token, day), mut of_day) in days {
        let mut stated: Option<(f64, f64, f64)> = None;
        of_day.sort_by_key(|(used, tick)| {
            (*used, tick.timestamp.as_millis(), tick.identity.frame.sequence, tick.identity.packet_index)
        });
        let mut minutes: BTreeSet<i64> = of_day.iter().map(|(used, _)| used / 60_000).collect();
        let edges: Vec<i64> = gaps
            .iter()
            .filter(|gap| gap.0 == token && india_day(gap.1) == day)
            .map(|gap| gap.1 / 60_000)
            .collect();
        minutes.extend(&edges);
        let carried: Vec<Option<u64>> = minutes
            .iter()
            .map(|minute| {
                let within = of_day.iter().filter(|(used, _)| used / 60_000 == *minute);
                within
                    .filter(|(_, tick)| matches!(tick.packet_type, "quote" | "full"))
                    .map(|(_, tick)| tick.volume)
                    .max()
            })
            .collect();
        let (mut interest, mut last_bar) = (0, None);
        for (row, minute) in minutes.into_iter().enumerate() {
            let within: Vec<&Tick<'_>> =
                of_day.iter().filter(|(used, _)| used / 60_000 == minute).map(|(_, tick)| *tick).collect();
            let totals: Vec<&Tick<'_>> =
                within.iter().copied().filter(|tick| matches!(tick.packet_type, "quote" | "full")).collect();
            let lowest = totals
                .iter()
                .map(|tick| if tick.volume == u64::from(tick.last_traded_quantity) { 0 } else { tick.volume })
                .min();
            let highest = carried[row];
            let before = carried[..row].iter().rev().find_map(|total| *total);
            let is_below = |total: Option<u64>| before.is_some_and(|before| total.unwrap_or(0) < before);
            // two in a row below: the count began anew
            let is_anew =
                highest.is_some() && is_below(highest) && is_below(carried.get(row + 1).copied().flatten());
            // one in a row: late packets, which nothing is counted from
            let earlier = if row >= 2 { carried[row - 2].unwrap_or(0) } else { 0 };
            let best = match before.filter(|_| !is_anew) {
                Some(before) if earlier > before && highest.unwrap_or(0) >= earlier => Some(earlier),
                before => before,
            };
            let seen: Vec<&Tick<'_>> = within.iter().copied().filter(|tick| !tick.snapshot).collect();
            if let Some(tick) = seen.iter().rev().find(|tick| tick.packet_type == "full") {
                interest = tick.open_interest;
            }
            if let (Some(first), Some(last)) = (seen.first(), seen.last()) {
                let price = seen.iter().map(|tick| tick.last_price);
                let base = best.or(lowest);
                let volume = highest.map_or(0, |high: u64| high.saturating_sub(base.unwrap_or(0)));
                let known = best.is_some() || lowest == Some(0) || (lowest.is_none() && last_bar.is_some());
                let cut = edges.iter().any(|edge| *edge <= minute && last_bar.is_none_or(|bar| *edge > bar));
                let mut open = first.last_price;
                let mut high = price.clone().fold(f64::MIN, f64::max);
                let mut low = price.fold(f64::MAX, f64::min);
                // the day's own, of packets behind which there is a trade
                let own: Vec<&Tick<'_>> = seen
                    .iter()
                    .copied()
                    .filter(|tick| {
                        tick.packet_type.starts_with("index")
                            || (tick.volume > 0 && tick.packet_type != "ltp")
                    })
                    .collect();
                if let Some(any) = own.first() {
                    let top = own.iter().map(|tick| tick.high_price).fold(f64::MIN, f64::max);
                    let bottom = own.iter().map(|tick| tick.low_price).fold(f64::MAX, f64::min);
                    let untraded = base == Some(0) && highest > Some(0);
                    if untraded && (lowest == Some(0) || !cut) && (bottom..=top).contains(&last.last_price) {
                        (open, high, low) = (any.open_price, top, bottom);
                    } else if let (Some((was, upper, lower)), false) = (stated, cut)
                        && was.to_bits() == any.open_price.to_bits()
                    {
                        high = if top > upper { high.max(top) } else { high };
                        low = if bottom < lower { low.min(bottom) } else { low };
                    }
                    let before = stated.unwrap_or((0.0, f64::MIN, f64::MAX));
                    let open_price = own.iter().map(|tick| tick.open_price).fold(0.0, f64::max);
                    stated = Some((open_price, before.1.max(top), before.2.min(bottom)));
                }
                bars.insert(
                    (token, day, minute * 60),
                    Bar {
                        open,
                        high,
                        low,
                        close: last.last_price,
                        volume,
                        open_interest: interest,
                        ticks: seen.len() as u64,
                        complete: known && !cut,
                    },
                );
                last_bar = Some(minute);
            }
        }
    }
    bars
}

async fn stored_bars(store: &Store) -> Bars {
    let sql = "SELECT instrument_token, toUInt16(date), toUnixTimestamp(timestamp), open, high, low, last_price, volume, \
               open_interest, tick_count, complete FROM tick_data_1min";
    let parse = |line: &str| {
        let f: Vec<&str> = line.split('\t').collect();
        let bar = Bar {
            open: f[3].parse().unwrap(),
            high: f[4].parse().unwrap(),
            low: f[5].parse().unwrap(),
            close: f[6].parse().unwrap(),
            volume: f[7].parse().unwrap(),
            open_interest: f[8].parse().unwrap(),
            ticks: f[9].parse().unwrap(),
            complete: f[10] == "1",
        };
        ((f[0].parse().unwrap(), f[1].parse().unwrap(), f[2].parse().unwrap()), bar)
    };
    ask(store, sql).await.lines().map(parse).collect()
}

fn assert_same(found: &Bars, expected: &Bars, what: &str) {
    for (key, bar) in expected {
        assert_eq!(found.get(key), Some(bar), "{what}: token, day, minute {key:?}");
    }
    assert_eq!(found.len(), expected.len(), "{what}: bars that nobody expects");
}

#[tokio::test]
async fn bars_are_what_brute_force_makes_of_the_ticks() {
    let store = store("bars").await;
    let mut dice = Dice(7);
    let mut ticks = Vec::new();
    for (day, opening) in DAYS.into_iter().enumerate() {
        ticks.extend(ticks_of_a_day(&mut dice, opening, day as u64 + 1));
    }
    assert!(ticks.len() > 100_000, "{}", ticks.len());
    // batches arrive out of order, and what is in a batch is out of order
    let mut batches: Vec<Vec<Tick<'_>>> = ticks.chunks(4_001).map(<[Tick<'_>]>::to_vec).collect();
    for index in 0..batches.len() {
        let other = dice.roll(batches.len() as u64) as usize;
        batches.swap(index, other);
        batches[index].reverse();
    }
    for (number, batch) in batches.iter().enumerate() {
        let id = Uuid::from_u128(number as u128 + 1);
        insert(&store, id, batch, Deduplicate::ByToken).await;
        if number % 5 == 0 {
            insert(&store, id, batch, Deduplicate::ByToken).await;
        }
    }
    let expected = brute_force(&ticks, &[]);
    assert_same(&stored_bars(&store).await, &expected, "after all batches");
    run(&store, "OPTIMIZE TABLE tick_data_1min_state FINAL").await;
    assert_same(&stored_bars(&store).await, &expected, "after merging");

    // a gap of two instruments: the minutes it begins and ends in, and the first bar after it, are incomplete
    let (from, to) = (DAYS[1] + 600, DAYS[1] + 600 + 250);
    let tokens = [1, 4 * 256 + 1];
    let at = |second: i64| Timestamp::from_millis(second * 1000);
    let gap = Gap {
        from: at(from),
        to: at(to),
        cause: GapCause::Broken,
        detail: String::new(),
        tokens: tokens.iter().map(|token| Token(*token)).collect(),
    };
    let batch_id = Uuid::from_u128(99_999);
    let mut ledger = LedgerColumns::new(batch_id);
    let id = FrameId { session: 2, socket: 0, sequence: 77 };
    ledger.push_gap(&Origin { recorder: "test", id, stream: "", epoch: 0 }, &gap);
    for (table, block) in ledger.finish() {
        store
            .insert_block(table, &block, InsertId { batch_id, part: table }, Deduplicate::ByToken)
            .await
            .unwrap();
    }
    let edges: Vec<(u32, i64)> =
        tokens.iter().flat_map(|token| [(*token, from * 1000), (*token, to * 1000)]).collect();
    let cut = brute_force(&ticks, &edges);
    assert_ne!(cut, expected, "the gap shows");
    assert_same(&stored_bars(&store).await, &cut, "after a gap");
}

#[tokio::test]
async fn a_batch_without_its_bars_and_one_that_came_twice_are_mended() {
    let store = store("mended").await;
    let mut dice = Dice(9);
    let mut ticks = ticks_of_a_day(&mut dice, DAYS[0], 1);
    ticks.truncate(20_000);
    let mut lost = Vec::new();
    for (number, batch) in ticks.chunks(2_500).enumerate() {
        let id = Uuid::from_u128(number as u128 + 1);
        let without_views = number % 3 == 1;
        for view in ["tick_data_1min_feed", "indices_data_feed"] {
            // as a server that was killed between the table and its views
            let verb = if without_views { "DETACH" } else { "ATTACH" };
            run(
                &store,
                &format!("{verb} TABLE IF {} {view}", if without_views { "EXISTS" } else { "NOT EXISTS" }),
            )
            .await;
        }
        let partitions = insert(&store, id, batch, Deduplicate::ByToken).await;
        if without_views {
            lost.push((id, partitions));
        }
    }
    for view in ["tick_data_1min_feed", "indices_data_feed"] {
        run(&store, &format!("ATTACH TABLE IF NOT EXISTS {view}")).await;
    }
    // and one whose counts were added twice
    run(
        &store,
        "INSERT INTO tick_data_1min_state SELECT * FROM tick_data_1min_state WHERE instrument_token = 1 \
         SETTINGS deduplicate_insert = 'disable'",
    )
    .await;
    let expected = brute_force(&ticks, &[]);
    assert_ne!(stored_bars(&store).await, expected, "something is to mend");
    let all: Vec<(Uuid, Vec<(Partition, u32)>)> = ticks
        .chunks(2_500)
        .enumerate()
        .map(|(number, batch)| {
            let mut partitions: Vec<Partition> =
                batch.iter().map(|tick| Partition::of(tick.timestamp)).collect();
            partitions.dedup();
            (Uuid::from_u128(number as u128 + 1), partitions.into_iter().map(|at| (at, 0)).collect())
        })
        .collect();
    for (id, partitions) in lost.iter().chain(&all).chain(&lost) {
        store.repair_batch(*id, partitions).await.unwrap();
    }
    assert_same(&stored_bars(&store).await, &expected, "after mending");
    let indices = "SELECT (SELECT count() FROM indices_data), (SELECT count() FROM tick_data WHERE packet_type = 'index_full')";
    let counts = ask(&store, indices).await;
    let (of_view, of_table) = counts.split_once('\t').unwrap();
    assert_eq!(of_view, of_table);
}

/// What Kite sends of the day before, before it opens: its total and its open, high and low, marked as nothing.
#[tokio::test]
async fn a_total_of_the_day_before_takes_nothing_from_the_day() {
    let store = store("bars_day_before").await;
    let at = |clock: i64| Timestamp::from_millis((DAYS[0] + clock) * 1_000);
    let say = |second: i64, total: u64, quantity: u32, price: f64, day: (f64, f64, f64)| {
        let mut tick = tick(408_065, at(second));
        (tick.exchange_timestamp, tick.packet_type) = (tick.timestamp, "full");
        (tick.volume, tick.last_traded_quantity, tick.last_price) = (total, quantity, price);
        (tick.open_price, tick.high_price, tick.low_price) = day;
        tick
    };
    let (yesterday, today) = ((130.0, 150.0, 90.0), (110.0, 112.0, 109.0));
    let ticks = [
        say(-1_200, 5_000, 7, 120.0, yesterday),
        say(-1_130, 5_000, 7, 120.0, yesterday),
        // nothing of today yet
        say(-400, 0, 0, 120.0, (0.0, 0.0, 0.0)),
        say(5, 100, 10, 111.0, today),
        say(50, 160, 10, 110.0, today),
        say(70, 200, 10, 111.5, today),
        // ten minutes late: it is alone in its minute, and says what was true before
        say(130, 150, 10, 110.0, today),
        say(190, 260, 10, 112.5, (110.0, 113.0, 109.0)),
    ];
    insert(&store, Uuid::from_u128(1), &ticks, Deduplicate::ByToken).await;
    let bars = stored_bars(&store).await;
    assert_same(&bars, &brute_force(&ticks, &[]), "the day before");
    let seen: Vec<(u64, bool)> = bars.values().map(|bar| (bar.volume, bar.complete)).collect();
    let before = [(0, false), (0, true), (0, true)];
    assert_eq!(seen, [&before[..], &[(160, true), (40, true), (0, true), (60, true)]].concat());
    let last = bars.values().next_back().unwrap();
    assert_eq!((last.open, last.high), (112.5, 112.5), "a high of the day before is above it still");
}

/// A database of the six migrations before the day's own open, high and low, with ticks; and one that had all of them from the start.
#[tokio::test]
async fn an_upgraded_database_ends_as_a_fresh_one() {
    let mut dice = Dice(11);
    let mut ticks = Vec::new();
    for (day, opening) in DAYS.into_iter().enumerate() {
        ticks.extend(ticks_of_a_day(&mut dice, opening, day as u64 + 1).into_iter().take(8_000));
    }
    let fresh = store("upgrade_fresh").await;
    let upgraded = empty_store("upgrade_old").await;
    let outside = upgraded.client().clone().with_database("system");
    outside.query_raw("CREATE DATABASE upgrade_old").execute().await.unwrap();
    for sql in MIGRATIONS[..6].iter().flat_map(|migration| migration.statements(Partitioning::Hour)) {
        run(&upgraded, &sql).await;
    }
    let (before, after) = ticks.split_at(20_000);
    for (store, late) in [(&fresh, before), (&upgraded, before)] {
        insert(store, Uuid::from_u128(1), late, Deduplicate::ByToken).await;
    }
    for _ in 0..2 {
        // the second run, of a process that was killed before it noted the first, changes nothing
        migrate(&upgraded, SchemaOptions::default(), false).await.unwrap();
        run(&upgraded, "ALTER TABLE migrations DELETE WHERE number >= 3 SETTINGS mutations_sync = 1").await;
    }
    for store in [&fresh, &upgraded] {
        insert(store, Uuid::from_u128(2), after, Deduplicate::ByToken).await;
    }
    assert_same(&stored_bars(&fresh).await, &brute_force(&ticks, &[]), "fresh");
    let states = "SELECT cityHash64(groupArray(tuple(*))) FROM (SELECT instrument_token, date, minute, min(first), max(last), \
                  max(high), min(low), max(total_high), min(total_low), max(last_open_interest), sum(ticks), max(gap), \
                  max(day_open), max(day_high), min(day_low) FROM tick_data_1min_state \
                  GROUP BY ALL ORDER BY instrument_token, date, minute)";
    assert_eq!(ask(&upgraded, states).await, ask(&fresh, states).await, "states");
    let definitions = "SELECT name, replaceAll(create_table_query, currentDatabase(), 'db') FROM system.tables \
                       WHERE database = currentDatabase() AND name != 'migrations' AND NOT startsWith(name, '.') ORDER BY name";
    assert_eq!(ask(&upgraded, definitions).await, ask(&fresh, definitions).await, "definitions");
}

#[tokio::test]
async fn a_bar_is_found_by_date_and_instrument_without_reading_the_rest() {
    let store = store("pushdown").await;
    let mut dice = Dice(3);
    for opening in DAYS {
        let ticks = ticks_of_a_day(&mut dice, opening, 1);
        insert(&store, Uuid::from_u128(opening as u128), &ticks[..5_000], Deduplicate::ByToken).await;
    }
    let plan = ask(
        &store,
        "EXPLAIN indexes = 1 SELECT * FROM tick_data_1min WHERE date = '2025-11-19' AND instrument_token = 257 ORDER BY timestamp DESC LIMIT 100",
    )
    .await;
    assert!(plan.contains("Parts: 1/3") || plan.contains("Parts: 1/1"), "{plan}");
    for key in ["date", "instrument_token"] {
        assert!(plan.contains(key), "{plan}");
    }
}
