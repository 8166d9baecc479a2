//! Migrations, the brief's queries, users, what reads a projection.

use crate::{ask, empty_store, insert, run, store, tick};
use std::time::{SystemTime, UNIX_EPOCH};
use tickhouse_embed::testkit::TestEngine;
use tickhouse_model::{FrameId, Timestamp};
use tickhouse_store::{
    Deduplicate, MIGRATIONS, Partitioning, SchemaOptions, Store, StoreError, StoreOptions, Tick,
    TickIdentity, TickInstrument, create_users, migrate, reader_grants, writer_grants,
};
use uuid::Uuid;

#[expect(
    clippy::disallowed_methods,
    reason = "the brief's queries ask for the server's today, which is the real one"
)]
fn now() -> Timestamp {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Timestamp::from_millis(i64::try_from(now.as_millis()).unwrap())
}

#[tokio::test]
async fn migrating_twice_changes_nothing_and_strange_databases_are_refused() {
    let store = empty_store("migrations_twice").await;
    let options = SchemaOptions::default();
    let dry = migrate(&store, options, true).await.unwrap();
    assert_eq!(dry.applied.len(), MIGRATIONS.len());
    let first = migrate(&store, options, false).await.unwrap();
    assert_eq!((first.applied, first.present), (dry.applied, 0));
    let tables = ask(&store, "SHOW TABLES").await;
    let second = migrate(&store, options, false).await.unwrap();
    assert_eq!((second.applied.len(), second.present as usize), (0, MIGRATIONS.len()));
    assert_eq!(ask(&store, "SHOW TABLES").await, tables);

    // an interrupted run left the tables but not the record
    run(&store, "ALTER TABLE migrations DELETE WHERE number > 1 SETTINGS mutations_sync = 1").await;
    assert_eq!(migrate(&store, options, false).await.unwrap().applied.len(), MIGRATIONS.len() - 1);

    run(&store, "INSERT INTO migrations (number, name, checksum) VALUES (2, 'ledger', 7)").await;
    let error = migrate(&store, options, false).await.unwrap_err();
    assert!(matches!(error, StoreError::MigrationChanged { number: 2, .. }), "{error}");
    run(&store, "TRUNCATE TABLE migrations").await;
    run(&store, "INSERT INTO migrations (number, name, checksum) VALUES (999, 'future', 7)").await;
    let error = migrate(&store, options, false).await.unwrap_err();
    assert!(matches!(error, StoreError::SchemaNewer { number: 999, .. }), "{error}");
}

#[tokio::test]
async fn a_ttl_of_an_earlier_version_goes_and_partitions_stay() {
    let store = empty_store("ttl").await;
    migrate(&store, SchemaOptions { partitioning: Partitioning::Day }, false).await.unwrap();
    let engine = "SELECT engine_full FROM system.tables WHERE database = 'ttl' AND name = 'tick_data'";
    assert!(ask(&store, engine).await.contains("PARTITION BY date ORDER BY"));
    run(&store, "ALTER TABLE tick_data MODIFY TTL date + toIntervalDay(30)").await;
    assert!(ask(&store, engine).await.contains("TTL"));
    let dry = migrate(&store, SchemaOptions::default(), true).await.unwrap();
    assert_eq!((dry.retention.len(), dry.notes.len()), (1, 1), "{dry:?}");
    assert!(ask(&store, engine).await.contains("TTL"));
    assert_eq!(migrate(&store, SchemaOptions::default(), false).await.unwrap().retention, dry.retention);
    assert!(!ask(&store, engine).await.contains("TTL"));
}

/// Ticks of this moment: an index, two shares, an option.
async fn a_moment_of_market(store: &Store) {
    let now = now();
    let at = |token, symbol, instrument_type, packet_type, open_interest| Tick {
        instrument: TickInstrument {
            symbol,
            exchange: "NSE",
            tradingsymbol: symbol,
            instrument_type,
            ..TickInstrument::default()
        },
        exchange_timestamp: Timestamp::from_millis(now.as_millis() / 1000 * 1000),
        packet_type,
        open_interest,
        net_change: 3.0,
        ..tick(token, now)
    };
    let ticks = [
        at(256_265, "NIFTY", "INDEX", "index_full", 0),
        at(738_561, "RELIANCE", "EQ", "full", 0),
        at(408_065, "INFY", "EQ", "quote", 0),
        at(12_345_602, "NIFTY26NOV24000CE", "CE", "full", 77_000),
    ];
    insert(store, Uuid::from_u128(1), &ticks, Deduplicate::ByToken).await;
    run(
        store,
        "INSERT INTO token_metadata (instrument_token, symbol, tradingsymbol, exchange, instrument_type) \
         SETTINGS async_insert = 0 SELECT DISTINCT instrument_token, symbol, tradingsymbol, exchange, instrument_type FROM tick_data",
    )
    .await;
    run(store, "SYSTEM REFRESH VIEW hot_token_metadata").await;
    run(store, "SYSTEM WAIT VIEW hot_token_metadata").await;
}

