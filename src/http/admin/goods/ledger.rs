//! The ledger of a SKU: every movement of its stock, and how much there was at any moment.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{self, Data};
use askama::Template;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::moment;
use crate::domain::id::SkuId;
use crate::domain::time::Timestamp;
use crate::http::AppState;
use crate::http::admin::guard::Staff;
use crate::http::admin::render::{self, Frame, Trouble};
use crate::http::admin::texts::GoodsTexts;
use crate::http::error::ApiError;
use crate::http::extract::Query;
use crate::http::openapi::Refusals;
use crate::http::page;
use crate::http::shop::views::time;
use crate::store::desk::{self, LedgerRow};
use crate::store::goods::{self, Moment, SkuFacts};
use crate::store::page::Page;
use crate::store::staff::log;

/// The name that cursors of this list carry.
const LIST: &str = "ledger";
const PAGE: u32 = 50;

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    cursor: Option<String>,
    /// The moment that is asked about.
    #[serde(default)]
    at: String,
}

/// A SKU of the path's mini-program, and a page of its ledger, the newest first.
async fn read(
    app: &AppState,
    staff: &Staff,
    id: i64,
    wanted: &Wanted,
) -> Result<(SkuFacts, Page<LedgerRow>), ApiError> {
    let shop = staff.shop()?.wxapp.id;
    let id = SkuId::parse(id).map_err(|_| ApiError::not_found("id"))?;
    let sku = goods::sku(&app.readers, shop, id).await?;
    let sku = sku.ok_or_else(|| ApiError::not_found("id"))?;
    let after = page::after(LIST, wanted.cursor.as_deref())?;
    let rows = desk::stock_ledger(&app.readers, shop, id, after, PAGE).await?;
    Ok((sku, rows))
}

#[derive(Template)]
#[template(path = "admin/ledger.html")]
struct LedgerPage {
    frame: Frame,
    g: &'static GoodsTexts,
    shop: String,
    here: String,
    sku: SkuFacts,
    rows: Vec<LedgerRow>,
    next: Option<String>,
    at: String,
    was: Option<Moment>,
    deeper: bool,
}

pub async fn show(
    app: Data<AppState>,
    staff: Staff,
    at: web::Path<(i64, i64)>,
    Query(wanted): Query<Wanted>,
) -> Result<HttpResponse, ApiError> {
    let (sku, page) = read(&app, &staff, at.1, &wanted).await?;
    let g = staff.tongue.goods();
    let logins = log::logins(&app.readers).await?;
    let mut rows = page.items;
    for row in &mut rows {
        let id = row.who.strip_prefix("staff:").and_then(|id| id.parse().ok());
        if let Some(login) = id.and_then(|id: i64| logins.get(&id)) {
            row.who.clone_from(login);
        }
    }
    let (mut frame, mut status) = (Frame::of(&staff, "goods"), StatusCode::OK);
    let was = match (wanted.at.as_str(), moment(&wanted.at)) {
        ("", _) => None,
        (_, Some(at)) => Some(goods::stock_at(&app.readers, &sku, at).await?),
        (_, None) => {
            let text = format!("{}: {}", g.at_time, staff.tongue.word("invalid", "not a time"));
            frame = frame.problems(vec![Trouble::new("at", text)]);
            status = StatusCode::UNPROCESSABLE_ENTITY;
            None
        }
    };
    let shop = format!("/admin/shops/{}", staff.shop()?.wxapp.id);
    let page = LedgerPage {
        frame,
        g,
        here: format!("{shop}/skus/{}/ledger", sku.id),
        shop,
        sku,
        rows,
        next: page.next.map(|next| format!("?cursor={}", page::cursor(LIST, next))),
        at: wanted.at,
        was,
        deeper: wanted.cursor.is_some(),
    };
    render::page_with(status, &page)
}

/// A movement of stock.
#[derive(Serialize, ToSchema)]
#[schema(as = AdminLedgerEntry)]
pub struct EntryJson {
    /// Gapless for each SKU, from 1.
    seq: i64,
    /// `initial`, `order`, `payment`, `cancel`, `expire`, `adjust`, `refund`, `import`.
    kind: String,
    delta: i64,
    /// Stock after this movement.
    balance: i64,
    order_id: Option<i64>,
    /// `engine`, `seed`, `staff:ID`.
    who: String,
    reason: String,
    at: String,
}

impl From<LedgerRow> for EntryJson {
    fn from(row: LedgerRow) -> Self {
        Self {
            seq: row.seq,
            kind: row.kind,
            delta: row.delta,
            balance: row.balance,
            order_id: row.order_id,
            who: row.who,
            reason: row.reason,
            at: time(row.at),
        }
    }
}

#[derive(Serialize, ToSchema)]
#[schema(as = AdminLedger)]
pub struct LedgerJson {
    sku_id: i64,
    goods_id: i64,
    /// Now.
    stock: i64,
    /// At the moment that `at` names.
    stock_then: Option<i64>,
    items: Vec<EntryJson>,
    next_cursor: Option<String>,
}

/// The ledger of a SKU, the newest first; with `at`, how much there was at that moment.
#[utoipa::path(get, path = "/api/admin/v1/shops/{shop}/skus/{id}/ledger", tag = "admin",
    params(("shop" = i64, Path, description = "Mini-program id"), ("id" = i64, Path),
        ("at" = Option<String>, Query, description = "A moment, RFC 3339, or without an offset in +08:00"),
        ("cursor" = Option<String>, Query)),
    responses((status = 200, body = LedgerJson), Refusals), security(("staff" = [])))]
pub async fn list_ledger(
    app: Data<AppState>,
    staff: Staff,
    at: web::Path<(i64, i64)>,
    Query(wanted): Query<Wanted>,
) -> Result<web::Json<LedgerJson>, ApiError> {
    let (sku, page) = read(&app, &staff, at.1, &wanted).await?;
    let then = match wanted.at.as_str() {
        "" => None,
        text => {
            let moment = rfc3339(text).or_else(|| moment(text));
            let moment = moment.ok_or_else(|| ApiError::invalid("at", "not a time"))?;
            Some(goods::stock_at(&app.readers, &sku, moment).await?.stock)
        }
    };
    Ok(web::Json(LedgerJson {
        sku_id: sku.id.get(),
        goods_id: sku.goods.get(),
        stock: sku.stock,
        stock_then: then,
        items: page.items.into_iter().map(EntryJson::from).collect(),
        next_cursor: page.next.map(|next| page::cursor(LIST, next)),
    }))
}

/// A moment as programs write it.
pub(super) fn rfc3339(text: &str) -> Option<Timestamp> {
    let at: jiff::Timestamp = text.parse().ok()?;
    Some(Timestamp::from_millis(at.as_millisecond()))
}
