//! One instrument: the packet that Kite would send for it, and what moves it.

use super::Changes;
use super::book::{Book, Shape, Side};
use crate::universe::{Listing, Pricing};
use rand::{Rng, RngExt};
use tickhouse_model::{Packet, PacketKind, Timestamp};

/// How far a walk may be from the previous close, as a fraction: the circuit limit.
pub(crate) const CIRCUIT: f64 = 0.10;

/// Seconds of exchange time between two changes of open interest.
const OPEN_INTEREST_SECONDS: u32 = 60;

/// State of one instrument.
#[derive(Debug)]
pub(super) struct Instrument {
    /// As a full (or index full) packet.
    packet: Packet,
    pricing: Pricing,
    shape: Shape,
    /// Chance that an update is a trade, 0 to 1.
    trades: f32,
    /// The day's volume and turnover, wider than the wire's.
    volume: u64,
    turnover: u128,
    /// Orders behind the five levels, per side.
    behind: [u32; 2],
    /// Days since 1970-01-01 in India that the packet's day values belong to.
    day: i32,
    open_interest_at: u32,
}

impl Instrument {
    /// An instrument whose day is already under way.
    pub(super) fn open(listing: &Listing, fair: Option<i32>, now: Timestamp, rng: &mut impl Rng) -> Self {
        let tick = listing.tick;
        let last = fair.unwrap_or(listing.base);
        let activity = listing.weight / (listing.weight + 0.4);
        let kind = if listing.is_index() { PacketKind::IndexFull } else { PacketKind::Full };
        let mut instrument = Self {
            packet: Packet::empty(listing.token, kind),
            pricing: listing.pricing,
            shape: shape(listing, last, activity),
            trades: (0.06 + 0.42 * activity) as f32,
            volume: 0,
            turnover: 0,
            behind: [0; 2],
            day: now.ist().days_since_epoch,
            open_interest_at: now.as_seconds() as u32,
        };
        // the previous close lies a little off, and day's values between the two
        let most = (f64::from(last) * 0.012 / f64::from(tick)).ceil().max(1.0) as i32;
        let offset = |within: i32, rng: &mut dyn Rng| rng.random_range(-within..=within) * tick;
        let packet = &mut instrument.packet;
        packet.last_price = last;
        packet.close_price = (last + offset(most, rng)).max(tick);
        packet.exchange_timestamp = now.as_seconds() as u32;
        let traded_today = listing.is_index() || rng.random_bool((0.55 + activity).min(1.0));
        if traded_today {
            packet.open_price = (last + offset(most / 2, rng)).max(tick);
            packet.high_price = last.max(packet.open_price) + offset(most / 2, rng).abs();
            packet.low_price = (last.min(packet.open_price) - offset(most / 2, rng).abs()).max(tick);
        } else {
            packet.last_price = packet.close_price;
        }
        if listing.is_index() {
            packet.net_change = packet.last_price - packet.close_price;
        } else {
            instrument.fill(listing, traded_today, activity, now, rng);
        }
        instrument
    }

    /// Depth, volume and open interest of a tradable instrument at its start.
    fn fill(&mut self, listing: &Listing, traded: bool, activity: f64, now: Timestamp, rng: &mut impl Rng) {
        let book = Book::around(self.packet.last_price, &self.shape, rng);
        let level = self.shape.units * self.shape.unit;
        self.behind = [level * rng.random_range(4..60), level * rng.random_range(4..60)];
        let seconds = now.as_seconds() as u32;
        if traded {
            let units =
                (rng.random_range(200.0..4_000.0) * activity * activity).ceil() * f64::from(self.shape.units);
            self.volume = (units as u64).clamp(1, 20_000_000) * u64::from(self.shape.unit);
            let average = i64::midpoint(i64::from(self.packet.low_price), i64::from(self.packet.high_price));
            self.turnover = u128::from(self.volume) * average as u128;
            self.packet.last_traded_quantity = self.shape.unit;
            self.packet.last_trade_time = seconds - rng.random_range(0..=(400.0 * (1.0 - activity)) as u32);
        } else {
            // an earlier day, or never
            self.packet.last_trade_time =
                if rng.random() { seconds - 86_400 * rng.random_range(1..9) } else { 0 };
        }
        if listing.is_derivative() {
            let open_interest = self.shape.unit * rng.random_range(1..=(20_000.0 * activity) as u32 + 20);
            self.packet.open_interest = open_interest;
            self.packet.oi_day_high = open_interest;
            self.packet.oi_day_low = open_interest;
        }
        self.write_book(&book);
        self.write_volume();
    }

