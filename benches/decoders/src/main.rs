//! Full packets per second on one core: Tickhouse beside other public decoders, every field read, prices in rupees.
//!
//! Each decoder gets the same messages and adds every value of every packet into one number (prices by the bits of
//! their doubles), which must be the same for all. The decoders take turns in short rounds, and the fastest round of each counts:
//! what else the machine does only makes rounds slower.
//!
//!     decoders [MESSAGES_FILE]    writes the messages there too, for decoders in other languages
//!
//! `kiteticker-async` and `kiteticker-async-manager` keep their walk over the container private, so they are given
//! bodies by the barest walk there is. The latter's raw view decodes nothing: it is a cast, and the walk, the byte order and
//! the scaling are done here.

mod others;

use std::hint::black_box;
use std::time::{Duration, Instant};
use tickhouse_decode::{FrameBuilder, Item, PacketRef, decode};
use tickhouse_model::{Level, Packet, PacketKind, Token};

const MESSAGES: usize = 500;
const PACKETS: usize = 20;
const ROUNDS: usize = 60;
/// Times that a decoder goes through all messages in its turn.
const TURNS: usize = 5;

type Decoder = fn(&[Vec<u8>]) -> Sum;

const DECODERS: [(&str, Decoder); 8] = [
    ("tickhouse", tickhouse),
    ("tickhouse, a `for` loop: without AVX2", tickhouse_loop),
    ("tickhouse, a `Packet` each", tickhouse_owned),
    ("kiteconnect 1.0.1 (Zerodha)", others::zerodha),
    ("kiteconnect-rs 0.1.0", others::kiteconnect_rs),
    ("kiteticker-async 0.1.1", others::kiteticker_async),
    ("kiteticker-async-manager 0.4.1, Tick", others::manager_tick),
    ("kiteticker-async-manager 0.4.1, raw view", others::manager_raw),
];

/// Every value of every packet.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Sum(u64);

impl Sum {
    #[inline(always)]
    pub(crate) fn number(&mut self, value: impl Into<u64>) {
        self.0 = self.0.wrapping_add(value.into());
    }

    #[inline(always)]
    pub(crate) fn price(&mut self, value: f64) {
        self.0 = self.0.wrapping_add(value.to_bits());
    }
}

/// Every field of ours, from anything that has the names of `Packet`: `$field` reads one.
macro_rules! packet_sum {
    ($sum:expr, $scale:expr, $($packet:ident).+ $(, $call:tt)?) => {{
        let sum = $sum;
        let scale = $scale;
        for price in [
            $($packet).+.last_price $($call)?,
            $($packet).+.average_traded_price $($call)?,
            $($packet).+.open_price $($call)?,
            $($packet).+.high_price $($call)?,
            $($packet).+.low_price $($call)?,
            $($packet).+.close_price $($call)?,
        ] {
            sum.price(scale.rupees(price));
        }
        for number in [
            $($packet).+.last_traded_quantity $($call)?,
            $($packet).+.volume $($call)?,
            $($packet).+.total_buy_quantity $($call)?,
            $($packet).+.total_sell_quantity $($call)?,
            $($packet).+.last_trade_time $($call)?,
            $($packet).+.open_interest $($call)?,
            $($packet).+.oi_day_high $($call)?,
            $($packet).+.oi_day_low $($call)?,
            $($packet).+.exchange_timestamp $($call)?,
        ] {
            sum.number(number);
        }
        for side in [$($packet).+.bids $($call)?, $($packet).+.asks $($call)?] {
            for level in side {
                sum.price(scale.rupees(level.price));
                sum.number(level.quantity);
                sum.number(level.orders);
            }
        }
    }};
}

/// Fields read from where they lie.
fn tickhouse(messages: &[Vec<u8>]) -> Sum {
    let mut sum = Sum::default();
    for message in messages {
        decode(message).for_each(|item| {
            // anything else would be missed in the sum
            let Ok(Item::Packet { packet: PacketRef::Full(full), .. }) = item else { return };
            sum.number(full.token().0);
            packet_sum!(&mut sum, full.segment().scale(), full, ());
        });
    }
    sum
}

