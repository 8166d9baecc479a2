//! Opening a connection, and what a refusal means.

use crate::{Secret, TickerOptions};
use tickhouse_model::GapCause;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::client::Request;
use tokio_tungstenite::tungstenite::http::{HeaderValue, StatusCode, header};
use tokio_tungstenite::tungstenite::{Error as WsError, error::ProtocolError};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};

/// An open connection.
pub(crate) type Stream = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Why there is none.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) kind: FailureKind,
    /// Without secrets.
    pub(crate) detail: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FailureKind {
    /// 401 or 403: a bad token, or one connection too many.
    Forbidden,
    /// 429: too many connections, or too fast.
    TooMany,
    /// Anything else: worth another attempt soon.
    Unreachable,
}

impl FailureKind {
    fn of(status: StatusCode) -> Self {
        match status {
            StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED => Self::Forbidden,
            StatusCode::TOO_MANY_REQUESTS => Self::TooMany,
            _ => Self::Unreachable,
        }
    }
}

/// Connects and shakes hands.
///
/// # Cancel safety
/// Safe: dropping it closes what was opened.
pub(crate) async fn dial(options: &TickerOptions, api_key: &str, token: &Secret) -> Result<Stream, Failure> {
    let unreachable = |detail| Failure { kind: FailureKind::Unreachable, detail };
    let request = request(options, api_key, token).map_err(|error| failure(&error, token))?;
    let connecting = connect_async_with_config(request, Some(options.web_socket()), true);
    match tokio::time::timeout(options.connect_timeout, connecting).await {
        Ok(Ok((stream, _response))) => Ok(stream),
        Ok(Err(error)) => Err(failure(&error, token)),
        Err(_elapsed) => Err(unreachable(format!("no handshake within {:?}", options.connect_timeout))),
    }
}

fn request(options: &TickerOptions, api_key: &str, token: &Secret) -> Result<Request, WsError> {
    let mut url = options.endpoint.clone();
    url.query_pairs_mut().append_pair("api_key", api_key).append_pair("access_token", token.expose());
    let mut request = url.as_str().into_client_request()?;
    let headers = request.headers_mut();
    headers.insert("X-Kite-Version", HeaderValue::from_static("3"));
    let agent = concat!("tickhouse/", env!("CARGO_PKG_VERSION"));
    headers.insert(header::USER_AGENT, HeaderValue::from_static(agent));
    Ok(request)
}

fn failure(error: &WsError, token: &Secret) -> Failure {
    let kind = match error {
        WsError::Http(response) => FailureKind::of(response.status()),
        _ => FailureKind::Unreachable,
    };
    Failure { kind, detail: describe(error, token) }
}

/// An error in words, without the address and without secrets.
pub(crate) fn describe(error: &WsError, token: &Secret) -> String {
    match error {
        WsError::Http(response) => format!("handshake refused with HTTP {}", response.status()),
        // carries the whole address
        WsError::Url(_) => "the address of the socket cannot be used".to_owned(),
        WsError::Protocol(ProtocolError::ResetWithoutClosingHandshake) => {
            "connection dropped without a close frame".to_owned()
        }
        other => token.redact(&other.to_string()),
    }
}

/// The cause that a failed attempt is recorded under.
pub(crate) fn cause_of(kind: FailureKind, pauses: bool) -> GapCause {
    match kind {
        FailureKind::Forbidden if pauses => GapCause::Unauthorised,
        FailureKind::Forbidden | FailureKind::TooMany => GapCause::RateLimited,
        FailureKind::Unreachable => GapCause::Broken,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_query_is_encoded_and_errors_keep_it_to_themselves() {
        let options = TickerOptions::at("ws://127.0.0.1:1").unwrap();
        let token = Secret::new("s&cret+");
        let request = request(&options, "k y", &token).unwrap();
        assert_eq!(request.uri().to_string(), "ws://127.0.0.1:1/?api_key=k+y&access_token=s%26cret%2B");
        assert_eq!(request.headers()["X-Kite-Version"], "3");
        let error = WsError::Io(std::io::Error::other("ws://h/?access_token=s&cret+"));
        assert_eq!(describe(&error, &token), "IO error: ws://h/?access_token=***");
    }

    #[tokio::test]
    async fn tls_is_compiled_in_with_a_provider() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let options = TickerOptions::at(&format!("wss://{}", listener.local_addr().unwrap())).unwrap();
        let server = tokio::spawn(async move { drop(listener.accept().await.unwrap()) });
        let failure = dial(&options, "k", &Secret::new("tok3n")).await.unwrap_err();
        assert_eq!(failure.kind, FailureKind::Unreachable);
        assert!(
            !failure.detail.contains("tok3n") && !failure.detail.contains("cannot be used"),
            "{failure:?}"
        );
        server.await.unwrap();
    }
}
