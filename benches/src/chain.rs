//! A whole NIFTY chain (104 strikes, calls and puts) as of random instants of a day with 20 M ticks, beside the plain statement that
//! looks for last ticks in the whole day, whose answer it must be.

use crate::services::{ClickHouse, ask, run as execute};
use crate::usage;
use anyhow::{Context as _, ensure};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};
use tickhouse_model::Timestamp;
use tickhouse_read::{ChainOptions, Expiry, OptionChain, Reader, ReaderOptions};
use tickhouse_store::Store;

/// A Friday; its regular session begins then.
const OPENING: i64 = 1_795_146_300;
const SECONDS: usize = 22_500;
const EXPIRY: &str = "2026-12-01";
const STRIKES: usize = 104;
const LEGS: usize = 2 * STRIKES;
/// Rows of the master: most are not of the chain.
const LISTED: usize = 110_000;
const INSTANTS: u64 = 40;
/// So many instruments' ticks are what far strikes have less.
const QUIET: usize = 160;

/// Measures everything; `amount` ticks.
pub(crate) async fn run(tickhouse: &Path, amount: usize) -> anyhow::Result<()> {
    println!("{}", usage::machine());
    let clickhouse = ClickHouse::start(tickhouse).await?;
    let store = clickhouse.database("trading").await?;
    let loading = Instant::now();
    list(&store).await?;
    record(&store, amount.div_ceil(SECONDS).max(LEGS) + QUIET).await?;
    let ticks = ask(&store, "SELECT count() FROM tick_data").await?;
    println!("{ticks} ticks, {LISTED} instruments, made in {:.0} s", loading.elapsed().as_secs_f64());
    let reader = Reader::new(ReaderOptions::at(clickhouse.engine.url()));
    let mut ours = Vec::new();
    let mut plain = Vec::new();
    for number in 0..INSTANTS {
        // over the day, in no order
        let second = number * 7_919 % (SECONDS as u64 - 60) + 60;
        let at = Timestamp::from_millis((OPENING + second as i64) * 1_000 + 123);
        let begin = Instant::now();
        let found = reader.chain("NIFTY", Expiry::Nth(2), at, &ChainOptions::default()).await?;
        ours.push(begin.elapsed());
        let begin = Instant::now();
        let expected = plain_statement(&store, at).await?;
        plain.push(begin.elapsed());
        compare(&found, &expected)?;
    }
    println!("tickhouse chain, {LEGS} legs:            {}", figures(&mut ours));
    println!("argMax over the day, prices alone: {}", figures(&mut plain));
    Ok(())
}

fn figures(took: &mut [Duration]) -> String {
    took.sort_unstable();
    let millis = |at: usize| took[at.min(took.len() - 1)].as_secs_f64() * 1e3;
    format!("median {:.1} ms, longest {:.1} ms", millis(took.len() / 2), millis(took.len()))
}

/// Token of an instrument: the index, the future, the chain's legs, others.
const TOKEN: &str = "toUInt32(multiIf(i = 0, 256265, (50000 + i) * 256 + 2))";
const STRIKE: &str = "(23400 + 50. * intDiv(i - 2, 2))";
const KIND: &str = "if(i % 2 = 0, 'CE', 'PE')";

/// The master: two expiries of NIFTY around one more, its index and future, and what else there is.
async fn list(store: &Store) -> anyhow::Result<()> {
    let last_leg = LEGS + 1;
    let sql = format!(
        "INSERT INTO instruments (instrument_token, symbol, tradingsymbol, underlying, exchange, segment, asset_class, \
             instrument_type, expiry, strike, tick_size, lot_size, valid_from, valid_to) \
         SELECT {TOKEN}, multiIf(i = 0, 'NIFTY', concat('S', toString(i))), multiIf(i = 0, 'NIFTY 50', concat('S', toString(i))), \
             multiIf(i BETWEEN 1 AND {last_leg} + 200, 'NIFTY', concat('OTHER', toString(i % 200))), \
             if(i = 0, 'NSE', 'NFO'), multiIf(i = 0, 'INDICES', i = 1, 'NFO-FUT', 'NFO-OPT'), '', \
             multiIf(i = 0, 'INDEX', i = 1, 'FUT', {KIND}), \
             multiIf(i = 0, toDate(0), i = 1, toDate('2026-12-29'), i <= {last_leg}, toDate('{EXPIRY}'), \
                 i <= {last_leg} + 100, toDate('2026-11-23'), toDate('2026-12-29')), \
             if(i < 2, 0, {STRIKE}), 0.05, 65, toDate(0), toDate(65535) \
         FROM (SELECT number AS i FROM numbers({LISTED}))"
    );
    execute(store, &sql).await?;
    execute(store, "OPTIMIZE TABLE instruments FINAL").await
}

