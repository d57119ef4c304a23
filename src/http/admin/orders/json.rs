//! The same actions for programs. The header `Idempotency-Key` makes a repeat act once.

use actix_web::HttpRequest;
use actix_web::web::{self, Data};
use serde_json::json;

use super::acts::{self, AddressBody, NoteBody, NumberBody, ParcelBody, PriceBody, ReasonBody};
use super::clerk;
use super::detail::At;
use super::doc::{ActedJson, InquiredJson, InquiriesJson};
use crate::actors::desk::Clerk;
use crate::http::AppState;
use crate::http::admin::guard::Staff;
use crate::http::admin::log::{self, Noted};
use crate::http::error::ApiError;
use crate::http::extract::Json;
use crate::http::openapi::Refusals;
use crate::store::staff::log::About;

type Answer = Result<web::Json<ActedJson>, ApiError>;

/// Who acts, under the key of the request.
pub fn by(request: &HttpRequest, staff: &Staff) -> Result<Clerk, ApiError> {
    clerk(staff, log::header_key(request)?)
}

macro_rules! twins {
    ($($(#[$doc:meta])* $name:ident $act:ident $body:ty, $path:literal;)+) => {$(
        $(#[$doc])*
        #[utoipa::path(post, path = $path, tag = "admin",
            params(("shop" = i64, Path, description = "Mini-program id"), ("id" = i64, Path),
                ("Idempotency-Key" = Option<String>, Header)),
            request_body = $body,
            responses((status = 200, body = ActedJson), Refusals), security(("staff" = [])))]
        pub async fn $name(
            app: Data<AppState>,
            staff: Staff,
            at: At,
            request: HttpRequest,
            Json(body): Json<$body>,
        ) -> Answer {
            let by = by(&request, &staff)?;
            Ok(web::Json(acts::$act(&app, &by, at.order, body).await?.into()))
        }
    )+};
}

twins! {
    /// A parcel leaves, with some pieces or all that is left.
    ship ship ParcelBody, "/api/admin/v1/shops/{shop}/orders/{id}/ship";
    /// A note of the staff for the staff.
    add_note note NoteBody, "/api/admin/v1/shops/{shop}/orders/{id}/note";
    /// Changes the address, until the first parcel leaves.
    change_address address AddressBody, "/api/admin/v1/shops/{shop}/orders/{id}/address";
    /// Changes what an unpaid order costs; WeChat closes the former attempt first.
    change_price price PriceBody, "/api/admin/v1/shops/{shop}/orders/{id}/price";
    /// Gives an unpaid order up, at WeChat first; it may still be closing afterwards.
    cancel cancel ReasonBody, "/api/admin/v1/shops/{shop}/orders/{id}/cancel";
    /// Closes an order that WeChat does not confirm as closed.
    release release ReasonBody, "/api/admin/v1/shops/{shop}/orders/{id}/release";
    /// Gives back all that was paid and is not back yet.
    refund refund ReasonBody, "/api/admin/v1/shops/{shop}/orders/{id}/refund";
    /// Ends a shipped order: the buyer has the goods.
    complete complete ReasonBody, "/api/admin/v1/shops/{shop}/orders/{id}/complete";
}

/// Another company or number of a parcel. WeChat takes one such change.
#[utoipa::path(post, path = "/api/admin/v1/shops/{shop}/orders/{id}/parcels/{parcel}",
    tag = "admin",
    params(("shop" = i64, Path, description = "Mini-program id"), ("id" = i64, Path),
        ("parcel" = i64, Path), ("Idempotency-Key" = Option<String>, Header)),
    request_body = NumberBody,
    responses((status = 200, body = ActedJson), Refusals), security(("staff" = [])))]
pub async fn correct(
    app: Data<AppState>,
    staff: Staff,
    at: At,
    request: HttpRequest,
    Json(body): Json<NumberBody>,
) -> Answer {
    let by = by(&request, &staff)?;
    let parcel = at.parcel.ok_or_else(|| ApiError::not_found("parcel"))?;
    Ok(web::Json(acts::correct(&app, &by, at.order, parcel, body).await?.into()))
}

/// Asks WeChat about each attempt of an order; money that it shows is settled, or goes back.
#[utoipa::path(post, path = "/api/admin/v1/shops/{shop}/orders/{id}/ask", tag = "admin",
    params(("shop" = i64, Path, description = "Mini-program id"), ("id" = i64, Path)),
    responses((status = 200, body = InquiriesJson), Refusals), security(("staff" = [])))]
pub async fn ask_wechat(
    app: Data<AppState>,
    staff: Staff,
    at: At,
) -> Result<web::Json<InquiriesJson>, ApiError> {
    Ok(web::Json(InquiriesJson { items: asked(&app, &staff, at).await? }))
}

/// Asks, and writes down that somebody did: money may move by it.
pub(super) async fn asked(
    app: &AppState,
    staff: &Staff,
    at: At,
) -> Result<Vec<InquiredJson>, ApiError> {
    super::detail::find(app, staff, at.order).await?;
    let by = clerk(staff, "")?;
    let noted = Noted {
        what: "ask_wechat",
        about: About::order(at.order.get()),
        before: json!({}),
        after: json!({}),
    };
    let entry = log::entry(app, staff, noted).await?;
    app.journal.write(entry).await?;
    let answers = super::desk(app).ask_wechat(&by, at.order).await?;
    Ok(answers.into_iter().map(InquiredJson::from).collect())
}
