//! Locks that other nodes of a Galera cluster see.
//!
//! A node lets others know of rows that were written, and of those alone. Two batches on two nodes
//! that lock the same row and write something else on the strength of it both commit. So what a
//! batch has locked to decide on is written beside it: as rows of the table of markers, one for
//! each goods or order, whose value always changes.

use entity::batch_marker::{ActiveModel, Column, Entity};
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{ConnectionTrait, EntityTrait, Set};

use super::super::db::StoreError;
use super::keys::Claims;
use crate::domain::books::Books;
use crate::domain::time::Timestamp;

/// Writes down the orders and goods that were locked; on Galera only. Those that were changed too:
/// of two batches one may change an order, and the other decide on it and leave it as it was.
///
/// # Errors
/// What the database says; a collision with another node comes at COMMIT.
pub async fn certify(
    db: &impl ConnectionTrait,
    books: &Books,
    loaded: &Claims,
    now: Timestamp,
) -> Result<(), StoreError> {
    let locked = books.orders.iter().filter(|(_, order)| !order.is_new());
    let orders = locked.map(|(id, _)| format!("order:{id}"));
    let goods = loaded.locked_goods.iter().map(|id| format!("goods:{id}"));
    let row = |id| ActiveModel { id: Set(id), created_at: Set(now.as_millis()) };
    let rows: Vec<_> = goods.chain(orders).map(row).collect();
    if rows.is_empty() {
        return Ok(());
    }
    let later = Expr::cust("GREATEST(created_at + 1, VALUES(created_at))");
    let on_conflict = OnConflict::column(Column::Id).value(Column::CreatedAt, later).to_owned();
    Entity::insert_many(rows).on_conflict(on_conflict).exec_without_returning(db).await?;
    Ok(())
}
