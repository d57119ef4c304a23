//! One order with everything that staff may want to know of it.

use std::collections::BTreeMap;
use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::web::{self, Data};
use actix_web::{FromRequest, HttpRequest, HttpResponse};
use askama::Template;
use serde_json::json;

use super::doc::{AddressAnswer, OrderDetailJson};
use super::forms::Act;
use super::mask;
use crate::domain::express::{self, Express};
use crate::domain::id::{OrderId, ShipmentId};
use crate::domain::money::Money;
use crate::domain::order::CloseReason;
use crate::domain::shipment::{RESHIPMENTS_AT_WECHAT, Shipment};
use crate::domain::staff::Right;
use crate::domain::timeline::{Happening, Who};
use crate::http::AppState;
use crate::http::admin::facts;
use crate::http::admin::form::Form;
use crate::http::admin::guard::Staff;
use crate::http::admin::log::{self, Noted};
use crate::http::admin::render::{self, Frame, Trouble};
use crate::http::auth;
use crate::http::error::ApiError;
use crate::http::openapi::Refusals;
use crate::store::desk::{self, OrderDetail};
use crate::store::order_views::{LineView, ListState, OrderView, RefundProgress};
use crate::store::staff::log::{About, logins};

/// The order of the path, and its parcel where the path names one. What is no id is not found.
#[derive(Debug, Clone, Copy)]
pub struct At {
    pub order: OrderId,
    pub parcel: Option<ShipmentId>,
}

impl FromRequest for At {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let number = |name: &str| request.match_info().get(name)?.parse::<i64>().ok();
        let order = number("id").and_then(|id| OrderId::parse(id).ok());
        let parcel = number("parcel").and_then(|id| ShipmentId::parse(id).ok());
        let at = order.map(|order| Self { order, parcel });
        ready(at.ok_or_else(|| ApiError::not_found("id")))
    }
}

/// An order of the mini-program of the path, its address hidden.
pub(super) async fn find(
    app: &AppState,
    staff: &Staff,
    order: OrderId,
) -> Result<OrderDetail, ApiError> {
    let mut found = find_open(app, staff, order).await?;
    let address = &mut found.order.order.address;
    *address = address.take().map(mask::address);
    Ok(found)
}

async fn find_open(app: &AppState, staff: &Staff, order: OrderId) -> Result<OrderDetail, ApiError> {
    let found = desk::detail(&app.readers, staff.shop()?.wxapp.id, order).await?;
    found.ok_or_else(|| ApiError::not_found("id"))
}

#[derive(Template)]
#[template(path = "admin/order.html")]
pub(super) struct OrderPage {
    frame: Frame,
    base: String,
    detail: OrderDetail,
    logins: BTreeMap<i64, String>,
    companies: &'static [Express],
    /// What a form that was refused held.
    given: Form,
    key: String,
    acts: Vec<Act>,
    revealed: bool,
    may_reveal: bool,
    may_audit: bool,
    may_ask: bool,
    /// The audit log of this mini-program.
    audit: String,
}

impl OrderPage {
    fn order(&self) -> &OrderView {
        &self.detail.order.order
    }
    fn may(&self, act: &str) -> bool {
        self.acts.iter().any(|known| known.name() == act)
    }
    /// What is done on a page of its own.
    fn more(&self) -> Vec<&'static str> {
        let own = |act: &&Act| !matches!(act, Act::Ship | Act::Note | Act::Correct);
        self.acts.iter().filter(own).map(|act| act.name()).collect()
    }
    fn line_field(&self, line: &LineView) -> String {
        format!("line-{}", line.id)
    }
    /// Pieces of a line that no parcel has.
    fn left(&self, line: &LineView) -> i64 {
        left(self.order(), line)
    }
    /// The number of pieces to be shown for a line: as it was typed, or all that is left.
    fn packed(&self, line: &LineView) -> String {
        let typed = self.given.value(&format!("line-{}", line.id));
        if typed.is_empty() { self.left(line).to_string() } else { typed.to_owned() }
    }
    fn pieces(&self, parcel: &Shipment, line: &LineView) -> i64 {
        parcel.pieces_of(line.id)
    }
    fn refund(&self) -> Option<&'static str> {
        match self.order().refund {
            RefundProgress::None => None,
            other => Some(other.as_str()),
        }
    }
    fn why_closed(&self) -> Option<String> {
        let reason = self.order().close_reason.map(CloseReason::as_str)?;
        Some(self.frame.word("close", reason))
    }
    fn who(&self, happening: &Happening) -> String {
        match happening.who {
            Who::Staff(id) => self.logins.get(&id.get()).cloned().unwrap_or_else(|| id.to_string()),
            other => self.frame.word("who", &other.to_string()),
        }
    }
    fn facts(&self, happening: &Happening) -> Vec<(String, String)> {
        let fact = |(name, value): (&String, &String)| {
            let said = facts::text(self.frame.tongue, "order", name, value);
            (self.frame.word("fact", name), said)
        };
        happening.detail.iter().filter(|(name, _)| *name != "company_code").map(fact).collect()
    }
}

fn left(order: &OrderView, line: &LineView) -> i64 {
    let gone: i64 = order.shipments.iter().map(|parcel| parcel.pieces_of(line.id)).sum();
    line.quantity - gone
}

