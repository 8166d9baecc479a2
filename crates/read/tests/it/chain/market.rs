//! Two days of a chain that never were: what was listed, ticks of all kinds, gaps of the feed.

use crate::{reader, run, store};
use jiff::civil::Date;
use std::collections::BTreeMap;
use std::time::Duration;
use tickhouse_model::{DataQuality, FrameId, Instrument, InstrumentKind, SessionType, Timestamp, Token};
use tickhouse_options::{Black76, Side};
use tickhouse_read::Reader;
use tickhouse_store::{
    Deduplicate, InsertId, Master, Partition, Store, Tick, TickColumns, TickIdentity, TickInstrument,
    TickLevel,
};
use uuid::Uuid;

/// 2026-11-19, a Thursday, and the Friday after it, days since 1970-01-01.
const THURSDAY: u16 = 20_776;
const FRIDAY: u16 = 20_777;
const INDEX: u32 = 256_265;
const FUTURE: u32 = 60_001 << 8 | 2;
/// Strikes of the chain that is looked at.
pub(super) const STRIKES: u32 = 24;
const VOLATILITY: f64 = 0.13;

/// A die with a seed: `SplitMix64`.
pub(super) struct Dice(pub(super) u64);

impl Dice {
    /// 0 to `below` - 1.
    pub(super) fn roll(&mut self, below: u64) -> u64 {
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

pub(super) fn time(text: &str) -> Timestamp {
    Timestamp::from_text(text).unwrap()
}

pub(super) fn date(text: &str) -> Date {
    text.parse().unwrap()
}

fn days(date: Date) -> i32 {
    (date - Date::constant(1970, 1, 1)).get_days()
}

fn instrument(token: u32, kind: InstrumentKind, expiry: Option<&str>, strike: f64) -> Instrument {
    let (exchange, segment) = match kind {
        InstrumentKind::Index => ("NSE", "INDICES"),
        InstrumentKind::Future => ("NFO", "NFO-FUT"),
        _ => ("NFO", "NFO-OPT"),
    };
    let tradingsymbol = match expiry {
        Some(expiry) => format!("NIFTY{expiry}{strike}{}", kind.name()),
        None => "NIFTY 50".to_owned(),
    };
    Instrument {
        token: Token(token),
        symbol: if expiry.is_some() { tradingsymbol.clone() } else { "NIFTY".to_owned() },
        tradingsymbol,
        underlying: if expiry.is_some() { "NIFTY" } else { "NIFTY 50" }.to_owned(),
        exchange: exchange.to_owned(),
        segment: segment.to_owned(),
        instrument_type: kind,
        sector: String::new(),
        asset_class: kind.name().to_owned(),
        expiry: expiry.map(|expiry| days(date(expiry))),
        strike,
        tick_size: 0.05,
        lot_size: 75,
    }
}

/// Token of an option of the chain that is looked at.
pub(super) fn option_token(strike: u32, kind: InstrumentKind) -> u32 {
    (61_000 + strike * 2 + u32::from(kind == InstrumentKind::Put)) << 8 | 2
}

pub(super) fn strike_of(number: u32) -> f64 {
    23_400.0 + 50.0 * f64::from(number)
}

pub(super) const SIDES: [(InstrumentKind, Side); 2] =
    [(InstrumentKind::Call, Side::Call), (InstrumentKind::Put, Side::Put)];
pub(super) const EXPIRY: &str = "2026-12-01";

/// What was listed: on Thursday two tokens meant other contracts.
fn listed(day: u16) -> Vec<Instrument> {
    let mut all = vec![
        instrument(INDEX, InstrumentKind::Index, None, 0.0),
        instrument(FUTURE, InstrumentKind::Future, Some("2026-12-29"), 0.0),
    ];
    for number in 0..STRIKES {
        for (kind, _) in SIDES {
            let other = day == THURSDAY && number == 3;
            let expiry = if other { "2026-11-19" } else { EXPIRY };
            all.push(instrument(option_token(number, kind), kind, Some(expiry), strike_of(number)));
        }
    }
    for (number, expiry) in ["2026-11-20", "2026-12-29"].into_iter().enumerate() {
        let token = (63_000 + number as u32) << 8 | 2;
        all.push(instrument(token, InstrumentKind::Call, Some(expiry), 24_000.0));
    }
    all
}

async fn load_master(store: &Store, day: u16) {
    let all = listed(day);
    let mut exchanges = BTreeMap::new();
    for one in &all {
        *exchanges.entry(one.exchange.clone()).or_default() += 1;
    }
    let master = Master { day, whole: true, source: "test", exchanges, may_shrink: true, dry_run: false };
    store.store_master(&master, all.into_iter(), |_| ()).await.unwrap();
}

fn tick(token: u32, timestamp: Timestamp, sequence: u64) -> Tick<'static> {
    let none = TickLevel { price: 0.0, quantity: 0, orders: 0 };
    Tick {
        token: Token(token),
        instrument: TickInstrument { symbol: "", exchange: "NFO", ..TickInstrument::default() },
        timestamp,
        exchange_timestamp: Timestamp::from_millis(timestamp.as_seconds() * 1_000),
        last_price: 0.0,
        open_price: 0.0,
        high_price: 0.0,
        low_price: 0.0,
        close_price: 0.0,
        average_traded_price: 0.0,
        net_change: 0.0,
        volume: 0,
        last_traded_quantity: 0,
        total_buy_quantity: 0,
        total_sell_quantity: 0,
        open_interest: 0,
        oi_day_high: 0,
        oi_day_low: 0,
        bids: [none; 5],
        asks: [none; 5],
        packet_type: "full",
        session_type: SessionType::Regular,
        data_quality: DataQuality::Enriched,
        last_trade_time: timestamp,
        snapshot: false,
        identity: TickIdentity {
            recorder: "test",
            frame: FrameId { session: 1, socket: 0, sequence },
            packet_index: 0,
            stream: "",
            epoch: 0,
        },
    }
}

async fn insert(store: &Store, ticks: &[Tick<'_>]) {
    let batch_id = Uuid::new_v4();
    let mut partitions: Vec<Partition> = ticks.iter().map(|tick| Partition::of(tick.timestamp)).collect();
    partitions.sort_unstable();
    partitions.dedup();
    for partition in partitions {
        let mut columns = TickColumns::new(partition, batch_id, Timestamp::from_millis(1_700_000_000_000));
        let here = |tick: &&Tick<'_>| Partition::of(tick.timestamp) == partition;
        ticks.iter().filter(here).for_each(|tick| columns.push(tick));
        let part = format!("tick_data/{}/{}", partition.date, partition.hour);
        let id = InsertId { batch_id, part: &part };
        store.insert_block("tick_data", &columns.finish(), id, Deduplicate::ByToken).await.unwrap();
    }
}

/// The forward that the options of the test go by: it drifts.
pub(super) fn forward_at(at: Timestamp) -> f64 {
    let minutes = at.since(time("2026-11-20 09:15")).as_secs_f64() / 60.0;
    24_030.0 + 20.0 * (minutes / 17.0).sin() + minutes * 0.1
}

fn option_at(at: Timestamp, strike: f64) -> Black76 {
    let years = time("2026-12-01 15:40").since(at).as_secs_f64() / (365.0 * 86_400.0);
    Black76::new(forward_at(at), strike, years, 0.055).unwrap()
}

/// A tick of an option, of any kind that there is.
fn option_tick(
    dice: &mut Dice,
    number: u32,
    side: Side,
    token: u32,
    at: Timestamp,
    sequence: u64,
) -> Tick<'static> {
    let mut tick = tick(token, at, sequence);
    let fair = option_at(at, strike_of(number)).price(side, VOLATILITY).unwrap();
    tick.last_price = (fair + dice.roll(41) as f64 - 20.0).max(0.05);
    tick.packet_type = match dice.roll(40) {
        0 => "ltp",
        1 => "quote",
        _ => "full",
    };
    tick.snapshot = dice.percent(2);
    if tick.snapshot {
        tick.exchange_timestamp = at.minus(Duration::from_secs([0, 60, 86_400][dice.roll(3) as usize]));
    }
    if tick.packet_type == "full" {
        let half = 0.25 + dice.roll(3) as f64 * 0.25;
        let level = |price: f64| TickLevel { price: price.max(0.0), quantity: 75, orders: 1 };
        tick.bids[0] = level(fair - half);
        // now and then nobody offers, or far away
        tick.asks[0] = level(match dice.roll(30) {
            0 => 0.0,
            1 => fair * 3.0 + 10.0,
            _ => fair + half,
        });
        tick.open_interest = 75 * dice.roll(100_000);
        tick.last_trade_time = at.minus(Duration::from_secs(dice.roll(200)));
    }
    if tick.packet_type != "ltp" {
        tick.volume = 75 * (1 + at.since(time("2026-11-20 09:15")).as_secs() * 3 + dice.roll(9));
    }
    match dice.roll(60) {
        // another program's entry, and a candle that lies in the same table
        0 => tick.identity.stream = "ticks:stream",
        1 => (tick.identity.stream, tick.packet_type) = ("ticks:stream", "5minute"),
        2 => tick.packet_type = "candle_minute",
        _ => {}
    }
    if !tick.identity.stream.is_empty() {
        tick.identity.recorder = "";
    }
    tick
}

/// Friday 09:15 to 11:20: near strikes tick twice a second, far ones every few minutes, one not at all.
fn ticks_of_friday(dice: &mut Dice) -> Vec<Tick<'static>> {
    let mut ticks = Vec::new();
    let mut sequence = 0;
    let begin = time("2026-11-20 09:15").as_millis();
    for second in 0..125 * 60 {
        let now = begin + second * 1_000;
        for number in 0..STRIKES {
            let far = number.abs_diff(STRIKES / 2);
            for (kind, side) in SIDES {
                let chance = [60, 50, 40, 30, 20, 10, 5, 3, 2, 1, 1, 1, 1][far as usize];
                if far == 11 && side == Side::Put || !dice.percent(chance) {
                    continue;
                }
                sequence += 1;
                let at = Timestamp::from_millis(now + dice.roll(1_000) as i64);
                let mut tick = option_tick(dice, number, side, option_token(number, kind), at, sequence / 7);
                tick.identity.packet_index = (sequence % 7) as u16;
                ticks.push(tick);
            }
        }
        sequence += 1;
        let at = Timestamp::from_millis(now + dice.roll(1_000) as i64);
        let mut index = tick(INDEX, at, sequence / 7);
        (index.packet_type, index.last_price) = ("index_full", forward_at(at) - 35.0);
        ticks.push(index);
        let mut future = tick(FUTURE, at, sequence / 7);
        (future.packet_type, future.last_price) = ("quote", forward_at(at) + 80.0);
        ticks.push(future);
    }
    ticks
}

