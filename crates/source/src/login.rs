//! The way to an access token: Kite's login page, the redirect that ends it, or a program that does both.
//!
//! What enters: an API key, a browser's redirect to a loopback port, a pasted text, the output of a program. What leaves: a
//! request token for [`crate::rest::Rest::session_token`]. What never happens here: a token in a log or an error, a redirect
//! accepted that did not begin with our own address (its `state` tells), an open end: everything has a time and a size.
//!
//! The flow: <https://kite.trade/docs/connect/v3/user/#login-flow>

mod hook;
mod redirect;

pub use hook::{HookToken, run_hook};
pub use redirect::RedirectListener;

use crate::{Secret, Url};
use std::borrow::Cow;
use std::net::SocketAddr;
use std::time::Duration;

/// Kite's login page.
pub const KITE_LOGIN: &str = "https://kite.zerodha.com/connect/login";

/// Why there is no request token. No variant carries one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoginError {
    /// The address of the login page or of the redirect makes no sense.
    #[error("{what}: {problem}")]
    Address {
        /// Which setting.
        what: &'static str,
        /// What is wrong.
        problem: String,
    },
    /// The port of the redirect is taken.
    #[error(
        "{address} cannot be listened on for the redirect: {source}; end what uses it, or paste the redirected address"
    )]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// Nobody came.
    #[error("no redirect came within {} s: open the login page again, or pass --request-token", .0.as_secs())]
    TimedOut(Duration),
    /// Kite's page came back without a token.
    #[error("kite's login page ended with `{status}`: log in again")]
    Refused {
        /// Its word.
        status: String,
    },
    /// A pasted text or a program's output is neither a token nor an address with one.
    #[error(
        "{0} holds no request token: paste the address that the browser was sent to, or the value of request_token in it"
    )]
    NoToken(&'static str),
    /// A pasted text or a program's output is an address, and that of a login which was not begun here.
    #[error(
        "{0} is that of another login, by its `state`: open the login page that is shown, or give the value of request_token alone"
    )]
    OtherLogin(&'static str),
    /// The program of `kite.login_command` failed.
    #[error("kite.login_command {program}: {problem}")]
    Hook {
        /// Which.
        program: String,
        /// What happened.
        problem: String,
    },
}

/// The address to open in a browser. `state` comes back with the redirect; `redirect` is for a simulator, which does not know
/// where the key's redirect goes.
///
/// # Errors
/// When `page` is no HTTP address.
pub fn login_url(page: &str, api_key: &str, state: &str, redirect: Option<&Url>) -> Result<Url, LoginError> {
    let mut url = parsed("kite.login_url", page)?;
    {
        let mut query = url.query_pairs_mut();
        query.append_pair("v", "3").append_pair("api_key", api_key);
        query.append_pair("redirect_params", &format!("state={state}"));
        if let Some(redirect) = redirect {
            query.append_pair("redirect", redirect.as_str());
        }
    }
    Ok(url)
}

/// A new `state`: 128 random bits.
pub fn new_state() -> String {
    format!("{:032x}", rand::random::<u128>())
}

/// The request token in a pasted text: itself, or the address that the browser was sent to, which must not carry another
/// `state` than this login's, where that is known.
///
/// # Errors
/// [`LoginError::NoToken`], [`LoginError::Refused`], [`LoginError::OtherLogin`].
pub fn pasted_token(text: &str, state: Option<&str>) -> Result<Secret, LoginError> {
    let text = text.trim();
    if text.contains("://") {
        let url: Url = text.parse().map_err(|_| LoginError::NoToken("the pasted address"))?;
        let other = |(name, value): (Cow<'_, str>, Cow<'_, str>)| {
            name == "state" && state.is_some_and(|state| state != value)
        };
        if url.query_pairs().any(other) {
            return Err(LoginError::OtherLogin("the pasted address"));
        }
        return token_of(&url).unwrap_or(Err(LoginError::NoToken("the pasted address")));
    }
    let plain =
        !text.is_empty() && text.len() <= 128 && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if plain { Ok(Secret::new(text)) } else { Err(LoginError::NoToken("the pasted text")) }
}

/// The request token of a redirect; `None` where the address says nothing of a login.
fn token_of(url: &Url) -> Option<Result<Secret, LoginError>> {
    let value = |wanted: &str| {
        url.query_pairs().find(|(name, _)| name == wanted).map(|(_, value)| value.into_owned())
    };
    if let Some(status) = value("status").filter(|status| status != "success") {
        let status = status.chars().filter(|char| !char.is_control()).take(40).collect();
        return Some(Err(LoginError::Refused { status }));
    }
    let token = value("request_token").filter(|token| !token.is_empty())?;
    Some(Ok(Secret::new(&token)))
}

fn parsed(what: &'static str, text: &str) -> Result<Url, LoginError> {
    let address = |problem: String| LoginError::Address { what, problem };
    let url: Url = text.parse().map_err(|error| address(format!("`{text}` is no URL: {error}")))?;
    match url.scheme() {
        "http" | "https" => Ok(url),
        _ => Err(address(format!("`{text}`: use http:// or https://"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_pasted() {
        let token = |text| pasted_token(text, None).map(|token| token.expose().to_owned());
        assert_eq!(token(" abcDEF123\n").unwrap(), "abcDEF123");
        let url = "http://127.0.0.1:8723/?action=login&status=success&request_token=abc&state=1";
        assert_eq!(token(url).unwrap(), "abc");
        let long = "a".repeat(129);
        for text in ["", "a b", "request_token=abc", "http://127.0.0.1:8723/?status=success", long.as_str()] {
            assert!(matches!(token(text), Err(LoginError::NoToken(_))), "{text}");
        }
        let refused = token("http://127.0.0.1/?status=cancelled&request_token=abc").unwrap_err();
        assert_eq!(refused.to_string(), "kite's login page ended with `cancelled`: log in again");
    }

    #[test]
    fn an_address_of_another_login_is_refused() {
        let token = |text: &str| pasted_token(text, Some("1")).map(|token| token.expose().to_owned());
        let address = "http://127.0.0.1:8723/?status=success&request_token=abc";
        assert_eq!(token(&format!("{address}&state=1")).unwrap(), "abc");
        for text in [address, "abc"] {
            assert_eq!(token(text).unwrap(), "abc", "it says nothing of a login");
        }
        for state in ["state=2", "state=", "state=1&state=2"] {
            let error = token(&format!("{address}&{state}")).unwrap_err();
            assert!(
                matches!(error, LoginError::OtherLogin(_)) && !error.to_string().contains("abc"),
                "{error}"
            );
        }
    }

    #[test]
    fn the_page_carries_the_key_and_the_state() {
        let url = login_url(KITE_LOGIN, "k&y", "s1", None).unwrap();
        assert_eq!(
            url.as_str(),
            "https://kite.zerodha.com/connect/login?v=3&api_key=k%26y&redirect_params=state%3Ds1"
        );
        assert!(login_url("file:///etc/passwd", "k", "s", None).is_err());
        assert_ne!(new_state(), new_state());
    }
}
