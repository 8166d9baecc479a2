//! Who is let in, and how much they get.

use crate::client::{Client, DEADLINE, Ended, simulator, tokens};
use std::time::{Duration, Instant};
use tickhouse_model::Mode;
use tickhouse_simulator::{Credentials, SlowClient};

#[tokio::test]
async fn the_fourth_connection_of_a_key_is_refused_until_one_goes() {
    let simulator = simulator(|_| {}).await;
    let mut clients = Vec::new();
    for _ in 0..3 {
        clients.push(Client::connect(&simulator).await);
    }
    assert_eq!(Client::connect_as(&simulator, "key", "token").await.err(), Some(429));
    assert!(Client::connect_as(&simulator, "other", "token").await.is_ok());
    assert_eq!(simulator.counters().handshakes_refused, 1);
    clients.pop();
    let deadline = Instant::now() + DEADLINE;
    while Client::connect_as(&simulator, "key", "token").await.is_err() {
        assert!(Instant::now() < deadline, "the seat is never free again");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn with_credentials_only_they_open() {
    let credentials = Credentials {
        api_key: "key".to_owned(),
        api_secret: "secret".to_owned(),
        access_token: Some("token".to_owned()),
    };
    let simulator = simulator(|options| options.credentials = Some(credentials)).await;
    for (key, token) in [("key", "wrong"), ("wrong", "token"), ("", ""), ("key", "")] {
        assert_eq!(Client::connect_as(&simulator, key, token).await.err(), Some(403), "{key} {token}");
    }
    assert!(Client::connect_as(&simulator, "key", "token").await.is_ok());
}

#[tokio::test]
async fn tokens_over_the_limit_are_an_error_text_and_nothing_else() {
    let simulator = simulator(|options| options.tokens_per_connection = 30).await;
    let mut client = Client::connect(&simulator).await;
    client.subscribe(Mode::Full, &tokens(&simulator)).await;
    client.until(|client| client.texts.len() == 3).await;
    assert_eq!(client.texts[2]["type"], "error");
    assert_eq!(client.texts[2]["data"], "Can't subscribe to more than 30 instruments.");
    assert_eq!(simulator.counters().subscribed_tokens, 30);
    let before = client.frames.len();
    client.until(|client| client.frames.len() > before + 3).await;
}

#[tokio::test]
async fn a_client_that_does_not_read_is_closed_where_that_is_the_policy() {
    let simulator = simulator(|options| {
        options.slow_client = SlowClient::Disconnect;
        options.rate = 300_000.0;
    })
    .await;
    let mut client = Client::connect(&simulator).await;
    client.subscribe(Mode::Full, &tokens(&simulator)).await;
    let deadline = Instant::now() + DEADLINE;
    while simulator.counters().connections_accepted == 0 || simulator.counters().connections > 0 {
        assert!(Instant::now() < deadline, "{:?}", simulator.counters());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_ne!(client.ended().await, Ended::Closed, "what it did not read is in the way of a close frame");
}

#[tokio::test]
async fn stopping_says_goodbye() {
    let simulator = simulator(|_| {}).await;
    let mut client = Client::connect(&simulator).await;
    client.until(|client| client.texts.len() == 2).await;
    let (ended, ()) = tokio::join!(client.ended(), simulator.stop());
    assert_eq!(ended, Ended::Closed);
}

#[tokio::test]
async fn a_client_that_closes_gets_its_close_answered() {
    use futures_util::StreamExt as _;
    let simulator = simulator(|_| {}).await;
    let mut client = Client::connect(&simulator).await;
    client.socket.close(None).await.unwrap();
    let rest: Vec<_> =
        tokio::time::timeout(DEADLINE, client.socket.by_ref().collect::<Vec<_>>()).await.unwrap();
    assert!(rest.iter().all(Result::is_ok), "no error, so a whole closing handshake: {rest:?}");
}
