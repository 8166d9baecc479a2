//! What browsers get, at their own pace.

use super::{Client, LONG_AGO, World};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tickhouse_live::TICKS_KEPT;
use tickhouse_model::{Packet, PacketKind, Token};
use tickhouse_web::Limits;

/// Token and last price of each row.
fn prices(message: &Value) -> Vec<(u64, f64)> {
    let rows = message["rows"].as_array().unwrap();
    rows.iter().map(|row| (row[0].as_u64().unwrap(), row[2].as_f64().unwrap())).collect()
}

#[tokio::test]
async fn a_watch_gives_what_is_then_what_changes() {
    let world = World::start(Limits::default()).await;
    (1..=3).for_each(|token| world.tick(token, 100));
    let mut client = world.client().await;
    client.say(r#"{"op":"watch","instruments":[1,2,9,2]}"#).await;
    let first = client.next_of("quotes").await;
    assert_eq!(first["fields"][0], "instrument_token");
    assert_eq!(prices(&first), [(1, 1.0), (2, 1.0)]);
    world.tick(3, 200);
    world.tick(2, 300);
    let second = client.next_of("quotes").await;
    assert!(second.get("fields").is_none() && prices(&second) == [(2, 3.0)], "{second}");
    world.tick(9, 400);
    assert_eq!(prices(&client.next_of("quotes").await), [(9, 4.0)], "one that had no state before");
    let mut old = Packet::empty(Token(9), PacketKind::Ltp);
    old.last_price = 1;
    world.market.take(LONG_AGO, std::iter::once((old, false)));
    client.say(r#"{"op":"watch","instruments":[9]}"#).await;
    assert_eq!(prices(&client.next_of("quotes").await), [(9, 4.0)], "never back");

    client.say(r#"{"op":"health","on":true}"#).await;
    world.health.send_replace(Some(r#"{"state":"ok"}"#.into()));
    assert_eq!(client.next_of("health").await["health"], json!({ "state": "ok" }));
    assert_eq!(world.get("/v1/health").await, (200, r#"{"state":"ok"}"#.to_owned()));
    world.web.close();
    assert_eq!(client.end().await, Some(1_012), "service restart");
    world.until("end of the client", || world.web.counts().clients == 0).await;
    assert_eq!(world.market.counts().viewers, 0);
}

#[tokio::test]
async fn quotes_keep_their_distance_and_ticks_are_all_there() {
    let world = World::start(Limits::default()).await;
    world.tick(7, 1);
    let mut client = world.client().await;
    client.say(r#"{"op":"focus","instrument":7}"#).await;
    client.say(r#"{"op":"watch","instruments":[7]}"#).await;
    // the focus before it is heard
    client.next_of("quotes").await;
    let begun = Instant::now();
    let (mut quotes, mut ticks, mut last) = (0, 0, 0.0);
    for price in 2..=400 {
        world.tick(7, price);
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    while ticks < 399 || last < 4.0 {
        let message = client.next().await;
        if message["type"] == "quotes" {
            quotes += 1;
            last = prices(&message)[0].1;
        } else {
            ticks += message["ticks"].as_array().unwrap().len() as u64 + message["skipped"].as_u64().unwrap();
        }
    }
    assert_eq!(ticks, 399);
    let most = begun.elapsed().as_millis() / 20 + 2;
    assert!(quotes <= most, "{quotes} messages, {most} may be");
    assert!(world.web.counts().socket_to_browser.count > 0);
}

/// Fifty browsers at 20,000 ticks a second, five of which take nothing.
#[tokio::test]
async fn who_takes_nothing_holds_up_nobody() {
    const TOKENS: u32 = 500;
    const READ: usize = 50;
    let limits = Limits { stall: Duration::from_millis(500), ..Limits::default() };
    let world = World::start(limits).await;
    // of one segment: the last byte of a token divides its prices
    let all: Vec<u32> = (1..=TOKENS).map(|number| number << 8 | 1).collect();
    let watch = |tokens: &[u32]| json!({ "op": "watch", "instruments": tokens }).to_string();
    let mut stalled = Vec::new();
    for _ in 0..5 {
        let mut client = world.client_with(Some(4_096)).await;
        client.say(watch(&all)).await;
        client.say(r#"{"op":"focus","instrument":1}"#).await;
        stalled.push(client);
    }
    let mut readers = Vec::new();
    for _ in 0..45 {
        let mut client = world.client().await;
        client.say(watch(&all[..READ])).await;
        readers.push(tokio::spawn(read_until(client, READ)));
    }
    let (begun, mut price) = (Instant::now(), 0);
    while begun.elapsed() < Duration::from_secs(2) || world.web.counts().clients_stalled < 5 {
        assert!(begun.elapsed() < super::PATIENCE, "{:?}", world.web.counts());
        price += 1;
        for token in &all {
            let packet = Packet { last_price: price, ..Packet::empty(Token(*token), PacketKind::Full) };
            world.market.take(tickhouse_telemetry::Clock::system().now(), std::iter::once((packet, false)));
        }
        world.market.tell();
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    for token in &all {
        world.tick(*token, 1_000_000);
    }
    for reader in readers {
        let seen = reader.await.unwrap();
        assert!(
            seen.values().all(|price| price.to_bits() == 10_000_f64.to_bits()),
            "the newest state of each"
        );
    }
    let counts = world.market.counts();
    assert!(counts.ticks >= u64::from(TOKENS) * (price as u64 + 1), "{counts:?}");
    drop(stalled);
    world.until("end of all", || world.web.counts().clients == 0).await;
}

/// Reads until every instrument stands at 10,000 rupees; no price may fall before.
async fn read_until(mut client: Client, tokens: usize) -> BTreeMap<u64, f64> {
    let mut seen = BTreeMap::new();
    while seen.len() < tokens || seen.values().any(|price| *price < 10_000.0) {
        for (token, price) in prices(&client.next_of("quotes").await) {
            let before = seen.insert(token, price);
            assert!(before.is_none_or(|before| before <= price), "{token} went back");
        }
    }
    seen
}

#[tokio::test]
async fn what_a_slow_one_misses_of_its_focus_is_counted() {
    let world = World::start(Limits::default()).await;
    let mut client = world.client().await;
    client.say(r#"{"op":"focus","instrument":7}"#).await;
    // a message that was answered: the focus before it is heard
    client.say("{}").await;
    client.next_of("error").await;
    let many = TICKS_KEPT as i32 + 100;
    let packets =
        (1..=many).map(|price| Packet { last_price: price, ..Packet::empty(Token(7), PacketKind::Ltp) });
    world.market.take(tickhouse_telemetry::Clock::system().now(), packets.map(|packet| (packet, false)));
    world.market.tell();
    let message = client.next_of("ticks").await;
    assert_eq!((&message["skipped"], message["ticks"].as_array().unwrap().len()), (&json!(100), TICKS_KEPT));
    assert_eq!(message["ticks"][0]["p"], 1.01);
    world.market.note_hole();
    let message = client.next_of("ticks").await;
    assert_eq!((&message["skipped"], &message["ticks"]), (&json!(1), &json!([])));
}