    pub(super) const fn packet(&self) -> &Packet {
        &self.packet
    }

    pub(super) const fn last_price(&self) -> i32 {
        self.packet.last_price
    }

    pub(super) fn segment(&self) -> usize {
        super::slot(self.packet.segment())
    }

    pub(super) const fn pricing(&self) -> Pricing {
        self.pricing
    }

    pub(super) const fn tick(&self) -> i32 {
        self.shape.tick
    }

    /// The listing that this one's price follows.
    pub(super) const fn underlying(&self) -> Option<u32> {
        match self.pricing {
            Pricing::Walk => None,
            Pricing::Future { underlying, .. } | Pricing::Option { underlying, .. } => Some(underlying),
        }
    }

    /// Begins a new day when India's date is another one.
    pub(super) fn roll(&mut self, now: Timestamp) {
        let day = now.ist().days_since_epoch;
        if day == self.day {
            return;
        }
        self.day = day;
        let packet = &mut self.packet;
        packet.close_price = packet.last_price;
        (packet.open_price, packet.high_price, packet.low_price) = (0, 0, 0);
        packet.net_change = 0;
        packet.last_traded_quantity = 0;
        (packet.oi_day_high, packet.oi_day_low) = (packet.open_interest, packet.open_interest);
        (self.volume, self.turnover) = (0, 0);
        if !packet.kind.is_index() {
            self.write_volume();
        }
    }

    /// Lets something happen; `fair` is the price that a derivative should have.
    pub(super) fn update(&mut self, fair: Option<i32>, now: Timestamp, rng: &mut impl Rng) -> Changes {
        self.roll(now);
        let before = self.packet;
        self.packet.exchange_timestamp = now.as_seconds() as u32;
        if self.packet.kind.is_index() {
            self.move_index(rng);
        } else {
            self.move_book(fair, rng);
            self.move_open_interest(rng);
        }
        let after = &self.packet;
        Changes {
            last_price: before.last_price != after.last_price,
            quote: before.last_price != after.last_price
                || (before.volume, before.last_traded_quantity) != (after.volume, after.last_traded_quantity)
                || (before.total_buy_quantity, before.total_sell_quantity)
                    != (after.total_buy_quantity, after.total_sell_quantity)
                || (before.open_price, before.close_price) != (after.open_price, after.close_price),
        }
    }

    fn move_index(&mut self, rng: &mut impl Rng) {
        let tick = self.shape.tick;
        let step = (self.packet.last_price / 400_000).max(1);
        let size = rng.random_range(1..=step) * tick;
        let up = rng.random::<f32>() < self.chance_of_up(self.packet.last_price);
        let value =
            if up { self.packet.last_price + size } else { (self.packet.last_price - size).max(tick) };
        self.packet.last_price = value;
        self.widen_day(value);
        self.packet.net_change = value - self.packet.close_price;
    }

    /// Walks come back: the further above the close, the likelier down. Beyond the circuit limit there is one way only.
    fn chance_of_up(&self, price: i32) -> f32 {
        let away =
            f64::from(price - self.packet.close_price) / (f64::from(self.packet.close_price) * CIRCUIT);
        (0.5 - 0.5 * away).clamp(0.0, 1.0) as f32
    }

    fn move_book(&mut self, fair: Option<i32>, rng: &mut impl Rng) {
        let mut book = Book { bids: self.packet.bids, asks: self.packet.asks };
        let shape = self.shape;
        let mut up = self.chance_of_up(book.middle());
        if let Some(fair) = fair {
            let ticks = (fair - book.middle()) / shape.tick;
            up = (0.5 + 0.15 * ticks as f32).clamp(0.02, 0.98);
            if ticks.abs() > (2 * shape.spread).max(6) {
                book.shift(ticks, &shape, rng);
            }
        }
        let chance: f32 = rng.random();
        if chance < self.trades {
            let side = if rng.random::<f32>() < up { Side::Ask } else { Side::Bid };
            self.trade(&mut book, side, rng);
        } else if chance < self.trades + (1.0 - self.trades) * 0.75 {
            book.change_level(&shape, rng);
            if rng.random() {
                book.change_level(&shape, rng);
            }
        } else {
            self.move_behind(rng);
        }
        self.write_book(&book);
    }