/// A tick a second of each instrument, of the far strikes fewer; one insert per partition.
async fn record(store: &Store, instruments: usize) -> anyhow::Result<()> {
    let mut second = 0;
    while second < SECONDS {
        // to the next full hour of India: 09:15 is the opening
        let until = SECONDS.min(((second + 900) / 3_600 + 1) * 3_600 - 900);
        let sql = format!(
            "INSERT INTO tick_data (instrument_token, symbol, exchange, timestamp, exchange_timestamp, last_price, volume, \
                 last_traded_quantity, open_interest, bid_1_price, bid_1_quantity, ask_1_price, ask_1_quantity, packet_type, \
                 session_type, data_quality, batch_id, last_trade_time, recorder, session, sequence, packet_index) \
             WITH 25950 + 60 * sin(s / 1500) AS forward, {STRIKE} AS strike, \
                 cityHash64(s, i) AS dice, \
                 multiIf(i < 2 OR i > {LEGS} + 1, forward, \
                     greatest(0, if(i % 2 = 0, forward - strike, strike - forward)) + 180 * exp(-abs(forward - strike) / 220)) AS fair, \
                 greatest(0.05, round(fair * 20) / 20) AS price, \
                 fromUnixTimestamp64Milli(toInt64(({OPENING} + s) * 1000 + dice % 1000), 'Asia/Kolkata') AS received \
             SELECT {TOKEN}, concat('S', toString(i)), 'NFO', received, toStartOfSecond(received), price, (s + 1) * 65, 65, \
                 65 * (dice % 5000), greatest(0, price - 0.05), 650, price + 0.05, 650, if(i = 0, 'index_full', 'full'), \
                 'regular', 'enriched', generateUUIDv4(s), toDateTime(received), 'bench', 1, s, toUInt16(i) \
             FROM (SELECT intDiv(number, {instruments}) + {second} AS s, number % {instruments} AS i \
                 FROM numbers({instruments} * ({until} - {second}))) \
             WHERE i < 2 OR i > {LEGS} + 1 OR cityHash64(i, s, 1) % 100 < greatest(2, 100 - 4 * abs(toInt32(intDiv(i - 2, 2)) - 51))"
        );
        execute(store, &sql).await?;
        second = until;
    }
    Ok(())
}

/// The last price of every leg, looked for in the whole day.
async fn plain_statement(store: &Store, at: Timestamp) -> anyhow::Result<BTreeMap<u32, f64>> {
    let first = (50_000 + 2) * 256 + 2;
    let last = (50_000 + LEGS + 1) * 256 + 2;
    let sql = format!(
        "SELECT instrument_token, argMax(last_price, (timestamp, sequence, packet_index)) FROM tick_data \
         WHERE date = '2026-11-20' AND instrument_token BETWEEN {first} AND {last} \
             AND timestamp <= fromUnixTimestamp64Milli({}) \
         GROUP BY instrument_token",
        at.as_millis()
    );
    let answer = ask(store, &sql).await?;
    let pair = |line: &str| -> anyhow::Result<(u32, f64)> {
        let (token, price) = line.split_once('\t').context("two columns")?;
        Ok((token.parse()?, price.parse()?))
    };
    answer.lines().map(pair).collect()
}

fn compare(found: &OptionChain, expected: &BTreeMap<u32, f64>) -> anyhow::Result<()> {
    let legs = || found.strikes.iter().flat_map(|strike| [&strike.call, &strike.put]).flatten();
    ensure!(found.legs == LEGS && found.forward.is_some(), "{} legs, {:?}", found.legs, found.forward);
    for leg in legs() {
        let price = expected.get(&leg.instrument_token).copied();
        ensure!(leg.last_price == price, "{leg:?} {price:?}");
    }
    let implied = legs().filter(|leg| leg.implied_volatility.is_some()).count();
    ensure!(implied > LEGS / 3, "only {implied} volatilities of {LEGS} legs");
    Ok(())
}
