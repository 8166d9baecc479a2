//! What is streamed, against the ledger and the documented lengths.

use crate::client::{Client, DEADLINE, bytes_of, ledger, packets_of, simulator, tokens};
use futures_util::SinkExt as _;
use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};
use tickhouse_decode::Request;
use tickhouse_model::{Mode, PacketKind, Segment, Timestamp, Token};
use tickhouse_simulator::{Session, SimOptions};
use tokio_tungstenite::tungstenite::Message;

const NIFTY: Token = Token(256_265);
const INFY: Token = Token(408_065);

#[tokio::test]
async fn the_two_texts_come_before_anything_else() {
    let simulator = simulator(|_| {}).await;
    let mut client = Client::connect(&simulator).await;
    client.until(|client| client.texts.len() == 2).await;
    assert_eq!(client.texts[0]["type"], "instruments_meta");
    assert_eq!(client.texts[0]["data"]["count"], 200);
    assert_eq!((&client.texts[1]["type"], client.texts[1].get("data")), (&"app_code".into(), None));
    let timestamp = client.texts[1]["timestamp"].as_str().unwrap();
    assert!(timestamp.len() == 25 && timestamp.ends_with("+05:30"), "{timestamp}");
    assert!(client.frames.is_empty());
}

#[tokio::test]
async fn every_mode_has_its_length_and_begins_with_a_snapshot() {
    let simulator = simulator(|options| options.rate = 0.0).await;
    for (mode, index, share) in [
        (Some(Mode::Ltp), PacketKind::Ltp, PacketKind::Ltp),
        (Some(Mode::Quote), PacketKind::IndexQuote, PacketKind::Quote),
        (Some(Mode::Full), PacketKind::IndexFull, PacketKind::Full),
        (None, PacketKind::IndexQuote, PacketKind::Quote),
    ] {
        let mut client = Client::connect(&simulator).await;
        let both = vec![NIFTY, INFY];
        let request =
            mode.map_or_else(|| Request::Subscribe(both.clone()), |mode| Request::Mode(mode, both.clone()));
        client.send(&request).await;
        client.until(|client| client.packets().len() == 2).await;
        let kinds: Vec<_> = client.packets().iter().map(|packet| (packet.token, packet.kind)).collect();
        assert_eq!(kinds, [(NIFTY, index), (INFY, share)], "{mode:?}");
        client.socket.close(None).await.unwrap();
    }
}

#[tokio::test]
async fn everything_that_is_received_is_in_the_ledger_and_the_other_way_round() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ledger.ndjson");
    let simulator = simulator(|options| options.ledger = Some(path.clone())).await;
    let all = tokens(&simulator);
    let mut clients = Vec::new();
    for mode in [Mode::Ltp, Mode::Quote, Mode::Full] {
        let mut client = Client::connect(&simulator).await;
        client.subscribe(mode, &all).await;
        client.until(|client| client.packets().len() > 1_000).await;
        clients.push(client);
    }
    simulator.pause().await;
    let sent = simulator.counters();
    let (mut frames, mut packets) = (0, 0);
    for (place, client) in clients.iter_mut().enumerate() {
        let lines = ledger(&path, "frame");
        let own: Vec<_> = lines.iter().filter(|line| line["c"] == place + 1).collect();
        client.until(|client| client.frames.len() == own.len()).await;
        for (n, (line, frame)) in own.iter().zip(&client.frames).enumerate() {
            assert_eq!(line["n"], n + 1);
            assert_eq!(line["packets"], packets_of(frame).len());
            assert_eq!(&bytes_of(line), frame);
        }
        frames += client.frames.len() as u64;
        packets += client.packets().len() as u64;
        let kinds: HashSet<_> = client.packets().iter().map(|packet| packet.kind).collect();
        assert_eq!(kinds.len(), if place == 0 { 1 } else { 2 }, "{kinds:?}");
    }
    assert_eq!((sent.frames_sent, sent.packets_sent), (frames, packets));
    assert_eq!((sent.connections, sent.subscribed_tokens), (3, 600));
    assert_eq!(
        (ledger(&path, "open").len(), ledger(&path, "request").len(), ledger(&path, "text").len()),
        (3, 3, 6)
    );
    drop(clients);
    simulator.stop().await;
    assert_eq!(ledger(&path, "close").len(), 3);
}

#[tokio::test]
async fn after_a_pause_only_heartbeats_come_until_it_resumes() {
    let simulator = simulator(|options| options.packets_per_frame = Some(20)).await;
    let mut client = Client::connect(&simulator).await;
    client.subscribe(Mode::Full, &tokens(&simulator)).await;
    client.until(|client| client.frames.len() > 30).await;
    simulator.pause().await;
    let sent = simulator.counters();
    client.until(|client| client.packets().len() as u64 == sent.packets_sent).await;
    client.until(|client| client.heartbeats == 2).await;
    assert_eq!(simulator.counters().frames_sent, sent.frames_sent);
    assert_eq!(client.frames.len() as u64, sent.frames_sent);
    let sizes: HashMap<usize, usize> =
        client.frames.iter().map(|frame| packets_of(frame).len()).fold(HashMap::new(), |mut sizes, size| {
            *sizes.entry(size).or_default() += 1;
            sizes
        });
    assert!(sizes[&20] + 1 >= client.frames.len(), "all but the last have exactly 20: {sizes:?}");
    simulator.resume().await;
    client.until(|client| client.frames.len() as u64 > sent.frames_sent + 5).await;
}

