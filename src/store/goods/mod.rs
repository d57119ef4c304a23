//! Goods, stock and categories as staff look at them. Read only but for categories, which are
//! written by plain statements: no actor keeps any.
//!
//! Every query runs along an index of its mini-program, which `plans.rs` proves; a part of a name
//! and low stock are looked for row by row along it, page by page.

pub mod categories;
mod ledger;
mod list;
#[cfg(test)]
mod plans;

pub use ledger::{Moment, SkuFacts, sku, stock_at};
pub use list::{GoodsRow, GoodsWanted, goods_list};

use entity::{goods, sku as sku_table};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use super::db::{Readers, StoreError};
use super::rows;
use crate::domain::id::{GoodsId, SkuId, WxappId};
use crate::domain::sheet::{SKUS_MAX, Sheet};
use crate::domain::time::Timestamp;

/// Goods with their sheet and what is left of each SKU.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GoodsSheet {
    pub id: GoodsId,
    pub version: i64,
    pub sheet: Sheet,
    /// Pieces of each SKU that are not deducted, in the order of the sheet.
    pub stock: Vec<(SkuId, i64)>,
    /// Pieces paid for.
    pub sales: i64,
    pub updated_at: Timestamp,
}

impl GoodsSheet {
    /// What is left of a SKU.
    pub fn stock_of(&self, id: SkuId) -> i64 {
        self.stock.iter().find(|(sku, _)| *sku == id).map_or(0, |(_, stock)| *stock)
    }
}

/// One of the goods of this mini-program. The retired SKUs come last; of those at most 500.
pub async fn goods_sheet(
    readers: &Readers,
    wxapp: WxappId,
    id: GoodsId,
) -> Result<Option<GoodsSheet>, StoreError> {
    let row = goods::Entity::find_by_id(id.get())
        .filter(goods::Column::WxappId.eq(wxapp.get()))
        .one(readers.db())
        .await?;
    let Some(row) = row else { return Ok(None) };
    let mut skus = sku_table::Entity::find()
        .filter(sku_table::Column::GoodsId.eq(id.get()))
        .order_by_asc(sku_table::Column::Sort)
        .order_by_asc(sku_table::Column::Id)
        .limit(2 * SKUS_MAX as u64)
        .all(readers.db())
        .await?;
    skus.sort_by_key(|sku| sku.retired_at.is_some());
    let bad = |error| StoreError::row("sku", error);
    let stock = |sku: &sku_table::Model| Ok((SkuId::parse(sku.id).map_err(bad)?, sku.stock));
    let stock = skus.iter().map(stock).collect::<Result<_, StoreError>>()?;
    let (version, sales) = (row.version, row.sales);
    let updated_at = Timestamp::from_millis(row.updated_at);
    let sheet = rows::sheets::sheet(row, skus)?;
    Ok(Some(GoodsSheet { id, version, sheet, stock, sales, updated_at }))
}
