//! Reads what a batch is about, under lock and in lock order: keys, goods, orders, attempts and
//! payments, SKUs; ascending id in each.

use std::time::Instant;

use entity::{order, order_goods, payment_attempt, refund, sku, stock_entry, user_address};
use sea_orm::sea_query::Expr;
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DbBackend, EntityTrait, ExprTrait as _, QueryFilter,
    QueryOrder, QuerySelect,
};

use super::super::db::{StoreError, row_lock};
use super::super::rows;
use super::goods::load_goods;
use super::keys::{Claims, claim_keys};
use super::scope::Scope;
use crate::domain::address::Address;
use crate::domain::books::{Books, Kept};
use crate::domain::fold::Command;
use crate::domain::id::{AddressId, GoodsId, SkuId, UserId};
use crate::domain::time::Timestamp;

/// Claims the keys and fills the books.
pub async fn load(
    db: &impl ConnectionTrait,
    commands: &[Command],
    now: Timestamp,
) -> Result<(Books, Claims), StoreError> {
    let mut books = Books::default();
    let mut claims = claim_keys(db, commands, &mut books, now).await?;
    let mut scope = Scope::of(commands);
    find_orders_of_attempts(db, &mut scope).await?;
    load_addresses(db, &scope, &mut books).await?;
    load_lines(db, &scope, &mut books).await?;
    claims.locked_goods = load_goods(db, &scope, &mut books).await?;
    let sold = books.goods.values().map(|goods| (goods.get().id, goods.get().sales));
    claims.sales = sold.collect();
    load_orders(db, &scope, &mut books).await?;
    load_bought(db, &scope, &mut books).await?;
    load_money(db, &scope, &mut books).await?;
    let asked = Instant::now();
    load_skus(db, &scope, &mut books).await?;
    claims.locking = asked.elapsed();
    load_deducted(db, &scope, &mut books).await?;
    super::desk::load(db, commands, &mut books).await?;
    Ok((books, claims))
}

/// A sum as an integer: PostgreSQL and MySQL answer with a decimal.
fn integer(db: &impl ConnectionTrait, sum: Expr) -> Expr {
    let integer = if db.get_database_backend() == DbBackend::MySql { "signed" } else { "bigint" };
    sum.cast_as(integer)
}

/// A plain read: an attempt never changes its order. Answers with attempts and their orders.
pub(super) async fn find_orders_of_attempts(
    db: &impl ConnectionTrait,
    scope: &mut Scope,
) -> Result<Vec<(i64, i64)>, StoreError> {
    let ids: Vec<i64> = scope.attempts.union(&scope.whole_attempts).copied().collect();
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let found: Vec<(i64, i64)> = payment_attempt::Entity::find()
        .select_only()
        .column(payment_attempt::Column::Id)
        .column(payment_attempt::Column::OrderId)
        .filter(payment_attempt::Column::Id.is_in(ids))
        .into_tuple()
        .all(db)
        .await?;
    for (attempt, order) in &found {
        if scope.whole_attempts.contains(attempt) {
            scope.whole.insert(*order);
            scope.refunds_of.insert(*order);
        }
        if scope.settled_attempts.contains(attempt) {
            scope.paid.insert(*order);
        }
        scope.orders.insert(*order);
    }
    Ok(found)
}

/// Address, buyer, and what it says.
type AddressRow = (i64, i64, String, String, String, String, String, String);

/// A plain read: what the address book says at this moment is copied into the order.
async fn load_addresses(
    db: &impl ConnectionTrait,
    scope: &Scope,
    books: &mut Books,
) -> Result<(), StoreError> {
    if scope.addresses.is_empty() {
        return Ok(());
    }
    let found: Vec<AddressRow> = user_address::Entity::find()
        .select_only()
        .columns([user_address::Column::Id, user_address::Column::UserId])
        .columns([user_address::Column::Name, user_address::Column::Phone])
        .columns([user_address::Column::Province, user_address::Column::City])
        .columns([user_address::Column::District, user_address::Column::Detail])
        .filter(user_address::Column::Id.is_in(scope.addresses.iter().copied()))
        .into_tuple()
        .all(db)
        .await?;
    for (id, user, name, phone, province, city, district, detail) in found {
        let bad = |error| StoreError::row("user_address", error);
        let (id, user) = (AddressId::parse(id).map_err(bad)?, UserId::parse(user).map_err(bad)?);
        let address = Address { name, phone, province, city, district, detail };
        books.address_book.insert(id, (user, address));
    }
    Ok(())
}

/// A plain read: lines never change.
async fn load_lines(
    db: &impl ConnectionTrait,
    scope: &Scope,
    books: &mut Books,
) -> Result<(), StoreError> {
    if scope.whole.is_empty() {
        return Ok(());
    }
    let rows = order_goods::Entity::find()
        .filter(order_goods::Column::OrderId.is_in(scope.whole.iter().copied()))
        .order_by_asc(order_goods::Column::Id)
        .all(db)
        .await?;
    for row in rows {
        let line = rows::orders::line(row)?;
        books.lines.entry(line.order).or_default().push(line);
    }
    Ok(())
}

fn skus_of_lines(books: &Books) -> impl Iterator<Item = SkuId> {
    books.lines.values().flatten().map(|line| line.sku)
}

