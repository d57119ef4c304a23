//! The payments of a batch: those of its orders, and those that bear a number that is told now.
//!
//! There is hardly ever one, and the table has every payment that was ever made. PostgreSQL knows
//! too little of a table that has grown fast, and its planner then reads all of a merchant's
//! payments to find none; so each number is its own look-up there, which cannot be planned
//! otherwise.

use std::collections::BTreeSet;

use entity::payment;
use sea_orm::sea_query::{Alias, Asterisk, Expr, ExprTrait as _, IntoValueTuple, Query};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DbBackend, EntityTrait, JoinType, QueryFilter as _,
    QuerySelect as _, QueryTrait as _,
};

use super::super::db::StoreError;
use super::super::rows;
use super::scope::Scope;
use crate::domain::books::{Books, Kept};
use crate::domain::id::AttemptId;

/// Two questions, so that each has its index.
pub(super) async fn load_payments(
    db: &impl ConnectionTrait,
    scope: &Scope,
    books: &mut Books,
) -> Result<(), StoreError> {
    let settling = (!scope.transactions.is_empty()).then_some(&scope.whole);
    let of: BTreeSet<i64> =
        settling.into_iter().flatten().chain(&scope.payments_of).copied().collect();
    let mut rows = of_orders(db, of).await?;
    rows.extend(told(db, numbers(scope, books)).await?);
    for row in rows {
        let payment = rows::payments::payment(row)?;
        books.payments.insert(payment.id, Kept::loaded(payment));
    }
    Ok(())
}

/// Merchant and transaction that are told of each attempt that is settled: a number is its
/// merchant's.
fn numbers(scope: &Scope, books: &Books) -> BTreeSet<(String, String)> {
    let merchant = |attempt: &i64| {
        let attempt = books.attempts.get(&AttemptId::parse(*attempt).ok()?)?;
        Some(attempt.get().terms.mch_id.as_str().to_owned())
    };
    let told = scope.transactions.iter();
    told.filter_map(|(attempt, told)| Some((merchant(attempt)?, told.clone()))).collect()
}

async fn of_orders(
    db: &impl ConnectionTrait,
    orders: BTreeSet<i64>,
) -> Result<Vec<payment::Model>, StoreError> {
    if db.get_database_backend() == DbBackend::Postgres {
        return each(db, orders, &[payment::Column::OrderId]).await;
    }
    if orders.is_empty() {
        return Ok(Vec::new());
    }
    all(db, Condition::all().add(payment::Column::OrderId.is_in(orders))).await
}

async fn told(
    db: &impl ConnectionTrait,
    numbers: BTreeSet<(String, String)>,
) -> Result<Vec<payment::Model>, StoreError> {
    if db.get_database_backend() == DbBackend::Postgres {
        let columns = [payment::Column::MchId, payment::Column::TransactionId];
        return each(db, numbers, &columns).await;
    }
    if numbers.is_empty() {
        return Ok(Vec::new());
    }
    let (merchants, numbers): (BTreeSet<_>, BTreeSet<_>) = numbers.into_iter().unzip();
    let of_merchants = Condition::all().add(payment::Column::MchId.is_in(merchants));
    all(db, of_merchants.add(payment::Column::TransactionId.is_in(numbers))).await
}

async fn all(
    db: &impl ConnectionTrait,
    those: Condition,
) -> Result<Vec<payment::Model>, StoreError> {
    Ok(payment::Entity::find().filter(those).all(db).await?)
}

/// Those whose columns are equal to one of the values, each looked up by itself: OFFSET keeps the
/// look-up from being planned together with the values.
async fn each<V: IntoValueTuple + Ord>(
    db: &impl ConnectionTrait,
    values: BTreeSet<V>,
    columns: &[payment::Column],
) -> Result<Vec<payment::Model>, StoreError> {
    if values.is_empty() {
        return Ok(Vec::new());
    }
    let (asked, found) = (|| Alias::new("asked"), || Alias::new("found"));
    let is_asked = |(nth, column): (usize, &payment::Column)| {
        let value = Alias::new(format!("column{}", nth + 1));
        Expr::col(column.as_column_ref()).equals((asked(), value))
    };
    let is_asked = columns.iter().enumerate().map(is_asked);
    let look_up = is_asked.fold(payment::Entity::find(), |one, is_asked| one.filter(is_asked));
    let query = Query::select()
        .column((found(), Asterisk))
        .from_values(values, asked())
        .join_lateral(JoinType::InnerJoin, look_up.offset(0).into_query(), found(), always())
        .to_owned();
    let statement = db.get_database_backend().build(&query);
    Ok(payment::Entity::find().from_raw_sql(statement).all(db).await?)
}

fn always() -> Expr {
    Expr::cust("TRUE")
}
