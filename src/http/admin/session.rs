//! The session cookie, and the mark of a browser that has logged in before.

use actix_web::HttpRequest;
use actix_web::cookie::{Cookie, SameSite, time::Duration};
use secrecy::{ExposeSecret, SecretString};

use super::AdminState;
use crate::store::staff::sessions::ABSOLUTE_SECONDS;

/// How long a browser is known after its last log-in: 180 days.
const DEVICE_DAYS: i64 = 180;
/// How long the choice of a language is kept.
const LANGUAGE_DAYS: i64 = 365;
/// The cookie that says which language a browser wants.
const LANGUAGE: &str = "buynow_language";

fn name(state: &AdminState, plain: &str) -> String {
    // The prefix makes browsers refuse the cookie unless it is for https and this host alone.
    if state.secure { format!("__Host-{plain}") } else { plain.to_owned() }
}

fn cookie(state: &AdminState, plain: &str, value: String, age: Duration) -> Cookie<'static> {
    Cookie::build(name(state, plain), value)
        .path("/")
        .http_only(true)
        .secure(state.secure)
        // Lax: a link to an order in a chat leads to the order, not to the log-in.
        .same_site(SameSite::Lax)
        .max_age(age)
        .finish()
}

/// The cookie of a log-in.
pub fn session_cookie(state: &AdminState, token: String) -> Cookie<'static> {
    cookie(state, "buynow_admin", token, Duration::seconds(ABSOLUTE_SECONDS))
}

/// Takes the cookie of a log-in away.
pub fn no_session_cookie(state: &AdminState) -> Cookie<'static> {
    cookie(state, "buynow_admin", String::new(), Duration::ZERO)
}

/// The token of the cookie.
pub fn token(state: &AdminState, request: &HttpRequest) -> Option<String> {
    let cookie = request.cookie(&name(state, "buynow_admin"))?;
    let token = cookie.value();
    (1..=128).contains(&token.len()).then(|| token.to_owned())
}

/// Marks the browser as one that has logged in to this account; `None` when it cannot be sealed,
/// which only costs the browser its own limit.
pub fn device_cookie(state: &AdminState, login: &str, token: &str) -> Option<Cookie<'static>> {
    let mark = SecretString::from(format!("device {login} {token}"));
    let sealed = state.sealer.seal(&mark).ok()?;
    Some(cookie(state, "buynow_device", sealed, Duration::days(DEVICE_DAYS)))
}

/// What tells this browser from others, if it has logged in to this account before.
pub fn device(state: &AdminState, request: &HttpRequest, login: &str) -> Option<String> {
    let cookie = request.cookie(&name(state, "buynow_device"))?;
    let mark = state.sealer.open(cookie.value()).ok()?;
    let known = mark.expose_secret().strip_prefix("device ")?;
    let (of, token) = known.split_once(' ')?;
    (of == login).then(|| token.to_owned())
}

/// Keeps the choice of a language for pages before the log-in.
pub fn language_cookie(state: &AdminState, language: &str) -> Cookie<'static> {
    cookie(state, LANGUAGE, language.to_owned(), Duration::days(LANGUAGE_DAYS))
}

/// The language that this browser has chosen.
pub fn language(state: &AdminState, request: &HttpRequest) -> Option<String> {
    request.cookie(&name(state, LANGUAGE)).map(|cookie| cookie.value().to_owned())
}
