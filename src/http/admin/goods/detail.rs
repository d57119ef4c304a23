//! One of the goods: what stands on its sheet, what is left of each SKU; on and off sale.

use actix_web::HttpRequest;
use actix_web::HttpResponse;
use actix_web::web::{self, Data};
use askama::Template;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::body::GoodsJson;
use super::{At, base, find};
use crate::actors::desk::{DeskError, DeskRefusal};
use crate::domain::goods::DeductStock;
use crate::domain::sheet::{Block, SheetSku};
use crate::domain::staff::Right;
use crate::http::AppState;
use crate::http::admin::form::Form;
use crate::http::admin::guard::Staff;
use crate::http::admin::orders::json::by;
use crate::http::admin::orders::{clerk, desk};
use crate::http::admin::render::{self, Frame};
use crate::http::admin::texts::GoodsTexts;
use crate::http::auth;
use crate::http::error::ApiError;
use crate::http::extract::{Json, Query};
use crate::http::openapi::Refusals;
use crate::store::goods::GoodsSheet;
use crate::store::goods::categories;

#[derive(Template)]
#[template(path = "admin/goods_one.html")]
struct OnePage {
    frame: Frame,
    g: &'static GoodsTexts,
    base: String,
    /// Of the mini-program.
    shop: String,
    goods: GoodsSheet,
    category: String,
    key: String,
    may_edit: bool,
    may_move: bool,
    may_audit: bool,
}

impl OnePage {
    fn sold(&self) -> Vec<&SheetSku> {
        self.goods.sheet.skus.iter().filter(|sku| !sku.retired).collect()
    }
    fn retired(&self) -> Vec<&SheetSku> {
        self.goods.sheet.skus.iter().filter(|sku| sku.retired).collect()
    }
    fn stock(&self, sku: &SheetSku) -> i64 {
        sku.id.map_or(0, |id| self.goods.stock_of(id))
    }
    fn id(&self, sku: &SheetSku) -> i64 {
        sku.id.map_or(0, |id| id.get())
    }
    fn deducted(&self) -> &'static str {
        match self.goods.sheet.deduct_stock {
            DeductStock::Order => self.g.deduct_order,
            DeductStock::Payment => self.g.deduct_payment,
        }
    }
}

/// What was just done.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Said {
    done: Option<String>,
}

impl Said {
    /// Whether this was done.
    pub fn is(&self, what: &str) -> bool {
        self.done.as_deref() == Some(what)
    }
}

pub async fn show(
    app: Data<AppState>,
    staff: Staff,
    at: At,
    Query(said): Query<Said>,
) -> Result<HttpResponse, ApiError> {
    let goods = find(&app, &staff, at).await?;
    let shop = staff.shop()?.wxapp.id;
    let tree = categories::tree(&app.readers, shop).await?;
    let category = tree.into_iter().find(|branch| Some(branch.id) == goods.sheet.category);
    let known = ["goods", "sale_on", "sale_off", "stock", "repeated"];
    let done = said.done.as_deref().filter(|done| known.contains(done));
    let done = done.map(|done| staff.tongue.word("done", done));
    render::page(&OnePage {
        frame: Frame::of(&staff, "goods").notice(done.as_deref()),
        g: staff.tongue.goods(),
        base: base(&staff)?,
        shop: format!("/admin/shops/{shop}"),
        category: category.map_or_else(String::new, |branch| branch.path),
        goods,
        key: auth::new_token(),
        may_edit: staff.may_here(Right::GoodsEdit),
        may_move: staff.may_here(Right::StockAdjust),
        may_audit: staff.may_here(Right::Audit),
    })
}

/// The sheet of goods, with what is left of each SKU. `version` is what a change must name.
#[utoipa::path(get, path = "/api/admin/v1/shops/{shop}/goods/{id}", tag = "admin",
    params(("shop" = i64, Path, description = "Mini-program id"), ("id" = i64, Path)),
    responses((status = 200, body = GoodsJson), Refusals), security(("staff" = [])))]
pub async fn get_goods(
    app: Data<AppState>,
    staff: Staff,
    at: At,
) -> Result<web::Json<GoodsJson>, ApiError> {
    Ok(web::Json(find(&app, &staff, at).await?.into()))
}

pub async fn sale_form(
    app: Data<AppState>,
    staff: Staff,
    at: At,
    form: Form,
) -> Result<HttpResponse, ApiError> {
    let by = clerk(&staff, form.value("key"))?;
    let on_sale = form.value("on_sale") == "yes";
    let done = match desk(&app).set_sale(&by, at.0, on_sale).await {
        Ok(acted) if acted.repeated => "repeated",
        // Somebody else was faster: it is as it was wanted.
        Ok(_) | Err(DeskError::Refused(DeskRefusal::NothingChanges)) => {
            if on_sale {
                "sale_on"
            } else {
                "sale_off"
            }
        }
        Err(error) => return Err(error.into()),
    };
    Ok(render::see(&format!("{}/{}?done={done}", base(&staff)?, at.0)))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AdminSale)]
pub struct SaleBody {
    on_sale: bool,
}

/// What was done.
#[derive(Serialize, ToSchema)]
#[schema(as = AdminDone)]
pub struct DoneJson {
    /// The `Idempotency-Key` had acted before; nothing has changed.
    pub repeated: bool,
}

/// Puts goods on sale, or takes them off.
#[utoipa::path(post, path = "/api/admin/v1/shops/{shop}/goods/{id}/sale", tag = "admin",
    params(("shop" = i64, Path, description = "Mini-program id"), ("id" = i64, Path),
        ("Idempotency-Key" = Option<String>, Header)),
    request_body = SaleBody,
    responses((status = 200, body = DoneJson), Refusals), security(("staff" = [])))]
pub async fn set_sale(
    app: Data<AppState>,
    staff: Staff,
    at: At,
    request: HttpRequest,
    Json(body): Json<SaleBody>,
) -> Result<web::Json<DoneJson>, ApiError> {
    let acted = desk(&app).set_sale(&by(&request, &staff)?, at.0, body.on_sale).await?;
    Ok(web::Json(DoneJson { repeated: acted.repeated }))
}
