//! The goods of a batch, and which of them it must lock.

use std::collections::{BTreeMap, BTreeSet};

use entity::{goods, sku};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
};

use super::super::db::{StoreError, row_lock};
use super::super::rows;
use super::scope::Scope;
use crate::domain::books::{Books, Kept};

/// Goods of the SKUs that are bought, and of the lines that may be sold. Locked are those of which
/// something is counted after the lock: pieces of one buyer, where there is a limit, and sales; the
/// answer is which.
pub(super) async fn load_goods(
    db: &impl ConnectionTrait,
    scope: &Scope,
    books: &mut Books,
) -> Result<BTreeSet<i64>, StoreError> {
    let mut locked = BTreeSet::new();
    let lines = || books.lines.values().flatten();
    let mut ids: BTreeSet<i64> = lines().map(|line| line.goods.get()).collect();
    let bought = goods_of(db, &scope.skus).await?;
    ids.extend(bought.values().map(|(goods, _)| *goods));
    ids.extend(&scope.goods);
    if ids.is_empty() {
        return Ok(locked);
    }
    let paid = lines().filter(|line| scope.paid.contains(&line.order.get()));
    let paid = paid.map(|line| line.goods.get()).chain(scope.goods.iter().copied());
    let paid: BTreeSet<i64> = paid.collect();
    let all = |ids| goods::Entity::find().filter(goods::Column::Id.is_in(ids));
    let mut rows = all(ids).all(db).await?;
    if db.get_database_backend() != DbBackend::Sqlite {
        let limited = rows.iter().filter(|row| row.limit_per_user.is_some()).map(|row| row.id);
        locked = goods_to_lock(&bought, &limited.collect(), paid);
        if !locked.is_empty() {
            let again = all(locked.clone()).order_by_asc(goods::Column::Id).lock(row_lock(db));
            rows.extend(again.all(db).await?);
        }
    }
    for row in rows {
        let goods = rows::goods::goods(row)?;
        books.goods.insert(goods.id, Kept::loaded(goods));
    }
    Ok(locked)
}

/// A plain read: of each SKU its goods, which never change, and its price.
pub(super) async fn goods_of(
    db: &impl ConnectionTrait,
    skus: &BTreeSet<i64>,
) -> Result<BTreeMap<i64, (i64, i64)>, StoreError> {
    if skus.is_empty() {
        return Ok(BTreeMap::new());
    }
    let found: Vec<(i64, i64, i64)> = sku::Entity::find()
        .select_only()
        .columns([sku::Column::Id, sku::Column::GoodsId, sku::Column::PriceFen])
        .filter(sku::Column::Id.is_in(skus.iter().copied()))
        .into_tuple()
        .all(db)
        .await?;
    Ok(found.into_iter().map(|(sku, goods, price)| (sku, (goods, price))).collect())
}

/// What is bought of goods with a limit, or for nothing, which pays at once; and what is paid.
pub(super) fn goods_to_lock(
    bought: &BTreeMap<i64, (i64, i64)>,
    limited: &BTreeSet<i64>,
    paid: BTreeSet<i64>,
) -> BTreeSet<i64> {
    let counted = |(goods, price): &&(i64, i64)| *price == 0 || limited.contains(goods);
    bought.values().filter(counted).map(|(goods, _)| *goods).chain(paid).collect()
}
