//! The list of goods and the search.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{self, Data};
use askama::Template;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::base;
use crate::domain::id::CategoryId;
use crate::domain::staff::Right;
use crate::http::AppState;
use crate::http::admin::guard::Staff;
use crate::http::admin::render::{self, Frame, Trouble};
use crate::http::admin::texts::GoodsTexts;
use crate::http::error::ApiError;
use crate::http::extract::Query;
use crate::http::openapi::Refusals;
use crate::http::page;
use crate::store::goods::categories::{self, Branch};
use crate::store::goods::{self, GoodsRow, GoodsWanted};
use crate::store::page::Page;

/// The name that cursors of this list carry.
const LIST: &str = "staff-goods";
const PAGE: u32 = 50;
/// What counts as low when nobody says.
const LOW: i64 = 5;
/// The longest text that is looked for, in characters.
const FIND_MAX: usize = 64;

/// The address of a list; numbers as they were typed.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Wanted {
    q: String,
    /// `yes` or `no`.
    on_sale: String,
    category: String,
    low: String,
    cursor: Option<String>,
    limit: Option<u32>,
}

impl Wanted {
    /// Which goods; else the field that cannot be read.
    fn wanted(&self) -> Result<GoodsWanted, &'static str> {
        let number = |text: &str| match text.trim() {
            "" => Ok(None),
            text => text.parse::<i64>().map(Some),
        };
        let category = number(&self.category).map_err(|_| "category")?;
        let category = category.map(CategoryId::parse).transpose().map_err(|_| "category")?;
        let low = number(&self.low).map_err(|_| "low")?;
        let on_sale = match self.on_sale.as_str() {
            "" => None,
            "yes" => Some(true),
            "no" => Some(false),
            _ => return Err("on_sale"),
        };
        // PostgreSQL has no text with a NUL in it.
        if self.q.chars().count() > FIND_MAX || self.q.contains(char::is_control) {
            return Err("q");
        }
        Ok(GoodsWanted { text: self.q.trim().to_owned(), on_sale, category, low })
    }

    fn query(&self) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        let fields = [
            ("q", &self.q),
            ("on_sale", &self.on_sale),
            ("category", &self.category),
            ("low", &self.low),
        ];
        for (name, value) in fields.into_iter().filter(|(_, value)| !value.is_empty()) {
            query.append_pair(name, value);
        }
        query.finish()
    }

    fn is_filter(&self) -> bool {
        !(self.on_sale.is_empty() && self.category.is_empty() && self.low.is_empty())
    }
}

