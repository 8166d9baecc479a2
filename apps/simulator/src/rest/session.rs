//! Login, logout and the user.

use super::{Answer, KiteError, success};
use crate::shared::Shared;
use axum::extract::{Form, Query, State};
use axum::response::{IntoResponse as _, Redirect};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use tickhouse_model::Timestamp;

#[derive(Deserialize)]
pub(super) struct Login {
    #[serde(default)]
    api_key: String,
    #[serde(default)]
    request_token: String,
    #[serde(default)]
    checksum: String,
}

/// `POST /session/token`: a request token becomes an access token; the one before expires.
pub(super) async fn log_in(State(shared): State<Arc<Shared>>, Form(login): Form<Login>) -> Answer {
    let Login { api_key, request_token, checksum } = login;
    if api_key.is_empty() || request_token.is_empty() || checksum.is_empty() {
        return Err(KiteError::input("Missing or empty field `api_key`, `request_token` or `checksum`"));
    }
    let access_token = shared.access.log_in(&api_key, &request_token, &checksum).map_err(|_| {
        let mut error = KiteError::token();
        "Token is invalid or has expired.".clone_into(&mut error.message);
        error
    })?;
    let mut data = user();
    let fields = data.as_object_mut().expect("a user is an object");
    fields.extend([
        ("api_key".to_owned(), json!(api_key)),
        ("access_token".to_owned(), json!(access_token)),
        ("public_token".to_owned(), json!(format!("p{}", &access_token[1..]))),
        ("enctoken".to_owned(), json!("")),
        ("refresh_token".to_owned(), json!("")),
        ("silo".to_owned(), json!("")),
        ("login_time".to_owned(), json!(naive(shared.clock.now()))),
    ]);
    Ok(success(data))
}

#[derive(Deserialize)]
pub(super) struct Logout {
    access_token: Option<String>,
}

/// `DELETE /session/token`: the token expires, and its connections end.
pub(super) async fn log_out(State(shared): State<Arc<Shared>>, Query(logout): Query<Logout>) -> Answer {
    let token =
        logout.access_token.ok_or_else(|| KiteError::input("Missing or empty field `access_token`"))?;
    shared.access.expire(&token, "logged out");
    Ok(success(true))
}

/// `GET /user/profile`.
pub(super) async fn profile() -> Answer {
    Ok(success(user()))
}

#[derive(Deserialize)]
pub(super) struct LoginPage {
    #[serde(default)]
    api_key: String,
    redirect: Option<String>,
    /// What Kite appends to the redirect.
    redirect_params: Option<String>,
}

/// `GET /connect/login`: nobody types a password here. With `redirect`, goes there with the request token as Kite does;
/// without, shows it.
pub(super) async fn login_page(State(shared): State<Arc<Shared>>, Query(page): Query<LoginPage>) -> Answer {
    if page.api_key.is_empty() {
        return Err(KiteError::input("Invalid `api_key`."));
    }
    let request_token = shared.access.request_token(&page.api_key);
    let Some(redirect) = page.redirect else {
        return Ok(format!("{request_token}\n").into_response());
    };
    let and = if redirect.contains('?') { '&' } else { '?' };
    let more = page.redirect_params.map(|more| format!("&{more}")).unwrap_or_default();
    let target = format!("{redirect}{and}action=login&status=success&request_token={request_token}{more}");
    Ok(Redirect::to(&target).into_response())
}

fn user() -> Value {
    json!({
        "user_id": "SIM001", "user_type": "individual", "email": "sim@example.com", "user_name": "Tickhouse Simulator",
        "user_shortname": "Simulator", "broker": "ZERODHA",
        "exchanges": ["NSE", "NFO", "BFO", "CDS", "BSE", "MCX", "BCD", "NCO"],
        "products": ["CNC", "NRML", "MIS"], "order_types": ["MARKET", "LIMIT", "SL", "SL-M"], "avatar_url": null,
        "meta": {"demat_consent": "physical"}
    })
}

/// `2026-11-20 09:15:00`: how Kite writes India's time.
pub(super) fn naive(at: Timestamp) -> String {
    let text = at.to_string();
    format!("{} {}", &text[..10], &text[11..19])
}