#[tokio::test]
async fn a_later_packet_continues_the_snapshot() {
    let simulator = simulator(|_| {}).await;
    let mut client = Client::connect(&simulator).await;
    client.subscribe(Mode::Full, &tokens(&simulator)).await;
    client.until(|client| client.packets().len() > 3_000).await;
    let mut last = HashMap::new();
    for packet in client.packets() {
        if let Some(before) = last.insert(packet.token, packet) {
            assert!(packet.volume >= before.volume && packet.exchange_timestamp >= before.exchange_timestamp);
        }
    }
    assert_eq!(last.len(), 200, "every token had its snapshot");
    let segments: HashSet<Segment> = last.keys().map(|token| token.segment()).collect();
    assert_eq!(segments.len(), 9, "{segments:?}");
}

#[tokio::test]
async fn strings_and_unknown_tokens_are_passed_over_and_unsubscribing_ends_the_data() {
    let simulator = simulator(|options| options.rate = 500.0).await;
    let mut client = Client::connect(&simulator).await;
    for text in [r#"{"a":"subscribe","v":["256265"]}"#, r#"{"a":"subscribe","v":[1,2,3]}"#, "nonsense", "{}"]
    {
        client.socket.send(Message::text(text)).await.unwrap();
    }
    client.socket.send(Message::binary(vec![1, 2, 3])).await.unwrap();
    client.subscribe(Mode::Ltp, &[NIFTY]).await;
    client.until(|client| client.packets().len() > 3).await;
    assert!(client.packets().iter().all(|packet| packet.token == NIFTY && packet.kind == PacketKind::Ltp));
    client.send(&Request::Unsubscribe(vec![NIFTY])).await;
    let deadline = Instant::now() + DEADLINE;
    while simulator.counters().subscribed_tokens > 0 {
        assert!(Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let sent = simulator.counters().frames_sent;
    client.until(|client| client.heartbeats == 1).await;
    assert_eq!(simulator.counters().frames_sent, sent);
    client.send(&Request::Subscribe(vec![NIFTY])).await;
    client
        .until(|client| client.packets().last().is_some_and(|packet| packet.kind == PacketKind::IndexQuote))
        .await;
}

#[tokio::test]
async fn ticks_carry_the_clocks_present() {
    let at = Timestamp::from_millis(1_795_156_200_000);
    let simulator = simulator(|options| options.clock = tickhouse_telemetry::Clock::manual(at)).await;
    let mut client = Client::connect(&simulator).await;
    client.subscribe(Mode::Full, &[NIFTY]).await;
    client.until(|client| client.packets().len() > 5).await;
    assert!(client.packets().iter().all(|packet| packet.exchange_time() == at));
}

#[tokio::test]
async fn the_rate_is_that_of_all_subscriptions_together() {
    let simulator = simulator(|options| options.rate = 10_000.0).await;
    let mut client = Client::connect(&simulator).await;
    client.subscribe(Mode::Full, &tokens(&simulator)).await;
    client.until(|client| !client.frames.is_empty()).await;
    let (from, began) = (client.packets().len(), Instant::now());
    while began.elapsed() < Duration::from_secs(1) {
        client.next().await;
    }
    let rate = (client.packets().len() - from) as f64 / began.elapsed().as_secs_f64();
    // on a busy machine the market may be held up, but it never hurries
    assert!((5_000.0..13_000.0).contains(&rate), "{rate} packets/s");
}

#[tokio::test]
async fn an_opening_burst_is_faster_than_the_rate() {
    let simulator = simulator(|options| options.opening_burst = 8.0).await;
    let began = Instant::now();
    while simulator.counters().updates < 6_000 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    // at the plain 2,000 a second it would take three seconds
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_closed_exchange_answers_subscriptions_and_sends_nothing_else() {
    let noon = Timestamp::from_millis(1_795_156_200_000);
    let simulator = simulator(|options| {
        options.clock = tickhouse_telemetry::Clock::manual(noon);
        options.session = Session::Window { open: 13 * 3_600, close: 14 * 3_600 };
    })
    .await;
    let mut client = Client::connect(&simulator).await;
    client.subscribe(Mode::Full, &tokens(&simulator)).await;
    client.until(|client| client.heartbeats == 1).await;
    assert_eq!((client.packets().len(), simulator.counters().updates), (200, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_full_speed_nothing_is_lost() {
    let simulator = simulator(|options| {
        *options = SimOptions { rate: 5_000_000.0, instruments: 3_000, ..SimOptions::default() };
    })
    .await;
    // the market stands until the client has its snapshots: what it does before reaches nobody
    simulator.pause().await;
    let before = simulator.counters().updates;
    let mut client = Client::connect(&simulator).await;
    client.subscribe(Mode::Full, &tokens(&simulator)).await;
    client.until(|client| client.packets().len() == 3_000).await;
    simulator.resume().await;
    let began = Instant::now();
    client.until(|client| client.frames.len() > 500).await;
    simulator_pause_while_reading(&simulator, &mut client).await;
    let sent = simulator.counters();
    client.until(|client| client.frames.len() as u64 == sent.frames_sent).await;
    let packets = client.packets().len() as u64;
    println!("{packets} packets in {:?}", began.elapsed());
    assert_eq!(packets, sent.packets_sent);
    assert_eq!(packets - 3_000, sent.updates - before, "the snapshot and every update");
}

/// A pause waits for clients that do not read, so this one reads meanwhile.
async fn simulator_pause_while_reading(simulator: &tickhouse_simulator::Simulator, client: &mut Client) {
    let pause = simulator.pause();
    tokio::pin!(pause);
    loop {
        tokio::select! {
            () = &mut pause => return,
            ended = client.next() => assert_eq!(ended, None),
        }
    }
}
