//! The end of a purchase: `POST /orders/{id}/receipt`.

use actix_web::web::{self, Data, ServiceConfig};

use super::orders::own;
use super::refusals;
use super::views::OrderJson;
use crate::actors::order::ConfirmReceipt;
use crate::domain::id::OrderId;
use crate::http::AppState;
use crate::http::auth::Shopper;
use crate::http::error::ApiError;
use crate::http::extract::PathId;
use crate::http::openapi::Refusals;

pub fn routes(config: &mut ServiceConfig) {
    config.service(web::resource("/orders/{id}/receipt").route(web::post().to(confirm_receipt)));
}

/// The buyer has the goods: `shipped` becomes `completed`. Repeated it answers the order as it is.
#[utoipa::path(post, path = "/api/v1/orders/{id}/receipt", tag = "orders",
    security(("buyer" = [])), params(("id" = i64, Path)),
    responses((status = 200, body = OrderJson), Refusals))]
pub async fn confirm_receipt(
    state: Data<AppState>,
    shopper: Shopper,
    PathId(id): PathId<OrderId>,
) -> Result<web::Json<OrderJson>, ApiError> {
    // What is not his costs the journal nothing.
    own(&state, &shopper, id).await?;
    let confirm = ConfirmReceipt { order: id, user: shopper.user, span: tracing::Span::current() };
    let received = shopper.shop.order.send(confirm).await.map_err(ApiError::unavailable)?;
    if let Some(refused) = received.err().and_then(refusals::receipt) {
        return Err(refused);
    }
    own(&state, &shopper, id).await.map(|order| web::Json(order.into()))
}
