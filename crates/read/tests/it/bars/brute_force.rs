//! The rules of docs/bars.md in words of their own, over plain rows: no code is shared with what makes bars.

use super::market::{DAYS, DayHours};
use std::collections::BTreeMap;
use tickhouse_bars::Interval;
use tickhouse_model::SessionType;
use tickhouse_store::Store;

pub(crate) const DAY: i64 = 86_400_000;
const INDIA: i64 = 19_800_000;

#[derive(Clone, Debug, clickhouse::Row, serde::Deserialize)]
pub(crate) struct Packet {
    received: i64,
    said: i64,
    price: f64,
    open: f64,
    high: f64,
    low: f64,
    volume: u64,
    last_traded_quantity: u32,
    open_interest: u64,
    kind: String,
    snapshot: bool,
    socket: u16,
    sequence: u64,
    packet_index: u16,
}

#[derive(clickhouse::Row, serde::Deserialize)]
struct Hole {
    from: i64,
    to: i64,
    tokens: Vec<u32>,
    socket: u16,
}

/// The rows of an instrument, and the gaps that concern it.
pub(crate) async fn read(store: &Store, token: u32) -> (Vec<Packet>, Vec<(i64, i64)>) {
    let sql = "SELECT toUnixTimestamp64Milli(timestamp), toUnixTimestamp64Milli(exchange_timestamp), last_price, open_price, high_price, \
               low_price, volume, last_traded_quantity, open_interest, toString(packet_type), snapshot, socket, sequence, packet_index \
               FROM tick_data WHERE instrument_token = ?";
    let rows: Vec<Packet> = store.client().query(sql).bind(token).fetch_all().await.unwrap();
    let socket = rows[0].socket;
    let sql =
        "SELECT toUnixTimestamp64Milli(`from`), toUnixTimestamp64Milli(`to`), tokens, socket FROM feed_gaps";
    let gaps: Vec<Hole> = store.client().query(sql).fetch_all().await.unwrap();
    let concerned = gaps
        .into_iter()
        .filter(|gap| gap.tokens.contains(&token) || (gap.tokens.is_empty() && gap.socket == socket))
        .map(|gap| (gap.from, gap.to.max(gap.from + 1)))
        .collect();
    (rows, concerned)
}

/// The hours of a market on these days, from a table by hand.
pub(crate) struct Hours(DayHours);

impl Hours {
    pub(crate) const fn of(hours: DayHours) -> Self {
        Self(hours)
    }

    fn opening(&self) -> i64 {
        self.0[0].0 * 1_000
    }

    /// Phase with its begin and end, in milliseconds of the day.
    fn stretch(&self, of_day: i64) -> (i64, i64, SessionType) {
        let mut closed_from = 0;
        for (from, until, phase) in
            self.0.iter().map(|(from, until, phase)| (from * 1_000, until * 1_000, phase))
        {
            if of_day < from {
                return (closed_from, from, SessionType::Closed);
            }
            if of_day < until {
                let phase = [SessionType::PreMarket, SessionType::Regular, SessionType::PostMarket]
                    [*phase as usize - 1];
                return (from, until, phase);
            }
            closed_from = until;
        }
        (closed_from, DAY, SessionType::Closed)
    }

    pub(crate) fn phase(&self, at: i64) -> SessionType {
        self.stretch((at + INDIA).rem_euclid(DAY)).2
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Expected {
    pub(crate) start: i64,
    pub(crate) end: i64,
    pub(crate) phase: SessionType,
    pub(crate) open: f64,
    pub(crate) high: f64,
    pub(crate) low: f64,
    pub(crate) close: f64,
    pub(crate) volume: u64,
    pub(crate) open_interest: u64,
    /// Σ price × volume and Σ volume.
    pub(crate) traded: (f64, f64),
    pub(crate) ticks: u64,
    pub(crate) complete: bool,
    pub(crate) gap_seconds: u64,
    /// Something other than its last prices is in it.
    pub(crate) repaired: bool,
    /// From this instant of each day on it matters what is missing.
    matters_from: BTreeMap<i64, i64>,
    /// Slices of which something is not known.
    unknown: Vec<i64>,
}

/// A packet at the time that places it.
type Placed<'a> = (i64, &'a Packet);

fn midnight(at: i64) -> i64 {
    (at + INDIA).div_euclid(DAY) * DAY - INDIA
}

/// The packets that bars are made of, in order.
fn placed(packets: &[Packet]) -> Vec<Placed<'_>> {
    let mut placed: Vec<Placed<'_>> = Vec::new();
    for packet in packets.iter().filter(|packet| !packet.kind.starts_with("candle")) {
        let is_near = (packet.said - packet.received).abs() <= 600_000;
        if !packet.snapshot {
            placed.push((if is_near { packet.said } else { packet.received }, packet));
        } else if packet.said != packet.received && midnight(packet.said) == midnight(packet.received) {
            placed.push((packet.said, packet));
        }
    }
    placed.sort_by_key(|(at, packet)| (*at, packet.received, packet.sequence, packet.packet_index));
    placed
}

