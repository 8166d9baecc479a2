//! From the token, typed once, to a cookie.
//!
//! What enters: `POST /v1/session` with the token in `Authorization: Bearer`; cookies and bearer tokens of later requests. What leaves: a cookie that holds until
//! it is old or the token changes, also over a restart: its end and a signature by the token. What never happens here: the token in a
//! cookie; more than a few wrong tokens a minute.

use crate::fault::Fault;
use crate::state::Web;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use subtle::ConstantTimeEq as _;
use tickhouse_model::Timestamp;
use tickhouse_push::Token;

/// Where a session begins and ends.
pub(crate) const PATH: &str = "/v1/session";
const COOKIE: &str = "tickhouse_session";
const LASTS: Duration = Duration::from_hours(30 * 24);
/// Wrong tokens at once, and how long until one more is allowed.
const ATTEMPTS: (f64, Duration) = (10.0, Duration::from_secs(6));

/// The token, and how many wrong ones came.
#[derive(Debug)]
pub(crate) struct Sessions {
    token: Token,
    now: tickhouse_telemetry::Clock,
    attempts: Mutex<(f64, Instant)>,
}

impl Sessions {
    pub(crate) fn new(token: Token) -> Self {
        Self {
            token,
            now: tickhouse_telemetry::Clock::system(),
            attempts: Mutex::new((ATTEMPTS.0, Instant::now())),
        }
    }

    /// Whether a request carries the token or a cookie.
    pub(crate) fn check(&self, headers: &HeaderMap) -> Result<(), Fault> {
        if cookies(headers).any(|cookie| self.is_session(cookie, self.now.now())) {
            return Ok(());
        }
        let Some(token) = bearer(headers) else {
            let message = "the token is needed: type it into the page, or send Authorization: Bearer";
            return Err(Fault::new(StatusCode::UNAUTHORIZED, "unauthorised", message));
        };
        self.judge(token)
    }

    /// Whether this is the token. After too many wrong ones nobody is told for a while.
    fn judge(&self, token: &[u8]) -> Result<(), Fault> {
        let mut attempts = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        let (left, since) = &mut *attempts;
        *left = (*left + since.elapsed().div_duration_f64(ATTEMPTS.1)).min(ATTEMPTS.0);
        *since = Instant::now();
        if *left < 1.0 {
            let message = "too many wrong tokens: wait a while";
            let fault = Fault::new(StatusCode::TOO_MANY_REQUESTS, "too_many_attempts", message);
            return Err(fault.retry_after(ATTEMPTS.1));
        }
        if self.token.is(token) {
            return Ok(());
        }
        *left -= 1.0;
        tracing::warn!("somebody sent a wrong token");
        Err(Fault::new(StatusCode::UNAUTHORIZED, "unauthorised", "that is not the token"))
    }

    /// `<end>.<signature>`, where the end is in Unix seconds.
    fn session(&self, now: Timestamp) -> String {
        let end = now.plus(LASTS).as_seconds();
        format!("{end}.{}", hex::encode(self.signature(&end.to_string())))
    }

    fn is_session(&self, text: &str, now: Timestamp) -> bool {
        let Some((end, signature)) = text.split_once('.') else { return false };
        let Ok(given) = hex::decode(signature) else { return false };
        let genuine: bool = self.signature(end).as_slice().ct_eq(&given).into();
        genuine && end.parse().is_ok_and(|end: i64| end > now.as_seconds())
    }

    fn signature(&self, end: &str) -> [u8; 32] {
        self.token.sign(format!("page session until {end}").as_bytes())
    }
}

fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.as_bytes().split_at_checked("Bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then_some(token)
}

fn cookies(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let all = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    all.flat_map(|value| value.split(';')).filter_map(|pair| {
        let (name, value) = pair.trim().split_once('=')?;
        (name == COOKIE).then_some(value)
    })
}

/// `POST /v1/session`: the cookie for the token in `Authorization: Bearer`.
pub(crate) async fn open(State(web): State<Arc<Web>>, headers: HeaderMap) -> Result<Response, Fault> {
    let Some(sessions) = &web.guard.sessions else { return Ok(StatusCode::NO_CONTENT.into_response()) };
    sessions.judge(bearer(&headers).unwrap_or_default())?;
    let secure = headers.get(header::ORIGIN).is_some_and(|origin| origin.as_bytes().starts_with(b"https:"));
    Ok(with_cookie(&sessions.session(sessions.now.now()), LASTS, secure))
}

/// `DELETE /v1/session`: the cookie goes.
pub(crate) async fn close() -> Response {
    with_cookie("", Duration::ZERO, false)
}

fn with_cookie(value: &str, lasts: Duration, secure: bool) -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    let secure = if secure { "; Secure" } else { "" };
    let cookie =
        format!("{COOKIE}={value}; Path=/; Max-Age={}; HttpOnly; SameSite=Strict{secure}", lasts.as_secs());
    let cookie = HeaderValue::from_str(&cookie).expect("digits and hexadecimal");
    response.headers_mut().insert(header::SET_COOKIE, cookie);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sessions() -> (Sessions, String) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let token = Token::read_or_make(&path).unwrap();
        (Sessions::new(token), std::fs::read_to_string(&path).unwrap().trim().to_owned())
    }

    #[test]
    fn a_cookie_holds_until_its_end_and_cannot_be_made() {
        let (sessions, token) = sessions();
        let now = Timestamp::from_millis(1_795_145_400_000);
        let cookie = sessions.session(now);
        assert!(!cookie.contains(&token) && sessions.is_session(&cookie, now));
        assert!(!sessions.is_session(&cookie, now.plus(LASTS)), "it is old");
        let (end, signature) = cookie.split_once('.').unwrap();
        let later = end.parse::<i64>().unwrap() + 1;
        for forged in [
            format!("{later}.{signature}"),
            format!("{end}."),
            end.to_owned(),
            String::new(),
            format!("{cookie}00"),
        ] {
            assert!(!sessions.is_session(&forged, now), "{forged}");
        }
        let (other, _) = self::sessions();
        assert!(!other.is_session(&cookie, now), "another token");
    }

    #[test]
    fn the_token_or_a_cookie_and_few_attempts() {
        let (sessions, token) = sessions();
        let with = |name: header::HeaderName, value: &str| {
            HeaderMap::from_iter([(name, HeaderValue::from_str(value).unwrap())])
        };
        let check = |headers: HeaderMap| sessions.check(&headers).map_err(|fault| fault.status.as_u16());
        assert_eq!(check(HeaderMap::new()), Err(401));
        assert_eq!(check(with(header::AUTHORIZATION, &format!("bearer {token}"))), Ok(()));
        let cookie = format!("a=b; {COOKIE}={}", sessions.session(sessions.now.now()));
        assert_eq!(check(with(header::COOKIE, &cookie)), Ok(()));
        let wrong = || with(header::AUTHORIZATION, "Bearer x");
        for _ in 0..10 {
            assert_eq!(check(wrong()), Err(401));
        }
        assert_eq!(check(wrong()), Err(429));
        assert_eq!(
            check(with(header::AUTHORIZATION, &format!("Bearer {token}"))),
            Err(429),
            "no answer is an answer"
        );
        assert_eq!(check(with(header::COOKIE, &cookie)), Ok(()), "who is in stays in");
    }
}
