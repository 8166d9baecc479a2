//! A simulated day as rows of `tick_data`, minute by minute: what queries are timed on.
//!
//! What enters: how many ticks. What leaves: blocks of one minute each, in the order of receive times. What never happens here: more
//! than one minute in memory. The instruments are the simulator's; their prices walk, a few have most of the ticks, totals run on
//! over the day, books have five levels, and the pre-open auction and the minutes after the close have some ticks of their own.

use std::sync::Arc;
use tickhouse_enrich::{InstrumentRef, InstrumentTable, InstrumentTableBuilder};
use tickhouse_model::{DataQuality, FrameId, SessionType, Timestamp};
use tickhouse_simulator::{SimOptions, Simulator};
use tickhouse_source::rest::Rest;
use tickhouse_store::{
    Deduplicate, InsertId, Partition, Store, Tick, TickColumns, TickIdentity, TickInstrument, TickLevel,
    batch_id,
};

pub(crate) const INSTRUMENTS: usize = 9_000;
/// A Friday.
pub(crate) const DATE: &str = "2026-11-20";
/// Its midnight in India, milliseconds.
const MIDNIGHT: i64 = 1_795_113_000_000;
/// Minutes of a session, of the pre-open auction before it, and of the session after the close.
const REGULAR: i64 = 375;
const PRE_MARKET: i64 = 8;
const POST_MARKET: i64 = 10;
/// Share of ticks outside the regular session, for each of their minutes beside a regular one.
const QUIET: f64 = 0.2;
/// Packets of a frame.
const FRAME: u64 = 20;

/// An instrument as it stands. Prices are counted in steps of 0.05.
struct Quote {
    instrument: InstrumentRef,
    /// Ticks a minute.
    pace: f64,
    index: bool,
    has_open_interest: bool,
    last: i64,
    close: i64,
    open: i64,
    high: i64,
    low: i64,
    volume: u64,
    turnover: f64,
    quantity: u32,
    pending: [u64; 2],
    open_interest: [u64; 3],
}

/// The day.
pub(crate) struct Day {
    table: Arc<InstrumentTable>,
    quotes: Vec<Quote>,
    dice: Dice,
    records: u64,
    batches: u64,
}

/// A die with a seed: `SplitMix64`.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit.max(1)
    }

    /// 0 to 1.
    fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

impl Day {
    /// A day with about this many ticks.
    pub(crate) async fn new(ticks: usize) -> anyhow::Result<Self> {
        let simulator =
            Simulator::start(SimOptions { instruments: INSTRUMENTS, rate: 0.0, ..SimOptions::default() })
                .await?;
        let rest = Rest::new(&format!("http://{}", simulator.local_addr()))?;
        let csv = rest.instruments_csv(None, None).await?;
        simulator.stop().await;
        let mut builder = InstrumentTableBuilder::new();
        builder.read_kite_csv(csv.as_ref())?;
        let table = Arc::new(builder.finish());
        let mut dice = Dice(7);
        let mut all: Vec<InstrumentRef> = table.iter().collect();
        // NIFTY is among the busiest; the others in any order
        all.sort_by_cached_key(|it| (!it.token.segment().is_index(), dice.next()));
        let weight = |rank: usize| 1.0 / (rank as f64 + 40.0).powf(0.8);
        let weights: f64 = (0..all.len()).map(weight).sum();
        let minutes = REGULAR as f64 + (PRE_MARKET + POST_MARKET) as f64 * QUIET;
        let quotes = all.into_iter().enumerate().map(|(rank, instrument)| {
            let pace = ticks as f64 / minutes * weight(rank) / weights;
            Quote::new(&table, instrument, pace, &mut dice)
        });
        let quotes = quotes.collect();
        Ok(Self { table, quotes, dice, records: 0, batches: 0 })
    }

    /// Inserts the whole day, a batch a minute, and gives its rows.
    pub(crate) async fn insert(&mut self, store: &Store) -> anyhow::Result<u64> {
        let opening = 9 * 60 + 15;
        let mut rows = 0;
        for minute in opening - 15..opening - 15 + PRE_MARKET {
            rows += self.insert_minute(store, minute, QUIET, SessionType::PreMarket).await?;
        }
        for minute in opening..opening + REGULAR {
            rows += self.insert_minute(store, minute, 1.0, SessionType::Regular).await?;
        }
        for minute in opening + REGULAR + 10..opening + REGULAR + 10 + POST_MARKET {
            rows += self.insert_minute(store, minute, QUIET, SessionType::PostMarket).await?;
        }
        Ok(rows)
    }

    async fn insert_minute(
        &mut self,
        store: &Store,
        minute: i64,
        share: f64,
        session: SessionType,
    ) -> anyhow::Result<u64> {
        let begin = MIDNIGHT + minute * 60_000;
        let mut times: Vec<(i64, u32)> = Vec::new();
        for (number, quote) in self.quotes.iter().enumerate() {
            let count = (quote.pace * share + self.dice.share()) as u64;
            times.extend((0..count).map(|_| (begin + self.dice.below(60_000) as i64, number as u32)));
        }
        times.sort_unstable();
        let partition = Partition::of(Timestamp::from_millis(begin));
        self.batches += 1;
        let id = batch_id("day", 1, self.batches);
        let mut columns = TickColumns::new(partition, id, Timestamp::from_millis(begin + 60_000));
        for (at, number) in &times {
            self.records += 1;
            let quote = &mut self.quotes[*number as usize];
            quote.step(&mut self.dice);
            columns.push(&tick(&self.table, quote, *at, self.records, session, &mut self.dice));
        }
        let rows = columns.rows() as u64;
        if rows > 0 {
            let id = InsertId { batch_id: id, part: "tick_data" };
            store.insert_block("tick_data", &columns.finish(), id, Deduplicate::ByToken).await?;
        }
        Ok(rows)
    }
}

