//! REST in Kite's form.

use crate::client::{Client, simulator, tokens};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tickhouse_model::{Mode, Segment, Token};
use tickhouse_simulator::{Credentials, Simulator};

fn request(simulator: &Simulator, method: Method, path: &str) -> RequestBuilder {
    let url = format!("http://{}{path}", simulator.local_addr());
    reqwest::Client::new().request(method, url).header("X-Kite-Version", "3")
}

async fn get(simulator: &Simulator, path: &str) -> (StatusCode, Value) {
    let response = request(simulator, Method::GET, path)
        .header("Authorization", "token key:token")
        .send()
        .await
        .unwrap();
    (response.status(), response.json().await.unwrap())
}

/// Status and error type.
async fn error(simulator: &Simulator, path: &str) -> (u16, String) {
    let (status, body) = get(simulator, path).await;
    assert_eq!(body["status"], "error", "{path}: {body}");
    assert!(body["message"].is_string());
    (status.as_u16(), body["error_type"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn a_login_is_checked_and_its_token_opens_everything() {
    let credentials =
        Credentials { api_key: "key".to_owned(), api_secret: "secret".to_owned(), access_token: None };
    let simulator = simulator(|options| options.credentials = Some(credentials)).await;
    let page = request(&simulator, Method::GET, "/connect/login?v=3&api_key=key").send().await.unwrap();
    let request_token = page.text().await.unwrap().trim().to_owned();
    let digest = Sha256::digest(format!("key{request_token}secret"));
    let checksum = digest.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
    let log_in = |checksum: String| {
        let form =
            [("api_key", "key".to_owned()), ("request_token", request_token.clone()), ("checksum", checksum)];
        request(&simulator, Method::POST, "/session/token").form(&form).send()
    };
    let refused = log_in("0".repeat(64)).await.unwrap();
    assert_eq!(refused.status(), 403);
    assert_eq!(refused.json::<Value>().await.unwrap()["error_type"], "TokenException");
    let session: Value = log_in(checksum.clone()).await.unwrap().json().await.unwrap();
    let real = json!([
        "access_token",
        "api_key",
        "avatar_url",
        "broker",
        "email",
        "enctoken",
        "exchanges",
        "login_time",
        "meta",
        "order_types",
        "products",
        "public_token",
        "refresh_token",
        "silo",
        "user_id",
        "user_name",
        "user_shortname",
        "user_type"
    ]);
    let mut fields: Vec<_> = session["data"].as_object().unwrap().keys().cloned().collect();
    fields.sort_unstable();
    assert_eq!(json!(fields), real, "the fields of Kite's answer");
    assert_eq!(log_in(checksum).await.unwrap().status(), 403, "a request token works once");
    let token = session["data"]["access_token"].as_str().unwrap();
    let mut client = Client::connect_as(&simulator, "key", token).await.unwrap();
    let path = format!("/session/token?api_key=key&access_token={token}");
    let logout: Value =
        request(&simulator, Method::DELETE, &path).send().await.unwrap().json().await.unwrap();
    assert_eq!(logout, json!({"status": "success", "data": true}));
    client.ended().await;
    assert_eq!(Client::connect_as(&simulator, "key", token).await.err(), Some(403));
}

#[tokio::test]
async fn the_master_is_gzipped_csv_with_kites_columns() {
    let simulator = simulator(|_| {}).await;
    let response = request(&simulator, Method::GET, "/instruments").send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/csv");
    let text = response.text().await.unwrap();
    let header = "instrument_token,exchange_token,tradingsymbol,name,last_price,expiry,strike,tick_size,lot_size,instrument_type,segment,exchange";
    assert_eq!(text.lines().next(), Some(header));
    assert!(text.contains("\n256265,1001,NIFTY 50,NIFTY 50,0.0,,0.0,0.0,0,EQ,INDICES,NSE\n"), "{text}");
    assert!(text.contains("\n408065,1594,INFY,INFOSYS,0.0,,0.0,0.1,1,EQ,NSE,NSE\n"), "{text}");
    let rows: Result<Vec<_>, _> = csv::Reader::from_reader(text.as_bytes()).records().collect();
    assert_eq!(rows.unwrap().len(), 200);
    let mcx =
        request(&simulator, Method::GET, "/instruments/MCX").send().await.unwrap().text().await.unwrap();
    assert!(mcx.lines().count() > 1 && mcx.lines().skip(1).all(|line| line.ends_with(",MCX")), "{mcx}");
}

#[tokio::test]
async fn quotes_are_the_values_of_the_stream_in_rupees() {
    let simulator = simulator(|_| {}).await;
    let mut client = Client::connect(&simulator).await;
    client.subscribe(Mode::Full, &tokens(&simulator)).await;
    client.until(|client| client.packets().len() > 500).await;
    simulator.pause().await;
    let sent = simulator.counters().packets_sent;
    client.until(|client| client.packets().len() as u64 == sent).await;
    for listing in simulator.universe().listings() {
        let packets = client.packets();
        let packet = packets.iter().rev().find(|packet| packet.token == listing.token).unwrap();
        let key = listing.key();
        let path = format!("/quote?i={}", key.replace(' ', "%20").replace('&', "%26"));
        let (_, body) = get(&simulator, &path).await;
        let quote = &body["data"][&key];
        let rupees = |raw: i32| f64::from(raw) / f64::from(Segment(listing.token.0 as u8).divisor());
        assert_eq!(quote["last_price"], rupees(packet.last_price), "{key}: {body}");
        assert_eq!(quote["ohlc"]["close"], rupees(packet.close_price), "{key}");
        assert_eq!(quote["volume"], packet.volume, "{key}");
        assert_eq!(quote["depth"]["sell"][4]["quantity"], packet.asks[4].quantity, "{key}");
        assert_eq!(quote["oi"], packet.open_interest, "{key}");
    }
    let (_, body) = get(&simulator, "/quote/ltp?i=NSE:INFY&i=256265&i=NSE:NOBODY").await;
    let names: Vec<_> = body["data"].as_object().unwrap().keys().collect();
    assert_eq!(names, ["256265", "NSE:INFY"]);
    let (_, body) = get(&simulator, "/quote/ohlc?i=NSE:INFY").await;
    assert!(body["data"]["NSE:INFY"]["ohlc"]["high"].is_number());
    assert_eq!(error(&simulator, "/quote").await, (400, "InputException".to_owned()));
}

#[tokio::test]
async fn history_has_candles_limits_and_open_interest() {
    let simulator = simulator(|_| {}).await;
    let path = |rest: &str| format!("/instruments/historical/408065/{rest}");
    let (status, body) =
        get(&simulator, &path("minute?from=2025-11-20+09:15:00&to=2025-11-20+09:24:59")).await;
    let candles = body["data"]["candles"].as_array().unwrap();
    assert_eq!((status.as_u16(), candles.len(), candles[0].as_array().unwrap().len()), (200, 10, 6));
    assert_eq!(candles[0][0], "2025-11-20T09:15:00+0530");
    let again = get(&simulator, &path("minute?from=2025-11-20 09:15:00&to=2025-11-20 09:24:59&oi=1")).await.1;
    assert_eq!(again["data"]["candles"][3].as_array().unwrap().len(), 7);
    assert_eq!(again["data"]["candles"][3].as_array().unwrap()[..6], candles[3].as_array().unwrap()[..]);
    let input = (400, "InputException".to_owned());
    assert_eq!(error(&simulator, &path("minute?from=2025-01-01&to=2025-06-01")).await, input);
    assert_eq!(error(&simulator, &path("2minute?from=2025-01-01&to=2025-01-02")).await, input);
    assert_eq!(error(&simulator, &path("day?from=x&to=2025-01-02")).await, input);
    assert_eq!(error(&simulator, &path("day?from=2025-01-01&to=2025-01-02&continuous=1")).await, input);
    let (_, body) = get(&simulator, &path("day?from=2021-01-01&to=2025-11-20")).await;
    assert!(body["data"]["candles"].as_array().unwrap().len() > 1_200);
}

#[tokio::test]
async fn errors_have_kites_form() {
    let simulator = simulator(|options| options.rate_limits = true).await;
    assert_eq!(error(&simulator, "/nowhere").await, (404, "GeneralException".to_owned()));
    let post = request(&simulator, Method::POST, "/quote").send().await.unwrap();
    assert_eq!(post.status(), 405);
    let stranger = request(&simulator, Method::GET, "/user/profile").send().await.unwrap();
    assert_eq!(stranger.status(), 403);
    assert_eq!(get(&simulator, "/user/profile").await.1["data"]["broker"], "ZERODHA");
    assert_eq!(get(&simulator, "/quote?i=NSE:INFY").await.0, 200);
    assert_eq!(error(&simulator, "/quote?i=NSE:INFY").await, (429, "NetworkException".to_owned()));
    assert_eq!(error(&simulator, "/?api_key=a&access_token=b").await, (400, "InputException".to_owned()));
}

#[tokio::test]
async fn the_controls_pause_count_and_speak() {
    let simulator = simulator(|_| {}).await;
    let mut client = Client::connect(&simulator).await;
    client.subscribe(Mode::Full, &[Token(256_265)]).await;
    client.until(|client| !client.frames.is_empty()).await;
    let post = |path: &'static str| request(&simulator, Method::POST, path);
    let paused: Value = post("/sim/pause").send().await.unwrap().json().await.unwrap();
    assert_eq!(paused["data"]["paused"], true);
    let (_, counted) = get(&simulator, "/sim/counters").await;
    assert_eq!(counted["data"]["frames_sent"], paused["data"]["frames_sent"]);
    assert_eq!(counted["data"]["connections"], 1);
    post("/sim/order").body(r#"{"status":"REJECTED"}"#).send().await.unwrap();
    post("/sim/message").body("good evening").send().await.unwrap();
    client.until(|client| client.texts.len() == 4).await;
    assert_eq!(
        (&client.texts[2]["type"], &client.texts[2]["data"]["status"]),
        (&"order".into(), &"REJECTED".into())
    );
    assert_eq!(client.texts[2]["data"]["tradingsymbol"], "SBIN");
    assert_eq!(client.texts[3], json!({"type": "message", "data": "good evening"}));
    assert_eq!(post("/sim/order").body("[]").send().await.unwrap().status(), 400);
    let before = client.frames.len();
    post("/sim/resume").send().await.unwrap();
    client.until(|client| client.frames.len() > before).await;
}