/// What this caller may do to the order as it stands. The engine decides again.
pub(super) fn acts(staff: &Staff, order: &OrderView) -> Vec<Act> {
    let fits = |act: &Act| staff.may_here(act.right()) && possible(*act, order);
    Act::ALL.iter().copied().filter(fits).collect()
}

fn possible(act: Act, order: &OrderView) -> bool {
    let unpaid = order.state == ListState::Unpaid;
    let paid = order.state == ListState::Paid;
    let shipped = order.state == ListState::Shipped;
    let going_back = order.refund == RefundProgress::Open;
    match act {
        Act::Note => true,
        Act::Address => (unpaid || paid) && order.shipments.is_empty(),
        Act::Price | Act::Cancel => unpaid && !order.closing,
        Act::Release => unpaid && order.closing,
        Act::Refund => {
            let was_paid = paid || shipped || order.state == ListState::Completed;
            was_paid && order.amounts.pay > Money::ZERO && !going_back
        }
        Act::Complete => shipped,
        Act::Ship => paid && !going_back,
        Act::Correct => (paid || shipped) && !order.shipments.is_empty(),
    }
}

/// The page of an order; `open`: with the address as it is.
pub(super) async fn page(
    app: &AppState,
    staff: &Staff,
    frame: Frame,
    detail: OrderDetail,
    (given, open): (Form, bool),
) -> Result<OrderPage, ApiError> {
    let shop = staff.shop()?.wxapp.id;
    let acts = acts(staff, &detail.order.order);
    Ok(OrderPage {
        base: format!("/admin/shops/{shop}/orders"),
        logins: logins(&app.readers).await?,
        companies: express::COMPANIES,
        key: auth::new_token(),
        acts,
        revealed: open,
        may_reveal: staff.may_here(Right::PersonalData),
        may_audit: staff.may_here(Right::Audit),
        may_ask: staff.may_here(Right::OrdersAskWechat),
        audit: format!("/admin/shops/{shop}/audit"),
        frame,
        detail,
        given,
    })
}

pub async fn show(
    app: Data<AppState>,
    staff: Staff,
    at: At,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let detail = find(&app, &staff, at.order).await?;
    let done = request.query_string().strip_prefix("done=").unwrap_or_default();
    let said = Some(staff.tongue.word("done", done)).filter(|said| said != done);
    let frame = Frame::of(&staff, "orders").notice(said.as_deref());
    render::page(&page(&app, &staff, frame, detail, (Form::default(), false)).await?)
}

/// The page again, with what was refused.
pub(super) async fn again(
    app: &AppState,
    staff: &Staff,
    order: OrderId,
    (given, trouble): (Form, Trouble),
) -> Result<HttpResponse, ApiError> {
    let detail = find(app, staff, order).await?;
    let frame = Frame::of(staff, "orders").problems(vec![trouble]);
    let page = page(app, staff, frame, detail, (given, false)).await?;
    render::page_with(StatusCode::UNPROCESSABLE_ENTITY, &page)
}

/// Writes down that somebody looked, and lets him.
async fn look(app: &AppState, staff: &Staff, order: OrderId) -> Result<OrderDetail, ApiError> {
    let found = find_open(app, staff, order).await?;
    let noted = Noted {
        what: "look",
        about: About::order(order.get()),
        before: json!({}),
        after: json!({}),
    };
    let entry = log::entry(app, staff, noted).await?;
    app.journal.write(entry).await?;
    Ok(found)
}

pub async fn reveal_form(
    app: Data<AppState>,
    staff: Staff,
    at: At,
) -> Result<HttpResponse, ApiError> {
    let detail = look(&app, &staff, at.order).await?;
    let frame = Frame::of(&staff, "orders");
    render::page(&page(&app, &staff, frame, detail, (Form::default(), true)).await?)
}

/// Where an order goes, with nothing hidden. The look is written into the audit log.
#[utoipa::path(post, path = "/api/admin/v1/shops/{shop}/orders/{id}/reveal", tag = "admin",
    params(("shop" = i64, Path, description = "Mini-program id"), ("id" = i64, Path)),
    responses((status = 200, body = AddressAnswer), Refusals), security(("staff" = [])))]
pub async fn reveal_order(
    app: Data<AppState>,
    staff: Staff,
    at: At,
) -> Result<web::Json<AddressAnswer>, ApiError> {
    let found = look(&app, &staff, at.order).await?;
    Ok(web::Json(AddressAnswer::new(found.order.order.address)))
}

/// An order with its timeline, money, parcels and messages.
#[utoipa::path(get, path = "/api/admin/v1/shops/{shop}/orders/{id}", tag = "admin",
    params(("shop" = i64, Path, description = "Mini-program id"), ("id" = i64, Path)),
    responses((status = 200, body = OrderDetailJson), Refusals), security(("staff" = [])))]
pub async fn get_order(
    app: Data<AppState>,
    staff: Staff,
    at: At,
) -> Result<web::Json<OrderDetailJson>, ApiError> {
    Ok(web::Json(find(&app, &staff, at.order).await?.into()))
}

/// Whether WeChat takes another correction of this parcel.
pub(super) fn is_last_correction(parcel: &Shipment) -> bool {
    parcel.corrections >= RESHIPMENTS_AT_WECHAT
}
