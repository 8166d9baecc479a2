//! The part of Kite's REST that recording needs: login, the instruments master, quotes to compare with, candles.
//!
//! Envelope: `{"status":"success","data":…}` or `{"status":"error","message":…,"error_type":…}`, see
//! <https://kite.trade/docs/connect/v3/response-structure/>. Limits per API key: quotes 1 call a second, candles 3, the rest 10; this
//! client does not pace itself.

mod error;
mod historical;

pub use error::{Disposition, ErrorType, RestError};
pub use historical::{HistoricalCandle, HistoricalQuery};

use crate::{Key, Secret, Url};
use bytes::Bytes;
use reqwest::header::{AUTHORIZATION, DATE, HeaderValue};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Read as _;
use std::time::Duration;
use tickhouse_model::Timestamp;

/// Kite's own address.
pub const KITE_API: &str = "https://api.kite.trade";

/// Most instruments of one [`Rest::quote`] call.
pub const MOST_QUOTES: usize = 500;

/// First two bytes of gzip.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// Largest instruments master that is unpacked; the real one has about 10 MB.
const LARGEST_MASTER: u64 = 256 << 20;

/// Time for an ordinary call, as the official clients have it.
const CALL_TIMEOUT: Duration = Duration::from_secs(7);

/// Time for the instruments master.
const MASTER_TIMEOUT: Duration = Duration::from_mins(1);

/// A client of Kite's REST. Cloning is cheap and shares connections.
#[derive(Clone, Debug)]
pub struct Rest {
    http: reqwest::Client,
    base: Url,
}

/// Who an access token belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Profile {
    /// Kite's client id, e.g. `AB1234`.
    pub user_id: String,
    /// Full name.
    #[serde(default)]
    pub user_name: String,
    /// Exchanges that the account may use.
    #[serde(default)]
    pub exchanges: Vec<String>,
}

/// The result of a login.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Session {
    /// Valid until about 06:00 India time of the next day, or the next login.
    pub access_token: Secret,
    /// Kite's client id.
    #[serde(default)]
    pub user_id: String,
    /// India's wall clock, `2026-11-20 08:31:07`.
    #[serde(default)]
    pub login_time: Option<String>,
}

/// What Kite's `/quote` says of one instrument. Prices in rupees.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Quote {
    /// Kite's number of it.
    pub instrument_token: u32,
    /// Last traded price.
    pub last_price: f64,
    /// Exchange time, India's wall clock.
    #[serde(default)]
    pub timestamp: Option<String>,
    /// Time of the last trade, India's wall clock; `None` when there was none.
    #[serde(default)]
    pub last_trade_time: Option<String>,
    /// Traded today. Absent for indices.
    #[serde(default)]
    pub volume: Option<u64>,
    /// Open interest.
    #[serde(default)]
    pub oi: Option<f64>,
    /// All other fields as sent: `ohlc`, `depth`, circuit limits, ….
    #[serde(flatten)]
    pub rest: BTreeMap<String, Value>,
}

impl Rest {
    /// A client of Kite, or of a simulator, at `base`, e.g. [`KITE_API`].
    ///
    /// # Errors
    /// [`RestError::Invalid`] when `base` is no HTTP address.
    pub fn new(base: &str) -> Result<Self, RestError> {
        let invalid = |problem: String| RestError::Invalid { call: "api address".to_owned(), problem };
        let base: Url = base.parse().map_err(|error| invalid(format!("`{base}` is no URL: {error}")))?;
        if !matches!(base.scheme(), "http" | "https") || base.cannot_be_a_base() {
            return Err(invalid(format!("`{base}`: use http://HOST:PORT or https://HOST")));
        }
        let agent = concat!("tickhouse/", env!("CARGO_PKG_VERSION"));
        let http = reqwest::Client::builder()
            .user_agent(agent)
            .connect_timeout(CALL_TIMEOUT)
            .timeout(CALL_TIMEOUT)
            .build()
            .map_err(|error| invalid(error.without_url().to_string()))?;
        Ok(Self { http, base })
    }

    /// What time Kite says it is: the `Date` of its answer to anything, so whole seconds, cut. Works without a key.
    ///
    /// # Errors
    /// When there is no answer, or no time in it.
    pub async fn server_time(&self) -> Result<Timestamp, RestError> {
        const CALL: &str = "HEAD /";
        let answer = self.http.head(self.base.clone()).send().await;
        let answer = answer.map_err(|error| RestError::Transport {
            call: CALL.to_owned(),
            problem: error.without_url().to_string(),
        })?;
        let date = answer.headers().get(DATE).and_then(|date| date.to_str().ok());
        let time = date.and_then(|date| jiff::fmt::rfc2822::parse(date).ok());
        time.map(|time| Timestamp::from_millis(time.timestamp().as_millisecond())).ok_or_else(|| {
            RestError::Unexpected { call: CALL.to_owned(), problem: "no Date in the answer".to_owned() }
        })
    }

