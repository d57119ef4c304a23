//! What the reaper reads of orders that are about to expire, or have been on their way for long.

use entity::{notification, order};
use sea_orm::sea_query::{Expr, ExprTrait as _, Query};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use super::db::{Readers, StoreError, readable};
use super::payments::{OrderRef, order_ref};
use crate::domain::id::{OrderId, WxappId};
use crate::domain::notification::Event;
use crate::domain::time::Timestamp;

/// Unpaid orders of these mini-programs that expire in this span of time and whose buyers have not
/// been told; the first to expire first.
pub async fn expiring(
    readers: &Readers,
    wxapps: &[WxappId],
    (from, to): (Timestamp, Timestamp),
    limit: u64,
) -> Result<Vec<OrderRef>, StoreError> {
    let told = Query::select()
        .column(notification::Column::OrderId)
        .from(notification::Entity)
        .and_where(
            Expr::col((notification::Entity, notification::Column::OrderId))
                .equals((order::Entity, order::Column::Id)),
        )
        .and_where(notification::Column::Event.eq(Event::OrderExpiring.as_str()))
        .take();
    let found: Vec<(i64, i64)> = order::Entity::find()
        .select_only()
        .column(order::Column::WxappId)
        .column(order::Column::Id)
        .filter(order::Column::State.eq("unpaid"))
        .filter(order::Column::ExpiresAt.gt(from.as_millis()))
        .filter(order::Column::ExpiresAt.lte(to.as_millis()))
        .filter(order::Column::ClosingAt.is_null())
        .filter(order::Column::WxappId.is_in(wxapps.iter().map(|id| id.get())))
        .filter(Expr::exists(told).not())
        .order_by_asc(order::Column::ExpiresAt)
        .limit(limit)
        .into_tuple()
        .all(readers.db())
        .await?;
    Ok(readable(found.into_iter().map(order_ref)))
}

/// Orders that were shipped by then and nobody has confirmed; the longest on their way first.
pub async fn long_shipped(
    readers: &Readers,
    shipped_by: Timestamp,
    limit: u64,
) -> Result<Vec<OrderRef>, StoreError> {
    let found: Vec<(i64, i64)> = order::Entity::find()
        .select_only()
        .column(order::Column::WxappId)
        .column(order::Column::Id)
        .filter(order::Column::State.eq("shipped"))
        .filter(order::Column::ShippedAt.lte(shipped_by.as_millis()))
        .order_by_asc(order::Column::ShippedAt)
        .limit(limit)
        .into_tuple()
        .all(readers.db())
        .await?;
    Ok(readable(found.into_iter().map(order_ref)))
}

/// Whether an order still waits for its payment.
pub async fn is_unpaid(readers: &Readers, id: OrderId) -> Result<bool, StoreError> {
    let row = order::Entity::find_by_id(id.get()).one(readers.db()).await?;
    Ok(row.is_some_and(|row| row.state == "unpaid" && row.closing_at.is_none()))
}
