//! A SKU and its stock at any moment. The ledger itself is read by `store::desk`.

use entity::{goods, sku as sku_table, stock_entry};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QuerySelect, Select};

use super::super::db::{Readers, StoreError};
use crate::domain::id::{GoodsId, SkuId, WxappId};
use crate::domain::time::Timestamp;

/// A SKU, to say what a ledger is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SkuFacts {
    pub id: SkuId,
    pub goods: GoodsId,
    pub goods_name: String,
    pub code: String,
    pub attr: String,
    pub stock: i64,
    /// Number of the latest entry of its ledger.
    pub seq: i64,
    pub retired: bool,
}

/// A SKU of this mini-program.
pub async fn sku(
    readers: &Readers,
    wxapp: WxappId,
    id: SkuId,
) -> Result<Option<SkuFacts>, StoreError> {
    let row = sku_table::Entity::find_by_id(id.get())
        .filter(sku_table::Column::WxappId.eq(wxapp.get()))
        .one(readers.db())
        .await?;
    let Some(row) = row else { return Ok(None) };
    let of = goods::Entity::find_by_id(row.goods_id).one(readers.db()).await?;
    let goods = GoodsId::parse(row.goods_id).map_err(|error| StoreError::row("sku", error))?;
    Ok(Some(SkuFacts {
        id,
        goods,
        goods_name: of.map(|goods| goods.name).unwrap_or_default(),
        code: row.code,
        attr: row.attr,
        stock: row.stock,
        seq: row.seq,
        retired: row.retired_at.is_some(),
    }))
}

/// What the ledger says of a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// The latest entry at that moment; 0: there was none yet.
    pub seq: i64,
    pub stock: i64,
}

/// How much was there at a moment: the balance of the latest entry until then, with it. Found by
/// halving, since a ledger is numbered without gaps in the order of its commits: some twenty rows
/// of a million are read.
pub async fn stock_at(
    readers: &Readers,
    sku: &SkuFacts,
    at: Timestamp,
) -> Result<Moment, StoreError> {
    let (mut before, mut behind) = (Moment { seq: 0, stock: 0 }, sku.seq + 1);
    while before.seq + 1 < behind {
        let middle = before.seq + (behind - before.seq) / 2;
        let row: Option<(i64, i64)> = one(sku.id, middle).into_tuple().one(readers.db()).await?;
        match row {
            Some((created_at, balance)) if created_at <= at.as_millis() => {
                before = Moment { seq: middle, stock: balance };
            }
            Some(_) | None => behind = middle,
        }
    }
    Ok(before)
}

/// Time and balance of one entry.
pub(super) fn one(sku: SkuId, seq: i64) -> Select<stock_entry::Entity> {
    stock_entry::Entity::find()
        .select_only()
        .columns([stock_entry::Column::CreatedAt, stock_entry::Column::Balance])
        .filter(stock_entry::Column::SkuId.eq(sku.get()))
        .filter(stock_entry::Column::Seq.eq(seq))
}
