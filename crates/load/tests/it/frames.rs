//! Records into rows.

use crate::world::{World, packet};
use tickhouse_decode::FrameBuilder;
use tickhouse_model::{Gap, GapCause, Packet, PacketKind, RecordKind, SnapshotMarks, Timestamp, Token};

#[tokio::test]
async fn every_packet_becomes_a_row_and_every_record_a_line_of_the_ledger() {
    let mut world = World::new("load_rows").await;
    let loader = world.loader();
    world.send(RecordKind::Connect, b"{}".to_vec(), vec![]).await;
    world.send_frames(50, 7).await;
    world.send(RecordKind::Frame, vec![0], vec![]).await;
    world.send(RecordKind::Text, b"{\"type\":\"app_code\"}".to_vec(), vec![]).await;
    world.send_frames(50, 7).await;
    world.wait_stored().await;
    loader.caught_up().await;
    world.assert_exact().await;
    let counters = loader.counters();
    assert_eq!((counters.frames_stored, counters.packets, counters.ticks_stored), (103, 700, 700));
    assert_eq!((counters.quarantined, counters.surplus_rows, counters.holes), (0, 0, 0));
    assert_eq!(counters.queryable.count, 700);
    loader.stop().await;
}

#[tokio::test]
async fn enrichment_snapshots_and_indices() {
    let mut world = World::new("load_enrich").await;
    let loader = world.loader();
    let infy = Packet { last_price: 157_370, ..Packet::empty(Token(408_065), PacketKind::Full) };
    let nifty = Packet {
        last_price: 2_400_005,
        close_price: 2_408_000,
        net_change: -7_995,
        ..Packet::empty(Token(256_265), PacketKind::IndexFull)
    };
    let crude = Packet { last_price: 85_730_000, ..Packet::empty(Token::new(99, 12), PacketKind::Ltp) };
    let mut builder = FrameBuilder::default();
    [infy, nifty, crude].iter().for_each(|packet| builder.push(packet));
    world
        .send_marked(
            RecordKind::Frame,
            builder.take(),
            vec![infy, nifty, crude],
            SnapshotMarks::Some(vec![1]),
        )
        .await;
    world.wait_stored().await;
    let sql = "SELECT instrument_token, symbol, exchange, packet_type, session_type, data_quality, snapshot, \
               last_price, net_change, instrument_type, date = toDate(timestamp), hour = toHour(timestamp) \
               FROM tick_data ORDER BY instrument_token";
    let crude_token = Token::new(99, 12).0;
    let expected = format!(
        "{crude_token}\t\tNCO\tltp\tregular\traw\tfalse\t8573\t0\t\t1\t1\n\
         256265\tNIFTY\tNSE\tindex_full\tregular\tenriched\ttrue\t24000.05\t-79.95\tINDEX\t1\t1\n\
         408065\tINFY\tNSE\tfull\tregular\tenriched\tfalse\t1573.7\t0\tEQ\t1\t1"
    );
    assert_eq!(world.query(sql).await, expected);
    let index = "SELECT symbol, last_price, net_change, close FROM indices_data";
    assert_eq!(world.query(index).await, "NIFTY\t24000.05\t-79.95\t24080");
    loader.stop().await;
}

#[tokio::test]
async fn what_cannot_be_read_is_quarantined_and_the_rest_goes_on() {
    let mut world = World::new("load_quarantine").await;
    let loader = world.loader();
    let (first, last) = (packet(1), packet(2));
    let mut builder = FrameBuilder::default();
    builder.push(&first);
    builder.push_raw(&[7; 164]);
    builder.push(&last);
    world.send(RecordKind::Frame, builder.take(), vec![first, last]).await;
    // cut in the second packet
    builder.push(&first);
    builder.push(&last);
    let mut cut = builder.take();
    cut.truncate(300);
    world.send(RecordKind::Frame, cut, vec![first]).await;
    world.send(RecordKind::Gap, b"no gap".to_vec(), vec![]).await;
    world.wait_stored().await;
    let rows = "SELECT sequence, packet_index, reason, length(payload) FROM quarantine ORDER BY sequence";
    assert_eq!(
        world.query(rows).await,
        "1\t1\tunknown_length\t164\n2\t1\tmalformed\t300\n3\t0\tgap_record\t6"
    );
    // rows of the two good halves are there; the place of `last` in its frame is 2
    assert_eq!(world.query("SELECT groupArray((sequence, packet_index)) FROM (SELECT sequence, packet_index FROM tick_data ORDER BY 1, 2)").await, "[(1,0),(1,2),(2,0)]");
    let balance = "SELECT sum(packets), sum(ticks), sum(quarantined) FROM frames";
    assert_eq!(world.query(balance).await, "6\t3\t3");
    loader.caught_up().await;
    let mut redis = world.redis().await;
    let dead: u64 = redis::cmd("XLEN").arg("load_quarantine:dead").query_async(&mut redis).await.unwrap();
    assert_eq!(dead, 3);
    loader.stop().await;
}

#[tokio::test]
async fn a_gap_record_becomes_a_row() {
    let mut world = World::new("load_gap").await;
    let loader = world.loader();
    let gap = Gap {
        from: Timestamp::from_millis(1_763_609_400_000),
        to: Timestamp::from_millis(1_763_609_405_250),
        cause: GapCause::HeartbeatsOnly,
        detail: "test".to_owned(),
        tokens: vec![Token(408_065), Token(256_265)],
    };
    world.send(RecordKind::Gap, serde_json::to_vec(&gap).unwrap(), vec![]).await;
    world.wait_stored().await;
    let sql = "SELECT `from`, `to`, cause, tokens, recorder, sequence FROM feed_gaps";
    let expected =
        "2025-11-20 09:00:00.000\t2025-11-20 09:00:05.250\theartbeats_only\t[408065,256265]\tr1\t1";
    world.wait_for(sql, expected).await;
    loader.stop().await;
}

/// Somebody XADDs into a stream that only its publisher may write.
#[tokio::test]
async fn a_foreign_entry_is_buried_and_the_stream_mended() {
    let mut world = World::new("load_foreign").await;
    let loader = world.loader();
    world.send_frames(20, 2).await;
    world.wait_stored().await;
    let mut redis = world.redis().await;
    let stream = world.redis.frame_stream("r1", 0);
    let added: String = redis::cmd("XADD")
        .arg(stream.name())
        .arg("*")
        .arg("garbage")
        .arg("true")
        .query_async(&mut redis)
        .await
        .unwrap();
    assert!(added > format!("{}-0", world.session()), "its id is past the session's");
    world.wait_for("SELECT reason FROM quarantine", "foreign_entry").await;
    world.send_frames(20, 2).await;
    world.wait_stored().await;
    loader.caught_up().await;
    world.assert_exact().await;
    loader.stop().await;
}
