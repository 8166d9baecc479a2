//! The REST client against a server that answers what a test gives it.

use crate::exchange::soon;
use std::io::Write;
use tickhouse_source::rest::{Disposition, ErrorType, Rest, RestError};
use tickhouse_source::{AccessToken, Key, Secret};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

const CSV: &str = "instrument_token,exchange_token,tradingsymbol,name,last_price,expiry,strike,tick_size,lot_size,\
                   instrument_type,segment,exchange\n408065,1594,INFY,INFOSYS,0.0,,0.0,0.05,1,EQ,NSE,NSE\n";

/// Answers one request; gives the request.
async fn server(status: &str, headers: &str, body: &[u8]) -> (Rest, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let rest = Rest::new(&format!("http://{}/kite", listener.local_addr().unwrap())).unwrap();
    let head =
        format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n{headers}\r\n", body.len());
    let answer = [head.as_bytes(), body].concat();
    let task = tokio::spawn(async move {
        let (mut stream, _) = soon("request", listener.accept()).await.unwrap();
        let mut request = Vec::new();
        loop {
            soon("bytes", stream.read_buf(&mut request)).await.unwrap();
            let text = String::from_utf8_lossy(&request).into_owned();
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            let length = head
                .to_lowercase()
                .lines()
                .find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
            if body.len() >= length.unwrap_or(0) {
                stream.write_all(&answer).await.unwrap();
                return text;
            }
        }
    });
    (rest, task)
}

fn key() -> Key {
    Key::new("key1", AccessToken::fixed(Secret::new("tok3n")))
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn the_master_comes_plain_or_gzipped_said_or_unsaid() {
    for (headers, body) in [
        ("Content-Type: text/csv\r\n", CSV.as_bytes().to_vec()),
        ("Content-Encoding: gzip\r\n", gzip(CSV)),
        ("Content-Type: application/gzip\r\n", gzip(CSV)),
    ] {
        let (rest, request) = server("200 OK", headers, &body).await;
        let csv = rest.instruments_csv(Some("NSE"), None).await.unwrap();
        assert_eq!(csv, CSV.as_bytes(), "{headers}");
        let request = request.await.unwrap();
        assert!(request.starts_with("GET /kite/instruments/NSE HTTP/1.1\r\n"), "{request}");
        assert!(!request.to_lowercase().contains("authorization"));
    }
}

#[tokio::test]
async fn a_proxy_page_or_broken_gzip_is_no_master() {
    for (status, body) in [
        ("502 Bad Gateway", b"<html>Bad gateway</html>".to_vec()),
        ("200 OK", b"<html>maintenance</html>".to_vec()),
        ("200 OK", gzip(CSV)[..30].to_vec()),
    ] {
        let (rest, _request) = server(status, "", &body).await;
        let error = rest.instruments_csv(None, Some(&key())).await.unwrap_err();
        assert_eq!(error.disposition(), Disposition::Retry, "{error}");
    }
}

#[tokio::test]
async fn login_sends_the_checksum_and_keeps_the_token_to_itself() {
    let answer = br#"{"status":"success","data":{"user_id":"XX0000","api_key":"k","access_token":"acc3ss",
        "login_time":"2021-01-01 16:15:14","meta":{"demat_consent":"physical"}}}"#;
    let (rest, request) = server("200 OK", "", answer).await;
    let (request_token, secret) = (Secret::new("req"), Secret::new("sec"));
    let session = rest.session_token("key", &request_token, &secret).await.unwrap();
    assert_eq!((session.access_token.expose(), session.user_id.as_str()), ("acc3ss", "XX0000"));
    assert!(!format!("{session:?}").contains("acc3ss"));
    let request = request.await.unwrap();
    // printf keyreqsec | sha256sum
    let checksum = "e527c3f602010d1c045a863d2857aecf6ed755faf71f4b5984b76441448a2ef2";
    assert!(request.starts_with("POST /kite/session/token HTTP/1.1\r\n"), "{request}");
    assert!(request.contains(&format!("api_key=key&request_token=req&checksum={checksum}")), "{request}");
}

#[tokio::test]
async fn errors_are_typed_and_carry_no_token() {
    let body = br#"{"status":"error","message":"Incorrect `api_key` or `access_token` tok3n.","error_type":"TokenException"}"#;
    let (rest, request) = server("403 Forbidden", "", body).await;
    let error = rest.profile(&key()).await.unwrap_err();
    assert_eq!(error.disposition(), Disposition::LogIn);
    let RestError::Api { error_type: ErrorType::Token, status: 403, .. } = &error else {
        panic!("{error:?}")
    };
    assert!(!format!("{error} {error:?}").contains("tok3n"), "{error}");
    let request = request.await.unwrap();
    assert!(request.contains("authorization: token key1:tok3n\r\n"), "{request}");
    assert!(request.contains("x-kite-version: 3\r\n"), "{request}");

    let limit = br#"{"status":"error","message":"Too many requests","error_type":"NetworkException"}"#;
    let (rest, _request) = server("429 Too Many Requests", "", limit).await;
    assert_eq!(rest.profile(&key()).await.unwrap_err().disposition(), Disposition::RetrySlowly);

    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let rest = Rest::new(&format!("http://{nobody}")).unwrap();
    let error = rest.quote(&key(), &["NSE:INFY"]).await.unwrap_err();
    assert_eq!(error.disposition(), Disposition::Retry);
    assert!(error.to_string().starts_with("GET /quote: ") && !error.to_string().contains("INFY"), "{error}");
}

#[tokio::test]
async fn quotes_and_profile_are_read() {
    let answer = br#"{"status":"success","data":{"NSE:INFY":{"instrument_token":408065,"timestamp":"2021-06-08 15:45:56",
        "last_trade_time":null,"last_price":1412.95,"volume":7360198,"oi":0,"ohlc":{"open":1396},"depth":{}},
        "NSE:NIFTY 50":{"instrument_token":256265,"last_price":15740.1}}}"#;
    let (rest, request) = server("200 OK", "", answer).await;
    let quotes = rest.quote(&key(), &["NSE:INFY", "NSE:NIFTY 50"]).await.unwrap();
    let infy = &quotes["NSE:INFY"];
    assert_eq!(
        (infy.instrument_token, infy.volume, infy.last_trade_time.as_ref()),
        (408_065, Some(7_360_198), None)
    );
    assert_eq!(infy.rest["ohlc"]["open"], 1396);
    assert_eq!(quotes["NSE:NIFTY 50"].volume, None);
    let request = request.await.unwrap();
    assert!(request.starts_with("GET /kite/quote?i=NSE%3AINFY&i=NSE%3ANIFTY+50 HTTP/1.1\r\n"), "{request}");
    let many: Vec<String> = (0..501).map(|token| token.to_string()).collect();
    assert!(matches!(rest.quote(&key(), &many).await, Err(RestError::Invalid { .. })));

    let answer = br#"{"status":"success","data":{"user_id":"AB1234","user_name":"AxAx Bxx","exchanges":["NSE","MCX"],"avatar_url":null}}"#;
    let (rest, _request) = server("200 OK", "", answer).await;
    let profile = rest.profile(&key()).await.unwrap();
    assert_eq!((profile.user_id.as_str(), profile.exchanges.len()), ("AB1234", 2));
    assert!(Rest::new("ws://kite").is_err() && Rest::new("kite").is_err());
}