#[derive(Template)]
#[template(path = "admin/goods.html")]
struct GoodsPage {
    frame: Frame,
    g: &'static GoodsTexts,
    base: String,
    wanted: Wanted,
    rows: Vec<GoodsRow>,
    tree: Vec<Branch>,
    next: Option<String>,
    quick: [(&'static str, String); 3],
    may_edit: bool,
}

impl GoodsPage {
    fn is_here(&self, query: &str) -> bool {
        self.wanted.query() == query
    }
    fn category(&self, row: &GoodsRow) -> &str {
        let named = self.tree.iter().find(|branch| Some(branch.id) == row.category);
        named.map_or("", |branch| &branch.path)
    }
    fn is_category(&self, branch: &Branch) -> bool {
        self.wanted.category == branch.id.to_string()
    }
    fn is_low(&self, row: &GoodsRow) -> bool {
        let low = self.wanted.low.parse().unwrap_or(LOW);
        row.on_sale && row.lowest <= low
    }
}

async fn read(app: &AppState, staff: &Staff, wanted: &Wanted) -> Result<Page<GoodsRow>, ApiError> {
    let which = wanted.wanted().map_err(|field| ApiError::invalid(field, "cannot be read"))?;
    let after = page::after(LIST, wanted.cursor.as_deref())?;
    let limit = page::limit(Some(wanted.limit.unwrap_or(PAGE)))?;
    let shop = staff.shop()?.wxapp.id;
    Ok(goods::goods_list(&app.readers, shop, &which, after, limit).await?)
}

pub async fn show(
    app: Data<AppState>,
    staff: Staff,
    Query(wanted): Query<Wanted>,
) -> Result<HttpResponse, ApiError> {
    let g = staff.tongue.goods();
    let mut frame = Frame::of(&staff, "goods");
    let found = match wanted.wanted() {
        Ok(_) => read(&app, &staff, &wanted).await?,
        Err(field) => {
            frame = frame.problems(vec![Trouble::new(field, g.not_a_number)]);
            Page { items: Vec::new(), next: None }
        }
    };
    let status = match frame.problems.is_empty() {
        true => StatusCode::OK,
        false => StatusCode::UNPROCESSABLE_ENTITY,
    };
    let next = found.next.map(|next| page::cursor(LIST, next));
    let query = wanted.query();
    let joint = if query.is_empty() { "" } else { "&" };
    render::page_with(
        status,
        &GoodsPage {
            frame,
            g,
            base: base(&staff)?,
            rows: found.items,
            tree: categories::tree(&app.readers, staff.shop()?.wxapp.id).await?,
            next: next.map(|cursor| format!("{query}{joint}cursor={cursor}")),
            quick: [
                (g.all_goods, String::new()),
                (g.on_sale_now, "on_sale=yes".to_owned()),
                (g.low_now, format!("on_sale=yes&low={LOW}")),
            ],
            may_edit: staff.may_here(Right::GoodsEdit),
            wanted,
        },
    )
}

/// Goods of the list.
#[derive(Serialize, ToSchema)]
#[schema(as = AdminGoodsItem)]
pub struct GoodsRowJson {
    id: i64,
    code: String,
    name: String,
    category_id: Option<i64>,
    on_sale: bool,
    price_min_fen: i64,
    price_max_fen: i64,
    /// Pieces paid for.
    sales: i64,
    /// SKUs that are not retired.
    skus: i64,
    /// Pieces over all of these that are not deducted.
    stock: i64,
}

impl From<GoodsRow> for GoodsRowJson {
    fn from(row: GoodsRow) -> Self {
        Self {
            id: row.id.get(),
            code: row.code,
            name: row.name,
            category_id: row.category.map(CategoryId::get),
            on_sale: row.on_sale,
            price_min_fen: row.price_min.as_fen(),
            price_max_fen: row.price_max.as_fen(),
            sales: row.sales,
            skus: row.skus,
            stock: row.stock,
        }
    }
}

#[derive(Serialize, ToSchema)]
#[schema(as = AdminGoodsList)]
pub struct GoodsListJson {
    items: Vec<GoodsRowJson>,
    next_cursor: Option<String>,
}

/// Goods of a mini-program, the newest first.
#[utoipa::path(get, path = "/api/admin/v1/shops/{shop}/goods", tag = "admin",
    params(
        ("shop" = i64, Path, description = "Mini-program id"),
        ("q" = Option<String>, Query, description = "A code or id of goods or SKU, or a part of the name"),
        ("on_sale" = Option<String>, Query, description = "`yes` or `no`"),
        ("category" = Option<i64>, Query, description = "In this category or one below it"),
        ("low" = Option<i64>, Query, description = "With a SKU of which no more than this is left"),
        ("cursor" = Option<String>, Query),
        ("limit" = Option<u32>, Query, description = "1 to 100"),
    ),
    responses((status = 200, body = GoodsListJson), Refusals), security(("staff" = [])))]
pub async fn list_goods(
    app: Data<AppState>,
    staff: Staff,
    Query(wanted): Query<Wanted>,
) -> Result<web::Json<GoodsListJson>, ApiError> {
    let found = read(&app, &staff, &wanted).await?;
    Ok(web::Json(GoodsListJson {
        items: found.items.into_iter().map(GoodsRowJson::from).collect(),
        next_cursor: found.next.map(|next| page::cursor(LIST, next)),
    }))
}
