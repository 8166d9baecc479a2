//! Every fault does what its name says, to whom it is meant for.

use crate::client::{Client, DEADLINE, Ended, faulty, tokens};
use futures_util::SinkExt as _;
use std::collections::HashSet;
use std::time::{Duration, Instant};
use tickhouse_decode::{FrameError, Item, decode};
use tickhouse_model::Mode;
use tickhouse_simulator::Simulator;
use tokio_tungstenite::tungstenite::{Error, Message};

async fn subscribed(simulator: &Simulator) -> Client {
    let mut client = Client::connect(simulator).await;
    client.subscribe(Mode::Full, &tokens(simulator)).await;
    client.until(|client| !client.frames.is_empty()).await;
    client
}

#[tokio::test]
async fn drop_closes_cleanly_only_whom_it_means() {
    let simulator = faulty("[[fault]]\nkind = 'drop'\nat = 0.2\nafter = 'open'\nconnection = 2").await;
    let (mut first, mut second) = (subscribed(&simulator).await, subscribed(&simulator).await);
    assert_eq!(second.ended().await, Ended::Closed);
    let before = first.frames.len();
    first.until(|client| client.frames.len() > before + 5).await;
}

#[tokio::test]
async fn reset_is_a_tcp_reset() {
    use futures_util::StreamExt as _;
    let simulator = faulty("[[fault]]\nkind = 'reset'\nat = 0.2\nafter = 'open'").await;
    let mut client = Client::connect(&simulator).await;
    let error = loop {
        match tokio::time::timeout(DEADLINE, client.socket.next()).await.unwrap() {
            Some(Ok(_)) => {}
            Some(Err(error)) => break error,
            None => panic!("a clean end"),
        }
    };
    let reset = std::io::ErrorKind::ConnectionReset;
    assert!(matches!(&error, Error::Io(error) if error.kind() == reset), "{error:?}");
}

/// What came between two moments after the connection's opening.
async fn between(client: &mut Client, opened: Instant, from: f64, to: f64) -> (usize, usize) {
    while opened.elapsed() < Duration::from_secs_f64(from) {
        tokio::time::timeout(Duration::from_millis(10), client.next()).await.ok();
    }
    let before = (client.frames.len(), client.heartbeats);
    while opened.elapsed() < Duration::from_secs_f64(to) {
        tokio::time::timeout(Duration::from_millis(10), client.next()).await.ok();
    }
    (client.frames.len() - before.0, client.heartbeats - before.1)
}

#[tokio::test]
async fn stall_is_silence_and_then_life_again() {
    let simulator =
        faulty("[[fault]]\nkind = 'stall'\nat = 0.5\nduration = 2\nafter = 'open'\nsocket = 0").await;
    let opened = Instant::now();
    let (mut first, mut second) = (subscribed(&simulator).await, subscribed(&simulator).await);
    first.socket.send(Message::Ping("are you there?".into())).await.unwrap();
    assert_eq!(between(&mut first, opened, 0.8, 2.3).await, (0, 0));
    let heard = second.frames.len();
    second.until(|client| client.frames.len() > heard + 50).await;
    let before = first.frames.len();
    first.until(|client| client.frames.len() > before + 5).await;
}

#[tokio::test]
async fn heartbeats_only_has_heartbeats_and_frozen_has_not() {
    let simulator = faulty(
        "[[fault]]\nkind = 'heartbeats_only'\nat = 0.2\nduration = 3\nafter = 'open'\nsocket = 0\n\
         [[fault]]\nkind = 'frozen'\nat = 0.2\nduration = 3\nafter = 'open'\nsocket = 1",
    )
    .await;
    let opened = Instant::now();
    let (mut first, mut second) = (subscribed(&simulator).await, subscribed(&simulator).await);
    let ((frames, heartbeats), frozen) =
        tokio::join!(between(&mut first, opened, 0.6, 2.8), between(&mut second, opened, 0.6, 2.8));
    assert!(frames == 0 && (1..=3).contains(&heartbeats), "{frames} {heartbeats}");
    assert_eq!(frozen, (0, 0));
    let before = second.frames.len();
    second.until(|client| client.frames.len() > before).await;
}