/// The same in a `for` loop: for any x86-64 processor, as the others are.
fn tickhouse_loop(messages: &[Vec<u8>]) -> Sum {
    let mut sum = Sum::default();
    for message in messages {
        for item in decode(message) {
            let Ok(Item::Packet { packet: PacketRef::Full(full), .. }) = item else { continue };
            sum.number(full.token().0);
            packet_sum!(&mut sum, full.segment().scale(), full, ());
        }
    }
    sum
}

/// A whole `Packet` in memory first, as one who keeps it needs.
fn tickhouse_owned(messages: &[Vec<u8>]) -> Sum {
    let mut sum = Sum::default();
    for message in messages {
        for item in decode(message) {
            let Ok(Item::Packet { packet, .. }) = item else { continue };
            let packet = black_box(packet.to_packet());
            sum.number(packet.token.0);
            packet_sum!(&mut sum, packet.segment().scale(), packet);
        }
    }
    sum
}

fn main() {
    let messages = messages();
    if let Some(path) = std::env::args().nth(1) {
        let bytes: Vec<u8> = messages
            .iter()
            .flat_map(|message| [&(message.len() as u32).to_le_bytes()[..], message].concat())
            .collect();
        std::fs::write(path, bytes).expect("the file of messages can be written");
    }
    let expected = tickhouse(&messages);
    let mut fastest = [Duration::MAX; DECODERS.len()];
    for _ in 0..ROUNDS {
        for ((name, decoder), fastest) in DECODERS.iter().zip(&mut fastest) {
            let started = Instant::now();
            for _ in 0..TURNS {
                let sum = black_box(decoder(black_box(&messages)));
                assert_eq!(sum, expected, "{name} reads other values");
            }
            *fastest = started.elapsed().min(*fastest);
        }
    }
    println!("| decoder | million full packets/s | tickhouse is faster by |\n|---|---|---|");
    let rates = fastest.map(|time| (MESSAGES * PACKETS * TURNS) as f64 / time.as_secs_f64() / 1e6);
    let ours = rates[0];
    for ((name, _), rate) in DECODERS.iter().zip(rates) {
        println!("| {name} | {rate:.2} | {:.2} |", ours / rate);
    }
}

/// Messages of full packets with values all over their ranges, in segments whose divisors every decoder knows.
fn messages() -> Vec<Vec<u8>> {
    let mut state = 7_u64;
    let mut dice = move |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let message = |_| {
        let mut frame = FrameBuilder::default();
        for _ in 0..PACKETS {
            let segment = [1, 2, 4, 7][dice(4) as usize];
            let token = Token::new(1 + dice(9_000) as u32, segment);
            let mut packet = Packet::empty(token, PacketKind::Full);
            let mut price = || 1_000 + dice(500_000) as i32;
            packet.last_price = price();
            packet.average_traded_price = price();
            packet.open_price = price();
            packet.high_price = price();
            packet.low_price = price();
            packet.close_price = price();
            let mut number = || dice(1 << 31) as u32;
            packet.last_traded_quantity = number();
            packet.volume = number();
            packet.total_buy_quantity = number();
            packet.total_sell_quantity = number();
            packet.open_interest = number();
            packet.oi_day_high = number();
            packet.oi_day_low = number();
            packet.last_trade_time = 1_795_147_200;
            packet.exchange_timestamp = 1_795_147_201;
            for level in packet.bids.iter_mut().chain(&mut packet.asks) {
                *level = Level {
                    price: 1_000 + dice(500_000) as i32,
                    quantity: dice(100_000) as u32,
                    orders: dice(500) as u16,
                };
            }
            frame.push(&packet);
        }
        frame.take()
    };
    (0..MESSAGES).map(message).collect()
}
