//! The list of orders and the search.

use actix_web::http::StatusCode;
use actix_web::web::{self, Data};
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use serde::Serialize;
use utoipa::ToSchema;

use super::filter::Wanted;
use super::mask;
use crate::domain::staff::Right;
use crate::http::AppState;
use crate::http::admin::guard::Staff;
use crate::http::admin::render::{self, Frame, Trouble};
use crate::http::auth;
use crate::http::error::ApiError;
use crate::http::openapi::Refusals;
use crate::http::page;
use crate::http::shop::views::OrderJson;
use crate::store::desk::{self, StaffOrder};
use crate::store::order_views::{ListState, OrderView, RefundProgress};
use crate::store::page::Page;
use crate::store::staff::views::{self, View};

/// The name that cursors of this list carry.
const LIST: &str = "desk";
/// Orders of a page when nobody says how many.
const PAGE: u32 = 50;

/// What is found, with what a buyer would not want everybody to know hidden.
async fn read(
    app: &AppState,
    staff: &Staff,
    wanted: &Wanted,
) -> Result<Page<StaffOrder>, ApiError> {
    let shop = staff.shop()?.wxapp.id;
    let mut found = if wanted.q.is_empty() {
        let after = page::after(LIST, wanted.cursor.as_deref())?;
        let limit = page::limit(Some(wanted.limit.unwrap_or(PAGE)))?;
        desk::orders(&app.readers, shop, &wanted.filter()?, after, limit).await?
    } else {
        let people = staff.may_here(Right::PersonalData);
        let items = desk::search(&app.readers, shop, &wanted.q, people).await?;
        Page { items, next: None }
    };
    for found in &mut found.items {
        found.order.address = found.order.address.take().map(mask::address);
    }
    Ok(found)
}

/// A row of the list.
struct Row {
    buyer: String,
    order: OrderView,
}

impl Row {
    fn new(found: StaffOrder) -> Self {
        let address = found.order.address.as_ref();
        let buyer = address.map_or_else(String::new, |to| format!("{} {}", to.name, to.phone));
        Self { buyer, order: found.order }
    }
    fn refund(&self) -> Option<&'static str> {
        match self.order.refund {
            RefundProgress::None => None,
            other => Some(other.as_str()),
        }
    }
    fn pieces(&self) -> i64 {
        self.order.lines.iter().map(|line| line.quantity).sum()
    }
}

/// A filter that is one click away.
struct Quick {
    label: &'static str,
    query: &'static str,
}

#[derive(Template)]
#[template(path = "admin/orders.html")]
struct OrdersPage {
    frame: Frame,
    /// Where the list is.
    base: String,
    wanted: Wanted,
    rows: Vec<Row>,
    next: Option<String>,
    quick: [Quick; 5],
    views: Vec<View>,
    people: bool,
    /// For the form that keeps the filter.
    key: String,
}

impl OrdersPage {
    fn states(&self) -> [ListState; 6] {
        ListState::ALL
    }
    fn is_here(&self, query: &str) -> bool {
        self.wanted.query() == query
    }
}

async fn list_page(
    app: &AppState,
    staff: &Staff,
    frame: Frame,
    wanted: Wanted,
    found: Page<StaffOrder>,
) -> Result<OrdersPage, ApiError> {
    let shop = staff.shop()?.wxapp.id;
    let o = frame.o;
    let quick = |label, query| Quick { label, query };
    let next = found.next.map(|next| {
        let (cursor, query) = (page::cursor(LIST, next), wanted.query());
        if query.is_empty() {
            format!("cursor={cursor}")
        } else {
            format!("{query}&cursor={cursor}")
        }
    });
    Ok(OrdersPage {
        base: format!("/admin/shops/{shop}/orders"),
        rows: found.items.into_iter().map(Row::new).collect(),
        next,
        quick: [
            quick(o.all, ""),
            quick(o.to_ship, "state=paid"),
            quick(o.to_pay, "state=unpaid"),
            quick(o.on_the_way, "state=shipped"),
            quick(o.going_back, "refund_open=yes"),
        ],
        views: views::of(&app.readers, staff.id(), shop).await?,
        people: staff.may_here(Right::PersonalData),
        key: auth::new_token(),
        frame,
        wanted,
    })
}

