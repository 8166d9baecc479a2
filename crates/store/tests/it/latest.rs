//! `latest_prices` against brute force: whatever comes late, twice, out of order or is made again.

use crate::bars::{DAYS, Dice, ticks_of_a_day};
use crate::{ask, insert, run, store};
use std::collections::BTreeMap;
use tickhouse_model::{DataQuality, IST_OFFSET_SECONDS, SessionType};
use tickhouse_store::{Deduplicate, MendPartition, Partition, SchemaOptions, Store, Tick, migrate};
use uuid::Uuid;

/// Used time, receive time, sequence, place in the frame.
type Place = (i64, i64, u64, u16);
/// Day, token, session and packet type; what the latest tick of them says.
type Latest = BTreeMap<String, String>;

fn day(millis: i64) -> i64 {
    (millis + IST_OFFSET_SECONDS * 1_000).div_euclid(86_400_000)
}

/// The rules in words of their own: see `migrations/0008_latest_prices.sql`.
fn brute_force(ticks: &[Tick<'_>]) -> Latest {
    let mut best: BTreeMap<String, (Place, String)> = BTreeMap::new();
    for tick in ticks {
        let live = ["ltp", "quote", "full", "index_quote", "index_full"].contains(&tick.packet_type);
        let (received, said) = (tick.timestamp.as_millis(), tick.exchange_timestamp.as_millis());
        if !live || tick.snapshot && (said == received || day(said) != day(received)) {
            continue;
        }
        let used = if tick.snapshot || (received - said).abs() <= 600_000 { said } else { received };
        let identity = &tick.identity;
        let place = (used, received, identity.frame.sequence, identity.packet_index);
        let session = tick.session_type.name();
        let key = format!("{}\t{}\t{session}\t{}", day(used), tick.token.0, tick.packet_type);
        let text =
            format!("{received}\t{said}\t{}\t{}\t{}", tick.last_price, tick.volume, tick.open_interest);
        let at = best.entry(key).or_insert_with(|| (place, text.clone()));
        if place >= at.0 {
            *at = (place, text);
        }
    }
    best.into_iter().map(|(key, (_, text))| (key, text)).collect()
}

async fn stored(store: &Store) -> Latest {
    let sql = "SELECT toInt32(date), instrument_token, session_type, packet_type, toUnixTimestamp64Milli(timestamp), \
               toUnixTimestamp64Milli(exchange_timestamp), last_price, volume, open_interest FROM latest_prices FINAL";
    let split = |line: &str| {
        let at = line.match_indices('\t').nth(3).unwrap().0;
        (line[..at].to_owned(), line[at + 1..].to_owned())
    };
    ask(store, sql).await.lines().map(split).collect()
}

/// Two days, sessions by the clock, in batches that come out of order, some of them twice.
async fn load(store: &Store) -> (Vec<Tick<'static>>, Vec<(Uuid, Vec<(Partition, u32)>)>) {
    let mut dice = Dice(11);
    let mut ticks = Vec::new();
    for (number, opening) in DAYS[..2].iter().enumerate() {
        let mut of_day = ticks_of_a_day(&mut dice, *opening, number as u64 + 1);
        of_day.truncate(20_000);
        for (place, tick) in of_day.iter_mut().enumerate() {
            tick.session_type = if place < 5_000 { SessionType::PreMarket } else { SessionType::Regular };
        }
        ticks.extend(of_day);
    }
    let mut batches: Vec<Vec<Tick<'_>>> = ticks.chunks(3_001).map(<[Tick<'_>]>::to_vec).collect();
    let mut done = Vec::new();
    for index in 0..batches.len() {
        let other = dice.roll(batches.len() as u64) as usize;
        batches.swap(index, other);
        batches[index].reverse();
    }
    for (number, batch) in batches.iter().enumerate() {
        let id = Uuid::from_u128(number as u128 + 1);
        let partitions = insert(store, id, batch, Deduplicate::ByToken).await;
        if number % 3 == 0 {
            insert(store, id, batch, Deduplicate::Never).await;
        }
        done.push((id, partitions));
    }
    (ticks, done)
}

#[tokio::test]
async fn the_latest_prices_are_what_brute_force_finds() {
    let store = store("latest").await;
    let (ticks, batches) = load(&store).await;
    let expected = brute_force(&ticks);
    assert!(expected.len() > 100, "{}", expected.len());
    assert_eq!(stored(&store).await, expected, "after all batches");
    run(&store, "OPTIMIZE TABLE latest_prices FINAL").await;
    assert_eq!(stored(&store).await, expected, "after merging");
    assert_eq!(ask(&store, "SELECT count() FROM latest_prices").await, expected.len().to_string());

    // a server that was killed between the table and its view: the loader mends the batches that it is unsure of
    run(
        &store,
        "ALTER TABLE latest_prices DELETE WHERE instrument_token % 2 = 1 SETTINGS mutations_sync = 1",
    )
    .await;
    assert_ne!(stored(&store).await, expected, "something is to mend");
    for (id, partitions) in &batches {
        store.repair_batch(*id, partitions).await.unwrap();
    }
    assert_eq!(stored(&store).await, expected, "mended");

    // an older schema with ticks in it: the upgrade fills the table
    run(&store, "DROP VIEW latest_prices_feed").await;
    run(&store, "DROP TABLE latest_prices SYNC").await;
    run(&store, "ALTER TABLE migrations DELETE WHERE number = 8 SETTINGS mutations_sync = 1").await;
    let report = migrate(&store, SchemaOptions::default(), false).await.unwrap();
    assert_eq!(report.applied, ["0008_latest_prices"]);
    assert_eq!(stored(&store).await, expected, "filled");
}

#[tokio::test]
async fn a_price_that_was_nameless_gets_the_name_of_its_tick() {
    let store = store("latest_names").await;
    let mut tick = crate::tick(256_265, tickhouse_model::Timestamp::from_millis(DAYS[0] * 1_000));
    tick.instrument.symbol = "";
    tick.data_quality = DataQuality::Raw;
    insert(&store, Uuid::from_u128(1), &[tick], Deduplicate::ByToken).await;
    run(
        &store,
        "INSERT INTO instruments (instrument_token, symbol, tradingsymbol, exchange, valid_from, valid_to) \
         VALUES (256265, 'NIFTY', 'NIFTY 50', 'NSE', '1970-01-01', '2149-06-06')",
    )
    .await;
    let plan = store.mend_plan().await.unwrap();
    let partitions: &[MendPartition] = &plan.partitions;
    assert_eq!(partitions.len(), 1);
    store.mend_partition(&partitions[0]).await.unwrap();
    assert_eq!(ask(&store, "SELECT symbol FROM latest_prices FINAL").await, "NIFTY");
}