    /// The instruments master, of one exchange or of all, as plain CSV. Kite makes it once a day, at about 08:30 India
    /// time: fetch it once. Works without a key.
    ///
    /// # Errors
    /// See [`RestError`]; a proxy's 502 page is retryable.
    pub async fn instruments_csv(
        &self,
        exchange: Option<&str>,
        key: Option<&Key>,
    ) -> Result<Bytes, RestError> {
        let mut path = vec!["instruments"];
        path.extend(exchange);
        let call = self.call(Method::GET, &path, key).timeout(MASTER_TIMEOUT);
        let (status, body) = call.send().await?;
        let name = &call_name(&Method::GET, &path);
        let body = gunzip(name, body).await?;
        if status.is_success() && body.starts_with(b"instrument_token,") {
            return Ok(body);
        }
        Err(failure(name, status, &body))
    }

    /// Who the key's access token belongs to: the cheapest test of a token.
    ///
    /// # Errors
    /// See [`RestError`]; a bad token has the disposition [`Disposition::LogIn`].
    pub async fn profile(&self, key: &Key) -> Result<Profile, RestError> {
        self.call(Method::GET, &["user", "profile"], Some(key)).json().await
    }

    /// Exchanges the request token of a browser login for an access token. A request token works once, for minutes.
    ///
    /// # Errors
    /// See [`RestError`].
    pub async fn session_token(
        &self,
        api_key: &str,
        request_token: &Secret,
        api_secret: &Secret,
    ) -> Result<Session, RestError> {
        let checksum = checksum(api_key, request_token, api_secret);
        let form = [("api_key", api_key), ("request_token", request_token.expose()), ("checksum", &checksum)];
        let mut call = self.call(Method::POST, &["session", "token"], None);
        call.request = call.request.form(&form);
        call.secrets.extend([request_token.clone(), api_secret.clone(), Secret::new(&checksum)]);
        call.json().await
    }

    /// Quotes of up to [`MOST_QUOTES`] instruments, named `NSE:INFY` or by token. Instruments without data are missing
    /// in the answer.
    ///
    /// # Errors
    /// See [`RestError`]; [`RestError::Invalid`] for more instruments than a call may have.
    pub async fn quote(
        &self,
        key: &Key,
        instruments: &[impl AsRef<str>],
    ) -> Result<BTreeMap<String, Quote>, RestError> {
        let path = ["quote"];
        if instruments.len() > MOST_QUOTES {
            let problem = format!("{} instruments, {MOST_QUOTES} fit one call", instruments.len());
            return Err(RestError::Invalid { call: call_name(&Method::GET, &path), problem });
        }
        let query: Vec<_> = instruments.iter().map(|instrument| ("i", instrument.as_ref())).collect();
        let mut call = self.call(Method::GET, &path, Some(key));
        call.request = call.request.query(&query);
        call.json().await
    }

    fn call(&self, method: Method, path: &[&str], key: Option<&Key>) -> Call {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        let name = call_name(&method, path);
        let mut request = self.http.request(method, url).header("X-Kite-Version", "3");
        let mut secrets = Vec::new();
        if let Some(key) = key {
            let token = key.token().current();
            let text = format!("token {}:{}", key.api_key(), token.expose());
            // what cannot be a header is no token: Kite then says that it is missing
            if let Ok(mut value) = HeaderValue::from_str(&text) {
                value.set_sensitive(true);
                request = request.header(AUTHORIZATION, value);
            }
            secrets.push(token);
        }
        Call { name, request, secrets }
    }
}

/// One call on its way.
struct Call {
    name: String,
    request: RequestBuilder,
    /// What no message may contain.
    secrets: Vec<Secret>,
}

impl Call {
    fn timeout(mut self, timeout: Duration) -> Self {
        self.request = self.request.timeout(timeout);
        self
    }

    async fn send(self) -> Result<(StatusCode, Bytes), RestError> {
        let Self { name, request, secrets } = self;
        let transport = |error: reqwest::Error| {
            let text = chain(&error.without_url());
            let problem = secrets.iter().fold(text, |text, secret| secret.redact(&text));
            RestError::Transport { call: name.clone(), problem }
        };
        let response = request.send().await.map_err(transport)?;
        let status = response.status();
        Ok((status, response.bytes().await.map_err(transport)?))
    }

    async fn json<T: DeserializeOwned>(self) -> Result<T, RestError> {
        let (name, secrets) = (self.name.clone(), self.secrets.clone());
        let (status, body) = self.send().await?;
        data(&name, status, &body).map_err(|error| masked(error, &secrets))
    }
}

fn call_name(method: &Method, path: &[&str]) -> String {
    format!("{method} /{}", path.join("/"))
}

