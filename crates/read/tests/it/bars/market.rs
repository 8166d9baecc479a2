//! Three days of a small market with everything that happens to a feed: gaps, late packets, cached values, a count that begins anew,
//! trades between two packets, prices of the day before.

use tickhouse_model::{DataQuality, FrameId, Gap, GapCause, SessionType, Timestamp, Token};
use tickhouse_store::{
    Deduplicate, InsertId, LedgerColumns, Origin, Partition, Store, Tick, TickColumns, TickIdentity,
    TickInstrument, TickLevel,
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
        (z ^ (z >> 31)) % below.max(1)
    }

    pub(crate) fn percent(&mut self, chance: u64) -> bool {
        self.roll(100) < chance
    }
}

/// India's midnight of 2026-11-19, 20 (Thursday, Friday) and 23 (Monday), seconds.
pub(crate) const DAYS: [i64; 3] = [1_795_026_600, 1_795_113_000, 1_795_372_200];

/// Phases of every one of these days: seconds of the day, and 1 to 3 for before, regular, after.
pub(crate) type DayHours = &'static [(i64, i64, i8)];

const SHARE: DayHours = &[(32_400, 33_300, 1), (33_300, 55_800, 2), (55_800, 57_600, 3)];
const OPTION: DayHours = &[(33_300, 56_400, 2)];
const METAL: DayHours = &[(32_400, 86_100, 2)];

pub(crate) struct Instrument {
    pub(crate) token: u32,
    pub(crate) kind: &'static str,
    pub(crate) hours: DayHours,
    socket: u16,
    /// Packets come about every so many seconds.
    pause: u64,
}

const fn instrument(
    number: u32,
    segment: u32,
    kind: &'static str,
    hours: DayHours,
    socket: u16,
    pause: u64,
) -> Instrument {
    Instrument { token: number << 8 | segment, kind, hours, socket, pause }
}

pub(crate) const INSTRUMENTS: [Instrument; 6] = [
    instrument(1_594, 1, "full", SHARE, 0, 6),
    instrument(9_000, 2, "full", OPTION, 0, 9),
    instrument(7_000, 7, "full", METAL, 1, 25),
    instrument(1_001, 9, "index_full", SHARE, 1, 8),
    instrument(2_885, 1, "quote", SHARE, 1, 40),
    instrument(3_456, 1, "ltp", SHARE, 0, 15),
];

/// Records three days and their gaps.
pub(crate) async fn record_market(store: &Store) {
    let instruments = "INSERT INTO instruments (instrument_token, symbol, tradingsymbol, underlying, exchange, segment, \
        instrument_type, expiry, valid_from, valid_to) SETTINGS async_insert = 0 VALUES \
        (408065, 'INFY', 'INFY', '', 'NSE', 'NSE', 'EQ', '1970-01-01', '1970-01-01', '2149-06-06'), \
        (738561, 'RELIANCE', 'RELIANCE', '', 'NSE', 'NSE', 'EQ', '1970-01-01', '1970-01-01', '2149-06-06'), \
        (884737, 'TATAMOTORS', 'TATAMOTORS', '', 'NSE', 'NSE', 'EQ', '1970-01-01', '1970-01-01', '2149-06-06'), \
        (256265, 'NIFTY', 'NIFTY 50', '', 'NSE', 'INDICES', 'INDEX', '1970-01-01', '1970-01-01', '2149-06-06'), \
        (2304002, 'NIFTY26NOV24000CE', 'NIFTY26NOV24000CE', 'NIFTY', 'NFO', 'NFO-OPT', 'CE', '2026-11-24', '2026-08-01', '2026-11-24'), \
        (1792007, 'GOLD26DECFUT', 'GOLD26DECFUT', 'GOLD', 'MCX', 'MCX-FUT', 'FUT', '2026-12-04', '2026-06-01', '2026-12-04')";
    crate::run(store, instruments).await;
    let mut dice = Dice(42);
    let mut ticks = Vec::new();
    for instrument in &INSTRUMENTS {
        for (day, midnight) in DAYS.into_iter().enumerate() {
            record_day(&mut dice, instrument, midnight, day, &mut ticks);
        }
    }
    ticks.sort_by_key(|tick| tick.timestamp);
    for (sequence, tick) in ticks.iter_mut().enumerate() {
        tick.identity.frame.sequence = sequence as u64 / 3 + 1;
        tick.identity.packet_index = sequence as u16 % 3;
    }
    let mut partitions: Vec<Partition> = ticks.iter().map(|tick| Partition::of(tick.timestamp)).collect();
    partitions.dedup();
    for (number, partition) in partitions.into_iter().enumerate() {
        let batch_id = Uuid::from_u128(number as u128 + 1);
        let mut columns = TickColumns::new(partition, batch_id, Timestamp::from_millis(DAYS[0] * 1_000));
        ticks
            .iter()
            .filter(|tick| Partition::of(tick.timestamp) == partition)
            .for_each(|tick| columns.push(tick));
        let id = InsertId { batch_id, part: "tick_data" };
        store.insert_block("tick_data", &columns.finish(), id, Deduplicate::ByToken).await.unwrap();
    }
    record_gaps(store).await;
}

