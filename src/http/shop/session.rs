//! Log-in and log-out: `/session`.

use actix_web::HttpResponse;
use actix_web::web::{self, Data, ServiceConfig};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::views::time;
use crate::actors::directory::Shop;
use crate::actors::messenger::{Login, LoginError};
use crate::domain::id::UserId;
use crate::http::AppState;
use crate::http::auth::{self, SESSION_SECONDS, Shopper, Tenant};
use crate::http::error::{ApiError, Code};
use crate::http::extract::{Json, text};
use crate::http::openapi::Refusals;
use crate::store::accounts::{self, Session};

pub fn routes(config: &mut ServiceConfig) {
    config.service(
        web::resource("/session").route(web::post().to(log_in)).route(web::delete().to(log_out)),
    );
}

/// What `wx.login` gave.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LogIn {
    #[schema(max_length = 128)]
    code: String,
}

/// A log-in.
#[derive(Serialize, ToSchema)]
pub struct LoggedIn {
    /// Send it as `Authorization: Bearer TOKEN`.
    pub token: String,
    pub expires_at: String,
    pub user: User,
}

/// The buyer.
#[derive(Serialize, ToSchema)]
pub struct User {
    pub id: i64,
    pub nickname: String,
    pub avatar_url: String,
}

impl From<accounts::User> for User {
    fn from(user: accounts::User) -> Self {
        Self { id: user.id.get(), nickname: user.nickname, avatar_url: user.avatar_url }
    }
}

/// Logs in with a code of `wx.login`; a buyer who comes for the first time is made.
#[utoipa::path(post, path = "/api/v1/session", tag = "buyer", request_body = LogIn,
    responses((status = 200, body = LoggedIn), Refusals))]
pub async fn log_in(
    state: Data<AppState>,
    Tenant(shop): Tenant,
    Json(body): Json<LogIn>,
) -> Result<web::Json<LoggedIn>, ApiError> {
    let code = text("code", &body.code, 1, 128)?;
    let asked = shop
        .messenger
        .send(Login { code, span: tracing::Span::current() })
        .await
        .map_err(ApiError::unavailable)?;
    let session = asked.map_err(login_error)?;
    let user = find_or_make(&state, &shop, &session.openid).await?;
    let (token, expires_at) = open(&state, &shop, user.id).await?;
    Ok(web::Json(LoggedIn { token, expires_at, user: user.into() }))
}

fn login_error(error: LoginError) -> ApiError {
    match error {
        LoginError::CodeInvalid | LoginError::CodeUsed => {
            ApiError::invalid("code", error.to_string())
        }
        LoginError::Blocked => ApiError::new(Code::Forbidden),
        LoginError::TooFast => ApiError::new(Code::RateLimited).retry_after(60),
        LoginError::Configuration(_) => {
            tracing::error!(%error, "log-in is not possible");
            ApiError::new(Code::WechatError)
        }
        LoginError::Busy | LoginError::Other(_) | LoginError::Unknown => {
            ApiError::new(Code::WechatError)
        }
    }
}

async fn find_or_make(
    state: &AppState,
    shop: &Shop,
    openid: &str,
) -> Result<accounts::User, ApiError> {
    let (readers, wxapp) = (&state.readers, shop.wxapp.id);
    if let Some(user) = accounts::user_by_openid(readers, wxapp, openid).await? {
        return Ok(user);
    }
    let id = state.ids.draw_one().await.map_err(ApiError::unavailable)?;
    let id = UserId::parse(id).map_err(ApiError::internal)?;
    let now = state.clock.now();
    let write = accounts::insert_user(readers.backend(), wxapp, id, openid, now);
    state.journal.write(write).await?;
    // Another log-in may have made the buyer at the same moment: whoever is there now is meant.
    let user = accounts::user_by_openid(readers, wxapp, openid).await?;
    user.ok_or_else(|| ApiError::new(Code::Unavailable))
}

/// Opens a log-in; the answer is its token and end.
async fn open(state: &AppState, shop: &Shop, user: UserId) -> Result<(String, String), ApiError> {
    let (now, token) = (state.clock.now(), auth::new_token());
    let expires_at = now.plus_seconds(SESSION_SECONDS);
    let session = Session { wxapp: shop.wxapp.id, user, expires_at };
    let backend = state.readers.backend();
    let write = accounts::insert_session(backend, &auth::hash(&token), session, now);
    state.journal.write(write).await?;
    Ok((token, time(expires_at)))
}

/// Logs out: the token is good for nothing from now on.
#[utoipa::path(delete, path = "/api/v1/session", tag = "buyer", security(("buyer" = [])),
    responses((status = 204), Refusals))]
pub async fn log_out(state: Data<AppState>, shopper: Shopper) -> Result<HttpResponse, ApiError> {
    let (backend, now) = (state.readers.backend(), state.clock.now());
    state.journal.write(accounts::revoke_session(backend, &shopper.token_hash, now)).await?;
    state.sessions.forget(&shopper.token_hash);
    Ok(HttpResponse::NoContent().finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_wechat_says_of_a_code_has_a_code_of_ours() {
        for (error, code) in [
            (LoginError::CodeInvalid, "invalid_request"),
            (LoginError::CodeUsed, "invalid_request"),
            (LoginError::Blocked, "forbidden"),
            (LoginError::TooFast, "rate_limited"),
            (LoginError::Busy, "wechat_error"),
            (LoginError::Configuration(40125), "wechat_error"),
            (LoginError::Other(1), "wechat_error"),
            (LoginError::Unknown, "wechat_error"),
        ] {
            assert_eq!(login_error(error).code().as_str(), code);
        }
    }
}
