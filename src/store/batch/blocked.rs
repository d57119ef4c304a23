//! Which members of a batch need rows that another transaction keeps locked.

use std::collections::{BTreeMap, BTreeSet};

use entity::{goods, order, order_goods, sku};
use sea_orm::sea_query::LockBehavior;
use sea_orm::{
    ColumnTrait, DatabaseTransaction, EntityTrait, PrimaryKeyToColumn, QueryFilter, QueryOrder,
    QuerySelect,
};

use super::super::db::{StoreError, row_lock};
use super::goods::{goods_of, goods_to_lock};
use super::load::find_orders_of_attempts;
use super::scope::Scope;
use crate::domain::fold::{Act, Command};

/// What is locked by others.
#[derive(Debug, Clone, Default)]
pub struct Blocked {
    skus: BTreeSet<i64>,
    orders: BTreeSet<i64>,
    /// Of each command that was asked about: whether it needs such a row.
    pub commands: Vec<bool>,
}

impl Blocked {
    pub fn is_empty(&self) -> bool {
        self.commands.iter().all(|blocked| !blocked)
    }

    /// Whether a further command certainly needs one of these rows too.
    pub fn concerns(&self, command: &Command) -> bool {
        match command {
            Command::Place(place) => {
                place.cart.items().iter().any(|item| self.skus.contains(&item.sku.get()))
            }
            command => {
                let sku = adjusted(command).is_some_and(|sku| self.skus.contains(&sku));
                sku || order_of(command).is_some_and(|order| self.orders.contains(&order))
            }
        }
    }

    /// Both; what was asked about stays what the first was asked about.
    pub fn add(&mut self, other: Self) {
        self.skus.extend(other.skus);
        self.orders.extend(other.orders);
    }
}

fn order_of(command: &Command) -> Option<i64> {
    Some(match command {
        Command::StartAttempt(start) => start.order.get(),
        Command::BeginClosing(begin) => begin.order.get(),
        Command::CloseAttempt(close) => close.order.get(),
        Command::PostponeClosing(postpone) => postpone.order.get(),
        Command::ChangeRefund(change) => change.order.get(),
        Command::Receive(receive) => receive.order.get(),
        Command::Remind(remind) => remind.order.get(),
        Command::Desk(desk) => desk.act.order()?.get(),
        _ => return None,
    })
}

fn adjusted(command: &Command) -> Option<i64> {
    let Command::Desk(desk) = command else { return None };
    match desk.act {
        Act::AdjustStock { sku, .. } => Some(sku.get()),
        _ => None,
    }
}

fn attempt_of(command: &Command) -> Option<i64> {
    match command {
        Command::RecordPrepay(record) => Some(record.attempt.get()),
        Command::Settle(settle) => Some(settle.attempt.get()),
        _ => None,
    }
}

/// Asks for the locks of all rows that the commands need, without waiting for any. The caller rolls
/// the transaction back.
pub async fn blocked(
    txn: &DatabaseTransaction,
    commands: &[Command],
) -> Result<Blocked, StoreError> {
    let mut scope = Scope::of(commands);
    let orders_of_attempts: BTreeMap<i64, i64> =
        find_orders_of_attempts(txn, &mut scope).await?.into_iter().collect();
    let lines: Vec<(i64, i64, i64)> = order_goods::Entity::find()
        .select_only()
        .columns([
            order_goods::Column::OrderId,
            order_goods::Column::SkuId,
            order_goods::Column::GoodsId,
        ])
        .filter(order_goods::Column::OrderId.is_in(scope.whole.iter().copied()))
        .into_tuple()
        .all(txn)
        .await?;
    let mut skus = scope.skus.clone();
    skus.extend(lines.iter().map(|(_, sku, _)| *sku));
    let goods_of = goods_of(txn, &skus).await?;
    let mut bought = goods_of.clone();
    bought.retain(|sku, _| scope.skus.contains(sku));
    let paid = lines.iter().filter(|(order, ..)| scope.paid.contains(order));
    let paid = paid.map(|(_, _, goods)| *goods).chain(scope.goods.iter().copied()).collect();
    let needed_goods = goods_to_lock(&bought, &limited(txn, &bought).await?, paid);
    let orders = scope.orders.union(&scope.whole).copied().collect();
    let locked_goods = locked::<goods::Entity>(txn, needed_goods).await?;
    let locked_orders = locked::<order::Entity>(txn, orders).await?;
    let mut locked_skus = locked::<sku::Entity>(txn, skus).await?;
    let of_locked = goods_of.iter().filter(|(_, goods)| locked_goods.contains(&goods.0));
    locked_skus.extend(of_locked.map(|(sku, _)| *sku));
    let needs = |command: &Command| {
        let order = order_of(command).or_else(|| {
            attempt_of(command).and_then(|attempt| orders_of_attempts.get(&attempt).copied())
        });
        let of_lines =
            |order: i64| lines.iter().any(|(of, sku, _)| *of == order && locked_skus.contains(sku));
        let places = match command {
            Command::Place(place) => {
                place.cart.items().iter().any(|item| locked_skus.contains(&item.sku.get()))
            }
            Command::Desk(desk) => match &desk.act {
                Act::AdjustStock { sku, .. } => locked_skus.contains(&sku.get()),
                Act::SetSale { goods, .. } => locked_goods.contains(&goods.get()),
                _ => false,
            },
            _ => false,
        };
        places || order.is_some_and(|order| locked_orders.contains(&order) || of_lines(order))
    };
    let commands = commands.iter().map(needs).collect();
    Ok(Blocked { skus: locked_skus, orders: locked_orders, commands })
}

/// Those of the goods that have a limit for each buyer.
async fn limited(
    txn: &DatabaseTransaction,
    bought: &BTreeMap<i64, (i64, i64)>,
) -> Result<BTreeSet<i64>, StoreError> {
    let found: Vec<i64> = goods::Entity::find()
        .select_only()
        .column(goods::Column::Id)
        .filter(goods::Column::Id.is_in(bought.values().map(|(goods, _)| *goods)))
        .filter(goods::Column::LimitPerUser.is_not_null())
        .into_tuple()
        .all(txn)
        .await?;
    Ok(found.into_iter().collect())
}

/// Those of these rows that are there and that another transaction has locked.
async fn locked<E>(
    txn: &DatabaseTransaction,
    ids: BTreeSet<i64>,
) -> Result<BTreeSet<i64>, StoreError>
where
    E: EntityTrait,
    E::PrimaryKey: PrimaryKeyToColumn<Column = E::Column>,
{
    let Some(id) = <E::PrimaryKey as sea_orm::Iterable>::iter().next() else {
        return Ok(BTreeSet::new());
    };
    let id = id.into_column();
    let of_these = || E::find().select_only().column(id).filter(id.is_in(ids.iter().copied()));
    let there: Vec<i64> = of_these().into_tuple().all(txn).await?;
    let free: Vec<i64> = of_these()
        .order_by_asc(id)
        .lock_with_behavior(row_lock(txn), LockBehavior::SkipLocked)
        .into_tuple()
        .all(txn)
        .await?;
    let free: BTreeSet<i64> = free.into_iter().collect();
    Ok(there.into_iter().filter(|id| !free.contains(id)).collect())
}