/// What an instrument's packets say at a second of the day.
#[derive(Clone, Copy)]
struct State {
    second: i64,
    price: i64,
    total: u64,
    open: i64,
    high: i64,
    low: i64,
}

fn record_day(
    dice: &mut Dice,
    instrument: &Instrument,
    midnight: i64,
    day: usize,
    ticks: &mut Vec<Tick<'static>>,
) {
    let opening = instrument.hours[0].0;
    let close = instrument.hours[instrument.hours.len() - 1].1;
    let mut history: Vec<State> = Vec::new();
    let mut state =
        State { second: 0, price: 10_000 + dice.roll(500) as i64, total: 0, open: 0, high: 0, low: 0 };
    // the recording begins late on the second day, and a count begins anew in the third
    let begin = if day == 1 && instrument.kind != "index_full" { 34_500 } else { opening - 300 };
    let anew = if day == 2 { 40_000 } else { i64::MAX };
    let mut is_anew = false;
    let mut second = opening - 300;
    while second < close + 200 {
        second += 1 + dice.roll(2 * instrument.pause) as i64;
        let is_open = second >= opening + i64::from(instrument.hours[0].2 == 1) * 480;
        let trades = if is_open && second < close && dice.percent(60) { 1 + dice.roll(2) } else { 0 };
        let mut lot = 0;
        for _ in 0..trades {
            lot = 1 + dice.roll(40);
            state.price += dice.roll(11) as i64 - 5;
            state.total += lot;
            (state.open, state.high, state.low) = match state.open {
                0 => (state.price, state.price, state.price),
                open => (open, state.high.max(state.price), state.low.min(state.price)),
            };
        }
        if second >= anew && !is_anew {
            (state.total, is_anew) = (5, true);
        }
        // a gap of the feed: nothing is received
        let is_cut = GAPS
            .iter()
            .any(|gap| gap.day == day && gap.hits(instrument) && gap.from <= second && second < gap.to);
        state.second = second;
        history.push(state);
        if second < begin || is_cut {
            continue;
        }
        ticks.push(packet(dice, instrument, (midnight, second), &history, lot));
    }
}