async fn load_orders(
    db: &impl ConnectionTrait,
    scope: &Scope,
    books: &mut Books,
) -> Result<(), StoreError> {
    let ids: Vec<i64> = scope.orders.union(&scope.whole).copied().collect();
    if ids.is_empty() {
        return Ok(());
    }
    let rows = order::Entity::find()
        .filter(order::Column::Id.is_in(ids.iter().copied()))
        .order_by_asc(order::Column::Id)
        .lock(row_lock(db))
        .all(db)
        .await?;
    for row in rows {
        let order = rows::orders::order(row)?;
        books.orders.insert(order.id, Kept::loaded(order));
    }
    let rows = payment_attempt::Entity::find()
        .filter(payment_attempt::Column::OrderId.is_in(ids))
        // As their index has them: by id alone MariaDB may walk, and lock, the whole table. Whoever
        // locks attempts has locked their order before.
        .order_by_asc(payment_attempt::Column::OrderId)
        .order_by_asc(payment_attempt::Column::Id)
        .lock(row_lock(db))
        .all(db)
        .await?;
    for row in rows {
        let attempt = rows::payments::attempt(row)?;
        books.attempts.insert(attempt.id, Kept::loaded(attempt));
    }
    Ok(())
}

/// Pieces that buyers have in live orders of goods with a limit.
async fn load_bought(
    db: &impl ConnectionTrait,
    scope: &Scope,
    books: &mut Books,
) -> Result<(), StoreError> {
    let limited =
        books.goods.values().map(Kept::get).filter(|goods| goods.limit_per_user.is_some());
    let limited: Vec<GoodsId> = limited.map(|goods| goods.id).collect();
    if limited.is_empty() || scope.buyers.is_empty() {
        return Ok(());
    }
    for buyer in &scope.buyers {
        let Ok(user) = UserId::parse(*buyer) else {
            continue;
        };
        books.bought.extend(limited.iter().map(|goods| ((user, *goods), 0)));
    }
    let sums: Vec<(i64, i64, i64)> = order_goods::Entity::find()
        .select_only()
        .column(order::Column::UserId)
        .column(order_goods::Column::GoodsId)
        .column_as(integer(db, order_goods::Column::Quantity.sum()), "pieces")
        .join(sea_orm::JoinType::InnerJoin, line_to_order())
        .filter(order::Column::UserId.is_in(scope.buyers.iter().copied()))
        .filter(order_goods::Column::GoodsId.is_in(limited.iter().map(|goods| goods.get())))
        .filter(order::Column::State.is_not_in(["closed", "refunded"]))
        .group_by(order::Column::UserId)
        .group_by(order_goods::Column::GoodsId)
        .into_tuple()
        .all(db)
        .await?;
    for (user, goods, pieces) in sums {
        let bad = |error| StoreError::row("order_goods", error);
        let key = (UserId::parse(user).map_err(bad)?, GoodsId::parse(goods).map_err(bad)?);
        books.bought.insert(key, pieces);
    }
    Ok(())
}

fn line_to_order() -> sea_orm::RelationDef {
    order_goods::Entity::belongs_to(order::Entity)
        .from(order_goods::Column::OrderId)
        .to(order::Column::Id)
        .into()
}

async fn load_money(
    db: &impl ConnectionTrait,
    scope: &Scope,
    books: &mut Books,
) -> Result<(), StoreError> {
    super::payments::load_payments(db, scope, books).await?;
    if !scope.refunds_of.is_empty() {
        let rows = refund::Entity::find()
            .filter(refund::Column::OrderId.is_in(scope.refunds_of.iter().copied()))
            .order_by_asc(refund::Column::OrderId)
            .order_by_asc(refund::Column::Id)
            .lock(row_lock(db))
            .all(db)
            .await?;
        for row in rows {
            let refund = rows::payments::refund(row)?;
            books.refunds.insert(refund.id, Kept::loaded(refund));
        }
    }
    Ok(())
}

async fn load_skus(
    db: &impl ConnectionTrait,
    scope: &Scope,
    books: &mut Books,
) -> Result<(), StoreError> {
    let mut ids = scope.skus.clone();
    ids.extend(skus_of_lines(books).map(SkuId::get));
    if ids.is_empty() && scope.goods.is_empty() {
        return Ok(());
    }
    let mut any = Condition::any().add(sku::Column::Id.is_in(ids));
    if !scope.goods.is_empty() {
        any = any.add(sku::Column::GoodsId.is_in(scope.goods.iter().copied()));
    }
    let rows = sku::Entity::find()
        .filter(any)
        .order_by_asc(sku::Column::Id)
        .lock(row_lock(db))
        .all(db)
        .await?;
    for row in rows {
        let sku = rows::goods::sku(row)?;
        books.skus.insert(sku.id, Kept::loaded(sku));
    }
    Ok(())
}

async fn load_deducted(
    db: &impl ConnectionTrait,
    scope: &Scope,
    books: &mut Books,
) -> Result<(), StoreError> {
    if scope.whole.is_empty() {
        return Ok(());
    }
    let sums: Vec<(i64, i64)> = stock_entry::Entity::find()
        .select_only()
        .column(stock_entry::Column::OrderGoodsId)
        .column_as(integer(db, stock_entry::Column::Delta.sum()), "moved")
        .filter(stock_entry::Column::OrderId.is_in(scope.whole.iter().copied()))
        .filter(stock_entry::Column::OrderGoodsId.is_not_null())
        .group_by(stock_entry::Column::OrderGoodsId)
        .into_tuple()
        .all(db)
        .await?;
    for (line, moved) in sums {
        let line = line.try_into().map_err(|error| StoreError::row("stock_entry", error))?;
        books.deducted.insert(line, -moved);
    }
    Ok(())
}
