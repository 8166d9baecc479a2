//! The HTTP interface.

use crate::world::{PATIENCE, Server, answer, journaled, ltp, no_redis, until};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;
use std::io::Write as _;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn what_is_acknowledged_is_in_the_journal() {
    let server = Server::start(no_redis(), |_| {}).await;
    let (status, body) = server.post("", &json!([ltp(1), ltp(2)])).await;
    let session = server.pusher.session();
    let expected = json!({ "accepted": 2, "recorder": "p1", "session": session, "socket": 0, "sequence": 1 });
    assert_eq!((status, &body), (200, &expected));
    assert_eq!(journaled(server.folder.path()).len(), 1);
    assert_eq!(server.post("", &ltp(3)).await.0, 200);
    let lines = format!("{}\n{}\n", ltp(4), json!([ltp(5), ltp(6)]));
    let request =
        server.request("?source=pykiteconnect/5.0.1&zone=UTC").header("content-type", "application/x-ndjson");
    let (status, body) = answer(request.body(lines.clone())).await;
    // reqwest adds a second content type, and the first counts
    assert_eq!((status, &body["error"]), (400, &json!("malformed")), "{body}");
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let request = client
        .post(format!("http://{}/v1/ticks?zone=UTC", server.address))
        .header("authorization", format!("bearer {}", server.token))
        .header("content-type", "application/x-ndjson; charset=utf-8")
        .header("content-encoding", "gzip");
    let (status, body) = answer(request.body(gzip(lines.as_bytes()))).await;
    assert_eq!((status, &body["accepted"], &body["sequence"]), (200, &json!(3), &json!(3)), "{body}");
    assert_eq!(journaled(server.folder.path()).len(), 3);
    let counts = server.counters.read();
    assert_eq!((counts.accepted, counts.ticks, counts.refused), (3, 6, 1));
}

#[tokio::test]
async fn without_the_token_nothing_is_read() {
    let server = Server::start(no_redis(), |_| {}).await;
    let url = format!("http://{}/v1/ticks", server.address);
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let cut = &server.token[1..];
    for value in [
        "",
        "Bearer",
        "Bearer ",
        "Bearer x",
        &format!("Bearer {cut}"),
        &format!("Basic {}", server.token),
        &server.token,
    ] {
        let request = client.post(&url).header("authorization", value).json(&ltp(1));
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 401, "{value}");
        assert_eq!(response.headers()["www-authenticate"], "Bearer");
        assert!(!response.text().await.unwrap().contains(cut));
    }
    let twice = server.request("").header("authorization", format!("Bearer {}", server.token));
    assert_eq!(answer(twice.body(ltp(1).to_string())).await.0, 401);
    // of a body that is promised and never sent nothing is waited for
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(b"POST /v1/ticks HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n").await.unwrap();
    let mut start = [0; 12];
    stream.read_exact(&mut start).await.unwrap();
    assert_eq!(&start, b"HTTP/1.1 401");
    // a script of another origin gets no permission to ask
    let preflight = client
        .request(reqwest::Method::OPTIONS, &url)
        .header("origin", "http://evil.example")
        .send()
        .await
        .unwrap();
    assert_eq!(preflight.status(), 405);
    assert!(!preflight.headers().contains_key("access-control-allow-origin"));
    assert_eq!(client.get(&url).send().await.unwrap().status(), 405);
    assert!(journaled(server.folder.path()).is_empty());
}