#[tokio::test]
async fn mute_silences_every_second_instrument() {
    let simulator = faulty("[[fault]]\nkind = 'mute'\nat = 0").await;
    let mut client = subscribed(&simulator).await;
    client.until(|client| client.packets().len() > 2_000).await;
    // the first 200 are the snapshot, which is complete
    let packets = client.packets();
    let ticking: HashSet<_> = packets[200..].iter().map(|packet| packet.token).collect();
    let listings = simulator.universe().listings();
    let odd = listings.iter().skip(1).step_by(2).filter(|listing| ticking.contains(&listing.token)).count();
    let even = listings.iter().step_by(2).filter(|listing| ticking.contains(&listing.token)).count();
    assert!(odd == 0 && even > 50, "{odd} {even}");
}

#[tokio::test]
async fn refusals_end_after_their_time() {
    let simulator = faulty(
        "[[fault]]\nkind = 'refuse'\nstatus = 403\nat = 0\nduration = 0.4\n\
         [[fault]]\nkind = 'refuse'\nstatus = 429\nat = 0.4\nduration = 0.4",
    )
    .await;
    let mut statuses = Vec::new();
    let deadline = Instant::now() + DEADLINE;
    while let Err(status) = Client::connect_as(&simulator, "key", "token").await {
        assert!(Instant::now() < deadline);
        statuses.push(status);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    statuses.dedup();
    assert_eq!(statuses, [403, 429]);
}

#[tokio::test]
async fn an_expired_token_closes_and_stays_shut_until_it_changes() {
    let simulator = faulty("[[fault]]\nkind = 'expired_token'\nat = 0.3").await;
    let mut client = subscribed(&simulator).await;
    assert_eq!(client.ended().await, Ended::Closed);
    assert_eq!(Client::connect_as(&simulator, "key", "token").await.err(), Some(403));
    assert!(Client::connect_as(&simulator, "key", "newer").await.is_ok());
}

/// Frames of a client until one is not a clean container.
async fn first_bad(kind: &str) -> Vec<u8> {
    let simulator = faulty(&format!("[[fault]]\nkind = '{kind}'\nat = 0.2\nafter = 'open'")).await;
    let mut client = subscribed(&simulator).await;
    let bad = |frame: &Vec<u8>| decode(frame).any(|item| !matches!(item, Ok(Item::Packet { .. })));
    client.until(|client| client.frames.iter().any(bad)).await;
    let frame = client.frames.iter().find(|frame| bad(frame)).unwrap().clone();
    let after = client.frames.len();
    client.until(|client| client.frames.len() > after + 3).await;
    assert_eq!(client.frames.iter().filter(|frame| bad(frame)).count(), 1, "a fault strikes once");
    frame
}

#[tokio::test]
async fn spoilt_frames_are_spoilt_as_their_name_says() {
    let truncated = first_bad("truncated_frame").await;
    assert!(matches!(decode(&truncated).last(), Some(Err(FrameError::Truncated { .. }))));

    let unknown = first_bad("unknown_length").await;
    let items: Vec<_> = decode(&unknown).collect::<Result<_, _>>().unwrap();
    assert!(
        matches!(items.last(), Some(Item::Unknown { body, .. }) if body.len() == 164),
        "{:?}",
        items.last()
    );
    assert!(items.len() > 1);

    let overstated = first_bad("overstated_count").await;
    assert!(matches!(decode(&overstated).last(), Some(Err(FrameError::Truncated { left: 0, .. }))));

    assert_eq!(first_bad("garbage").await.len(), 64);
}

#[tokio::test]
async fn texts_of_the_script_arrive() {
    let simulator = faulty(
        "[[fault]]\nkind = 'message'\nat = 0.1\nafter = 'open'\ntext = 'closing \"early\"'\n\
         [[fault]]\nkind = 'error'\nat = 0.2\nafter = 'open'\ntext = 'oops'",
    )
    .await;
    let mut client = Client::connect(&simulator).await;
    client.until(|client| client.texts.len() == 4).await;
    let said: Vec<_> =
        client.texts[2..].iter().map(|text| (text["type"].as_str(), text["data"].as_str())).collect();
    assert_eq!(said, [(Some("message"), Some("closing \"early\"")), (Some("error"), Some("oops"))]);
}