fn packet(
    dice: &mut Dice,
    instrument: &Instrument,
    (midnight, second): (i64, i64),
    history: &[State],
    lot: u64,
) -> Tick<'static> {
    let received = (midnight + second) * 1_000 + dice.roll(1_000) as i64;
    let late = match dice.roll(100) {
        0 => dice.roll(400) as i64,
        1 => 700 + dice.roll(1_000) as i64,
        2..20 => 1,
        _ => 0,
    };
    let snapshot = dice.percent(1);
    let said = if snapshot {
        received / 1_000 - [0, 90, 400, 90_000][dice.roll(4) as usize]
    } else {
        received / 1_000 - late
    };
    // what comes late, or was cached, says what was true then
    let then = history.partition_point(|state| midnight + state.second <= said).saturating_sub(1);
    let state = &history[then];
    let timestamp = Timestamp::from_millis(received);
    let says_nothing = instrument.kind == "ltp" || instrument.kind == "quote" || dice.percent(2);
    let exchange_timestamp = if says_nothing { timestamp } else { Timestamp::from_millis(said * 1_000) };
    let carries = matches!(instrument.kind, "full" | "quote");
    let rupees = |paise: i64| paise as f64 / 100.0;
    // before the day's first trade: yesterday's
    let (open, high, low) =
        if state.open == 0 { (9_000, 12_000, 8_000) } else { (state.open, state.high, state.low) };
    let level = TickLevel { price: rupees(state.price), quantity: 5, orders: 1 };
    Tick {
        token: Token(instrument.token),
        instrument: TickInstrument { symbol: "TEST", ..TickInstrument::default() },
        timestamp,
        exchange_timestamp,
        last_price: rupees(state.price),
        open_price: if instrument.kind == "ltp" { 0.0 } else { rupees(open) },
        high_price: if instrument.kind == "ltp" { 0.0 } else { rupees(high) },
        low_price: if instrument.kind == "ltp" { 0.0 } else { rupees(low) },
        close_price: 95.0,
        average_traded_price: 100.0,
        net_change: 0.0,
        volume: if carries { state.total } else { 0 },
        last_traded_quantity: if carries { lot as u32 } else { 0 },
        total_buy_quantity: 0,
        total_sell_quantity: 0,
        open_interest: if instrument.kind == "full" { 1_000 + state.total / 3 } else { 0 },
        oi_day_high: 0,
        oi_day_low: 0,
        bids: [level; 5],
        asks: [level; 5],
        packet_type: if dice.percent(1) { "candle_minute" } else { instrument.kind },
        session_type: SessionType::Regular,
        data_quality: DataQuality::Enriched,
        last_trade_time: timestamp,
        snapshot,
        identity: TickIdentity {
            recorder: "test",
            frame: FrameId { session: 1, socket: instrument.socket, sequence: 0 },
            packet_index: 0,
            stream: "",
            epoch: 0,
        },
    }
}

/// A gap: seconds of the day, of some instruments or of a socket.
struct Hole {
    day: usize,
    from: i64,
    to: i64,
    socket: u16,
    tokens: &'static [u32],
}

impl Hole {
    fn hits(&self, instrument: &Instrument) -> bool {
        self.socket == instrument.socket
            && (self.tokens.is_empty() || self.tokens.contains(&instrument.token))
    }
}

const fn hole(day: usize, from: i64, to: i64, socket: u16, tokens: &'static [u32]) -> Hole {
    Hole { day, from, to, socket, tokens }
}

const GAPS: [Hole; 7] = [
    hole(0, 36_010, 36_050, 0, &[]),
    hole(0, 41_000, 43_333, 1, &[]),
    hole(0, 50_000, 50_200, 0, &[408_065]),
    hole(1, 32_000, 34_500, 0, &[408_065, 2_304_002, 884_737]),
    hole(1, 45_000, 45_000, 0, &[]),
    hole(2, 33_350, 33_420, 0, &[]),
    hole(2, 55_700, 55_900, 1, &[256_265, 738_561]),
];

async fn record_gaps(store: &Store) {
    let batch_id = Uuid::from_u128(77_777);
    let mut ledger = LedgerColumns::new(batch_id);
    for (number, gap) in GAPS.iter().enumerate() {
        let at = |second: i64| Timestamp::from_millis((DAYS[gap.day] + second) * 1_000 + 250);
        let id = FrameId { session: 1, socket: gap.socket, sequence: 1_000_000 + number as u64 };
        let row = Gap {
            from: at(gap.from),
            to: at(gap.to),
            cause: GapCause::Broken,
            detail: String::new(),
            tokens: gap.tokens.iter().map(|token| Token(*token)).collect(),
        };
        ledger.push_gap(&Origin { recorder: "test", id, stream: "", epoch: 0 }, &row);
    }
    for (table, block) in ledger.finish() {
        let id = InsertId { batch_id, part: table };
        store.insert_block(table, &block, id, Deduplicate::ByToken).await.unwrap();
    }
}
