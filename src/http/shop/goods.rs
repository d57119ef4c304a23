//! What is for sale: `/categories`, `/goods`.

use actix_web::web::{self, Data, ServiceConfig};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::views::time;
use crate::domain::goods::DeductStock;
use crate::domain::id::{CategoryId, GoodsId};
use crate::domain::sheet;
use crate::domain::time::Timestamp;
use crate::http::AppState;
use crate::http::auth::Tenant;
use crate::http::error::ApiError;
use crate::http::extract::{PathId, Query, text};
use crate::http::openapi::Refusals;
use crate::http::page;
use crate::store::catalogue::{self, GoodsFilter, GoodsSort};

pub fn routes(config: &mut ServiceConfig) {
    config
        .service(web::resource("/categories").route(web::get().to(list_categories)))
        .service(web::resource("/goods").route(web::get().to(list_goods)))
        .service(web::resource("/goods/{id}").route(web::get().to(get_goods)));
}

/// A category with those below it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(no_recursion)]
pub struct Category {
    pub id: i64,
    pub name: String,
    pub image_url: String,
    pub children: Vec<Category>,
}

impl From<catalogue::Category> for Category {
    fn from(category: catalogue::Category) -> Self {
        Self {
            id: category.id.get(),
            name: category.name,
            image_url: category.image_url,
            children: category.children.into_iter().map(Self::from).collect(),
        }
    }
}

/// The tree of categories.
#[derive(Debug, Serialize, ToSchema)]
pub struct Categories {
    pub items: Vec<Category>,
}

/// Categories.
#[utoipa::path(get, path = "/api/v1/categories", tag = "goods",
    responses((status = 200, body = Categories), Refusals))]
pub async fn list_categories(
    state: Data<AppState>,
    Tenant(shop): Tenant,
) -> Result<web::Json<Categories>, ApiError> {
    let tree = catalogue::categories(&state.readers, shop.wxapp.id).await?;
    Ok(web::Json(Categories { items: tree.into_iter().map(Category::from).collect() }))
}

/// Which goods, in which order.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct GoodsQuery {
    /// In this category or one below it.
    category_id: Option<i64>,
    /// Part of the name.
    keyword: Option<String>,
    /// `default`, `sales`, `price_asc` or `price_desc`.
    #[param(example = "default")]
    sort: Option<String>,
    /// 1 to 100.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u32>,
    cursor: Option<String>,
}

/// Goods as a list shows them.
#[derive(Debug, Serialize, ToSchema)]
pub struct GoodsItem {
    pub id: i64,
    pub name: String,
    pub image_url: String,
    pub price_min_fen: i64,
    pub price_max_fen: i64,
    pub sales: i64,
    pub sold_out: bool,
}

impl From<catalogue::GoodsItem> for GoodsItem {
    fn from(item: catalogue::GoodsItem) -> Self {
        Self {
            id: item.id.get(),
            name: item.name,
            image_url: item.image_url,
            price_min_fen: item.price_min.as_fen(),
            price_max_fen: item.price_max.as_fen(),
            sales: item.sales,
            sold_out: item.sold_out,
        }
    }
}

/// One page of goods.
#[derive(Debug, Serialize, ToSchema)]
pub struct GoodsPage {
    pub items: Vec<GoodsItem>,
    pub next_cursor: Option<String>,
}

/// Goods on sale.
#[utoipa::path(get, path = "/api/v1/goods", tag = "goods", params(GoodsQuery),
    responses((status = 200, body = GoodsPage), Refusals))]
pub async fn list_goods(
    state: Data<AppState>,
    Tenant(shop): Tenant,
    Query(query): Query<GoodsQuery>,
) -> Result<web::Json<GoodsPage>, ApiError> {
    let (sort, list) = sort(query.sort.as_deref())?;
    let category = query.category_id.map(CategoryId::parse).transpose();
    let keyword = query.keyword.map(|keyword| text("keyword", &keyword, 0, 64)).transpose()?;
    let filter = GoodsFilter {
        category: category.map_err(|error| ApiError::invalid("category_id", error.to_string()))?,
        keyword: keyword.filter(|keyword| !keyword.is_empty()),
        sort,
    };
    let limit = page::limit(query.limit)?;
    let after = page::after(list, query.cursor.as_deref())?;
    let page = catalogue::goods_page(&state.readers, shop.wxapp.id, &filter, after, limit).await?;
    Ok(web::Json(GoodsPage {
        items: page.items.into_iter().map(GoodsItem::from).collect(),
        next_cursor: page.next.map(|next| page::cursor(list, next)),
    }))
}

