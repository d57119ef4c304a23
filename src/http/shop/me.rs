//! The buyer: `/me`.

use actix_web::web::{self, Data, ServiceConfig};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::http::AppState;
use crate::http::auth::Shopper;
use crate::http::error::ApiError;
use crate::http::extract::{Json, text};
use crate::http::openapi::Refusals;
use crate::store::accounts;

pub fn routes(config: &mut ServiceConfig) {
    config.service(
        web::resource("/me").route(web::get().to(get_me)).route(web::patch().to(patch_me)),
    );
}

/// The buyer with what waits for him.
#[derive(Debug, Serialize, ToSchema)]
pub struct Me {
    pub id: i64,
    pub nickname: String,
    pub avatar_url: String,
    pub order_counts: OrderCounts,
}

/// Orders that are not at their end.
#[derive(Debug, Serialize, ToSchema)]
pub struct OrderCounts {
    pub unpaid: i64,
    pub paid: i64,
    pub shipped: i64,
}

/// What the buyer enters of himself; what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MePatch {
    #[schema(max_length = 64)]
    nickname: Option<String>,
    #[schema(max_length = 512)]
    avatar_url: Option<String>,
}

/// The buyer.
#[utoipa::path(get, path = "/api/v1/me", tag = "buyer", security(("buyer" = [])),
    responses((status = 200, body = Me), Refusals))]
pub async fn get_me(state: Data<AppState>, shopper: Shopper) -> Result<web::Json<Me>, ApiError> {
    me(&state, &shopper).await.map(web::Json)
}

/// Changes nickname or picture.
#[utoipa::path(patch, path = "/api/v1/me", tag = "buyer", security(("buyer" = [])),
    request_body = MePatch, responses((status = 200, body = Me), Refusals))]
pub async fn patch_me(
    state: Data<AppState>,
    shopper: Shopper,
    Json(patch): Json<MePatch>,
) -> Result<web::Json<Me>, ApiError> {
    let given = |name, value: Option<String>, max| {
        value.map(|value| text(name, &value, 0, max)).transpose()
    };
    let nickname = given("nickname", patch.nickname, 64)?;
    let avatar_url = given("avatar_url", patch.avatar_url, 512)?;
    let (backend, wxapp) = (state.readers.backend(), shopper.shop.wxapp.id);
    let write = accounts::update_profile(backend, wxapp, shopper.user, nickname, avatar_url);
    state.journal.write(write).await?;
    me(&state, &shopper).await.map(web::Json)
}

async fn me(state: &AppState, shopper: &Shopper) -> Result<Me, ApiError> {
    let (readers, wxapp) = (&state.readers, shopper.shop.wxapp.id);
    let user = accounts::user_by_id(readers, wxapp, shopper.user).await?;
    let user = user.ok_or_else(ApiError::unauthorized)?;
    let counts = accounts::order_counts(readers, wxapp, shopper.user).await?;
    Ok(Me {
        id: user.id.get(),
        nickname: user.nickname,
        avatar_url: user.avatar_url,
        order_counts: OrderCounts {
            unpaid: counts.unpaid,
            paid: counts.paid,
            shipped: counts.shipped,
        },
    })
}
