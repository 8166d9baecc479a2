//! Which instruments the exchange lists: indices, shares, futures, option chains, currency and commodities.
//!
//! What enters: a seed, how many, a date. What leaves: listings in a fixed order, NIFTY 50 first. The same three values
//! give the same listings. What never happens here: prices moving; that is the market's part.
//!
//! Contracts are those that are live on the date the universe was made for; a simulator that runs past an expiry keeps
//! trading the expired contract, because it lists once, at its start.

mod calendar;
mod chains;
mod names;

use jiff::civil::Date;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rustc_hash::FxHashMap;
use tickhouse_model::{Segment, Token};

/// The most instruments that a universe can have; Kite's master had 108,981 rows in September 2026.
pub const MOST_INSTRUMENTS: usize = 120_000;

/// One row of the instruments master.
#[derive(Clone, Debug, PartialEq)]
pub struct Listing {
    /// Kite's number.
    pub token: Token,
    /// Kite's trading symbol, e.g. `NIFTY26NOV24000CE`.
    pub tradingsymbol: String,
    /// The company, or the underlying of a derivative.
    pub name: String,
    /// Last day of trade of a derivative.
    pub expiry: Option<Date>,
    /// Strike in rupees, 0 where there is none.
    pub strike: f64,
    /// Smallest price step in raw units (1/divisor rupees); 5 for indices, which have none in the master.
    pub tick: i32,
    /// Units of a lot; 0 for indices, as in Kite's master.
    pub lot_size: u32,
    /// `EQ`, `FUT`, `CE` or `PE`.
    pub instrument_type: &'static str,
    /// Kite's segment, e.g. `NFO-OPT` or `INDICES`.
    pub segment: &'static str,
    /// Kite's exchange, e.g. `NFO`.
    pub exchange: &'static str,
    /// The previous session's close in raw units, for what is not priced from an underlying.
    pub(crate) base: i32,
    /// What its price follows.
    pub(crate) pricing: Pricing,
    /// How often it is updated, relative to the others.
    pub(crate) weight: f64,
}

/// What the price of an instrument follows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Pricing {
    /// A walk of its own.
    Walk,
    /// The price of another listing, times a factor that stands for the cost of carry.
    Future { underlying: u32, carry: f64 },
    /// An option on another listing: `strike` in raw units, `deviation` = volatility × √time.
    Option { underlying: u32, strike: f64, deviation: f64, call: bool },
}

impl Listing {
    /// What a raw price is divided by to give rupees.
    pub fn divisor(&self) -> u32 {
        self.token.segment().divisor()
    }

    /// `EXCHANGE:SYMBOL`, as the quote calls name it.
    pub fn key(&self) -> String {
        format!("{}:{}", self.exchange, self.tradingsymbol)
    }

    /// Smallest price step in rupees; 0 for indices, as in Kite's master.
    pub fn tick_size(&self) -> f64 {
        if self.is_index() { 0.0 } else { f64::from(self.tick) / f64::from(self.divisor()) }
    }

    /// Whether this is an index: a value, not tradable.
    pub fn is_index(&self) -> bool {
        self.token.segment().is_index()
    }

    /// Whether it has open interest.
    pub fn is_derivative(&self) -> bool {
        self.expiry.is_some()
    }
}

/// All listings, with look-ups.
#[derive(Debug)]
pub struct Universe {
    listings: Vec<Listing>,
    by_token: FxHashMap<Token, u32>,
    by_key: FxHashMap<String, u32>,
}

/// Share of each segment after the indices, in thousandths, and the most it can have. NFO comes last and takes the
/// rest.
const SHARES: [(Segment, usize, usize); 8] = [
    (Segment::NSE, 220, 9_000),
    (Segment::BSE, 70, 9_000),
    (Segment::BFO, 70, 9_000),
    (Segment::CDS, 50, 8_000),
    (Segment::BCD, 15, 400),
    (Segment::MCX, 60, 12_000),
    (Segment::NCO, 100, 12_000),
    (Segment::NFO, 1_000, MOST_INSTRUMENTS),
];

impl Universe {
    /// Makes at most `count` listings (1 to [`MOST_INSTRUMENTS`]) as of a date. From about 40 on, every segment has some.
    pub fn generate(seed: u64, count: usize, date: Date) -> Self {
        let count = count.clamp(1, MOST_INSTRUMENTS);
        let mut maker = Maker {
            listings: Vec::with_capacity(count),
            rng: ChaCha8Rng::seed_from_u64(seed ^ 0x6c69_7374),
            next_exchange_token: [0; 16],
            date,
        };
        maker.indices((count / 50).clamp(3, names::INDICES.len()).min(count));
        for (segment, thousandths, most) in SHARES {
            let left = count - maker.listings.len();
            let wanted = if segment == Segment::NFO {
                left
            } else {
                (count * thousandths / 1_000).clamp(1, most).min(left)
            };
            match segment {
                Segment::NSE => maker.nse(wanted),
                Segment::BSE => maker.bse(wanted),
                _ => maker.chains(segment, wanted),
            }
        }
        Self::new(maker.listings)
    }