/// Thursday's last minutes; some legs have none.
fn ticks_of_thursday(dice: &mut Dice) -> Vec<Tick<'static>> {
    let mut ticks = Vec::new();
    for number in 0..STRIKES {
        for (kind, _) in SIDES {
            for minute in 0..20_u64 {
                let at = time("2026-11-19 15:20").plus(Duration::from_secs(minute * 60 + dice.roll(60)));
                if number % 5 != 4 {
                    let mut tick = tick(option_token(number, kind), at, minute + 1);
                    (tick.last_price, tick.open_interest) = (100.0, 75 * dice.roll(100_000) + 75);
                    ticks.push(tick);
                }
            }
        }
    }
    ticks
}

/// (from, to, tokens): gaps of the recorder's one socket.
pub(super) fn gaps() -> Vec<(Timestamp, Option<Timestamp>, Vec<u32>)> {
    vec![
        (time("2026-11-20 09:50:00"), Some(time("2026-11-20 09:52:30")), Vec::new()),
        (
            time("2026-11-20 10:20:00"),
            Some(time("2026-11-20 10:25:00")),
            vec![option_token(12, InstrumentKind::Call), option_token(2, InstrumentKind::Put)],
        ),
        (time("2026-11-20 11:05:00"), None, Vec::new()),
        // when nothing trades
        (time("2026-11-20 15:40:00"), Some(time("2026-11-21 09:00:00")), Vec::new()),
        // another day's, and another recorder's below
        (time("2026-11-18 11:05:00"), None, Vec::new()),
    ]
}

