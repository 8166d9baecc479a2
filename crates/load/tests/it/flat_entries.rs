//! The brief's flat entries, as a `redis-py` program writes them.

use crate::world::World;
use tickhouse_load::LoaderOptions;

async fn add(world: &World, stream: &str, fields: &[(&str, &str)]) -> String {
    let mut redis = world.redis().await;
    let mut command = redis::cmd("XADD");
    command.arg(stream).arg("*");
    fields.iter().for_each(|(field, value)| {
        command.arg(field).arg(value);
    });
    command.query_async(&mut redis).await.unwrap()
}

#[tokio::test]
async fn a_flat_entry_lands_unchanged() {
    let world = World::new("flat_lands").await;
    let loader = world.loader();
    let fields = [
        ("instrument_token", "408065"),
        ("symbol", "INFY"),
        ("exchange", "NSE"),
        ("timestamp", "2026-11-20T10:15:30.250"),
        ("exchange_timestamp", "2026-11-20T10:15:30"),
        ("last_price", "1573.7"),
        ("volume", "1192471"),
        ("bid_1_price", "1573.4"),
        ("bid_1_quantity", "5"),
        ("packet_type", "full"),
        ("session_type", "regular"),
        ("data_quality", "enriched"),
    ];
    let id = add(&world, "flat_lands:flat", &fields).await;
    let sql = "SELECT instrument_token, symbol, exchange, timestamp, exchange_timestamp, last_price, volume, bid_1_price, \
               bid_1_quantity, packet_type, session_type, data_quality, concat(session, '-', sequence), stream, epoch, \
               date, hour FROM tick_data";
    let expected = format!(
        "408065\tINFY\tNSE\t2026-11-20 10:15:30.250\t2026-11-20 10:15:30.000\t1573.7\t1192471\t1573.4\t5\tfull\tregular\t\
         enriched\t{id}\tflat_lands:flat\t0\t2026-11-20\t10"
    );
    world.wait_for(sql, &expected).await;
    loader.stop().await;
}

#[tokio::test]
async fn many_days_in_one_stream_and_garbage_between() {
    let world = World::new("flat_days").await;
    let loader = world.loader_with(LoaderOptions::default());
    for day in 1..=28 {
        let timestamp = format!("2026-10-{day:02}T11:00:00");
        add(&world, "flat_days:flat", &[("instrument_token", "408065"), ("timestamp", &timestamp)]).await;
    }
    add(&world, "flat_days:flat", &[("instrument_token", "a lot"), ("timestamp", "yesterday")]).await;
    add(&world, "flat_days:flat", &[("x", "y")]).await;
    world.wait_for("SELECT count(), uniqExact(date) FROM tick_data", "28\t28").await;
    world.wait_for("SELECT count() FROM quarantine WHERE reason = 'flat_entry'", "2").await;
    loader.stop().await;
}

/// Restarted over and over: ids at or below the mark are never stored again.
#[tokio::test]
async fn flat_entries_are_stored_once() {
    let world = World::new("flat_once").await;
    for round in 0..6_u64 {
        let loader = world.loader();
        for _ in 0..20 {
            add(&world, "flat_once:flat", &[("instrument_token", "408065"), ("last_price", "1")]).await;
        }
        tokio::time::sleep(std::time::Duration::from_millis(60 * round)).await;
        loader.kill();
    }
    let loader = world.loader();
    world.wait_for("SELECT uniqExact(session, sequence), count() FROM tick_data", "120\t120").await;
    loader.caught_up().await;
    assert_eq!(world.query("SELECT uniqExact(session, sequence), count() FROM tick_data").await, "120\t120");
    loader.stop().await;
}

/// What a producer's MAXLEN trims before it is read is a gap, with its number.
#[tokio::test]
async fn entries_trimmed_unread_become_a_gap() {
    let world = World::new("flat_trimmed").await;
    let loader = world.loader();
    add(&world, "flat_trimmed:flat", &[("instrument_token", "408065"), ("last_price", "1")]).await;
    world.wait_for("SELECT count() FROM tick_data", "1").await;
    loader.caught_up().await;
    let mut redis = world.redis().await;
    let mut pipe = redis::pipe();
    // one transaction: nobody can read the ninety-nine
    pipe.atomic();
    for _ in 0..99 {
        pipe.cmd("XADD").arg("flat_trimmed:flat").arg("*").arg("instrument_token").arg("1");
    }
    pipe.cmd("XADD").arg("flat_trimmed:flat").arg("MAXLEN").arg(1).arg("*").arg("instrument_token").arg("2");
    let _: Vec<String> = pipe.query_async(&mut redis).await.unwrap();
    let sql = "SELECT cause, toUInt32(extract(detail, '^[0-9]+')) FROM feed_gaps";
    world.wait_for(sql, "trimmed\t99").await;
    assert_eq!(world.query("SELECT count() FROM tick_data").await, "2");
    loader.stop().await;
}

/// A store restored older reads again what Redis still has of a flat stream; the rest is a gap, once.
#[tokio::test]
async fn what_a_store_restored_older_forgot_of_a_flat_stream_is_a_gap() {
    for (name, trimmed) in [("flat_restored", true), ("flat_restored_early", false)] {
        let world = World::new(name).await;
        let stream = format!("{name}:flat");
        let tick = [("instrument_token", "408065"), ("last_price", "1")];
        let options =
            || LoaderOptions { trim_grace: std::time::Duration::from_mins(10), ..LoaderOptions::default() };
        let loader = world.loader_with(options());
        let mut ids = Vec::new();
        for _ in 0..3 {
            ids.push(add(&world, &stream, &tick).await);
        }
        world.wait_for("SELECT count() FROM tick_data", "3").await;
        loader.caught_up().await;
        let saved = "SELECT number FROM loader_seals WHERE state = 'stored' ORDER BY number DESC LIMIT 1";
        let saved = world.query(saved).await;
        for _ in 0..4 {
            ids.push(add(&world, &stream, &tick).await);
        }
        world.wait_for("SELECT count() FROM tick_data", "7").await;
        loader.caught_up().await;
        loader.stop().await;
        // restored to what it was after three entries
        let later = format!("(SELECT batch_id FROM loader_seals WHERE number > {saved})");
        for table in ["tick_data", "loader_seals"] {
            world
                .run(&format!(
                    "ALTER TABLE {table} DELETE WHERE batch_id IN {later} SETTINGS mutations_sync = 2"
                ))
                .await;
        }
        if trimmed {
            let mut redis = world.redis().await;
            let trim =
                redis::cmd("XTRIM").arg(&stream).arg("MINID").arg(&ids[5]).query_async(&mut redis).await;
            let _: u64 = trim.unwrap();
        }
        let there = if trimmed { "5\t5" } else { "7\t7" };
        for _ in 0..2 {
            let loader = world.loader_with(options());
            world.wait_for("SELECT count(), uniqExact(session, sequence) FROM tick_data", there).await;
            loader.caught_up().await;
            loader.stop().await;
        }
        let millis = |id: &str| id.split('-').next().unwrap().to_owned();
        let gap = "SELECT cause, stream, toUnixTimestamp64Milli(`from`), toUnixTimestamp64Milli(`to`) FROM feed_gaps";
        let expected = format!("lost\t{stream}\t{}\t{}", millis(&ids[2]), millis(&ids[5]));
        assert_eq!(world.query(gap).await, if trimmed { expected } else { String::new() });
    }
}
