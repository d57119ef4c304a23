//! What buyers see of the shop: categories, lists of goods, one of the goods. Read only.

use std::collections::{HashMap, HashSet};

use entity::{category, goods, sku};
use sea_orm::sea_query::{Expr, Func, LikeExpr};
use sea_orm::{
    ColumnTrait, Condition, EntityTrait, ExprTrait, FromQueryResult, Order, QueryFilter,
    QueryOrder, QuerySelect,
};

use super::db::{Readers, StoreError};
use super::page::{After, Page};
use crate::domain::goods::DeductStock;
use crate::domain::id::{CategoryId, GoodsId, SkuId, WxappId};
use crate::domain::money::Money;
use crate::domain::sheet::Block;
pub use crate::domain::sheet::{Spec, SpecValue};
use crate::domain::time::Timestamp;

/// The most categories that a shop's tree shows.
const CATEGORIES_MAX: u64 = 1_000;
/// The most SKUs that one of the goods shows.
pub const SKUS_MAX: usize = 500;

/// A category with those below it (分类).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Category {
    pub id: CategoryId,
    pub name: String,
    pub image_url: String,
    pub children: Vec<Category>,
}

/// The tree of categories; what hangs on nothing is left out.
pub async fn categories(readers: &Readers, wxapp: WxappId) -> Result<Vec<Category>, StoreError> {
    let mut by_parent: HashMap<i64, Vec<category::Model>> = HashMap::new();
    for row in category_rows(readers, wxapp).await? {
        by_parent.entry(row.parent_id).or_default().push(row);
    }
    children(&mut by_parent, 0)
}

async fn category_rows(
    readers: &Readers,
    wxapp: WxappId,
) -> Result<Vec<category::Model>, StoreError> {
    let rows = category::Entity::find()
        .filter(category::Column::WxappId.eq(wxapp.get()))
        .order_by_asc(category::Column::Sort)
        .order_by_asc(category::Column::Id)
        .limit(CATEGORIES_MAX);
    Ok(rows.all(readers.db()).await?)
}

fn children(
    by_parent: &mut HashMap<i64, Vec<category::Model>>,
    parent: i64,
) -> Result<Vec<Category>, StoreError> {
    // Taken out, so that a row that is its own ancestor ends here.
    let rows = by_parent.remove(&parent).unwrap_or_default();
    let branch = |row: category::Model| {
        Ok(Category {
            id: CategoryId::parse(row.id).map_err(|error| StoreError::row("category", error))?,
            name: row.name,
            image_url: row.image_url,
            children: children(by_parent, row.id)?,
        })
    };
    rows.into_iter().map(branch).collect()
}

/// In which order goods are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum GoodsSort {
    /// As the shop's staff have arranged them.
    #[default]
    Default,
    /// What sells best first.
    Sales,
    PriceAscending,
    PriceDescending,
}

impl GoodsSort {
    fn column(self) -> (goods::Column, Order) {
        match self {
            Self::Default => (goods::Column::Sort, Order::Asc),
            Self::Sales => (goods::Column::Sales, Order::Desc),
            Self::PriceAscending => (goods::Column::PriceMinFen, Order::Asc),
            Self::PriceDescending => (goods::Column::PriceMinFen, Order::Desc),
        }
    }
    fn key(self, row: &goods::Model) -> i64 {
        match self {
            Self::Default => row.sort,
            Self::Sales => row.sales,
            Self::PriceAscending | Self::PriceDescending => row.price_min_fen,
        }
    }
}

/// Which goods are listed: those on sale, and of them only these.
#[derive(Debug, Clone, Default)]
pub struct GoodsFilter {
    /// In this category or one below it.
    pub category: Option<CategoryId>,
    /// Part of the name.
    pub keyword: Option<String>,
    pub sort: GoodsSort,
}

/// Goods as a list shows them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GoodsItem {
    pub id: GoodsId,
    pub name: String,
    pub image_url: String,
    pub price_min: Money,
    pub price_max: Money,
    pub sales: i64,
    pub sold_out: bool,
}

/// One page of the goods on sale.
pub async fn goods_page(
    readers: &Readers,
    wxapp: WxappId,
    filter: &GoodsFilter,
    after: Option<After>,
    limit: u32,
) -> Result<Page<GoodsItem>, StoreError> {
    let (column, order) = filter.sort.column();
    let rows = goods::Entity::find()
        .filter(goods_condition(readers, wxapp, filter).await?)
        .filter(behind(column, &order, after))
        .order_by(column, order)
        .order_by_desc(goods::Column::Id)
        .limit(u64::from(limit) + 1)
        .all(readers.db())
        .await?;
    let place = |row: &goods::Model| After { key: filter.sort.key(row), id: row.id };
    let page = Page::cut(rows, limit, place);
    let in_stock = goods_in_stock(readers, &page.items).await?;
    let items = page.items.into_iter().map(|row| goods_item(row, &in_stock));
    Ok(Page { items: items.collect::<Result<_, _>>()?, next: page.next })
}

async fn goods_condition(
    readers: &Readers,
    wxapp: WxappId,
    filter: &GoodsFilter,
) -> Result<Condition, StoreError> {
    let mut condition = Condition::all()
        .add(goods::Column::WxappId.eq(wxapp.get()))
        .add(goods::Column::Status.eq("on_sale"));
    if let Some(category) = filter.category {
        let wanted = with_descendants(&category_rows(readers, wxapp).await?, category.get());
        condition = condition.add(goods::Column::CategoryId.is_in(wanted));
    }
    if let Some(keyword) = &filter.keyword {
        let name = Func::lower(Expr::col(goods::Column::Name));
        condition = condition.add(Expr::expr(name).like(containing(keyword)));
    }
    Ok(condition)
}