#[tokio::test]
async fn faults_are_told_and_nothing_of_them_is_stored() {
    let server = Server::start(no_redis(), |options| options.body_bytes = 100_000).await;
    let mut wrong = ltp(2);
    wrong["last_price"] = json!(0.001);
    let (status, body) = server.post("", &json!([ltp(1), wrong])).await;
    assert_eq!(status, 400);
    assert_eq!(body["error"], "refused");
    assert_eq!((&body["index"], &body["path"]), (&json!(1), &json!("[1].last_price")), "{body}");
    let (status, body) = answer(server.request("").body("[{\"oi\":\"x\"}]")).await;
    assert_eq!(
        (status, &body["error"], &body["path"]),
        (400, &json!("malformed"), &json!("[0].oi")),
        "{body}"
    );
    assert_eq!((&body["line"], body["column"].is_u64()), (&json!(1), true));
    for (query, part) in [
        ("?source=excel/97.0.0", "is not known"),
        ("?source=pykiteconnect", "needs its version"),
        ("?zone=Mars", "zone `Mars`"),
        ("?sauce=1", "source and zone"),
        ("?zone=UTC&zone=IST", "source and zone"),
    ] {
        let (status, body) = server.post(query, &ltp(1)).await;
        assert_eq!((status, &body["error"]), (400, &json!("bad_query")), "{query}: {body}");
        assert!(body["message"].as_str().unwrap().contains(part), "{query}: {body}");
    }
    assert_eq!(server.post("", &json!([])).await.0, 400);
    assert_eq!(answer(server.request("").body("[".repeat(90_000))).await.0, 400);
    assert_eq!(answer(server.request("").body(" ".repeat(100_001))).await.0, 413);
    let bomb = gzip(&vec![b' '; 50_000_000]);
    assert!(bomb.len() < 100_000);
    let packed = |body: Vec<u8>| server.request("").header("content-encoding", "gzip").body(body);
    assert_eq!(answer(packed(bomb)).await.0, 413);
    assert_eq!(answer(packed(b"no gzip".to_vec())).await.0, 400);
    assert_eq!(answer(server.request("").header("content-encoding", "br").body("[]")).await.0, 415);
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let plain = client.post(format!("http://{}/v1/ticks", server.address)).bearer_auth(&server.token);
    assert_eq!(answer(plain.header("content-type", "text/plain").body(ltp(1).to_string())).await.0, 415);
    assert!(journaled(server.folder.path()).is_empty());
    let counts = server.counters.read();
    assert_eq!((counts.accepted, counts.refused), (0, 14));
}

/// A request whose body stops in the middle.
async fn half(server: &Server) -> TcpStream {
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let head = format!(
        "POST /v1/ticks HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n[",
        server.token
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

#[tokio::test]
async fn places_are_few_and_come_free() {
    let server = Server::start(no_redis(), |options| {
        options.in_flight = 2;
        options.body_time = Duration::from_millis(1_500);
    })
    .await;
    let (mut first, second) = (half(&server).await, half(&server).await);
    let started = std::time::Instant::now();
    loop {
        let response = server.request("").body(ltp(1).to_string()).send().await.unwrap();
        if response.status() == 503 {
            assert_eq!(response.headers()["retry-after"], "1");
            assert!(response.text().await.unwrap().contains("\"busy\""));
            break;
        }
        assert!(started.elapsed() < Duration::from_secs(1), "two halves hold both places");
    }
    // one hangs up, the other takes too long: both places come free
    drop(second);
    let mut text = Vec::new();
    tokio::time::timeout(PATIENCE, first.read_to_end(&mut text)).await.unwrap().unwrap();
    assert!(String::from_utf8_lossy(&text).starts_with("HTTP/1.1 408"), "{}", String::from_utf8_lossy(&text));
    for number in 0..3 {
        assert_eq!(server.post("", &ltp(number)).await.0, 200);
    }
}

#[tokio::test]
async fn a_journal_that_stands_still_is_told_and_goes_on() {
    let server = Server::start(no_redis(), |options| options.journal_time = Duration::from_millis(300)).await;
    // a file where the journal's directory is to be: nothing can be written
    let place = server.folder.path().join("p1/0");
    std::fs::remove_dir_all(&place).unwrap();
    std::fs::write(&place, "in the way").unwrap();
    let (status, body) = server.post("", &ltp(1)).await;
    assert_eq!((status, &body["error"]), (504, &json!("not_journaled")), "{body}");
    until("a fault", || server.pusher.fault().is_some()).await;
    let (status, body) = server.post("", &ltp(2)).await;
    assert_eq!((status, &body["error"]), (503, &json!("journal_fault")), "{body}");
    std::fs::remove_file(&place).unwrap();
    std::fs::create_dir(&place).unwrap();
    until("mended", || server.pusher.fault().is_none()).await;
    let (status, body) = server.post("", &ltp(3)).await;
    assert_eq!((status, &body["sequence"]), (200, &json!(2)), "{body}");
    assert_eq!(journaled(server.folder.path()).len(), 2, "the first was not lost, the second never stored");
    let counts = server.counters.read();
    assert_eq!((counts.accepted, counts.not_journaled, counts.turned_away), (1, 1, 1));
}
