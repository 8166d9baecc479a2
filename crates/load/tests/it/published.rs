//! News items and index values: the same promise as ticks.

use crate::world::World;
use tickhouse_load::LoaderOptions;
use tickhouse_store::{Seal, SealRange};

async fn add(world: &World, stream: &str, fields: &[(&str, &str)]) -> String {
    let mut redis = world.redis().await;
    let mut command = redis::cmd("XADD");
    command.arg(stream).arg("*");
    fields.iter().for_each(|(field, value)| {
        command.arg(field).arg(value);
    });
    command.query_async(&mut redis).await.unwrap()
}

fn news_stream(world: &World) -> String {
    world.redis.news_streams[0].clone()
}

fn indices_stream(world: &World) -> String {
    world.redis.indices_streams[0].clone()
}

#[tokio::test]
async fn a_news_item_lands_with_its_symbols() {
    let world = World::new("news_lands").await;
    let loader = world.loader();
    let fields = [
        ("id", "n-1"),
        ("source", "wire"),
        ("title", "Results today"),
        ("content", "Text"),
        ("link", "https://example.com/1"),
        ("published_at", "2024-02-01T10:15:30.250"),
        ("symbols", "['INFY', 'TCS']"),
        ("sentiment", "-0.5"),
        ("sentiment_confidence", "0.75"),
        ("categories", "[\"results\"]"),
    ];
    let id = add(&world, &news_stream(&world), &fields).await;
    // no symbols given: found in the title; no id and link: title and time
    add(&world, &news_stream(&world), &[("title", "Infosys wins deal"), ("published_at", "1700000000")])
        .await;
    let sql = "SELECT id, source, title, content, link, published_at, symbols, sentiment, sentiment_confidence, categories, \
               date, stream, concat(session, '-', sequence), epoch FROM news_data WHERE source = 'wire'";
    let expected = format!(
        "n-1\twire\tResults today\tText\thttps://example.com/1\t2024-02-01 10:15:30.250\t['INFY','TCS']\t-0.5\t0.75\t\
         ['results']\t2024-02-01\t{}\t{id}\t0",
        news_stream(&world)
    );
    world.wait_for(sql, &expected).await;
    let found = "SELECT id, symbols, date FROM news_data WHERE source = ''";
    world.wait_for(found, "Infosys wins deal@1700000000000\t['INFY']\t2023-11-15").await;
    loader.stop().await;
}

#[tokio::test]
async fn index_values_land_beside_those_of_ticks_and_are_counted_apart() {
    let mut world = World::new("indices_land").await;
    let loader = world.loader();
    // values of many months in one batch, with index packets in the same batches
    let nifty = tickhouse_model::Packet {
        last_price: 2_400_005,
        close_price: 2_408_000,
        ..tickhouse_model::Packet::empty(
            tickhouse_model::Token(256_265),
            tickhouse_model::PacketKind::IndexFull,
        )
    };
    for month in 1..=12 {
        let at = format!("2025-{month:02}-28T15:30:00");
        let fields =
            [("symbol", "NIFTY 50"), ("timestamp", at.as_str()), ("last_price", "24000"), ("close", "25000")];
        add(&world, &indices_stream(&world), &fields).await;
        let mut builder = tickhouse_decode::FrameBuilder::default();
        builder.push(&nifty);
        world.send(tickhouse_model::RecordKind::Frame, builder.take(), vec![nifty]).await;
    }
    add(&world, &indices_stream(&world), &[("instrument_token", "256265"), ("last_price", "1")]).await;
    let sql = "SELECT instrument_token, count(), uniqExact(date), any(percent_change) FROM indices_data \
               WHERE stream != '' AND symbol = 'NIFTY 50' GROUP BY instrument_token";
    world.wait_for(sql, "256265\t12\t12\t-4").await;
    world.wait_for("SELECT symbol FROM indices_data WHERE stream != '' AND last_price = 1", "NIFTY").await;
    world.wait_for("SELECT count() FROM indices_data WHERE stream = ''", "12").await;
    loader.caught_up().await;
    let counters = loader.counters();
    assert_eq!((counters.index_values_stored, counters.surplus_rows, counters.quarantined), (13, 0, 0));
    loader.stop().await;
}

#[tokio::test]
async fn malformed_items_are_quarantined_and_become_dead_letters() {
    let world = World::new("published_malformed").await;
    let loader = world.loader();
    add(&world, &news_stream(&world), &[("content", "no title")]).await;
    add(&world, &news_stream(&world), &[("title", "t"), ("sentiment", "11")]).await;
    add(&world, &indices_stream(&world), &[("symbol", "NIFTY")]).await;
    add(&world, &news_stream(&world), &[("title", "good")]).await;
    let sql = "SELECT reason, count() FROM quarantine GROUP BY reason ORDER BY reason";
    world.wait_for(sql, "index_entry\t1\nnews_entry\t2").await;
    world.wait_for("SELECT title FROM news_data", "good").await;
    loader.caught_up().await;
    let mut redis = world.redis().await;
    let dead = format!("{}:dead", world.redis.namespace);
    let letters: u64 = redis::cmd("XLEN").arg(dead).query_async(&mut redis).await.unwrap();
    assert_eq!(letters, 3);
    loader.stop().await;
}

