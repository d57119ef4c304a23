//! Writes what the fold has made of the books: one statement for each table.

use entity::{
    goods, idempotency, incident, notification, order, payment, payment_attempt, refund, sku,
    stock_entry,
};
use sea_orm::sea_query::{CaseStatement, Expr, ExprTrait as _, OnConflict, Query};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, Set};

use super::super::db::StoreError;
use super::super::rows;
use super::insert::{insert, replace};
use super::keys::{Claims, delete_keys};
use crate::domain::books::{Books, Kept};
use crate::domain::time::Timestamp;

/// Writes the books; refuses those of a command that did not find what it needed.
pub async fn save(
    db: &impl ConnectionTrait,
    books: &Books,
    claims: &Claims,
    now: Timestamp,
) -> Result<(), StoreError> {
    if let Some(missing) = books.missing() {
        return Err(StoreError::row("books", format_args!("{missing} is missing")));
    }
    save_keys(db, books, claims, now).await?;
    save_orders(db, books).await?;
    save_payments(db, books, now).await?;
    save_messages(db, books, now).await?;
    save_sales(db, books, claims).await?;
    save_stock(db, books, now).await?;
    super::desk::save(db, books, now).await
}

/// Deletes the claims of members that were refused; moves one whose second member was taken.
async fn save_keys(
    db: &impl ConnectionTrait,
    books: &Books,
    claims: &Claims,
    now: Timestamp,
) -> Result<(), StoreError> {
    let mut refused = Vec::new();
    let mut again = Vec::new();
    for (key, claimed) in &claims.keys {
        let kept = books.keys.get(key);
        if kept == Some(claimed) {
            continue;
        }
        refused.push(key);
        again.extend(kept.map(|binding| idempotency::ActiveModel {
            wxapp_id: Set(key.wxapp.get()),
            user_id: Set(key.user.get()),
            operation: Set(key.operation.as_str().to_owned()),
            key: Set(key.key.as_str().to_owned()),
            request_hash: Set(binding.request_hash.clone()),
            result_id: Set(binding.result.get()),
            created_at: Set(now.as_millis()),
        }));
    }
    delete_keys(db, &refused).await?;
    insert(db, again).await
}

pub(super) fn fresh<'a, T: 'a>(
    kept: impl IntoIterator<Item = &'a Kept<T>>,
) -> impl Iterator<Item = &'a T> {
    kept.into_iter().filter(|kept| kept.is_new()).map(Kept::get)
}

pub(super) fn changed<'a, T: 'a>(
    kept: impl IntoIterator<Item = &'a Kept<T>>,
) -> impl Iterator<Item = &'a T> {
    kept.into_iter().filter(|kept| kept.is_changed()).map(Kept::get)
}

async fn save_orders(db: &impl ConnectionTrait, books: &Books) -> Result<(), StoreError> {
    let rows = fresh(books.orders.values()).map(rows::orders::order_row);
    insert(db, rows.collect()).await?;
    let new_lines = fresh(books.orders.values()).flat_map(|order| {
        let lines = books.lines_of(order.id).iter();
        lines.map(|line| rows::orders::line_row(order.wxapp, line))
    });
    insert(db, new_lines.collect()).await?;
    let addresses = books.addresses.iter();
    let addresses =
        addresses.map(|(order, wxapp, to)| rows::orders::address_row(*order, *wxapp, to));
    insert(db, addresses.collect()).await?;
    let rows = changed(books.orders.values()).map(rows::orders::order_row);
    replace(db, rows.collect::<Vec<_>>(), order::Column::Id).await
}

async fn save_payments(
    db: &impl ConnectionTrait,
    books: &Books,
    now: Timestamp,
) -> Result<(), StoreError> {
    let now_ms = now.as_millis();
    let row = |attempt| rows::payments::attempt_row(attempt, now_ms);
    insert(db, fresh(books.attempts.values()).map(row).collect()).await?;
    let rows: Vec<_> = changed(books.attempts.values()).map(row).collect();
    replace(db, rows, payment_attempt::Column::Id).await?;
    let rows = fresh(books.payments.values()).map(rows::payments::payment_row);
    insert::<payment::ActiveModel>(db, rows.collect()).await?;
    let rows = fresh(books.refunds.values()).map(rows::payments::refund_row);
    insert(db, rows.collect()).await?;
    let rows: Vec<_> = changed(books.refunds.values()).map(rows::payments::refund_row).collect();
    replace(db, rows, refund::Column::Id).await?;
    save_incidents(db, books, now_ms).await
}