impl Quote {
    fn new(table: &InstrumentTable, instrument: InstrumentRef, pace: f64, dice: &mut Dice) -> Self {
        let index = instrument.token.segment().is_index();
        let close = if index { 480_000 } else { 500 + dice.below(60_000) as i64 };
        let open = close + dice.below(close as u64 / 50) as i64 - close / 100;
        let derivative = !matches!(table.text(instrument.instrument_type), "EQ" | "INDEX");
        let interest = if derivative { 10_000 + dice.below(5_000_000) } else { 0 };
        Self {
            instrument,
            pace,
            index,
            has_open_interest: derivative,
            last: open,
            close,
            open,
            high: open,
            low: open,
            volume: 0,
            turnover: 0.0,
            quantity: 0,
            pending: [100_000 + dice.below(1_000_000), 100_000 + dice.below(1_000_000)],
            open_interest: [interest; 3],
        }
    }

    /// A trade, or only a change of the book.
    fn step(&mut self, dice: &mut Dice) {
        for pending in &mut self.pending {
            *pending = pending.saturating_sub(dice.below(200)) + dice.below(200);
        }
        if !self.index && dice.below(2) == 0 {
            return;
        }
        self.last = (self.last + dice.below(5) as i64 - 2).max(20);
        self.high = self.high.max(self.last);
        self.low = self.low.min(self.last);
        if self.index {
            return;
        }
        self.quantity = 1 + dice.below(20) as u32 * 25;
        self.volume += u64::from(self.quantity);
        self.turnover += f64::from(self.quantity) * self.last as f64;
        if self.has_open_interest && dice.below(4) == 0 {
            let now = (self.open_interest[0] + dice.below(200)).saturating_sub(100).max(1);
            self.open_interest = [now, self.open_interest[1].max(now), self.open_interest[2].min(now)];
        }
    }
}

/// Nearest to the decimal value, as the loader's.
fn rupees(steps: i64) -> f64 {
    (steps * 5) as f64 / 100.0
}

fn tick<'a>(
    table: &'a InstrumentTable,
    quote: &Quote,
    at: i64,
    record: u64,
    session_type: SessionType,
    dice: &mut Dice,
) -> Tick<'a> {
    let traded = quote.volume > 0;
    let timestamp = Timestamp::from_millis(at);
    let exchange = Timestamp::from_millis((at - 60 - dice.below(400) as i64).div_euclid(1_000) * 1_000);
    let average = if traded { quote.turnover / quote.volume as f64 } else { 0.0 };
    let (frame, packet_index) = (record / FRAME, (record % FRAME) as u16);
    let socket = (quote.instrument.token.0 / 256 % 3) as u16;
    Tick {
        token: quote.instrument.token,
        instrument: names(table, &quote.instrument),
        timestamp,
        exchange_timestamp: exchange,
        last_price: rupees(quote.last),
        open_price: rupees(quote.open),
        high_price: rupees(quote.high),
        low_price: rupees(quote.low),
        close_price: rupees(quote.close),
        average_traded_price: (average * 5.0).round() / 100.0,
        net_change: if quote.index { rupees(quote.last - quote.close) } else { 0.0 },
        volume: quote.volume,
        last_traded_quantity: quote.quantity,
        total_buy_quantity: if quote.index { 0 } else { quote.pending[0] },
        total_sell_quantity: if quote.index { 0 } else { quote.pending[1] },
        open_interest: quote.open_interest[0],
        oi_day_high: quote.open_interest[1],
        oi_day_low: quote.open_interest[2],
        bids: levels(quote, -1, dice),
        asks: levels(quote, 1, dice),
        packet_type: if quote.index { "index_full" } else { "full" },
        session_type,
        data_quality: DataQuality::Enriched,
        last_trade_time: if traded { exchange } else { Timestamp::NONE },
        snapshot: false,
        identity: TickIdentity {
            recorder: "bench",
            frame: FrameId { session: 1, socket, sequence: frame + 1 },
            packet_index,
            stream: "",
            epoch: 0,
        },
    }
}

fn levels(quote: &Quote, side: i64, dice: &mut Dice) -> [TickLevel; 5] {
    if quote.index {
        return [TickLevel::default(); 5];
    }
    std::array::from_fn(|level| TickLevel {
        price: rupees((quote.last + side * (level as i64 + 1)).max(1)),
        quantity: 25 * (1 + dice.below(40) as u32),
        orders: 1 + dice.below(12) as u16,
    })
}

fn names<'a>(table: &'a InstrumentTable, found: &InstrumentRef) -> TickInstrument<'a> {
    TickInstrument {
        symbol: table.text(found.symbol),
        exchange: table.text(found.exchange),
        tradingsymbol: table.text(found.tradingsymbol),
        underlying: table.text(found.underlying),
        sector: table.text(found.sector),
        asset_class: table.text(found.asset_class),
        instrument_type: table.text(found.instrument_type),
        expiry_days: found.expiry_days,
        strike: found.strike,
    }
}