#[tokio::test]
async fn every_query_of_the_brief_runs_unchanged_and_finds_rows() {
    let store = store("brief").await;
    a_moment_of_market(&store).await;
    run(&store, "SYSTEM FLUSH LOGS query_log").await;
    let text = include_str!("../data/brief-queries.sql");
    let queries: Vec<&str> = text.split(";\n").map(str::trim).filter(|query| !query.is_empty()).collect();
    assert_eq!(queries.len(), 19);
    for query in queries {
        let answer = ask(&store, query).await;
        assert!(!answer.is_empty(), "no rows: {query}");
    }
    // Grafana's, with the macros as the plug-in expands them
    let seconds = now().as_seconds();
    let chart = format!(
        "SELECT toDateTime(timestamp) as time, last_price as value FROM tick_data WHERE timestamp >= toDateTime({}) \
         AND timestamp <= toDateTime({}) AND symbol = 'NIFTY' ORDER BY timestamp",
        seconds - 600,
        seconds + 600
    );
    assert_eq!(ask(&store, &chart).await.lines().count(), 1);
}

#[tokio::test]
async fn index_packets_reach_the_table_of_indices() {
    let store = store("indices").await;
    a_moment_of_market(&store).await;
    let sql = "SELECT symbol, last_price, net_change, round(percent_change, 4), open, high, low, close, volume, \
               date = toDate(timestamp), hour = toHour(timestamp) FROM indices_data";
    assert_eq!(ask(&store, sql).await, "NIFTY\t100\t3\t3.0928\t99\t101\t98\t97\t1000\t1\t1");
}

#[tokio::test]
async fn a_batch_is_counted_from_the_projection() {
    for (database, partitioning) in
        [("projection_hour", Partitioning::Hour), ("projection_day", Partitioning::Day)]
    {
        let store = empty_store(database).await;
        migrate(&store, SchemaOptions { partitioning }, false).await.unwrap();
        let begin = Timestamp::from_millis(1_763_610_000_000);
        let batches: Vec<Uuid> = (1..=4).map(Uuid::from_u128).collect();
        let mut partitions = Vec::new();
        for (number, batch) in batches.iter().enumerate() {
            let ticks: Vec<Tick<'_>> = (0..5_000)
                .map(|index| {
                    tick(index * 256 + 1, Timestamp::from_millis(begin.as_millis() + number as i64 * 1000))
                })
                .collect();
            partitions = insert(&store, *batch, &ticks, Deduplicate::ByToken).await;
        }
        let counted = store.count_ticks(batches[2], &partitions).await.unwrap();
        assert_eq!(counted.into_values().collect::<Vec<_>>(), [5_000]);
        let sql = format!(
            "SELECT count() FROM tick_data WHERE date = '2025-11-20' AND hour = 9 AND batch_id = '{}'",
            batches[2]
        );
        assert_eq!(ask(&store, &sql).await, "5000", "the hour of the batch is 9");
        let plan = ask(&store, &format!("EXPLAIN {sql}")).await;
        assert!(plan.contains("batch_rows"), "{plan}");
    }
}

#[tokio::test]
async fn a_repeat_is_refused_by_its_token_in_table_and_views() {
    let store = store("repeat").await;
    let at = Timestamp::from_millis(1_763_610_000_000);
    let ticks = [Tick { packet_type: "index_full", ..tick(256_265, at) }];
    for _ in 0..3 {
        insert(&store, Uuid::from_u128(5), &ticks, Deduplicate::ByToken).await;
    }
    let counts = "SELECT (SELECT count() FROM tick_data), (SELECT count() FROM indices_data), \
                  (SELECT sum(tick_count) FROM tick_data_1min)";
    assert_eq!(ask(&store, counts).await, "1\t1\t1");
}