/// A repeat of the same word is counted, not kept twice.
async fn save_incidents(
    db: &impl ConnectionTrait,
    books: &Books,
    now_ms: i64,
) -> Result<(), StoreError> {
    for kept in &books.incidents {
        let on_conflict =
            OnConflict::columns([incident::Column::MchId, incident::Column::TransactionId])
                .value(
                    incident::Column::Seen,
                    Expr::col((incident::Entity, incident::Column::Seen)).add(1),
                )
                .value(incident::Column::UpdatedAt, now_ms)
                .to_owned();
        incident::Entity::insert(rows::payments::incident_row(kept, now_ms))
            .on_conflict(on_conflict)
            .exec_without_returning(db)
            .await?;
    }
    Ok(())
}

async fn save_messages(
    db: &impl ConnectionTrait,
    books: &Books,
    now: Timestamp,
) -> Result<(), StoreError> {
    let row = |message| rows::orders::notification_row(message, now.as_millis());
    let rows: Result<Vec<notification::ActiveModel>, _> =
        books.notifications.iter().map(row).collect();
    insert(db, rows?).await
}

/// Adds what was sold, whatever others have added meanwhile: the goods need not be locked.
async fn save_sales(
    db: &impl ConnectionTrait,
    books: &Books,
    claims: &Claims,
) -> Result<(), StoreError> {
    let sold = changed(books.goods.values()).map(|goods| {
        let before = claims.sales.get(&goods.id).copied().unwrap_or(0);
        (goods.id.get(), goods.sales - before)
    });
    let sold: Vec<(i64, i64)> = sold.collect();
    for sold in sold.chunks(BRANCHES_MAX) {
        let more = case(goods::Column::Id, sold.iter().copied());
        let update = Query::update()
            .table(goods::Entity)
            .value(goods::Column::Sales, Expr::col(goods::Column::Sales).add(more))
            .and_where(goods::Column::Id.is_in(sold.iter().map(|(id, _)| *id)))
            .to_owned();
        db.execute(&update).await?;
    }
    Ok(())
}

async fn save_stock(
    db: &impl ConnectionTrait,
    books: &Books,
    now: Timestamp,
) -> Result<(), StoreError> {
    let entries: Vec<stock_entry::ActiveModel> =
        books.entries.iter().map(rows::goods::stock_entry).collect();
    insert(db, entries).await?;
    let moved: Vec<_> = changed(books.skus.values()).collect();
    for moved in moved.chunks(BRANCHES_MAX) {
        let by_id = |value: fn(&crate::domain::goods::Sku) -> i64| {
            case(sku::Column::Id, moved.iter().map(move |sku| (sku.id.get(), value(sku))))
        };
        let update = Query::update()
            .table(sku::Entity)
            .value(sku::Column::Stock, by_id(|sku| sku.stock))
            .value(sku::Column::Seq, by_id(|sku| sku.seq))
            .value(sku::Column::Version, by_id(|sku| sku.version))
            .value(sku::Column::UpdatedAt, now.as_millis())
            .and_where(sku::Column::Id.is_in(moved.iter().map(|sku| sku.id.get())))
            .to_owned();
        db.execute(&update).await?;
    }
    Ok(())
}

/// Rows of one UPDATE: seven bound values each at the most, and each row is compared with the
/// branches of all before it.
const BRANCHES_MAX: usize = 500;

/// `CASE WHEN id = .. THEN ..`: every row of the statement has its own branch.
fn case(id: impl ColumnTrait, values: impl Iterator<Item = (i64, i64)>) -> Expr {
    let by_id = values
        .fold(CaseStatement::new(), |case, (key, value)| case.case(id.eq(key), Expr::val(value)));
    by_id.into()
}