/// An error and its causes in one line; reqwest's own text tells only the outermost.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        write!(text, ": {cause}").expect("a string takes every text");
        source = cause.source();
    }
    text
}

fn masked(error: RestError, secrets: &[Secret]) -> RestError {
    let mask = |text: String| secrets.iter().fold(text, |text, secret| secret.redact(&text));
    match error {
        RestError::Api { call, error_type, status, message } => {
            RestError::Api { call, error_type, status, message: mask(message) }
        }
        RestError::NotKite { call, status, begins } => {
            RestError::NotKite { call, status, begins: mask(begins) }
        }
        other => other,
    }
}

/// The `data` of a successful answer.
fn data<T: DeserializeOwned>(call: &str, status: StatusCode, body: &[u8]) -> Result<T, RestError> {
    #[derive(Deserialize)]
    struct Envelope {
        status: String,
        data: Value,
    }
    match serde_json::from_slice::<Envelope>(body) {
        Ok(envelope) if envelope.status == "success" && status.is_success() => {
            serde_json::from_value(envelope.data).map_err(|error| {
                // the error's own text may quote a value
                let problem = format!("{:?} error in its data", error.classify());
                RestError::Unexpected { call: call.to_owned(), problem }
            })
        }
        _ => Err(failure(call, status, body)),
    }
}

/// The error of an answer that is not the one that was asked for.
fn failure(call: &str, status: StatusCode, body: &[u8]) -> RestError {
    #[derive(Deserialize)]
    struct Envelope {
        #[serde(default)]
        message: String,
        error_type: String,
    }
    let (call, status) = (call.to_owned(), status.as_u16());
    if let Ok(Envelope { message, error_type }) = serde_json::from_slice(body) {
        return RestError::Api { call, error_type: ErrorType::of(&error_type), status, message };
    }
    let begins = String::from_utf8_lossy(&body[..body.len().min(200)]);
    let begins = begins.chars().take(60).filter(|char| !char.is_control()).collect();
    RestError::NotKite { call, status, begins }
}

/// Unpacks what is gzip. (With `Content-Encoding: gzip` the HTTP client has done so; Kite's dump may come without.)
async fn gunzip(call: &str, body: Bytes) -> Result<Bytes, RestError> {
    if !body.starts_with(&GZIP) {
        return Ok(body);
    }
    let unpack = move || {
        let mut plain = Vec::new();
        let mut unpacked = flate2::read::MultiGzDecoder::new(&*body).take(LARGEST_MASTER);
        unpacked.read_to_end(&mut plain).map(|_| plain)
    };
    // ten megabytes are tens of milliseconds: not on a task that others wait behind
    let unpacked = tokio::task::spawn_blocking(unpack).await.map_err(std::io::Error::other);
    unpacked.flatten().map(Bytes::from).map_err(|error| RestError::Transport {
        call: call.to_owned(),
        problem: format!("broken gzip: {error}"),
    })
}

/// `hex(sha256(api_key + request_token + api_secret))`.
fn checksum(api_key: &str, request_token: &Secret, api_secret: &Secret) -> String {
    let mut hash = Sha256::new();
    for part in [api_key, request_token.expose(), api_secret.expose()] {
        hash.update(part.as_bytes());
    }
    hash.finalize().iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes every text");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksum_of_known_parts() {
        // printf abc | sha256sum
        let checksum = checksum("a", &Secret::new("b"), &Secret::new("c"));
        assert_eq!(checksum, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }

    #[test]
    fn errors_tell_what_to_do() {
        let error = |status: u16, body: &str| {
            let status = StatusCode::from_u16(status).unwrap();
            data::<Profile>("GET /user/profile", status, body.as_bytes()).unwrap_err()
        };
        let kite = |kind: &str| format!(r#"{{"status":"error","message":"m","error_type":"{kind}"}}"#);
        for (status, body, disposition) in [
            (403, kite("TokenException"), Disposition::LogIn),
            (200, kite("TokenException"), Disposition::LogIn),
            (429, kite("NetworkException"), Disposition::RetrySlowly),
            (503, kite("NetworkException"), Disposition::Retry),
            (400, kite("InputException"), Disposition::GiveUp),
            (403, kite("PermissionException"), Disposition::GiveUp),
            (500, kite("SurpriseException"), Disposition::Retry),
            (502, "<html>Bad gateway</html>".to_owned(), Disposition::Retry),
            (200, r#"{"status":"success","data":{}}"#.to_owned(), Disposition::GiveUp),
            (200, String::new(), Disposition::Retry),
        ] {
            assert_eq!(error(status, &body).disposition(), disposition, "{status} {body}");
        }
        assert_eq!(
            error(403, &kite("TokenException")).to_string(),
            "kite refused GET /user/profile: TokenException (HTTP 403): m"
        );
    }
}