    /// Orders come and go behind the five levels: only a total changes.
    fn move_behind(&mut self, rng: &mut impl Rng) {
        let units = rng.random_range(1..=self.shape.units.max(2)) * self.shape.unit;
        let pick: u32 = rng.random();
        let behind = &mut self.behind[(pick & 1) as usize];
        let most = self.shape.units.saturating_mul(self.shape.unit).saturating_mul(80);
        *behind =
            if pick & 2 == 0 || *behind > most { behind.saturating_sub(units) } else { *behind + units };
    }

    fn trade(&mut self, book: &mut Book, side: Side, rng: &mut impl Rng) {
        let shape = self.shape;
        let pick: u32 = rng.random();
        // most trades are small, a few are large
        let units =
            if pick.is_multiple_of(16) { 1 + (pick >> 8) % (shape.units + 1) } else { 1 + (pick >> 8) % 3 };
        let Some((price, quantity)) = book.trade(side, units * shape.unit, &shape, rng) else { return };
        // trades between two packets are not seen, only counted
        let unseen = if pick & 0x70 == 0 { ((pick >> 16) % 5) * shape.unit } else { 0 };
        let volume = u64::from(quantity) + u64::from(unseen);
        self.volume += volume;
        self.turnover += u128::from(volume) * price as u128;
        self.packet.last_price = price;
        self.packet.last_traded_quantity = quantity;
        self.packet.last_trade_time = self.packet.exchange_timestamp;
        self.widen_day(price);
        self.write_volume();
    }

    /// The first trade of a day makes its open; every trade lies between low and high.
    fn widen_day(&mut self, price: i32) {
        let packet = &mut self.packet;
        if packet.open_price == 0 {
            (packet.open_price, packet.high_price, packet.low_price) = (price, price, price);
        }
        packet.high_price = packet.high_price.max(price);
        packet.low_price = packet.low_price.min(price);
    }

    fn move_open_interest(&mut self, rng: &mut impl Rng) {
        let now = self.packet.exchange_timestamp;
        if self.packet.open_interest == 0 || now.saturating_sub(self.open_interest_at) < OPEN_INTEREST_SECONDS
        {
            return;
        }
        self.open_interest_at = now;
        let change = rng.random_range(0..=20) * self.shape.unit;
        let packet = &mut self.packet;
        packet.open_interest = if rng.random::<bool>() || packet.open_interest <= change {
            packet.open_interest.saturating_add(change)
        } else {
            packet.open_interest - change
        };
        packet.oi_day_high = packet.oi_day_high.max(packet.open_interest);
        packet.oi_day_low = packet.oi_day_low.min(packet.open_interest);
    }

    fn write_book(&mut self, book: &Book) {
        (self.packet.bids, self.packet.asks) = (book.bids, book.asks);
        self.packet.total_buy_quantity = Book::total(&book.bids).saturating_add(self.behind[0]);
        self.packet.total_sell_quantity = Book::total(&book.asks).saturating_add(self.behind[1]);
    }

    /// A day's volume stops at the wire's largest value; the average goes on from the exact sums.
    fn write_volume(&mut self) {
        self.packet.volume = u32::try_from(self.volume).unwrap_or(u32::MAX);
        let half = u128::from(self.volume / 2);
        let average = (self.turnover + half).checked_div(u128::from(self.volume)).unwrap_or(0);
        self.packet.average_traded_price = average as i32;
    }
}

/// Liquid names have narrow, deep books; others wide and thin ones.
fn shape(listing: &Listing, last: i32, activity: f64) -> Shape {
    let ticks = f64::from(last) / f64::from(listing.tick);
    let narrow = (ticks * 0.000_05).ceil();
    let wide = (ticks * 0.002).clamp(1.0, 40.0) * (1.0 - activity);
    let rupees = f64::from(last) / f64::from(listing.divisor());
    let unit = match listing.lot_size {
        // cash: people trade round numbers of what costs about a thousand rupees
        1 if !listing.is_derivative() => (1_000.0 / rupees).round().clamp(1.0, 500.0) as u32,
        lot => lot.max(1),
    };
    Shape {
        tick: listing.tick,
        unit,
        units: (4.0 + 90.0 * activity) as u32,
        spread: (narrow + wide).clamp(1.0, 60.0) as i32,
        gap: (narrow + wide / 2.0).clamp(1.0, 40.0) as i32,
    }
}
