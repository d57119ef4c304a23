//! Who calls: the mini-program and, where a handler asks for it, the buyer.
//!
//! A route says what it needs by its arguments: [`Tenant`] or [`Shopper`]. Tokens are looked up by
//! their hash; the token itself is neither kept nor logged.

use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::{FromRequest, HttpMessage as _, HttpRequest, web};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::FutureExt as _;
use futures_util::future::{LocalBoxFuture, Shared, ready};
use rand::RngCore;
use sha2::{Digest, Sha256};

use super::AppState;
use super::error::{ApiError, Code};
use crate::actors::directory::{DirectoryError, Shop};
use crate::domain::digits::hexadecimal;
use crate::domain::id::UserId;
use crate::store::accounts::{self, Session};

/// The header by which a mini-program says which it is.
pub const APPID_HEADER: &str = "X-WX-APPID";
/// How long a log-in is good, in seconds: 30 days.
pub const SESSION_SECONDS: i64 = 30 * 24 * 3600;

/// What an extractor answers with when it must wait.
pub type Extracted<T> = LocalBoxFuture<'static, Result<T, ApiError>>;

/// The mini-program that a request is for: the one it names, or the only one.
pub struct Tenant(pub Arc<Shop>);

impl FromRequest for Tenant {
    type Error = ApiError;
    type Future = Extracted<Self>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move { tenant(&request, state(&request)?).await.map(Self) })
    }
}

async fn tenant(request: &HttpRequest, state: &AppState) -> Result<Arc<Shop>, ApiError> {
    let shop = match named_appid(request) {
        Some(appid) => state.directory.shop_by_appid(appid).await,
        None => state.directory.only_shop().await,
    };
    shop.map_err(ApiError::from)
}

fn named_appid(request: &HttpRequest) -> Option<&str> {
    request.headers().get(APPID_HEADER).map(|value| value.to_str().unwrap_or_default())
}

impl From<DirectoryError> for ApiError {
    fn from(error: DirectoryError) -> Self {
        match error {
            DirectoryError::Unknown => {
                Self::invalid(APPID_HEADER, "no mini-program of this server")
            }
            DirectoryError::Ambiguous => {
                Self::invalid(APPID_HEADER, "needed: this server has several mini-programs")
            }
            other => Self::unavailable(other),
        }
    }
}

/// The buyer behind the token of a request, in the mini-program that he logged in to. Handlers name
/// it before the parts of the request that can be wrong: see [`first_refusal`].
#[derive(Clone)]
pub struct Shopper {
    pub shop: Arc<Shop>,
    pub user: UserId,
    pub token_hash: String,
}

impl FromRequest for Shopper {
    type Error = ApiError;
    type Future = Extracted<Self>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        if let Some(shopper) = remembered(request) {
            return Box::pin(ready(Ok(shopper)));
        }
        // It lies in the request, so it must not hold the request.
        let state = request.app_data::<web::Data<AppState>>().cloned();
        let token_hash = bearer(request).map(hash);
        let appid = named_appid(request).map(str::to_owned);
        let look_up = shopper(state, token_hash, appid).boxed_local().shared();
        request.extensions_mut().insert(LookUp(look_up.clone()));
        look_up.boxed_local()
    }
}

/// A buyer who was looked up a moment ago, in a shop that is open: nothing to wait for. The same
/// rules as in [`shopper`].
fn remembered(request: &HttpRequest) -> Option<Shopper> {
    let state = request.app_data::<web::Data<AppState>>()?;
    let token_hash = hash(bearer(request)?);
    let session = state.sessions.get(&token_hash, state.clock.now())?;
    let shop = state.directory.open_shop(session.wxapp)?;
    let ours = named_appid(request).is_none_or(|appid| appid == shop.wxapp.appid);
    ours.then_some(Shopper { shop, user: session.user, token_hash })
}

/// The look-up of the buyer of a request, made once.
#[derive(Clone)]
struct LookUp(Shared<Extracted<Shopper>>);

async fn shopper(
    state: Option<web::Data<AppState>>,
    token_hash: Option<String>,
    appid: Option<String>,
) -> Result<Shopper, ApiError> {
    let state = state.ok_or_else(|| ApiError::new(Code::Internal))?;
    let token_hash = token_hash.ok_or_else(ApiError::unauthorized)?;
    let session = session(&state, &token_hash).await?;
    let shop = state.directory.shop(session.wxapp).await?;
    // A token of one mini-program opens nothing in another.
    if appid.is_some_and(|appid| appid != shop.wxapp.appid) {
        return Err(ApiError::unauthorized());
    }
    Ok(Shopper { shop, user: session.user, token_hash })
}

/// What is said of a request of which a part is wrong: where a buyer is asked for, who is none
/// hears that first, whatever else he has sent. Extractors run side by side, so the one that has
/// found the part waits for the look-up here.
pub async fn first_refusal(request: &HttpRequest, error: ApiError) -> ApiError {
    let look_up = request.extensions().get::<LookUp>().cloned();
    match look_up {
        Some(LookUp(look_up)) => look_up.await.err().unwrap_or(error),
        None => error,
    }
}

async fn session(state: &AppState, token_hash: &str) -> Result<Session, ApiError> {
    let now = state.clock.now();
    if let Some(session) = state.sessions.get(token_hash, now) {
        return Ok(session);
    }
    let session = accounts::session(&state.readers, token_hash, now).await?;
    let session = session.ok_or_else(ApiError::unauthorized)?;
    state.sessions.put(token_hash, session, now);
    Ok(session)
}

/// The token of a request; `None` when there is none that could be ours.
pub fn bearer(request: &HttpRequest) -> Option<&str> {
    let value = request.headers().get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    let token = token.trim();
    let ours = scheme.eq_ignore_ascii_case("bearer") && (1..=128).contains(&token.len());
    ours.then_some(token)
}

/// SHA-256 of a token, hexadecimal: what the database knows it by.
pub fn hash(token: &str) -> String {
    hexadecimal(&Sha256::digest(token))
}

/// A new token: 256 random bits.
pub fn new_token() -> String {
    let mut bytes = [0; 32];
    rand::rng().fill_bytes(&mut bytes);
    URL_SAFE_NO_PAD.encode(bytes)
}

/// What all requests share.
pub fn state(request: &HttpRequest) -> Result<&AppState, ApiError> {
    let state = request.app_data::<web::Data<AppState>>();
    state.map(|state| state.get_ref()).ok_or_else(|| ApiError::new(Code::Internal))
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn only_a_bearer_token_is_a_token() {
        for (header, token) in [
            ("Bearer abc", Some("abc")),
            ("bearer abc", Some("abc")),
            ("Basic abc", None),
            ("Bearer", None),
            ("Bearer  ", None),
            ("abc", None),
        ] {
            let request = TestRequest::default().insert_header((header::AUTHORIZATION, header));
            assert_eq!(bearer(&request.to_http_request()), token, "{header}");
        }
        let long = TestRequest::default()
            .insert_header((header::AUTHORIZATION, format!("Bearer {}", "x".repeat(129))));
        assert_eq!(bearer(&long.to_http_request()), None);
    }

    #[test]
    fn tokens_differ_and_are_known_by_their_hash() {
        let (one, two) = (new_token(), new_token());
        assert_ne!(one, two);
        assert_eq!(one.len(), 43);
        assert_eq!(hash("abc").len(), 64);
        assert_ne!(hash(&one), hash(&two));
    }
}