    fn new(listings: Vec<Listing>) -> Self {
        let numbered = || listings.iter().zip(0_u32..);
        let by_token = numbered().map(|(listing, index)| (listing.token, index)).collect();
        let by_key = numbered().map(|(listing, index)| (listing.key(), index)).collect();
        Self { listings, by_token, by_key }
    }

    /// All listings, in their fixed order.
    pub fn listings(&self) -> &[Listing] {
        &self.listings
    }

    /// Place of a token in [`Universe::listings`].
    pub fn index_of(&self, token: Token) -> Option<u32> {
        self.by_token.get(&token).copied()
    }

    /// Place of an instrument named as the quote calls do: `NSE:INFY`, or its token as digits.
    pub fn find(&self, name: &str) -> Option<u32> {
        let by_number = || name.parse().ok().and_then(|number| self.index_of(Token(number)));
        self.by_key.get(name).copied().or_else(by_number)
    }
}

/// Grows a list of listings.
struct Maker {
    listings: Vec<Listing>,
    rng: ChaCha8Rng,
    next_exchange_token: [u32; 16],
    date: Date,
}

impl Maker {
    /// The next free token of a segment, away from the real ones in `names`.
    fn token(&mut self, segment: Segment) -> Token {
        let next = &mut self.next_exchange_token[usize::from(segment.0 & 15)];
        *next += 1;
        Token::new(*next + if segment.is_index() { 3_000 } else { 60_000 }, segment.0)
    }

    fn indices(&mut self, count: usize) {
        for (rank, &(token, symbol, exchange, value)) in names::INDICES.iter().take(count).enumerate() {
            self.listings.push(Listing {
                token: Token(token),
                tradingsymbol: symbol.to_owned(),
                name: symbol.to_owned(),
                expiry: None,
                strike: 0.0,
                tick: 5,
                lot_size: 0,
                instrument_type: "EQ",
                segment: "INDICES",
                exchange,
                base: on_grid(value * 100.0, 5),
                pricing: Pricing::Walk,
                weight: 4.0 / (rank as f64 + 2.0),
            });
        }
    }

    fn nse(&mut self, count: usize) {
        for rank in 0..count {
            let (token, symbol, name, price) = match names::SHARES.get(rank) {
                Some(&(token, symbol, name, price)) => {
                    (Token(token), symbol.to_owned(), name.to_owned(), price)
                }
                None => self.invented(rank - names::SHARES.len()),
            };
            self.share(token, symbol, name, price, rank, "NSE");
        }
    }

    fn invented(&mut self, number: usize) -> (Token, String, String, f64) {
        let (symbol, name) = names::invented(number);
        // most small companies cost tens to hundreds of rupees, a few thousands
        let price = 8.0 * 2.0_f64.powf(self.rng.random_range(0.0..9.0));
        (self.token(Segment::NSE), symbol, name, price)
    }

    fn bse(&mut self, count: usize) {
        let first = self.listings.iter().position(|listing| listing.exchange == "NSE" && !listing.is_index());
        let first = first.unwrap_or(self.listings.len());
        let shares = self.listings.len() - first;
        for rank in 0..count.min(shares) {
            let Listing { tradingsymbol, name, base, .. } = self.listings[first + rank].clone();
            let token = self.token(Segment::BSE);
            let token = Token::new(token.exchange_token() + 440_000, Segment::BSE.0);
            self.share(token, tradingsymbol, name, f64::from(base) / 100.0, rank * 4 + 60, "BSE");
        }
    }

    fn share(
        &mut self,
        token: Token,
        tradingsymbol: String,
        name: String,
        price: f64,
        rank: usize,
        exchange: &'static str,
    ) {
        let tick = share_tick(price);
        self.listings.push(Listing {
            token,
            tradingsymbol,
            name,
            expiry: None,
            strike: 0.0,
            tick,
            lot_size: 1,
            instrument_type: "EQ",
            segment: exchange,
            exchange,
            base: on_grid(price * 100.0, tick),
            pricing: Pricing::Walk,
            weight: 30.0 / (rank as f64 + 10.0).powf(1.15),
        });
    }
}

/// NSE's tick sizes by price since April 2025, in paise.
fn share_tick(price: f64) -> i32 {
    match price {
        price if price < 250.0 => 1,
        price if price <= 1_000.0 => 5,
        price if price <= 5_000.0 => 10,
        price if price <= 10_000.0 => 50,
        price if price <= 20_000.0 => 100,
        _ => 500,
    }
}

/// The raw price on the grid that is nearest, at least one tick.
pub(crate) fn on_grid(raw: f64, tick: i32) -> i32 {
    let ticks = (raw / f64::from(tick)).round().clamp(1.0, f64::from(i32::MAX / tick - 8));
    ticks as i32 * tick
}

#[cfg(test)]
mod tests;