/// Times and prices of a day's ticks behind which there may be a trade.
pub(crate) fn ticks_of(packets: &[Packet], hours: &Hours, day: i64) -> Vec<(i64, f64)> {
    let placed = placed(packets);
    let of_day = placed.into_iter().filter(|(at, packet)| {
        midnight(*at) == day && *at >= day + hours.opening() && !packet.snapshot && packet.volume > 0
    });
    of_day.map(|(at, packet)| (at, packet.price)).collect()
}

fn place_of(at: i64, hours: &Hours, interval: Interval) -> (i64, i64, SessionType) {
    let day = midnight(at);
    let weekday = ((day + INDIA) / DAY + 3).rem_euclid(7);
    match interval {
        Interval::Seconds(seconds) => {
            let (from, until, phase) = hours.stretch(at - day);
            let length = i64::from(seconds) * 1_000;
            let start = day + from + (at - day - from) / length * length;
            (start, (start + length).min(day + until), phase)
        }
        Interval::Day => (day, day + DAY, SessionType::Regular),
        Interval::Week => (day - weekday * DAY, day + (7 - weekday) * DAY, SessionType::Regular),
        // November 2026, the days being in it
        Interval::Month => (DAYS[0] * 1_000 - 18 * DAY, DAYS[0] * 1_000 + 12 * DAY, SessionType::Regular),
    }
}

pub(crate) fn expected_bars(
    packets: &[Packet],
    gaps: &[(i64, i64)],
    hours: &Hours,
    interval: Interval,
    now: i64,
) -> Vec<Expected> {
    let is_minute = match interval {
        Interval::Seconds(seconds) => seconds % 60 == 0,
        _ => true,
    };
    let length = if is_minute { 60_000 } else { 1_000 };
    let mut bars: BTreeMap<i64, Expected> = BTreeMap::new();
    for day in DAYS.map(|day| day * 1_000) {
        let placed = placed(packets);
        let of_day: Vec<Placed<'_>> = placed.into_iter().filter(|(at, _)| midnight(*at) == day).collect();
        let mut slices: BTreeMap<i64, Slice<'_>> = BTreeMap::new();
        // what packets show before the opening is the day before
        let totals: Vec<u64> = of_day
            .iter()
            .filter(|(at, packet)| carries_total(packet) && *at >= day + hours.opening())
            .map(|(_, packet)| packet.volume)
            .collect();
        let (mut highest, mut number): (Option<u64>, usize) = (None, 0);
        for (at, packet) in of_day {
            let mut traded = 0.0;
            if carries_total(packet) && at >= day + hours.opening() {
                let half = if number == 0 { 0 } else { totals[number - 1] / 2 };
                // two in a row far below: counting began anew
                if packet.volume < half && totals.get(number + 1).is_none_or(|next| *next < half) {
                    highest = None;
                }
                let is_first = packet.volume == u64::from(packet.last_traded_quantity);
                let before = highest.unwrap_or(if is_first { 0 } else { packet.volume });
                traded = (packet.volume as f64 - before as f64).max(0.0);
                highest = Some(before.max(packet.volume));
                number += 1;
            }
            let slice = slices.entry(at.div_euclid(length) * length).or_default();
            if traded > 0.0 && !packet.snapshot {
                slice.trades.push(packet.price);
            }
            slice.traded.0 += traded * packet.price;
            slice.traded.1 += traded;
            slice.packets.push(packet);
        }
        let slices: Vec<(i64, Slice<'_>)> =
            slices.into_iter().filter(|(at, _)| *at >= day + hours.opening()).collect();
        Day { day, hours, gaps, interval, length, slices }.add_to(&mut bars);
    }
    bars.into_values().map(|bar| finish(bar, hours, gaps, interval, now)).collect()
}

fn carries_total(packet: &Packet) -> bool {
    matches!(packet.kind.as_str(), "full" | "quote")
}

#[derive(Default)]
struct Slice<'a> {
    packets: Vec<&'a Packet>,
    traded: (f64, f64),
    /// Prices of the packets whose total is above every one before it.
    trades: Vec<f64>,
}