/// The order of a list, and the name that its cursors carry.
fn sort(requested: Option<&str>) -> Result<(GoodsSort, &'static str), ApiError> {
    match requested.unwrap_or("default") {
        "default" => Ok((GoodsSort::Default, "goods")),
        "sales" => Ok((GoodsSort::Sales, "goods-sales")),
        "price_asc" => Ok((GoodsSort::PriceAscending, "goods-up")),
        "price_desc" => Ok((GoodsSort::PriceDescending, "goods-down")),
        _ => Err(ApiError::invalid("sort", "one of default, sales, price_asc, price_desc")),
    }
}

/// Goods with all that their page shows.
#[derive(Debug, Serialize, ToSchema)]
pub struct Goods {
    pub id: i64,
    pub name: String,
    pub images: Vec<String>,
    /// The texts of the description.
    pub content: String,
    /// The description, its images among the texts.
    pub blocks: Vec<Block>,
    /// When stock is deducted: `order` or `payment`.
    #[schema(value_type = String, example = "order")]
    pub deduct_stock: DeductStock,
    /// `on_sale` or `off_sale`.
    #[schema(example = "on_sale")]
    pub status: &'static str,
    pub specs: Vec<Spec>,
    pub skus: Vec<Sku>,
    pub sale: Option<Sale>,
    pub limit_per_user: Option<i64>,
}

/// A part of a description: a text, or an image by its address.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Block {
    Text(String),
    Image(String),
}

impl From<sheet::Block> for Block {
    fn from(block: sheet::Block) -> Self {
        match block {
            sheet::Block::Text(text) => Self::Text(text),
            sheet::Block::Image(address) => Self::Image(address),
        }
    }
}

/// A property in which SKUs differ.
#[derive(Debug, Serialize, ToSchema)]
pub struct Spec {
    pub id: i64,
    pub name: String,
    pub values: Vec<SpecValue>,
}

/// A value of a property.
#[derive(Debug, Serialize, ToSchema)]
pub struct SpecValue {
    pub id: i64,
    pub value: String,
}

/// What can be bought.
#[derive(Debug, Serialize, ToSchema)]
pub struct Sku {
    pub id: i64,
    pub spec_value_ids: Vec<i64>,
    pub attr: String,
    pub code: String,
    pub price_fen: i64,
    /// Struck through; 0: none.
    pub line_price_fen: i64,
    pub stock: i64,
    pub weight_g: i64,
    pub image_url: String,
}

/// When the goods are sold.
#[derive(Debug, Serialize, ToSchema)]
pub struct Sale {
    pub starts_at: Option<String>,
    pub ends_at: Option<String>,
}

/// One of the goods.
#[utoipa::path(get, path = "/api/v1/goods/{id}", tag = "goods", params(("id" = i64, Path)),
    responses((status = 200, body = Goods), Refusals))]
pub async fn get_goods(
    state: Data<AppState>,
    Tenant(shop): Tenant,
    PathId(id): PathId<GoodsId>,
) -> Result<web::Json<Goods>, ApiError> {
    let goods = catalogue::goods_detail(&state.readers, shop.wxapp.id, id).await?;
    goods.map(Goods::from).map(web::Json).ok_or_else(|| ApiError::not_found("id"))
}

impl From<catalogue::GoodsDetail> for Goods {
    fn from(goods: catalogue::GoodsDetail) -> Self {
        Self {
            id: goods.id.get(),
            name: goods.name,
            images: goods.images,
            content: goods.content,
            blocks: goods.blocks.into_iter().map(Block::from).collect(),
            deduct_stock: goods.deduct_stock,
            status: if goods.on_sale { "on_sale" } else { "off_sale" },
            specs: goods.specs.into_iter().map(Spec::from).collect(),
            skus: goods.skus.into_iter().map(Sku::from).collect(),
            sale: sale(goods.sale_starts_at, goods.sale_ends_at),
            limit_per_user: goods.limit_per_user,
        }
    }
}

fn sale(starts: Option<Timestamp>, ends: Option<Timestamp>) -> Option<Sale> {
    if starts.is_none() && ends.is_none() {
        return None;
    }
    Some(Sale { starts_at: starts.map(time), ends_at: ends.map(time) })
}

impl From<catalogue::Spec> for Spec {
    fn from(spec: catalogue::Spec) -> Self {
        let value = |value: catalogue::SpecValue| SpecValue { id: value.id, value: value.value };
        Self { id: spec.id, name: spec.name, values: spec.values.into_iter().map(value).collect() }
    }
}

impl From<catalogue::SkuDetail> for Sku {
    fn from(sku: catalogue::SkuDetail) -> Self {
        Self {
            id: sku.id.get(),
            spec_value_ids: sku.spec_value_ids,
            attr: sku.attr,
            code: sku.code,
            price_fen: sku.price.as_fen(),
            line_price_fen: sku.line_price.as_fen(),
            stock: sku.stock,
            weight_g: sku.weight_g,
            image_url: sku.image_url,
        }
    }
}