pub async fn show(
    app: Data<AppState>,
    staff: Staff,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let wanted = Wanted::parse(request.query_string())?;
    let frame = Frame::of(&staff, "orders");
    let notice = match wanted.done.as_str() {
        "saved" => Some(frame.t.saved),
        "views_full" => Some(frame.t.views_full),
        _ => None,
    };
    let frame = frame.notice(notice);
    if let Err(bad) = wanted.filter() {
        let problems: Vec<Trouble> = vec![bad.trouble(frame.o)];
        let none = Page { items: Vec::new(), next: None };
        let page = list_page(&app, &staff, frame.problems(problems), wanted, none).await?;
        return render::page_with(StatusCode::UNPROCESSABLE_ENTITY, &page);
    }
    let found = read(&app, &staff, &wanted).await?;
    // A scanned number leads to its order at once.
    if let ([only], false) = (found.items.as_slice(), wanted.q.is_empty()) {
        let shop = staff.shop()?.wxapp.id;
        return Ok(render::see(&format!("/admin/shops/{shop}/orders/{}", only.order.id)));
    }
    render::page(&list_page(&app, &staff, frame, wanted, found).await?)
}

/// An order of the list.
#[derive(Serialize, ToSchema)]
#[schema(as = AdminOrder)]
pub struct StaffOrderJson {
    pub buyer_id: i64,
    /// What `adjust_fen` becomes once WeChat has closed the former attempt.
    pub repricing_fen: Option<i64>,
    /// Name, phone and street are hidden.
    pub order: OrderJson,
}

impl From<StaffOrder> for StaffOrderJson {
    fn from(found: StaffOrder) -> Self {
        Self {
            buyer_id: found.buyer.get(),
            repricing_fen: found.repricing_fen,
            order: found.order.into(),
        }
    }
}

#[derive(Serialize, ToSchema)]
#[schema(as = AdminOrders)]
pub struct StaffOrdersJson {
    items: Vec<StaffOrderJson>,
    next_cursor: Option<String>,
}

/// Orders of a mini-program, the newest first.
///
/// `state` may come several times. `q` looks for an order number, WeChat's payment number, an
/// express number or, with the right to personal data, a whole phone; then nothing else counts.
#[utoipa::path(get, path = "/api/admin/v1/shops/{shop}/orders", tag = "admin",
    params(
        ("shop" = i64, Path, description = "Mini-program id"),
        ("state" = Option<String>, Query),
        ("created_from" = Option<String>, Query, description = "Day, +08:00", example = "2026-11-25"),
        ("created_to" = Option<String>, Query, description = "Day, inclusive"),
        ("paid_from" = Option<String>, Query), ("paid_to" = Option<String>, Query),
        ("sku" = Option<i64>, Query), ("refund_open" = Option<bool>, Query),
        ("q" = Option<String>, Query), ("cursor" = Option<String>, Query),
        ("limit" = Option<u32>, Query, description = "1 to 100"),
    ),
    responses((status = 200, body = StaffOrdersJson), Refusals), security(("staff" = [])))]
pub async fn list_orders(
    app: Data<AppState>,
    staff: Staff,
    request: HttpRequest,
) -> Result<web::Json<StaffOrdersJson>, ApiError> {
    let wanted = Wanted::parse(request.query_string())?;
    let found = read(&app, &staff, &wanted).await?;
    Ok(web::Json(StaffOrdersJson {
        items: found.items.into_iter().map(StaffOrderJson::from).collect(),
        next_cursor: found.next.map(|next| page::cursor(LIST, next)),
    }))
}