impl Slice<'_> {
    fn seen(&self) -> Vec<&Packet> {
        self.packets.iter().filter(|packet| !packet.snapshot).copied().collect()
    }

    /// Lowest and highest running total.
    fn totals(&self) -> Option<(u64, u64)> {
        let carried: Vec<&&Packet> =
            self.packets.iter().filter(|packet| matches!(packet.kind.as_str(), "full" | "quote")).collect();
        let lowest = carried.iter().map(|packet| {
            if packet.volume == u64::from(packet.last_traded_quantity) { 0 } else { packet.volume }
        });
        Some((lowest.min()?, carried.iter().map(|packet| packet.volume).max()?))
    }

    /// The day's open, high and low, as packets state them behind which there is a trade.
    fn stated(&self) -> Option<(f64, f64, f64)> {
        let stating: Vec<&Packet> = self
            .seen()
            .into_iter()
            .filter(|packet| packet.open > 0.0 && (packet.volume > 0 || packet.kind.starts_with("index")))
            .collect();
        let open = stating.first()?.open;
        let open = stating.iter().map(|packet| packet.open).fold(open, f64::max);
        let high = stating.iter().map(|packet| packet.high).fold(f64::MIN, f64::max);
        Some((open, high, stating.iter().map(|packet| packet.low).fold(f64::MAX, f64::min)))
    }
}

struct Day<'a> {
    day: i64,
    hours: &'a Hours,
    gaps: &'a [(i64, i64)],
    interval: Interval,
    length: i64,
    slices: Vec<(i64, Slice<'a>)>,
}

impl Day<'_> {
    fn is_cut(&self, from: i64, until: i64) -> bool {
        self.gaps.iter().any(|gap| gap.0 < until && gap.1 > from)
    }

    #[expect(clippy::too_many_lines, reason = "one rule after the other, as the page has them")]
    fn add_to(&self, bars: &mut BTreeMap<i64, Expected>) {
        let opening = self.day + self.hours.opening();
        let is_days = self.interval.holds_days();
        let (mut running, mut last_seen, mut interest): (Option<u64>, Option<i64>, u64) = (None, None, 0);
        let mut stated_so_far: Option<(f64, f64, f64)> = None;
        let mut any_bar = false;
        // the bar in which the day's trading is known from its first trade on
        let mut known_from_start: Option<i64> = None;
        let mut began_anew = false;
        for (number, (at, slice)) in self.slices.iter().enumerate() {
            let seen = slice.seen();
            if let Some(packet) = seen.iter().rev().find(|packet| packet.kind == "full") {
                interest = packet.open_interest;
            }
            if seen.is_empty() {
                running = running.or(slice.totals().map(|totals| totals.1));
                continue;
            }
            let (start, end, phase_of_bar) = place_of(*at, self.hours, self.interval);
            let phase = self.hours.phase(*at);
            known_from_start = known_from_start.filter(|bar| *bar == start);
            let inside = start <= last_seen.unwrap_or(opening);
            let totals = slice.totals();
            let first_seen = totals.is_some_and(|totals| totals.0 == 0);
            let since = match last_seen {
                Some(before) => before + self.length,
                None if first_seen => *at,
                None => opening,
            };
            let uncut = !self.is_cut(since, at + self.length);
            let after = self.slices[number + 1..].iter().find_map(|(_, slice)| slice.totals());
            let anew = match (totals, running) {
                (Some((_, high)), Some(before)) => {
                    high < before / 2 && after.is_none_or(|after| after.1 < before / 2)
                }
                _ => false,
            };
            began_anew |= anew;
            let base = match (running, totals) {
                _ if anew => None,
                (Some(before), _) => Some(before),
                (None, Some((low, _))) => Some(if inside { 0 } else { low }),
                (None, None) => None,
            };
            let volume = match totals {
                Some((low, high)) if anew => high - low,
                Some((_, high)) => high.saturating_sub(base.unwrap_or(0)),
                None => 0,
            };
            if anew {
                (stated_so_far, known_from_start) = (None, None);
            }
            let untraded = !anew && totals.is_some_and(|totals| totals.1 == 0);
            let prices: Vec<f64> = match slice.trades.as_slice() {
                [] => seen.iter().map(|packet| packet.price).collect(),
                trades => trades.to_vec(),
            };
            let (mut open, close) = (prices[0], prices[prices.len() - 1]);
            let mut high = prices.iter().copied().fold(f64::MIN, f64::max);
            let mut low = prices.iter().copied().fold(f64::MAX, f64::min);
            let plain = (open, high, low);
            let stated = slice.stated().filter(|_| totals.is_some() || phase != SessionType::PreMarket);
            if let Some(day) = stated {
                let day_begins_here = totals.is_some()
                    && !untraded
                    && !began_anew
                    && base == Some(0)
                    && (first_seen || inside || uncut);
                let (phase_from, ..) = self.hours.stretch((start.max(opening)) - self.day);
                let at_begin = is_days
                    || (start == self.day + phase_from
                        && self.hours.phase(start.max(opening)) == SessionType::Regular);
                if day_begins_here && day.2 <= close && close <= day.1 {
                    (open, high, low) = day;
                    known_from_start = Some(start);
                } else if stated_so_far.is_some_and(|before| before.0 == day.0) {
                    let before = stated_so_far.unwrap();
                    if (inside || uncut) && day.1 > before.1 {
                        high = high.max(day.1);
                    }
                    if (inside || uncut) && day.2 < before.2 {
                        low = low.min(day.2);
                    }
                } else if stated_so_far.is_none() && at_begin && (!any_bar || totals.is_none()) {
                    (open, high, low) = (day.0, high.max(day.0), low.min(day.0));
                    if totals.is_none() && (inside || uncut) {
                        (high, low) = (high.max(day.1), low.min(day.2));
                        known_from_start = Some(start);
                    }
                }
                stated_so_far = Some(match stated_so_far {
                    Some(before) if before.0 == day.0 => (day.0, before.1.max(day.1), before.2.min(day.2)),
                    _ => day,
                });
            }
            let known = match totals {
                _ if anew => false,
                Some(_) if last_seen.is_some() || running.is_some() || first_seen => true,
                None if last_seen.is_some() => true,
                _ => known_from_start == Some(start),
            };
            running = match (totals, running) {
                (Some((_, high)), Some(before)) if !anew => Some(high.max(before)),
                (Some((_, high)), _) => Some(high),
                (None, before) => before,
            };
            last_seen = Some(*at);
            let outside = is_days
                && (phase == SessionType::Closed || (phase == SessionType::PreMarket && totals.is_none()));
            if untraded || outside {
                continue;
            }
            any_bar = true;
            let heals = stated.is_some() && known_from_start == Some(start);
            let sound = if heals { !self.is_cut(*at, at + self.length) } else { uncut };
            let bar = bars.entry(start).or_insert_with(|| Expected {
                start,
                end,
                phase: phase_of_bar,
                open,
                high,
                low,
                close,
                volume: 0,
                open_interest: 0,
                traded: (0.0, 0.0),
                ticks: 0,
                complete: true,
                gap_seconds: 0,
                repaired: false,
                matters_from: BTreeMap::new(),
                unknown: Vec::new(),
            });
            (bar.high, bar.low, bar.close) = (bar.high.max(high), bar.low.min(low), close);
            bar.volume += volume;
            bar.open_interest = interest;
            bar.traded = (bar.traded.0 + slice.traded.0, bar.traded.1 + slice.traded.1);
            bar.ticks += seen.len() as u64;
            bar.repaired |= plain != (open, high, low);
            // what was unknown before a packet that tells all of the day does not matter any more: only of this day
            let day = bar.matters_from.entry(self.day).or_insert(i64::MIN);
            if heals {
                *day = *at;
            }
            if !(known && sound) {
                bar.unknown.push(*at);
            }
        }
    }
}

