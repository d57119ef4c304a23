//! A sheet as programs write and read it. There is no field for stock: a body with one is refused.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::ledger::rfc3339;
use crate::domain::goods::DeductStock;
use crate::domain::id::{CategoryId, SkuId};
use crate::domain::money::Money;
use crate::domain::sheet::{Block, Flaw, Sheet, SheetSku, Spec, SpecValue};
use crate::domain::time::Timestamp;
use crate::http::error::ApiError;
use crate::http::shop::views::time;
use crate::store::goods::GoodsSheet;

/// Goods as they are to be written.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AdminGoodsBody)]
pub struct SheetBody {
    /// The version that was read; a change of goods that are there needs it.
    #[serde(default)]
    pub version: Option<i64>,
    /// By which an import knows it; unique in the mini-program.
    pub code: String,
    pub name: String,
    #[serde(default)]
    pub category_id: Option<i64>,
    #[serde(default)]
    pub images: Vec<String>,
    #[serde(default)]
    pub blocks: Vec<BlockJson>,
    #[serde(default)]
    pub specs: Vec<SpecJson>,
    /// `order` or `payment`.
    #[schema(value_type = String, example = "order")]
    pub deduct_stock: DeductStock,
    pub on_sale: bool,
    /// RFC 3339.
    #[serde(default)]
    pub sale_starts_at: Option<String>,
    #[serde(default)]
    pub sale_ends_at: Option<String>,
    /// Pieces one buyer may have in live orders.
    #[serde(default)]
    pub limit_per_user: Option<i64>,
    /// Place in lists, the lowest first; 100 when left out.
    #[serde(default = "hundred")]
    pub sort: i64,
    /// All that shall be sold; SKUs that are left out are retired.
    pub skus: Vec<SkuBody>,
}

fn hundred() -> i64 {
    100
}

/// A part of the description: a text, or an image by its address.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = AdminBlock)]
pub enum BlockJson {
    Text(String),
    Image(String),
}

/// A property, such as colour.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AdminSpec)]
pub struct SpecJson {
    /// Unique among the ids of properties of these goods.
    pub id: i64,
    pub name: String,
    pub values: Vec<ValueJson>,
}

#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AdminSpecValue)]
pub struct ValueJson {
    /// Unique among the ids of values of these goods.
    pub id: i64,
    pub value: String,
}

/// A SKU as it is to be written.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AdminSkuBody)]
pub struct SkuBody {
    /// Left out: a new one, with no stock.
    #[serde(default)]
    pub id: Option<i64>,
    pub code: String,
    /// Ids of values, one of each property.
    #[serde(default)]
    pub values: Vec<i64>,
    /// In words; of one with values it is made from them.
    #[serde(default)]
    pub attr: String,
    pub price_fen: i64,
    /// Struck through; 0: none.
    #[serde(default)]
    pub line_price_fen: i64,
    #[serde(default)]
    pub weight_g: i64,
    #[serde(default)]
    pub image_url: String,
    #[serde(default)]
    pub retired: bool,
}

impl SheetBody {
    /// The sheet that is meant, checked.
    pub fn sheet(self) -> Result<Sheet, ApiError> {
        let category = self.category_id.map(CategoryId::parse).transpose();
        let skus = self.skus.into_iter().enumerate().map(|(row, sku)| sku.sku(row));
        let mut sheet = Sheet {
            code: self.code.trim().to_owned(),
            name: self.name.trim().to_owned(),
            category: category.map_err(|_| ApiError::invalid("category_id", "not a category"))?,
            images: self.images,
            blocks: self.blocks.into_iter().map(Block::from).collect(),
            specs: self.specs.into_iter().map(Spec::from).collect(),
            deduct_stock: self.deduct_stock,
            on_sale: self.on_sale,
            sale_starts_at: instant("sale_starts_at", self.sale_starts_at)?,
            sale_ends_at: instant("sale_ends_at", self.sale_ends_at)?,
            limit_per_user: self.limit_per_user,
            sort: self.sort,
            skus: skus.collect::<Result<_, _>>()?,
        };
        sheet.name_skus();
        match sheet.flaws().first() {
            Some(flaw) => Err(ApiError::invalid(&place(flaw), flaw.why)),
            None => Ok(sheet),
        }
    }
}

/// Where a flaw is, as a path into the body.
fn place(flaw: &Flaw) -> String {
    let field = match flaw.field {
        "price" => "price_fen",
        "line_price" => "line_price_fen",
        other => other,
    };
    flaw.row.map_or_else(|| field.to_owned(), |row| format!("skus[{row}].{field}"))
}

