//! The list of goods: by name or code, on sale or not, by category, by what is left.

use std::collections::HashMap;

use entity::{goods, sku};
use sea_orm::sea_query::{Expr, ExprTrait as _, Func, LikeExpr, Query};
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Select};

use super::super::db::{Readers, StoreError};
use super::super::page::{After, Page};
use super::categories;
use crate::domain::id::{CategoryId, GoodsId, WxappId};
use crate::domain::money::Money;

/// Which goods.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GoodsWanted {
    /// The code of goods or of a SKU, an id, or a part of the name.
    pub text: String,
    pub on_sale: Option<bool>,
    /// In this category or one below it.
    pub category: Option<CategoryId>,
    /// With a SKU, not retired, of which no more than this is left.
    pub low: Option<i64>,
}

/// Goods of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GoodsRow {
    pub id: GoodsId,
    pub code: String,
    pub name: String,
    pub category: Option<CategoryId>,
    pub on_sale: bool,
    pub price_min: Money,
    pub price_max: Money,
    pub sales: i64,
    /// SKUs that are not retired.
    pub skus: i64,
    /// Pieces over all of these.
    pub stock: i64,
    /// What is left of the one of which least is left.
    pub lowest: i64,
}

/// One page of goods, the newest first. `limit` is 1 to 100.
pub async fn goods_list(
    readers: &Readers,
    wxapp: WxappId,
    wanted: &GoodsWanted,
    after: Option<After>,
    limit: u32,
) -> Result<Page<GoodsRow>, StoreError> {
    let below = match wanted.category {
        Some(category) => Some(categories::with_descendants(readers, wxapp, category).await?),
        None => None,
    };
    let rows = select(wxapp, wanted, below, after).limit(u64::from(limit) + 1);
    let rows = rows.all(readers.db()).await?;
    let page = Page::cut(rows, limit, |row| After { key: row.id, id: row.id });
    let mut left = left_of(readers, &page.items).await?;
    let row = |row: goods::Model| {
        let (skus, stock, lowest) = left.remove(&row.id).unwrap_or_default();
        Ok(GoodsRow {
            id: GoodsId::parse(row.id).map_err(|error| StoreError::row("goods", error))?,
            code: row.code,
            name: row.name,
            category: CategoryId::parse(row.category_id).ok(),
            on_sale: row.status == "on_sale",
            price_min: Money::from_fen(row.price_min_fen),
            price_max: Money::from_fen(row.price_max_fen),
            sales: row.sales,
            skus,
            stock,
            lowest,
        })
    };
    let items = page.items.into_iter().map(row).collect::<Result<_, StoreError>>()?;
    Ok(Page { items, next: page.next })
}

/// Of each of the goods: how many SKUs, pieces over all, and the least of one.
async fn left_of(
    readers: &Readers,
    rows: &[goods::Model],
) -> Result<HashMap<i64, (i64, i64, i64)>, StoreError> {
    if rows.is_empty() {
        return Ok(HashMap::new());
    }
    let found: Vec<(i64, i64)> = sku::Entity::find()
        .select_only()
        .columns([sku::Column::GoodsId, sku::Column::Stock])
        .filter(sku::Column::GoodsId.is_in(rows.iter().map(|row| row.id)))
        .filter(sku::Column::RetiredAt.is_null())
        .into_tuple()
        .all(readers.db())
        .await?;
    let mut left = HashMap::new();
    for (goods, stock) in found {
        let (skus, all, lowest) = left.entry(goods).or_insert((0, 0_i64, i64::MAX));
        *skus += 1;
        *all = all.saturating_add(stock);
        *lowest = std::cmp::min(stock, *lowest);
    }
    Ok(left)
}

/// Rows behind a place in the list.
pub(super) fn select(
    wxapp: WxappId,
    wanted: &GoodsWanted,
    below: Option<Vec<i64>>,
    after: Option<After>,
) -> Select<goods::Entity> {
    let mut goods = goods::Entity::find().filter(goods::Column::WxappId.eq(wxapp.get()));
    if let Some(on_sale) = wanted.on_sale {
        let status = if on_sale { "on_sale" } else { "off_sale" };
        goods = goods.filter(goods::Column::Status.eq(status));
    }
    if let Some(below) = below {
        goods = goods.filter(goods::Column::CategoryId.is_in(below));
    }
    if !wanted.text.is_empty() {
        goods = goods.filter(named(wxapp, &wanted.text));
    }
    if let Some(low) = wanted.low {
        goods = goods.filter(Expr::exists(
            Query::select()
                .expr(Expr::val(1))
                .from(sku::Entity)
                .and_where(
                    Expr::col((sku::Entity, sku::Column::GoodsId))
                        .equals((goods::Entity, goods::Column::Id)),
                )
                .and_where(sku::Column::RetiredAt.is_null())
                .and_where(sku::Column::Stock.lte(low))
                .take(),
        ));
    }
    if let Some(after) = after {
        goods = goods.filter(goods::Column::Id.lt(after.id));
    }
    goods.order_by_desc(goods::Column::Id)
}

fn named(wxapp: WxappId, text: &str) -> Condition {
    let of_sku = Query::select()
        .column(sku::Column::GoodsId)
        .from(sku::Entity)
        .and_where(sku::Column::WxappId.eq(wxapp.get()))
        .and_where(sku::Column::Code.eq(text))
        .take();
    let name = Func::lower(Expr::col((goods::Entity, goods::Column::Name)));
    let mut any = Condition::any()
        .add(goods::Column::Code.eq(text))
        .add(goods::Column::Id.in_subquery(of_sku))
        .add(Expr::expr(name).like(containing(text)));
    if let Ok(id) = text.parse::<i64>() {
        any = any.add(goods::Column::Id.eq(id));
        let by_id = Query::select()
            .column(sku::Column::GoodsId)
            .from(sku::Entity)
            .and_where(sku::Column::Id.eq(id))
            .take();
        any = any.add(goods::Column::Id.in_subquery(by_id));
    }
    any
}

/// A pattern for text that contains these words as they stand.
fn containing(text: &str) -> LikeExpr {
    let mut pattern = String::from("%");
    for character in text.to_lowercase().chars() {
        if matches!(character, '%' | '_' | '!') {
            pattern.push('!');
        }
        pattern.push(character);
    }
    pattern.push('%');
    LikeExpr::new(pattern).escape('!')
}
