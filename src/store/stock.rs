//! SKUs and their goods, as the goods actor reads them.

use entity::{goods, sku, stock_entry};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QuerySelect};

use super::db::{Readers, StoreError};
use super::rows;
use crate::domain::goods::{Goods, Sku};
use crate::domain::id::{SkuId, WxappId};
use crate::domain::time::Timestamp;

/// SKUs with the goods they belong to.
#[derive(Debug, Clone)]
pub struct StockRows {
    pub goods: Vec<Goods>,
    pub skus: Vec<Sku>,
    /// Not later than the read.
    pub read_at: Timestamp,
}

/// Pieces that have come and gone by other ways than orders: seeded, imported, counted anew.
pub async fn received(readers: &Readers, sku: SkuId) -> Result<i64, StoreError> {
    let deltas: Vec<i64> = stock_entry::Entity::find()
        .select_only()
        .column(stock_entry::Column::Delta)
        .filter(stock_entry::Column::SkuId.eq(sku.get()))
        .filter(stock_entry::Column::OrderGoodsId.is_null())
        .into_tuple()
        .all(readers.db())
        .await?;
    Ok(deltas.into_iter().sum())
}

/// Reads SKUs of one mini-program; those that do not exist are left out.
pub async fn read(
    readers: &Readers,
    wxapp: WxappId,
    ids: &[SkuId],
    read_at: Timestamp,
) -> Result<StockRows, StoreError> {
    let found = sku::Entity::find()
        .filter(sku::Column::Id.is_in(ids.iter().map(|id| id.get())))
        .filter(sku::Column::WxappId.eq(wxapp.get()))
        .all(readers.db())
        .await?;
    let of: std::collections::BTreeSet<i64> = found.iter().map(|row| row.goods_id).collect();
    let goods_rows =
        goods::Entity::find().filter(goods::Column::Id.is_in(of)).all(readers.db()).await?;
    Ok(StockRows {
        goods: goods_rows.into_iter().map(rows::goods::goods).collect::<Result<_, _>>()?,
        skus: found.into_iter().map(rows::goods::sku).collect::<Result<_, _>>()?,
        read_at,
    })
}
