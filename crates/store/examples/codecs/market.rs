//! Rows that look like a feed: prices walk on the tick grid, the ladder moves with them, a level or two changes at a time,
//! totals run, open interest moves every few minutes, frames hold some twenty packets.

use tickhouse_model::{DataQuality, FrameId, SessionType, Timestamp, Token};
use tickhouse_store::{Tick, TickIdentity, TickInstrument, TickLevel};

/// A die with a seed: `SplitMix64`.
#[derive(Debug)]
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

/// One instrument. Prices are paise.
#[derive(Debug)]
pub(crate) struct Instrument {
    token: u32,
    symbol: String,
    derivative: bool,
    step: i64,
    price: i64,
    open: i64,
    high: i64,
    low: i64,
    close: i64,
    volume: u64,
    value: i128,
    last_quantity: u32,
    buy: u64,
    sell: u64,
    interest: u64,
    traded_at: i64,
    depth: [(u32, u16); 10],
}

const PAISE: f64 = 100.0;

impl Instrument {
    /// The one with this number.
    pub(crate) fn new(number: u32, dice: &mut Dice) -> Self {
        let derivative = number % 10 >= 3;
        let price =
            if derivative { 1_000 + dice.roll(50_000) } else { 10_000 + dice.roll(400_000) } as i64 / 5 * 5;
        let mut depth = [(0, 0); 10];
        for level in &mut depth {
            *level = (1 + dice.roll(3_000) as u32, 1 + dice.roll(20) as u16);
        }
        Self {
            token: if derivative { (40_000 + number) << 8 | 2 } else { (1_000 + number * 7) << 8 | 1 },
            symbol: if derivative {
                format!("NIFTY26NOV{}CE", 20_000 + number * 50)
            } else {
                format!("SHARE{number}")
            },
            derivative,
            step: 5,
            price,
            open: price,
            high: price + 500,
            low: price - 500,
            close: price - 100,
            volume: dice.roll(1_000_000),
            value: 0,
            last_quantity: 1,
            buy: 100_000 + dice.roll(500_000),
            sell: 100_000 + dice.roll(500_000),
            interest: if derivative { 75 * dice.roll(100_000) } else { 0 },
            traded_at: 0,
            depth,
        }
    }

    /// What happens until the next packet.
    pub(crate) fn step(&mut self, second: i64, dice: &mut Dice) {
        let lot = if self.derivative { 75 } else { 1 };
        if dice.percent(45) {
            if dice.percent(60) {
                self.move_by(dice.roll(5) as i64 - 2, lot, dice);
            }
            let most = if dice.percent(80) { 5 } else { 200 };
            self.last_quantity = lot * (1 + dice.roll(most) as u32);
            let traded = u64::from(self.last_quantity) * (1 + dice.roll(3));
            self.volume += traded;
            self.value += i128::from(self.price) * i128::from(traded);
            self.traded_at = second;
            self.high = self.high.max(self.price);
            self.low = self.low.min(self.price);
        }
        for _ in 0..=dice.roll(2) {
            let level = &mut self.depth[dice.roll(10) as usize];
            *level = random_level(lot, dice);
        }
        self.buy = self.buy.saturating_add_signed(i64::from(lot) * (dice.roll(41) as i64 - 20));
        self.sell = self.sell.saturating_add_signed(i64::from(lot) * (dice.roll(41) as i64 - 20));
        if self.derivative && second % 180 == i64::from(self.token) % 180 {
            self.interest = self.interest.saturating_add_signed(75 * (dice.roll(201) as i64 - 100));
        }
    }

    /// Moves the price and the ladder with it: what was at a price stays there.
    fn move_by(&mut self, steps: i64, lot: u32, dice: &mut Dice) {
        if self.price + self.step * steps < self.step * 10 {
            return;
        }
        self.price += self.step * steps;
        let (bids, asks) = self.depth.split_at_mut(5);
        let (near, far) = if steps > 0 { (bids, asks) } else { (asks, bids) };
        let shift = steps.unsigned_abs() as usize;
        near.rotate_right(shift);
        far.rotate_left(shift);
        for index in 0..shift {
            near[index] = random_level(lot, dice);
            far[4 - index] = random_level(lot, dice);
        }
    }

    /// The packet.
    pub(crate) fn tick(&self, at_millis: i64, sequence: u64, packet_index: u16) -> Tick<'_> {
        let rupees = |paise: i64| paise as f64 / PAISE;
        let level = |index: usize, price: i64| TickLevel {
            price: rupees(price),
            quantity: self.depth[index].0,
            orders: self.depth[index].1,
        };
        let traded = self.volume.max(1);
        let average = if self.value == 0 { self.price } else { self.price - (self.value % 300) as i64 / 50 };
        let timestamp = Timestamp::from_millis(at_millis);
        Tick {
            token: Token(self.token),
            instrument: TickInstrument {
                symbol: &self.symbol,
                exchange: if self.derivative { "NFO" } else { "NSE" },
                tradingsymbol: &self.symbol,
                underlying: if self.derivative { "NIFTY" } else { &self.symbol },
                sector: if self.derivative { "" } else { "Energy" },
                asset_class: if self.derivative { "CE" } else { "EQ" },
                instrument_type: if self.derivative { "CE" } else { "EQ" },
                expiry_days: if self.derivative { 20_600 } else { 0 },
                strike: if self.derivative { 24_000.0 } else { 0.0 },
            },
            timestamp,
            exchange_timestamp: Timestamp::from_millis(at_millis / 1000 * 1000),
            last_price: rupees(self.price),
            open_price: rupees(self.open),
            high_price: rupees(self.high),
            low_price: rupees(self.low),
            close_price: rupees(self.close),
            average_traded_price: rupees(average + (traded % 2) as i64),
            net_change: 0.0,
            volume: self.volume,
            last_traded_quantity: self.last_quantity,
            total_buy_quantity: self.buy,
            total_sell_quantity: self.sell,
            open_interest: self.interest,
            oi_day_high: self.interest.div_ceil(100_000) * 100_000,
            oi_day_low: self.interest / 100_000 * 100_000,
            bids: std::array::from_fn(|index| level(index, self.price - self.step * (index as i64 + 1))),
            asks: std::array::from_fn(|index| level(index + 5, self.price + self.step * (index as i64 + 1))),
            packet_type: "full",
            session_type: SessionType::Regular,
            data_quality: DataQuality::Enriched,
            last_trade_time: Timestamp::from_millis(self.traded_at * 1000),
            snapshot: false,
            identity: TickIdentity {
                recorder: "main",
                frame: FrameId { session: 1_763_605_000_123, socket: (self.token % 3) as u16, sequence },
                packet_index,
                stream: "",
                epoch: 0,
            },
        }
    }
}

fn random_level(lot: u32, dice: &mut Dice) -> (u32, u16) {
    let most = if dice.percent(70) { 40 } else { 2_000 };
    (lot * (1 + dice.roll(most) as u32), 1 + dice.roll(15) as u16)
}
