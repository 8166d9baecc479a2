//! Measures what a table of 400,000 instruments costs: bytes per instrument, nanoseconds per look-up and per session
//! phase, time and peak memory of reading the same instruments from a CSV and from a JSON look-up.
//!
//! `cargo run --release -p tickhouse-enrich --example lookup_cost`

use std::fmt::Write as _;
use std::hint::black_box;
use std::time::Instant;
use tickhouse_enrich::{Calendar, InstrumentTable, InstrumentTableBuilder, Market, SessionClock};
use tickhouse_model::{Timestamp, Token};

const COUNT: u32 = 400_000;
const LOOKUPS: u32 = 10_000_000;

fn main() {
    let csv = csv();
    println!("machine peak before reading: {} MB", peak_mb());
    let started = Instant::now();
    let mut builder = InstrumentTableBuilder::new();
    let report = builder.read_kite_csv(csv.as_bytes()).expect("a generated master");
    let table = builder.finish();
    println!("csv, {} MB: {report}, {} ms", csv.len() >> 20, started.elapsed().as_millis());
    println!("peak after csv (the text itself included): {} MB", peak_mb());
    let bytes = table.memory_bytes();
    println!("table: {bytes} bytes, {:.1} per instrument", bytes as f64 / table.len() as f64);
    drop(csv);

    let json = json(&table);
    let started = Instant::now();
    let mut builder = InstrumentTableBuilder::new();
    let report = builder.read_token_lookup(json.as_bytes()).expect("a generated look-up");
    black_box(builder.finish());
    println!("json, {} MB: {report}, {} ms", json.len() >> 20, started.elapsed().as_millis());
    drop(json);

    let all: Vec<Token> = table.iter().map(|instrument| instrument.token).collect();
    // what one key can subscribe to, spread over the whole master
    let hot: Vec<Token> = all.iter().copied().step_by(all.len() / 9_000).collect();
    lookups("all tokens in random order", &table, &all);
    lookups("9,000 tokens in random order", &table, &hot);
    phases();
}

/// A master like Kite's: option chains of some thousand underlyings.
fn csv() -> String {
    let mut text = String::from(
        "instrument_token,exchange_token,tradingsymbol,name,last_price,expiry,strike,tick_size,lot_size,\
         instrument_type,segment,exchange\n",
    );
    for number in 0..COUNT {
        let token = (number + 1) << 8 | 2;
        let (underlying, strike, side) =
            (number / 200, 100 * (number / 2 % 100), ["CE", "PE"][number as usize % 2]);
        writeln!(
            text,
            "{token},{},UND{underlying}26NOV{strike}{side},UND{underlying},0.0,2026-11-26,{strike}.0,0.05,75,{side},NFO-OPT,NFO",
            number + 1
        )
        .expect("writing to a string");
    }
    text
}

fn json(table: &InstrumentTable) -> String {
    let mut text = String::from("{");
    for (number, found) in table.iter().enumerate() {
        let it = table.instrument(&found);
        let comma = if number == 0 { "" } else { "," };
        write!(
            text,
            "{comma}\n  \"{}\": {{\"symbol\": \"{}\", \"tradingsymbol\": \"{}\", \"name\": \"{}\", \"exchange\": \"{}\", \
             \"segment\": \"{}\", \"instrument_type\": \"{}\", \"sector\": \"Index\", \"asset_class\": \"{}\", \
             \"expiry\": \"2026-11-26\", \"strike_price\": {}, \"lot_size\": {}, \"source\": \"Zerodha_API\"}}",
            it.token, it.symbol, it.tradingsymbol, it.underlying, it.exchange, it.segment,
            it.instrument_type.name(), it.asset_class, it.strike, it.lot_size
        )
        .expect("writing to a string");
    }
    text + "\n}"
}

fn lookups(what: &str, table: &InstrumentTable, tokens: &[Token]) {
    let mut state = 1_u64;
    let order: Vec<Token> = (0..1 << 20)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            tokens[(state >> 33) as usize % tokens.len()]
        })
        .collect();
    let started = Instant::now();
    let mut found = 0_u64;
    for number in 0..LOOKUPS {
        let token = order[number as usize & (order.len() - 1)];
        found += u64::from(table.get(black_box(token)).is_some_and(|it| black_box(it).lot_size == 75));
    }
    let nanos = started.elapsed().as_nanos() as f64 / f64::from(LOOKUPS);
    println!("{what}: {nanos:.1} ns per look-up ({found} found)");
}

fn phases() {
    let mut clock = SessionClock::new(Calendar::builtin());
    let start = 1_795_147_200_000_000_000;
    let started = Instant::now();
    let mut regular = 0_u64;
    for number in 0..LOOKUPS {
        let market = Market::ALL[number as usize % Market::COUNT];
        let at = Timestamp::from_nanos(start + i64::from(number) * 1_000_000);
        regular += u64::from(clock.phase(black_box(market), black_box(at)).name() == "regular");
    }
    let nanos = started.elapsed().as_nanos() as f64 / f64::from(LOOKUPS);
    println!("session phase of changing markets: {nanos:.1} ns ({regular} regular)");
}

/// Highest resident memory of this process so far; 0 where /proc does not exist.
fn peak_mb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) / 1024
}
