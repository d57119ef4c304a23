//! The same actions for programs, such as a scanner with a screen of its own.

use actix_web::HttpRequest;
use actix_web::web::{self, Data};

use super::acts::{self, ScanBody};
use crate::http::AppState;
use crate::http::admin::guard::Staff;
use crate::http::admin::orders::detail::At;
use crate::http::admin::orders::doc::ActedJson;
use crate::http::admin::orders::json::by;
use crate::http::error::ApiError;
use crate::http::extract::Json;
use crate::http::openapi::Refusals;

type Answer = Result<web::Json<ActedJson>, ApiError>;

/// Ships all that is left of an order; the buyer is told a minute later.
#[utoipa::path(post, path = "/api/admin/v1/shops/{shop}/shipping/scan", tag = "admin",
    params(("shop" = i64, Path, description = "Mini-program id"),
        ("Idempotency-Key" = Option<String>, Header)),
    request_body = ScanBody,
    responses((status = 200, body = ActedJson), Refusals), security(("staff" = [])))]
pub async fn scan(
    app: Data<AppState>,
    staff: Staff,
    request: HttpRequest,
    Json(body): Json<ScanBody>,
) -> Answer {
    let by = by(&request, &staff)?;
    Ok(web::Json(acts::scan(&app, &by, body).await?.into()))
}

/// Takes a parcel back, while nobody has begun to tell the buyer of it.
#[utoipa::path(post,
    path = "/api/admin/v1/shops/{shop}/orders/{id}/parcels/{parcel}/take-back", tag = "admin",
    params(("shop" = i64, Path, description = "Mini-program id"), ("id" = i64, Path),
        ("parcel" = i64, Path), ("Idempotency-Key" = Option<String>, Header)),
    responses((status = 200, body = ActedJson), Refusals), security(("staff" = [])))]
pub async fn take_back(app: Data<AppState>, staff: Staff, at: At, request: HttpRequest) -> Answer {
    let by = by(&request, &staff)?;
    let parcel = at.parcel.ok_or_else(|| ApiError::not_found("parcel"))?;
    let desk = crate::http::admin::orders::desk(&app);
    Ok(web::Json(desk.take_back(&by, at.order, parcel).await?.into()))
}
