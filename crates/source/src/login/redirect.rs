//! The port of this machine that the browser is sent to after a login.

use super::{LoginError, parsed, token_of};
use crate::{Secret, Url};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

/// Longest request that is read.
const LONGEST: usize = 8 * 1024;
/// Time for one request.
const REQUEST_TIME: Duration = Duration::from_secs(5);
/// Header lines that are understood.
const HEADERS: usize = 64;

/// Waits for one redirect at one path of a loopback address.
#[derive(Debug)]
pub struct RedirectListener {
    listener: TcpListener,
    url: Url,
    state: String,
}

impl RedirectListener {
    /// Listens where `redirect_url` points: the address that is registered with Kite for the key, on this machine, by plain
    /// HTTP. Port 0 takes a free one; see [`RedirectListener::url`].
    ///
    /// # Errors
    /// When the address is none of this machine's, or is taken.
    pub async fn bind(redirect_url: &str, state: &str) -> Result<Self, LoginError> {
        let what = "kite.redirect_url";
        let mut url = parsed(what, redirect_url)?;
        let elsewhere = || LoginError::Address {
            what,
            problem: format!("`{redirect_url}` is not http:// on 127.0.0.1: pass --request-token instead"),
        };
        let ip = match url.host_str() {
            Some("localhost" | "127.0.0.1") => IpAddr::V4(Ipv4Addr::LOCALHOST),
            _ => return Err(elsewhere()),
        };
        if url.scheme() != "http" {
            return Err(elsewhere());
        }
        let address = SocketAddr::new(ip, url.port().unwrap_or(80));
        let failed = |source| LoginError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let port = listener.local_addr().map_err(failed)?.port();
        url.set_port(Some(port)).map_err(|()| elsewhere())?;
        Ok(Self { listener, url, state: state.to_owned() })
    }

    /// Where the browser has to be sent.
    pub const fn url(&self) -> &Url {
        &self.url
    }

    /// Waits for the redirect, answers it, and gives its request token. Other requests, and redirects that do not carry our
    /// `state`, are answered with an error and change nothing.
    ///
    /// # Errors
    /// [`LoginError::TimedOut`], [`LoginError::Refused`].
    ///
    /// # Cancel safety
    /// Safe: a redirect that was not answered can be made again.
    pub async fn wait(&self, patience: Duration) -> Result<Secret, LoginError> {
        let redirected = async {
            loop {
                let Ok((stream, _)) = self.listener.accept().await else {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                };
                if let Ok(Some(outcome)) = timeout(REQUEST_TIME, self.answer(stream)).await {
                    return outcome;
                }
            }
        };
        timeout(patience, redirected).await.unwrap_or(Err(LoginError::TimedOut(patience)))
    }

    /// Answers one request; `None` where it is not the redirect.
    async fn answer(&self, mut stream: TcpStream) -> Option<Result<Secret, LoginError>> {
        let outcome = match target(&mut stream).await {
            Some(target) => self.judge(&target),
            None => Err(("400 Bad Request", "This is no request that can be read.")),
        };
        let (status, words) = match &outcome {
            Ok(Ok(_)) => ("200 OK", "Logged in. You can close this page: tickhouse has what it needs."),
            Ok(Err(_)) => ("200 OK", "The login was not completed: see the terminal."),
            Err((status, words)) => (*status, *words),
        };
        let response = format!(
            "HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\n\
             Cache-Control: no-store\r\nReferrer-Policy: no-referrer\r\nConnection: close\r\n\r\n{words}",
            words.len()
        );
        // a browser that went away is no reason to lose its token
        stream.write_all(response.as_bytes()).await.ok();
        stream.shutdown().await.ok();
        outcome.ok()
    }

    fn judge(&self, target: &str) -> Result<Result<Secret, LoginError>, (&'static str, &'static str)> {
        let url = self.url.join(target).map_err(|_| ("400 Bad Request", "This address can't be read."))?;
        if url.path() != self.url.path() {
            return Err(("404 Not Found", "Only the redirect of a login is answered here."));
        }
        let state = url.query_pairs().find(|(name, _)| name == "state");
        if state.is_none_or(|(_, state)| state != self.state.as_str()) {
            return Err((
                "403 Forbidden",
                "This login was not begun here: open the address that tickhouse shows.",
            ));
        }
        token_of(&url).ok_or(("400 Bad Request", "There is no request_token in this address."))
    }
}

/// The target of a GET request.
async fn target(stream: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    loop {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS];
        let mut request = httparse::Request::new(&mut headers);
        match request.parse(&bytes) {
            Ok(httparse::Status::Complete(_)) => {
                let path = request.path.filter(|path| path.starts_with('/') && !path.starts_with("//"));
                return path.filter(|_| request.method == Some("GET")).map(str::to_owned);
            }
            Ok(httparse::Status::Partial) if bytes.len() < LONGEST => {}
            _ => return None,
        }
        let mut chunk = [0; 1_024];
        match stream.read(&mut chunk).await {
            Ok(read @ 1..) => bytes.extend_from_slice(&chunk[..read]),
            _ => return None,
        }
    }
}
