//! Stock moved by hand: so many pieces more or fewer, with a reason, through the journal. Never a
//! number of pieces that shall be there: what was sold meanwhile would be lost.

use actix_web::http::StatusCode;
use actix_web::web::{self, Data};
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use futures_util::future::join_all;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{At, base, find};
use crate::actors::desk::{Acted, Clerk, DeskError, DeskRefusal};
use crate::domain::id::{IdempotencyKey, SkuId};
use crate::domain::sheet::{SKUS_MAX, SheetSku};
use crate::http::AppState;
use crate::http::admin::form::Form;
use crate::http::admin::guard::Staff;
use crate::http::admin::orders::json::by;
use crate::http::admin::orders::{clerk, desk, refusals};
use crate::http::admin::render::{self, Frame, Trouble};
use crate::http::admin::texts::GoodsTexts;
use crate::http::auth;
use crate::http::error::ApiError;
use crate::http::extract::Json;
use crate::http::openapi::Refusals;
use crate::store::goods::GoodsSheet;

type Moved = (SkuId, Result<Acted, DeskError>);

/// Moves each by itself: one that is refused keeps no other back. All go into the journal at once.
async fn moved(app: &AppState, by: &Clerk, moves: &[(SkuId, i64)], reason: &str) -> Vec<Moved> {
    let desk = desk(app);
    let each = moves.iter().map(|(sku, delta)| {
        let desk = desk.clone();
        async move {
            let done = match of_one(by, *sku) {
                Ok(by) => desk.adjust_stock(&by, *sku, *delta, reason).await,
                Err(error) => Err(error),
            };
            (*sku, done)
        }
    });
    join_all(each).await
}

/// The key of the form for one SKU.
fn of_one(by: &Clerk, sku: SkuId) -> Result<Clerk, DeskError> {
    let long = |_| DeskError::Invalid { field: "key", why: "is too long" };
    let key = by.key.as_ref().map(|key| IdempotencyKey::parse(format!("{}.{sku}", key.as_str())));
    Ok(Clerk { key: key.transpose().map_err(long)?, ..by.clone() })
}

/// Only SKUs of the goods that the path names.
fn of_goods(goods: &GoodsSheet, moves: &[(SkuId, i64)]) -> Result<(), ApiError> {
    let known = |id: &SkuId| goods.stock.iter().any(|(sku, _)| sku == id);
    match moves.iter().find(|(sku, _)| !known(sku)) {
        Some(_) => Err(ApiError::not_found("sku_id")),
        None => Ok(()),
    }
}

#[derive(Template)]
#[template(path = "admin/goods_stock.html")]
struct StockPage {
    frame: Frame,
    g: &'static GoodsTexts,
    base: String,
    shop: String,
    goods: GoodsSheet,
    given: Form,
    key: String,
}

impl StockPage {
    fn rows(&self) -> Vec<(i64, &SheetSku, i64)> {
        let skus = self.goods.sheet.skus.iter().filter_map(|sku| Some((sku.id?, sku)));
        skus.map(|(id, sku)| (id.get(), sku, self.goods.stock_of(id)))
            .filter(|(_, sku, stock)| !sku.retired || *stock > 0)
            .collect()
    }
    fn typed(&self, id: &i64) -> &str {
        self.given.value(&format!("delta-{id}"))
    }
    fn field(&self, id: &i64) -> String {
        format!("delta-{id}")
    }
}

async fn stock_page(
    app: &AppState,
    staff: &Staff,
    at: At,
    (frame, given): (Frame, Form),
) -> Result<StockPage, ApiError> {
    let shop = format!("/admin/shops/{}", staff.shop()?.wxapp.id);
    let (g, key, base) = (staff.tongue.goods(), auth::new_token(), base(staff)?);
    Ok(StockPage { frame, g, base, shop, goods: find(app, staff, at).await?, given, key })
}

pub async fn show(app: Data<AppState>, staff: Staff, at: At) -> Result<HttpResponse, ApiError> {
    let frame = Frame::of(&staff, "goods");
    render::page(&stock_page(&app, &staff, at, (frame, Form::default())).await?)
}

pub async fn move_form(
    app: Data<AppState>,
    staff: Staff,
    at: At,
    form: Form,
) -> Result<HttpResponse, ApiError> {
    let (by, g) = (clerk(&staff, form.value("key"))?, staff.tongue.goods());
    let goods = find(&app, &staff, at).await?;
    let (moves, mut troubles) = typed(&form, g);
    of_goods(&goods, &moves)?;
    if moves.is_empty() && troubles.is_empty() {
        troubles.push(Trouble::new(&first_field(&goods), g.nothing_moved));
    }
    let (mut form, mut done) = (form, 0);
    if troubles.is_empty() {
        for (sku, moved) in moved(&app, &by, &moves, form.value("reason")).await {
            match moved {
                Ok(_) => {
                    form.forget(&format!("delta-{sku}"));
                    done += 1;
                }
                Err(error) => troubles.push(trouble(error, &goods, sku, &staff)?),
            }
        }
    }
    // What is wrong with the reason is wrong once.
    troubles.dedup();
    if troubles.is_empty() {
        return Ok(render::see(&format!("{}/{}?done=stock", base(&staff)?, at.0)));
    }
    let said = (done > 0).then(|| format!("{done} {}", g.moved));
    let frame = Frame::of(&staff, "goods").problems(troubles).notice(said.as_deref());
    let page = stock_page(&app, &staff, at, (frame, form)).await?;
    render::page_with(StatusCode::UNPROCESSABLE_ENTITY, &page)
}