#[tokio::test]
async fn marks_follow_the_stored_seals() {
    use tickhouse_store::{Seal, SealRange};
    let store = store("marks").await;
    let seal = |number, last| Seal {
        loader: "l".to_owned(),
        fence: 1,
        number,
        ranges: vec![SealRange { origin: "r/0".to_owned(), epoch: 0, first: (9, 1), last, entries: 1 }],
        partitions: Vec::new(),
        frames: 0,
        quarantined: 0,
        gaps: 0,
        news: 0,
        indices: 0,
    };
    store.record_sealed(&seal(1, (9, 5)), now()).await.unwrap();
    assert!(store.marks().await.unwrap().is_empty(), "sealed is not stored");
    for (number, last) in [(1, (9, 5)), (2, (10, 2)), (3, (9, 99))] {
        store.record_stored(&seal(number, last), now()).await.unwrap();
    }
    assert_eq!(store.marks().await.unwrap()["r/0"].last, (10, 2));
}

#[tokio::test]
async fn a_flat_entry_keeps_its_identity() {
    let store = store("flat").await;
    let identity = TickIdentity {
        recorder: "",
        frame: FrameId { session: 1_763_610_000_123, socket: 0, sequence: 4 },
        packet_index: 0,
        stream: "ticks:stream",
        epoch: 2,
    };
    let ticks = [Tick { identity, packet_type: "", ..tick(1, Timestamp::from_millis(1_763_610_000_500)) }];
    insert(&store, Uuid::from_u128(9), &ticks, Deduplicate::ByToken).await;
    let sql = "SELECT stream, epoch, session, sequence, toString(timestamp) FROM tick_data";
    assert_eq!(ask(&store, sql).await, "ticks:stream\t2\t1763610000123\t4\t2025-11-20 09:10:00.500");
}

/// The engine that is embedded has these users by a file, with the grants that `migrate` gives on a server.
#[tokio::test]
async fn writer_and_reader_may_what_they_need_and_no_more() {
    let engine = TestEngine::shared().await;
    let passwords = engine.engine().credentials();
    let of = |user: &str, password: &str| {
        Store::new(StoreOptions {
            database: "trading".to_owned(),
            user: user.to_owned(),
            password: password.to_owned(),
            ..StoreOptions::at(engine.url())
        })
    };
    let writer = of("tickhouse_writer", &passwords.writer_password);
    // ALL on a database is all that can be granted on one, which is less than all that there is
    let all = "SELECT, INSERT, ALTER, CREATE DATABASE, CREATE TABLE, CREATE VIEW, DROP DATABASE, DROP TABLE, DROP VIEW, TRUNCATE, OPTIMIZE ON";
    for grant in writer_grants("trading").iter().map(|grant| grant.replace("ALL ON", all)) {
        assert_eq!(ask(&writer, &format!("CHECK GRANT {grant}")).await, "1", "{grant}");
    }
    let report = migrate(&writer, SchemaOptions::default(), false).await.unwrap();
    assert_eq!(report.applied.len(), MIGRATIONS.len());
    let ticks = [tick(1, Timestamp::from_millis(1_763_610_000_500))];
    insert(&writer, Uuid::from_u128(77), &ticks, Deduplicate::ByToken).await;
    for sql in ["CREATE DATABASE other", "CREATE USER other", "SELECT * FROM url('http://127.0.0.1:1', CSV)"]
    {
        let refused = writer.client().query_raw(sql).execute().await.unwrap_err();
        assert!(refused.to_string().contains("ACCESS_DENIED"), "{sql}: {refused}");
    }

    let reader = of("tickhouse_reader", &passwords.reader_password);
    for grant in reader_grants("trading") {
        assert_eq!(ask(&reader, &format!("CHECK GRANT {grant}")).await, "1", "{grant}");
    }
    assert_eq!(ask(&reader, "SELECT count() FROM tick_data").await, "1");
    for sql in [
        "SELECT * FROM file('x', CSV)",
        "SELECT * FROM url('http://127.0.0.1:1', CSV)",
        "TRUNCATE TABLE tick_data",
    ] {
        assert!(reader.client().query_raw(sql).execute().await.is_err(), "{sql}");
    }
}

#[tokio::test]
async fn users_of_a_server_need_one_that_can_keep_them() {
    // the embedded engine has nowhere to write users: the error must say so instead of passing
    let store = store("users").await;
    let error = create_users(&store, "w", "r").await.unwrap_err();
    assert!(matches!(error, StoreError::Query { doing: "make the users", .. }), "{error}");
}