fn finish(mut bar: Expected, hours: &Hours, gaps: &[(i64, i64)], interval: Interval, now: i64) -> Expected {
    let from_of = |day: i64| bar.matters_from.get(&day).copied();
    let mut complete = bar.unknown.iter().all(|at| from_of(midnight(*at)).is_some_and(|from| *at < from));
    let mut missing = 0;
    let first = midnight(bar.start);
    for number in 0..(bar.end - first + DAY - 1) / DAY {
        let day = first + number * DAY;
        let weekday = ((day + INDIA) / DAY + 3).rem_euclid(7);
        // Diwali Balipratipada on the 10th, Guru Nanak Jayanti on the 24th; Muhurat on Sunday the 8th at unknown hours
        let of_month = (day - (DAYS[0] * 1_000 - 18 * DAY)) / DAY + 1;
        let is_holiday = weekday >= 5 || of_month == 10 || of_month == 24;
        if is_holiday {
            continue;
        }
        for (from, until, _) in hours.0 {
            let (from, until) = ((day + from * 1_000).max(bar.start), (day + until * 1_000).min(bar.end));
            for gap in merged(gaps, from, until) {
                missing += gap.1 - gap.0;
                complete &= gap.1 <= from_of(day).unwrap_or(i64::MIN);
            }
        }
        if interval.holds_days() {
            complete &= from_of(day).is_some();
            complete &= day + hours.0[hours.0.len() - 1].1 * 1_000 <= now;
        }
    }
    bar.gap_seconds = (missing as u64).div_ceil(1_000);
    bar.complete = complete && (interval.holds_days() || bar.end <= now);
    bar
}

/// The gaps as far as they lie in a stretch; those of these days do not overlap.
fn merged(gaps: &[(i64, i64)], from: i64, until: i64) -> Vec<(i64, i64)> {
    let cut = gaps.iter().map(|gap| (gap.0.max(from), gap.1.min(until)));
    cut.filter(|gap| gap.0 < gap.1).collect()
}
