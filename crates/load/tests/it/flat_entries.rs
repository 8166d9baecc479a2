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