fn instant(field: &str, text: Option<String>) -> Result<Option<Timestamp>, ApiError> {
    let Some(text) = text else { return Ok(None) };
    rfc3339(&text).map(Some).ok_or_else(|| ApiError::invalid(field, "not a time"))
}

impl SkuBody {
    fn sku(self, row: usize) -> Result<SheetSku, ApiError> {
        let id = self.id.map(SkuId::parse).transpose();
        Ok(SheetSku {
            id: id.map_err(|_| ApiError::invalid(&format!("skus[{row}].id"), "not an id"))?,
            code: self.code.trim().to_owned(),
            values: self.values,
            attr: self.attr,
            price: Money::from_fen(self.price_fen),
            line_price: Money::from_fen(self.line_price_fen),
            weight_g: self.weight_g,
            image_url: self.image_url,
            retired: self.retired,
        })
    }
}

impl From<BlockJson> for Block {
    fn from(block: BlockJson) -> Self {
        match block {
            BlockJson::Text(text) => Self::Text(text),
            BlockJson::Image(address) => Self::Image(address),
        }
    }
}

impl From<Block> for BlockJson {
    fn from(block: Block) -> Self {
        match block {
            Block::Text(text) => Self::Text(text),
            Block::Image(address) => Self::Image(address),
        }
    }
}

impl From<SpecJson> for Spec {
    fn from(spec: SpecJson) -> Self {
        let value = |value: ValueJson| SpecValue { id: value.id, value: value.value };
        Self { id: spec.id, name: spec.name, values: spec.values.into_iter().map(value).collect() }
    }
}

impl From<Spec> for SpecJson {
    fn from(spec: Spec) -> Self {
        let value = |value: SpecValue| ValueJson { id: value.id, value: value.value };
        Self { id: spec.id, name: spec.name, values: spec.values.into_iter().map(value).collect() }
    }
}

/// Goods with all that stands on their sheet.
#[derive(Serialize, ToSchema)]
#[schema(as = AdminGoods)]
pub struct GoodsJson {
    id: i64,
    /// What a change must name.
    version: i64,
    code: String,
    name: String,
    category_id: Option<i64>,
    images: Vec<String>,
    blocks: Vec<BlockJson>,
    specs: Vec<SpecJson>,
    deduct_stock: &'static str,
    on_sale: bool,
    sale_starts_at: Option<String>,
    sale_ends_at: Option<String>,
    limit_per_user: Option<i64>,
    sort: i64,
    /// Pieces paid for.
    sales: i64,
    updated_at: String,
    /// The retired ones come last.
    skus: Vec<SkuJson>,
}

/// A SKU with what is left of it.
#[derive(Serialize, ToSchema)]
#[schema(as = AdminSku)]
pub struct SkuJson {
    id: i64,
    code: String,
    values: Vec<i64>,
    attr: String,
    price_fen: i64,
    line_price_fen: i64,
    weight_g: i64,
    image_url: String,
    retired: bool,
    /// Pieces that are not deducted. Moved by `/stock` alone.
    stock: i64,
}

impl From<GoodsSheet> for GoodsJson {
    fn from(goods: GoodsSheet) -> Self {
        let sku = |sku: &SheetSku| {
            let id = sku.id?;
            Some(SkuJson {
                id: id.get(),
                code: sku.code.clone(),
                values: sku.values.clone(),
                attr: sku.attr.clone(),
                price_fen: sku.price.as_fen(),
                line_price_fen: sku.line_price.as_fen(),
                weight_g: sku.weight_g,
                image_url: sku.image_url.clone(),
                retired: sku.retired,
                stock: goods.stock_of(id),
            })
        };
        let skus = goods.sheet.skus.iter().filter_map(sku).collect();
        let sheet = goods.sheet;
        Self {
            id: goods.id.get(),
            version: goods.version,
            code: sheet.code,
            name: sheet.name,
            category_id: sheet.category.map(CategoryId::get),
            images: sheet.images,
            blocks: sheet.blocks.into_iter().map(BlockJson::from).collect(),
            specs: sheet.specs.into_iter().map(SpecJson::from).collect(),
            deduct_stock: sheet.deduct_stock.as_str(),
            on_sale: sheet.on_sale,
            sale_starts_at: sheet.sale_starts_at.map(time),
            sale_ends_at: sheet.sale_ends_at.map(time),
            limit_per_user: sheet.limit_per_user,
            sort: sheet.sort,
            sales: goods.sales,
            updated_at: time(goods.updated_at),
            skus,
        }
    }
}