/// The numbers that were typed, and what is wrong with them.
fn typed(form: &Form, g: &GoodsTexts) -> (Vec<(SkuId, i64)>, Vec<Trouble>) {
    let (mut moves, mut troubles) = (Vec::new(), Vec::new());
    for (id, text) in form.starting_with("delta-") {
        let text = text.trim().replace('−', "-");
        let Some(sku) = id.parse().ok().and_then(|id: i64| SkuId::parse(id).ok()) else { continue };
        match text.strip_prefix('+').unwrap_or(&text) {
            "" | "0" => {}
            number => match number.parse() {
                Ok(delta) => moves.push((sku, delta)),
                Err(_) => troubles.push(Trouble::new(&format!("delta-{sku}"), g.bad_delta)),
            },
        }
    }
    moves.sort_unstable();
    (moves, troubles)
}

fn first_field(goods: &GoodsSheet) -> String {
    goods.stock.first().map_or_else(String::new, |(sku, _)| format!("delta-{sku}"))
}

fn trouble(
    error: DeskError,
    goods: &GoodsSheet,
    sku: SkuId,
    staff: &Staff,
) -> Result<Trouble, ApiError> {
    let trouble = refusals::trouble(error, staff.tongue)?;
    if trouble.field == "reason" {
        return Ok(trouble);
    }
    let named = goods.sheet.skus.iter().find(|one| one.id == Some(sku));
    let name = named.map_or_else(String::new, |sku| format!("{} {}", sku.code, sku.attr));
    let text = format!("{}: {}", name.trim(), trouble.text);
    Ok(Trouble::new(&format!("delta-{sku}"), text))
}

/// Movements of stock.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AdminStockMoves)]
pub struct MovesBody {
    /// 1 to 500, each SKU once.
    moves: Vec<MoveBody>,
    /// 1 to 120 characters; goes into the ledger.
    reason: String,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AdminStockMove)]
pub struct MoveBody {
    sku_id: i64,
    /// Pieces more, or fewer.
    #[schema(example = -3)]
    delta: i64,
}

impl MovesBody {
    fn moves(&self) -> Result<Vec<(SkuId, i64)>, ApiError> {
        let unknown = |_| ApiError::not_found("sku_id");
        let one = |one: &MoveBody| Ok((SkuId::parse(one.sku_id).map_err(unknown)?, one.delta));
        let mut moves = self.moves.iter().map(one).collect::<Result<Vec<_>, ApiError>>()?;
        moves.sort_unstable();
        let twice = moves.windows(2).any(|pair| pair[0].0 == pair[1].0);
        if moves.is_empty() || moves.len() > SKUS_MAX || twice {
            return Err(ApiError::invalid("moves", "from 1 to 500, each SKU once"));
        }
        Ok(moves)
    }
}

/// What became of each movement.
#[derive(Serialize, ToSchema)]
#[schema(as = AdminStockMoved)]
pub struct MovedJson {
    items: Vec<MovedOneJson>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = AdminStockMovedOne)]
pub struct MovedOneJson {
    sku_id: i64,
    /// The `Idempotency-Key` had moved it before.
    repeated: bool,
    /// Why it was not moved: `not_enough`, `bad_delta`, ...
    refused: Option<&'static str>,
    /// With `not_enough`: how many there are.
    stock: Option<i64>,
}

/// Moves stock of these goods, never below zero. Each SKU by itself: what is refused says why and
/// keeps no other back.
#[utoipa::path(post, path = "/api/admin/v1/shops/{shop}/goods/{id}/stock", tag = "admin",
    params(("shop" = i64, Path, description = "Mini-program id"), ("id" = i64, Path),
        ("Idempotency-Key" = Option<String>, Header, description = "At most 47 characters")),
    request_body = MovesBody,
    responses((status = 200, body = MovedJson), Refusals), security(("staff" = [])))]
pub async fn move_stock(
    app: Data<AppState>,
    staff: Staff,
    at: At,
    request: HttpRequest,
    Json(body): Json<MovesBody>,
) -> Result<web::Json<MovedJson>, ApiError> {
    let (by, moves) = (by(&request, &staff)?, body.moves()?);
    of_goods(&find(&app, &staff, at).await?, &moves)?;
    let items = moved(&app, &by, &moves, &body.reason).await.into_iter();
    let items = items.map(one_json).collect::<Result<_, _>>()?;
    Ok(web::Json(MovedJson { items }))
}

/// A refusal is an answer about this SKU; what is not is one about the whole.
fn one_json((sku, moved): Moved) -> Result<MovedOneJson, ApiError> {
    let sku_id = sku.get();
    let refused = |refusal: DeskRefusal| MovedOneJson {
        sku_id,
        repeated: false,
        refused: Some(refusals::name(&refusal)),
        stock: match refusal {
            DeskRefusal::NotEnough { stock } => Some(stock),
            _ => None,
        },
    };
    match moved {
        Ok(acted) => {
            Ok(MovedOneJson { sku_id, repeated: acted.repeated, refused: None, stock: None })
        }
        Err(DeskError::Refused(DeskRefusal::KeyConflict)) => {
            Err(DeskError::Refused(DeskRefusal::KeyConflict).into())
        }
        Err(DeskError::Refused(refusal)) => Ok(refused(refusal)),
        Err(error) => Err(error.into()),
    }
}
