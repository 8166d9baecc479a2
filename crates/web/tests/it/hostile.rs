//! What a hostile client does: each a precise answer, a counter, and everybody else goes on.

use super::{PATIENCE, World, http};
use futures_util::SinkExt as _;
use serde_json::Value;
use std::time::Duration;
use tickhouse_push::Token;
use tickhouse_web::{Access, Limits};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;

/// Sends these bytes and reads what comes until the other side closes or is silent.
async fn raw(world: &World, request: &str) -> String {
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let mut buffer = [0; 4_096];
    while let Ok(Ok(read @ 1..)) =
        tokio::time::timeout(Duration::from_millis(300), stream.read(&mut buffer)).await
    {
        answer.extend_from_slice(&buffer[..read]);
    }
    String::from_utf8_lossy(&answer).into_owned()
}

fn code(body: &str) -> String {
    let body: Value = serde_json::from_str(body.rsplit("\r\n\r\n").next().unwrap()).unwrap_or_default();
    body["error"]["code"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn messages() {
    let world = World::start(Limits::default()).await;
    world.tick(1, 100);
    let mut client = world.client().await;
    let many: Vec<u32> = (0..100_000).collect();
    let many = serde_json::json!({ "op": "watch", "instruments": many }).to_string();
    let deep = "[".repeat(100_000);
    for (said, answer) in [
        ("{", "bad_message"),
        (r#"{"op":"sql","query":"DROP TABLE tick_data"}"#, "bad_message"),
        (r#"{"op":"watch","instruments":["1"]}"#, "bad_message"),
        (deep.as_str(), "bad_message"),
        (many.as_str(), "too_many_instruments"),
    ] {
        client.say(said).await;
        let error = client.next_of("error").await;
        assert_eq!(error["code"], answer, "{error}");
    }
    client.0.send(Message::binary(vec![0; 100])).await.unwrap();
    assert_eq!(client.next_of("error").await["code"], "bad_message");
    client.say(r#"{"op":"watch","instruments":[1]}"#).await;
    assert_eq!(client.next_of("quotes").await["rows"][0][2], 1.0, "it goes on");
    assert_eq!(world.web.counts().bad_messages, 6);

    let huge = Message::text(" ".repeat(2 << 20));
    client.0.send(huge).await.ok();
    assert_eq!(client.next_of("error").await["code"], "message_too_long");
    assert!(matches!(client.end().await, Some(1_009) | None));

    let mut flood = world.client().await;
    for _ in 0..200 {
        if flood.0.send(Message::text(r#"{"op":"focus","instrument":null}"#)).await.is_err() {
            break;
        }
    }
    assert_eq!(flood.next_of("error").await["code"], "too_many_messages");
    assert!(matches!(flood.end().await, Some(1_008) | None));
    world.until("end of both", || world.web.counts().clients == 0).await;
}

#[tokio::test]
async fn requests() {
    let world = World::start(Limits::default()).await;
    let own = format!("Host: {}", world.address);
    let cases = [
        ("GET /v1/queries HTTP/1.1\r\nHost: evil.example", 403, "foreign_host"),
        ("GET /v1/queries HTTP/1.1\r\nHost: localhost.evil.example", 403, "foreign_host"),
        ("GET /v1/queries HTTP/1.0\r\nAccept: */*", 403, "foreign_host"),
        ("GET /v1/queries HTTP/1.1\r\nHost: localhost\r\nOrigin: http://evil.example", 403, "foreign_origin"),
        ("GET /v1/queries HTTP/1.1\r\nHost: localhost\r\nSec-Fetch-Site: cross-site", 403, "foreign_origin"),
        ("GET /v1/queries HTTP/1.1\r\nHost: localhost\r\nHost: localhost", 400, "bad_host"),
        ("GET http://evil.example/ HTTP/1.1\r\nHost: localhost", 400, "bad_host"),
        ("GET /../../etc/passwd HTTP/1.1\r\nHost: localhost", 200, ""),
        ("GET /assets/..%2f..%2fCargo.toml HTTP/1.1\r\nHost: localhost", 404, "not_found"),
        ("GET /v1/../status.txt HTTP/1.1\r\nHost: localhost", 404, "not_found"),
        ("GET /v1/tables HTTP/1.1\r\nHost: localhost", 404, "not_found"),
        ("DELETE /v1/bars HTTP/1.1\r\nHost: localhost", 405, "wrong_method"),
        ("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0", 405, "wrong_method"),
        ("GET /v1/live HTTP/1.1\r\nHost: localhost", 400, "no_websocket"),
        ("GET /v1/bars HTTP/1.1\r\nHost: localhost", 400, "bad_parameter"),
        ("GET /v1/bars?instrument=1&interval=7x HTTP/1.1\r\nHost: localhost", 400, "bad_interval"),
        (
            "GET /v1/bars?instrument=1&interval=1m&limit=5001 HTTP/1.1\r\nHost: localhost",
            400,
            "bad_parameter",
        ),
        ("GET /v1/ticks?instrument=1&limit=-1 HTTP/1.1\r\nHost: localhost", 400, "bad_parameter"),
        ("GET /v1/gaps?sql=SELECT+1 HTTP/1.1\r\nHost: localhost", 400, "bad_parameter"),
        ("GET /v1/gaps?from=yester HTTP/1.1\r\nHost: localhost", 400, "bad_time"),
        ("GET /v1/chain?underlying=NIFTY&expiry=soon HTTP/1.1\r\nHost: localhost", 400, "bad_expiry"),
        ("GET /v1/sparklines?instruments=1,x HTTP/1.1\r\nHost: localhost", 400, "bad_parameter"),
        ("GET /v1/instruments/408065%27 HTTP/1.1\r\nHost: localhost", 400, "bad_parameter"),
        ("GET /v1/queries/nothing HTTP/1.1\r\nHost: localhost", 404, "unknown_query"),
        ("GET /v1/health HTTP/1.1\r\nHost: localhost", 503, "no_health"),
        ("GET /v1/underlyings HTTP/1.1\r\nHost: localhost", 503, "no_answer"),
    ];
    for (head, status, word) in cases {
        let answer = raw(&world, &format!("{head}\r\nConnection: close\r\n\r\n")).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.{} {status}", u8::from(!head.contains("HTTP/1.0")))),
            "{head}\n{answer}"
        );
        assert_eq!(code(&answer), word, "{head}\n{answer}");
        assert!(answer.contains("content-security-policy: default-src 'none'"), "{answer}");
        assert!(!answer.to_lowercase().contains("access-control-allow"), "{answer}");
    }
    let tokens: Vec<String> = (0..300).map(|token| token.to_string()).collect();
    let (status, body) = world.get(&format!("/v1/sparklines?instruments={}", tokens.join(","))).await;
    assert_eq!((status, code(&body)), (400, "too_many_instruments".to_owned()));
    let (status, body) = world.get(&format!("/v1/instruments?q={}", "x".repeat(9_000))).await;
    assert_eq!((status, code(&body)), (413, "address_too_long".to_owned()));

    for garbage in [
        format!("GET / HTTP/1.1\r\n{own}\r\nX: {}\r\n\r\n", "x".repeat(1 << 20)),
        format!("GET / HTTP/1.1\r\n{own}\r\nX y: z\r\n\r\n"),
        format!(
            "GET / HTTP/1.1\r\n{own}\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
        ),
        format!("POST /v1/session HTTP/1.1\r\n{own}\r\nContent-Length: 99999999999\r\n\r\n"),
        "\u{0}\u{1}\u{2}\r\n\r\n".to_owned(),
    ] {
        let answer = raw(&world, &garbage).await;
        assert!(!answer.contains("HTTP/1.1 5"), "{answer}");
    }
    assert_eq!(world.get("/status").await, (200, "all is well".to_owned()), "everybody else goes on");
    assert!(world.web.counts().refused >= 7);
}

#[tokio::test]
async fn elsewhere_the_token_is_needed() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    let access = Access::Token(Token::read_or_make(&file).unwrap());
    let world = World::with(access, Limits::default()).await;
    let token = std::fs::read_to_string(&file).unwrap().trim().to_owned();
    let url = |path: &str| format!("http://{}{path}", world.address);
    for path in ["/v1/queries", "/v1/live", "/v1/openapi.json", "/status", "/v1/nothing"] {
        let (status, body) = world.get(path).await;
        assert_eq!((status, code(&body)), (401, "unauthorised".to_owned()), "{path}");
    }
    assert_eq!(world.get("/").await.0, 200, "the page, which asks for it");
    let post = |token: String| http().post(url("/v1/session")).bearer_auth(token).send();
    assert_eq!(post("wrong".to_owned()).await.unwrap().status(), 401);
    let opened = post(token.clone()).await.unwrap();
    assert_eq!(opened.status(), 204);
    let cookie = opened.headers()["set-cookie"].to_str().unwrap().to_owned();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{cookie}");
    let pair = cookie.split(';').next().unwrap().to_owned();
    let with = |cookie: &str| http().get(url("/v1/queries")).header("cookie", cookie).send();
    assert_eq!(with(&pair).await.unwrap().status(), 200);
    assert_eq!(with(&format!("{pair}0")).await.unwrap().status(), 401);
    let bearer = http().get(url("/v1/queries")).bearer_auth(&token).send().await.unwrap();
    assert_eq!(bearer.status(), 200);
    let foreign =
        http().get(url("/v1/queries")).bearer_auth(&token).header("origin", "http://evil.example").send();
    assert_eq!(foreign.await.unwrap().status(), 403);
    let mut last = 0;
    for _ in 0..20 {
        last = post("guess".to_owned()).await.unwrap().status().as_u16();
    }
    assert_eq!(last, 429);
    assert_eq!(post(token).await.unwrap().status(), 429, "nobody is told meanwhile");
    assert_eq!(with(&pair).await.unwrap().status(), 200, "who is in stays in");
}

#[tokio::test]
async fn there_are_only_so_many_places() {
    let world = World::start(Limits { viewers: 2, ..Limits::default() }).await;
    let first = world.client().await;
    let _second = world.client().await;
    let mut upgrade = http().get(format!("http://{}/v1/live", world.address));
    for (name, value) in [
        ("connection", "upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ] {
        upgrade = upgrade.header(name, value);
    }
    let answer = upgrade.try_clone().unwrap().send().await.unwrap();
    assert_eq!(answer.status(), 503);
    assert_eq!(code(&answer.text().await.unwrap()), "too_many_clients");
    assert_eq!(world.web.counts().clients_refused, 1);
    drop(first);
    world.until("a free place", || world.web.counts().clients == 1).await;
    let answer = tokio::time::timeout(PATIENCE, upgrade.send()).await.unwrap().unwrap();
    assert_eq!(answer.status(), 101);
}