/// Loaders killed over and over, then seals without their confirmation and rows that are gone: every item once.
#[tokio::test]
async fn published_items_are_stored_once() {
    let world = World::new("published_once").await;
    // what is stored stays in Redis, so that batches can be made again
    let options = |batch_rows| LoaderOptions {
        batch_rows,
        trim_grace: std::time::Duration::from_hours(1),
        ..LoaderOptions::default()
    };
    for round in 0..6_u64 {
        let loader = world.loader_with(options(7));
        for item in 0..20 {
            let title = format!("{round}-{item}");
            add(&world, &news_stream(&world), &[("title", &title)]).await;
            let at = format!("2025-{:02}-10T10:00:00", item % 12 + 1);
            let value = (round * 20 + item).to_string();
            add(
                &world,
                &indices_stream(&world),
                &[("symbol", "NIFTY"), ("timestamp", &at), ("last_price", &value)],
            )
            .await;
        }
        tokio::time::sleep(std::time::Duration::from_millis(60 * round)).await;
        loader.kill();
    }
    let exact = "SELECT (SELECT (count(), uniqExact(title)) FROM news_data), \
                 (SELECT (count(), uniqExact(last_price)) FROM indices_data)";
    let loader = world.loader_with(options(50_000));
    world.wait_for(exact, "(120,120)\t(120,120)").await;
    loader.caught_up().await;
    loader.stop().await;
    for (table, filter) in [("news_data", "1"), ("indices_data", "toMonth(date) IN (3, 4)")] {
        let last = format!(
            "(SELECT argMax(batch_id, (fence, number)) FROM loader_seals WHERE {} > 0)",
            if table == "news_data" { "news" } else { "indices" }
        );
        let mutation = "SETTINGS mutations_sync = 2";
        world
            .run(&format!("ALTER TABLE {table} DELETE WHERE batch_id = {last} AND {filter} {mutation}"))
            .await;
        world
            .run(&format!(
                "ALTER TABLE loader_seals DELETE WHERE state = 'stored' AND batch_id = {last} {mutation}"
            ))
            .await;
        let loader = world.loader_with(options(50_000));
        world.wait_for(exact, "(120,120)\t(120,120)").await;
        loader.caught_up().await;
        assert_eq!(
            (world.query(exact).await.as_str(), loader.counters().surplus_rows),
            ("(120,120)\t(120,120)", 0)
        );
        loader.stop().await;
    }
}

/// A seal whose batch never reached the tables names its entries: they are made again from Redis.
#[tokio::test]
async fn a_sealed_batch_of_news_is_made_again_from_its_entries() {
    let world = World::new("published_sealed").await;
    let first = add(&world, &news_stream(&world), &[("title", "one")]).await;
    let last = add(&world, &news_stream(&world), &[("title", "two")]).await;
    let id = |text: &str| {
        let (ms, seq) = text.split_once('-').unwrap();
        (ms.parse().unwrap(), seq.parse().unwrap())
    };
    let range =
        SealRange { origin: news_stream(&world), epoch: 0, first: id(&first), last: id(&last), entries: 2 };
    let seal = Seal {
        loader: "loader".to_owned(),
        fence: 1,
        number: 1,
        ranges: vec![range],
        partitions: vec![],
        frames: 0,
        quarantined: 0,
        gaps: 0,
        news: 2,
        indices: 0,
    };
    world.store.record_sealed(&seal, world.clock.now()).await.unwrap();
    let loader = world.loader();
    let batch = seal.batch_id();
    world
        .wait_for(
            &format!("SELECT count(), uniqExact(title) FROM news_data WHERE batch_id = '{batch}'"),
            "2\t2",
        )
        .await;
    loader.caught_up().await;
    assert_eq!(world.query("SELECT count() FROM news_data").await, "2");
    loader.stop().await;
}

/// What an import wrote again after Redis lost it has the same ids: no new epoch, nothing twice.
#[tokio::test]
async fn an_import_that_is_written_again_is_stored_once() {
    let world = World::new("imported_again").await;
    let stream = world.redis.import_stream("old").name().to_owned();
    let mut redis = world.redis().await;
    let loader = world.loader();
    for attempt in 0..2 {
        let register =
            redis::cmd("SADD").arg(format!("{}:streams", world.redis.namespace)).arg(&stream).to_owned();
        let _: u64 = register.query_async(&mut redis).await.unwrap();
        for sequence in 1..=50 + attempt {
            let id = format!("480000-{sequence}");
            let fields =
                ["instrument_token", "408065", "timestamp", "2025-10-10T10:00:00", "last_price", "1"];
            let added =
                redis::cmd("XADD").arg(&stream).arg(id).arg(&fields[..]).query_async(&mut redis).await;
            let _: String = added.unwrap();
        }
        let expected = (50 + attempt).to_string();
        world.wait_for("SELECT uniqExact(session, sequence) FROM tick_data", &expected).await;
        let _: u64 = redis::cmd("DEL").arg(&stream).query_async(&mut redis).await.unwrap();
    }
    assert_eq!(world.query("SELECT count(), max(epoch) FROM tick_data").await, "51\t0");
    loader.stop().await;
}