async fn insert_gaps(store: &Store) {
    let mut rows: Vec<String> = Vec::new();
    for (number, (from, to, tokens)) in gaps().into_iter().enumerate() {
        let (from, to) = (from.as_millis(), to.map_or(0, Timestamp::as_millis));
        rows.push(format!(
            "('test', 1, 0, {number}, '', 0, fromUnixTimestamp64Milli({from}), fromUnixTimestamp64Milli({to}), 'closed', {tokens:?})"
        ));
    }
    let all_day = "'2026-11-20 09:00:00', '2026-11-20 12:00:00', 'closed', []";
    rows.push(format!("('other', 1, 0, 1, '', 0, {all_day})"));
    rows.push(format!("('test', 1, 7, 1, '', 0, {all_day})"));
    let sql = format!(
        "INSERT INTO feed_gaps (recorder, session, socket, sequence, stream, epoch, `from`, `to`, cause, tokens) VALUES {}",
        rows.join(", ")
    );
    run(store, &sql).await;
}

/// A database with both days.
pub(super) async fn recorded(name: &str) -> (Store, Reader, Vec<Tick<'static>>) {
    let store = store(name).await;
    load_master(&store, THURSDAY).await;
    load_master(&store, FRIDAY).await;
    let mut dice = Dice(11);
    let mut ticks = ticks_of_friday(&mut dice);
    // as they come: several batches, none of them in the order of the tokens
    for batch in ticks.chunks(40_000) {
        insert(&store, batch).await;
    }
    let thursday = ticks_of_thursday(&mut dice);
    insert(&store, &thursday).await;
    insert_gaps(&store).await;
    ticks.extend(thursday);
    let reader = reader(&store);
    (store, reader, ticks)
}