/// A pattern for text that contains the keyword as it stands.
fn containing(keyword: &str) -> LikeExpr {
    let mut pattern = String::from("%");
    for character in keyword.to_lowercase().chars() {
        if matches!(character, '%' | '_' | '!') {
            pattern.push('!');
        }
        pattern.push(character);
    }
    pattern.push('%');
    LikeExpr::new(pattern).escape('!')
}

fn with_descendants(rows: &[category::Model], category: i64) -> HashSet<i64> {
    let mut wanted = HashSet::from([category]);
    let mut open = vec![category];
    while let Some(parent) = open.pop() {
        let below = rows.iter().filter(|row| row.parent_id == parent).map(|row| row.id);
        open.extend(below.filter(|id| wanted.insert(*id)));
    }
    wanted
}

/// Rows behind this place when sorted by `column`, the newest id first among equals.
fn behind(column: goods::Column, order: &Order, after: Option<After>) -> Condition {
    let Some(after) = after else { return Condition::all() };
    let further = match order {
        Order::Desc => column.lt(after.key),
        _ => column.gt(after.key),
    };
    let equal = column.eq(after.key).and(goods::Column::Id.lt(after.id));
    Condition::any().add(further).add(equal)
}

/// Which of these goods have a SKU with stock.
async fn goods_in_stock(
    readers: &Readers,
    rows: &[goods::Model],
) -> Result<HashSet<i64>, StoreError> {
    #[derive(FromQueryResult)]
    struct InStock {
        goods_id: i64,
    }
    let found: Vec<InStock> = sku::Entity::find()
        .select_only()
        .column(sku::Column::GoodsId)
        .distinct()
        .filter(sku::Column::GoodsId.is_in(rows.iter().map(|row| row.id)))
        .filter(sku::Column::RetiredAt.is_null())
        .filter(sku::Column::Stock.gt(0))
        .into_model()
        .all(readers.db())
        .await?;
    Ok(found.into_iter().map(|row| row.goods_id).collect())
}

fn goods_item(row: goods::Model, in_stock: &HashSet<i64>) -> Result<GoodsItem, StoreError> {
    Ok(GoodsItem {
        id: GoodsId::parse(row.id).map_err(|error| StoreError::row("goods", error))?,
        image_url: texts("goods", &row.images)?.into_iter().next().unwrap_or_default(),
        name: row.name,
        price_min: Money::from_fen(row.price_min_fen),
        price_max: Money::from_fen(row.price_max_fen),
        sales: row.sales,
        sold_out: !in_stock.contains(&row.id),
    })
}

/// Goods with all that their page shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GoodsDetail {
    pub id: GoodsId,
    pub name: String,
    pub images: Vec<String>,
    pub content: String,
    /// The same with its images.
    pub blocks: Vec<Block>,
    pub deduct_stock: DeductStock,
    pub on_sale: bool,
    pub specs: Vec<Spec>,
    pub skus: Vec<SkuDetail>,
    pub sale_starts_at: Option<Timestamp>,
    pub sale_ends_at: Option<Timestamp>,
    pub limit_per_user: Option<i64>,
}

/// A SKU with all that the page of its goods shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SkuDetail {
    pub id: SkuId,
    pub spec_value_ids: Vec<i64>,
    pub attr: String,
    pub code: String,
    pub price: Money,
    /// Struck through; zero: none.
    pub line_price: Money,
    pub stock: i64,
    pub weight_g: i64,
    pub image_url: String,
}

/// One of the goods, on sale or not; `None` when this shop has none with the id.
pub async fn goods_detail(
    readers: &Readers,
    wxapp: WxappId,
    goods: GoodsId,
) -> Result<Option<GoodsDetail>, StoreError> {
    let row = goods::Entity::find_by_id(goods.get())
        .filter(goods::Column::WxappId.eq(wxapp.get()))
        .one(readers.db())
        .await?;
    let Some(row) = row else { return Ok(None) };
    let skus = sku::Entity::find()
        .filter(sku::Column::GoodsId.eq(goods.get()))
        .filter(sku::Column::RetiredAt.is_null())
        .order_by_asc(sku::Column::Sort)
        .order_by_asc(sku::Column::Id)
        .limit(SKUS_MAX as u64)
        .all(readers.db())
        .await?;
    let skus = skus.into_iter().map(sku_detail).collect::<Result<_, _>>()?;
    Ok(Some(GoodsDetail {
        id: goods,
        images: texts("goods", &row.images)?,
        specs: json("goods", &row.specs)?,
        blocks: super::rows::sheets::blocks(&row)?,
        name: row.name,
        content: row.content,
        deduct_stock: DeductStock::parse(&row.deduct_stock)
            .ok_or_else(|| StoreError::row("goods", "deduct_stock"))?,
        on_sale: row.status == "on_sale",
        skus,
        sale_starts_at: row.sale_starts_at.map(Timestamp::from_millis),
        sale_ends_at: row.sale_ends_at.map(Timestamp::from_millis),
        limit_per_user: row.limit_per_user,
    }))
}

fn sku_detail(row: sku::Model) -> Result<SkuDetail, StoreError> {
    Ok(SkuDetail {
        id: SkuId::parse(row.id).map_err(|error| StoreError::row("sku", error))?,
        spec_value_ids: json("sku", &row.spec_value_ids)?,
        attr: row.attr,
        code: row.code,
        price: Money::from_fen(row.price_fen),
        line_price: Money::from_fen(row.line_price_fen),
        stock: row.stock,
        weight_g: row.weight_g,
        image_url: row.image_url,
    })
}

fn texts(table: &'static str, text: &str) -> Result<Vec<String>, StoreError> {
    json(table, text)
}

fn json<T: serde::de::DeserializeOwned>(table: &'static str, text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|error| StoreError::row(table, error))
}
