//! Option chains against brute force: every tick of two days in memory, the last one at or before the instant by a plain search.

use crate::{reader, run, store};
use jiff::civil::Date;
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;
use tickhouse_model::{DataQuality, FrameId, Instrument, InstrumentKind, SessionType, Timestamp, Token};
use tickhouse_options::{Black76, Side};
use tickhouse_read::{
    Answer, Basis, ChainOptions, Expiry, Format, ForwardSource, Leg, NoVolatilityBecause, OptionChain,
    ReadError, Reader, Stale,
};
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
const STRIKES: u32 = 24;
const VOLATILITY: f64 = 0.13;

/// A die with a seed: `SplitMix64`.
struct Dice(u64);

impl Dice {
    /// 0 to `below` - 1.
    fn roll(&mut self, below: u64) -> u64 {
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

fn time(text: &str) -> Timestamp {
    Timestamp::from_text(text).unwrap()
}

fn date(text: &str) -> Date {
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
fn option_token(strike: u32, kind: InstrumentKind) -> u32 {
    (61_000 + strike * 2 + u32::from(kind == InstrumentKind::Put)) << 8 | 2
}

fn strike_of(number: u32) -> f64 {
    23_400.0 + 50.0 * f64::from(number)
}

const SIDES: [(InstrumentKind, Side); 2] =
    [(InstrumentKind::Call, Side::Call), (InstrumentKind::Put, Side::Put)];
const EXPIRY: &str = "2026-12-01";

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
fn forward_at(at: Timestamp) -> f64 {
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
fn gaps() -> Vec<(Timestamp, Option<Timestamp>, Vec<u32>)> {
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

fn is_tick(tick: &Tick<'_>) -> bool {
    ["ltp", "quote", "full", "index_quote", "index_full"].contains(&tick.packet_type)
}

/// The join: of one token the last tick of the day at or before the instant.
fn last<'a>(ticks: &'a [Tick<'static>], token: u32, at: Timestamp) -> Option<&'a Tick<'static>> {
    let of_day = |tick: &&Tick<'_>| tick.timestamp.ist().days_since_epoch == at.ist().days_since_epoch;
    ticks
        .iter()
        .filter(|tick| tick.token.0 == token && tick.timestamp <= at && is_tick(tick))
        .filter(of_day)
        .max_by_key(|tick| {
            (
                tick.timestamp,
                tick.identity.frame.session,
                tick.identity.frame.sequence,
                tick.identity.packet_index,
            )
        })
}

/// Friday's session is in one piece up to 15:40, so trading time is time since.
fn stale(tick: &Tick<'_>, at: Timestamp) -> Option<Stale> {
    if tick.snapshot {
        return Some(Stale::Snapshot);
    }
    let is_missed = gaps().iter().any(|(from, to, tokens)| {
        let mine = tokens.is_empty() || tokens.contains(&tick.token.0);
        let since = to.map_or(*from >= tick.timestamp, |to| to > tick.timestamp);
        *from < at.min(time("2026-11-20 15:40")) && mine && since && tick.identity.stream.is_empty()
    });
    if is_missed {
        return Some(Stale::Gap);
    }
    (at.since(tick.timestamp) > Duration::from_mins(1)).then_some(Stale::Old)
}

/// What the tick carries of the day: volume, open interest.
fn carried(tick: &Tick<'_>) -> (Option<u64>, Option<u64>) {
    let same_day = tick.exchange_timestamp != tick.timestamp
        && tick.exchange_timestamp.ist().days_since_epoch == tick.timestamp.ist().days_since_epoch;
    if tick.snapshot && !same_day {
        return (None, None);
    }
    if tick.identity.stream.is_empty() {
        let volume = (tick.packet_type != "ltp").then_some(tick.volume);
        return (volume, (tick.packet_type == "full").then_some(tick.open_interest));
    }
    (Some(tick.volume).filter(|volume| *volume > 0), Some(tick.open_interest).filter(|open| *open > 0))
}

/// A database with both days.
async fn recorded(name: &str) -> (Store, Reader, Vec<Tick<'static>>) {
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

fn positive(price: f64) -> Option<f64> {
    (price > 0.0).then_some(price)
}

fn compare_leg(leg: &Leg, ticks: &[Tick<'static>], before: &HashMap<u32, u64>, at: Timestamp) {
    let token = leg.instrument_token;
    let Some(expected) = last(ticks, token, at) else {
        assert_eq!(
            (leg.timestamp, leg.last_price, leg.volume, leg.stale),
            (None, None, None, None),
            "{token}"
        );
        return;
    };
    let (volume, open_interest) = carried(expected);
    assert_eq!(leg.timestamp, Some(expected.timestamp), "{token} at {at}");
    assert_eq!(leg.last_price, positive(expected.last_price));
    assert_eq!(leg.bid_price, positive(expected.bids[0].price));
    assert_eq!(leg.ask_price, positive(expected.asks[0].price));
    assert_eq!((leg.volume, leg.open_interest), (volume, open_interest), "{token} at {at}: {expected:?}");
    assert_eq!(leg.stale, stale(expected, at), "{token} at {at}: {expected:?}");
    let change = open_interest.zip(before.get(&token)).map(|(now, before)| now as i64 - *before as i64);
    assert_eq!(leg.open_interest_change, change, "{token} at {at}");
}

/// Sums by hand: over legs with a total and without a gap since.
fn compare_sums(chain: &OptionChain, ticks: &[Tick<'static>], at: Timestamp) {
    let mut open = [[0_u64; 2]; STRIKES as usize];
    let (mut volumes, mut left_out) = ([0_u64; 2], 0);
    for number in 0..STRIKES {
        for (side, (kind, _)) in SIDES.into_iter().enumerate() {
            let found = last(ticks, option_token(number, kind), at);
            let usable = found.filter(|tick| stale(tick, at) != Some(Stale::Gap)).map(carried);
            match usable {
                None | Some((None, None)) => left_out += 1,
                Some((volume, interest)) => {
                    volumes[side] += volume.unwrap_or(0);
                    open[number as usize][side] = interest.unwrap_or(0);
                }
            }
        }
    }
    let sum = |side: usize| open.iter().map(|strike| strike[side]).sum::<u64>();
    let totals = &chain.totals;
    assert_eq!((totals.call_open_interest, totals.put_open_interest), (sum(0), sum(1)), "{at}");
    assert_eq!((totals.call_volume, totals.put_volume), (volumes[0], volumes[1]), "{at}");
    assert_eq!(totals.left_out, left_out, "{at}");
    assert_eq!(totals.pcr_open_interest, (sum(0) > 0).then(|| sum(1) as f64 / sum(0) as f64));
    let paid = |at: u64| -> u64 {
        let of = |number: usize, open: &[u64; 2]| {
            let strike = strike_of(number as u32) as u64;
            open[0] * at.saturating_sub(strike) + open[1] * strike.saturating_sub(at)
        };
        open.iter().enumerate().map(|(number, open)| of(number, open)).sum()
    };
    let strikes = (0..STRIKES).map(|number| strike_of(number) as u64);
    let least = strikes.min_by_key(|strike| (paid(*strike), *strike)).map(|strike| strike as f64);
    assert_eq!(totals.max_pain, least.filter(|_| sum(0) + sum(1) > 0), "{at}");
}

/// What was implied makes the price again, and only of legs that are fresh.
fn compare_volatilities(chain: &OptionChain, ticks: &[Tick<'static>], at: Timestamp) -> usize {
    let mut implied = 0;
    let forward = chain.forward.map(|forward| forward.price);
    for strike in &chain.strikes {
        for (leg, side) in [(&strike.call, Side::Call), (&strike.put, Side::Put)] {
            let leg = leg.as_ref().unwrap();
            let Some(volatility) = leg.implied_volatility else {
                assert!(
                    leg.greeks.is_none() && (leg.timestamp.is_none() || leg.no_volatility_because.is_some())
                );
                if leg.stale.is_some() {
                    assert_eq!(leg.no_volatility_because, Some(NoVolatilityBecause::Stale));
                }
                continue;
            };
            implied += 1;
            assert_eq!((leg.stale, leg.no_volatility_because), (None, None));
            let tick = last(ticks, leg.instrument_token, at).unwrap();
            let (bid, ask) = (tick.bids[0].price, tick.asks[0].price);
            let price = if leg.basis == Some(Basis::Middle) { 0.5 * (bid + ask) } else { tick.last_price };
            let years = chain.days_to_expiry / 365.0;
            let again = Black76::new(forward.unwrap(), strike.strike, years, 0.055).unwrap();
            assert!((again.price(side, volatility).unwrap() - price).abs() < 1e-6, "{leg:?}");
            assert!(leg.greeks.is_some());
        }
    }
    implied
}

fn compare_whole(chain: &OptionChain, at: Timestamp) {
    let spot = chain.spot.as_ref().unwrap();
    assert_eq!((spot.symbol.as_str(), spot.exchange.as_str()), ("NIFTY", "NSE"));
    assert_eq!(chain.future.as_ref().unwrap().expiry, Some(date("2026-12-29")));
    let Some(forward) = chain.forward else { return };
    if forward.source == ForwardSource::Parity {
        // quotes are up to a minute old, in which the market of the test moves by ten points at most
        assert!((forward.price - forward_at(at)).abs() < 10.0, "{forward:?} {}", forward_at(at));
    } else {
        assert_eq!(forward.source, ForwardSource::Spot, "there is no future of this expiry");
    }
    let money = chain.at_the_money.unwrap();
    let nearest =
        (0..STRIKES).map(strike_of).map(|strike| (strike - forward.price).abs()).fold(f64::MAX, f64::min);
    assert!(((money - forward.price).abs() - nearest).abs() < 1e-9);
    let strike = chain.strikes.iter().find(|strike| (strike.strike - money).abs() < 1e-9).unwrap();
    let (call, put) = (strike.call.as_ref().unwrap(), strike.put.as_ref().unwrap());
    let fresh =
        call.stale.is_none() && put.stale.is_none() && call.timestamp.is_some() && put.timestamp.is_some();
    assert_eq!(chain.straddle, fresh.then(|| call.price().unwrap() + put.price().unwrap()));
}

#[tokio::test]
async fn a_chain_at_any_instant_is_a_join_by_brute_force() {
    let (_store, reader, ticks) = recorded("read_chain").await;
    let thursday = time("2026-11-19 23:00");
    let tokens = (0..STRIKES).flat_map(|number| SIDES.map(|(kind, _)| option_token(number, kind)));
    let before: HashMap<u32, u64> = tokens
        .filter_map(|token| last(&ticks, token, thursday).map(|tick| (token, tick.open_interest)))
        .collect();
    let options = ChainOptions::default();
    let mut dice = Dice(12);
    let (mut implied, mut marked) = (0, [0; 3]);
    let edges = [
        "09:15:03",
        "09:50:00",
        "09:52:29.999",
        "10:00",
        "10:20:30",
        "11:05:20",
        "11:20:00",
        "11:21:30",
        "17:00",
    ];
    let mut instants: Vec<Timestamp> =
        edges.iter().map(|clock| time(&format!("2026-11-20 {clock}"))).collect();
    instants.extend(
        (0..60).map(|_| time("2026-11-20 09:15").plus(Duration::from_millis(dice.roll(126 * 60_000)))),
    );
    for at in instants {
        let found = reader.chain("NIFTY", Expiry::On(date(EXPIRY)), at, &options).await;
        let chain = found.unwrap_or_else(|error| panic!("{at}: {error}"));
        assert_eq!(
            (chain.expiry, chain.strikes.len(), chain.legs),
            (date(EXPIRY), STRIKES as usize, 2 * STRIKES as usize)
        );
        assert_eq!(chain.expires_at, time("2026-12-01 15:40"));
        assert_eq!(chain.previous_session, Some(date("2026-11-19")));
        for (number, strike) in chain.strikes.iter().enumerate() {
            assert!((strike.strike - strike_of(number as u32)).abs() < 1e-9);
            for leg in [&strike.call, &strike.put] {
                let leg = leg.as_ref().unwrap();
                compare_leg(leg, &ticks, &before, at);
                if let Some(stale) = leg.stale {
                    marked[stale as usize] += 1;
                }
            }
        }
        compare_sums(&chain, &ticks, at);
        compare_whole(&chain, at);
        implied += compare_volatilities(&chain, &ticks, at);
    }
    assert!(implied > 1_000 && marked.iter().all(|count| *count > 20), "{implied} {marked:?}");
}

#[tokio::test]
async fn instruments_are_those_of_the_day_and_errors_say_what_there_is() {
    let (store, reader, _) = recorded("read_chain_days").await;
    let options = ChainOptions::default();
    let ask =
        async |name: &str, expiry: Expiry, at: &str| reader.chain(name, expiry, time(at), &options).await;
    // on Thursday the tokens of one strike meant contracts that expired that day; then they were used again
    let thursday = ask("nifty 50", Expiry::On(date(EXPIRY)), "2026-11-19 15:39").await.unwrap();
    assert_eq!((thursday.underlying.as_str(), thursday.strikes.len()), ("NIFTY", STRIKES as usize - 1));
    assert_eq!(thursday.previous_session, None, "Wednesday was not recorded");
    let current = ask("NSE:NIFTY", Expiry::Nth(1), "2026-11-19 15:39").await.unwrap();
    assert_eq!((current.expiry, current.strikes.len()), (date("2026-11-19"), 1));
    // what expires today is over with the close
    let error = ask("NIFTY", Expiry::Nth(1), "2026-11-20 10:00").await.unwrap_err();
    assert!(
        matches!(&error, ReadError::NoTicks { expiry, of_day: None, .. } if *expiry == date("2026-11-20")),
        "{error}"
    );
    let after = ask("NIFTY", Expiry::Nth(1), "2026-11-20 15:40").await.unwrap();
    assert_eq!(after.expiry, date(EXPIRY));

    let error = ask("NIFTY", Expiry::Nth(2), "2026-11-20 09:14").await.unwrap_err().to_string();
    assert!(error.contains(": the first of that day came at 2026-11-20T09:15:0"), "{error}");
    let error = ask("NIFTY", Expiry::On(date(EXPIRY)), "2026-11-21 11:00").await.unwrap_err().to_string();
    assert!(error.contains("there are ticks of 2026-11-20"), "{error}");
    let error = ask("NIFTI", Expiry::Nth(1), "2026-11-20 10:00").await.unwrap_err().to_string();
    assert_eq!(error, "there are no options on \"NIFTI\" on 2026-11-20: did you mean NIFTY?");
    for wrong in [Expiry::On(date("2026-12-08")), Expiry::Nth(4)] {
        let error = ask("NIFTY", wrong, "2026-11-20 10:00").await.unwrap_err().to_string();
        assert_eq!(
            error,
            "NIFTY has no such expiry on 2026-11-20: there are 2026-11-20, 2026-12-01, 2026-12-29"
        );
    }
    rows_are_flat(&reader).await;
    drop(store);
}

/// The rows for files, as the server reads and writes them.
async fn rows_are_flat(reader: &Reader) {
    let at = time("2026-11-20 10:15");
    let mut chain = reader.chain("NIFTY", Expiry::Nth(2), at, &ChainOptions::default()).await.unwrap();
    chain.keep_around_the_money(2);
    assert_eq!(chain.strikes.len(), 5);
    assert!((chain.strikes[2].strike - chain.at_the_money.unwrap()).abs() < 1e-9);
    for format in [Format::Csv, Format::Parquet, Format::ArrowStream] {
        let rows = Answer::Rows(chain.rows().unwrap());
        let bytes = reader.present(rows, format).await.unwrap().collect().await.unwrap();
        if format == Format::Csv {
            let text = String::from_utf8(bytes.clone()).unwrap();
            assert_eq!(text.lines().count(), 11);
            assert!(
                text.lines()
                    .nth(1)
                    .unwrap()
                    .starts_with("\"2026-11-20 10:15:00.000\",\"NIFTY\",\"NFO\",\"2026-12-01\","),
                "{text}"
            );
        } else {
            assert!(bytes.len() > 500);
        }
    }
    let json = serde_json::to_value(&chain).unwrap();
    assert_eq!(json["at"], "2026-11-20T10:15:00.000+05:30");
    assert!(json["strikes"][2]["put"]["delta"].is_number(), "{}", json["strikes"][2]);
}
