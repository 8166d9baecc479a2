//! Futures and option chains of the derivative segments.

use super::calendar::{Expiry, expiries};
use super::{Listing, Maker, Pricing, on_grid};
use jiff::civil::Weekday;
use tickhouse_model::Segment;

/// What derivatives of one segment are made of.
struct Product {
    symbol: String,
    /// Place of the spot listing; `None` when the first future is what everything else follows.
    spot: Option<u32>,
    price: f64,
    /// Smallest price step of futures and options, rupees.
    tick: f64,
    lot_size: u32,
    strike_step: f64,
    /// A year's volatility, as a fraction.
    volatility: f64,
    expiries: Vec<Expiry>,
    weight: f64,
}

/// Symbol, price, tick, strike step, yearly volatility, weight.
type Quoted = (&'static str, f64, f64, f64, f64, f64);

const CURRENCIES: [Quoted; 4] = [
    ("USDINR", 88.6450, 0.0025, 0.25, 0.05, 6.0),
    ("EURINR", 102.7225, 0.0025, 0.25, 0.08, 1.5),
    ("GBPINR", 116.9050, 0.0025, 0.25, 0.09, 1.5),
    ("JPYINR", 57.1475, 0.0025, 0.25, 0.1, 0.8),
];

const MCX: [Quoted; 12] = [
    ("CRUDEOIL", 5_271.0, 1.0, 50.0, 0.35, 8.0),
    ("NATURALGAS", 405.3, 0.1, 5.0, 0.6, 7.0),
    ("GOLD", 123_850.0, 1.0, 500.0, 0.18, 4.0),
    ("SILVER", 154_820.0, 1.0, 1_000.0, 0.3, 4.0),
    ("GOLDM", 123_410.0, 1.0, 500.0, 0.18, 3.0),
    ("SILVERM", 155_240.0, 1.0, 1_000.0, 0.3, 3.0),
    ("COPPER", 1_004.65, 0.05, 5.0, 0.22, 2.5),
    ("ZINC", 302.4, 0.05, 2.5, 0.25, 1.5),
    ("ALUMINIUM", 266.9, 0.05, 2.5, 0.2, 1.2),
    ("LEAD", 181.85, 0.05, 2.5, 0.15, 0.6),
    ("CRUDEOILM", 5_272.0, 1.0, 50.0, 0.35, 3.0),
    ("MENTHAOIL", 931.6, 0.1, 10.0, 0.3, 0.2),
];

const NCO: [Quoted; 6] = [
    ("CRUDEOIL", 5_270.0, 1.0, 50.0, 0.35, 2.0),
    ("NATURALGAS", 405.2, 0.1, 5.0, 0.6, 1.5),
    ("GOLD", 123_900.0, 1.0, 500.0, 0.18, 1.0),
    ("SILVER", 154_900.0, 1.0, 1_000.0, 0.3, 1.0),
    ("BRCRUDEOIL", 5_630.0, 1.0, 50.0, 0.35, 0.5),
    ("COPPER", 1_004.5, 0.05, 5.0, 0.22, 0.4),
];

impl Maker {
    /// `count` derivatives of a segment: futures first, then options in rings around the money.
    pub(super) fn chains(&mut self, segment: Segment, count: usize) {
        let products = match segment {
            Segment::NFO => self.nfo(count),
            Segment::BFO => self.index_products(
                &[("SENSEX", "SENSEX", 20, 100.0), ("BANKEX", "BANKEX", 30, 100.0)],
                Weekday::Thursday,
            ),
            Segment::CDS | Segment::BCD => self.quoted(&CURRENCIES, Weekday::Friday, 4),
            Segment::MCX => self.quoted(&MCX, Weekday::Thursday, 0),
            _ => self.quoted(&NCO, Weekday::Wednesday, 0),
        };
        let end = self.listings.len() + count;
        let futures_end = self.listings.len() + (count * 2).div_ceil(5);
        let mut roots = Vec::with_capacity(products.len());
        for product in &products {
            roots.push(self.futures(segment, product, futures_end));
        }
        for ring in 0_i32.. {
            let before = self.listings.len();
            for (product, root) in products.iter().zip(&roots) {
                if let Some(root) = root {
                    self.options(segment, product, *root, ring, end);
                }
            }
            if self.listings.len() == end || (ring > 0 && self.listings.len() == before) {
                break;
            }
        }
    }

    /// Monthly futures of a product, while there is room; the place of what its options follow.
    fn futures(&mut self, segment: Segment, product: &Product, end: usize) -> Option<u32> {
        let mut root = product.spot;
        for (month, expiry) in product.expiries.iter().filter(|expiry| expiry.monthly).enumerate() {
            if self.listings.len() >= end {
                break;
            }
            let carry = 1.0 + 0.06 * expiry.years_from(self.date);
            let pricing = root.map_or(Pricing::Walk, |underlying| Pricing::Future { underlying, carry });
            let weight = product.weight / (1.0 + 4.0 * month as f64).powi(2);
            let symbol = format!("{}{}FUT", product.symbol, expiry.code());
            let place = self.derivative(segment, product, *expiry, "FUT", symbol, 0.0, pricing, weight);
            root = root.or(Some(place));
        }
        root
    }

    /// The two or four options of every expiry that are `ring` strikes from the money.
    fn options(&mut self, segment: Segment, product: &Product, root: u32, ring: i32, end: usize) {
        let money = (product.price / product.strike_step).round();
        let divisor = f64::from(segment.divisor());
        for (place, expiry) in product.expiries.iter().enumerate() {
            let sides: &[f64] = if ring == 0 { &[0.0] } else { &[1.0, -1.0] };
            for side in sides {
                let strike = (money + side * f64::from(ring)) * product.strike_step;
                let deviation = product.volatility * expiry.years_from(self.date).sqrt();
                if strike <= 0.0 || ((strike / product.price).ln() / deviation.max(0.02)).abs() > 8.0 {
                    continue;
                }
                for (kind, call) in [("CE", true), ("PE", false)] {
                    if self.listings.len() >= end {
                        return;
                    }
                    let pricing =
                        Pricing::Option { underlying: root, strike: strike * divisor, deviation, call };
                    let weight = product.weight * (-f64::from(ring) / 5.0).exp() / (1.0 + place as f64 * 2.5);
                    let symbol = format!("{}{}{strike}{kind}", product.symbol, expiry.code());
                    self.derivative(
                        segment,
                        product,
                        *expiry,
                        kind,
                        symbol,
                        strike,
                        pricing,
                        weight.max(0.002),
                    );
                }
            }
        }
    }

    #[expect(clippy::too_many_arguments, reason = "one call per field of the row that differs")]
    fn derivative(
        &mut self,
        segment: Segment,
        product: &Product,
        expiry: Expiry,
        instrument_type: &'static str,
        tradingsymbol: String,
        strike: f64,
        pricing: Pricing,
        weight: f64,
    ) -> u32 {
        let place = self.listings.len() as u32;
        let divisor = f64::from(segment.divisor());
        let tick = (product.tick * divisor).round() as i32;
        let token = self.token(segment);
        self.listings.push(Listing {
            token,
            tradingsymbol,
            name: product.symbol.clone(),
            expiry: Some(expiry.date),
            strike,
            tick,
            lot_size: product.lot_size,
            instrument_type,
            segment: segment_name(segment, instrument_type == "FUT"),
            exchange: segment.name(),
            base: on_grid(product.price * divisor, tick),
            pricing,
            weight,
        });
        place
    }

    fn nfo(&self, count: usize) -> Vec<Product> {
        let indices = [
            ("NIFTY 50", "NIFTY", 65, 50.0),
            ("NIFTY BANK", "BANKNIFTY", 30, 100.0),
            ("NIFTY FIN SERVICE", "FINNIFTY", 60, 50.0),
        ];
        let mut products = self.index_products(&indices, Weekday::Tuesday);
        products.iter_mut().skip(1).for_each(|product| product.expiries.retain(|expiry| expiry.monthly));
        let monthly = expiries(self.date, Weekday::Tuesday, 0, 3);
        let shares = (count / 40).clamp(1, 250);
        let nse = self.listings.iter().enumerate().filter(|(_, listing)| listing.segment == "NSE");
        for (rank, (place, listing)) in nse.take(shares).enumerate() {
            let price = f64::from(listing.base) / 100.0;
            products.push(Product {
                symbol: listing.tradingsymbol.clone(),
                spot: Some(place as u32),
                price,
                tick: f64::from(listing.tick.max(5)) / 100.0,
                lot_size: ((30_000.0 / price).round().max(1.0) * 25.0) as u32,
                strike_step: strike_step(price),
                volatility: 0.28,
                expiries: monthly.clone(),
                weight: 8.0 / (rank as f64 + 4.0),
            });
        }
        products
    }

    /// Derivatives of indices: listing's symbol, derivative's symbol, lot, strike step.
    fn index_products(&self, indices: &[(&str, &str, u32, f64)], weekday: Weekday) -> Vec<Product> {
        let find = |symbol: &str| self.listings.iter().position(|listing| listing.tradingsymbol == symbol);
        let listed =
            indices.iter().enumerate().filter_map(|(rank, index)| Some((rank, find(index.0)?, index)));
        listed
            .map(|(rank, place, &(_, symbol, lot_size, strike_step))| Product {
                symbol: symbol.to_owned(),
                spot: Some(place as u32),
                price: f64::from(self.listings[place].base) / 100.0,
                tick: 0.05,
                lot_size,
                strike_step,
                volatility: 0.12,
                expiries: expiries(self.date, weekday, 5, 3),
                weight: 12.0 / (1.0 + 3.0 * rank as f64),
            })
            .collect()
    }

    fn quoted(&self, products: &[Quoted], weekday: Weekday, weeks: usize) -> Vec<Product> {
        products
            .iter()
            .map(|&(symbol, price, tick, strike_step, volatility, weight)| Product {
                symbol: symbol.to_owned(),
                spot: None,
                price,
                tick,
                lot_size: 1,
                strike_step,
                volatility,
                expiries: expiries(self.date, weekday, weeks, 6),
                weight,
            })
            .collect()
    }
}

/// About 1.5 percent of the price, as a number that exchanges use.
fn strike_step(price: f64) -> f64 {
    const STEPS: [f64; 9] = [0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0];
    STEPS.into_iter().find(|step| step / price >= 0.01).unwrap_or(500.0)
}

fn segment_name(segment: Segment, future: bool) -> &'static str {
    match (segment, future) {
        (Segment::NFO, true) => "NFO-FUT",
        (Segment::NFO, false) => "NFO-OPT",
        (Segment::BFO, true) => "BFO-FUT",
        (Segment::BFO, false) => "BFO-OPT",
        (Segment::CDS, true) => "CDS-FUT",
        (Segment::CDS, false) => "CDS-OPT",
        (Segment::BCD, true) => "BCD-FUT",
        (Segment::BCD, false) => "BCD-OPT",
        (Segment::MCX, true) => "MCX-FUT",
        (Segment::MCX, false) => "MCX-OPT",
        (_, true) => "NCO-FUT",
        (_, false) => "NCO-OPT",
    }
}
