//! Who may ask.
//!
//! What enters: the head of a request. What leaves: it goes on, or is refused. What never happens here: a token in a log or an answer;
//! a comparison that tells by its time how far it got; an answer to another origin's script.
//!
//! On an address of this machine itself nobody is asked for a password, but `Host` must be this machine's name, so that a foreign
//! page can't reach it by a name of its own (DNS rebinding), and `Origin` must be the page's own. Elsewhere the token is needed: in
//! `Authorization: Bearer`, or as the cookie that [`session`](crate::session) gives for it.

use crate::fault::Fault;
use crate::limits::Limits;
use crate::session::{self, Sessions};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Who may ask.
#[derive(Debug)]
pub enum Access {
    /// Everybody on this machine: it listens on no other address.
    Machine,
    /// Whoever has the token.
    Token(tickhouse_push::Token),
}

/// The gate of every request.
#[derive(Debug)]
pub(crate) struct Guard {
    pub(crate) sessions: Option<Sessions>,
    address_bytes: usize,
    refused: AtomicU64,
}

/// What is allowed to the page itself: its own files and nothing else.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; \
     connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

const HEADERS: [(HeaderName, &str); 6] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

impl Guard {
    pub(crate) fn new(access: Access, limits: &Limits) -> Self {
        let sessions = match access {
            Access::Machine => None,
            Access::Token(token) => Some(Sessions::new(token)),
        };
        Self { sessions, address_bytes: limits.address_bytes, refused: AtomicU64::new(0) }
    }

    /// Requests that were refused.
    pub(crate) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    fn check(&self, request: &Request) -> Result<(), Fault> {
        let (uri, headers) = (request.uri(), request.headers());
        if uri.path_and_query().map_or(0, |whole| whole.as_str().len()) > self.address_bytes {
            let message = format!("the address is longer than {} bytes", self.address_bytes);
            return Err(Fault::new(StatusCode::PAYLOAD_TOO_LARGE, "address_too_long", message));
        }
        let host = one(headers, &header::HOST, "bad_host")?.unwrap_or_default();
        if uri.authority().is_some_and(|authority| authority.as_str() != host) {
            return Err(Fault::bad("bad_host", "the address names another host than Host"));
        }
        if self.sessions.is_none() && !is_of_this_machine(host) {
            let message = "this page answers to localhost and 127.0.0.1 only: open it by that name";
            return Err(Fault::new(StatusCode::FORBIDDEN, "foreign_host", message));
        }
        let origin = one(headers, &header::ORIGIN, "bad_origin")?;
        if origin.is_some_and(|origin| !is_origin_of(origin, host)) {
            let message = "pages of other origins get nothing";
            return Err(Fault::new(StatusCode::FORBIDDEN, "foreign_origin", message));
        }
        if !is_data(uri.path()) {
            return Ok(());
        }
        let site = headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
        if !matches!(site, None | Some(b"same-origin" | b"none")) {
            let message = "pages of other origins get nothing";
            return Err(Fault::new(StatusCode::FORBIDDEN, "foreign_origin", message));
        }
        match &self.sessions {
            Some(sessions) if uri.path() != session::PATH => sessions.check(headers),
            _ => Ok(()),
        }
    }
}

/// Whether a path gives data; the others are the page's own files and say nothing.
fn is_data(path: &str) -> bool {
    path.starts_with("/v1/") || path == "/v1" || path == "/status" || path == "/metrics"
}

/// The one value of a header; several would mean different things to different readers.
fn one<'a>(headers: &'a HeaderMap, name: &HeaderName, code: &'static str) -> Result<Option<&'a str>, Fault> {
    let mut values = headers.get_all(name).iter();
    let value = values.next().map(HeaderValue::to_str).transpose();
    match (value, values.next()) {
        (Ok(value), None) => Ok(value),
        _ => Err(Fault::bad(code, format!("{name} must be given once, in plain letters"))),
    }
}

/// A name or address that leads nowhere else, with or without a port.
fn is_of_this_machine(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((name, port)) if port.is_empty() || is_port(port.strip_prefix(':')) => name,
            _ => return false,
        },
        None => match host.split_once(':') {
            Some((name, port)) if is_port(Some(port)) => name,
            Some(_) => return false,
            None => host,
        },
    };
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn is_port(text: Option<&str>) -> bool {
    text.is_some_and(|text| text.parse::<u16>().is_ok())
}

/// Whether a page that this host served says this origin.
fn is_origin_of(origin: &str, host: &str) -> bool {
    let rest = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
    !host.is_empty() && rest.is_some_and(|rest| rest.eq_ignore_ascii_case(host))
}

/// Before and after every request.
pub(crate) async fn guard(State(guard): State<Arc<Guard>>, request: Request, next: Next) -> Response {
    let mut response = match guard.check(&request) {
        Ok(()) => next.run(request).await,
        Err(fault) => {
            guard.refused.fetch_add(1, Ordering::Relaxed);
            tracing::debug!(code = fault.code, "a request was refused");
            fault.into_response()
        }
    };
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;

    #[test]
    fn only_names_of_this_machine() {
        for host in ["localhost", "LOCALHOST:8080", "127.0.0.1:8080", "127.1.2.3", "[::1]", "[::1]:8080"] {
            assert!(is_of_this_machine(host), "{host}");
        }
        let foreign = [
            "",
            "evil.example",
            "127.0.0.1.evil.example",
            "localhost.evil.example:8080",
            "localhost:x",
            "::1",
            "[::1",
            "[::1]x",
            "10.0.0.1",
            "127.0.0.1:8080:1",
            "user@localhost",
            "localhost:99999",
            "0.0.0.0",
        ];
        for host in foreign {
            assert!(!is_of_this_machine(host), "{host}");
        }
    }

    fn asked(path: &str, headers: &[(&str, &str)]) -> Result<(), &'static str> {
        let guard = Guard::new(Access::Machine, &Limits::default());
        let request = headers
            .iter()
            .fold(Request::builder().uri(path), |request, (name, value)| request.header(*name, *value));
        guard.check(&request.body(Body::empty()).unwrap()).map_err(|fault| fault.code)
    }

    #[test]
    fn other_origins_get_nothing() {
        let host = ("host", "127.0.0.1:8080");
        assert_eq!(asked("/v1/gaps", &[host]), Ok(()));
        assert_eq!(asked("/v1/live", &[host, ("origin", "http://127.0.0.1:8080")]), Ok(()));
        for origin in [
            "http://evil.example",
            "null",
            "http://127.0.0.1:3000",
            "http://127.0.0.1:8080.evil.example",
            "file://",
        ] {
            assert_eq!(asked("/v1/live", &[host, ("origin", origin)]), Err("foreign_origin"), "{origin}");
        }
        assert_eq!(asked("/v1/gaps", &[("host", "evil.example")]), Err("foreign_host"));
        assert_eq!(asked("/", &[]), Err("foreign_host"));
        assert_eq!(asked("/v1/gaps", &[host, host]), Err("bad_host"));
        assert_eq!(asked("http://evil.example/v1/gaps", &[host]), Err("bad_host"));
        for site in ["cross-site", "same-site", "nonsense"] {
            assert_eq!(asked("/v1/gaps", &[host, ("sec-fetch-site", site)]), Err("foreign_origin"));
            assert_eq!(asked("/", &[host, ("sec-fetch-site", site)]), Ok(()), "a link to the page");
        }
        let long = format!("/v1/gaps?from={}", "x".repeat(9_000));
        assert_eq!(asked(&long, &[host]), Err("address_too_long"));
    }
}
